//! Times, past or future: `2026-11-23T10:00:00Z`, `2026-11-23`, `yesterday`, `15m` (ago), `+15m`,
//! `now`, Unix microseconds.

use super::cursor::{age_us, calendar_us, day_us};
use super::{ValueError, digits};
use crate::position::{Seq, TimeUs};

/// Parses a time. `now_us` is the present in Unix microseconds; ages count back from it.
///
/// # Errors
/// [`ValueError::Time`], also for a time before 1970, and for an integer below 10^15, which a
/// server would read as a sequence number (protocol/jetstream-v1.md §4.1).
pub fn parse_time(text: &str, now_us: u64) -> Result<TimeUs, ValueError> {
    let error = || ValueError::Time(text.to_owned());
    if let Some(number) = digits(text) {
        let largest = i64::MAX.unsigned_abs();
        return match number {
            Seq::LIMIT.. if number <= largest => Ok(TimeUs(number)),
            _ => Err(error()),
        };
    }
    let unix_us = match (day_us(text, now_us), calendar_us(text), age_us(text)) {
        (Some(us), ..) | (_, Ok(Some(us)), _) => us,
        (_, _, Ok(Some(age_us))) => i128::from(now_us) - age_us,
        _ => return Err(error()),
    };
    u64::try_from(unix_us).map(TimeUs).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_783_175_888_186_668;

    #[test]
    fn accepts_every_form_of_a_time() {
        assert_eq!(parse_time("now", NOW), Ok(TimeUs(NOW)));
        assert_eq!(parse_time("2026-07-04", 0), Ok(TimeUs(1_783_123_200_000_000)));
        for age in ["-15m", "15m", "15 minutes ago"] {
            assert_eq!(parse_time(age, NOW), Ok(TimeUs(NOW - 900_000_000)), "{age}");
        }
        assert_eq!(parse_time("+15m", NOW), Ok(TimeUs(NOW + 900_000_000)));
        assert_eq!(parse_time("yesterday", NOW), Ok(TimeUs(1_783_036_800_000_000)));
        assert_eq!(parse_time("1783175888186668", 0), Ok(TimeUs(1_783_175_888_186_668)));
        assert_eq!(parse_time("2026-07-04T14:38:08.186668Z", 0), Ok(TimeUs(1_783_175_888_186_668)));
        assert_eq!(
            parse_time("2026-07-04T16:38:08.186668+02:00", 0),
            Ok(TimeUs(1_783_175_888_186_668))
        );
    }

    #[test]
    fn rejects_what_is_not_a_time() {
        for text in [
            "",
            "yesterdy",
            "-",
            "-15",
            "--15m",
            "12345",
            "999999999999999",
            "18446744073709551615",
            "2026-07-04T14:38:08",
            "1969-12-31T23:59:59Z",
            "2026-13-04T14:38:08Z",
        ] {
            assert_eq!(parse_time(text, NOW), Err(ValueError::Time(text.to_owned())), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,32}") {
            let _ = parse_time(&text, NOW);
        }

        #[test]
        fn a_printed_time_parses_to_itself(us in Seq::LIMIT..253_402_207_200_000_000u64) {
            prop_assert_eq!(parse_time(&TimeUs(us).to_string(), 0), Ok(TimeUs(us)));
        }
    }
}
