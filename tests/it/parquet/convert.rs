//! `skytail convert`, and the commands that read what it makes.

use std::fs;

use crate::parquet::{names, run, values};
use crate::support::{Scratch, ServeProcess, events};

#[test]
fn a_recording_survives_the_way_to_parquet_and_back() {
    let scratch = Scratch::new();
    let lines = events(2_000, true);
    let odd = r#"{"x":[1,null],"did":"d\u00e9\n","time_us":5,"commit":{"rev":"r","new":{"a":1}}}"#;
    scratch.recording(&[&lines[..], &[odd.to_owned()]].concat());
    let (out, err) = run(&scratch, &["convert", "recording.ndjson", "-o", "a.parquet"], 0);
    assert!(out.starts_with("a.parquet: 2,001 events, "), "{out}");
    assert_eq!(err, "");
    let recorded = values(&fs::read_to_string(scratch.path("recording.ndjson")).unwrap());
    for (file, args) in [
        ("b.ndjson", &["convert", "a.parquet", "-o", "b.ndjson"][..]),
        ("c.ndjson.zst", &["convert", "b.ndjson", "-o", "c.ndjson.zst"]),
        ("d.parquet", &["convert", "c.ndjson.zst", "-o", "d.parquet"]),
    ] {
        run(&scratch, args, 0);
        let (again, _) = run(&scratch, &["convert", file, "-o", "-"], 0);
        assert_eq!(values(&again), recorded, "{file}");
    }
    let left = names(&scratch.path("."));
    assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
}

#[test]
fn several_recordings_and_stdin_become_one_file() {
    let scratch = Scratch::new();
    let lines = events(30, false);
    fs::write(scratch.path("a"), lines[..10].join("\n")).unwrap();
    fs::write(scratch.path("c"), lines[20..].join("\n")).unwrap();
    fs::write(scratch.path("b"), lines[10..20].join("\n")).unwrap();
    let mut command =
        crate::parquet::skytail(&scratch, &["convert", "a", "-", "c", "-o", "all.parquet"]);
    let stdin = fs::File::open(scratch.path("b")).unwrap();
    assert!(command.stdin(stdin).output().unwrap().status.success());
    let (again, _) = run(&scratch, &["convert", "all.parquet", "-o", "-"], 0);
    assert_eq!(values(&again), values(&lines.join("\n")));
}

#[test]
fn stats_and_serve_read_parquet() {
    let scratch = Scratch::new();
    let recording = scratch.recording(&events(100, true));
    run(&scratch, &["convert", "recording.ndjson", "-o", "a.parquet"], 0);
    let report = |name: &str| {
        let (out, _) = run(&scratch, &["stats", name, "--json"], 0);
        let mut report: serde_json::Value = serde_json::from_str(&out).unwrap();
        report.as_object_mut().unwrap().remove("recording");
        report
    };
    let (of_lines, of_parquet) = (report("recording.ndjson"), report("a.parquet"));
    assert_eq!(of_lines["collections"], of_parquet["collections"]);
    assert_eq!(of_lines["gaps"], of_parquet["gaps"], "the order is that of the recording");
    let flags = ["--exit-when-live", "--cursor", "0"];
    let mut streams = [recording, scratch.path("a.parquet")].map(|served| {
        let server = ServeProcess::start(&served, &[]);
        let host = server.address.to_string();
        run(&scratch, &[&["tail", "--host", &host, "-q"], &flags[..]].concat(), 0).0
    });
    assert_eq!(values(&streams[0]), values(&streams[1]));
    assert_eq!(std::mem::take(&mut streams[0]).lines().count(), 100);
}

#[test]
fn a_name_with_a_collection_makes_one_file_for_each() {
    let scratch = Scratch::new();
    scratch.recording(&events(100, true));
    let args = ["convert", "recording.ndjson", "-o", "out-{collection}.parquet"];
    let (out, _) = run(&scratch, &args, 0);
    assert_eq!(out.lines().count(), 3, "{out}");
    for (name, count) in [("_other", 10), ("app.bsky.feed.like", 40), ("app.bsky.feed.post", 50)] {
        let file = format!("out-{name}.parquet");
        let (lines, _) = run(&scratch, &["convert", &file, "-o", "-"], 0);
        assert_eq!(lines.lines().count(), count, "{name}");
    }
}

#[test]
fn values_of_another_type_are_null_and_reported() {
    let scratch = Scratch::new();
    scratch.recording(&events(100, true));
    let fields = "commit.record.text:int,commit.record.text";
    let args = ["convert", "recording.ndjson", "-o", "a.parquet", "--fields"];
    let (_, err) = run(&scratch, &[&args[..], &["commit.record.text:int"]].concat(), 0);
    assert!(err.contains("90 values of commit.record.text have another type"), "{err}");
    let (_, err) = run(&scratch, &[&args[..], &[fields]].concat(), 2);
    assert!(err.contains("there are two columns"), "{err}");
}

#[test]
fn a_field_that_no_event_has_is_reported() {
    let scratch = Scratch::new();
    scratch.recording(&events(20, true));
    let fields = ["--fields", "nope.nope,commit.record.text"];
    let args = ["convert", "recording.ndjson", "-o", "a.parquet"];
    let (_, err) = run(&scratch, &[&args[..], &fields].concat(), 0);
    assert!(err.contains("--fields: no event has nope.nope, so its column is empty"), "{err}");
    assert!(!err.contains("commit.record.text"), "{err}");
    let args = ["tail", "--demo", "-n", "20", "-o", "b.parquet"];
    let (_, err) = run(&scratch, &[&args[..], &fields].concat(), 0);
    assert!(err.contains("b.parquet: --fields: no event has nope.nope"), "{err}");
}

#[test]
fn a_recording_in_native_format_becomes_what_the_server_prints_in_v1_format() {
    let scratch = Scratch::new();
    let lines = events(300, true);
    let server = ServeProcess::start(&scratch.recording(&lines), &["--server-kind", "v2"]);
    let host = server.address.to_string();
    let flags = ["--host", &*host, "--exit-when-live", "--cursor", "oldest", "-q"];
    for (shape, name) in [("native", "native.ndjson"), ("v1", "v1.ndjson")] {
        let more = ["--shape", shape, "-o", name, "--consumer", shape, "--protocol", "v2"];
        run(&scratch, &[&["tail"], &flags[..], &more].concat(), 0);
    }
    let v1 = values(&fs::read_to_string(scratch.path("v1.ndjson")).unwrap());
    assert_eq!(v1.len(), 300);
    run(&scratch, &["convert", "native.ndjson", "-o", "a.parquet"], 0);
    for name in ["native.ndjson", "a.parquet"] {
        let (found, _) = run(&scratch, &["convert", name, "-o", "-"], 0);
        assert_eq!(values(&found), v1, "{name}");
    }
}

#[test]
fn a_database_is_a_recording() {
    let scratch = Scratch::new();
    run(&scratch, &["tail", "--demo", "-n", "200", "-q", "--to", "sqlite:a.db?history"], 0);
    let (out, _) = run(&scratch, &["convert", "a.db", "-o", "a.parquet"], 0);
    assert!(out.starts_with("a.parquet: 200 events"), "{out}");
    let state = "skytail/state.db";
    let (_, err) = run(&scratch, &["convert", state, "-o", "b.parquet"], 1);
    assert!(err.contains("it is the state file of skytail, and no recording"), "{err}");
}
