//! Durations: `250ms`, `1s`, `5sec`, `5m`, `1h30m`, and `never` if a flag allows it.
//!
//! jiff's parser of durations accepts other texts: it rejects `1_500ms` and `30m1h`, which are
//! valid here, and accepts `1.5s`, `5 s` and `PT5M`, which are not. `SignedDuration` rejects days,
//! and `Span` accepts months, which have no fixed length.

use std::time::Duration;

use super::{OrNever, ValueError, digits};

/// The longest duration that a flag accepts: ten years, so that adding it to a time can't overflow.
const MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Parses a duration: one or more whole numbers, each with its unit. Zero is `0s`.
///
/// # Errors
/// [`ValueError::Duration`], or [`ValueError::Range`] for more than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let sum = sum_ms(text).ok_or_else(|| ValueError::Duration(text.to_owned()))?;
    let duration = Duration::from_millis(sum);
    if duration > MAX {
        return Err(out_of_range(text, "0s"));
    }
    Ok(duration)
}

/// Parses a duration longer than zero.
///
/// # Errors
/// As [`parse_duration`], and [`ValueError::Range`] for 0.
pub fn parse_positive_duration(text: &str) -> Result<Duration, ValueError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(out_of_range(text, "1ms")),
        duration => Ok(duration),
    }
}

/// Parses a duration longer than zero, or `never`.
///
/// # Errors
/// As [`parse_positive_duration`], with [`ValueError::DurationOrNever`] in place of
/// [`ValueError::Duration`].
pub fn parse_duration_or_never(text: &str) -> Result<OrNever<Duration>, ValueError> {
    if text == "never" {
        return Ok(OrNever(None));
    }
    match parse_positive_duration(text) {
        Ok(duration) => Ok(OrNever(Some(duration))),
        Err(ValueError::Duration(text)) => Err(ValueError::DurationOrNever(text)),
        Err(other) => Err(other),
    }
}

/// Returns the milliseconds, saturating; `None` if the text is not a duration.
fn sum_ms(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '_')?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        sum = sum.saturating_add(digits(number)?.saturating_mul(unit_ms(unit)?));
        rest = tail;
    }
    Some(sum)
}

fn unit_ms(unit: &str) -> Option<u64> {
    Some(match unit {
        "ms" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        "w" | "week" | "weeks" => 604_800_000,
        _ => return None,
    })
}

fn out_of_range(text: &str, min: &str) -> ValueError {
    ValueError::Range { value: text.to_owned(), min: min.to_owned(), max: "3650d".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_single_and_compound_durations() {
        for (text, ms) in [
            ("0s", 0),
            ("250ms", 250),
            ("1s", 1_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1_500ms", 1_500),
            ("30m1h", 5_400_000),
            ("5sec", 5_000),
            ("2hours30minutes", 9_000_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn rejects_what_is_not_a_duration() {
        for text in ["", "5", "s", "-5s", "1.5s", "5 s", "5S", "1h30", "5y", "never"] {
            assert_eq!(parse_duration(text), Err(ValueError::Duration(text.to_owned())), "{text}");
        }
        assert!(parse_duration("3651d").is_err());
        assert!(parse_duration("99999999999999999999d").is_err());
    }

    #[test]
    fn never_is_valid_only_if_the_flag_allows_it() {
        assert_eq!(parse_duration_or_never("never"), Ok(OrNever(None)));
        assert_eq!(parse_duration_or_never("1s"), Ok(OrNever(Some(Duration::from_secs(1)))));
        assert!(parse_duration_or_never("0s").is_err());
        assert!(parse_duration_or_never("soon").unwrap_err().to_string().ends_with("or never"));
        assert!(parse_positive_duration("0ms").is_err());
    }

    /// The reason for a parser of our own.
    #[test]
    fn jiff_accepts_other_texts() {
        for text in ["1_500ms", "30m1h", "1d"] {
            assert!(parse_duration(text).is_ok(), "{text}");
            assert!(text.parse::<jiff::SignedDuration>().is_err(), "{text}");
        }
        for text in ["1.5s", "5 s", "-5s", "PT5M"] {
            assert!(parse_duration(text).is_err(), "{text}");
            assert!(text.parse::<jiff::SignedDuration>().is_ok(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn any_number_of_seconds_is_exact(n in 0u64..=300_000_000) {
            prop_assert_eq!(parse_duration(&format!("{n}s")), Ok(Duration::from_secs(n)));
        }
    }
}
