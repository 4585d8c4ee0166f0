//! A second reading of v2 messages, with a JSON library and trees, to compare the program's scanner
//! with. The tests and the fuzzer share it.

#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use skytail::event::format::EventFormat;
use skytail::event::header;
use skytail::event::header_spans::HeaderSpans;
use skytail::event::v2::payload::Event;
use skytail::event::v2::{self, EventReader, Message, MessageError, NativeEvent};

const NSID: &str = "network.bsky.jetstream.subscribeEvents#";

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
    fn of(raw: &'a str) -> Option<Self> {
        serde_json::from_str(raw).ok()
    }

    fn last(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.get())
    }

    fn text(&self, name: &str) -> Option<String> {
        self.last(name).and_then(|raw| serde_json::from_str(raw).ok())
    }

    /// Returns a string's own bytes between the quotes.
    fn raw_text(&self, name: &str) -> Option<&'a str> {
        self.text(name)?;
        self.last(name)?.strip_prefix('"')?.strip_suffix('"')
    }

    fn are_all(&self, names: &[&str], is_sound: impl Fn(&str) -> bool) -> bool {
        let named = self.0.iter().filter(|(key, _)| names.contains(&&**key));
        named.into_iter().all(|(_, value)| is_sound(value.get()))
    }
}

/// What a valid message means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// An event: its v1 line, its native line, time and seq.
    Event { v1: String, native: String, time_us: u64, seq: u64 },
    /// Any other valid message.
    Other(&'static str),
    /// No object with a `$type`.
    NoEnvelope,
    /// A message that the program must refuse.
    Unsound,
}

fn time_us(text: &str) -> Option<u64> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    let us = u64::try_from(timestamp.as_microsecond()).ok()?;
    // Only this form is accepted.
    (format!("{timestamp:.6}") == text).then_some(us)
}

/// Returns what a message means, or `None` if it is not a JSON object.
pub fn meaning(message: &str) -> Option<Meaning> {
    let envelope = Members::of(message)?;
    let Some(kind) = envelope.text("$type") else { return Some(Meaning::NoEnvelope) };
    Some(match &*kind {
        "error" => Meaning::Other("error"),
        "message" => match envelope.last("payload").filter(|raw| raw.starts_with('{')) {
            Some(raw) => payload(raw),
            None => Meaning::Unsound,
        },
        _ => Meaning::Other("unknown"),
    })
}

fn payload(raw: &str) -> Meaning {
    let Some(payload) = Members::of(raw) else { return Meaning::Unsound };
    let Some(kind) = payload.text("$type") else { return Meaning::Unsound };
    match kind.strip_prefix(NSID) {
        Some("info") => Meaning::Other("info"),
        Some(kind @ ("commit" | "identity" | "account" | "sync")) => {
            event(raw, &payload, kind).unwrap_or(Meaning::Unsound)
        }
        _ => Meaning::Other("unknown"),
    }
}

fn event(raw: &str, payload: &Members<'_>, kind: &str) -> Option<Meaning> {
    let strings =
        ["$type", "did", "time", "rev", "operation", "collection", "rkey", "name", "message"];
    let is_string = |raw: &str| raw.starts_with('"');
    let is_integer = |raw: &str| serde_json::from_str::<u64>(raw).is_ok();
    if !payload.are_all(&strings, is_string) || !payload.are_all(&["seq"], is_integer) {
        return None;
    }
    let time_us = time_us(&payload.text("time")?)?;
    let seq: u64 = serde_json::from_str(payload.last("seq")?).ok()?;
    if !(1..1_000_000_000_000_000).contains(&seq) {
        return None;
    }
    let did = payload.raw_text("did")?;
    let mut v1 = format!(r#"{{"did":"{did}","time_us":{time_us},"cursor":{seq},"kind":"{kind}","#);
    if kind == "commit" {
        let part = |name: &str| payload.raw_text(name);
        v1 += &format!(
            r#""commit":{{"rev":"{}","operation":"{}","collection":"{}","rkey":"{}""#,
            part("rev")?,
            part("operation")?,
            part("collection")?,
            part("rkey")?,
        );
        for name in ["record", "cid"] {
            if let Some(raw) = payload.last(name) {
                v1 += &format!(r#","{name}":{raw}"#);
            }
        }
        v1 += "}}";
    } else {
        let body = payload.last(kind).filter(|raw| raw.starts_with('{'))?;
        v1 += &format!(r#""{kind}":{body}}}"#);
    }
    Some(Meaning::Event { v1, native: raw.to_owned(), time_us, seq })
}

/// Returns the deepest nesting of a text, and whether all brackets match.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for c in text.chars() {
        match (in_string, c) {
            (true, _) if escaped => escaped = false,
            (true, '\\') => escaped = true,
            (_, '"') => in_string = !in_string,
            (false, '{' | '[') => depth += 1,
            (false, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A message whose members are not in the usual order.
const OTHER_ORDER: &[u8] = br#"{"payload":{"time":"2026-07-04T14:38:08.085434Z","seq":7000001,"rkey":"3mptbyplj5d2a","rev":"3mptbypluud2a","record":{"text":"a"},"operation":"create","did":"did:plc:w4xbfzo7kqfes5zb7r6qv3rw","collection":"app.bsky.feed.post","cid":"bafyreiguce4jh7kcbmof3pmcvasifqtw24b6isakj5ve5ga2b4z4alpc4i","$type":"network.bsky.jetstream.subscribeEvents#commit"},"$type":"message"}"#;

/// Checks that the structural index and the general parser find the same event.
fn check_index(event: &Event<'_>, message: &[u8]) {
    let Ok(Message::Event(general)) = v2::read_any(message) else {
        panic!("the general parser finds no event: {}", String::from_utf8_lossy(message))
    };
    let printed = |event: &Event<'_>| {
        let mut line = Vec::new();
        let spans = event.write_v1_line(&mut line);
        (line, spans, event.native_line().to_vec(), event.native_spans())
    };
    assert_eq!(printed(event), printed(&general));
}

/// Reads a message both ways.
///
/// # Panics
/// If the two readings differ.
pub fn check(bytes: &[u8]) {
    let found = v2::read(bytes);
    // The first reading may learn the order of the members, by which the second one reads.
    let mut reader = EventReader::default();
    for message in [bytes, bytes, OTHER_ORDER, bytes] {
        if let Some(event) = reader.read(message) {
            check_index(&event, message);
        }
    }
    let mut reader = EventReader::default();
    for message in [OTHER_ORDER, bytes] {
        if let Some(NativeEvent { start, end, seq, spans }) = reader.read_native(message) {
            let Ok(Message::Event(event)) = v2::read_any(message) else { panic!("no event") };
            assert_eq!(message.get(start..end), Some(event.native_line()));
            assert_eq!((seq, spans), (event.seq, event.native_spans()));
        }
    }
    let text = std::str::from_utf8(bytes).ok();
    if let Ok(Message::Event(event)) = &found {
        let native = event.native_line();
        let mut line = b"kept".to_vec();
        let spans = event.write_v1_line(&mut line);
        let line = line.strip_prefix(b"kept").expect("only appended");
        check_line(line, native);
        check_spans(spans, EventFormat::V1, line);
        check_spans(event.native_spans(), EventFormat::Native, native);
    }
    let Some(meaning) = text.and_then(meaning) else { return };
    let text = text.unwrap();
    // Rules of skytail that a JSON library does not have.
    let excused = bytes.iter().any(|b| *b < 0x20) || depth(text) > SURE_DEPTH;
    match (found, meaning) {
        (Ok(Message::Event(event)), Meaning::Event { v1, native: raw, time_us, seq }) => {
            let native = str::from_utf8(event.native_line()).unwrap();
            let mut line = Vec::new();
            event.write_v1_line(&mut line);
            assert_eq!(String::from_utf8(line).unwrap(), v1);
            assert_eq!((native, event.time_us, event.seq), (&*raw, time_us, seq));
        }
        (Ok(Message::Info { .. }), Meaning::Other("info"))
        | (Ok(Message::Error { .. }), Meaning::Other("error"))
        | (Ok(Message::Unknown(_)), Meaning::Other("unknown"))
        | (Err(MessageError::NoEnvelope), Meaning::NoEnvelope)
        | (Err(MessageError::Malformed(_)), Meaning::Unsound) => {}
        // A JSON library may leave the escapes of a string that it passes over unread.
        (Err(MessageError::Malformed(error)), _)
            if error.what == "bad escape in a string" && may_have_half_a_pair(text) => {}
        // The dedup key needs the relay's seq, so it must be valid if it is a number.
        (Err(MessageError::Malformed(error)), _) if error.what == "seq is no unsigned integer" => {}
        (Err(_), _) if excused => {}
        // Half a surrogate pair is read as a replacement character: an author can write one.
        (Ok(_), Meaning::Unsound) if may_have_half_a_pair(text) => {}
        (Err(error), meaning) => panic!("{error}, and the model says {meaning:?}: {text}"),
        (Ok(_), meaning) => panic!("accepted, and the model says {meaning:?}: {text}"),
    }
}

/// Returns whether a text contains an escape of a surrogate, paired or not.
fn may_have_half_a_pair(text: &str) -> bool {
    let escapes = text.match_indices("\\u").map(|(at, _)| text.as_bytes().get(at + 2..at + 4));
    escapes
        .flatten()
        .any(|digits| matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F']))
}

/// Checks that the header fields that the decoder keeps beside a line are those of a fresh parse.
fn check_spans(spans: HeaderSpans, format: EventFormat, line: &[u8]) {
    let Some(kept) = spans.as_parsed(line.len()) else {
        assert!(line.contains(&b'\\'), "no header fields of a line without escapes");
        return;
    };
    assert_eq!(Ok(kept), format.parse_spans(line), "{}", String::from_utf8_lossy(line));
}

/// Checks that a line is one line in either shape, and that both have the same values. (A string
/// with an invalid escape is copied unread; the line is refused when it is parsed, in both shapes.)
fn check_line(v1: &[u8], native: &[u8]) {
    match (header::parse(v1), EventFormat::Native.parse(native)) {
        (Ok(own), Ok(header)) => assert_eq!(own, header),
        (Err(own), Err(error)) => {
            // Decoding the strings finds half a surrogate pair.
            let is_json = serde_json::from_slice::<serde_json::Value>(native).is_ok();
            assert!(!is_json, "{own} in our own line, and {error} in a sound payload");
        }
        (own, error) => panic!("{own:?} in our own line, and {error:?} in its payload"),
    }
    assert!(v1.iter().chain(native).all(|b| *b >= 0x20));
}
