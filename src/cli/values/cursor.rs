//! Values of `--cursor` and `skytail cursors set`: `live`, `auto`, `oldest`, a time, an age, or an
//! integer cursor.
//!
//! The present is an argument. The server is not known here, so a later step decides whether it
//! accepts a sequence number.

use jiff::{Span, SpanRelativeTo, Timestamp, civil::Date, tz::Offset};

use crate::checkpoint::CursorValue;
use crate::position::{Seq, TimeUs};
use crate::settings::CursorMode;

/// How far ahead of this machine's clock a time may lie. Servers stamp events with their own
/// clocks, so a time copied from an event can be slightly in the future. A server silently reads a
/// time ahead of its clock as "live" (protocol/jetstream-v1.md §4.1).
const CLOCK_SLACK_US: u64 = 60_000_000;

/// Oldest age of a time for which an integer is taken for Unix seconds or milliseconds: no server
/// holds older events.
const RECENT_US: u64 = 2 * 365 * 86_400 * 1_000_000;

const DAY_US: i128 = 86_400 * 1_000_000;

/// Why a cursor is not valid. Every message says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Not a value of `--cursor`.
    #[error(
        "{0:?} is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor"
    )]
    NotAMode(String),
    /// Not a value of `cursors set`.
    #[error("{0:?} is not a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor")]
    NotAValue(String),
    /// A keyword that names no position.
    #[error(
        "{0:?} says how to start, not where: pass it to `skytail tail --cursor`, or save a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor"
    )]
    Keyword(String),
    /// A calendar time without a UTC offset.
    #[error("{0:?} has no UTC offset: add Z for UTC (2026-11-23T10:00:00Z), or one like +02:00")]
    NoOffset(String),
    /// Not a value of `--since`.
    #[error(
        "{0:?} is not a time (2026-11-23T10:00:00Z, yesterday) or an age (15m): --cursor also accepts live, auto, oldest and integer cursors"
    )]
    NotATime(String),
    /// An age in months or years.
    #[error("{0:?} counts in months or years, which have no fixed length: write days (30d)")]
    CalendarAge(String),
    #[error(
        "{text:?} lies in the future: this machine's clock says {now}; `--cursor live` starts from now on"
    )]
    Future { text: String, now: TimeUs },
    /// So early that a server would read it as a sequence number.
    #[error(
        "{text:?} is before {earliest}, the earliest time that a cursor can name; `--cursor oldest` starts at the oldest event", earliest = TimeUs(Seq::LIMIT)
    )]
    TooEarly { text: String },
    /// Unix seconds or milliseconds, which would be a sequence number.
    #[error(
        "{text:?} looks like Unix {unit}, and would be sequence number {text}: if you meant {unit}: {time}; if you meant the number: seq:{text}"
    )]
    SecondsOrMillis {
        text: String,
        /// `seconds` or `milliseconds`.
        unit: &'static str,
        /// The time that the number means in this unit.
        time: TimeUs,
    },
    /// The integer 0.
    #[error(
        "0 is no cursor: sequence numbers start at 1; `--cursor oldest` starts at the oldest event"
    )]
    Zero,
}

/// Parses a value of `--cursor`. `now_us` is the present in Unix microseconds.
///
/// # Errors
/// [`CursorError`], which does not name the flag.
pub fn parse_cursor_mode(text: &str, now_us: u64) -> Result<CursorMode, CursorError> {
    if let Some(mode) = keyword(text) {
        return Ok(mode);
    }
    match parse_position(text, now_us)? {
        Some(CursorValue::Time(time)) => Ok(CursorMode::Time(time)),
        Some(CursorValue::Seq(seq)) => Ok(CursorMode::Seq(seq)),
        None => Err(CursorError::NotAMode(text.to_owned())),
    }
}

/// Returns what a keyword means. Users of Kafka know the synonyms.
fn keyword(text: &str) -> Option<CursorMode> {
    Some(match text {
        "live" | "now" | "end" | "latest" => CursorMode::Live,
        "auto" | "stored" => CursorMode::Auto,
        // 0 means `oldest` to v2 servers (protocol/jetstream-v2.md §4).
        "oldest" | "beginning" | "earliest" | "0" => CursorMode::Oldest,
        _ => return None,
    })
}

/// Parses a value of `--since`: a time or an age. `now_us` is the present in Unix microseconds.
///
/// # Errors
/// [`CursorError`], which does not name the flag.
pub fn parse_since(text: &str, now_us: u64) -> Result<CursorMode, CursorError> {
    match parse_position(text, now_us)? {
        Some(CursorValue::Time(time)) => Ok(CursorMode::Time(time)),
        Some(CursorValue::Seq(_)) | None => Err(CursorError::NotATime(text.to_owned())),
    }
}

/// Parses a value of `skytail cursors set`: a time, an age or an integer, but no keyword. `now_us`
/// is the present in Unix microseconds.
///
/// # Errors
/// [`CursorError`].
pub fn parse_cursor_value(text: &str, now_us: u64) -> Result<CursorValue, CursorError> {
    if !matches!(text, "now" | "0") && keyword(text).is_some() {
        return Err(CursorError::Keyword(text.to_owned()));
    }
    parse_position(text, now_us)?.ok_or_else(|| CursorError::NotAValue(text.to_owned()))
}

/// Parses a time, an age or an integer; `None` for any other text.
fn parse_position(text: &str, now_us: u64) -> Result<Option<CursorValue>, CursorError> {
    if let Some(digits) = text.strip_prefix("seq:").and_then(whole_number) {
        let seq = digits.parse().ok().filter(|seq| (1..Seq::LIMIT).contains(seq));
        return Ok(seq.map(|seq| CursorValue::Seq(Seq(seq))));
    }
    if let Some(digits) = whole_number(text) {
        return integer(text, &digits, now_us).map(Some);
    }
    if let Some(unix_us) = calendar_us(text)? {
        return instant(text, unix_us, now_us).map(Some);
    }
    if let Some(us) = day_us(text, now_us) {
        return instant(text, us, now_us).map(Some);
    }
    let Some(age_us) = age_us(text)? else { return Ok(None) };
    instant(text, i128::from(now_us) - age_us, now_us).map(Some)
}

/// Returns the digits of a number; `None` unless the text is digits with single underscores between
/// them.
fn whole_number(text: &str) -> Option<String> {
    let grouped = text.split('_').all(|g| !g.is_empty() && g.bytes().all(|b| b.is_ascii_digit()));
    grouped.then(|| text.replace('_', ""))
}

fn integer(text: &str, digits: &str, now_us: u64) -> Result<CursorValue, CursorError> {
    // A number of more than 128 bits is still a number, and in the future.
    let number: i128 = digits.parse().unwrap_or(i128::MAX);
    match u64::try_from(number) {
        Ok(0) => Err(CursorError::Zero),
        Ok(seq) if seq < Seq::LIMIT => match seconds_or_millis(seq, now_us) {
            Some((unit, time)) => {
                Err(CursorError::SecondsOrMillis { text: text.to_owned(), unit, time })
            }
            None => Ok(CursorValue::Seq(Seq(seq))),
        },
        _ => instant(text, number, now_us),
    }
}

/// Returns the unit and the time if a number is a recent time in Unix seconds or milliseconds. A
/// recent time in milliseconds is larger than all sequence numbers: 50 times those of the whole
/// network in 2026. A recent time in seconds is not, so only the last two years count.
fn seconds_or_millis(number: u64, now_us: u64) -> Option<(&'static str, TimeUs)> {
    let is_recent = |us: &u64| {
        let latest = now_us.saturating_add(CLOCK_SLACK_US);
        *us <= latest && *us >= now_us.saturating_sub(RECENT_US)
    };
    let seconds = number.checked_mul(1_000_000).filter(is_recent);
    let millis = number.checked_mul(1_000).filter(is_recent);
    let as_time = |unit| move |us| (unit, TimeUs(us));
    seconds.map(as_time("seconds")).or(millis.map(as_time("milliseconds")))
}

fn instant(text: &str, unix_us: i128, now_us: u64) -> Result<CursorValue, CursorError> {
    if unix_us < i128::from(Seq::LIMIT) {
        return Err(CursorError::TooEarly { text: text.to_owned() });
    }
    let latest = i128::from(now_us) + i128::from(CLOCK_SLACK_US);
    match u64::try_from(unix_us) {
        Ok(us) if unix_us <= latest => Ok(CursorValue::Time(TimeUs(us))),
        _ => Err(CursorError::Future { text: text.to_owned(), now: TimeUs(now_us) }),
    }
}

/// Parses an RFC 3339 time, or a date, which means midnight in UTC. Returns Unix microseconds.
pub(super) fn calendar_us(text: &str) -> Result<Option<i128>, CursorError> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(Some(i128::from(timestamp.as_microsecond())));
    }
    // A date also parses from the front of a longer text, so compare the length.
    let Ok(date) = text.parse::<Date>() else { return Ok(None) };
    if text.len() != "2026-11-23".len() {
        return Err(CursorError::NoOffset(text.to_owned()));
    }
    // The last day of the calendar is the only one without a timestamp.
    let midnight = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0));
    Ok(Some(midnight.map_or(i128::MAX, |t| i128::from(t.as_microsecond()))))
}

/// Returns the instant of `now`, `today` or `yesterday`: days begin at midnight in UTC, as dates do.
pub(super) fn day_us(text: &str, now_us: u64) -> Option<i128> {
    let now_us = i128::from(now_us);
    let midnight = now_us - now_us % DAY_US;
    match text {
        "now" => Some(now_us),
        "today" => Some(midnight),
        "yesterday" => Some(midnight - DAY_US),
        _ => None,
    }
}

/// Parses an age, with days of 24 hours: `15m`, `-15m` and `15m ago` are the same. Returns
/// microseconds before the present, so `+15m` is negative.
pub(super) fn age_us(text: &str) -> Result<Option<i128>, CursorError> {
    let Ok(span) = text.parse::<Span>() else { return Ok(None) };
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(CursorError::CalendarAge(text.to_owned()));
    }
    let Ok(length) = span.to_duration(SpanRelativeTo::days_are_24_hours()) else { return Ok(None) };
    let us = length.as_micros();
    Ok(Some(if text.starts_with('+') { -us } else { us.abs() }))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    /// 2026-07-04T14:38:08.186668Z
    const NOW: u64 = 1_783_175_888_186_668;

    fn time(us: u64) -> Result<CursorMode, CursorError> {
        Ok(CursorMode::Time(TimeUs(us)))
    }

    fn error(text: &str) -> String {
        parse_cursor_mode(text, NOW).unwrap_err().to_string()
    }

    #[test]
    fn accepts_the_keywords_and_those_of_kafka() {
        assert_eq!(parse_cursor_mode("live", NOW), Ok(CursorMode::Live));
        assert_eq!(parse_cursor_mode("auto", NOW), Ok(CursorMode::Auto));
        assert_eq!(parse_cursor_mode("oldest", NOW), Ok(CursorMode::Oldest));
        for (text, mode) in [
            ("beginning", CursorMode::Oldest),
            ("earliest", CursorMode::Oldest),
            ("end", CursorMode::Live),
            ("latest", CursorMode::Live),
            ("now", CursorMode::Live),
            ("stored", CursorMode::Auto),
        ] {
            assert_eq!(parse_cursor_mode(text, NOW), Ok(mode), "{text}");
        }
    }

    #[test]
    fn an_integer_is_a_seq_below_ten_to_the_fifteenth_and_a_time_from_there_on() {
        assert_eq!(parse_cursor_mode("1", NOW), Ok(CursorMode::Seq(Seq(1))));
        assert_eq!(
            parse_cursor_mode("999999999999999", NOW),
            Ok(CursorMode::Seq(Seq(999_999_999_999_999)))
        );
        assert_eq!(parse_cursor_mode("1000000000000000", NOW), time(1_000_000_000_000_000));
        assert_eq!(parse_cursor_mode("1_783_175_888_186_668", NOW), time(NOW));
    }

    #[test]
    fn unix_seconds_and_milliseconds_are_rejected_with_the_time_that_they_mean() {
        assert_eq!(
            error("1783175888"),
            r#""1783175888" looks like Unix seconds, and would be sequence number 1783175888: if you meant seconds: 2026-07-04T14:38:08.000000Z; if you meant the number: seq:1783175888"#
        );
        let message = error("1_783_175_000_186");
        assert!(
            message.contains("if you meant milliseconds: 2026-07-04T14:23:20.186000Z"),
            "{message}"
        );
        for ago in ["1783175948", "1783175949000", "1720103888"] {
            let is_rejected = parse_cursor_value(ago, NOW).is_err();
            assert_eq!(is_rejected, ago == "1783175948", "{ago}");
        }
        // A sequence number of the network in 2026, and one that is no time.
        for seq in ["24835173012", "999999999999999", "1", "seq:1783175888"] {
            assert!(matches!(parse_cursor_mode(seq, NOW), Ok(CursorMode::Seq(_))), "{seq}");
        }
    }

    #[test]
    fn accepts_calendar_times_with_any_offset_and_dates_as_midnight_utc() {
        assert_eq!(parse_cursor_mode("2026-07-04T14:38:08.186668Z", NOW), time(NOW));
        assert_eq!(parse_cursor_mode("2026-07-04T16:38:08.186668+02:00", NOW), time(NOW));
        assert_eq!(parse_cursor_mode("2026-07-04", NOW), time(1_783_123_200_000_000));
    }

    #[test]
    fn accepts_ages_with_days_of_24_hours() {
        for (text, seconds) in [
            ("-0s", 0),
            ("-15m", 900),
            ("-2h", 7_200),
            ("-1d", 86_400),
            ("-1w", 604_800),
            ("-1d2h", 93_600),
            ("-1h 30m", 5_400),
            ("15m ago", 900),
            ("15m", 900),
            ("10 minutes ago", 600),
            ("5sec", 5),
            ("0s", 0),
        ] {
            assert_eq!(parse_cursor_mode(text, NOW), time(NOW - seconds * 1_000_000), "{text}");
        }
    }

    #[test]
    fn days_begin_at_midnight_in_utc() {
        let midnight = 1_783_123_200_000_000;
        assert_eq!(parse_cursor_mode("today", NOW), time(midnight));
        assert_eq!(parse_since("yesterday", NOW), time(midnight - 86_400_000_000));
        assert_eq!(parse_since("now", NOW), time(NOW));
    }

    #[test]
    fn since_takes_times_and_ages_only() {
        assert_eq!(parse_since("10m", NOW), time(NOW - 600_000_000));
        for text in ["live", "oldest", "auto", "12345", "seq:7", "soon"] {
            assert_eq!(parse_since(text, NOW), Err(CursorError::NotATime(text.to_owned())));
        }
        assert!(matches!(parse_since("+10m", NOW), Err(CursorError::Future { .. })));
    }

    #[test]
    fn a_time_slightly_ahead_of_the_clock_is_accepted() {
        assert_eq!(
            parse_cursor_value(&(NOW + 5_000_000).to_string(), NOW),
            Ok(CursorValue::Time(TimeUs(NOW + 5_000_000)))
        );
        assert!(parse_cursor_value(&(NOW + 61_000_000).to_string(), NOW).is_err());
    }

    #[test]
    fn errors_name_the_value_and_the_remedy() {
        let texts = [
            "",
            "yesterdy",
            "future",
            "-",
            "-5",
            "-15",
            "+15m",
            "-1mo",
            "-2 years",
            "2026-11-23T10:00:00",
            "2026-13-04",
            "2026-07-05T00:00:00Z",
            "0001-01-01",
            "0001-01-01T00:00:00Z",
            "-9999d",
            "-99999999999d",
            "9999-12-31",
            "1783175888186668000",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
        ];
        let messages: Vec<String> = texts.into_iter().map(error).collect();
        assert_snapshot!(messages.join("\n"), @r#"
        "" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "yesterdy" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "future" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "-" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "-5" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "-15" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "+15m" lies in the future: this machine's clock says 2026-07-04T14:38:08.186668Z; `--cursor live` starts from now on
        "-1mo" counts in months or years, which have no fixed length: write days (30d)
        "-2 years" counts in months or years, which have no fixed length: write days (30d)
        "2026-11-23T10:00:00" has no UTC offset: add Z for UTC (2026-11-23T10:00:00Z), or one like +02:00
        "2026-13-04" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "2026-07-05T00:00:00Z" lies in the future: this machine's clock says 2026-07-04T14:38:08.186668Z; `--cursor live` starts from now on
        "0001-01-01" is before 2001-09-09T01:46:40.000000Z, the earliest time that a cursor can name; `--cursor oldest` starts at the oldest event
        "0001-01-01T00:00:00Z" is before 2001-09-09T01:46:40.000000Z, the earliest time that a cursor can name; `--cursor oldest` starts at the oldest event
        "-9999d" is before 2001-09-09T01:46:40.000000Z, the earliest time that a cursor can name; `--cursor oldest` starts at the oldest event
        "-99999999999d" is not live, auto, oldest, a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor
        "9999-12-31" lies in the future: this machine's clock says 2026-07-04T14:38:08.186668Z; `--cursor live` starts from now on
        "1783175888186668000" lies in the future: this machine's clock says 2026-07-04T14:38:08.186668Z; `--cursor live` starts from now on
        "18446744073709551616" lies in the future: this machine's clock says 2026-07-04T14:38:08.186668Z; `--cursor live` starts from now on
        "340282366920938463463374607431768211456" lies in the future: this machine's clock says 2026-07-04T14:38:08.186668Z; `--cursor live` starts from now on
        "#);
    }

    #[test]
    fn a_keyword_can_not_be_saved() {
        assert_snapshot!(parse_cursor_value("auto", NOW).unwrap_err(), @r#""auto" says how to start, not where: pass it to `skytail tail --cursor`, or save a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor"#);
        assert_snapshot!(parse_cursor_value("nonsense", NOW).unwrap_err(), @r#""nonsense" is not a time (2026-11-23T10:00:00Z), an age (15m), or an integer cursor"#);
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}", now in any::<u64>()) {
            let _ = parse_cursor_mode(&text, now);
        }

        #[test]
        fn no_text_like_a_number_or_an_age_panics(text in "-?[0-9_]{0,45}[a-z: TZ+-]{0,3}", now in any::<u64>()) {
            let _ = parse_cursor_mode(&text, now);
        }

        #[test]
        fn a_printed_time_parses_to_itself(us in Seq::LIMIT..=NOW) {
            prop_assert_eq!(parse_cursor_mode(&TimeUs(us).to_string(), NOW), Ok(CursorMode::Time(TimeUs(us))));
        }
    }
}
