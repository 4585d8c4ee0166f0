//! Side history: the history of accounts and collections that a list gained, which is read beside
//! the stream (`--backfill-new`).
//!
//! Its lines go through this stage in the order of their sequence numbers. They have a progress of
//! their own, and move neither the position nor the window nor the clock of the stream. Only what
//! the filter of the stream does not take is side history, so that no event is in both.

use std::sync::Arc;

use crate::event::batch::{Batch, CompactBatch};
use crate::event::format::EventFormat;
use crate::event::header_spans::HeaderSpans;
use crate::filter::Taken;
use crate::filter::additions::{Additions, AdditionsCheckpoint, Reached, SideFilter};
use crate::pipeline::shutdown::StopReason;
use crate::position::{Seq, TimeUs};

use super::decide::check_grammar;
use super::pipe_backlog::SideEvent;
use super::{EventProcessor, StagedBatch};

/// What lines of side history belong to.
#[derive(Debug)]
pub struct SideFeed {
    /// The number of the addition.
    pub addition: u32,
    /// The label of the server of the sequence numbers.
    pub server: Arc<str>,
    /// The events that belong to the history.
    pub filter: SideFilter,
    /// The format of the lines.
    pub format: EventFormat,
}

/// Up to where the history of an addition is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideReached {
    /// The number of the addition.
    pub addition: u32,
    /// The label of the server of the sequence number.
    pub server: Arc<str>,
    /// The sequence number.
    pub seq: Seq,
}

/// How far the output has come in side history.
#[derive(Debug, Default)]
pub(super) struct SideProgress {
    /// The state of the lists; `None` without `--backfill-new`.
    state: Option<Arc<Additions>>,
    reached: Option<SideReached>,
    /// The newest event of the present batch that is to be written.
    staged: Option<Seq>,
    /// State and progress before the addition that was finished last became live: what lies unread
    /// in a pipe may be its history.
    finished: Option<(Arc<Additions>, SideReached)>,
}

impl SideProgress {
    /// Returns whether an addition waits for its history.
    pub(super) fn is_waiting(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.next().is_some())
    }

    /// Returns whether an event of a feed is delivered, or is about to be. A server may send an event
    /// twice, and both may be in one batch.
    fn has(&self, feed: &SideFeed, seq: Seq) -> bool {
        self.staged.is_some_and(|staged| staged >= seq) || self.has_delivered(feed, seq)
    }

    fn has_delivered(&self, feed: &SideFeed, seq: Seq) -> bool {
        self.reached.as_ref().is_some_and(|reached| {
            reached.addition == feed.addition && reached.server == feed.server && reached.seq >= seq
        })
    }

    /// Notes that everything of a feed up to `seq` is delivered.
    fn advance(&mut self, feed: &SideFeed, seq: Seq) {
        if !self.has_delivered(feed, seq) {
            let (addition, server) = (feed.addition, Arc::clone(&feed.server));
            self.reached = Some(SideReached { addition, server, seq });
        }
    }

    /// Notes that an event and what came after it were not delivered after all.
    pub(super) fn undo(&mut self, oldest: SideEvent) {
        let is_of = |reached: &SideReached| reached.addition == oldest.addition;
        let is_finished = self.finished.as_ref().is_some_and(|(_, reached)| is_of(reached));
        if is_finished && let Some((state, reached)) = self.finished.take() {
            (self.state, self.reached) = (Some(state), Some(reached));
        }
        if let Some(reached) = self.reached.as_mut().filter(|reached| is_of(reached)) {
            reached.seq = Seq(oldest.seq.0.saturating_sub(1)).min(reached.seq);
        }
    }
}

impl EventProcessor {
    /// Sets the state of the lists, which the next checkpoint saves.
    pub fn set_additions(&mut self, state: Arc<Additions>) {
        let is_pending =
            |number: u32| state.pending.iter().any(|addition| addition.number == number);
        let ended = self.side.reached.take_if(|reached| !is_pending(reached.addition));
        if self.side.reached.is_none()
            && let Some(addition) = state.next()
            && let Some(reached) = &addition.reached
        {
            let (server, seq) = (Arc::from(&*reached.server), Seq(reached.seq));
            self.side.reached = Some(SideReached { addition: addition.number, server, seq });
        }
        let before = self.side.state.replace(state);
        if let (Some(before), Some(reached)) = (before, ended) {
            self.side.finished = Some((before, reached));
        }
        self.check_caught_up();
    }

    /// Returns the state of the lists and the progress in side history, to be saved with what the
    /// output has delivered.
    #[must_use]
    pub fn additions(&self) -> Option<AdditionsCheckpoint> {
        let state = Arc::clone(self.side.state.as_ref()?);
        let reached = self.side.reached.as_ref().map(|reached| {
            let SideReached { addition, server, seq } = reached;
            (*addition, Reached { server: server.to_string(), seq: seq.0 })
        });
        Some(AdditionsCheckpoint { state, reached })
    }

    /// Returns how far side history is delivered.
    #[must_use]
    pub fn side_reached(&self) -> Option<&SideReached> {
        self.side.reached.as_ref()
    }

    /// Stages the lines of `batch` that belong to the history of an addition.
    pub fn process_side(&mut self, batch: Batch, feed: &Arc<SideFeed>) -> StagedBatch {
        self.metrics.received.add(batch.len() as u64);
        self.metrics.received_bytes.add(batch.text_bytes() as u64);
        let before = self.begin_stage();
        self.side.staged = None;
        let lines = batch
            .retain(|line, header| self.stop_reason.is_none() && self.emits(line, header, feed));
        StagedBatch { lines, before, side: Some(Arc::clone(feed)), moves_position: false }
    }

    /// Notes that everything of a feed up to `seq` was passed on and delivered.
    pub fn advance_side(&mut self, feed: &SideFeed, seq: Seq) {
        self.side.advance(feed, seq);
    }

    /// Decides whether a line is written.
    fn emits(&mut self, line: &[u8], parsed: &mut Option<HeaderSpans>, feed: &SideFeed) -> bool {
        let header = match parsed {
            Some(header) => *header,
            None => match feed.format.parse_spans(line) {
                Ok(header) => *parsed.insert(header),
                Err(error) => {
                    self.reject(line, error);
                    return false;
                }
            },
        };
        if self.config.strict
            && let Err(error) = check_grammar(line)
        {
            self.reject(line, error);
            return false;
        }
        let is_late = self.config.until.is_some_and(|until| TimeUs(header.time_us) >= until);
        let taken = match is_late {
            true => None,
            false => feed.filter.take(&header.header(line), line, feed.format),
        };
        let (Some(taken), Some(seq)) = (taken, header.cursor()) else {
            self.metrics.filtered.add(1);
            return false;
        };
        // A connection begins with the last event of the history before it, and the stream may have
        // written an event before the account was removed from its list.
        if self.side.has(feed, Seq(seq))
            || self.window.contains(self.identities.of_line(&header, line))
        {
            self.metrics.duplicate.add(1);
            return false;
        }
        self.side.staged = Some(Seq(seq));
        self.backlog.stage_side(SideEvent { addition: feed.addition, seq: Seq(seq) });
        self.metrics.side.events.add(1);
        if taken == Taken::Wanted {
            self.emitted += 1;
            if self.config.limit.is_some_and(|limit| self.emitted >= limit) {
                self.stop_reason = Some(StopReason::Limit);
            }
        }
        true
    }

    /// Moves the progress to the last of the first `whole` lines of side history.
    pub(super) fn advance_to_line(&mut self, feed: &SideFeed, lines: &CompactBatch, whole: usize) {
        let last = whole.checked_sub(1).and_then(|last| lines.header(last));
        if let Some(seq) = last.and_then(|header| header.cursor()) {
            self.side.advance(feed, Seq(seq));
        }
    }
}

#[cfg(test)]
mod tests;
