//! `kill -9` and clean stops during a backfill: with `-o`, no event is lost and none repeats.

use std::time::{Duration, Instant};

use crate::history::{Fixture, assert_same};
use crate::support::PATIENCE;

fn length(path: &std::path::Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn wait_for(path: &std::path::Path, bytes: u64) {
    let patience = Instant::now() + PATIENCE;
    while length(path) < bytes {
        assert!(Instant::now() < patience, "only {} bytes were written", length(path));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills runs at different places; the last run reads to the end.
fn killed(flags: &[&str], chaos: &[&str], signal: &str) {
    let fixture = Fixture::of_sizes(24_250, 2_000, 100, chaos);
    let (name, out) = ("out.ndjson", fixture.scratch.path("out.ndjson"));
    let path = fixture.scratch.path(name);
    let file = path.to_str().unwrap();
    let whole: u64 = fixture.recorded.iter().map(|line| line.len() as u64 + 1).sum();
    let common = ["-o", file, "--consumer", "c", "--checkpoint-every", "5ms", "--buffer", "300"];
    let flags = [&common[..], flags].concat();
    let mut kills = 0;
    for round in 0..8_u64 {
        // Before the first checkpoint there is nothing to resume.
        let cursor = if round == 0 { "oldest" } else { "auto" };
        let run = fixture.start(&[&flags[..], &["--cursor", cursor]].concat());
        wait_for(&out, (length(&out) + whole / 20).min(whole / 10 * 9));
        run.signal(signal);
        kills += u32::from(run.wait().code() != 0);
    }
    let ended = fixture.start(&[&flags[..], &["--cursor", "auto"]].concat()).wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
    let printed: Vec<String> =
        std::fs::read_to_string(&out).unwrap().lines().map(str::to_owned).collect();
    assert_same(&printed, &fixture.recorded);
    assert!(signal != "KILL" || kills >= 5, "{kills} kills");
}

#[test]
fn a_kill_during_backfill_loses_and_repeats_nothing() {
    killed(&[], &[], "KILL");
}

#[test]
fn a_kill_during_archive_faults_loses_and_repeats_nothing() {
    let chaos = "seed=3,truncate=5,norange=9,rewrite=9,page=1";
    killed(&[], &["--chaos", chaos], "KILL");
}

#[test]
fn clean_stops_during_backfill_lose_and_repeat_nothing() {
    killed(&["--archive-parallelism", "2"], &[], "TERM");
}
