//! Durations: `250ms`, `1s`, `5m`, `1h30m`, and `never` where a flag allows it.

use std::time::Duration;

use super::{OrNever, ValueError, digits};

/// The longest duration that any flag takes: ten years, so that adding it to a clock can't
/// overflow.
const MAX: Duration = Duration::from_secs(3650 * 86_400);

/// Reads a duration: one or more whole numbers, each with its unit. 0 is written `0s`.
///
/// # Errors
/// [`ValueError::Duration`] where it is none, [`ValueError::Range`] beyond ten years.
pub fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let sum = sum_ms(text).ok_or_else(|| ValueError::Duration(text.to_owned()))?;
    let duration = Duration::from_millis(sum);
    if duration > MAX {
        return Err(out_of_range(text, "0s"));
    }
    Ok(duration)
}

/// Reads a duration longer than nothing.
///
/// # Errors
/// As [`parse_duration`], and [`ValueError::Range`] for 0.
pub fn parse_positive_duration(text: &str) -> Result<Duration, ValueError> {
    match parse_duration(text)? {
        Duration::ZERO => Err(out_of_range(text, "1ms")),
        duration => Ok(duration),
    }
}

/// Reads a duration longer than nothing, or `never`.
///
/// # Errors
/// As [`parse_positive_duration`], with [`ValueError::DurationOrNever`] where it is neither.
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

/// The whole milliseconds, saturating; `None` where the text is no duration.
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
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    })
}

fn out_of_range(text: &str, least: &str) -> ValueError {
    ValueError::Range { value: text.to_owned(), least: least.to_owned(), most: "3650d".to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_single_and_compound_durations() {
        for (text, ms) in [
            ("0s", 0),
            ("250ms", 250),
            ("1s", 1_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1_500ms", 1_500),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "5", "s", "-5s", "1.5s", "5 s", "5S", "1h30", "5y", "never"] {
            assert_eq!(parse_duration(text), Err(ValueError::Duration(text.to_owned())), "{text}");
        }
        assert!(parse_duration("3651d").is_err());
        assert!(parse_duration("99999999999999999999d").is_err());
    }

    #[test]
    fn never_is_a_word_only_where_it_is_allowed() {
        assert_eq!(parse_duration_or_never("never"), Ok(OrNever(None)));
        assert_eq!(parse_duration_or_never("1s"), Ok(OrNever(Some(Duration::from_secs(1)))));
        assert!(parse_duration_or_never("0s").is_err());
        assert!(parse_duration_or_never("soon").unwrap_err().to_string().ends_with("or never"));
        assert!(parse_positive_duration("0ms").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn seconds_are_themselves(n in 0u64..=300_000_000) {
            prop_assert_eq!(parse_duration(&format!("{n}s")), Ok(Duration::from_secs(n)));
        }
    }
}
