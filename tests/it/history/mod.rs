//! `skytail tail` and the archive: the whole history, in order, and then the live stream
//! (protocol/jetstream-v2-archive.md; "§" is a section of it). The server is `skytail serve`
//! over real sockets.

mod chaos;
mod cutover;
mod keys;
mod kills;
mod left_out;
mod scripts;
mod whole;

use std::path::PathBuf;

use skytail::archive::line::{LineWriter, Shape};
use skytail::archive::write::convert::RowBuf;

use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{Scratch, ServeProcess, events};

/// The first seq of a recording.
pub const FIRST_SEQ: u64 = 100;

/// An event as the archive tells it, which is how a stream tells it, too: with the record's
/// own CID.
pub fn canonical(line: &str, shape: Shape) -> String {
    let row = RowBuf::from_line(line.as_bytes(), None).unwrap();
    let mut out = Vec::new();
    LineWriter::new().append(&row.as_row(), shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A server of which only the newest few events can be had live.
pub struct Fixture {
    /// Where everything lies.
    pub scratch: Scratch,
    /// What the server tells, in both of its places.
    pub recorded: Vec<String>,
    /// The file of that.
    pub recording: PathBuf,
    /// The server.
    pub server: ServeProcess,
    /// Its name.
    pub host: String,
}

impl Fixture {
    /// `count` events in segments of ten blocks of 50, and 500 of them live.
    pub fn new(count: u64, flags: &[&str]) -> Self {
        Self::of_sizes(count, 500, 50, flags)
    }

    /// The same in segments and blocks of other sizes.
    pub fn of_sizes(count: u64, segment: u64, block: u64, flags: &[&str]) -> Self {
        let scratch = Scratch::new();
        let recorded: Vec<String> =
            events(count, true).iter().map(|line| canonical(line, Shape::V1)).collect();
        let recording = scratch.recording(&recorded);
        let (segment, block) = (segment.to_string(), block.to_string());
        let sizes = [
            "--archive-segment-events",
            &*segment,
            "--archive-block-events",
            &*block,
            "--retention-events",
            &*segment,
        ];
        let server = ServeProcess::start(&recording, &[&sizes[..], flags].concat());
        let host = server.address.to_string();
        Self { scratch, recorded, recording, server, host }
    }

    fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--host", &*self.host, "--protocol", "v2", "--exit-when-live"][..], more].concat()
    }

    /// Starts a run that ends with the recording.
    pub fn start(&self, more: &[&str]) -> TailProcess {
        TailProcess::start(&self.scratch.path(""), &self.flags(more))
    }

    /// Runs to the end of the recording, each time as if it were the first.
    pub fn run(&self, more: &[&str]) -> Ended {
        let home = Scratch::new();
        tail(&home.path(""), &self.flags(more))
    }

    /// Runs to a good end, and gives what was printed and what was said.
    #[track_caller]
    pub fn run_well(&self, more: &[&str]) -> (Vec<String>, String) {
        let ended = self.run(more);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        (bare(ended.rest), ended.stderr)
    }
}

/// Does something for each of these, all at once: most of it is waiting.
pub fn at_once<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let work = &work;
    std::thread::scope(|scope| {
        for one in all {
            scope.spawn(move || work(one));
        }
    });
}

/// Lines without their line feeds.
pub fn bare(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| line.trim_end_matches('\n').to_owned()).collect()
}

/// Fails unless the two are the same; the message is short.
#[track_caller]
pub fn assert_same(printed: &[String], expected: &[String]) {
    let first = printed.iter().zip(expected).position(|(a, b)| a != b);
    let at = first.map(|i| (i, &printed[i], &expected[i]));
    assert_eq!((at, printed.len()), (None, expected.len()));
}
