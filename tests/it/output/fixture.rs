//! A recording, a server for it, and a directory of output files to compare with it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{FIRST_US, PATIENCE, Scratch, ServeProcess};

const FIRST_SEQ: u64 = 5000;

/// The recording, its server, and the directory of a test's outputs and state file.
pub struct Fixture {
    pub scratch: Scratch,
    pub recorded: Vec<String>,
    pub host: String,
    /// The directory of the output, unless a test chooses another.
    pub files: PathBuf,
    _server: ServeProcess,
}

/// A row of the state file.
#[derive(Debug)]
pub struct Row {
    pub path: PathBuf,
    pub length: i64,
    pub state: String,
}

impl Fixture {
    /// Makes a recording of `count` events of about a kilobyte, `step_us` apart.
    pub fn new(count: u64, step_us: u64) -> Self {
        let scratch = Scratch::new();
        let recorded = events(count, step_us);
        let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
        let files = scratch.path("files");
        fs::create_dir(&files).unwrap();
        Self { scratch, recorded, host: server.address.to_string(), files, _server: server }
    }

    /// Returns the path of an output file.
    pub fn file(&self, name: &str) -> String {
        self.files.join(name).to_str().unwrap().to_owned()
    }

    /// Returns the flags of a run that resumes the last one and ends with the recording.
    pub fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut flags = vec!["--host", &*self.host, "--cursor", "auto", "--consumer", "c"];
        flags.extend(["--exit-when-live", "--rewind", "1s"]);
        flags.extend(more);
        flags
    }

    pub fn start(&self, more: &[&str]) -> TailProcess {
        TailProcess::start(&self.scratch.path(""), &self.flags(more))
    }

    /// Runs to the end of the recording.
    pub fn run(&self, more: &[&str]) -> Ended {
        tail(&self.scratch.path(""), &self.flags(more))
    }

    /// Runs to the end, with exit code 0.
    #[track_caller]
    pub fn run_ok(&self, more: &[&str]) -> Ended {
        let ended = self.run(more);
        assert_eq!((ended.code(), ended.rest.len()), (0, 0), "{}", ended.stderr);
        ended
    }

    /// Waits until the files together hold `bytes`, or the run has ended.
    pub fn wait_for_bytes(&self, bytes: u64) {
        let patience = Instant::now() + PATIENCE;
        while self.bytes() < bytes {
            assert!(Instant::now() < patience, "only {} bytes came", self.bytes());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Returns the total size of the files, in bytes.
    pub fn bytes(&self) -> u64 {
        self.names().iter().map(|path| fs::metadata(path).map_or(0, |m| m.len())).sum()
    }

    /// Returns the files in the order of their creation.
    pub fn names(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.files).unwrap();
        let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        names.sort_by_key(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let number = name.split('.').find_map(|part| part.parse::<u32>().ok());
            (name.split('.').next().unwrap().to_owned(), number.unwrap_or(0))
        });
        names
    }

    /// Returns the rows of the files in the state file, oldest first.
    pub fn rows(&self) -> Vec<Row> {
        let state = Connection::open(self.scratch.path("state.db")).unwrap();
        let sql = "SELECT path, length_bytes, state FROM outputs ORDER BY ordinal";
        let mut rows = state.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| {
            Ok(Row {
                path: PathBuf::from(row.get::<_, String>(0)?),
                length: row.get(1)?,
                state: row.get(2)?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Returns the number of events before the saved position.
    pub fn saved(&self) -> usize {
        let state = Connection::open(self.scratch.path("state.db")).unwrap();
        let sql = "SELECT newest_seq FROM consumers";
        let seq: Option<i64> = state.query_row(sql, [], |row| row.get(0)).ok();
        seq.map_or(0, |seq| usize::try_from(seq - FIRST_SEQ.cast_signed() + 1).unwrap())
    }

    /// Returns the seq at which a run without a saved position would begin.
    pub fn start_seq(&self) -> Option<i64> {
        let state = Connection::open(self.scratch.path("state.db")).unwrap();
        state.query_row("SELECT set_seq FROM consumers", [], |row| row.get(0)).unwrap()
    }

    /// Fails unless the files, up to the lengths in the state file, are the recording up to the
    /// saved position.
    #[track_caller]
    pub fn assert_state_matches_files(&self) {
        let mut plain = Vec::new();
        for row in self.rows() {
            let bytes = fs::read(&row.path).unwrap_or_default();
            let length = usize::try_from(row.length).unwrap();
            assert!(bytes.len() >= length, "{row:?}, but {} bytes", bytes.len());
            plain.extend(unpacked(&row.path, &bytes[..length]));
        }
        self.assert_is_recording(&plain, self.saved());
    }

    /// Fails unless the files together are the first `count` events of the recording.
    #[track_caller]
    pub fn assert_files_hold(&self, count: usize) {
        let files = self.names();
        let plain: Vec<u8> =
            files.iter().flat_map(|path| unpacked(path, &fs::read(path).unwrap())).collect();
        self.assert_is_recording(&plain, count);
    }

    #[track_caller]
    pub fn assert_files_are_the_recording(&self) {
        self.assert_files_hold(self.recorded.len());
    }

    #[track_caller]
    fn assert_is_recording(&self, plain: &[u8], count: usize) {
        let expected: Vec<u8> = self.recorded[..count]
            .iter()
            .flat_map(|line| [line.as_bytes(), b"\n"].concat())
            .collect();
        let same = plain.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        assert!(
            plain == expected,
            "{} bytes in place of {}, the same up to byte {same}",
            plain.len(),
            expected.len(),
        );
    }

    /// Runs SQL on the state file.
    pub fn sql(&self, sql: &str) {
        Connection::open(self.scratch.path("state.db")).unwrap().execute_batch(sql).unwrap();
    }
}

/// Returns the lines of a file, decompressed according to its name.
pub fn unpacked(path: &Path, bytes: &[u8]) -> Vec<u8> {
    // A file without a frame is not a zstd file, and is empty.
    if bytes.is_empty() || path.extension().is_none_or(|extension| extension != "zst") {
        return bytes.to_vec();
    }
    let mut plain = Vec::new();
    let mut decoder = zstd::stream::read::Decoder::new(bytes).unwrap();
    decoder.read_to_end(&mut plain).expect("sound zstd frames");
    plain
}

/// Every third event has the time of the one before, every 50th one of an hour earlier. Half of the
/// bytes are noise, so that compression can't remove them.
fn events(count: u64, step_us: u64) -> Vec<String> {
    let mut noise = 1_u64;
    let mut next = || {
        noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        format!("{noise:016x}")
    };
    let mut event = |i: u64| {
        let imported = if i % 50 == 49 { 3_600_000_000 } else { 0 };
        let time_us = FIRST_US + (i - u64::from(i % 3 == 1)) * step_us - imported;
        let (did, seq) = (i % 7, FIRST_SEQ + i);
        let text: String = (0..44).map(|_| next()).collect();
        format!(
            r#"{{"did":"did:plc:d{did}","time_us":{time_us},"cursor":{seq},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}","record":{{"$type":"app.bsky.feed.post","text":"{text}"}},"cid":"bafyrei{i}"}}}}"#,
        )
    };
    (0..count).map(&mut event).collect()
}
