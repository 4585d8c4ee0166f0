//! `skytail plan`: what a run would download, and why there is no plan.

use std::process::{Command, Output};

use crate::history::Fixture;
use crate::support::scripted::Step::Answer;
use crate::support::scripted::{ScriptedServer, http};
use crate::support::{FIRST_US, Scratch};

fn plan(home: &Scratch, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    crate::support::isolate_environment(&mut command, &home.path(""));
    command.arg("plan").arg("--state").arg(home.path("state.db"));
    command.args(flags).output().unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn figure(plan: &serde_json::Value, name: &str) -> u64 {
    plan[name].as_u64().unwrap_or_else(|| panic!("{name}: {plan}"))
}

/// Returns the bytes that a run with these flags downloads.
fn downloaded(fixture: &Fixture, flags: &[&str]) -> u64 {
    let ended = fixture.run(&[flags, &["--log-format", "json"]].concat());
    let summary = ended.stderr.lines().last().unwrap().to_owned();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    figure(&summary, "archive_bytes")
}

#[test]
fn a_plan_says_what_the_run_will_download() {
    let fixture = Fixture::of_sizes(24_250, 2_000, 100, &[]);
    let home = Scratch::new();
    let host = ["--host", &*fixture.host, "--json"];
    let whole = json(&plan(&home, &[&host[..], &["--cursor", "oldest"]].concat()));
    assert_eq!((figure(&whole, "segments"), figure(&whole, "listed_segments")), (12, 12));
    assert_eq!((figure(&whole, "blocks"), figure(&whole, "events_at_most")), (240, 24_000));
    assert_eq!(whole["bytes_are_estimated"], false, "{whole}");
    assert_eq!(figure(&whole, "oldest_us"), FIRST_US);
    assert!(whole["estimated_s"].as_f64() > Some(0.0), "{whole}");
    let sealed = (FIRST_US + 1_000 * 22_500).to_string();
    let sealed = ["--cursor", "oldest", "--until", &*sealed];
    let most = json(&plan(&home, &[&host[..], &sealed].concat()));
    let (bytes, planned) = (downloaded(&fixture, &sealed), figure(&most, "bytes"));
    // The run also downloads the plan, and not all parts of the segments' ends.
    assert!(planned.abs_diff(bytes) < bytes / 5, "{planned} and {bytes}");

    let until = (FIRST_US + 1_000 * 3_500).to_string();
    let part = ["--cursor", "oldest", "--until", &*until, "--no-measure"];
    let part = json(&plan(&home, &[&host[..], &part].concat()));
    // A second more than --until is read: up to the 4,500th event.
    assert_eq!(figure(&part, "segments"), 3, "{part}");
    assert_eq!(part["estimated_s"], serde_json::Value::Null);
    let none = ["--cursor", "oldest", "-d", "did:plc:none"];
    let none = json(&plan(&home, &[&host[..], &none].concat()));
    assert_eq!(figure(&none, "bytes"), 0, "{none}");
}

#[test]
fn a_plan_of_a_saved_position_has_what_is_left() {
    let fixture = Fixture::of_sizes(24_250, 2_000, 100, &[]);
    let out = fixture.scratch.path("out.ndjson");
    let flags = ["--from", "oldest", "-o", out.to_str().unwrap(), "--protocol", "v2"];
    let host = ["--host", &*fixture.host];
    let first = json(&plan(&fixture.scratch, &[&host[..], &flags, &["--json"]].concat()));
    assert_eq!(figure(&first, "events_at_most"), 24_000);
    let run = [&host[..], &flags, &["-n", "15000"]].concat();
    let ended = crate::support::tail::tail(&fixture.scratch.path(""), &run);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let rest = json(&plan(&fixture.scratch, &[&host[..], &flags, &["--json"]].concat()));
    assert_eq!(figure(&rest, "after_seq"), 100 + 15_000 - 1);
    assert_eq!(figure(&rest, "segments"), 5, "{rest}");
}

#[test]
fn the_page_fits_80_columns_and_marks_estimates() {
    let fixture = Fixture::of_sizes(24_250, 2_000, 100, &[]);
    let flags = ["--host", &*fixture.host, "--cursor", "oldest"];
    let output = plan(&Scratch::new(), &flags);
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    for line in ["segments   12 of 12\n", "blocks     ~240\n", "events     at most 24,000\n"] {
        assert!(page.contains(line), "{line}: {page}");
    }
    assert!(page.contains("\ntime       ~") && page.contains("measured with"), "{page}");
}

/// Runs a plan that fails, and returns its exit code and its error.
fn failed(flags: &[&str]) -> (Option<i32>, String) {
    let output = plan(&Scratch::new(), flags);
    assert!(output.stdout.is_empty(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), log)
}

#[test]
fn without_a_plan_the_error_has_the_reason_and_the_remedy() {
    for (status, headers, words) in [
        ("401 Unauthorized", "", "give one with --api-key-file or SKYTAIL_API_KEY"),
        ("404 Not Found", "", "no archive here (planSnapshot: HTTP 404"),
        ("429 Too Many Requests", "Retry-After: 5400\r\n", "try again in 1h30m"),
    ] {
        let script = vec![vec![Answer(http(status, headers, ""))]];
        let server = ScriptedServer::start(script);
        let (code, log) = failed(&["--host", &server.host(), "--cursor", "oldest"]);
        assert_eq!(code, Some(1), "{log}");
        assert!(log.contains(words) && log.contains(&server.host()), "{log}");
    }
    // Nothing listens on port 1.
    let (code, log) = failed(&["--host", "127.0.0.1:1", "--cursor", "oldest"]);
    assert_eq!(code, Some(3), "{log}");
    for (flags, words) in [
        (&["--demo"][..], "--cursor oldest"),
        (&["--demo", "--cursor", "oldest", "--archive", "off"], "--archive"),
        (&["--demo", "--cursor", "oldest", "--protocol", "v1"], "v1 servers have no archive"),
    ] {
        let (code, log) = failed(flags);
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(words), "{log}");
    }
}
