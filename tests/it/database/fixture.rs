//! A recording, a server for it, and a database to compare with a fold of it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use crate::support::fold::{self, Fold};
use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{FIRST_US, PATIENCE, Scratch, ServeProcess};

pub const FIRST_SEQ: u64 = 5_000;

pub struct Fixture {
    pub scratch: Scratch,
    pub recorded: Vec<String>,
    pub host: String,
    _server: ServeProcess,
}

impl Fixture {
    /// Serves a recording of `count` events.
    pub fn new(count: u64) -> Self {
        Self::of(fold::events(count, FIRST_US, 5_000, FIRST_SEQ, false), &[])
    }

    /// Serves a recording with these flags of `skytail serve`.
    pub fn of(recorded: Vec<String>, flags: &[&str]) -> Self {
        let scratch = Scratch::new();
        let server = ServeProcess::start(&scratch.recording(&recorded), flags);
        Self { scratch, recorded, host: server.address.to_string(), _server: server }
    }

    pub fn database(&self) -> PathBuf {
        self.scratch.path("out.db")
    }

    /// Returns the flags of a run that resumes the last one and ends with the recording.
    pub fn flags(&self, more: &[&str]) -> Vec<String> {
        let to = format!("sqlite:{}", self.database().display());
        let mut flags = vec!["--host", &*self.host, "--from", "oldest", "--exit-when-live"];
        flags.extend(["--rewind", "1s"]);
        if !more.contains(&"--to") {
            flags.extend(["--to", &*to]);
        }
        flags.extend(more);
        flags.into_iter().map(str::to_owned).collect()
    }

    /// Starts a run that continues at the live stream and ends only by a signal.
    pub fn follow(&self, more: &[&str]) -> TailProcess {
        let mut flags = self.flags(more);
        flags.retain(|flag| flag != "--exit-when-live");
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        TailProcess::start(&self.scratch.path(""), &flags)
    }

    pub fn run(&self, more: &[&str]) -> Ended {
        let flags = self.flags(more);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        tail(&self.scratch.path(""), &flags)
    }

    /// Runs to the end, with exit code 0.
    #[track_caller]
    pub fn run_ok(&self, more: &[&str]) -> Ended {
        let ended = self.run(more);
        assert_eq!((ended.code(), ended.rest.len()), (0, 0), "{}", ended.stderr);
        ended
    }

    /// Returns the number of events before the position in a database; 0 without one.
    pub fn committed(&self, path: &Path) -> u64 {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let seq = Connection::open_with_flags(path, flags).and_then(|database| {
            let sql = "SELECT newest_seq FROM skytail_position";
            database.query_row(sql, [], |row| row.get::<_, Option<i64>>(0))
        });
        seq.ok().flatten().map_or(0, |seq| seq.cast_unsigned() - FIRST_SEQ + 1)
    }

    /// Waits until that many events are committed.
    pub fn wait_for(&self, events: u64) {
        let patience = Instant::now() + PATIENCE;
        while self.committed(&self.database()) < events {
            assert!(Instant::now() < patience, "{} came", self.committed(&self.database()));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Fails unless a database holds the fold of the events before its position.
    #[track_caller]
    pub fn assert_is_fold(&self, path: &Path) {
        let count = usize::try_from(self.committed(path)).unwrap();
        let lines = self.recorded[..count].iter().map(String::as_str);
        fold::assert_equal(path, &Fold::of(lines));
    }

    /// Fails unless the database holds the fold of the whole recording.
    #[track_caller]
    pub fn assert_is_complete(&self) {
        assert_eq!(self.committed(&self.database()), self.recorded.len() as u64);
        self.assert_is_fold(&self.database());
    }
}

/// Returns the first column of a query, as text.
pub fn query(path: &Path, sql: &str) -> Vec<String> {
    let database = Connection::open(path).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let text = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
    let rows = statement.query_map([], text).unwrap();
    rows.map(|value| match value.unwrap() {
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Null => "-".to_owned(),
        other => format!("{other:?}"),
    })
    .collect()
}
