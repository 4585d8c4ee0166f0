//! `--archive-max-bytes` and `--until`: what a run downloads of an archive, and how the next run
//! continues.

use crate::history::{FIRST_SEQ, Fixture, assert_same};
use crate::support::tail::Ended;
use crate::support::{FIRST_US, Scratch};

/// The events before `--until`, which is sealed: no run waits for the live stream.
const EVENTS: usize = 20_500;

fn until() -> String {
    (FIRST_US + 1_000 * EVENTS as u64).to_string()
}

/// Returns the JSON summary at the end of a run's log.
fn summary(ended: &Ended) -> serde_json::Value {
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap()
}

/// Returns what an unlimited run downloads.
fn whole_bytes(fixture: &Fixture) -> u64 {
    let ended = fixture.run(&["--cursor", "oldest", "--until", &until(), "--log-format", "json"]);
    let summary = summary(&ended);
    assert_eq!(summary["complete"], true, "{summary}");
    summary["archive_bytes"].as_u64().unwrap()
}

fn lines(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Runs until one reaches `--until`; every second one is killed after its first lines if
/// `kills`. Returns how many ended at the budget.
fn series(fixture: &Fixture, budget: u64, kills: bool) -> u64 {
    let out = fixture.scratch.path("out.ndjson");
    let (size, until) = (budget.to_string(), until());
    let flags = ["-o", out.to_str().unwrap(), "--from", "oldest", "--log-format", "json"];
    let limits = ["--archive-max-bytes", &*size, "--until", &*until];
    let limits = [&limits[..], &["--checkpoint-every", "5ms", "--buffer", "300"]].concat();
    let mut ends = 0;
    for round in 0..40 {
        let mut run = fixture.start(&[&flags[..], &limits].concat());
        if kills && round % 2 == 0 {
            let length = || std::fs::metadata(&out).map_or(0, |file| file.len());
            let before = length();
            while length() <= before && !run.has_ended() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            run.signal_until_it_ends("KILL");
        }
        let ended = run.wait();
        if ended.code() != 0 {
            continue;
        }
        let summary = summary(&ended);
        if summary["reason"] == "until" {
            assert_eq!(summary["complete"], true, "{summary}");
            return ends;
        }
        assert_eq!(summary["reason"], "archive_max_bytes", "{summary}");
        assert_eq!(summary["complete"], false, "{summary}");
        assert!(summary["saved"]["seq"].as_u64() > Some(FIRST_SEQ), "{summary}");
        let bytes = summary["archive_bytes"].as_u64().unwrap();
        // A killed run has chaos, which repeats downloads.
        assert!(kills || bytes <= budget + budget / 4, "{bytes} of {budget}");
        ends += 1;
    }
    panic!("no run reached the end");
}

#[test]
fn a_series_of_runs_with_a_budget_reads_the_whole_archive_once() {
    let fixture = Fixture::of_sizes(24_250, 2_000, 100, &[]);
    let ends = series(&fixture, whole_bytes(&fixture) / 3, false);
    assert!(ends >= 2, "{ends}");
    assert_same(&lines(&fixture.scratch.path("out.ndjson")), &fixture.recorded[..EVENTS]);
}

// Guards INV-1.
#[test]
fn kills_between_budgets_lose_and_repeat_nothing() {
    let chaos = ["--chaos", "seed=5,truncate=6,norange=9,rewrite=9"];
    let fixture = Fixture::of_sizes(24_250, 2_000, 100, &chaos);
    series(&fixture, whole_bytes(&fixture) / 3, true);
    assert_same(&lines(&fixture.scratch.path("out.ndjson")), &fixture.recorded[..EVENTS]);
}

#[test]
fn a_run_with_any_budget_reads_a_block_and_says_why_it_ends() {
    let fixture = Fixture::new(3_250, &[]);
    let (printed, log) = fixture.run_ok(&["--cursor", "oldest", "--archive-max-bytes", "1"]);
    assert!(!printed.is_empty() && printed.len() <= 500, "{}", printed.len());
    assert_same(&printed, &fixture.recorded[..printed.len()]);
    assert!(log.contains("stopped at --archive-max-bytes"), "{log}");
    assert!(log.contains("from the archive"), "{log}");
}

#[test]
fn nothing_after_until_is_downloaded() {
    let fixture = Fixture::new(8_250, &[]);
    let until = (FIRST_US + 1_000 * 999).to_string();
    let flags = ["--cursor", "oldest", "--until", &*until, "-v"];
    let home = Scratch::new();
    let run = |more: &[&str]| {
        let host = ["--host", &*fixture.host, "--protocol", "v2"];
        let all = [&host[..], &flags, more].concat();
        let mut command = crate::support::tail::tail_command(&home.path("."), &all);
        let output = command.env("SKYTAIL_LOG", "debug").output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        assert!(log.contains("stopped at --until"), "{log}");
        // A second more than --until is read: up to the 2,000th event, in the fourth segment.
        assert!(log.contains("name=seg_0000000000.jss"), "{log}");
        for later in 5..16 {
            let name = skytail::archive::name::segment_name(later);
            assert!(!log.contains(&name), "{name}: {log}");
        }
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_same(&run(&[]), &fixture.recorded[..999]);
    // No event that passes the filter shows that the time was reached.
    assert!(run(&["--max-message-size", "2"]).is_empty());
}
