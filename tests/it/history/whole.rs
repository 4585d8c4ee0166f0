//! All events of the archive, and then all that only the stream has: once, in order, and exactly
//! those wanted.

use skytail::event::format::EventFormat;

use crate::history::{FIRST_SEQ, Fixture, assert_same, canonical, in_parallel};
use crate::support::FIRST_US;

// Guards INV-4.
#[test]
fn the_whole_history_is_printed_once_in_order() {
    let fixture = Fixture::new(5_250, &[]);
    let all = [
        &["--cursor", "oldest"][..],
        &["--cursor", "0", "--strict"],
        &["--cursor", "oldest", "--archive-parallelism", "1"],
        &["--cursor", "oldest", "--archive-parallelism", "16", "--buffer", "10"],
        &["--cursor", "oldest", "--protocol", "auto"],
    ];
    in_parallel(&all, |flags| {
        // The last one overrides the protocol.
        let flags: Vec<&str> = flags.to_vec();
        let ended = match flags.contains(&"--protocol") {
            false => fixture.run(&flags),
            true => {
                let home = crate::support::Scratch::new();
                let host = ["--host", &*fixture.host, "--exit-when-live"];
                crate::support::tail::tail(&home.path(""), &[&host[..], &flags].concat())
            }
        };
        assert_eq!(ended.code(), 0, "{flags:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
        assert_same(&crate::history::without_line_feeds(ended.rest), &fixture.recorded);
    });
}

/// Only a stream that can't be paused drops events; downloads from the archive can be paused.
#[test]
fn a_full_queue_drops_nothing_of_the_archive() {
    let fixture = Fixture::new(2_250, &[]);
    let flags = ["--cursor", "oldest", "--when-full", "drop-newest", "--buffer", "1", "-n", "2000"];
    let (printed, _) = fixture.run_ok(&flags);
    assert_same(&printed, &fixture.recorded[..2_000]);
}

#[test]
fn the_native_shape_matches_the_stream() {
    let fixture = Fixture::new(1_250, &[]);
    let (printed, _) = fixture.run_ok(&["--cursor", "oldest", "--shape", "native"]);
    let native: Vec<String> =
        fixture.recorded.iter().map(|line| canonical(line, EventFormat::Native)).collect();
    assert_same(&printed, &native);
}

#[test]
fn filters_are_exact() {
    let fixture = Fixture::new(3_250, &[]);
    let shorter = (fixture.recorded[0].len() + 1).to_string();
    let holds = |word: &'static str| move |line: &&String| line.contains(word);
    type Wanted<'a> = Box<dyn Fn(&&String) -> bool + Sync + 'a>;
    let filters: [(&[&str], Wanted<'_>); 6] = [
        (&["-c", "app.bsky.feed.post"], Box::new(holds(r#""collection":"app.bsky.feed.post""#))),
        (&["-c", "app.bsky.feed.*"], Box::new(holds(r#""kind":"commit""#))),
        (&["-d", "did:plc:tenth"], Box::new(holds("did:plc:tenth"))),
        (&["-k", "identity"], Box::new(holds(r#""kind":"identity""#))),
        (&["--operation", "create"], Box::new(holds(r#""kind":"commit""#))),
        (
            &["--max-message-size", &shorter],
            Box::new(|line: &&String| line.len() <= fixture.recorded[0].len() + 1),
        ),
    ];
    in_parallel(&filters, |(flags, wanted)| {
        let (printed, _) = fixture.run_ok(&[&["--cursor", "oldest"][..], flags].concat());
        let expected: Vec<String> = fixture.recorded.iter().filter(wanted).cloned().collect();
        assert!(!expected.is_empty() && expected.len() < fixture.recorded.len(), "{flags:?}");
        assert_same(&printed, &expected);
    });
}

#[test]
fn a_seq_or_a_time_below_the_lookback_is_read_from_the_archive() {
    let fixture = Fixture::new(3_250, &[]);
    let from = 1_234;
    let seq = (FIRST_SEQ + from as u64).to_string();
    let instant = (FIRST_US + 1_000 * from as u64).to_string();
    for cursor in [&*seq, &*instant] {
        let (printed, log) = fixture.run_ok(&["--cursor", cursor]);
        assert_same(&printed, &fixture.recorded[from..]);
        assert!(!log.contains("gap"), "{log}");
    }
}

#[test]
fn limit_and_until_end_a_run_during_backfill() {
    let fixture = Fixture::new(3_250, &[]);
    let (printed, log) = fixture.run_ok(&["--cursor", "oldest", "-n", "777"]);
    assert_same(&printed, &fixture.recorded[..777]);
    assert!(log.contains("at the limit"), "{log}");
    let until = (FIRST_US + 1_000 * 999).to_string();
    let (printed, log) = fixture.run_ok(&["--cursor", "oldest", "--until", &until]);
    assert_same(&printed, &fixture.recorded[..999]);
    assert!(log.contains("at --until"), "{log}");
}

/// §7: a filter without a match resumes at the end of the plan, not at the beginning.
#[test]
fn a_filter_without_matches_still_moves_the_position() {
    let fixture = Fixture::new(3_250, &[]);
    let flags = ["--consumer", "c", "-d", "did:plc:none", "--timeout", "4s"];
    let ended = fixture.start(&[&flags[..], &["--cursor", "oldest"]].concat()).wait();
    assert_eq!((ended.code(), ended.rest.len()), (0, 0), "{}", ended.stderr);
    // Six segments of 500 are sealed.
    let tip = FIRST_SEQ + 3_000 - 1;
    // The recording's own time, from the list of segments.
    let saved = format!("saved seq {tip} of {} (2026-", fixture.host);
    assert!(ended.stderr.contains(&saved), "{}", ended.stderr);
    let again = fixture.start(&[&flags[..], &["--cursor", "auto", "-v"]].concat()).wait();
    assert!(!again.stderr.contains("reading the archive"), "{}", again.stderr);
    assert!(again.stderr.contains(&format!("asked=seq {tip}")), "{}", again.stderr);
}

#[test]
fn without_the_archive_the_past_is_a_gap() {
    let fixture = Fixture::new(1_250, &[]);
    let (printed, log) = fixture.run_ok(&["--cursor", "100", "--archive", "off"]);
    // The lookback begins with the segment of the 500th event from the end.
    assert_same(&printed, &fixture.recorded[500..]);
    assert!(log.contains("gap from seq 100 to seq 600"), "{log}");
}

#[test]
fn the_demo_has_an_archive() {
    let home = crate::support::Scratch::new();
    let flags = ["--demo", "--protocol", "v2", "--cursor", "oldest", "-n", "5", "-v"];
    let ended = crate::support::tail::tail(&home.path(""), &flags);
    assert_eq!((ended.code(), ended.rest.len()), (0, 5), "{}", ended.stderr);
    assert!(ended.stderr.contains("reading the archive"), "{}", ended.stderr);
}
