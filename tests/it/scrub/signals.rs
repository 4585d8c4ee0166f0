//! A signal ends a scrub or a conversion: no file is left half-written.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::{commit, names, read, scrub_command, write};
use crate::support::{PATIENCE, Scratch, isolate_environment};

/// Sends a signal to a child that was not waited for, so that its ID is its own.
fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    Command::new("kill").args(["-s", name, &id]).output().unwrap();
}

/// Waits until something holds.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < patience, "it did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn assert_ended(output: &Output, code: i32) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains("no file is left half-written"), "{stderr}");
}

#[test]
fn a_signal_leaves_each_file_old_or_new_and_no_copy() {
    let scratch = Scratch::new();
    let hit = [commit("a", 1, "create", "x"), commit("a", 2, "delete", "x")];
    let patience = Instant::now() + PATIENCE;
    loop {
        let files: Vec<_> =
            (0..600).map(|n| write(&scratch, &format!("{n:03}.ndjson"), &hit)).collect();
        let mut child = scrub_command(&scratch.path(""), &[]).args(&files).spawn().unwrap();
        let mut has_ended = false;
        wait_until(|| {
            has_ended = child.try_wait().unwrap().is_some();
            has_ended || read(&files[0]).len() == 1
        });
        if !has_ended {
            signal(&child, "TERM");
        }
        let output = child.wait_with_output().unwrap();
        // On a busy machine it may have come to its end before the signal.
        if output.status.success() {
            assert!(Instant::now() < patience, "it always ended before the signal");
            continue;
        }
        assert_ended(&output, 143);
        assert!(files.iter().all(|file| [1, 2].contains(&read(file).len())));
        assert_eq!(names(&scratch).len(), files.len(), "{:?}", names(&scratch));
        return;
    }
}

#[test]
fn a_conversion_that_waits_for_stdin_leaves_nothing() {
    let scratch = Scratch::new();
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        isolate_environment(&mut command, &scratch.path(""));
        let out = scratch.path("out.ndjson.zst");
        command.args(["convert", "-", "-o"]).arg(&out);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{}", commit("a", 1, "create", "x")).unwrap();
        wait_until(|| names(&scratch) == ["out.ndjson.zst.tmp"]);
        signal(&child, name);
        assert_ended(&child.wait_with_output().unwrap(), code);
        assert!(fs::read_dir(scratch.path("")).unwrap().next().is_none(), "{:?}", names(&scratch));
    }
}
