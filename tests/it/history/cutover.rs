//! The cutover from the archive to the stream: under load, and after the stream has dropped the
//! events at the cutover.

use crate::history::{Fixture, assert_same};

/// The recording plays while its beginning is backfilled: segments are sealed, the lookback
/// advances, and the stream never pauses.
// Guards INV-1.
#[test]
fn nothing_is_lost_or_repeated_at_the_cutover_under_load() {
    for (seed, rate) in [("1", "6000/s"), ("2", "12000/s")] {
        let chaos = format!("seed={seed},throttle=6:0s,truncate=7,drop=3000");
        let fixture = Fixture::of_sizes(30_000, 500, 50, &["--rate", rate, "--chaos", &chaos]);
        let count = fixture.recorded.len().to_string();
        let flags = ["--cursor", "oldest", "-n", &count, "--rewind", "20ms"];
        let host = ["--host", &*fixture.host, "--protocol", "v2"];
        let home = crate::support::Scratch::new();
        let ended = crate::support::tail::tail(&home.path(""), &[&host[..], &flags].concat());
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
        assert_same(&crate::history::without_line_feeds(ended.rest), &fixture.recorded);
    }
}

/// A reader that is blocked for longer than the lookback returns to the archive.
#[test]
fn a_cursor_that_expired_during_a_run_is_read_from_the_archive() {
    let fixture = Fixture::of_sizes(60_000, 500, 50, &[]);
    let flags = ["--cursor", "60000", "--rewind", "10ms", "--buffer", "1", "-v"];
    let mut run = fixture.start(&flags);
    let mut printed = run.lines(1);
    // A pipe and the sockets hold a part of what follows.
    let Fixture { recorded, recording, server, host, .. } = fixture;
    server.stop("KILL");
    let sizes = ["--archive-segment-events", "500", "--archive-block-events", "50"];
    let forgetful = [&sizes[..], &["--retention-events", "500"]].concat();
    let _server = crate::support::ServeProcess::start_at(&host, &recording, &forgetful);
    while let Some(line) = run.line() {
        printed.push(line);
    }
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
    let first = recorded.len() - printed.len();
    assert_same(&crate::history::without_line_feeds(printed), &recorded[first..]);
}
