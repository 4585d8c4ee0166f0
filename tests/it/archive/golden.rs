//! Segments and blocks whose rows are known, through the built binary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use skytail::archive::block::BlockDecoder;
use skytail::archive::cid::record_cid;
use skytail::archive::segment::Segment;

use crate::support::{Scratch, isolate_environment, vectors};

/// Files of generated and of recorded rows: each a segment and its expected rows.
const CORPUS: [[&str; 2]; 2] = [
    ["corpus.jss", "corpus.expected.jsonl"],
    ["golden_corpus_segment.jss", "golden_corpus_segment.expected.jsonl"],
];
const BROKEN_RECORDS: [[&str; 2]; 2] = [
    ["broken_records.jss", "broken_records.expected.jsonl"],
    ["golden_seal.bin", "golden_seal.expected.jsonl"],
];
const WIDE_FILTERS: [[&str; 2]; 2] = [
    ["wide_filters.jss", "wide_filters.expected.jsonl"],
    ["legacy_fixed4096_blooms.jss", "legacy_fixed4096_blooms.expected.jsonl"],
];
const BLOCK: [[&str; 2]; 2] =
    [["block.bin", "block.expected.jsonl"], ["golden_block.bin", "golden_block.expected.jsonl"]];

/// Runs `skytail inspect` with these flags.
pub fn inspect(flags: &[&str], file: &Path) -> Output {
    let home = Scratch::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &home.path("."));
    command.arg("inspect").args(flags).arg(file).output().unwrap()
}

/// Returns the files and their expected rows.
fn golden([generated, recorded]: [[&str; 2]; 2]) -> Vec<(PathBuf, Vec<Value>)> {
    let rows = |path: &Path| {
        vectors::lines(path).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let sets = vectors::sets(generated, recorded);
    sets.into_iter().map(|[path, expected]| (path, rows(&expected))).collect()
}

/// Returns the event that a row should become, or `None` if its record can't be read.
fn event(row: &Value) -> Option<Value> {
    let time = |name: &str| row[name].as_i64().unwrap();
    let time_us = if time("indexed_at") == 0 { time("witnessed_at") } else { time("indexed_at") };
    let operation = match row["kind"].as_u64().unwrap() {
        1 | 7 => "create",
        2 => "update",
        3 => "delete",
        kind => {
            let name = ["identity", "account", "sync"][kind as usize - 4];
            let body = row.get("record")?;
            return Some(serde_json::json!({
                "did": row["did"],
                "time_us": time_us,
                "cursor": row["seq"],
                "kind": name,
                name: body,
            }));
        }
    };
    let mut commit = serde_json::json!({
        "rev": row["rev"],
        "operation": operation,
        "collection": row["collection"],
        "rkey": row["rkey"],
    });
    if operation != "delete" {
        commit["record"] = row.get("record")?.clone();
        commit["cid"] = row["cid"].clone();
    }
    Some(serde_json::json!({
        "did": row["did"],
        "time_us": time_us,
        "cursor": row["seq"],
        "kind": "commit",
        "commit": commit,
    }))
}

/// Compares the events of each file with its rows.
fn assert_events_match(files: [[&str; 2]; 2]) {
    for (path, rows) in golden(files) {
        assert_file_matches(&path, &rows);
    }
}

fn assert_file_matches(path: &Path, rows: &[Value]) {
    let output = inspect(&["--events"], path);
    let events: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let wanted: Vec<Value> = rows.iter().filter_map(event).collect();
    assert_eq!(events, wanted);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let failed: Vec<&Value> = rows.iter().filter(|row| event(row).is_none()).collect();
    for row in &failed {
        assert!(stderr.contains(&format!("seq {}: ", row["seq"])), "{stderr}");
    }
    assert_eq!(stderr.lines().count(), if failed.is_empty() { 0 } else { failed.len() + 1 });
    assert_eq!(output.status.code(), Some(i32::from(!failed.is_empty())), "{stderr}");
}

#[test]
fn the_corpus_segment_decodes_to_every_row_with_its_record_and_cid() {
    assert_events_match(CORPUS);
}

#[test]
fn a_segment_with_broken_records_is_read_and_its_bad_rows_are_reported() {
    assert_events_match(BROKEN_RECORDS);
}

#[test]
fn an_older_segment_with_large_filters_is_read() {
    assert_events_match(WIDE_FILTERS);
}

#[test]
fn a_bare_block_is_read() {
    assert_events_match(BLOCK);
}

#[test]
fn every_column_of_the_golden_rows_has_the_expected_value() {
    for (path, rows) in [CORPUS, BROKEN_RECORDS, WIDE_FILTERS].into_iter().flat_map(golden) {
        let bytes = std::fs::read(path).unwrap();
        let segment = Segment::parse(&bytes).unwrap();
        let mut rows = rows.iter();
        let mut decoder = BlockDecoder::new().unwrap();
        for i in 0..segment.blocks.len() {
            let frame = segment.frame(&bytes, i).unwrap();
            for row in segment.decode(i, frame, &mut decoder).unwrap().rows() {
                let wanted = rows.next().unwrap();
                let found = serde_json::json!({
                    "block": i,
                    "seq": row.seq.0,
                    "witnessed_at": row.witnessed_at_us,
                    "indexed_at": row.indexed_at_us,
                    "kind": row.kind as u8,
                    "did": row.did,
                    "collection": row.collection,
                    "rkey": row.rkey,
                    "rev": row.rev,
                    "payload_len": row.payload.len(),
                    "cid": record_cid(row.payload),
                });
                let has_cid = wanted.get("cid").is_some();
                for (name, value) in found.as_object().unwrap() {
                    if name == "cid" && !has_cid {
                        continue;
                    }
                    assert_eq!(&wanted[name], value, "{name} of {wanted}");
                }
            }
        }
        assert!(rows.next().is_none());
    }
}

#[test]
fn the_cids_are_those_of_the_repository_that_the_segment_came_from() {
    let generated = ["corpus.jss", "corpus.records.tsv"];
    let recorded = ["golden_corpus_segment.jss", "car_expected_records.tsv"];
    for [path, list] in vectors::sets(generated, recorded) {
        let list = std::fs::read_to_string(list).unwrap();
        let cids: HashMap<&str, &str> =
            list.lines().filter_map(|line| line.split_once('\t')).collect();
        let output = String::from_utf8(inspect(&["--events"], &path).stdout).unwrap();
        let mut records = 0;
        for line in output.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            let Some(cid) = event["commit"]["cid"].as_str() else { continue };
            let text = |name: &str| event["commit"][name].as_str().unwrap();
            let key = format!("{}/{}", text("collection"), text("rkey"));
            assert_eq!(cids.get(&*key), Some(&cid), "{key}");
            records += 1;
        }
        assert!(records > 20, "{records}");
    }
}
