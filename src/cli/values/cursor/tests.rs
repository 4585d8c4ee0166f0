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
    // A sequence number of the network in 2026, and one that is not a time.
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
