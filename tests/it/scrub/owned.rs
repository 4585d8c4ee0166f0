//! Files that a consumer writes: a run continues them after a scrub, whenever the scrub was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::{commit, read, rev, scrub};
use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{PATIENCE, Scratch, ServeProcess};

/// A recording in which every fourth event deletes the one before it, its server, and a state file.
struct Owned {
    scratch: Scratch,
    recorded: Vec<String>,
    host: String,
    _server: ServeProcess,
}

impl Owned {
    fn new(count: u64) -> Self {
        let scratch = Scratch::new();
        let event = |n: u64| match n % 4 {
            3 => commit("a", n, "delete", &(n - 1).to_string()),
            _ => commit("a", n, "create", &n.to_string()),
        };
        let recorded: Vec<String> = (0..count).map(event).collect();
        let server = ServeProcess::start(&scratch.recording(&recorded), &["--server-kind", "v2"]);
        let host = server.address.to_string();
        fs::create_dir(scratch.path("files")).unwrap();
        Self { scratch, recorded, host, _server: server }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path("files").join(name)
    }

    fn flags<'a>(&'a self, file: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let common = ["--host", &*self.host, "--protocol", "v1", "--from", "oldest"];
        let output = ["--consumer", file.to_str().unwrap(), "-o", file.to_str().unwrap()];
        [&common[..], &output, more].concat()
    }

    /// Runs a tail to its end, with exit code 0.
    #[track_caller]
    fn tail(&self, file: &Path, more: &[&str]) -> Ended {
        let ended = tail(&self.scratch.path(""), &self.flags(file, more));
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        ended
    }

    /// Scrubs files of this consumer.
    fn scrub(&self, files: &[&Path]) -> super::Scrubbed {
        let state = self.scratch.path("state.db");
        scrub(&self.scratch, &["--state", state.to_str().unwrap()], files)
    }

    fn state(&self) -> Connection {
        Connection::open(self.scratch.path("state.db")).unwrap()
    }

    /// Returns the recorded events of a range that stay in a scrub of the first `scrubbed` events.
    fn kept(&self, range: std::ops::Range<usize>, scrubbed: usize) -> Vec<String> {
        let stays = |n: usize| n % 4 != 2 || n + 1 >= scrubbed;
        range.filter(|n| stays(*n)).map(|n| self.recorded[n].clone()).collect()
    }
}

#[test]
fn a_run_continues_a_scrubbed_file() {
    let owned = Owned::new(200);
    for name in ["a.ndjson", "a.ndjson.zst"] {
        let file = owned.file(name);
        owned.tail(&file, &["-n", "100"]);
        owned.scrub(&[&file]).ends_with(0).prints(&["removed 25 of 100 events"]);
        assert_eq!(read(&file), owned.kept(0..100, 100));
        owned.tail(&file, &["-e"]);
        let expected = [owned.kept(0..100, 100), owned.kept(100..200, 100)].concat();
        assert_eq!(read(&file), expected);
        owned.scrub(&[&file]).ends_with(0).prints(&["removed 25 of 175 events"]);
        owned.tail(&file, &["-e"]);
        assert_eq!(read(&file), owned.kept(0..200, 200));
    }
}

#[test]
fn a_running_tail_gives_up_its_finished_files_and_keeps_the_open_one() {
    let owned = Owned::new(1_200);
    let pattern = owned.file("a.ndjson");
    let rotation = ["--rotate", "64KiB", "--checkpoint-every", "5ms"];
    let run = TailProcess::start(&owned.scratch.path(""), &owned.flags(&pattern, &rotation));
    let last = format!("SELECT count(*) FROM consumers WHERE newest_seq = {}", 100 + 1_199);
    let has_saved_all = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let state = Connection::open_with_flags(owned.scratch.path("state.db"), flags)?;
        state.query_row(&last, [], |row| row.get::<_, i64>(0))
    };
    let patience = Instant::now() + PATIENCE;
    while has_saved_all() != Ok(1) {
        assert!(Instant::now() < patience, "the run did not save its last event");
        std::thread::sleep(Duration::from_millis(10));
    }
    let sql = "SELECT path FROM outputs ORDER BY ordinal";
    let state = owned.state();
    let mut rows = state.prepare(sql).unwrap();
    let paths: Vec<PathBuf> = rows
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap()
        .map(|path| PathBuf::from(path.unwrap()))
        .collect();
    assert!(paths.len() > 2, "{paths:?}");
    let files: Vec<&Path> = paths.iter().map(|path| &**path).collect();
    let open = files.last().unwrap();
    let before = read(open);
    let words =
        format!("{} was left as it was: it is being written by skytail with pid", open.display());
    owned.scrub(&files).ends_with(1).says(&[&words]);
    assert_eq!(read(open), before);
    run.signal("INT");
    assert_eq!(run.wait().code(), 0);
    owned.scrub(&files).ends_with(0);
    let all = || -> Vec<String> { files.iter().flat_map(|path| read(path)).collect() };
    assert_eq!(all(), owned.kept(0..1_200, 1_200));
    owned.tail(&pattern, &["--rotate", "64KiB", "-e"]);
    assert_eq!(all(), owned.kept(0..1_200, 1_200));
}

// Guards INV-10.
#[test]
fn a_scrub_that_was_killed_around_the_rename_is_finished_by_the_next_start() {
    let owned = Owned::new(200);
    let file = owned.file("a.ndjson");
    owned.tail(&file, &["-n", "100"]);
    let ends = "SELECT length_bytes, tail_hash FROM outputs";
    let end = || -> (i64, i64) {
        owned.state().query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    };
    let (old, old_bytes) = (end(), fs::read(&file).unwrap());
    owned.scrub(&[&file]).ends_with(0);
    let (new, new_bytes) = (end(), fs::read(&file).unwrap());
    let crash = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        fs::write(owned.file("a.ndjson.scrub"), "half of a copy").unwrap();
        let state = owned.state();
        let row = (file.to_str().unwrap(), old.0, old.1, new.0, new.1);
        state.execute("INSERT INTO rewrites VALUES (?1, ?2, ?3, ?4, ?5)", row).unwrap();
        state.execute("UPDATE outputs SET length_bytes = ?1, tail_hash = ?2", old).unwrap();
    };
    let pending = || -> i64 {
        owned.state().query_row("SELECT count(*) FROM rewrites", [], |row| row.get(0)).unwrap()
    };
    // A scrub finishes it.
    for bytes in [&old_bytes, &new_bytes] {
        crash(bytes);
        owned.scrub(&[&file]).ends_with(0);
        assert_eq!((fs::read(&file).unwrap(), end(), pending()), (new_bytes.clone(), new, 0));
    }
    // A run does, and continues the file.
    crash(&new_bytes);
    owned.tail(&file, &["-n", "20"]);
    let expected = [owned.kept(0..100, 100), owned.kept(100..120, 100)].concat();
    assert_eq!((read(&file), pending()), (expected, 0));
    owned.scrub(&[&file]).ends_with(0);
    assert_eq!(read(&file), owned.kept(0..120, 120));
}

#[test]
fn a_run_continues_the_old_file_after_a_scrub_that_was_killed_before_the_rename() {
    let owned = Owned::new(200);
    let file = owned.file("a.ndjson");
    owned.tail(&file, &["-n", "100"]);
    let row = "INSERT INTO rewrites SELECT path, length_bytes, tail_hash, 1, 2 FROM outputs";
    owned.state().execute(row, []).unwrap();
    owned.tail(&file, &["-e"]);
    assert_eq!(read(&file), owned.recorded);
}

#[test]
fn what_a_killed_run_wrote_after_its_position_is_cut_off_first() {
    let owned = Owned::new(400);
    let file = owned.file("a.ndjson");
    owned.tail(&file, &["-n", "100"]);
    let saved = fs::metadata(&file).unwrap().len();
    let flags = owned.flags(&file, &["--checkpoint-every", "1h"]);
    let run = TailProcess::start(&owned.scratch.path(""), &flags);
    let patience = Instant::now() + PATIENCE;
    while fs::metadata(&file).unwrap().len() <= saved {
        assert!(Instant::now() < patience, "the run wrote nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.signal("KILL");
    run.wait();
    owned.scrub(&[&file]).ends_with(0).prints(&["removed 25 of 100 events"]);
    owned.tail(&file, &["-e"]);
    let expected = [owned.kept(0..100, 100), owned.kept(100..400, 100)].concat();
    assert_eq!(read(&file), expected);
}

#[test]
fn a_file_that_its_consumer_would_refuse_is_left() {
    let owned = Owned::new(100);
    let file = owned.file("a.ndjson");
    owned.tail(&file, &["-n", "50"]);
    let edited = fs::read_to_string(&file).unwrap().replace(&rev(0), &rev(1));
    fs::write(&file, &edited).unwrap();
    owned.scrub(&[&file]).ends_with(1).says(&["a.ndjson\" owns it", "name the right state file"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), edited);
}
