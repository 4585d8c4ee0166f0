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

/// Returns the instant of `now`, `today` or `yesterday`: days begin at midnight in UTC, as dates
/// do.
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
mod tests;
