//! The newest lines of a part of a stream, within bounds.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::batch::CompactBatch;
use crate::event::event_id::{EventIdHasher, EventIdKey};
use crate::event::format::EventFormat;
use crate::sink::Tap;

/// Bytes of memory that a kept line needs beside its text: its allocation, its place in the queue,
/// and its event id.
const LINE_OVERHEAD_BYTES: usize = 64;

/// The newest lines that were pushed, at most `max_lines` of them within `max_bytes` of memory.
#[derive(Debug, Default)]
pub struct NewestLines {
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
    is_out_of_memory: bool,
}

impl NewestLines {
    pub fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { max_lines, max_bytes, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Returns whether `max_lines` lines were found, or no more fit into the memory.
    pub fn is_full(&self) -> bool {
        self.lines.len() >= self.max_lines || self.is_out_of_memory
    }

    /// Returns whether a line was dropped although fewer than `max_lines` were kept.
    pub fn is_out_of_memory(&self) -> bool {
        self.is_out_of_memory
    }

    pub fn push(&mut self, line: &[u8]) {
        self.bytes += line.len() + LINE_OVERHEAD_BYTES;
        self.lines.push_back(line.into());
        while self.lines.len() > self.max_lines || self.bytes > self.max_bytes {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.is_out_of_memory = self.lines.len() < self.max_lines;
            self.bytes -= oldest.len() + LINE_OVERHEAD_BYTES;
        }
    }

    /// Returns empty lines with the bounds that these leave for older lines.
    pub fn room_for_older(&self) -> Self {
        Self::new(self.max_lines - self.lines.len(), self.max_bytes.saturating_sub(self.bytes))
    }

    /// Puts older lines before these.
    pub fn prepend(&mut self, mut older: Self) {
        self.bytes += older.bytes;
        self.is_out_of_memory |= older.is_out_of_memory;
        older.lines.append(&mut self.lines);
        self.lines = older.lines;
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| &**line)
    }

    pub fn into_lines(self) -> VecDeque<Box<[u8]>> {
        self.lines
    }
}

/// Keeps the newest lines of a run, except for the events that are known.
#[derive(Debug)]
pub struct Collector {
    kept: Arc<Mutex<NewestLines>>,
    known: Arc<HashSet<u64>>,
    ids: EventIdHasher,
}

impl Collector {
    /// Returns a collector, and its result. The ids of `known` are of the same key.
    pub fn new(
        room: NewestLines,
        known: Arc<HashSet<u64>>,
        key: EventIdKey,
    ) -> (Self, Arc<Mutex<NewestLines>>) {
        let kept = Arc::new(Mutex::new(room));
        (Self { kept: Arc::clone(&kept), known, ids: EventIdHasher::new(key) }, kept)
    }
}

impl Tap for Collector {
    fn observe(&mut self, lines: &CompactBatch) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (i, line) in lines.iter().enumerate() {
            // The dedup stage has parsed every line that it emits.
            let header = lines.header(i).filter(|_| !self.known.is_empty());
            let id = header.map(|header| self.ids.of_line(&header, line));
            if !id.is_some_and(|id| self.known.contains(&id)) {
                kept.push(line);
            }
        }
    }
}

/// Returns the id of an event in either format.
pub fn event_id(ids: &mut EventIdHasher, line: &[u8]) -> Option<u64> {
    let header = EventFormat::V1.parse(line).or_else(|_| EventFormat::Native.parse(line));
    header.ok().map(|header| ids.of(&header))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(lines: &NewestLines) -> Vec<&str> {
        lines.iter().map(|line| std::str::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_and_older_ones_fill_the_room() {
        let mut newest = NewestLines::new(3, 1 << 20);
        ["c", "d"].iter().for_each(|line| newest.push(line.as_bytes()));
        let mut older = newest.room_for_older();
        ["a", "b"].iter().for_each(|line| older.push(line.as_bytes()));
        assert!(older.is_full() && !newest.is_full());
        newest.prepend(older);
        assert_eq!(text(&newest), ["b", "c", "d"]);
        assert!(newest.is_full() && !newest.is_out_of_memory());
        newest.push(b"e");
        assert_eq!(text(&newest), ["c", "d", "e"]);
        assert!(!newest.is_out_of_memory());
    }

    #[test]
    fn the_memory_is_bounded_and_its_end_is_known() {
        let max_bytes = 10 * (100 + LINE_OVERHEAD_BYTES);
        let mut newest = NewestLines::new(20, max_bytes);
        for n in 0..30 {
            newest.push(format!("{n:100}").as_bytes());
            assert!(newest.bytes <= max_bytes);
        }
        assert_eq!((newest.len(), newest.is_out_of_memory()), (10, true));
        assert_eq!(text(&newest).first().map(|line| line.trim()), Some("20"));
        newest.push(&vec![b'x'; max_bytes]);
        assert_eq!((newest.len(), newest.bytes), (0, 0));
        let mut older = newest.room_for_older();
        older.push(b"old");
        newest.prepend(older);
        assert!(newest.is_full());
    }
}
