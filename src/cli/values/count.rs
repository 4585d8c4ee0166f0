//! Whole numbers: `10`, `100_000`, `10k`, `2M`.

use super::{OrNever, ValueError, digits};

/// Parses a whole number, with `k` for thousands and `M` for millions.
///
/// # Errors
/// [`ValueError::Count`], also for a number that does not fit 64 bits.
pub fn parse_count(text: &str) -> Result<u64, ValueError> {
    let (number, factor) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1_000),
        None => text.strip_suffix('M').map_or((text, 1), |number| (number, 1_000_000)),
    };
    let count = digits(number).and_then(|count| count.checked_mul(factor));
    count.ok_or_else(|| ValueError::Count(text.to_owned()))
}

/// Parses a whole number of at least 1.
///
/// # Errors
/// As [`parse_count`], and [`ValueError::Range`] for 0.
pub fn parse_positive(text: &str) -> Result<u64, ValueError> {
    up_to(text, u64::MAX)
}

/// Parses a number of events to read back: 1 to 100,000.
///
/// # Errors
/// As [`parse_count`], and [`ValueError::Range`].
pub fn parse_last(text: &str) -> Result<usize, ValueError> {
    let count = up_to(text, 100_000)?;
    usize::try_from(count).map_err(|_| ValueError::Count(text.to_owned()))
}

/// Parses a number of events that a queue may hold: 1 to 100 million, which is more events of
/// average size than fit into the memory of any machine.
///
/// # Errors
/// As [`parse_count`], and [`ValueError::Range`].
pub fn parse_queue_events(text: &str) -> Result<usize, ValueError> {
    let count = up_to(text, 100_000_000)?;
    usize::try_from(count).map_err(|_| ValueError::Count(text.to_owned()))
}

/// Parses a number of retries, or `unlimited` (`never` is a synonym: never give up).
///
/// # Errors
/// [`ValueError::CountOrUnlimited`].
pub fn parse_retries(text: &str) -> Result<OrNever<u32>, ValueError> {
    if matches!(text, "unlimited" | "never") {
        return Ok(OrNever(None));
    }
    digits(text)
        .and_then(|n| u32::try_from(n).ok())
        .map(|n| OrNever(Some(n)))
        .ok_or_else(|| ValueError::CountOrUnlimited(text.to_owned()))
}

fn up_to(text: &str, max: u64) -> Result<u64, ValueError> {
    let count = parse_count(text)?;
    if (1..=max).contains(&count) {
        Ok(count)
    } else {
        Err(ValueError::Range { value: text.to_owned(), min: "1".to_owned(), max: max.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_plain_and_grouped_digits() {
        assert_eq!(parse_count("0"), Ok(0));
        assert_eq!(parse_count("100000"), Ok(100_000));
        assert_eq!(parse_count("1_000_000"), Ok(1_000_000));
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert_eq!(parse_count("1_0K"), Ok(10_000));
        assert_eq!(parse_count("2M"), Ok(2_000_000));
        assert_eq!(parse_count("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn rejects_what_is_not_a_whole_number() {
        for text in [
            "",
            "_",
            "1_",
            "_1",
            "1__0",
            "k",
            "10kk",
            "10m",
            "18446744073709551615k",
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
    fn rejects_zero_if_it_would_mean_nothing() {
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
