//! Instants: `2026-11-23T10:00:00Z`, `2026-11-23`, `-15m`, `now`, Unix microseconds; those of
//! the future included.

use super::cursor::{age_us, calendar_us};
use super::{ValueError, digits};
use crate::position::{Seq, TimeUs};

/// Reads an instant. `now_us` is the present, in Unix microseconds, from which ages count.
///
/// # Errors
/// [`ValueError::Time`] where it is none, lies before 1970, or is an integer too small to be
/// microseconds of our time (protocol/jetstream-v1.md §4.1: below 10^15 it means a sequence
/// number to a server).
pub fn parse_time(text: &str, now_us: u64) -> Result<TimeUs, ValueError> {
    let wrong = || ValueError::Time(text.to_owned());
    if text == "now" {
        return Ok(TimeUs(now_us));
    }
    if let Some(number) = digits(text) {
        let largest = i64::MAX.unsigned_abs();
        return match number {
            Seq::LIMIT.. if number <= largest => Ok(TimeUs(number)),
            _ => Err(wrong()),
        };
    }
    let unix_us = match (calendar_us(text), age_us(text)) {
        (Ok(Some(us)), _) => us,
        (_, Ok(Some(age_us))) => i128::from(now_us) - age_us,
        _ => return Err(wrong()),
    };
    u64::try_from(unix_us).map(TimeUs).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_783_175_888_186_668;

    #[test]
    fn takes_every_way_to_name_an_instant() {
        assert_eq!(parse_time("now", NOW), Ok(TimeUs(NOW)));
        assert_eq!(parse_time("2026-07-04", 0), Ok(TimeUs(1_783_123_200_000_000)));
        assert_eq!(parse_time("-15m", NOW), Ok(TimeUs(NOW - 900_000_000)));
        assert_eq!(parse_time("1783175888186668", 0), Ok(TimeUs(1_783_175_888_186_668)));
        assert_eq!(parse_time("2026-07-04T14:38:08.186668Z", 0), Ok(TimeUs(1_783_175_888_186_668)));
        assert_eq!(
            parse_time("2026-07-04T16:38:08.186668+02:00", 0),
            Ok(TimeUs(1_783_175_888_186_668))
        );
    }

    #[test]
    fn refuses_what_is_no_instant() {
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
        fn what_we_print_reads_back(us in Seq::LIMIT..253_402_207_200_000_000u64) {
            prop_assert_eq!(parse_time(&TimeUs(us).to_string(), 0), Ok(TimeUs(us)));
        }
    }
}
