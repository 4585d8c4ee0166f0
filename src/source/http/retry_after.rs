//! Parses `Retry-After` (RFC 9110 §10.2.3). No I/O.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

/// The longest wait that a server's request causes.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Returns the wait that a response asks for, at most [`MAX_RETRY_AFTER`]; `None` as for
/// [`requested_wait`].
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    requested_wait(headers, now).map(|wait| wait.min(MAX_RETRY_AFTER))
}

/// Returns the wait that a response asks for, however long; `None` without the field, or if its
/// value is neither a number of seconds nor a date.
///
/// A date is compared with the response's own `Date`, so that a wrong local clock does no harm,
/// and with `now` if the response has none.
pub fn requested_wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number that does not fit is a long time, too.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds));
    }
    let at_s = http_date(text)?;
    let now_s = match date_in(headers, DATE) {
        Some(date_s) => date_s,
        None => i64::try_from(now.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()?,
    };
    let seconds = u64::try_from(at_s.saturating_sub(now_s)).unwrap_or(0);
    Some(Duration::from_secs(seconds))
}

fn date_in(headers: &HeaderMap, name: HeaderName) -> Option<i64> {
    http_date(headers.get(name)?.to_str().ok()?.trim())
}

/// Returns the Unix seconds of a date in one of the three forms that a recipient must accept
/// (RFC 9110 §5.6.7). The day of the week is ignored, because some servers get it wrong.
fn http_date(text: &str) -> Option<i64> {
    let parser = DateTimeParser::new().relaxed_weekday(true);
    if let Ok(at) = parser.parse_timestamp(text) {
        return Some(at.as_second());
    }
    let (_, rest) = text.split_once(' ')?;
    let rest = rest.trim_start();
    let formats = ["%d-%b-%y %H:%M:%S GMT", "%b %e %H:%M:%S %Y"];
    let broken_down = formats.iter().find_map(|format| BrokenDownTime::parse(format, rest).ok())?;
    let at = TimeZone::UTC.to_timestamp(broken_down.to_datetime().ok()?).ok()?;
    Some(at.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn seconds_and_the_three_forms_of_a_date_are_parsed_and_capped() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("7", Some(7)),
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("86400", Some(300)),
            ("99999999999999999999999", Some(300)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Mon, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sunday, 06-Nov-94 08:50:00 GMT", Some(23)),
            ("Sun Nov  6 08:50:00 1994", Some(23)),
            ("Sun, 06 Nov 1994 08:49:30 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:30 GMT", Some(300)),
            ("soon", None),
            ("", None),
            ("-3", None),
            ("1.5", None),
        ] {
            let wait = retry_after(&headers(&[(RETRY_AFTER, value)]), now);
            assert_eq!(wait, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_date_is_compared_with_the_servers_own_clock() {
        let pairs = [
            (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:00 GMT"),
            (DATE, "Sun, 06 Nov 1994 08:49:50 GMT"),
        ];
        let wait = retry_after(&headers(&pairs), SystemTime::now());
        assert_eq!(wait, Some(Duration::from_secs(10)));
    }
}
