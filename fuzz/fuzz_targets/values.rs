//! Values of flags: an answer for every text, values in their range, and never a part of a
//! password.
#![no_main]

use std::time::Duration;

use skytail::cli::values::{count, cursor, duration, size, time};
use skytail::filter::{Collections, check_did};
use skytail::position::{Seq, TimeUs};
use skytail::settings::CursorMode;
use skytail::source::endpoint;
use skytail_fuzz::is_showable;

/// 2026-07-04T14:38:08.186668Z
const NOW_US: u64 = 1_783_175_888_186_668;
const SECRET: &str = "hunter2-Geheimnis";

fn cursors(text: &str, now_us: u64) {
    match cursor::parse_cursor_mode(text, now_us) {
        Ok(CursorMode::Time(time)) => {
            assert!(time >= TimeUs(Seq::LIMIT) && time.0 <= now_us.saturating_add(60_000_000));
            let again = cursor::parse_cursor_mode(&time.0.to_string(), now_us);
            assert_eq!(again, Ok(CursorMode::Time(time)));
        }
        Ok(CursorMode::Seq(seq)) => assert!((1..Seq::LIMIT).contains(&seq.0)),
        Ok(_) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = cursor::parse_cursor_value(text, now_us);
    let _ = time::parse_time(text, now_us);
}

fn numbers(text: &str) {
    let ten_years = Duration::from_secs(3650 * 86_400);
    if let Ok(found) = duration::parse_duration(text) {
        assert!(found <= ten_years);
        let ms = format!("{}ms", found.as_millis());
        assert_eq!(duration::parse_duration(&ms), Ok(found));
    }
    let _ = duration::parse_duration_or_never(text);
    if let Ok(bytes) = size::parse_size(text) {
        assert!((1..=1 << 40).contains(&bytes));
        assert_eq!(size::parse_size(&bytes.to_string()), Ok(bytes));
    }
    let _ = size::parse_message_size(text);
    let _ = (count::parse_count(text), count::parse_retries(text), count::parse_positive(text));
    if let Ok(events) = count::parse_queue_events(text) {
        assert!((1..=100_000_000).contains(&events));
    }
}

fn filters(text: &str) {
    let mut set = Collections::default();
    if set.add(text).is_ok() {
        assert_eq!(set.patterns(), [text]);
        assert!(text.is_ascii() && set.len() == 1);
        let inside = text.strip_suffix('*').map_or(text.to_owned(), |p| format!("{p}x"));
        assert!(set.matches(&inside) && !set.matches("other.example.thing.x-"));
    }
    if check_did(text).is_ok() {
        assert!(text.is_ascii() && text.starts_with("did:") && is_showable(text, 2048));
    }
}

fn hosts(text: &str) {
    if let Ok(found) = endpoint::parse(text) {
        assert!(is_showable(&found.label, 2000) && found.port != 0, "{}", found.label);
        let again = endpoint::parse(&found.label).expect("a label is a host");
        // A path that names a protocol is no part of the label.
        let named = endpoint::Endpoint { credentials: None, protocol: None, ..found.clone() };
        assert_eq!(again, named);
        let uri = found.request_uri("/subscribe", "cursor=1");
        assert!(uri.starts_with(if found.tls { "wss://" } else { "ws://" }));
        assert!(!uri.bytes().any(|b| b <= b' ' || b == 0x7f), "{uri}");
    }
    // A secret before it stays secret, whatever follows.
    for with_secret in [
        format!("wss://user:{SECRET}@{text}"),
        format!("user:{SECRET}@{text}"),
        format!("ws://{SECRET}{text}@host.example"),
        format!("{text}{SECRET}@host.example"),
    ] {
        match endpoint::parse(&with_secret) {
            Ok(found) => {
                let shown = format!("{found:?} {found} {}", found.request_uri("/x", ""));
                assert!(!shown.contains(SECRET), "{with_secret:?}: {shown}");
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains(SECRET), "{with_secret:?}: {shown}");
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    cursors(text, NOW_US);
    cursors(text, u64::from(data.first().copied().unwrap_or(0)) << 56);
    numbers(text);
    filters(text);
    hosts(text);
});
