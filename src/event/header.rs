//! Parses the header fields of an event in v1 format from its bytes, without a syntax tree.
//!
//! [`parse_spans`] tries the fast path first (`fast_path`), and then reads members in any order.

use std::borrow::Cow;

use super::error::Malformed;
use super::fast_path::{self, LineReader};
use super::header_spans::{self, BodySpans, CommitSpans, FieldSpan, HeaderSpans};
use super::scanner::{RawString, Scanner};

pub use super::header_types::{Commit, Header, Kind, Operation};

/// Parses the header of one line and checks the line's structure.
///
/// If a member occurs twice, the last one counts, as for `jq` and most parsers.
///
/// # Errors
/// [`Malformed`] if the line is not one balanced JSON object with closed strings and without raw
/// control characters, lacks `did` or `time_us`, or has a header member with a value of the wrong
/// type.
pub fn parse(line: &[u8]) -> Result<Header<'_>, Malformed> {
    parse_spans(line).map(|spans| spans.header(line))
}

/// Parses the places of the header fields of one line, and checks the line's structure.
///
/// # Errors
/// [`Malformed`], as for [`parse`], and for a line of 2 GiB or more.
#[inline]
pub fn parse_spans(line: &[u8]) -> Result<HeaderSpans, Malformed> {
    match fast_path::parse(line) {
        Some(spans) => Ok(spans),
        None => parse_any(line),
    }
}

/// As [`parse_spans`], for one of many lines that one server wrote: an order of members that `reader`
/// knows from an earlier line costs little more than the usual one.
///
/// # Errors
/// As for [`parse_spans`].
#[inline]
pub(super) fn parse_next(reader: &mut LineReader, line: &[u8]) -> Result<HeaderSpans, Malformed> {
    match reader.parse(line) {
        Some(spans) => Ok(spans),
        None => parse_any(line),
    }
}

/// Accepts members in any order.
pub(super) fn parse_any(line: &[u8]) -> Result<HeaderSpans, Malformed> {
    header_spans::check_length(line)?;
    let mut scanner = Scanner::new(line)?;
    let mut fields = Fields::default();
    members(&mut scanner, "a JSON object expected", |scanner, key| fields.take(scanner, key))?;
    scanner.end()?;
    fields.finish()
}

/// The objects that hold the relay's `seq`, each in events of the kind of that name.
const PAYLOADS: [&str; 3] = ["identity", "account", "sync"];

/// The header members that were found so far.
#[derive(Default)]
struct Fields<'a> {
    did: Option<FieldSpan>,
    time_us: Option<u64>,
    cursor: u64,
    kind: Cow<'a, str>,
    kind_span: FieldSpan,
    commit: Option<CommitSpans>,
    /// In the order of [`PAYLOADS`].
    relay_seqs: [Option<u64>; PAYLOADS.len()],
}

impl<'a> Fields<'a> {
    fn take(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Result<(), Malformed> {
        match key {
            "did" => self.did = Some(span(&scanner.string("did is no string")?)?),
            "time_us" => {
                self.time_us = Some(scanner.integer("time_us is no unsigned integer")?);
            }
            "cursor" => self.cursor = scanner.integer("cursor is no unsigned integer")?,
            "kind" => {
                let kind = scanner.string("kind is no string")?;
                (self.kind, self.kind_span) = (kind.decode()?, span(&kind)?);
            }
            "commit" => self.commit = object(scanner, commit)?,
            _ => {
                let mut payloads = PAYLOADS.iter().zip(&mut self.relay_seqs);
                match payloads.find(|(name, _)| **name == key) {
                    Some((_, seq)) => *seq = object(scanner, relay_seq)?.flatten(),
                    None => scanner.skip_value()?,
                }
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<HeaderSpans, Malformed> {
        let missing = |what| Malformed { what, at: 0 };
        let [identity, account, sync] = self.relay_seqs;
        let body = match &*self.kind {
            "commit" => self.commit.map_or(BodySpans::EmptyCommit, BodySpans::Commit),
            "identity" => BodySpans::Relayed(Kind::Identity, identity),
            "account" => BodySpans::Relayed(Kind::Account, account),
            "sync" => BodySpans::Relayed(Kind::Sync, sync),
            _ => BodySpans::Other(self.kind_span),
        };
        let did = self.did.ok_or_else(|| missing("no member did"))?;
        let time_us = self.time_us.ok_or_else(|| missing("no member time_us"))?;
        Ok(HeaderSpans::new(did, time_us, self.cursor, body))
    }
}

/// Returns the place of a string. Fails if it has an invalid escape.
#[inline]
fn span(string: &RawString<'_>) -> Result<FieldSpan, Malformed> {
    if string.has_escapes() {
        string.decode()?;
    }
    Ok(FieldSpan::of(string, string.start()))
}

/// Calls `each` with the key of each member of an object. `each` must consume the value.
pub(super) fn members<'a>(
    scanner: &mut Scanner<'a>,
    what: &'static str,
    mut each: impl FnMut(&mut Scanner<'a>, &str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    scanner.expect(b'{', what)?;
    if scanner.take(b'}') {
        return Ok(());
    }
    member(scanner, &mut each)?;
    rest_of_members(scanner, each)
}

/// Calls `each` for the members after the first.
#[inline]
fn rest_of_members<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(&mut Scanner<'a>, &str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    while !scanner.take(b'}') {
        scanner.expect(b',', "',' or '}' expected")?;
        member(scanner, &mut each)?;
    }
    Ok(())
}

fn member<'a>(
    scanner: &mut Scanner<'a>,
    each: &mut impl FnMut(&mut Scanner<'a>, &str) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let key = scanner.string("member name expected")?.decode()?;
    scanner.expect(b':', "':' expected")?;
    each(scanner, &key)
}

/// Reads a value with `read` if it is an object; skips any other value and returns `None`.
fn object<'a, T>(
    scanner: &mut Scanner<'a>,
    read: impl FnOnce(&mut Scanner<'a>) -> Result<T, Malformed>,
) -> Result<Option<T>, Malformed> {
    match scanner.peek() {
        Some(b'{') => read(scanner).map(Some),
        _ => scanner.skip_value().map(|()| None),
    }
}

fn commit(scanner: &mut Scanner<'_>) -> Result<CommitSpans, Malformed> {
    let mut fields = CommitSpans::default();
    members(scanner, "commit is no object", |scanner, key| fields.take(scanner, key))?;
    Ok(fields)
}

impl CommitSpans {
    fn take(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        let field = match key {
            "rev" => &mut self.rev,
            "operation" => &mut self.operation,
            "collection" => &mut self.collection,
            "rkey" => &mut self.rkey,
            _ => return scanner.skip_value(),
        };
        *field = span(&scanner.string("a commit field is no string")?)?;
        Ok(())
    }
}

pub(super) fn relay_seq(scanner: &mut Scanner<'_>) -> Result<Option<u64>, Malformed> {
    let mut seq = None;
    members(scanner, "an object expected", |scanner, key| match (key, scanner.peek()) {
        ("seq", Some(b'0'..=b'9')) => {
            seq = Some(scanner.integer("seq is no unsigned integer")?);
            Ok(())
        }
        ("seq", _) => {
            seq = None;
            scanner.skip_value()
        }
        _ => scanner.skip_value(),
    })?;
    Ok(seq)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMIT: &str = r#"{"did":"did:plc:a","time_us":1783175888186668,"cursor":98765,"kind":"commit","commit":{"rev":"3mptbypk4ze2j","operation":"create","collection":"app.bsky.feed.like","rkey":"3mptbyospqk2i","record":{"text":"a \"quoted\" } brace","n":[1,{"time_us":5}]},"cid":"bafyrei"}}"#;

    #[test]
    fn parses_every_field_of_a_commit() {
        let header = parse(COMMIT.as_bytes()).unwrap();
        assert_eq!((&*header.did, header.time_us), ("did:plc:a", 1_783_175_888_186_668));
        assert_eq!((header.cursor, header.kind), (Some(98765), Kind::Commit));
        let commit = header.commit.unwrap();
        assert_eq!((&*commit.rev, commit.operation), ("3mptbypk4ze2j", Operation::Create));
        assert_eq!((&*commit.collection, &*commit.rkey), ("app.bsky.feed.like", "3mptbyospqk2i"));
    }

    #[test]
    fn parses_the_relay_seq_of_identity_and_account_events() {
        let line = br#"{"did":"d","time_us":1,"kind":"account","account":{"active":false,"seq":31527015471}}"#;
        let header = parse(line).unwrap();
        assert_eq!((header.kind, header.relay_seq), (Kind::Account, Some(31_527_015_471)));
    }

    #[test]
    fn ignores_member_names_inside_strings_and_nested_objects() {
        let line = br#"{"record":{"did":"x","time_us":1},"t":"\"time_us\":2,","did":"d\u0069d","kind":"new","time_us":7}"#;
        let header = parse(line).unwrap();
        assert_eq!((&*header.did, header.time_us), ("did", 7));
        assert_eq!((header.kind, &*header.kind_text), (Kind::Other, "new"));
    }

    #[test]
    fn the_last_of_two_equal_members_counts() {
        let header = parse(br#"{"did":"a","time_us":1,"did":"b"}"#).unwrap();
        assert_eq!(&*header.did, "b");
        let twice = |first: &str, last: &str| {
            let line = format!(
                r#"{{"did":"a","time_us":1,"kind":"commit","commit":{first},"commit":{last}}}"#
            );
            parse(line.as_bytes()).unwrap().commit.map(|commit| commit.rev.into_owned())
        };
        assert_eq!(twice(r#"{"rev":"x"}"#, r#"{"rev":"y"}"#).as_deref(), Some("y"));
        assert_eq!(twice(r#"{"rev":"x"}"#, "null"), None);
    }

    #[test]
    fn the_relay_seq_is_the_last_one_in_the_object_that_the_kind_names() {
        for (rest, seq) in [
            (r#""account":{"seq":1},"identity":{"seq":2},"sync":{}"#, Some(1)),
            (r#""identity":{"seq":2}"#, None),
            (r#""account":{"seq":1},"account":[]"#, None),
            (r#""account":{"seq":1,"seq":"2"}"#, None),
            (r#""account":{"seq":"2","seq":1}"#, Some(1)),
        ] {
            let line = format!(r#"{{"did":"a","time_us":1,{rest},"kind":"account"}}"#);
            assert_eq!(parse(line.as_bytes()).unwrap().relay_seq, seq, "{rest}");
        }
    }

    #[test]
    fn rejects_lines_that_are_not_one_whole_event() {
        for (line, what) in [
            (&br#"{"did":"a","time_us":1,"x":[\"]}"#[..], "backslash outside of a string"),
            (br#"{"did":"a","time_us":1,"x":{"y":\"]"}}"#, "backslash outside of a string"),
            (b"", "a JSON object expected"),
            (b"[1]", "a JSON object expected"),
            (b"{\"did\":\"a\"", "',' or '}' expected"),
            (b"{\"did\":\"a", "unclosed string"),
            (b"{\"did\":\"a\\", "unclosed string"),
            (b"{\"did\":\"a\"}", "no member time_us"),
            (b"{\"time_us\":1}", "no member did"),
            (b"{\"did\":1,\"time_us\":1}", "did is no string"),
            (b"{\"did\":\"a\",\"time_us\":-1}", "time_us is no unsigned integer"),
            (b"{\"did\":\"a\",\"time_us\":1.5}", "time_us is no unsigned integer"),
            (b"{\"did\":\"a\",\"time_us\":01}", "time_us is no unsigned integer"),
            (b"{\"did\":\"a\",\"time_us\":99999999999999999999}", "time_us is no unsigned integer"),
            (b"{\"did\":\"a\nb\",\"time_us\":1}", "raw control character"),
            (b"{\"did\":\"a\",\n\"time_us\":1}", "raw control character"),
            (b"{\"did\":\"a\",\"x\":[{],\"time_us\":1}", "',' or '}' expected"),
            (b"{\"did\":\"a\",\"x\":[1\n],\"time_us\":1}", "raw control character"),
            (b"{\"did\":\"a\",\"time_us\":1}}", "text after the object"),
            (&[COMMIT.as_bytes(), b"}}"].concat(), "text after the object"),
            (&[COMMIT.as_bytes(), COMMIT.as_bytes()].concat(), "text after the object"),
            (&[COMMIT.as_bytes(), b",\"x\":1}}"].concat(), "text after the object"),
            (b"{\"did\":\"\xff\",\"time_us\":1}", "invalid UTF-8"),
            (b"{\"did\":\"\\q\",\"time_us\":1}", "bad escape in a string"),
        ] {
            let error = parse(line).expect_err(&String::from_utf8_lossy(line));
            assert_eq!(error.what, what, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_very_deep_record_is_rejected_without_recursion() {
        let deep = format!(r#"{{"did":"a","time_us":1,"x":{}"#, "[".repeat(1_000_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err().what, "nested too deeply");
    }

    #[test]
    fn parses_every_line_of_the_production_sample() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/protocol/vectors/production_v1.jsonl");
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: ../shared/protocol/vectors is not here");
            return;
        };
        for line in text.lines() {
            let header = parse(line.as_bytes()).unwrap();
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(json["did"], *header.did);
            assert_eq!(json["time_us"], header.time_us);
            assert_eq!(json["kind"], *header.kind_text);
            assert_eq!(json["commit"]["rkey"].as_str(), header.commit.as_ref().map(|c| &*c.rkey));
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(".*", inner, 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_a_full_parser_on_any_object(
            did in ".*", time_us in any::<u64>(), kind in ".*", rkey in ".*", extra in json(),
        ) {
            let event = serde_json::json!({
                "extra": extra, "did": did, "time_us": time_us, "kind": "commit", "zkind": kind,
                "commit": {"rkey": rkey, "record": extra},
            });
            let line = event.to_string();
            let header = parse(line.as_bytes()).unwrap();
            prop_assert_eq!(&*header.did, did);
            prop_assert_eq!(header.time_us, time_us);
            prop_assert_eq!(&*header.commit.unwrap().rkey, rkey);
        }

        #[test]
        fn the_fast_path_agrees_with_the_general_parser(
            cuts in prop::collection::vec((0..COMMIT.len(), 0..COMMIT.len(), 0..5_usize), 0..3),
        ) {
            let mut line = COMMIT.as_bytes().to_vec();
            for (from, to, what) in cuts {
                let (from, to) = (from.min(line.len()), to.min(line.len()));
                let piece = line.get(from.min(to)..to.max(from)).unwrap_or_default().to_vec();
                match what {
                    0 => drop(line.splice(from..from, piece)),
                    1 => drop(line.splice(from.min(to)..to.max(from), [])),
                    2 => line.insert(from, b'\\'),
                    3 => line.insert(from, b'"'),
                    _ => line.extend_from_slice(&piece),
                }
            }
            // The fast path declines a line that begins with a space.
            let general = [b" ", &line[..]].concat();
            let expected = parse(&general).map_err(|error| error.what);
            prop_assert_eq!(parse(&line).map_err(|error| error.what), expected);
        }

        #[test]
        fn every_proper_prefix_is_rejected(cut in 0..COMMIT.len()) {
            prop_assert!(parse(&COMMIT.as_bytes()[..cut]).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
