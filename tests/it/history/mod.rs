//! `skytail tail` and the archive: the whole history, in order, and then the live stream
//! (protocol/jetstream-v2-archive.md; "§" is a section of it). The server is `skytail serve` over
//! real sockets.

mod addition_outputs;
mod additions;
mod budget;
mod chaos;
mod cutover;
mod keys;
mod kills;
mod left_out;
mod plan;
mod prefer;
mod scripts;
mod stripes;
mod whole;

use std::path::PathBuf;

use skytail::archive::line::LineWriter;
use skytail::archive::write::convert::RowBuf;
use skytail::event::format::EventFormat;

use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{Scratch, ServeProcess, events};

/// The first seq of a recording.
pub const FIRST_SEQ: u64 = 100;

/// Returns an event as the archive and the stream of such a server send it: with the record's own
/// CID.
pub fn canonical(line: &str, shape: EventFormat) -> String {
    let row = RowBuf::from_line(line.as_bytes(), None).unwrap();
    let mut out = Vec::new();
    LineWriter::new().append(&row.as_row(), shape, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// A server whose stream holds only the newest events; the archive has the rest.
pub struct Fixture {
    pub scratch: Scratch,
    /// All events of the server.
    pub recorded: Vec<String>,
    /// The recording file that holds them.
    pub recording: PathBuf,
    pub server: ServeProcess,
    pub host: String,
}

impl Fixture {
    /// Starts a server with `count` events in segments of ten blocks of 50, and 500 of them in its
    /// stream.
    pub fn new(count: u64, flags: &[&str]) -> Self {
        Self::of_sizes(count, 500, 50, flags)
    }

    /// Like [`Fixture::new`], with other sizes of segments and blocks.
    pub fn of_sizes(count: u64, segment: u64, block: u64, flags: &[&str]) -> Self {
        let (segment, block) = (segment.to_string(), block.to_string());
        let sizes = [
            "--archive-segment-events",
            &*segment,
            "--archive-block-events",
            &*block,
            "--retention-events",
            &*segment,
        ];
        Self::of(&events(count, true), &[&sizes[..], flags].concat())
    }

    /// Starts a server for these events.
    pub fn of(events: &[String], flags: &[&str]) -> Self {
        let scratch = Scratch::new();
        let recorded: Vec<String> =
            events.iter().map(|line| canonical(line, EventFormat::V1)).collect();
        let recording = scratch.recording(&recorded);
        let server = ServeProcess::start(&recording, flags);
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

    /// Runs to the end of the recording, without saved state.
    pub fn run(&self, more: &[&str]) -> Ended {
        let home = Scratch::new();
        tail(&home.path(""), &self.flags(more))
    }

    /// Runs to the end with exit code 0, and returns stdout and stderr.
    #[track_caller]
    pub fn run_ok(&self, more: &[&str]) -> (Vec<String>, String) {
        let ended = self.run(more);
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        (without_line_feeds(ended.rest), ended.stderr)
    }
}

/// Calls `work` for all items in parallel, because each call mostly waits.
pub fn in_parallel<T: Sync>(all: &[T], work: impl Fn(&T) + Sync) {
    let work = &work;
    std::thread::scope(|scope| {
        for one in all {
            scope.spawn(move || work(one));
        }
    });
}

/// Returns the lines without their line feeds.
pub fn without_line_feeds(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().map(|line| line.trim_end_matches('\n').to_owned()).collect()
}

/// Fails with a short message unless the two are equal.
#[track_caller]
pub fn assert_same(printed: &[String], expected: &[String]) {
    let first = printed.iter().zip(expected).position(|(a, b)| a != b);
    let at = first.map(|i| (i, &printed[i], &expected[i]));
    assert_eq!((at, printed.len()), (None, expected.len()));
}
