//! What became of a batch that was sifted: all of it was taken, its beginning, or less than it
//! had seemed.

use crate::event::batch::{Lines, Span};
use crate::position::Position;

use super::unread::{Before, Place, TakenBack};
use super::{Earlier, Pending, Sieve};

impl Sieve {
    /// The sink took the whole batch.
    pub fn accepted(&mut self, lines: &Lines) {
        self.metrics.written.add(lines.len() as u64);
        self.metrics.written_bytes.add(lines.bytes().len() as u64);
        self.sent(lines.spans().iter().map(Span::length), 0);
        self.settle();
    }

    /// The output is a pipe that holds so many bytes, and how the run ends depends on what of
    /// them is read.
    pub fn watch_pipe(&mut self, pipe_bytes: usize) {
        self.unread.watch(pipe_bytes);
    }

    /// The sink took what was made of the first lines of the batch, so many bytes of each, and
    /// some more of the next one.
    pub fn sent(&mut self, lengths: impl Iterator<Item = usize>, torn_bytes: usize) {
        self.unread.sent(lengths, torn_bytes);
    }

    /// No more than the last `bytes` of all that the sink took are still to be read.
    pub fn was_read(&mut self, bytes: usize) {
        self.unread.was_read(bytes);
    }

    /// The last `bytes` of all that the sink took were never read: their events have not
    /// happened. Says how many; call it once no more is written.
    pub fn take_back(&mut self, bytes: usize) -> usize {
        // What came behind `--until` has no place in front of it.
        if self.stands_still() {
            return 0;
        }
        let Some(TakenBack { events, behind_change, before }) = self.unread.take_back(bytes) else {
            return 0;
        };
        if behind_change.is_some() {
            let Some(Earlier { window, position }) = self.earlier.take() else { return 0 };
            (self.window, self.position) = (window, position);
        }
        let is_taken_back = match (before, &mut self.position) {
            (Before::OtherServer, _) => true,
            (Before::Nothing, position) => {
                // Where this run began is remembered.
                *position = None;
                true
            }
            (Before::Place(Place { mark, identity, latest }), Some(position)) => {
                let can_go_on = self.window.take_back(events, mark, identity, latest);
                if can_go_on {
                    position.newest = mark;
                    position.rewind_to = self.window.rewind_to().unwrap_or(mark);
                    position.latest_time = latest;
                }
                can_go_on
            }
            (Before::Place(_), None) => false,
        };
        behind_change.unwrap_or(0) + if is_taken_back { events } else { 0 }
    }

    /// The whole batch was dealt with.
    pub fn settle(&mut self) {
        self.window.settle(self.unread.oldest());
        if !self.window.rewinds_into_earlier_run() {
            self.former_seed = None;
        }
        if !self.unread.reaches_change() {
            self.earlier = None;
        }
        self.settle_position();
    }

    /// The position as it follows from the window.
    pub(super) fn settle_position(&mut self) {
        if let Some(position) = &mut self.position {
            self.metrics.last_event_us.set(position.newest.time.0);
            if let Some(rewind_to) = self.window.rewind_to() {
                position.rewind_to = rewind_to;
            }
            position.latest_time = self.window.latest();
        }
    }

    /// The sink took only the first `accepted_bytes` of the batch: everything behind its last
    /// whole line has not happened.
    pub fn refused(&mut self, lines: &Lines, pending: Pending, accepted_bytes: usize) {
        let whole = lines.spans().partition_point(|span| span.end <= accepted_bytes);
        self.metrics.written.add(whole as u64);
        self.metrics.written_bytes.add(accepted_bytes as u64);
        let sent = lines.spans().get(..whole).unwrap_or_default();
        let whole_bytes = sent.last().map_or(0, |span| span.end);
        self.sent(sent.iter().map(Span::length), accepted_bytes - whole_bytes);
        self.cut(lines, pending, whole);
    }

    /// Only the first `whole` lines of the batch were dealt with: everything behind them has
    /// not happened.
    pub fn cut(&mut self, lines: &Lines, pending: Pending, whole: usize) {
        let shape = self.shape;
        self.window.roll_back_to(pending.savepoint, whole);
        self.reached = pending.reached;
        let mut newest = None;
        for header in lines.iter().take(whole).filter_map(|line| shape.parse(line).ok()) {
            let mark = self.place(&header);
            self.window.see_again(mark);
            newest = Some(mark);
        }
        self.written = pending.written + whole as u64;
        self.position = match (newest, &self.connection, self.window.rewind_to()) {
            (Some(newest), Some(connection), Some(rewind_to)) => Some(Position {
                origin: connection.origin.clone(),
                newest,
                rewind_to,
                latest_time: self.window.latest(),
            }),
            _ => pending.position,
        };
    }
}
