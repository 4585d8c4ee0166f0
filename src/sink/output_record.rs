//! What is remembered of a file between runs, and the hash by which it is known again.

use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::broker::target;
use crate::position::TimeUs;

/// How much of a file's end the hash covers. Enough to tell one stream of events from any
/// other, and read in no time at a start.
pub const TAIL_BYTES: usize = 64 * 1024;

/// What a run left a file in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// It is being written, or a run was killed: what lies beyond the length is ours, and
    /// is cut off.
    Open,
    /// A later file has begun.
    Done,
    /// A run ended cleanly at exactly this length.
    Clean,
}

impl OutputState {
    /// The word for people and for the state file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Clean => "clean",
        }
    }
}

/// One file that a consumer writes, as the state file knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRecord {
    /// The file, absolute.
    pub path: PathBuf,
    /// The name it was made from, absolute, its fields not filled in.
    pub pattern: String,
    /// The word for how files follow each other; `None` for a single file.
    pub rotation: Option<String>,
    /// How it was left.
    pub state: OutputState,
    /// Its length at the saved position.
    pub length_bytes: u64,
    /// The hash of the last [`TAIL_BYTES`] of it.
    pub tail_hash: u64,
    /// The instant in its name.
    pub period_start: Option<TimeUs>,
    /// The number in its name; 0 for none.
    pub number: u32,
}

impl OutputRecord {
    /// Whether it is no file but (a partition of) a broker's stream. The length is then the
    /// number of the message behind the last one that the saved position covers.
    #[must_use]
    pub fn is_broker(&self) -> bool {
        // The path of a file is absolute, and so is the name that it was made from.
        target::parse(&self.pattern).is_ok()
    }
}

/// The end of a file that is being written.
#[derive(Debug, Default)]
pub struct FileTail(Vec<u8>);

impl FileTail {
    /// The end of a file that exists already.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Notes what was written.
    pub fn push(&mut self, written: &[u8]) {
        if written.len() >= TAIL_BYTES {
            self.0.clear();
        }
        let from = written.len().saturating_sub(TAIL_BYTES);
        self.0.extend_from_slice(written.get(from..).unwrap_or_default());
        // Moved down only once in a while, so that small writes stay cheap.
        if self.0.len() > 4 * TAIL_BYTES {
            self.0.drain(..self.0.len() - TAIL_BYTES);
        }
    }

    /// The hash of the last [`TAIL_BYTES`].
    #[must_use]
    pub fn hash(&self) -> u64 {
        let from = self.0.len().saturating_sub(TAIL_BYTES);
        xxh3_64(self.0.get(from..).unwrap_or_default())
    }

    /// The last byte.
    #[must_use]
    pub fn last(&self) -> Option<u8> {
        self.0.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_end_however_it_was_written() {
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|i| (i / 3) as u8).collect();
        for step in [1_000, 65_535, 65_536, 65_537, 300_000, 1_000_000] {
            let mut tail = FileTail::default();
            let mut done = 0;
            for chunk in bytes.chunks(step) {
                tail.push(chunk);
                done += chunk.len();
                let end = &bytes[done.saturating_sub(TAIL_BYTES)..done];
                assert_eq!(tail.hash(), xxh3_64(end), "{step} {done}");
            }
        }
        assert_eq!(FileTail::default().hash(), FileTail::new(vec![]).hash());
    }
}
