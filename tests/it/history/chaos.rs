//! Faults of an archive: broken downloads, ignored ranges, segments rewritten while they are read,
//! 429 and 503, vanishing segments, plans without progress, and damaged blocks (§3).

use serde_json::Value;

use crate::history::{FIRST_SEQ, Fixture, assert_same, in_parallel};

#[test]
fn temporary_faults_lose_nothing() {
    let all = [
        "seed=1,truncate=3",
        "seed=2,norange=2",
        "seed=3,norange=1",
        "seed=4,rewrite=3",
        "seed=5,throttle=4:0s",
        "seed=6,missing=9",
        "seed=7,stuck=3,page=2",
        "seed=8,page=1",
        "seed=9,truncate=5,norange=5,rewrite=5,throttle=9:0s,page=3",
    ];
    in_parallel(&all, |chaos| {
        let fixture = Fixture::new(3_250, &["--chaos", chaos]);
        let (printed, log) = fixture.run_ok(&["--cursor", "oldest"]);
        assert!(!log.contains("gap"), "{chaos}: {log}");
        assert_same(&printed, &fixture.recorded);
        // Reads blocks instead of whole segments.
        let (printed, log) =
            fixture.run_ok(&["--cursor", "oldest", "-d", "did:plc:tenth", "-k", "identity"]);
        assert!(!log.contains("gap"), "{chaos}: {log}");
        assert_eq!(printed.len(), 325, "{chaos}");
    });
}

/// Fails unless each seq is printed or lies in a reported gap.
#[track_caller]
fn assert_accounted(fixture: &Fixture, printed: &[String], gaps: &[(u64, u64)]) {
    let seq = |line: &String| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["cursor"].as_u64().unwrap()
    };
    let printed: Vec<u64> = printed.iter().map(seq).collect();
    assert!(printed.is_sorted_by(|a, b| a < b), "a duplicate or misordered line");
    let is_missing = |seq: u64| gaps.iter().any(|(from, to)| (from + 1..*to).contains(&seq));
    for i in 0..fixture.recorded.len() as u64 {
        let seq = FIRST_SEQ + i;
        let is_printed = printed.binary_search(&seq).is_ok();
        assert!(is_printed != is_missing(seq), "seq {seq}: printed {is_printed}");
    }
}

/// Returns the reported gaps: the seqs before and after each.
fn reported_gaps(stderr: &str) -> Vec<(u64, u64)> {
    let gap = |line: &str| {
        let (_, rest) = line.split_once("gap from ")?;
        let seqs: Vec<u64> = rest
            .split("seq ")
            .skip(1)
            .take(2)
            .filter_map(|rest| rest.split([' ', ':', ',']).next()?.parse().ok())
            .collect();
        let from = if rest.starts_with("unknown") { 0 } else { *seqs.first()? };
        let to = if rest.starts_with("unknown") { *seqs.first()? } else { *seqs.get(1)? };
        Some((from, to))
    };
    stderr.lines().filter_map(gap).collect()
}

#[test]
fn a_damaged_block_is_fetched_again() {
    let fixture = Fixture::new(3_250, &["--chaos", "seed=1,corrupt=40"]);
    let (printed, log) = fixture.run_ok(&["--cursor", "oldest"]);
    assert!(log.contains("fetching it again"), "{log}");
    assert_accounted(&fixture, &printed, &reported_gaps(&log));
}

// Guards INV-9.
#[test]
fn a_block_that_stays_damaged_is_a_gap_with_segment_and_offset() {
    for flags in [&[][..], &["-k", "identity"]] {
        let fixture = Fixture::new(1_250, &["--chaos", "seed=2,corrupt=2"]);
        let (printed, log) = fixture.run_ok(&[&["--cursor", "oldest"][..], flags].concat());
        let gaps = reported_gaps(&log);
        assert!(!gaps.is_empty(), "{log}");
        assert!(log.contains("seg_000000000") && log.contains("block "), "{log}");
        assert!(log.contains(&format!("{} gap", gaps.len())), "{log}");
        if flags.is_empty() {
            assert!(log.contains("at byte "), "{log}");
            assert_accounted(&fixture, &printed, &gaps);
        } else {
            for line in fixture.recorded.iter().filter(|line| line.contains("\"identity\"")) {
                let event: Value = serde_json::from_str(line).unwrap();
                let seq = event["cursor"].as_u64().unwrap();
                let is_missing = gaps.iter().any(|(from, to)| (from + 1..*to).contains(&seq));
                assert!(
                    printed.contains(line) || is_missing,
                    "seq {seq} is neither printed nor in a gap"
                );
            }
        }
    }
}

#[test]
fn a_gap_is_recorded_and_fatal_if_requested() {
    let fixture = Fixture::new(1_250, &["--chaos", "corrupt=1"]);
    let flags = ["--cursor", "oldest", "--on-gap", "fail", "--consumer", "c"];
    let ended = fixture.start(&flags).wait();
    assert_eq!((ended.code(), ended.rest.len()), (4, 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("gap from "), "{}", ended.stderr);
    let state = fixture.scratch.path("state.db");
    let state = rusqlite::Connection::open(state).unwrap();
    let gaps: Vec<(i64, String)> = state
        .prepare("SELECT to_seq, reason FROM gaps")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].0, 150);
    assert!(gaps[0].1.contains("seg_0000000000.jss, block 0 at byte "), "{gaps:?}");
}

#[test]
fn a_plan_without_progress_ends_in_a_gap_and_not_in_a_loop() {
    let fixture = Fixture::new(1_250, &["--chaos", "stuck=1"]);
    let (printed, log) = fixture.run_ok(&["--cursor", "100"]);
    assert!(log.contains("makes no progress"), "{log}");
    assert!(log.contains("gap from seq 100 to seq 600"), "{log}");
    assert_same(&printed, &fixture.recorded[500..]);
}
