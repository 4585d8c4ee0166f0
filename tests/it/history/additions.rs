//! `--backfill-new`: the history of accounts and collections that a list gains, beside the stream.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::history::{Fixture, assert_same};
use crate::support::tail::{Ended, TailProcess};
use crate::support::{PATIENCE, events};

/// The accounts of the recording.
pub const EVEN: &str = "did:plc:even";
pub const ODD: &str = "did:plc:odd";
const TENTH: &str = "did:plc:tenth";

/// A server, a list of accounts, and the file that runs write.
pub struct Case {
    pub fixture: Fixture,
    list: PathBuf,
    out: PathBuf,
}

impl Case {
    pub fn new(count: u64, flags: &[&str]) -> Self {
        Self::with_events(&events(count, true), flags)
    }

    /// Starts a server for these events, in segments of 500. The stream can replay all of them.
    pub fn with_events(events: &[String], flags: &[&str]) -> Self {
        let sizes = ["--archive-segment-events", "500", "--archive-block-events", "50"];
        let fixture = Fixture::of(events, &[&sizes[..], flags].concat());
        let (list, out) = (fixture.scratch.path("list"), fixture.scratch.path("out.ndjson"));
        Self { fixture, list, out }
    }

    /// Replaces the list.
    pub fn list(&self, entries: &[&str]) {
        let next = self.fixture.scratch.path("next");
        std::fs::write(&next, entries.join("\n")).unwrap();
        std::fs::rename(next, &self.list).unwrap();
    }

    /// Starts a run that follows the list of `flag`.
    pub fn start(&self, flag: &str, more: &[&str]) -> TailProcess {
        self.start_to(flag, &["-o", self.out.to_str().unwrap()], more)
    }

    /// Starts a run with another output.
    pub fn start_to(&self, flag: &str, output: &[&str], more: &[&str]) -> TailProcess {
        let list = format!("@{}", self.list.display());
        let host = ["--host", &*self.fixture.host, "--protocol", "v2", "-v"];
        let saving = ["--consumer", "c", "--checkpoint-every", "5ms"];
        let lists = [flag, &*list, "--backfill-new"];
        let flags = [&host[..], output, &saving, &lists, more].concat();
        TailProcess::start(&self.fixture.scratch.path(""), &flags)
    }

    pub fn printed(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.out).unwrap_or_default();
        // The last line may be written just now.
        let end = text.rfind('\n').map_or(0, |end| end + 1);
        text[..end].lines().map(str::to_owned).collect()
    }

    /// Waits until the output has the last event of each of these sorts.
    #[track_caller]
    pub fn wait_for_last(&self, run: &mut TailProcess, sorts: &[&str]) {
        let last = |sort: &str| self.of(sort, &self.fixture.recorded).pop().unwrap();
        let wanted: Vec<String> = sorts.iter().map(|sort| last(sort)).collect();
        let patience = Instant::now() + PATIENCE;
        loop {
            let printed = self.printed();
            if wanted.iter().all(|line| printed.contains(line)) {
                return;
            }
            assert!(!run.has_ended() && Instant::now() < patience, "{} lines", printed.len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the saved lists have this many entries that wait for their history.
    #[track_caller]
    pub fn wait_for_waiting(&self, wanted: u32) {
        let waiting = || {
            let store = rusqlite::Connection::open(self.fixture.scratch.path("state.db")).unwrap();
            let sql = "SELECT count(*) FROM filter_entries WHERE addition NOT NULL";
            store.query_row(sql, [], |row| row.get::<_, u32>(0)).unwrap_or(u32::MAX)
        };
        let patience = Instant::now() + PATIENCE;
        while waiting() != wanted {
            assert!(Instant::now() < patience, "{} entries wait", waiting());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the lines with this text.
    pub fn of(&self, sort: &str, lines: &[String]) -> Vec<String> {
        lines.iter().filter(|line| line.contains(sort)).cloned().collect()
    }

    /// Fails unless the output has all events of each of these sorts, in their order, and no others.
    #[track_caller]
    pub fn assert_complete(&self, sorts: &[&str]) {
        let printed = self.printed();
        for sort in sorts {
            assert_same(&self.of(sort, &printed), &self.of(sort, &self.fixture.recorded));
        }
        let all: usize = sorts.iter().map(|sort| self.of(sort, &printed).len()).sum();
        assert_eq!(all, printed.len(), "events that are not wanted");
    }

    /// Runs with the present list until the output has the last event of each of these sorts.
    #[track_caller]
    pub fn run_to(&self, flag: &str, more: &[&str], sorts: &[&str]) -> Ended {
        let mut run = self.start(flag, more);
        self.wait_for_last(&mut run, sorts);
        self.wait_for_waiting(0);
        run.stop();
        let ended = run.wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        ended
    }
}

/// Makes a run read its lists at once.
pub fn reload(run: &TailProcess) {
    run.signal("USR2");
}

// Guards INV-12.
#[test]
fn an_added_account_brings_its_history_before_its_newer_events_while_the_stream_goes_on() {
    let case = Case::new(6_250, &["--rate", "8000/s"]);
    case.list(&[EVEN]);
    // By its number: a lack of the next one would be a gap.
    let mut run = case.start("-d", &["--cursor", "100"]);
    let patience = Instant::now() + PATIENCE;
    while case.printed().len() < 500 {
        assert!(Instant::now() < patience);
        std::thread::sleep(Duration::from_millis(5));
    }
    case.list(&[EVEN, ODD]);
    reload(&run);
    case.wait_for_last(&mut run, &[EVEN, ODD]);
    case.wait_for_waiting(0);
    run.stop();
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    for words in [
        "reading the history of 1 added account from the archive, beginning with its oldest event: up to ",
        "the history of 1 added account is complete",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
    case.assert_complete(&[EVEN, ODD]);
}

#[test]
fn what_a_list_gained_between_two_runs_gets_its_history_too() {
    let case = Case::new(3_250, &[]);
    case.list(&[EVEN]);
    case.run_to("-d", &["--cursor", "oldest"], &[EVEN]);
    case.list(&[EVEN, ODD, TENTH]);
    let ended = case.run_to("-d", &[], &[ODD, TENTH]);
    let words = "the history of 2 added accounts is complete";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    case.assert_complete(&[EVEN, ODD, TENTH]);
    // Nothing is read again.
    let mut run = case.start("-d", &["--cursor", "auto"]);
    case.wait_for_waiting(0);
    case.wait_for_last(&mut run, &[ODD]);
    run.stop();
    assert!(!run.wait().stderr.contains("the history of"));
    case.assert_complete(&[EVEN, ODD, TENTH]);
}

#[test]
fn an_added_collection_brings_its_history() {
    let case = Case::new(3_250, &[]);
    let flags = ["--kind", "commit"];
    case.list(&["app.bsky.feed.post"]);
    case.run_to("-c", &[&flags[..], &["--cursor", "oldest"]].concat(), &[EVEN]);
    case.list(&["app.bsky.feed.post", "app.bsky.feed.like"]);
    let ended = case.run_to("-c", &flags, &[ODD]);
    let words = "the history of 1 added collection is complete";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    case.assert_complete(&[EVEN, ODD]);
}

/// The position of a stream whose accounts are silent lies before the end of the history.
#[test]
fn a_stream_without_events_takes_an_addition_too() {
    let mut recorded = events(3_250, true);
    recorded[0] = recorded[0].replace(EVEN, "did:plc:silent");
    let case = Case::with_events(&recorded, &[]);
    case.list(&["did:plc:silent"]);
    case.run_to("-d", &["--cursor", "100"], &["did:plc:silent"]);
    case.list(&["did:plc:silent", ODD]);
    let ended = case.run_to("-d", &[], &[ODD]);
    assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
    case.assert_complete(&["did:plc:silent", ODD]);
    case.list(&["did:plc:silent", ODD, TENTH]);
    case.run_to("-d", &[], &[TENTH]);
    case.assert_complete(&["did:plc:silent", ODD, TENTH]);
}

#[test]
fn an_event_of_a_history_that_the_server_sends_twice_is_written_once() {
    let case = Case::new(3_250, &["--chaos", "seed=1,duplicate=3"]);
    case.list(&[EVEN]);
    case.run_to("-d", &["--cursor", "oldest"], &[EVEN]);
    case.list(&[EVEN, ODD]);
    case.run_to("-d", &[], &[ODD]);
    case.assert_complete(&[EVEN, ODD]);
}

/// The newest event of the stream is one that the new filter does not take, and no other comes.
#[test]
fn a_silent_stream_takes_an_addition_whose_events_lie_before_its_position() {
    const REMOVED: &str = "did:plc:removed";
    let mut recorded = events(3_250, true);
    let last = recorded.last_mut().unwrap();
    *last = last.replace(TENTH, REMOVED);
    let case = Case::with_events(&recorded, &[]);
    case.list(&[EVEN, REMOVED]);
    case.run_to("-d", &["--cursor", "oldest"], &[EVEN, REMOVED]);
    case.list(&[EVEN, ODD]);
    let ended = case.run_to("-d", &[], &[ODD]);
    assert!(ended.stderr.contains("it applies after seq 3349 "), "{}", ended.stderr);
    case.list(&[EVEN, ODD, TENTH]);
    case.run_to("-d", &[], &[TENTH]);
    case.assert_complete(&[EVEN, ODD, TENTH, REMOVED]);
}

// Guards INV-12.
#[test]
fn a_kill_at_any_time_of_a_history_loses_and_repeats_nothing() {
    let case = Case::new(8_250, &["--chaos", "seed=3,truncate=50,norange=20,rewrite=20,page=1"]);
    case.list(&[EVEN]);
    case.run_to("-d", &["--cursor", "oldest"], &[EVEN]);
    case.list(&[EVEN, ODD]);
    let whole: u64 = case.fixture.recorded.iter().map(|line| line.len() as u64 + 1).sum();
    let length = || std::fs::metadata(&case.out).map_or(0, |file| file.len());
    let mut kills = 0;
    for _ in 0..4 {
        let before = length();
        let mut run = case.start("-d", &["--buffer", "300"]);
        let patience = Instant::now() + PATIENCE;
        while length() < before + whole / 14 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        run.signal_until_it_ends("KILL");
        kills += u32::from(run.wait().code() != 0);
    }
    let ended = case.run_to("-d", &[], &[ODD]);
    assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
    assert!(kills >= 3, "{kills} kills");
    case.assert_complete(&[EVEN, ODD]);
}

#[test]
fn an_archive_that_stays_away_ends_with_a_gap_and_the_stream_has_the_account() {
    let case = Case::new(3_250, &[]);
    case.list(&[EVEN]);
    case.run_to("-d", &["--cursor", "oldest", "--archive", "auto"], &[EVEN]);
    let Case { fixture, list, out } = case;
    let Fixture { scratch, recorded, recording, server, host } = fixture;
    server.stop("KILL");
    // The same events, from a server whose archive wants a key.
    let key = scratch.path("key");
    std::fs::write(&key, "secret").unwrap();
    let sizes = ["--archive-segment-events", "500", "--archive-block-events", "50"];
    let locked = [&sizes[..], &["--api-key-file", key.to_str().unwrap()]].concat();
    let server = crate::support::ServeProcess::start_at(&host, &recording, &locked);
    let fixture = Fixture { scratch, recorded, recording, server, host };
    let case = Case { fixture, list, out };
    case.list(&[EVEN, ODD]);
    let mut run = case.start("-d", &["--max-retries", "3"]);
    let cursors = || {
        let state = case.fixture.scratch.path("state.db");
        crate::support::run::cursors(&["show", "c", "--json", "--state", state.to_str().unwrap()])
    };
    let patience = Instant::now() + PATIENCE;
    while !cursors().contains("the history of 1 added account was not read") {
        assert!(!run.has_ended() && Instant::now() < patience, "{}", cursors());
        std::thread::sleep(Duration::from_millis(20));
    }
    run.stop();
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("the archive wants a key"), "{}", ended.stderr);
}

#[test]
fn an_account_that_is_removed_again_cancels_its_history() {
    // The archive never answers.
    let case = Case::new(3_250, &["--chaos", "seed=1,throttle=1:30s"]);
    case.list(&[EVEN]);
    let mut run = case.start("-d", &["--cursor", "3300"]);
    case.wait_for_last(&mut run, &[EVEN]);
    case.list(&[EVEN, ODD]);
    reload(&run);
    case.wait_for_waiting(1);
    case.list(&[EVEN]);
    reload(&run);
    case.wait_for_waiting(0);
    run.stop();
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let words = "1 added account was removed again before its history was complete";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert!(case.of(ODD, &case.printed()).is_empty());
}
