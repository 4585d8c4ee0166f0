//! Parses the timestamps of the v2 stream.

/// Days of a common year before each month.
const DAYS_BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// Days in each month of a common year.
const DAYS_IN: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// Days from 1 January of year 1 to the Unix epoch.
const EPOCH_DAYS: u64 = 719_162;

/// Parses an RFC 3339 time in UTC with exactly six fractional digits and a `Z`
/// (protocol/jetstream-v2.md §3) into Unix microseconds. Returns `None` for any other text, for
/// dates that do not exist, and for times before 1970.
#[must_use]
pub fn parse_us(text: &str) -> Option<u64> {
    let bytes: &[u8; 27] = text.as_bytes().try_into().ok()?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', rest @ ..] = bytes else { return None };
    let [h0, h1, b':', n0, n1, b':', s0, s1, b'.', fraction @ .., b'Z'] = rest else {
        return None;
    };
    let year = number(&[*y0, *y1, *y2, *y3])?;
    let (month, day) = (number(&[*m0, *m1])?, number(&[*d0, *d1])?);
    let (hour, minute, second) = (number(&[*h0, *h1])?, number(&[*n0, *n1])?, number(&[*s0, *s1])?);
    let micros = number(fraction)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_epoch(year, month, day)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + u64::from(digit))
    })
}

fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leap_day = u64::from(is_leap);
    let longest = DAYS_IN.get(index)? + if month == 2 { leap_day } else { 0 };
    if day == 0 || day > longest {
        return None;
    }
    let years = year.checked_sub(1)?;
    let before_year = years * 365 + years / 4 - years / 100 + years / 400;
    let before_month = DAYS_BEFORE.get(index)? + if month > 2 { leap_day } else { 0 };
    (before_year + before_month + day - 1).checked_sub(EPOCH_DAYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parses_the_examples_of_the_protocol_document() {
        assert_eq!(parse_us("2026-07-04T14:38:08.085434Z"), Some(1_783_175_888_085_434));
        assert_eq!(parse_us("1970-01-01T00:00:00.000000Z"), Some(0));
        assert_eq!(parse_us("2000-02-29T23:59:59.999999Z"), Some(951_868_799_999_999));
        assert!(parse_us("9999-12-31T23:59:59.999999Z").is_some());
    }

    #[test]
    fn rejects_every_other_form() {
        for bad in [
            "",
            "2026-07-04T14:38:08Z",
            "2026-07-04T14:38:08.085Z",
            "2026-07-04T14:38:08.0854341Z",
            "2026-07-04T14:38:08.085434z",
            "2026-07-04t14:38:08.085434Z",
            "2026-07-04 14:38:08.085434Z",
            "2026-07-04T14:38:08,085434Z",
            "2026-07-04T14:38:08.08543 Z",
            "2026-07-04T14:38:08.+85434Z",
            "2026-07-04T24:00:00.000000Z",
            "2026-07-04T14:60:08.085434Z",
            "2026-07-04T14:38:60.085434Z",
            "2026-00-04T14:38:08.085434Z",
            "2026-13-04T14:38:08.085434Z",
            "2026-07-00T14:38:08.085434Z",
            "2026-04-31T14:38:08.085434Z",
            "2026-02-29T14:38:08.085434Z",
            "2100-02-29T14:38:08.085434Z",
            "1969-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00.000000Z",
            "2026-07-04T14:38:08.085434+00:00",
        ] {
            assert_eq!(parse_us(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_calendar_both_ways(us in 0..253_402_300_799_999_999_u64) {
            let timestamp = jiff::Timestamp::from_microsecond(us.try_into().unwrap()).unwrap();
            prop_assert_eq!(parse_us(&format!("{timestamp:.6}")), Some(us));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*|[0-9T:.Z-]{27}") {
            let _ = parse_us(&text);
        }
    }
}
