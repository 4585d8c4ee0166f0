//! Parsing one event: what is accepted is one balanced line, and agrees with a full parser; what a
//! full parser accepts is accepted, unless a rule of skytail refuses it.
#![no_main]

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use skytail::event::header::{self, Header, Kind};
use skytail::event::error::Malformed;
use skytail::event::event_id::{EventIdHasher, EventIdKey};

/// The program may refuse deeper nesting.
const SURE_DEPTH: usize = 500;

/// The members of an object in their order, repeated ones included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl<'a> Members<'a> {
    fn last(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.get())
    }

    fn all(&self, name: &str, is_sound: impl Fn(&str) -> bool) -> bool {
        self.0.iter().filter(|(key, _)| key == name).all(|(_, value)| is_sound(value.get()))
    }
}

fn members(raw: &str) -> Option<Members<'_>> {
    serde_json::from_str(raw).ok()
}

fn string(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}

fn integer(raw: &str) -> Option<u64> {
    serde_json::from_str(raw).ok()
}

fn is_object(raw: &str) -> bool {
    raw.starts_with('{')
}

/// Returns the deepest nesting, and whether all brackets are closed. Which one closes which is not
/// checked without `--strict`.
fn balance(text: &str) -> (usize, bool) {
    let (mut open, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for c in text.chars() {
        match (in_string, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_string = !in_string,
            (false, '{' | '[') => open += 1,
            (false, '}' | ']') if open == 0 => return (deepest, false),
            (false, '}' | ']') => open -= 1,
            _ => {}
        }
        deepest = deepest.max(open);
    }
    (deepest, open == 0 && !in_string)
}

fn is_sound_commit(raw: &str) -> bool {
    !is_object(raw)
        || members(raw).is_some_and(|commit| {
            ["rev", "operation", "collection", "rkey"]
                .iter()
                .all(|name| commit.all(name, |raw| string(raw).is_some()))
        })
}

fn is_sound_payload(raw: &str) -> bool {
    let is_number = |raw: &str| raw.starts_with(|c: char| c.is_ascii_digit());
    !is_object(raw)
        || members(raw).is_some_and(|payload| {
            payload.all("seq", |raw| !is_number(raw) || integer(raw).is_some())
        })
}

/// Returns whether all members that skytail reads have the right types, each time that they occur.
fn is_sound(event: &Members<'_>) -> bool {
    let payloads = ["identity", "account", "sync"];
    event.last("did").is_some()
        && event.last("time_us").is_some()
        && event.all("did", |raw| string(raw).is_some())
        && event.all("kind", |raw| string(raw).is_some())
        && event.all("time_us", |raw| integer(raw).is_some())
        && event.all("cursor", |raw| integer(raw).is_some())
        && event.all("commit", is_sound_commit)
        && payloads.iter().all(|name| event.all(name, is_sound_payload))
}

fn agree(header: &Header<'_>, event: &Members<'_>) {
    let text = |name: &str| event.last(name).and_then(string);
    assert_eq!(text("did").as_deref(), Some(&*header.did));
    assert_eq!(event.last("time_us").and_then(integer), Some(header.time_us));
    assert_eq!(event.last("cursor").and_then(integer).filter(|&n| n > 0), header.cursor);
    let kind = text("kind").unwrap_or_default();
    assert_eq!(kind, header.kind_text);
    let commit = event.last("commit").filter(|raw| is_object(raw) && header.kind == Kind::Commit);
    assert_eq!(commit.is_some(), header.commit.is_some());
    if let (Some(found), Some(raw)) = (&header.commit, commit) {
        let commit = members(raw).unwrap();
        let text = |name: &str| commit.last(name).and_then(string).unwrap_or_default();
        assert_eq!(text("rev"), found.rev);
        assert_eq!(text("operation"), found.operation_text);
        assert_eq!(text("collection"), found.collection);
        assert_eq!(text("rkey"), found.rkey);
    }
    let payload = Some(&*kind).filter(|kind| ["identity", "account", "sync"].contains(kind));
    let payload = payload.and_then(|kind| event.last(kind)).filter(|raw| is_object(raw));
    let seq = payload.and_then(members).and_then(|payload| integer(payload.last("seq")?));
    assert_eq!(seq, header.relay_seq);
}

/// Checks that the structural index and the general parser find the same. A line that begins with a
/// space has no use for the index.
fn agree_with_general(found: &Result<Header<'_>, Malformed>, line: &[u8]) {
    let spaced = [b" ", line].concat();
    match (found, header::parse(&spaced)) {
        (Ok(found), Ok(general)) => assert_eq!(*found, general),
        (Err(error), Err(general)) => assert_eq!(error.what, general.what),
        (found, general) => panic!("{found:?}, and {general:?} from the general parser"),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let found = header::parse(data);
    agree_with_general(&found, data);
    let text = std::str::from_utf8(data).ok();
    let has_control = data.iter().any(|b| *b < 0x20);
    if let Ok(header) = &found {
        let text = text.expect("UTF-8");
        assert!(!has_control && text.trim().starts_with('{') && text.trim().ends_with('}'));
        assert!(balance(text).1);
        EventIdHasher::new(EventIdKey::new(1)).of(header);
    }
    let Some(event) = text.and_then(members) else { return };
    match &found {
        Ok(header) => agree(header, &event),
        Err(error) => {
            let excused = has_control || balance(text.unwrap_or_default()).0 > SURE_DEPTH;
            assert!(excused || !is_sound(&event), "refused a sound event: {error}");
        }
    }
});
