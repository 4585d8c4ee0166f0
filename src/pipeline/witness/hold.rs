//! Output that waits for the witness (`--witness-hold`): the batches of the server in use, and the
//! missing events, which are written before later events of their account. Pure.
//!
//! The two servers stamp an event with times that differ. So the place of a missing event is found
//! by the account's own order, the rev of its commits. Only if no later event of the account waits
//! does the time decide, and then with half a window to spare.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use crate::event::batch::Batch;
use crate::event::event_id::{EventIdHasher, EventIdKey};
use crate::event::header::Header;
use crate::event::header_spans::HeaderSpans;
use crate::pipeline::channel::Item;
use crate::pipeline::dedup::PassedEvent;
use crate::position::TimeUs;

use super::commit_rank::CommitRank;
use super::matcher::{MissingEvent, Successor};
use super::serve::Missing;

/// Most bytes and events that wait. The oldest batch does not wait longer when there are more: five
/// minutes of the whole firehose.
pub(super) const MAX_BYTES: usize = 256 << 20;
pub(super) const MAX_EVENTS: usize = 1 << 19;

/// Most missing events that wait, and their bytes. The others wait in the matcher.
const MAX_MISSING: usize = 1 << 18;
const MAX_MISSING_BYTES: usize = 64 << 20;

/// Servers receive an event at times that differ by less than this, beside the difference of their
/// clocks.
const MAX_JITTER_US: u64 = 50_000;

/// What waits.
#[derive(Debug)]
pub(super) struct Hold {
    window_us: u64,
    identities: EventIdHasher,
    /// By how much the witness's clock is ahead of that of the server in use.
    offset_us: i64,
    items: VecDeque<(Item, TimeUs)>,
    /// The events of these batches, and their bytes.
    events: usize,
    bytes: usize,
    /// Missing events by account, in the order of the witness.
    accounts: HashMap<Box<str>, VecDeque<Waiting>>,
    /// The accounts of all missing events, and when they came.
    order: VecDeque<(TimeUs, Box<str>)>,
    /// The missing events, and their bytes.
    missing: usize,
    missing_bytes: usize,
    /// Whether a batch was written before its time, and that was not reported.
    was_full: bool,
    /// Numbers the events of the commits that are written.
    ranks: CommitRank,
    /// What is to be written next.
    ready: VecDeque<Step>,
}

/// What to write next (`--witness-hold`).
#[derive(Debug)]
pub enum Step {
    /// Lines of the server in use.
    Main(Item),
    /// Missing events.
    Missing(Missing),
}

#[derive(Debug)]
struct Waiting {
    clock: TimeUs,
    missing: MissingEvent,
}

impl Hold {
    pub(super) fn new(window_us: u64, key: EventIdKey) -> Self {
        Self {
            window_us,
            identities: EventIdHasher::new(key),
            offset_us: 0,
            items: VecDeque::new(),
            events: 0,
            bytes: 0,
            accounts: HashMap::new(),
            order: VecDeque::new(),
            missing: 0,
            missing_bytes: 0,
            was_full: false,
            ranks: CommitRank::default(),
            ready: VecDeque::new(),
        }
    }

    /// Adds a batch of the server in use, after which its stream's clock is `clock`.
    pub(super) fn push(&mut self, item: Item, clock: TimeUs) {
        self.bytes += item.batch.queued_bytes();
        self.events += item.batch.len();
        self.items.push_back((item, clock));
    }

    /// Returns whether more missing events may wait.
    pub(super) fn has_room(&self) -> bool {
        self.order.len() < MAX_MISSING && self.missing_bytes < MAX_MISSING_BYTES
    }

    /// Returns the number of events that wait, missing ones included, and their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.events + self.missing, self.bytes + self.missing_bytes)
    }

    /// Returns whether a batch was written before its time since the last call, because more waits
    /// than may be kept.
    pub(super) fn take_was_full(&mut self) -> bool {
        std::mem::take(&mut self.was_full)
    }

    fn is_full(&self) -> bool {
        self.bytes > MAX_BYTES || self.events > MAX_EVENTS
    }

    /// Adds a missing event, whose stream's clock was `clock`.
    pub(super) fn push_missing(&mut self, missing: MissingEvent, clock: TimeUs) {
        let Some(header) = missing.event.header else { return };
        let did: Box<str> = header.did(&missing.event.line).into();
        self.missing += 1;
        self.missing_bytes += missing.event.line.len();
        self.order.push_back((clock, did.clone()));
        self.accounts.entry(did).or_default().push_back(Waiting { clock, missing });
    }

    /// Notes which event follows a missing one of this account.
    pub(super) fn note_successor(&mut self, did: &str, identity: u64, successor: Successor) {
        let waiting = self.accounts.get_mut(did).into_iter().flatten();
        for missing in waiting.map(|waiting| &mut waiting.missing) {
            if missing.identity == identity {
                missing.event.successor = Some(successor);
            }
        }
    }

    /// Sets by how much the witness's clock is ahead of that of the server in use.
    pub(super) fn set_offset(&mut self, offset_us: i64) {
        self.offset_us = offset_us;
    }

    /// Returns what to write next, when the server in use has come to `reached`. A batch waits one
    /// and a half windows: one until what is missing is known, and a half because the servers'
    /// times differ.
    pub(super) fn next(&mut self, reached: TimeUs) -> Option<Step> {
        let due = reached.minus_us(self.window_us + self.window_us / 2);
        while self.ready.is_empty() {
            match self.items.front() {
                Some((_, clock)) if *clock <= due || self.is_full() => {
                    let (item, clock) = self.items.pop_front()?;
                    self.was_full |= clock > due;
                    self.bytes -= item.batch.queued_bytes();
                    self.events -= item.batch.len();
                    self.split(item);
                    self.take_older_than(clock.minus_us(self.window_us / 2));
                }
                _ => {
                    // Earlier events of the account may be in a batch that still waits.
                    self.take_older_than(due.minus_us(self.window_us / 2));
                    break;
                }
            }
        }
        self.ready.pop_front()
    }

    /// Cuts a batch before each line that a missing event of the same account precedes.
    fn split(&mut self, mut item: Item) {
        if self.accounts.is_empty() {
            return self.ready.push_back(Step::Main(item));
        }
        let shape = item.connection.shape;
        let mut piece = Batch::default();
        for i in 0..item.batch.len() {
            if let Some(header) = item.batch.header_or_parse(i, shape) {
                let earlier = self.take_earlier(&header, item.batch.line(i));
                self.ranks.note(&header.header(item.batch.line(i)));
                if !earlier.is_empty() {
                    let first = item.split_lines(std::mem::take(&mut piece));
                    self.ready.push_back(Step::Main(first));
                    earlier.into_iter().for_each(|missing| self.write(missing));
                }
            }
            piece.push_with(item.batch.line(i), item.batch.header(i));
        }
        self.ready.push_back(Step::Main(Item { batch: piece, ..item }));
    }

    /// Removes the missing events of the line's account that precede it.
    fn take_earlier(&mut self, header: &HeaderSpans, line: &[u8]) -> Vec<MissingEvent> {
        let did = header.did(line);
        let Some(waiting) = self.accounts.get_mut(&*did) else { return Vec::new() };
        let (identity, offset_us) = (self.identities.of_line(header, line), self.offset_us);
        let header = header.header(line);
        let is_next = |waiting: &Waiting| {
            waiting.missing.event.successor.is_some_and(|next| next.identity == identity)
        };
        let known = waiting.iter().rposition(is_next).map_or(0, |last| last + 1);
        let mut earlier = Vec::new();
        while let Some(first) = waiting.front()
            && let event = &first.missing.event
            && let Some(spans) = event.header
            && let first = spans.header(&event.line)
            && (earlier.len() < known
                || precedes(
                    &first,
                    &header,
                    self.ranks.of(&header) >= event.rank && !waits(waiting),
                )
                .unwrap_or_else(|| is_earlier(&first, &header, offset_us)))
        {
            self.ranks.note(&first);
            earlier.extend(waiting.pop_front().map(|waiting| waiting.missing));
        }
        if waiting.is_empty() {
            self.accounts.remove(&*did);
        }
        earlier
    }

    /// Writes the missing events up to this instant that no later event of their account preceded.
    fn take_older_than(&mut self, instant: TimeUs) {
        while let Some((clock, _)) = self.order.front()
            && *clock <= instant
            && let Some((clock, did)) = self.order.pop_front()
        {
            let Some(waiting) = self.accounts.get_mut(&did) else { continue };
            if waiting.front().is_none_or(|first| first.clock > clock) {
                continue;
            }
            let missing = waiting.pop_front().map(|waiting| waiting.missing);
            if waiting.is_empty() {
                self.accounts.remove(&did);
            }
            missing.into_iter().for_each(|missing| self.write(missing));
        }
    }

    fn write(&mut self, missing: MissingEvent) {
        let MissingEvent { identity, clock, event } = missing;
        self.missing -= 1;
        self.missing_bytes -= event.line.len();
        let next = PassedEvent { identity, clock, counts: event.counts };
        match self.ready.back_mut() {
            Some(Step::Missing(Missing { batch, passed, connection }))
                if connection.shape == event.connection.shape =>
            {
                batch.push_with(&event.line, event.header);
                passed.push(next);
            }
            _ => {
                let mut batch = Batch::default();
                batch.push_with(&event.line, event.header);
                let (passed, connection) = (vec![next], event.connection);
                self.ready.push_back(Step::Missing(Missing { batch, passed, connection }));
            }
        }
    }
}

/// Returns whether the first of these missing events precedes one of its commit that is not missing
/// and has not come yet: its place is there, wherever the number of events before it points. The
/// witness may lack some of those.
fn waits(waiting: &VecDeque<Waiting>) -> bool {
    for (place, Waiting { missing, .. }) in waiting.iter().enumerate() {
        let Some(next) = missing.event.successor.filter(|next| next.is_of_commit) else {
            return false;
        };
        let after = waiting.get(place + 1);
        if after.is_none_or(|after| after.missing.identity != next.identity) {
            return true;
        }
    }
    false
}

/// Returns whether a missing event is earlier than another one, by more than the servers' order
/// differs. The clock of its server is `offset_us` ahead.
fn is_earlier(missing: &Header<'_>, other: &Header<'_>, offset_us: i64) -> bool {
    let time_us = missing.time_us.saturating_add_signed(offset_us.saturating_neg());
    time_us.saturating_add(MAX_JITTER_US) < other.time_us
}

/// Returns whether a missing event comes before another one of its account, if their revs say so;
/// `by_rank` says that of two events of one commit.
fn precedes(missing: &Header<'_>, other: &Header<'_>, by_rank: bool) -> Option<bool> {
    match (&missing.commit, &other.commit) {
        (Some(a), Some(b)) if !a.rev.is_empty() && !b.rev.is_empty() => match a.rev.cmp(&b.rev) {
            Ordering::Equal => Some(by_rank),
            revs => Some(revs == Ordering::Less),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests;
