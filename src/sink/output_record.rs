//! What a checkpoint records of an output, and the hash that identifies a file.

use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::broker::target;
use crate::position::TimeUs;

/// How many bytes at the end of a file the hash covers: enough to distinguish one stream of events
/// from any other, and few enough to read at each start.
pub const TAIL_BYTES: usize = 64 * 1024;

/// How a run left an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// A run writes it, or was killed. Bytes after the recorded length are ours and are truncated;
    /// messages after the recorded offset are ours and are not published again.
    Open,
    /// A later file has begun.
    Done,
    /// A run ended with exactly this length or offset.
    Clean,
    /// The file was converted to Parquet, and its row is to be removed.
    Gone,
}

impl OutputState {
    /// Returns the word in the state file and in `skytail cursors show`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Done => "done",
            Self::Clean => "clean",
            Self::Gone => "gone",
        }
    }
}

/// A file that a consumer writes, or a partition of a broker's stream, at a checkpoint. The state
/// file keeps files in `outputs` and partitions in `broker_offsets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputRecord {
    /// The absolute path of a file; of a partition `TARGET#PARTITION`.
    pub path: PathBuf,
    /// The absolute name with its time fields not filled in; of a partition its target.
    pub pattern: String,
    /// The word for the rotation policy; `None` for a single file.
    pub rotation: Option<String>,
    /// How it was left.
    pub state: OutputState,
    /// Length of the file at the saved position; of a partition the offset after the last message
    /// that the saved position covers.
    pub length_bytes: u64,
    /// xxh3 of the last [`TAIL_BYTES`] before that length; 0 for a partition.
    pub tail_hash: u64,
    /// The instant in the name of the file.
    pub period_start: Option<TimeUs>,
    /// The number in the name of the file, 0 for none; the number of a partition.
    pub number: u32,
}

/// Where a file ends: its length, and the hash of its last bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileEnd {
    /// Its length in bytes.
    pub length_bytes: u64,
    /// xxh3 of its last [`TAIL_BYTES`].
    pub tail_hash: u64,
}

impl OutputRecord {
    /// Returns where the file ends at the saved position.
    #[must_use]
    pub fn end(&self) -> FileEnd {
        FileEnd { length_bytes: self.length_bytes, tail_hash: self.tail_hash }
    }

    /// Returns the record of a partition that a run publishes to.
    #[must_use]
    pub fn partition(target: &str, partition: u32, next_offset: u64) -> Self {
        Self {
            path: PathBuf::from(format!("{target}#{partition}")),
            pattern: target.to_owned(),
            rotation: None,
            state: OutputState::Open,
            length_bytes: next_offset,
            tail_hash: 0,
            period_start: None,
            number: partition,
        }
    }

    /// Returns whether this is a partition of a broker's stream and not a file.
    #[must_use]
    pub fn is_broker(&self) -> bool {
        // The path of a file is absolute, and so is the name that it was made from.
        target::parse(&self.pattern).is_ok()
    }
}

/// The last bytes of a file that is being written, to hash at each checkpoint.
#[derive(Debug, Default)]
pub struct FileTail(Vec<u8>);

impl FileTail {
    /// Returns the tail of an existing file from its last bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Adds bytes that were appended to the file.
    pub fn push(&mut self, written: &[u8]) {
        if written.len() >= TAIL_BYTES {
            self.0.clear();
        }
        let from = written.len().saturating_sub(TAIL_BYTES);
        self.0.extend_from_slice(written.get(from..).unwrap_or_default());
        // Dropping old bytes only now and then keeps small writes cheap.
        if self.0.len() > 4 * TAIL_BYTES {
            self.0.drain(..self.0.len() - TAIL_BYTES);
        }
    }

    /// Returns xxh3 of the last [`TAIL_BYTES`].
    #[must_use]
    pub fn hash(&self) -> u64 {
        let from = self.0.len().saturating_sub(TAIL_BYTES);
        xxh3_64(self.0.get(from..).unwrap_or_default())
    }

    /// Returns the last byte of the file.
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
