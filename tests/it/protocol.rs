//! Both protocols of `skytail serve`, over real sockets: the same events become the same lines, and
//! no fault of v2 loses or repeats an event.

use std::path::Path;

use crate::support::tail::{TailProcess, tail};
use crate::support::{FIRST_US, Scratch, ServeProcess, events, vectors};

/// Returns all events of the server, and the log.
fn all(server: &ServeProcess, flags: &[&str]) -> (Vec<String>, String) {
    let scratch = Scratch::new();
    let host = server.address.to_string();
    // `--rewind` is shorter than the time between two faults.
    let common = [
        "--host",
        &host,
        "--cursor",
        "oldest",
        "--exit-when-live",
        "--strict",
        "--rewind",
        "50ms",
        "--archive",
        "off",
    ];
    let ended = tail(&scratch.path(""), &[&common[..], flags].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    (bare(ended.rest), ended.stderr)
}

fn bare(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| line.trim_end_matches('\n').to_owned()).collect()
}

/// Fails with a short message unless the two are equal.
fn assert_same(printed: &[String], recorded: &[String]) {
    let first = printed.iter().zip(recorded).position(|(a, b)| a != b);
    assert_eq!((first, printed.len()), (None, recorded.len()));
}

#[test]
fn both_protocols_print_the_same_lines() {
    let scratch = Scratch::new();
    let recorded = events(5_000, true);
    let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
    for flags in [
        &["--protocol", "v1"][..],
        &["--protocol", "v2"],
        &["--protocol", "auto"],
        &["--protocol", "v2", "--compress", "on"],
    ] {
        let (printed, _) = all(&server, flags);
        assert_same(&printed, &recorded);
    }
}

#[test]
fn both_protocols_filter_the_same_way() {
    let scratch = Scratch::new();
    let recorded = events(2_000, true);
    let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
    let shorter = (recorded[0].len() - 1).to_string();
    let filters = [
        &["-c", "app.bsky.feed.post"][..],
        &["-c", "app.bsky.feed.post", "-k", "commit,identity"],
        &["-d", "did:plc:odd,did:plc:tenth"],
        &["-k", "identity"],
        &["--max-message-size", &shorter],
    ];
    let with =
        |filter: &[&str], protocol| all(&server, &[filter, &["--protocol", protocol]].concat()).0;
    // Each waits some seconds for the silence after the last event.
    std::thread::scope(|scope| {
        let with = &with;
        for filter in filters {
            let recorded = recorded.len();
            scope.spawn(move || {
                let (v1, v2) = (with(filter, "v1"), with(filter, "v2"));
                assert!(!v1.is_empty() && v1.len() < recorded, "{filter:?}: {}", v1.len());
                assert_same(&v2, &v1);
            });
        }
    });
}

#[test]
fn the_sample_is_the_same_in_both_protocols() {
    for sample in vectors::samples() {
        let server = ServeProcess::start(&sample, &["--server-kind", "v2"]);
        let (v1, _) = all(&server, &["--protocol", "v1"]);
        let (v2, _) = all(&server, &["--protocol", "v2"]);
        assert_eq!(v1.len(), vectors::lines(&sample).len());
        let json = |lines: &[String]| -> Vec<serde_json::Value> {
            lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        assert_eq!(json(&v1), json(&v2));
    }
}

#[test]
fn auto_chooses_by_the_kind_of_the_server() {
    let scratch = Scratch::new();
    let recorded = events(200, true);
    let recording = scratch.recording(&recorded);
    for (kind, protocol) in [("v2", "protocol=v2"), ("legacy", "protocol=v1")] {
        let server = ServeProcess::start(&recording, &["--server-kind", kind]);
        let (printed, stderr) = all(&server, &["-v", "--join", "single"]);
        assert_eq!(printed.len(), 200);
        assert!(stderr.contains(protocol), "{stderr}");
    }
    let server = ServeProcess::start(&recording, &["--server-kind", "legacy"]);
    let host = server.address.to_string();
    let refused = tail(&scratch.path(""), &["--host", &host, "--protocol", "v2"]);
    assert_eq!(refused.code(), 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("HTTP 404"), "{}", refused.stderr);
}

/// Kills the program repeatedly, then lets it finish.
fn killed_and_resumed(directory: &Path, flags: &[&str], server: &ServeProcess) -> String {
    let host = server.address.to_string();
    let file = directory.join("out.ndjson").display().to_string();
    let common = ["--host", &host, "--cursor", "auto", "--consumer", "c", "-o", &file];
    let flags = [&common[..], &["--checkpoint-every", "20ms", "--buffer", "500"], flags].concat();
    for life in 0..6_u32 {
        let run = TailProcess::start(directory, &flags);
        let wanted = u64::from(life + 1) * 2_000_000;
        let patience = std::time::Instant::now() + crate::support::PATIENCE;
        while std::fs::metadata(&file).map_or(0, |m| m.len()) < wanted {
            assert!(std::time::Instant::now() < patience, "the file does not grow");
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        run.signal("KILL");
        run.wait();
    }
    let ended = tail(directory, &[&flags[..], &["--exit-when-live"]].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn kill_9_leaves_a_file_with_every_event_once() {
    let scratch = Scratch::new();
    let recorded = events(80_000, true);
    let recording = scratch.recording(&recorded);
    for flags in [&["--protocol", "v2"][..], &["--protocol", "v2", "--compress", "on"]] {
        let server = ServeProcess::start(&recording, &[]);
        let home = Scratch::new();
        // The first run begins at the start of the recording.
        let host = server.address.to_string();
        let begin = ["cursors", "set", "c", &FIRST_US.to_string(), "--server", &host];
        let mut set = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
        crate::support::isolate_environment(&mut set, &home.path(""));
        assert!(
            set.args(begin).arg("--state").arg(home.path("state.db")).status().unwrap().success()
        );
        let text = killed_and_resumed(&home.path(""), flags, &server);
        let printed: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_same(&printed, &recorded);
    }
}

#[test]
fn every_fault_of_a_v2_server_is_reported_and_costs_nothing() {
    let scratch = Scratch::new();
    let recorded = events(6_000, true);
    let recording = scratch.recording(&recorded);
    for (chaos, words) in [
        ("seed=3,slow=900", "read too slowly (ConsumerTooSlow"),
        ("seed=3,fail=900", "a failure of its own (InternalError"),
        ("seed=3,unknown=200", "of unknown types skipped"),
        ("seed=3,duplicate=300,swap=300", "sequence numbers"),
        ("seed=3,garbage=300", "malformed"),
        ("seed=3,drop=900,rotate=2", "another zstd dictionary now"),
    ] {
        let server = ServeProcess::start(&recording, &["--chaos", chaos]);
        let (mut printed, stderr) =
            all(&server, &["--protocol", "v2", "--compress", "on", "--max-retries", "1000", "-v"]);
        // Neighbours may be swapped.
        let mut expected = recorded.clone();
        printed.sort();
        expected.sort();
        assert_same(&printed, &expected);
        assert!(stderr.contains(words), "{chaos}: {stderr}");
    }
}

#[test]
fn a_server_that_refuses_its_own_dictionary_is_read_uncompressed_or_not_at_all() {
    let scratch = Scratch::new();
    let recorded = events(100, true);
    let server = ServeProcess::start(&scratch.recording(&recorded), &["--chaos", "deny=1"]);
    let host = server.address.to_string();
    let refused =
        tail(&scratch.path(""), &["--host", &host, "--protocol", "v2", "--compress", "on"]);
    assert_eq!(refused.code(), 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("names it as its current one"), "{}", refused.stderr);
}

#[test]
fn dropped_events_are_a_gap_and_the_stream_continues() {
    let scratch = Scratch::new();
    let recorded = events(60_000, true);
    let recording = scratch.recording(&recorded);
    let server = ServeProcess::start(&recording, &["--archive-segment-events", "100"]);
    let host = server.address.to_string();
    let flags = [
        "--host",
        &host,
        "--protocol",
        "v2",
        "--cursor",
        "oldest",
        "--rewind",
        "10ms",
        "--archive",
        "off",
    ];
    let mut run = TailProcess::start(&scratch.path(""), &[&flags[..], &["--buffer", "1"]].concat());
    let mut printed = run.lines(1);
    // A pipe and the sockets hold a few megabytes of what follows, and not all of it.
    server.stop("KILL");
    let forgetful = ["--archive-segment-events", "100", "--retention-events", "200"];
    let _server = ServeProcess::start_at(&host, &recording, &forgetful);
    while printed.last() != recorded.last().map(|line| format!("{line}\n")).as_ref() {
        printed.extend(run.lines(1));
    }
    run.signal_until_it_ends("INT");
    let ended = run.wait();
    printed.extend(ended.rest);
    let printed = bare(printed);
    assert!(ended.stderr.contains("CursorTooOld"), "{}", ended.stderr);
    assert!(ended.stderr.contains("gap from seq"), "{}", ended.stderr);
    let places: std::collections::HashMap<&str, usize> =
        recorded.iter().enumerate().map(|(i, line)| (&**line, i)).collect();
    let indices: Vec<usize> = printed.iter().map(|line| places[&**line]).collect();
    assert!(indices.is_sorted_by(|a, b| a < b), "a duplicate or misordered line");
}

#[test]
fn the_demo_speaks_v2() {
    let scratch = Scratch::new();
    let flags = ["--demo", "--protocol", "v2", "--cursor", "oldest", "-n", "5"];
    let ended = tail(&scratch.path(""), &flags);
    assert_eq!((ended.code(), ended.rest.len()), (0, 5), "{}", ended.stderr);
}
