//! Readers of stdout that go away, stop reading or read slowly.
#![cfg(unix)]

use std::time::Duration;

use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Drip, Hang, Send};
use crate::support::scripted::{ScriptedServer, text, texts};
use crate::support::{FIRST_US, Scratch, events};

#[test]
fn a_closed_stdout_ends_a_busy_run_quietly() {
    let events = events(20_000, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    let mut tail = Tail::of(&server).flags(&["-q"]).start();
    assert_eq!(tail.head(3), events[..3]);
    let run = tail.finish();
    run.ends_with(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_closed_stdout_ends_an_idle_run() {
    let events = events(3, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    let mut tail = Tail::of(&server).flags(&["-q"]).start();
    assert_eq!(tail.head(3), events);
    let run = tail.finish();
    run.ends_with(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_closed_stdout_ends_a_run_whose_filter_drops_everything() {
    let events = events(3, true);
    let excluded = format!(r#"{{"did":"did:plc:x","time_us":{FIRST_US},"kind":"identity"}}"#);
    let server = ScriptedServer::start([vec![
        Accept,
        Send(texts(&events)),
        Drip(text(excluded), Duration::from_millis(20)),
    ]]);
    // Saving is rare, so that it does not wake the writer by chance.
    let flags = &["-q", "-k", "commit", "--checkpoint-every", "1h"];
    let mut tail = Tail::of(&server).flags(flags).start();
    assert_eq!(tail.head(3), events);
    let run = tail.finish();
    run.ends_with(0);
    assert_eq!(run.stderr, "");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_reported() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = ScriptedServer::start([vec![Accept, Send(texts(events(3, true))), Hang]]);
    let run = Tail::of(&server).stdout(full).run_elsewhere();
    run.ends_with(1).says(&["can't write to standard output", "No space left on device"]);
}

// Guards INV-4.
#[test]
fn a_file_receives_whole_lines() {
    let events = events(5_000, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    let scratch = Scratch::new();
    let path = scratch.path("out.ndjson");
    let file = std::fs::File::create(&path).unwrap();
    Tail::of(&server).flags(&["-n", "5000"]).stdout(file).run_elsewhere().ends_with(0);
    assert!(std::fs::read_to_string(path).unwrap() == events.join("\n") + "\n");
}

#[test]
fn a_slow_reader_loses_nothing() {
    // More than pipe, queue and socket buffers hold together.
    let events = events(60_000, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    let mut tail = Tail::of(&server)
        .flags(&["-n", "60000", "--buffer", "100", "--buffer-bytes", "64KiB"])
        .start();
    let lines = tail.head(60_000);
    assert!(lines == events, "{} lines", lines.len());
    tail.finish().ends_with(0);
}
