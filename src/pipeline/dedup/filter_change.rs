//! A change of the filter in the middle of a stream.
//!
//! The change takes effect at the position of the output: what was processed before it has passed
//! the old filter, and what comes after it passes the new one. A replay brings events from before
//! the change again. Those that the old filter wanted were written, and the window knows them. An
//! event from before the change that the window does not know is one that only the new filter
//! wants, and is not written.

use std::sync::Arc;

use super::{EventProcessor, REORDER_US};
use crate::event::header_spans::HeaderSpans;
use crate::filter::Filter;
use crate::position::{EventPosition, FilterSince, FilterStamp, Origin, StreamKind};

/// Most changes that are remembered: more than can lie within the usual rewind margin, because a
/// reader changes the filter at most once a second.
const MAX_CHANGES: usize = 16;

/// A change of the filter.
#[derive(Clone, Debug)]
pub(super) struct FilterChange {
    since: FilterSince,
    /// The filter until then; `None` if an earlier run applied it.
    before: Option<Arc<Filter>>,
    /// The fingerprint of that filter.
    fingerprint_before: Option<u64>,
}

impl FilterChange {
    /// Returns the change that a state file records.
    pub(super) fn restore(since: FilterSince) -> Self {
        Self { since, before: None, fingerprint_before: None }
    }
}

impl EventProcessor {
    /// Replaces the filter from the position of the output on, and returns that position; `None` if
    /// no event gave one yet. Valid only between batches.
    pub fn change_filter(&mut self, filter: Arc<Filter>) -> Option<EventPosition> {
        self.is_unfiltered = filter.accepts_all();
        let fingerprint_before =
            Some(std::mem::replace(&mut self.filter_fingerprint, filter.fingerprint()));
        let before = std::mem::replace(&mut self.config.filter, filter);
        let position = self.position.as_ref()?;
        let earlier = self.filter_changes.last().map(|change| &change.since);
        let since = FilterSince::at_newest(position, earlier);
        let at = since.at;
        // No replay goes back further.
        self.filter_changes.retain(|change| change.since.at.time >= position.rewind_to.time);
        if self.filter_changes.len() >= MAX_CHANGES {
            self.filter_changes.remove(0);
        }
        self.filter_changes.push(FilterChange { since, before: Some(before), fingerprint_before });
        // With a witness it is not decided yet what is missing before the change.
        let is_compared = self.passed.is_some();
        if at.seq.is_some() && !is_compared && !self.holds_position() && self.undecided.is_empty() {
            // Up to here, nothing must be asked for again.
            self.window.set_watermark(at);
            self.position.iter_mut().for_each(|position| position.newest = at);
            self.update_position();
        }
        Some(at)
    }

    /// Returns the stream of a position's origin; `None` if it was read with another filter than those
    /// of this run.
    pub(super) fn stream_of(&self, origin: &Origin) -> Option<StreamKind> {
        let before = self.filter_changes.iter().filter_map(|change| change.fingerprint_before);
        StreamKind::of(origin.filter_fingerprint, before.chain([self.filter_fingerprint]))
    }

    /// Returns the filter in force.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.config.filter
    }

    /// Returns the filter in force, to share it.
    #[must_use]
    pub fn shared_filter(&self) -> Arc<Filter> {
        Arc::clone(&self.config.filter)
    }

    /// Returns the filter in force and the position from which on it is, for the state file.
    #[must_use]
    pub fn filter_stamp(&self) -> FilterStamp {
        FilterStamp {
            fingerprint: self.filter_fingerprint,
            since: self.filter_changes.last().map(|change| change.since.clone()),
        }
    }

    /// Notes that lines were taken back: what comes after the position passes the present filter.
    pub(super) fn limit_filter_changes(&mut self) {
        match &self.position {
            Some(position) => {
                for FilterChange { since, .. } in &mut self.filter_changes {
                    since.limit_to(position);
                }
            }
            None => self.filter_changes.clear(),
        }
    }

    /// Returns whether a connection that begins now replays events from before the change of the
    /// filter: what it lacks of them, it may lack for the new filter.
    pub(super) fn rewinds_before_filter(&self) -> bool {
        let (Some(change), Some(position)) = (self.filter_changes.last(), &self.position) else {
            return false;
        };
        position.rewind_to.time <= change.since.at.time
    }

    /// Returns whether an event that the window does not know lies before the change of the filter,
    /// and was not wanted then or is not wanted now. It is not written, and the position stays. Only
    /// the server that the change was made on can be compared: another one has other numbers and
    /// other times, and from there more is written rather than less.
    pub(super) fn precedes_filter(
        &self,
        at: EventPosition,
        is_wanted: bool,
        header: &HeaderSpans,
        line: &[u8],
    ) -> bool {
        if self.filter_changes.is_empty() || self.renumbered_connection.is_some() {
            return false;
        }
        let Some(connection) = &self.connection else { return false };
        // The filter that was in force at the event's place decides: times are not in the order of
        // sending, and a server that has crashed may use numbers again.
        for FilterChange { since, before, .. } in &self.filter_changes {
            if !since.is_of(&connection.origin) || !since.covers(at) {
                continue;
            }
            match before {
                Some(before) => {
                    let header = header.header(line);
                    return !is_wanted || before.take(&header, line, self.shape).is_none();
                }
                None if at.seq.is_some() => return true,
                None if at.time < since.at.time.minus_us(REORDER_US) => return true,
                None => {}
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
