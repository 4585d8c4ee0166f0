//! Whole numbers: `10`, `100_000`.

use super::{OrNever, ValueError, digits};

/// Reads a whole number.
///
/// # Errors
/// [`ValueError::Count`] where it is none, or is larger than 64 bits hold.
pub fn parse_count(text: &str) -> Result<u64, ValueError> {
    digits(text).ok_or_else(|| ValueError::Count(text.to_owned()))
}

/// Reads a whole number from 1 on.
///
/// # Errors
/// As [`parse_count`], and [`ValueError::Range`] for 0.
pub fn parse_positive(text: &str) -> Result<u64, ValueError> {
    at_most(text, u64::MAX)
}

/// Reads a number of events that a queue may hold: 1 to 100 million, which is more than any
/// machine's memory takes in events of usual size.
///
/// # Errors
/// As [`parse_count`], and [`ValueError::Range`].
pub fn parse_queue_events(text: &str) -> Result<usize, ValueError> {
    let count = at_most(text, 100_000_000)?;
    usize::try_from(count).map_err(|_| ValueError::Count(text.to_owned()))
}

/// Reads a number of retries, or `unlimited` (`never` means the same: never give up).
///
/// # Errors
/// [`ValueError::CountOrUnlimited`] where it is neither.
pub fn parse_retries(text: &str) -> Result<OrNever<u32>, ValueError> {
    if matches!(text, "unlimited" | "never") {
        return Ok(OrNever(None));
    }
    digits(text)
        .and_then(|n| u32::try_from(n).ok())
        .map(|n| OrNever(Some(n)))
        .ok_or_else(|| ValueError::CountOrUnlimited(text.to_owned()))
}

fn at_most(text: &str, most: u64) -> Result<u64, ValueError> {
    let count = parse_count(text)?;
    if (1..=most).contains(&count) {
        Ok(count)
    } else {
        Err(ValueError::Range {
            value: text.to_owned(),
            least: "1".to_owned(),
            most: most.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_and_grouped_digits() {
        assert_eq!(parse_count("0"), Ok(0));
        assert_eq!(parse_count("100000"), Ok(100_000));
        assert_eq!(parse_count("1_000_000"), Ok(1_000_000));
        assert_eq!(parse_count("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn refuses_what_is_no_whole_number() {
        for text in [
            "",
            "_",
            "1_",
            "_1",
            "1__0",
            "10k",
            "-1",
            "+1",
            "1.5",
            "1 0",
            "١",
            "18446744073709551616",
        ] {
            assert_eq!(parse_count(text), Err(ValueError::Count(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn refuses_zero_where_it_would_mean_nothing() {
        assert!(parse_positive("0").is_err());
        assert!(parse_queue_events("0").is_err());
        assert!(parse_queue_events("100_000_001").is_err());
        assert_eq!(parse_queue_events("100_000"), Ok(100_000));
    }

    #[test]
    fn retries_may_be_unlimited() {
        assert_eq!(parse_retries("unlimited"), Ok(OrNever(None)));
        assert_eq!(parse_retries("never"), Ok(OrNever(None)));
        assert_eq!(parse_retries("0"), Ok(OrNever(Some(0))));
        assert!(parse_retries("4294967296").is_err());
        assert!(parse_retries("forever").is_err());
    }
}
