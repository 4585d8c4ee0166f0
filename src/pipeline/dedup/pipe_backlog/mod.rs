//! The pipe backlog: events that the output pipe accepted and that nothing has read.
//!
//! If the reader of a pipe exits, the bytes in the pipe are gone although the write succeeded, up
//! to 256 KiB of events. So the position must lie before them when the run ends. On Linux the
//! kernel returns how many bytes of a pipe are unread; this folder knows which events those bytes
//! are:
//!
//! - [`PipeBacklog`] keeps the newest lines with their lengths, at most as many bytes as the pipe
//!   holds, and what to return to if a line is undone. It spans one change of server.
//! - `rollback` undoes the unread events at the end of a run.
//! - The dedup window can forget its newest events (`position::dedup_window::rollback`), and keeps
//!   older ones as long as a rollback may need them (`DedupWindow::settle`).
//! - The writer asks the sink once per checkpoint how much is unread, and at the end decides
//!   whether the reader is gone (`pipeline::writer::closed_pipe`).

mod rollback;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::position::{EventPosition, Seq, TimeUs};

/// Maximum number of lines. An output of `--jq` may be one byte long, or empty.
const MAX_LINES: usize = 16_384;

/// The position after an event, as a checkpoint would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Checkpointable {
    pub(super) at: EventPosition,
    /// The dedup key of the event, if this run wrote it.
    pub(super) identity: Option<u64>,
    /// The latest event time up to this event.
    pub(super) max_time: TimeUs,
}

/// One line of the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// An event of the stream.
    Stream(Checkpointable),
    /// An event of side history, which moves no position.
    Side(SideEvent),
}

/// An event of the history of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SideEvent {
    /// The number of the addition.
    pub(super) addition: u32,
    pub(super) seq: Seq,
}

/// What came before the first line of the backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predecessor {
    /// Nothing: the run began with that line.
    RunStart,
    /// An event of the same server.
    Event(Checkpointable),
    /// An event of another server, whose positions are not comparable.
    OtherServer,
}

/// What a rollback undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rollback {
    /// The number of events to undo, the newest ones.
    pub(super) events: usize,
    /// If the change of server is undone: the number of events after it, not counted in `events`.
    pub(super) after_change: Option<usize>,
    /// What the output ends with then; [`Predecessor::OtherServer`] right before the change.
    pub(super) predecessor: Predecessor,
    /// The number of events of side history to undo.
    pub(super) side_events: usize,
    /// The oldest one of them.
    pub(super) oldest_side: Option<SideEvent>,
}

/// The lines of one server, each with its length.
#[derive(Debug)]
struct ServerSegment {
    lines: VecDeque<(Entry, usize)>,
    /// How many of the lines are of side history.
    side_events: usize,
    before: Predecessor,
}

/// The lines that may still lie unread in the pipe.
#[derive(Debug)]
pub(super) struct PipeBacklog {
    /// The capacity of the pipe; 0 if the output is no pipe.
    pipe_bytes: usize,
    /// The events of the staged batch, in the order of its lines.
    staged: Vec<Entry>,
    current: ServerSegment,
    /// The lines of the server before the current one.
    previous: Option<ServerSegment>,
    /// The sum of the lengths of all lines.
    bytes: usize,
    /// Bytes of a line after all others that the pipe accepted in part.
    torn_bytes: usize,
}

impl ServerSegment {
    fn new(before: Predecessor) -> Self {
        Self { lines: VecDeque::new(), side_events: 0, before }
    }

    fn push(&mut self, entry: Entry, length: usize) {
        self.side_events += usize::from(matches!(entry, Entry::Side(_)));
        self.lines.push_back((entry, length));
    }

    /// Removes the oldest line. Returns whether it was side history.
    fn drop_oldest(&mut self) -> bool {
        match self.lines.pop_front() {
            Some((Entry::Stream(place), _)) => self.before = Predecessor::Event(place),
            Some((Entry::Side(_), _)) => {
                self.side_events -= 1;
                return true;
            }
            None => {}
        }
        false
    }

    /// Returns the oldest event of the stream.
    fn first(&self) -> Option<Checkpointable> {
        self.lines.iter().find_map(|(entry, _)| entry.stream())
    }

    /// Removes the newest lines until the sum of their bytes, over all segments, reaches
    /// `unread_bytes`. Returns the number of events of the stream.
    fn rollback(&mut self, unread_bytes: usize, undone: &mut Undone) -> usize {
        let mut events = 0;
        while undone.bytes < unread_bytes
            && let Some((entry, length)) = self.lines.pop_back()
        {
            undone.bytes += length;
            match entry {
                Entry::Stream(_) => events += 1,
                Entry::Side(side) => {
                    self.side_events -= 1;
                    undone.side_events += 1;
                    undone.oldest_side = Some(side);
                }
            }
        }
        events
    }

    /// Returns what the segment ends with.
    fn end(&self) -> Predecessor {
        let last = self.lines.iter().rev().find_map(|(entry, _)| entry.stream());
        last.map_or(self.before, Predecessor::Event)
    }
}

impl Entry {
    fn stream(&self) -> Option<Checkpointable> {
        match self {
            Self::Stream(place) => Some(*place),
            Self::Side(_) => None,
        }
    }
}

/// The lines that a rollback has removed.
#[derive(Debug, Default)]
struct Undone {
    bytes: usize,
    side_events: usize,
    oldest_side: Option<SideEvent>,
}

impl PipeBacklog {
    pub(super) fn new(before: Predecessor) -> Self {
        Self {
            pipe_bytes: 0,
            staged: Vec::new(),
            current: ServerSegment::new(before),
            previous: None,
            bytes: 0,
            torn_bytes: 0,
        }
    }

    /// Enables the backlog for a pipe of this capacity.
    pub(super) fn enable(&mut self, pipe_bytes: usize) {
        self.pipe_bytes = pipe_bytes;
    }

    /// Returns whether the output is a pipe.
    pub(super) fn is_enabled(&self) -> bool {
        self.pipe_bytes > 0
    }

    pub(super) fn begin_batch(&mut self) {
        self.staged.clear();
    }

    /// Notes the next event of the staged batch.
    #[inline]
    pub(super) fn stage(&mut self, at: EventPosition, identity: u64, max_time: TimeUs) {
        if self.is_enabled() {
            let identity = Some(identity);
            self.staged.push(Entry::Stream(Checkpointable { at, identity, max_time }));
        }
    }

    /// Notes the next event of the staged batch, if that is side history.
    pub(super) fn stage_side(&mut self, event: SideEvent) {
        if self.is_enabled() {
            self.staged.push(Entry::Side(event));
        }
    }

    /// Notes that the pipe accepted the first events of the staged batch, with these lengths, and
    /// `torn_bytes` of the next one.
    pub(super) fn sent(&mut self, lengths: impl Iterator<Item = usize>, torn_bytes: usize) {
        for (place, length) in self.staged.iter().zip(lengths) {
            self.current.push(*place, length);
            self.bytes += length;
        }
        self.torn_bytes = torn_bytes;
        self.drop_read(self.pipe_bytes);
    }

    /// Notes that at most the last `bytes` of all that the pipe accepted are unread.
    pub(super) fn was_read(&mut self, bytes: usize) {
        self.drop_read(bytes.saturating_sub(self.torn_bytes));
    }

    /// Drops the oldest lines as long as the rest has `bytes`.
    fn drop_read(&mut self, bytes: usize) {
        loop {
            let previous = self.previous.as_mut().filter(|segment| !segment.lines.is_empty());
            let is_current = previous.is_none();
            let segment = previous.unwrap_or(&mut self.current);
            let Some(&(_, length)) = segment.lines.front() else { return };
            if self.bytes - length < bytes && segment.lines.len() <= MAX_LINES {
                return;
            }
            let is_side = segment.drop_oldest();
            self.bytes -= length;
            if is_current && !is_side {
                // A rollback ends within this server from now on.
                self.previous = None;
            }
        }
    }

    /// Returns the number of lines of this server that may be unread, and the latest event time at
    /// the first of them.
    pub(super) fn oldest(&self) -> Option<(usize, TimeUs)> {
        let first = self.current.first()?;
        Some((self.current.lines.len() - self.current.side_events, first.max_time))
    }

    /// Starts the segment of another server.
    pub(super) fn change_server(&mut self) {
        let previous =
            std::mem::replace(&mut self.current, ServerSegment::new(Predecessor::OtherServer));
        self.previous = Some(previous);
        self.bytes =
            self.previous.iter().flat_map(|segment| &segment.lines).map(|(_, length)| length).sum();
    }

    /// Returns whether a rollback may have to undo a change of server.
    pub(super) fn reaches_change(&self) -> bool {
        self.previous.is_some()
    }

    /// Removes the events of the last `bytes` that the pipe accepted: nothing will read them. An
    /// event counts as read with its last byte.
    pub(super) fn rollback(&mut self, bytes: usize) -> Option<Rollback> {
        let unread_bytes = bytes.saturating_sub(self.torn_bytes);
        let mut undone = Undone::default();
        let mut events = self.current.rollback(unread_bytes, &mut undone);
        let (mut after_change, mut before) = (None, self.current.end());
        if before == Predecessor::OtherServer {
            let previous = self.previous.as_mut()?;
            let first = previous.first().map(Predecessor::Event);
            after_change = Some(events);
            events = previous.rollback(unread_bytes, &mut undone);
            if events > 0 {
                before = previous.end();
            }
            // Two changes of server within one pipe: the run needs an event to continue from, so
            // the first line between them stays.
            if let (true, Predecessor::OtherServer, Some(first)) = (events > 0, before, first) {
                events -= 1;
                before = first;
            }
        }
        let Undone { bytes, side_events, oldest_side } = undone;
        self.bytes = self.bytes.saturating_sub(bytes);
        self.torn_bytes = 0;
        let is_any = events + after_change.unwrap_or(0) + side_events > 0;
        let predecessor = before;
        let rollback = Rollback { events, after_change, predecessor, side_events, oldest_side };
        is_any.then_some(rollback)
    }
}
