//! Parsing v2 messages and writing their v1 lines, compared with sample pairs and with a second
//! reading by a JSON library.

use std::collections::HashMap;

use proptest::prelude::*;
use skytail::event::event_id::{EventIdHasher, EventIdKey};
use skytail::event::format::EventFormat;
use skytail::event::v2::{self, Message, MessageError};

use crate::support::vectors;
use crate::v2_model::{Meaning, check, meaning};

const COMMIT: &str = r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit","cid":"bafyrei","collection":"app.bsky.feed.post","did":"did:plc:a","operation":"create","record":{"$type":"app.bsky.feed.post","seq":5,"time":"x","did":1,"n":[1e21,-0],"text":"a \"}\u003c,\"seq\":9"},"rev":"3mptbypluud2a","rkey":"k","seq":7000001,"time":"2026-07-04T14:38:08.085434Z"}}"##;

fn line_of(message: &str) -> String {
    let Ok(Message::Event(event)) = v2::read(message.as_bytes()) else {
        panic!("not decoded as an event: {message}")
    };
    let mut line = Vec::new();
    event.write_v1_line(&mut line);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_commit_becomes_the_line_of_the_same_server() {
    assert_eq!(
        line_of(COMMIT),
        r##"{"did":"did:plc:a","time_us":1783175888085434,"cursor":7000001,"kind":"commit","commit":{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"k","record":{"$type":"app.bsky.feed.post","seq":5,"time":"x","did":1,"n":[1e21,-0],"text":"a \"}\u003c,\"seq\":9"},"cid":"bafyrei"}}"##
    );
}

#[test]
fn a_sync_keeps_its_object_under_its_own_kind() {
    let message = r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#sync","did":"did:plc:a","seq":7000028,"sync":{"blocks":{"$bytes":"OqJ"},"did":"did:plc:a","rev":"r","seq":31527015472,"time":""},"time":"2026-07-04T14:38:08.395001Z"}}"##;
    assert_eq!(
        line_of(message),
        r##"{"did":"did:plc:a","time_us":1783175888395001,"cursor":7000028,"kind":"sync","sync":{"blocks":{"$bytes":"OqJ"},"did":"did:plc:a","rev":"r","seq":31527015472,"time":""}}"##
    );
}

#[test]
fn v2_frames_and_v1_lines_of_one_event_have_the_same_values() {
    let generated = ["sample_v2.jsonl", "sample_v1.jsonl"];
    for paths in vectors::sets(generated, ["derived_v2.jsonl", "production_v1.jsonl"]) {
        let [v2, v1] = paths.map(|path| vectors::lines(&path));
        let pairs = compare_pairs(&v2, v1);
        // An #info and an error frame are not events.
        assert_eq!(pairs, v2.len() - 2);
    }
}

/// Compares each v2 frame with the v1 line of its event, and returns how many there are.
fn compare_pairs(v2: &[String], v1: Vec<String>) -> usize {
    let mut identities = EventIdHasher::new(EventIdKey::new(1));
    let mut by_identity: HashMap<u64, String> = HashMap::new();
    for line in v1 {
        by_identity.insert(identities.of(&EventFormat::V1.parse(line.as_bytes()).unwrap()), line);
    }
    let mut pairs = 0;
    for message in v2 {
        check(message.as_bytes());
        let Ok(Message::Event(event)) = v2::read(message.as_bytes()) else { continue };
        let line = line_of(message);
        let header = EventFormat::Native.parse(event.native_line()).unwrap();
        assert_eq!(header, EventFormat::V1.parse(line.as_bytes()).unwrap());
        let mut ours: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ours.as_object_mut().unwrap().remove("cursor"), Some(event.seq.into()));
        let theirs = by_identity.get(&identities.of(&header)).expect("the sample has the event");
        assert_eq!(ours, serde_json::from_str::<serde_json::Value>(theirs).unwrap());
        pairs += 1;
    }
    pairs
}

#[test]
fn messages_of_another_protocol_and_damaged_messages_have_different_errors() {
    for message in [
        r#"{"error":"FutureCursor","message":"cursor is ahead of the live tail"}"#,
        r#"{"kind":"commit","commit":{"operation":"create","record_cbor":"not-base64!!"}}"#,
    ] {
        let found = v2::read(message.as_bytes());
        assert!(matches!(found, Err(MessageError::NoEnvelope)), "{message}");
    }
    for (from, to, what) in [
        ("\"seq\":7000001", "\"seq\":0", "seq is not between"),
        ("\"seq\":7000001", "\"seq\":1000000000000000", "seq is not between"),
        ("\"seq\":7000001", "\"seq\":-1", "seq is no unsigned integer"),
        ("\"seq\":7000001", "\"seq\":7.5", "seq is no unsigned integer"),
        ("\"seq\":7000001,", "", "no member seq"),
        (".085434Z", ".085Z", "time is not like"),
        ("\"did\":\"did:plc:a\"", "\"did\":null", "no string"),
        ("\"did\":\"did:plc:a\",", "", "no member did"),
        ("\"rev\":\"3mptbypluud2a\",", "", "no member rev"),
        ("\"rkey\":\"k\"", "\"rkey\":7", "no string"),
        ("subscribeEvents#commit", "subscribeEvents#sync", "the object that"),
        ("\"$type\":\"network.bsky.jetstream.subscribeEvents#commit\",", "", "no member $type"),
        ("\"payload\":{", "\"payloads\":{", "no object as payload"),
        ("[1e21,-0]", "[1e21,-0", "expected"),
        ("\"text\"", "\"te\nxt\"", "raw control character"),
        ("Z\"}}", "Z\"}", "expected"),
        ("Z\"}}", "Z\"}}}", "text after"),
    ] {
        let message = COMMIT.replacen(from, to, 1);
        assert_ne!(message, COMMIT, "{from}");
        match v2::read(message.as_bytes()) {
            Err(MessageError::Malformed(error)) => {
                assert!(error.what.contains(what), "{from} -> {to}: {error}");
            }
            Err(error) => panic!("{from} -> {to}: {error}"),
            Ok(_) => panic!("{from} -> {to}: accepted"),
        }
    }
}

#[test]
fn types_of_later_servers_are_skipped_whatever_they_contain() {
    for message in [
        r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#label","seq":"x","did":[]}}"##,
        r##"{"$type":"message","payload":{"$type":"com.example.other"}}"##,
        r##"{"payload":7,"$type":"batch"}"##,
        r##"{"payload":{"seq":-1},"$type":"batch"}"##,
    ] {
        assert!(matches!(v2::read(message.as_bytes()), Ok(Message::Unknown(_))), "{message}");
        check(message.as_bytes());
    }
}

/// Generates an object with its members in random order.
fn shuffled(members: Vec<(String, String)>) -> impl Strategy<Value = String> {
    Just(members).prop_shuffle().prop_map(|members| {
        let members: Vec<String> = members
            .into_iter()
            .map(|(name, json)| format!("{}:{json}", serde_json::Value::from(name)))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Generates any JSON, with names that have a meaning elsewhere in a message.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(|f| serde_json::Number::from_f64(f).map_or(0.into(), Into::into)),
        "\\PC*".prop_map(Into::into),
        Just("\",\"seq\":1,{[".into()),
    ];
    let name = prop_oneof!["seq|did|time|\\$type|record|payload|kind|identity|rev", "\\PC*"];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(name.clone(), inner, 0..4)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

fn message() -> impl Strategy<Value = String> {
    let kinds = prop_oneof![
        8 => "commit|identity|account|sync",
        1 => "info|other",
    ];
    let parts = (kinds, "\\PC*", any::<[String; 4]>(), json(), 0..2_000_000_000_000_000_u64);
    (parts, 0..4_000_000_000_000_000_i64, prop::option::of(json()), 0..12_usize)
        .prop_flat_map(
            |((kind, did, [rev, operation, collection, rkey], body, seq), us, extra, drop)| {
                let text = |text: &str| serde_json::Value::from(text).to_string();
                let time = format!("{:.6}", jiff::Timestamp::from_microsecond(us).unwrap());
                let mut members = vec![
                    (
                        "$type".to_owned(),
                        text(&format!("network.bsky.jetstream.subscribeEvents#{kind}")),
                    ),
                    ("did".to_owned(), text(&did)),
                    ("seq".to_owned(), seq.to_string()),
                    ("time".to_owned(), text(&time)),
                    ("rev".to_owned(), text(&rev)),
                    ("operation".to_owned(), text(&operation)),
                    ("collection".to_owned(), text(&collection)),
                    ("rkey".to_owned(), text(&rkey)),
                    ("record".to_owned(), body.to_string()),
                    ("cid".to_owned(), text(&rev)),
                ];
                if kind != "commit" {
                    let relayed = serde_json::json!({"seq": seq, "did": did, "x": body});
                    members.push((kind, relayed.to_string()));
                }
                if let Some(extra) = extra {
                    members.push(("extra".to_owned(), extra.to_string()));
                }
                if drop < members.len() {
                    members.remove(drop);
                }
                shuffled(members)
            },
        )
        .prop_flat_map(|payload| {
            let members = vec![
                ("$type".to_owned(), "\"message\"".to_owned()),
                ("payload".to_owned(), payload),
            ];
            shuffled(members)
        })
}

proptest! {
    #[test]
    fn agrees_with_a_json_library_on_any_message(message in message()) {
        prop_assert_ne!(meaning(&message), None::<Meaning>);
        check(message.as_bytes());
    }

    #[test]
    fn agrees_with_a_json_library_on_any_damage(
        message in message(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\",:\\0 ".to_vec())],
        what in 0..3,
    ) {
        let mut bytes = message.into_bytes();
        let at = at.index(bytes.len());
        match what {
            0 => bytes[at] = with,
            1 => bytes.truncate(at),
            _ => bytes.insert(at, with),
        }
        check(&bytes);
    }
}
