//! Output that waits for the witness (`--witness-hold`): the batches of the server in use, and the
//! missing events, which are written before later events of their account. Pure.
//!
//! The two servers stamp an event with times that differ. So the place of a missing event is found
//! by the account's own order, the rev of its commits. Only if no later event of the account waits
//! does the time decide, and then with half a window to spare.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::event::header::Header;
use crate::event::header_spans::HeaderSpans;
use crate::pipeline::channel::Item;
use crate::pipeline::dedup::PassedEvent;
use crate::position::TimeUs;

use super::matcher::MissingEvent;

/// Most bytes that wait. The oldest batch does not wait longer when there are more: five minutes
/// of the whole firehose.
const MAX_BYTES: usize = 256 << 20;

/// Most missing events that wait.
const MAX_MISSING: usize = 1 << 18;

/// What waits.
#[derive(Debug)]
pub(super) struct Hold {
    window_us: u64,
    items: VecDeque<(Item, TimeUs)>,
    bytes: usize,
    /// Missing events by account, in the order of the witness.
    accounts: HashMap<Box<str>, VecDeque<Waiting>>,
    /// The accounts of all missing events, and when they came.
    order: VecDeque<(TimeUs, Box<str>)>,
    /// What is to be written next.
    ready: VecDeque<Step>,
}

/// What to write next.
#[derive(Debug)]
pub(super) enum Step {
    /// Lines of the server in use.
    Main(Item),
    /// Missing events of one shape, with their dedup keys.
    Missing(Batch, Vec<PassedEvent>, EventFormat),
}

#[derive(Debug)]
struct Waiting {
    clock: TimeUs,
    missing: MissingEvent,
}

impl Hold {
    pub(super) fn new(window_us: u64) -> Self {
        Self {
            window_us,
            items: VecDeque::new(),
            bytes: 0,
            accounts: HashMap::new(),
            order: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Adds a batch of the server in use, after which its stream's clock is `clock`.
    pub(super) fn push(&mut self, item: Item, clock: TimeUs) {
        self.bytes += item.batch.queued_bytes();
        self.items.push_back((item, clock));
    }

    /// Returns whether more missing events may wait.
    pub(super) fn has_room(&self) -> bool {
        self.order.len() < MAX_MISSING
    }

    /// Adds a missing event, whose stream's clock was `clock`.
    pub(super) fn push_missing(&mut self, missing: MissingEvent, clock: TimeUs) {
        let Some(header) = missing.event.header else { return };
        let did: Box<str> = header.did(&missing.event.line).into();
        self.order.push_back((clock, did.clone()));
        self.accounts.entry(did).or_default().push_back(Waiting { clock, missing });
    }

    /// Returns what to write next, when the server in use has come to `reached`. A batch waits one
    /// and a half windows: one until what is missing is known, and a half because the servers'
    /// times differ.
    pub(super) fn next(&mut self, reached: TimeUs) -> Option<Step> {
        let due = reached.minus_us(self.window_us + self.window_us / 2);
        while self.ready.is_empty() {
            let is_due = |(_, clock): &(Item, TimeUs)| *clock <= due || self.bytes > MAX_BYTES;
            match self.items.front() {
                Some(front) if is_due(front) => {
                    let (item, clock) = self.items.pop_front()?;
                    self.bytes -= item.batch.queued_bytes();
                    self.split(item);
                    self.take_older_than(clock.minus_us(self.window_us / 2));
                }
                _ => {
                    self.take_older_than(due);
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
        let header = header.header(line);
        let mut earlier = Vec::new();
        while let Some(first) = waiting.front()
            && let Some(spans) = first.missing.event.header
            && precedes(&spans.header(&first.missing.event.line), &header)
        {
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
        let passed = PassedEvent { identity, clock, counts: event.counts };
        match self.ready.back_mut() {
            Some(Step::Missing(batch, all, shape)) if *shape == event.shape => {
                batch.push_with(&event.line, event.header);
                all.push(passed);
            }
            _ => {
                let mut batch = Batch::default();
                batch.push_with(&event.line, event.header);
                self.ready.push_back(Step::Missing(batch, vec![passed], event.shape));
            }
        }
    }
}

/// Returns whether a missing event comes before another one of its account.
fn precedes(missing: &Header<'_>, other: &Header<'_>) -> bool {
    let revs = match (&missing.commit, &other.commit) {
        (Some(a), Some(b)) if !a.rev.is_empty() && !b.rev.is_empty() => a.rev.cmp(&b.rev),
        _ => Ordering::Equal,
    };
    revs.then(missing.time_us.cmp(&other.time_us)) == Ordering::Less
}
