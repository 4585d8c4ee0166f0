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

use std::collections::VecDeque;

use crate::position::{EventPosition, TimeUs};

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
}

/// The lines of one server, each with its length.
#[derive(Debug)]
struct ServerSegment {
    lines: VecDeque<(Checkpointable, usize)>,
    before: Predecessor,
}

/// The lines that may still lie unread in the pipe.
#[derive(Debug)]
pub(super) struct PipeBacklog {
    /// The capacity of the pipe; 0 if the output is no pipe.
    pipe_bytes: usize,
    /// The events of the staged batch, in the order of its lines.
    staged: Vec<Checkpointable>,
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
        Self { lines: VecDeque::new(), before }
    }

    /// Removes the newest lines until `removed_bytes`, the sum over all segments, reaches
    /// `unread_bytes`. Returns the number of lines.
    fn rollback(&mut self, unread_bytes: usize, removed_bytes: &mut usize) -> usize {
        let before = self.lines.len();
        while *removed_bytes < unread_bytes
            && let Some((_, length)) = self.lines.pop_back()
        {
            *removed_bytes += length;
        }
        before - self.lines.len()
    }

    /// Returns what the segment ends with.
    fn end(&self) -> Predecessor {
        self.lines.back().map_or(self.before, |(place, _)| Predecessor::Event(*place))
    }
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
            self.staged.push(Checkpointable { at, identity: Some(identity), max_time });
        }
    }

    /// Notes that the pipe accepted the first events of the staged batch, with these lengths, and
    /// `torn_bytes` of the next one.
    pub(super) fn sent(&mut self, lengths: impl Iterator<Item = usize>, torn_bytes: usize) {
        for (place, length) in self.staged.iter().zip(lengths) {
            self.current.lines.push_back((*place, length));
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
            let Some(&(place, length)) = segment.lines.front() else { return };
            if self.bytes - length < bytes && segment.lines.len() <= MAX_LINES {
                return;
            }
            segment.lines.pop_front();
            segment.before = Predecessor::Event(place);
            self.bytes -= length;
            if is_current {
                // A rollback ends within this server from now on.
                self.previous = None;
            }
        }
    }

    /// Returns the number of lines of this server that may be unread, and the latest event time at
    /// the first of them.
    pub(super) fn oldest(&self) -> Option<(usize, TimeUs)> {
        self.current.lines.front().map(|(place, _)| (self.current.lines.len(), place.max_time))
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
        let mut removed_bytes = 0;
        let mut events = self.current.rollback(unread_bytes, &mut removed_bytes);
        let (mut after_change, mut before) = (None, self.current.end());
        if before == Predecessor::OtherServer {
            let previous = self.previous.as_mut()?;
            let first = previous.lines.front().map(|(place, _)| Predecessor::Event(*place));
            after_change = Some(events);
            events = previous.rollback(unread_bytes, &mut removed_bytes);
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
        self.bytes = self.bytes.saturating_sub(removed_bytes);
        self.torn_bytes = 0;
        let is_any = events + after_change.unwrap_or(0) > 0;
        is_any.then_some(Rollback { events, after_change, predecessor: before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(n: u64) -> EventPosition {
        EventPosition { time: TimeUs(n), seq: None }
    }

    fn known(n: u64) -> Predecessor {
        Predecessor::Event(Checkpointable { at: mark(n), identity: Some(n), max_time: TimeUs(n) })
    }

    fn backlog(before: Predecessor, lengths: &[usize]) -> PipeBacklog {
        let mut unread = PipeBacklog::new(before);
        unread.enable(100);
        for (n, length) in lengths.iter().enumerate() {
            unread.begin_batch();
            unread.stage(mark(n as u64), n as u64, TimeUs(n as u64));
            unread.sent(std::iter::once(*length), 0);
        }
        unread
    }

    #[test]
    fn an_event_counts_as_read_with_its_last_byte() {
        let rollback = |bytes| backlog(Predecessor::RunStart, &[10, 10, 10]).rollback(bytes);
        let back =
            |events, before| Some(Rollback { events, after_change: None, predecessor: before });
        assert_eq!(rollback(0), None);
        assert_eq!(rollback(1), back(1, known(1)));
        assert_eq!(rollback(10), back(1, known(1)));
        assert_eq!(rollback(11), back(2, known(0)));
        assert_eq!(rollback(30), back(3, Predecessor::RunStart));
    }

    #[test]
    fn a_part_of_a_line_is_no_event() {
        let mut some = backlog(Predecessor::RunStart, &[10]);
        some.begin_batch();
        some.stage(mark(1), 1, TimeUs(1));
        some.sent(std::iter::empty(), 4);
        assert_eq!(some.rollback(4), None);
    }

    fn send(unread: &mut PipeBacklog, events: impl Iterator<Item = u64>) {
        for n in events {
            unread.begin_batch();
            unread.stage(mark(n), n, TimeUs(n));
            unread.sent(std::iter::once(10), 0);
        }
    }

    #[test]
    fn a_rollback_can_undo_a_change_of_server() {
        let rollback = |bytes| {
            let mut some = backlog(Predecessor::RunStart, &[10, 10]);
            some.change_server();
            send(&mut some, 5..7);
            some.rollback(bytes).map(|back| (back.events, back.after_change, back.predecessor))
        };
        assert_eq!(rollback(10), Some((1, None, known(5))));
        assert_eq!(rollback(20), Some((0, Some(2), Predecessor::OtherServer)));
        assert_eq!(rollback(30), Some((1, Some(2), known(0))));
        assert_eq!(rollback(99), Some((2, Some(2), Predecessor::RunStart)));
    }

    #[test]
    fn the_first_line_between_two_changes_of_server_stays() {
        let mut some = backlog(Predecessor::RunStart, &[10]);
        some.change_server();
        send(&mut some, 5..7);
        some.change_server();
        send(&mut some, 8..9);
        let back = Rollback { events: 1, after_change: Some(1), predecessor: known(5) };
        assert_eq!(some.rollback(99), Some(back));
    }

    #[test]
    fn a_change_of_server_is_kept_as_long_as_the_pipe_may_hold_it() {
        let mut some = backlog(Predecessor::RunStart, &[10]);
        some.change_server();
        send(&mut some, 1..11);
        assert!(some.reaches_change());
        send(&mut some, 11..12);
        assert!(!some.reaches_change());
        assert_eq!(some.rollback(100).map(|back| back.events), Some(10));
    }

    #[test]
    fn a_change_of_server_is_kept_while_the_line_after_it_was_read_in_part() {
        let mut some = backlog(Predecessor::RunStart, &[10]);
        some.change_server();
        send(&mut some, 5..7);
        some.was_read(15);
        let back = some.rollback(15);
        assert_eq!(back.map(|back| (back.events, back.after_change)), Some((0, Some(2))));
        let mut some = backlog(Predecessor::RunStart, &[10]);
        some.change_server();
        send(&mut some, 5..7);
        some.was_read(10);
        assert!(!some.reaches_change());
    }

    #[test]
    fn read_lines_are_dropped() {
        let mut some = backlog(Predecessor::RunStart, &[10, 10, 10]);
        some.was_read(11);
        assert_eq!(some.oldest(), Some((2, TimeUs(1))));
        assert_eq!(some.rollback(99).map(|back| back.predecessor), Some(known(0)));
        some.was_read(0);
        assert_eq!((some.oldest(), some.rollback(9)), (None, None));
    }

    proptest! {
        #[test]
        fn rolls_back_like_a_list(
            lengths in prop::collection::vec(0..40_usize, 1..60),
            bytes in 0..100_usize,
        ) {
            let total: usize = lengths.iter().sum();
            let bytes = bytes.min(total);
            let mut end = 0;
            let ends = lengths.iter().map(|length| { end += length; end });
            let read = ends.filter(|end| *end <= total - bytes).count();
            let back = backlog(Predecessor::RunStart, &lengths).rollback(bytes);
            // Lines without a byte in front of the first unread one count as read.
            prop_assert_eq!(back.map_or(0, |back| back.events), lengths.len() - read);
        }
    }
}
