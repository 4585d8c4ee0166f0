//! Clean stops, and the log lines about output files at a stop.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Command;

use crate::output::fixture::Fixture;
use crate::support::isolate_environment;
use crate::support::tail::tail_command;

#[test]
fn ctrl_c_and_resume_write_the_recording_and_clean_rows() {
    let fixture = Fixture::new(20_000, 5_000);
    let file = fixture.file("out.ndjson");
    let whole: usize = fixture.recorded.iter().map(|line| line.len() + 1).sum();
    for _ in 0..3 {
        // A run with nothing left to write gives no sign that it has started.
        if fixture.bytes() == whole as u64 {
            break;
        }
        let run = fixture.start(&["-o", &file, "--buffer", "500"]);
        // At the end of the recording a run still waits for more.
        fixture.wait_for_bytes((fixture.bytes() + 1).min(whole as u64));
        run.signal("INT");
        let ended = run.wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(ended.stderr.contains(" to out.ndjson; "), "{}", ended.stderr);
        assert!(ended.stderr.contains("; saved seq "), "{}", ended.stderr);
        fixture.assert_state_matches_files();
        fixture.assert_files_hold(fixture.saved());
        let rows = fixture.rows();
        assert_eq!((rows.len(), &*rows[0].state), (1, "clean"));
    }
    let ended = fixture.run_ok(&["-o", &file]);
    assert!(!ended.stderr.contains("killed"), "{}", ended.stderr);
    fixture.assert_files_are_the_recording();
}

#[test]
fn runs_with_limits_follow_each_other_exactly() {
    for (name, rotate) in [
        ("out.ndjson", None),
        ("out.zst", None),
        ("out-%F-%H.ndjson.zst", Some("hourly")),
        ("out-%s.ndjson", Some("300KiB")),
    ] {
        let fixture = Fixture::new(2_000, 10_000_000);
        let file = fixture.file(name);
        let mut flags = vec!["-o", &file];
        flags.extend(rotate.iter().flat_map(|rotate| ["--rotate", rotate]));
        for count in [1, 9, 490, 1000] {
            fixture.run_ok(&[&*flags, &["-n", &count.to_string()]].concat());
            fixture.assert_state_matches_files();
        }
        fixture.assert_files_hold(1500);
        fixture.run_ok(&flags);
        fixture.assert_files_are_the_recording();
        assert!(fixture.rows().iter().all(|row| row.state != "open"), "{:?}", fixture.rows());
        // Again, all at once: the same files, byte for byte unless they are compressed.
        if name.ends_with(".ndjson") {
            let before: Vec<_> = fixture.names();
            let again = Fixture::new(2_000, 10_000_000);
            let file = again.file(name);
            let mut flags = vec!["-o", &file];
            flags.extend(rotate.iter().flat_map(|rotate| ["--rotate", rotate]));
            again.run_ok(&flags);
            for (a, b) in before.iter().zip(again.names()) {
                assert_eq!(a.file_name(), b.file_name());
                assert!(fs::read(a).unwrap() == fs::read(b).unwrap());
            }
            assert_eq!(before.len(), again.names().len());
        }
    }
}

#[test]
fn show_lists_the_files_and_rm_removes_them() {
    let fixture = Fixture::new(100, 5_000);
    let file = fixture.file("out.ndjson");
    fixture.run_ok(&["-o", &file, "-n", "10"]);
    let cursors = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        isolate_environment(&mut command, &fixture.scratch.path(""));
        command.env("SKYTAIL_STATE", fixture.scratch.path("state.db"));
        let output = command.arg("cursors").args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let length = fixture.bytes();
    let page = cursors(&["show", "c"]);
    assert!(page.contains("out.ndjson, ") && page.contains(" bytes, clean\n"), "{page}");
    let json: serde_json::Value = serde_json::from_str(&cursors(&["show", "c", "--json"])).unwrap();
    assert_eq!(json["outputs"][0]["length_bytes"], length);
    assert_eq!(json["outputs"][0]["state"], "clean");
    cursors(&["rm", "c"]);
    assert_eq!(fixture.rows().len(), 0);
    let refused = fixture.run(&["-o", &file]);
    assert_eq!(refused.code(), 2, "{}", refused.stderr);
}

#[test]
fn fields_that_no_event_has_are_reported() {
    let fixture = Fixture::new(10, 5_000);
    let file = fixture.file("x%Y.ndjson");
    let stderr = fixture.run_ok(&["-o", &file]).stderr;
    assert!(stderr.contains("\"x%Y.ndjson\" is taken as it stands"), "{stderr}");
    assert!(stderr.contains("only with --rotate"), "{stderr}");
    fixture.assert_files_are_the_recording();
    let stderr = fixture.run_ok(&["-o", &fixture.file("100%.ndjson")]).stderr;
    assert!(!stderr.contains("as it stands"), "{stderr}");
}

#[test]
fn one_signal_while_the_output_is_blocked_logs_the_reason_for_waiting() {
    let fixture = Fixture::new(5_000, 5_000);
    let flags = fixture.flags(&["--max-lag", "10", "--drain-timeout", "10m"]);
    let mut run = tail_command(&fixture.scratch.path(""), &flags).spawn().unwrap();
    let pid = run.id().to_string();
    let signal = || {
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    };
    // The test does not read stdout.
    let mut stderr = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(stderr.any(|line| line.contains("the output is slower than the stream")));
    signal();
    let line = stderr.next().unwrap();
    assert!(line.contains("waiting for the output to take what was received, "), "{line}");
    assert!(line.contains("at most; a second Ctrl-C ends at once"), "{line}");
    signal();
    let line = stderr.next().unwrap();
    assert!(line.contains("interrupted again: leaving at once"), "{line}");
    assert_eq!(stderr.next(), None);
    assert_eq!(run.wait().unwrap().code(), Some(130));
}

#[test]
fn a_dash_is_stdout() {
    let fixture = Fixture::new(100, 5_000);
    let ended = fixture.run(&["-o", "-", "-n", "5"]);
    assert_eq!((ended.code(), ended.rest.len()), (0, 5), "{}", ended.stderr);
    assert_eq!(fixture.rows().len(), 0);
}

#[test]
fn no_checkpoint_writes_a_new_file() {
    let fixture = Fixture::new(100, 5_000);
    let file = fixture.file("out.ndjson");
    let flags = ["--no-checkpoint", "--host", &fixture.host, "-n", "40", "-o", &file];
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
        isolate_environment(&mut command, &fixture.scratch.path(""));
        command.arg("tail").args(flags).args(more).output().unwrap()
    };
    assert_eq!(run(&[]).status.code(), Some(0));
    fixture.assert_files_hold(40);
    let refused = run(&[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--append"));
    assert_eq!(run(&["--append"]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 80);
}

#[test]
fn an_immediately_repeated_stop_signal_counts_once() {
    for (first, again) in
        [("TERM", "TERM"), ("HUP", "HUP"), ("INT", "INT"), ("TERM", "INT"), ("INT", "TERM")]
    {
        let fixture = Fixture::new(20_000, 5_000);
        let mut run = fixture.start(&["--drain-timeout", "10m", "--buffer", "500"]);
        let begin = run.line().unwrap();
        // The output is blocked, so the run can't end between two signals.
        for signal in [first, again, again] {
            run.signal(signal);
        }
        let ended = run.wait();
        assert_eq!(ended.code(), 0, "{first}, {again}: {}", ended.stderr);
        assert!(ended.stderr.contains("; saved seq "), "{}", ended.stderr);
        assert!(!ended.rest.is_empty() && begin.ends_with('\n'));
        let written = ended.rest.len() + 1;
        assert_eq!(fixture.saved(), written, "{first}, {again}");
    }
}

#[test]
fn repeated_sigterm_does_not_cut_the_drain_short() {
    let fixture = Fixture::new(20_000, 5_000);
    let flags = fixture.flags(&["--max-lag", "10", "--drain-timeout", "10m"]);
    let mut run = tail_command(&fixture.scratch.path(""), &flags).spawn().unwrap();
    let mut stderr = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(stderr.any(|line| line.contains("the output is slower than the stream")));
    crate::support::signal(run.id(), "TERM");
    // This line is logged after a second: the signals that follow are late enough to be deliberate.
    assert!(stderr.any(|line| line.contains("waiting for the output")));
    for signal in ["TERM", "HUP", "TERM"] {
        crate::support::signal(run.id(), signal);
    }
    let lines = BufReader::new(run.stdout.take().unwrap()).lines().count();
    assert_eq!(run.wait().unwrap().code(), Some(0));
    assert!(stderr.any(|line| line.contains("; saved seq ")));
    assert_eq!(fixture.saved(), lines);
}

#[test]
fn each_limit_on_open_files_has_a_message_or_no_effect() {
    let skytail = env!("CARGO_BIN_EXE_skytail");
    let scratch = crate::support::Scratch::new();
    let mut refused = 0;
    for limit in (6..20).chain([24, 28, 32, 36, 40, 64]) {
        // A process may raise its own soft limit, but not a hard one.
        for (flag, must_work) in [("-n", limit >= 64), ("-Sn", true)] {
            let mut command = Command::new("sh");
            isolate_environment(&mut command, &scratch.path(""));
            let script =
                format!("ulimit {flag} {limit}; exec {skytail} tail --demo --no-checkpoint -n 3");
            let output = command.args(["-c", &script]).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(0) => assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), 3),
                Some(1) if !must_work => {
                    refused += 1;
                    assert!(
                        stderr.contains(&format!("the limit is {limit} (ulimit -n)")),
                        "{stderr}"
                    );
                }
                code => panic!("{flag} {limit}: {code:?}: {stderr}"),
            }
        }
    }
    assert!(refused > 5);
}
