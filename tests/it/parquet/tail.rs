//! `skytail tail -o x.parquet`: however a run ends, the Parquet files and the file of the open period
//! together are the stream, each event once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::RowAccessor as _;
use serde_json::Value;

use crate::output::fixture::{Fixture, unpacked};
use crate::parquet::{names, run, values};
use crate::support::PATIENCE;
use crate::support::disk::Disk;
use crate::support::tail::TailProcess;

const HOURLY: [&str; 2] = ["--rotate", "hourly"];

/// Returns the events of a file. Those of a Parquet file are as many as the crate `parquet` finds, and
/// it finds the same sequence numbers.
fn events(fixture: &Fixture, path: &Path) -> Vec<Value> {
    if path.extension().is_none_or(|ending| ending != "parquet") {
        let lines = unpacked(path, &fs::read(path).unwrap());
        return values(&String::from_utf8(lines).unwrap());
    }
    let (lines, _) = run(&fixture.scratch, &["convert", path.to_str().unwrap(), "-o", "-"], 0);
    let events = values(&lines);
    let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
    let mut rows: Vec<(i64, i64)> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.map(|row| (row.get_long(0).unwrap(), row.get_long(1).unwrap())).unwrap())
        .collect();
    rows.sort_unstable();
    let seqs: Vec<Value> = rows.iter().map(|(_, seq)| Value::from(*seq)).collect();
    assert!(events.iter().map(|event| &event["cursor"]).eq(&seqs), "{}", path.display());
    events
}

/// Fails unless the files together are the recording.
#[track_caller]
fn assert_files_are_the_recording(fixture: &Fixture) -> Vec<String> {
    let found: Vec<Value> = fixture.names().iter().flat_map(|path| events(fixture, path)).collect();
    let same = found
        .iter()
        .zip(&fixture.recorded)
        .take_while(|(found, line)| **found == serde_json::from_str::<Value>(line).unwrap())
        .count();
    assert_eq!((same, found.len()), (fixture.recorded.len(), fixture.recorded.len()));
    names(&fixture.files)
}

/// Kills a run that does not end after this many events are saved, or a while.
fn kill_at(fixture: &Fixture, flags: &[&str], events: usize) {
    let mut flags = fixture.flags(flags);
    flags.retain(|flag| *flag != "--exit-when-live");
    let process = TailProcess::start(&fixture.scratch.path(""), &flags);
    let patience = Instant::now() + PATIENCE;
    while fixture.saved() < events && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    process.signal("KILL");
    assert_eq!(process.wait().code(), -1);
}

// Guards INV-3.
#[test]
fn hourly_parquet_files_hold_each_event_once_after_many_kills() {
    let fixture = Fixture::new(4_000, 10_000_000);
    let file = fixture.file("out-%Y%m%dT%H.parquet");
    let flags = [&["-o", &*file, "--checkpoint-every", "10ms"], &HOURLY[..]].concat();
    for round in 1..8 {
        kill_at(&fixture, &flags, round * 450);
    }
    fixture.run_ok(&flags);
    let names = assert_files_are_the_recording(&fixture);
    // From 14:38, 11 hours and 7 minutes; the last period is not over.
    assert_eq!(names.len(), 12);
    assert!(names[..11].iter().all(|name| name.ends_with(".parquet")), "{names:?}");
    assert_eq!(names[11], "out-20260705T01.parquet.open.ndjson.zst");
    let rows = fixture.rows();
    assert!(rows.iter().all(|row| row.path.exists()), "{rows:?}");
    assert_eq!(rows.len(), 12);
}

#[test]
fn files_by_size_are_numbered() {
    let fixture = Fixture::new(4_000, 5_000);
    let file = fixture.file("out.parquet");
    fixture.run_ok(&["-o", &file, "--rotate", "500KiB", "--checkpoint-events", "100"]);
    let names = assert_files_are_the_recording(&fixture);
    assert!(names.contains(&"out.parquet".to_owned()), "{names:?}");
    assert!(names.contains(&"out.1.parquet".to_owned()), "{names:?}");
}

#[test]
fn one_file_is_complete_when_the_run_ends_and_is_not_continued() {
    let fixture = Fixture::new(2_000, 5_000);
    let file = fixture.file("out.parquet");
    let flags = ["-o", &*file, "--checkpoint-every", "10ms", "--fields", "commit.record.text"];
    kill_at(&fixture, &flags, 500);
    assert_eq!(names(&fixture.files), ["out.parquet.open.ndjson.zst"]);
    fixture.run_ok(&flags);
    assert_files_are_the_recording(&fixture);
    assert_eq!(names(&fixture.files), ["out.parquet"]);
    let again = fixture.run(&flags);
    assert_eq!(again.code(), 2, "{}", again.stderr);
    for words in ["out.parquet is complete", "--rotate daily"] {
        assert!(again.stderr.contains(words), "{}", again.stderr);
    }
    assert_files_are_the_recording(&fixture);
    let (state, path) = (&fixture.rows()[0].state, &fixture.rows()[0].path);
    assert_eq!((state.as_str(), path), ("done", &PathBuf::from(file)));
}

/// A kill between the end of the file and its conversion leaves the file of lines, whose row says
/// that it has ended.
#[test]
fn the_next_run_converts_what_a_killed_run_has_ended() {
    let fixture = Fixture::new(500, 5_000);
    let file = fixture.file("out.ndjson.zst");
    fixture.run_ok(&["-o", &file]);
    let working = fixture.file("out.parquet.open.ndjson.zst");
    fs::rename(&file, &working).unwrap();
    fixture.sql(&format!(
        "UPDATE outputs SET path = '{working}', state = 'done', pattern = '{}'",
        fixture.file("out.parquet")
    ));
    let parquet = fixture.file("out.parquet");
    fs::write(format!("{parquet}.tmp"), "left by the kill").unwrap();
    let ended = fixture.run(&["-o", &parquet]);
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert_eq!(names(&fixture.files), ["out.parquet"]);
    assert_files_are_the_recording(&fixture);
}

#[test]
fn files_that_others_made_stay() {
    let fixture = Fixture::new(500, 60_000_000);
    for (name, rotate) in [("out.parquet", &[][..]), ("out-20260704T15.parquet", &HOURLY)] {
        fs::write(fixture.file(name), "mine").unwrap();
        let given = name.replace("20260704T15", "%Y%m%dT%H");
        let ended = fixture.run(&[&["-o", &*fixture.file(&given)], rotate].concat());
        assert!(ended.stderr.contains("exists already"), "{name}: {}", ended.stderr);
        assert_ne!(ended.code(), 0, "{name}");
        assert_eq!(fs::read(fixture.file(name)).unwrap(), b"mine");
    }
    let other = fixture.file("other.parquet");
    fs::write(format!("{other}.open.ndjson.zst"), "another consumer's").unwrap();
    let ended = fixture.run(&["-o", &other]);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("this consumer did not write"), "{}", ended.stderr);
}

#[test]
fn a_full_disk_ends_the_run_and_the_next_one_repeats_the_conversion() {
    let fixture = Fixture::new(4_000, 10_000_000);
    let Some(disk) = Disk::new(fixture.files.clone(), "1m") else { return };
    let file = fixture.file("out-%Y%m%dT%H.parquet");
    let flags = [&["-o", &*file], &HOURLY[..]].concat();
    for _ in 0..2 {
        let ended = fixture.run(&flags);
        assert_eq!(ended.code(), 1, "{}", ended.stderr);
        for words in ["No space left", "free some space"] {
            assert!(ended.stderr.contains(words), "{}", ended.stderr);
        }
    }
    disk.remount("size=64m");
    fixture.run_ok(&flags);
    assert_files_are_the_recording(&fixture);
    assert!(names(&fixture.files).iter().all(|name| !name.ends_with(".tmp")));
}

#[test]
fn a_collection_in_the_name_splits_each_period() {
    let fixture = Fixture::new(1_000, 10_000_000);
    let file = fixture.file("out-%Y%m%dT%H-{collection}.parquet");
    fixture.run_ok(&[&["-o", &*file], &HOURLY[..]].concat());
    let names = assert_files_are_the_recording(&fixture);
    assert_eq!(names[0], "out-20260704T14-app.bsky.feed.post.parquet");
    assert!(names[3].ends_with("-{collection}.parquet.open.ndjson.zst"), "{names:?}");
}
