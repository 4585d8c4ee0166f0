//! The output before and after a resume together is the recording: no line lost, none repeated
//! (invariants 1 to 4).

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ChildStdout;
use std::time::{Duration, Instant};

use crate::support::tail::{TailProcess, tail, tail_command};
use crate::support::{FIRST_US, PATIENCE, Scratch, ServeProcess, vectors};

/// `count` events of about a kilobyte, `step_us` apart, every third pair with the same time.
fn long_events(count: u64, step_us: u64, seqs: bool) -> Vec<String> {
    let padding = "x".repeat(800);
    let event = |i: u64| {
        let time_us = FIRST_US + (i - u64::from(i % 3 == 1)) * step_us;
        let cursor = if seqs { format!(r#","cursor":{}"#, 5000 + i) } else { String::new() };
        format!(
            r#"{{"did":"did:plc:d{}","time_us":{time_us}{cursor},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}","record":{{"$type":"app.bsky.feed.post","text":"{padding}"}},"cid":"bafyrei{i}"}}}}"#,
            i % 7,
        )
    };
    (0..count).map(event).collect()
}

/// Fails with a short message unless `printed` is `recorded`, line by line.
fn assert_same(printed: &[String], recorded: &[String]) {
    let printed: Vec<&str> = printed.iter().map(|line| line.trim_end_matches('\n')).collect();
    let known: HashSet<&str> = printed.iter().copied().collect();
    let lost = recorded.iter().filter(|line| !known.contains(line.as_str())).count();
    let repeated = printed.len() - known.len();
    assert_eq!((lost, repeated), (0, 0), "(lost, repeated) of {}", recorded.len());
    let first = printed.iter().zip(recorded).position(|(a, b)| a != b);
    assert_eq!(first, None, "the index of the first misordered line");
    assert_eq!(printed.len(), recorded.len());
}

fn host(server: &ServeProcess) -> String {
    server.address.to_string()
}

/// Returns the flags of runs that continue each other.
fn resuming_flags(host: &str) -> [&str; 9] {
    ["--host", host, "--cursor", "auto", "--consumer", "c", "--exit-when-live", "--buffer", "500"]
}

fn stopped_and_resumed(signal: &str, seqs: bool) {
    let scratch = Scratch::new();
    let recorded = long_events(20_000, 5_000, seqs);
    let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
    let host = host(&server);
    let directory = scratch.path("");
    let flags = resuming_flags(&host);

    let mut printed = Vec::new();
    for _ in 0..3 {
        let mut run = TailProcess::start(&directory, &flags);
        printed.extend(run.lines(1500));
        run.signal(signal);
        let ended = run.wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("stopped by"), "{}", ended.stderr);
        printed.extend(ended.rest);
    }
    assert!(printed.len() < recorded.len(), "no run was stopped in the middle of the stream");
    let ended = tail(&directory, &flags);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    printed.extend(ended.rest);
    assert_same(&printed, &recorded);
}

// Guards INV-3.
#[test]
fn ctrl_c_and_resume_print_the_recording_on_v2() {
    stopped_and_resumed("INT", true);
}

#[test]
fn ctrl_c_and_resume_print_the_recording_on_legacy() {
    stopped_and_resumed("INT", false);
}

#[test]
fn sigterm_and_resume_print_the_recording_on_v2() {
    stopped_and_resumed("TERM", true);
}

#[test]
fn sigterm_and_resume_print_the_recording_on_legacy() {
    stopped_and_resumed("TERM", false);
}

fn server_restarted(seqs: bool) {
    let scratch = Scratch::new();
    let recorded = long_events(40_000, 5_000, seqs);
    let recording = scratch.recording(&recorded);
    let mut server = ServeProcess::start(&recording, &[]);
    let host = host(&server);
    let flags = ["--host", &host, "--buffer", "500", "--exit-when-live", "--max-retries", "100"];
    let mut run = TailProcess::start(&scratch.path(""), &flags);
    let mut printed = Vec::new();
    for _ in 0..10 {
        printed.extend(run.lines(1000));
        server.stop("KILL");
        server = ServeProcess::start_at(&host, &recording, &[]);
    }
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("reconnects"), "{}", ended.stderr);
    printed.extend(ended.rest);
    assert_same(&printed, &recorded);
}

#[test]
fn ten_restarts_of_a_v2_server_lose_and_repeat_nothing() {
    server_restarted(true);
}

#[test]
fn ten_restarts_of_a_legacy_server_lose_and_repeat_nothing() {
    server_restarted(false);
}

/// Reads exactly `count` lines and closes the pipe, right after a signal if there is one.
fn read_and_close(
    flags: &[&str],
    directory: &std::path::Path,
    count: usize,
    signal: Option<&str>,
) -> Vec<String> {
    let mut child = tail_command(directory, flags).spawn().unwrap();
    let mut stdout = BufReader::with_capacity(1, child.stdout.take().unwrap());
    let mut lines = vec![String::new(); count];
    for line in &mut lines {
        stdout.read_line(line).unwrap();
    }
    wait_for_unread_lines(stdout.get_ref());
    if let Some(signal) = signal {
        crate::support::signal(child.id(), signal);
    }
    drop(stdout);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    lines
}

/// Waits until the pipe is half full of unread lines.
fn wait_for_unread_lines(pipe: &ChildStdout) {
    let patience = Instant::now() + PATIENCE;
    let read_partially = || rustix::io::ioctl_fionread(pipe).unwrap();
    let enough = rustix::pipe::fcntl_getpipe_size(pipe).unwrap() as u64 / 2;
    while read_partially() < enough {
        assert!(Instant::now() < patience, "only {} bytes lie unread", read_partially());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs repeatedly with a reader that closes the pipe while it has unread lines, and then to the
/// end. Returns all lines that were read.
fn read_partially(
    recorded: &[String],
    expected: usize,
    more: &[&str],
    signal: Option<&str>,
) -> Vec<String> {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(recorded), &[]);
    let host = host(&server);
    let directory = scratch.path("");
    let flags = ["--host", &host, "--cursor", "auto", "--consumer", "c"];
    let flags = [&flags[..], &["--checkpoint-every", "10ms"], more].concat();
    let mut printed = Vec::new();
    for count in [0, 1, 300, 7, 0] {
        printed.extend(read_and_close(&flags, &directory, count, signal));
    }
    let rest = (expected - printed.len()).to_string();
    let ended = tail(&directory, &[&flags[..], &["-n", &rest]].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    printed.extend(ended.rest);
    printed
}

// Guards INV-2.
#[test]
fn unread_lines_of_a_closed_pipe_are_printed_again_on_v2() {
    let recorded = long_events(5_000, 5_000, true);
    assert_same(&read_partially(&recorded, recorded.len(), &[], None), &recorded);
}

#[test]
fn unread_lines_of_a_closed_pipe_are_printed_again_on_legacy() {
    let recorded = long_events(5_000, 5_000, false);
    assert_same(&read_partially(&recorded, recorded.len(), &[], None), &recorded);
}

#[test]
fn unread_lines_older_than_the_window_are_printed_again() {
    let recorded = long_events(2_000, 60_000_000, true);
    assert_same(&read_partially(&recorded, recorded.len(), &[], None), &recorded);
}

#[test]
fn unread_lines_are_printed_again_when_a_signal_ends_the_reader_too() {
    let recorded = long_events(5_000, 5_000, true);
    assert_same(&read_partially(&recorded, recorded.len(), &[], Some("INT")), &recorded);
}

#[test]
fn unread_text_lines_are_printed_again() {
    let recorded = long_events(5_000, 5_000, true);
    let expression = r#".commit | select(.rkey | endswith("7") | not) | .rkey + .record.text"#;
    let padding = "x".repeat(800);
    let numbers = (0..5_000).map(|i: u64| i.to_string()).filter(|number| !number.ends_with('7'));
    let expected: Vec<String> = numbers.map(|number| format!("{number}{padding}")).collect();
    let printed = read_partially(&recorded, expected.len(), &["-r", "--jq", expression], None);
    assert_same(&printed, &expected);
}

// Guards INV-1.
#[test]
fn kill_9_loses_nothing_and_repeats_only_unsaved_events() {
    let scratch = Scratch::new();
    let recorded = long_events(20_000, 5_000, true);
    let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
    let host = host(&server);
    let directory = scratch.path("");
    let flags = [&resuming_flags(&host)[..], &["--checkpoint-every", "10ms"]].concat();
    let mut printed = Vec::new();
    for _ in 0..3 {
        let mut run = TailProcess::start(&directory, &flags);
        printed.extend(run.lines(1500));
        run.signal("KILL");
        // The program had printed what is still in the pipe; the last line may be cut.
        printed.extend(run.wait().rest.into_iter().filter(|line| line.ends_with('\n')));
    }
    printed.extend(tail(&directory, &flags).rest);
    let mut seen = HashSet::new();
    printed.retain(|line| seen.insert(line.clone()));
    assert_same(&printed, &recorded);
}

// Guards INV-4.
#[test]
fn samples_are_printed_byte_for_byte() {
    let scratch = Scratch::new();
    let trained = scratch.path("dictionary");
    let sample = &vectors::samples()[0];
    std::fs::write(&trained, vectors::dictionary(1_234_567, sample)).unwrap();
    assert_printed_byte_for_byte(sample, &trained);
    let recorded = vectors::recorded(["production_v1.jsonl", "legacy_subscribe.zdict"]);
    if let Some([sample, dictionary]) = recorded {
        assert_printed_byte_for_byte(&sample, &dictionary);
    }
}

fn assert_printed_byte_for_byte(sample: &Path, dictionary: &Path) {
    let dictionary = dictionary.to_str().expect("UTF-8");
    let recorded = std::fs::read_to_string(sample).unwrap();
    let count = recorded.lines().count().to_string();
    let server = ServeProcess::start(sample, &["--zstd-dictionary", dictionary]);
    let host = host(&server);
    let zstd = ["--compress", "on", "--zstd-dictionary", dictionary];
    for extra in [&["--compress", "off"][..], &zstd] {
        let scratch = Scratch::new();
        let flags = [&["--host", &host, "-n", &count, "--strict"], extra].concat();
        let ended = tail(&scratch.path(""), &flags);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert_eq!(ended.rest.concat(), recorded);
    }
}

#[test]
fn the_demo_resumes_where_it_stopped() {
    let scratch = Scratch::new();
    let seqs = |lines: &[String]| -> Vec<u64> {
        let seq = |line: &String| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["cursor"].as_u64().unwrap()
        };
        lines.iter().map(seq).collect()
    };
    let first = tail(&scratch.path(""), &["--demo", "-n", "25"]);
    let second = tail(&scratch.path(""), &["--demo", "-n", "25", "--cursor", "auto"]);
    let seen = [seqs(&first.rest), seqs(&second.rest)].concat();
    let expected: Vec<u64> = (seen[0]..seen[0] + 50).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_second_run_with_the_same_consumer_is_refused_with_the_pid_of_the_first() {
    let scratch = Scratch::new();
    let mut first = TailProcess::start(&scratch.path(""), &["--demo"]);
    first.lines(1);
    let second = tail(&scratch.path(""), &["--demo"]);
    assert_eq!(second.code(), 1);
    assert!(
        second.stderr.contains("\"demo:all\" is in use by skytail with pid"),
        "{}",
        second.stderr
    );
    assert!(second.rest.is_empty());
    let other = tail(&scratch.path(""), &["--demo", "--consumer", "other", "-n", "1"]);
    assert_eq!(other.code(), 0, "{}", other.stderr);
}

#[test]
fn a_second_ctrl_c_exits_at_once_with_130_while_the_output_is_blocked() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&long_events(5_000, 5_000, true)), &[]);
    // The test stops reading, so a clean stop would wait for a minute.
    let flags = ["--host", &host(&server), "--drain-timeout", "60s"];
    let mut run = TailProcess::start(&scratch.path(""), &flags);
    run.lines(300);
    #[cfg(target_os = "linux")]
    run.wait_for_full_pipe();
    run.signal_until_it_ends("INT");
    let ended = run.wait();
    assert_eq!(ended.code(), 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("interrupted again: leaving at once"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_hangup_stops_cleanly() {
    let scratch = Scratch::new();
    let mut run = TailProcess::start(&scratch.path(""), &["--demo"]);
    run.lines(1);
    run.signal("HUP");
    let ended = run.wait();
    assert_eq!(ended.code(), 0);
    assert!(ended.stderr.contains("stopped by a signal"), "{}", ended.stderr);
}
