//! Records converted between JSON and DAG-CBOR.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use skytail::archive::line::LineWriter;
use skytail::archive::transcode::Transcoder;
use skytail::archive::write::convert::{RowBuf, record_to_cbor};
use skytail::event::format::EventFormat;
use skytail::position::Seq;

use crate::support::vectors;

/// Records of each sample that differ in the order of members inside blobs (archive §6).
const DIFFERENT: [usize; 2] = [0, 6];

fn json(cbor: &[u8]) -> String {
    let mut out = Vec::new();
    Transcoder::new().append(cbor, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Generates any JSON that a record can hold.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite, with a point", |f| f.is_finite() && f.fract() != 0.0)
            .prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            serde_json::json!({"$bytes": data_encoding::BASE64_NOPAD.encode(&bytes)})
        }),
        any::<[u8; 9]>().prop_map(|bytes| {
            serde_json::json!({"$link": skytail::archive::cid::record_cid(&bytes)})
        }),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..8)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn a_record_survives_a_round_trip(value in value()) {
        let (cbor, cid) = record_to_cbor(value.to_string().as_bytes()).unwrap();
        let text = json(&cbor);
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value);
        // A value has one encoding.
        prop_assert_eq!(record_to_cbor(text.as_bytes()).unwrap(), (cbor, cid));
    }
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    commit: Option<Commit<'a>>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow)]
    record: Option<&'a RawValue>,
    cid: Option<String>,
}

#[test]
fn real_records_keep_their_cids_and_nearly_all_of_their_bytes() {
    for (path, different) in vectors::samples().iter().zip(DIFFERENT) {
        assert_eq!(different_records(&vectors::lines(path)), different, "{}", path.display());
    }
}

/// Compares the CID of each record, and counts the records whose bytes differ.
fn different_records(lines: &[String]) -> usize {
    let (mut records, mut different) = (0, 0);
    for line in lines {
        let event: Event<'_> = serde_json::from_str(line).unwrap();
        let Some(record) = event.commit.as_ref().and_then(|commit| commit.record) else { continue };
        let (cbor, cid) = record_to_cbor(record.get().as_bytes()).unwrap();
        assert_eq!(Some(cid), event.commit.and_then(|commit| commit.cid), "{line}");
        records += 1;
        different += usize::from(json(&cbor) != record.get());
    }
    assert!(records > 20, "{records}");
    different
}

#[test]
fn a_legacy_line_gains_only_a_cursor() {
    for (path, different) in vectors::samples().iter().zip(DIFFERENT) {
        assert_eq!(different_lines(&vectors::lines(path)), different, "{}", path.display());
    }
}

/// Compares the values of each line with those of its row, and counts the lines whose bytes differ
/// in more than the cursor.
fn different_lines(lines: &[String]) -> usize {
    let mut different = 0;
    for (i, line) in lines.iter().enumerate() {
        let seq = Seq(i as u64 + 1);
        let row = RowBuf::from_line(line.as_bytes(), Some(seq)).unwrap();
        let mut out = Vec::new();
        LineWriter::new().append(&row.as_row(), EventFormat::V1, &mut out).unwrap();
        let with_cursor = line.replacen(",\"kind\"", &format!(",\"cursor\":{},\"kind\"", seq.0), 1);
        different += usize::from(out != with_cursor.as_bytes());
        let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        assert_eq!(value(&out), value(with_cursor.as_bytes()));
    }
    different
}

#[test]
fn the_native_shape_is_the_v2_payload() {
    for [path] in vectors::sets(["sample_v2.jsonl"], ["derived_v2.jsonl"]) {
        let messages = vectors::lines(&path);
        // All but an #info and an error frame.
        assert_eq!(compare_payloads(&messages), messages.len() - 2);
    }
}

/// Compares the native lines of v2 messages with their payloads, and returns how many there are.
fn compare_payloads(messages: &[String]) -> usize {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let mut compared = 0;
    for line in messages {
        let frame: Frame<'_> = serde_json::from_str(line).unwrap();
        let Some(payload) = frame.payload.map(RawValue::get) else { continue };
        let value: Value = serde_json::from_str(payload).unwrap();
        let kind = value["$type"].as_str().unwrap().rsplit_once('#').unwrap().1.to_owned();
        if kind == "info" {
            continue;
        }
        let time: jiff::Timestamp = value["time"].as_str().unwrap().parse().unwrap();
        let body = if kind == "commit" { value.clone() } else { value[&kind].clone() };
        let v1 = serde_json::json!({
            "did": value["did"],
            "time_us": time.as_microsecond(),
            "cursor": value["seq"],
            "kind": kind,
            kind.clone(): body,
        });
        let row = RowBuf::from_line(v1.to_string().as_bytes(), None).unwrap();
        let mut out = Vec::new();
        LineWriter::new().append(&row.as_row(), EventFormat::Native, &mut out).unwrap();
        assert_eq!(std::str::from_utf8(&out).unwrap(), payload);
        compared += 1;
    }
    compared
}
