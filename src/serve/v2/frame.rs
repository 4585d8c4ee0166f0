//! Builds the messages of the v2 stream (v2 §3) from v1 lines (v2 §7). Members are in byte order
//! after `$type`, and their values are copied byte for byte.

use serde_json::json;

use crate::serve::stamp_fields;

const LEXICON: &str = "network.bsky.jetstream.subscribeEvents";
/// 9999-12-30T21:59:59Z, in Unix seconds: just below the last instant that jiff can represent.
const LAST_SECOND: u64 = 253_402_207_199;

/// Builds the message of an event from its line, the time to show (in Unix microseconds) and its
/// seq. `None` if the line is not one that a recording accepts.
///
/// Kinds that v2 does not define are sent in the same form under their own names.
#[must_use]
pub fn message(line: &[u8], time_us: u64, seq: u64) -> Option<Vec<u8>> {
    let (time, seq) = (time_text(time_us), seq.to_string());
    let mut kind: &[u8] = b"";
    let mut members: Vec<(&[u8], &[u8])> = Vec::with_capacity(12);
    for (key, value) in stamp_fields::object_members(line)? {
        match key {
            b"time_us" | b"cursor" => {}
            b"kind" => kind = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?,
            b"commit" => match stamp_fields::object_members(value) {
                Some(commit) => members.extend(commit),
                None => members.push((key, value)),
            },
            _ => members.push((key, value)),
        }
    }
    members.push((b"seq", seq.as_bytes()));
    members.push((b"time", time.as_bytes()));
    // The last of several members with the same name counts, as in other parsers.
    members.reverse();
    members.sort_by_key(|(key, _)| *key);
    members.dedup_by_key(|(key, _)| *key);

    let mut out = Vec::with_capacity(line.len() + 160);
    out.extend_from_slice(br#"{"$type":"message","payload":{"$type":""#);
    out.extend_from_slice(LEXICON.as_bytes());
    out.push(b'#');
    out.extend_from_slice(kind);
    out.push(b'"');
    for (key, value) in members {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
    out.extend_from_slice(b"}}");
    Some(out)
}

/// Builds an advisory message (`#info`).
pub(in crate::serve) fn info(name: &str, message: &str) -> String {
    let payload = json!({ "$type": format!("{LEXICON}#info"), "message": message, "name": name });
    json!({ "$type": "message", "payload": payload }).to_string()
}

/// Builds the error message that ends a stream.
pub(in crate::serve) fn error(name: &str, message: &str) -> String {
    json!({ "$type": "error", "error": name, "message": message }).to_string()
}

/// Returns a time in RFC 3339, in UTC with six fractional digits, as a JSON string.
fn time_text(time_us: u64) -> String {
    let time_us = time_us.min(LAST_SECOND * 1_000_000);
    let instant =
        i64::try_from(time_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    format!("\"{:.6}\"", instant.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(line: &str) -> String {
        String::from_utf8(message(line.as_bytes(), 1_783_175_888_085_034, 7).unwrap()).unwrap()
    }

    #[test]
    fn a_commit_is_flattened_in_byte_order_and_its_record_copied() {
        let line = r#"{"did":"did:plc:a","time_us":1,"cursor":9,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"a.b.c","rkey":"k","record":{"z":1e21, "a":-0,"seq":3},"cid":"bafy"}}"#;
        assert_eq!(
            built(line),
            r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","cid":"bafy","collection":"a.b.c","did":"did:plc:a","operation":"create","record":{"z":1e21, "a":-0,"seq":3},"rev":"r","rkey":"k","seq":7,"time":"2026-07-04T14:38:08.085034Z"}}"##
        );
    }

    #[test]
    fn other_kinds_keep_their_object() {
        let line = r#"{"did":"did:plc:a","time_us":1,"kind":"sync","sync":{"seq":0,"blocks":{"$bytes":""}}}"#;
        assert_eq!(
            built(line),
            r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#sync","did":"did:plc:a","seq":7,"sync":{"seq":0,"blocks":{"$bytes":""}},"time":"2026-07-04T14:38:08.085034Z"}}"##
        );
    }

    #[test]
    fn an_advisory_and_an_error_have_the_servers_member_order() {
        assert_eq!(
            info("OutdatedCursor", "old"),
            r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","message":"old","name":"OutdatedCursor"}}"##
        );
        assert_eq!(error("A", "b"), r#"{"$type":"error","error":"A","message":"b"}"#);
    }

    #[test]
    fn times_have_six_digits_and_are_capped() {
        assert_eq!(time_text(1_000_000), r#""1970-01-01T00:00:01.000000Z""#);
        assert_eq!(time_text(u64::MAX), r#""9999-12-30T21:59:59.000000Z""#);
    }
}
