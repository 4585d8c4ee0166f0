//! Messages of the v2 stream that are not events (v2 §3, §5): the errors that end it, and messages
//! of a later protocol version.

use super::random::Draw;
use crate::serve::v2;

/// Returns the error for a slow client, which has received everything up to this seq.
pub(in crate::serve) fn consumer_too_slow(seq: u64) -> String {
    let message = format!(
        "reading below the floor rate 250000 events behind the tip; reconnect with cursor={}",
        seq.saturating_add(1)
    );
    v2::error("ConsumerTooSlow", &message)
}

/// Returns the error of a server that can't read its log.
pub(in crate::serve) fn internal_error() -> String {
    v2::error("InternalError", "stream read failed; reconnect")
}

/// Returns a message of an unknown type; `before` is a seq that was sent already.
pub(in crate::serve) fn unknown_message(draw: Draw, before: u64) -> String {
    match draw.below(0, 4) {
        0 => r#"{"$type":"notice","payload":{"$type":"com.example.chaos#notice","text":"chaos"}}"#
            .to_owned(),
        1 => format!(
            r##"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#chaos","did":"did:plc:chaos","seq":{before},"time":"2026-07-04T14:38:08.085434Z"}}}}"##
        ),
        2 => r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#chaos"}}"##
            .to_owned(),
        _ => v2::info("Chaos", "an advisory of a later version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_an_object_with_a_type() {
        let unknown = (0..50).map(|n| unknown_message(Draw::of(n), 7));
        for text in unknown.chain([consumer_too_slow(7), internal_error()]) {
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(value["$type"].is_string(), "{text}");
        }
        assert!(consumer_too_slow(7).contains("cursor=8"));
    }
}
