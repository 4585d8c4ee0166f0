//! What the output accepted of a staged batch: all of it, or its first lines.

use crate::event::batch::{CompactBatch, Span};
use crate::position::Position;

use super::{EventProcessor, StagedBatch};

/// What the output accepted of a staged batch.
#[derive(Clone, Copy, Debug)]
pub enum Delivery<'a> {
    /// The first bytes of the lines as they are.
    Bytes(usize),
    /// Text that was rendered from the lines.
    Rendered {
        /// The rendered bytes of each line that was accepted, in order.
        line_bytes: &'a [usize],
        /// Accepted bytes of the line after those.
        torn_bytes: usize,
    },
}

impl EventProcessor {
    /// Moves the position behind the whole batch, all of which the output has accepted. Returns
    /// the lines, whose memory the reader uses again.
    pub fn commit(&mut self, staged: StagedBatch, delivery: Delivery<'_>) -> CompactBatch {
        let StagedBatch { lines, side, .. } = staged;
        if let Some(feed) = &side {
            self.advance_to_line(feed, &lines, lines.len());
        }
        match delivery {
            Delivery::Bytes(bytes) => {
                self.metrics.written.add(lines.len() as u64);
                self.metrics.written_bytes.add(bytes as u64);
                self.backlog.sent(lines.spans().iter().map(Span::length), 0);
            }
            Delivery::Rendered { line_bytes, torn_bytes } => {
                self.backlog.sent(line_bytes.iter().copied(), torn_bytes);
            }
        }
        self.window.settle(self.backlog.oldest());
        if !self.window.rewinds_into_earlier_run() {
            self.legacy_seed = None;
        }
        if !self.backlog.reaches_change() {
            self.previous_server = None;
        }
        self.update_position();
        lines
    }

    /// Undoes a batch, except for the lines that the output has accepted as a whole.
    pub fn rollback(&mut self, staged: StagedBatch, delivery: Delivery<'_>) -> CompactBatch {
        let whole = match delivery {
            Delivery::Bytes(accepted_bytes) => {
                let spans = staged.lines.spans();
                let whole = spans.partition_point(|span| span.end <= accepted_bytes);
                self.metrics.written.add(whole as u64);
                self.metrics.written_bytes.add(accepted_bytes as u64);
                let sent = spans.get(..whole).unwrap_or_default();
                let whole_bytes = sent.last().map_or(0, |span| span.end);
                self.backlog.sent(sent.iter().map(Span::length), accepted_bytes - whole_bytes);
                whole
            }
            Delivery::Rendered { line_bytes, torn_bytes } => {
                self.backlog.sent(line_bytes.iter().copied(), torn_bytes);
                line_bytes.len()
            }
        };
        self.keep_first(staged, whole)
    }

    /// Undoes all but the first `whole` lines of a batch.
    fn keep_first(&mut self, staged: StagedBatch, whole: usize) -> CompactBatch {
        let StagedBatch { lines, before, side, moves_position } = staged;
        if let Some(feed) = &side {
            self.advance_to_line(feed, &lines, whole);
            self.emitted = before.emitted + whole as u64;
            return lines;
        }
        self.window.restore_snapshot(before.window, whole);
        if !moves_position {
            self.emitted = before.emitted + whole as u64;
            return lines;
        }
        self.connection_time = before.connection_time;
        let (mut first, mut newest) = (None, None);
        // Every line that was staged has its entry of the sidecar.
        for header in (0..whole).filter_map(|i| lines.header(i)) {
            let at = self.place(&header);
            self.window.see_again(at);
            first = first.or(Some(at));
            newest = Some(at);
        }
        let is_other = |connection| {
            before.position.as_ref().is_some_and(|before| !self.is_of_stream(before, connection))
        };
        if self.connection.as_deref().is_some_and(is_other)
            && let Some(first) = first
        {
            self.window.begin_no_later(first);
        }
        self.emitted = before.emitted + whole as u64;
        self.position = match (newest, &self.connection, self.window.rewind_to()) {
            (Some(newest), Some(connection), Some(rewind_to)) => Some(Position {
                origin: connection.origin.clone(),
                newest,
                rewind_to,
                max_time: self.window.latest(),
            }),
            _ => before.position,
        };
        lines
    }

    /// Derives the position from the window.
    pub(super) fn update_position(&mut self) {
        if let Some(position) = &mut self.position {
            self.arrivals.last_event_us.set(position.newest.time.0);
            if let Some(rewind_to) = self.window.rewind_to() {
                position.rewind_to = rewind_to;
            }
            position.max_time = self.window.latest();
        }
    }
}
