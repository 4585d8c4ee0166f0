//! `skytail inspect`: its text page, its JSON, its reports of damage and its usage errors.

use std::io::Read as _;
use std::process::{Command, Stdio};

use serde_json::Value;
use skytail::archive::write::SegmentWriter;
use skytail::archive::write::convert::RowBuf;

use super::golden::inspect;
use crate::support::{Scratch, events, isolate_environment};

/// Writes a segment of generated events, 100 to a block, to a file.
fn segment_file(scratch: &Scratch, count: u64) -> std::path::PathBuf {
    let mut writer = SegmentWriter::new(100).unwrap();
    for line in events(count, true) {
        let row = RowBuf::from_line(line.as_bytes(), None).unwrap();
        writer.push(&row.as_row()).unwrap();
    }
    let path = scratch.path("seg_0000000000.jss");
    std::fs::write(&path, writer.seal().unwrap()).unwrap();
    path
}

#[test]
fn a_page_describes_the_segment() {
    let scratch = Scratch::new();
    let output = inspect(&[], &segment_file(&scratch, 250));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    for words in [
        "seqs         100 to 349",
        "events       250",
        "accounts     3",
        "of header and footer (correct)",
        "blocks       3: ",
        "checked      3 blocks, 250 rows",
        "app.bsky.feed.post  125     3",
        "app.bsky.feed.like  100     3",
        "$identity           -       3",
    ] {
        assert!(page.contains(words), "{words:?} is not in {page}");
    }
}

#[test]
fn json_output_is_one_object() {
    let scratch = Scratch::new();
    let output = inspect(&["--json"], &segment_file(&scratch, 250));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["event_count"], 250);
    assert_eq!(json["blocks"][2]["event_count"], 50);
    assert_eq!(json["blocks"][2]["min_seq"], 300);
    assert_eq!(json["collections"].as_array().unwrap().len(), 3);
    assert_eq!(json["checksum"].as_str().unwrap().len(), 16);
}

#[test]
fn a_damaged_block_ends_the_events_with_its_offset_and_file() {
    let scratch = Scratch::new();
    let path = segment_file(&scratch, 250);
    let mut bytes = std::fs::read(&path).unwrap();
    let segment = skytail::archive::segment::Segment::parse(&bytes).unwrap();
    let at = segment.blocks[1].frame_at();
    bytes[at as usize + 40] ^= 0x55;
    std::fs::write(&path, &bytes).unwrap();
    let output = inspect(&["--events"], &path);
    assert_eq!(output.status.code(), Some(1));
    // The blocks before it are whole.
    assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 100);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let place = format!("block 1 at byte {at}");
    for words in ["seg_0000000000.jss", &place, "seq 200 to 299"] {
        assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    }
}

#[test]
fn every_damaged_block_is_found_without_events_too() {
    let scratch = Scratch::new();
    let path = segment_file(&scratch, 250);
    let good = std::fs::read(&path).unwrap();
    let segment = skytail::archive::segment::Segment::parse(&good).unwrap();
    // A flipped bit anywhere in a block, including its length.
    for (block, seqs) in ["seq 100 to 199", "seq 200 to 299", "seq 300 to 349"].iter().enumerate() {
        let entry = &segment.blocks[block];
        for at in [entry.offset, entry.frame_at(), entry.frame_at() + 40] {
            let mut bytes = good.clone();
            bytes[at as usize] ^= 0x55;
            std::fs::write(&path, &bytes).unwrap();
            let output = inspect(&[], &path);
            assert_eq!(output.status.code(), Some(1), "{seqs} {at}");
            let page = String::from_utf8(output.stdout).unwrap();
            assert!(page.contains("checked      3 blocks (1 damaged), "), "{page}");
            let log = String::from_utf8(output.stderr).unwrap();
            for words in ["seg_0000000000.jss: ", seqs, "are lost"] {
                assert!(log.contains(words), "{words:?} is not in {log}");
            }
            let output = inspect(&["--json"], &path);
            assert_eq!(output.status.code(), Some(1));
            let json: Value = serde_json::from_slice(&output.stdout).unwrap();
            for (i, entry) in json["blocks"].as_array().unwrap().iter().enumerate() {
                assert_eq!(entry["damage"].is_string(), i == block, "{json}");
            }
        }
    }
    let mut bytes = good;
    for entry in &segment.blocks {
        bytes[entry.frame_at() as usize + 40] ^= 0x55;
    }
    std::fs::write(&path, &bytes).unwrap();
    let output = inspect(&[], &path);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 3);
}

#[test]
fn a_damaged_footer_is_reported_before_any_event() {
    let scratch = Scratch::new();
    let path = segment_file(&scratch, 10);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    for flags in [&[][..], &["--json"], &["--events"]] {
        let output = inspect(flags, &path);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("seg_0000000000.jss: the checksum at byte 4"), "{stderr}");
    }
}

#[test]
fn a_reader_that_closes_the_pipe_is_not_a_failure() {
    let scratch = Scratch::new();
    let path = segment_file(&scratch, 5_000);
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &scratch.path("."));
    let mut child = command
        .args(["inspect", "--events"])
        .arg(&path)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn wrong_flags_are_a_usage_error() {
    let scratch = Scratch::new();
    let path = segment_file(&scratch, 1);
    for flags in [&["--json", "--events"][..], &["--shape", "native"], &["--shape", "x"]] {
        assert_eq!(inspect(flags, &path).status.code(), Some(2), "{flags:?}");
    }
}
