//! Output that waits for the witness (`--witness-hold`): the batches of the server in use, and the
//! missing events, which are written before later events of their account. Pure.
//!
//! The two servers stamp an event with times that differ. So the place of a missing event is found
//! by the account's own order, the rev of its commits. Only if no later event of the account waits
//! does the time decide, and then with half a window to spare.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};

use crate::event::batch::Batch;
use crate::event::header::Header;
use crate::event::header_spans::HeaderSpans;
use crate::pipeline::channel::Item;
use crate::pipeline::dedup::PassedEvent;
use crate::position::TimeUs;

use super::commit_rank::CommitRank;
use super::matcher::MissingEvent;
use super::serve::Missing;

/// Most bytes and events that wait. The oldest batch does not wait longer when there are more: five
/// minutes of the whole firehose.
pub(super) const MAX_BYTES: usize = 256 << 20;
pub(super) const MAX_EVENTS: usize = 1 << 19;

/// Most missing events that wait, and their bytes. The others wait in the matcher.
const MAX_MISSING: usize = 1 << 18;
const MAX_MISSING_BYTES: usize = 64 << 20;

/// What waits.
#[derive(Debug)]
pub(super) struct Hold {
    window_us: u64,
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
    pub(super) fn new(window_us: u64) -> Self {
        Self {
            window_us,
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
        let header = header.header(line);
        let mut earlier = Vec::new();
        while let Some(first) = waiting.front()
            && let event = &first.missing.event
            && let Some(spans) = event.header
            && let first = spans.header(&event.line)
            && precedes(&first, &header, event.rank <= self.ranks.of(&header))
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

/// Returns whether a missing event comes before another one of its account; `by_rank` says that of
/// two events of one commit.
fn precedes(missing: &Header<'_>, other: &Header<'_>, by_rank: bool) -> bool {
    match (&missing.commit, &other.commit) {
        (Some(a), Some(b)) if !a.rev.is_empty() && !b.rev.is_empty() => match a.rev.cmp(&b.rev) {
            Ordering::Equal => by_rank,
            revs => revs == Ordering::Less,
        },
        _ => missing.time_us < other.time_us,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::format::EventFormat;
    use crate::pipeline::witness::matcher::WitnessEvent;
    use crate::pipeline::witness::names::NameId;
    use crate::position::{Origin, ServerKind};
    use crate::source::{ConnectionInfo, RequestedCursor};

    const WINDOW: u64 = 80;

    fn connection() -> Arc<ConnectionInfo> {
        let server = "main.example".into();
        let origin = Origin { server, kind: ServerKind::V2, filter_fingerprint: 0 };
        Arc::new(ConnectionInfo::v1(1, origin, RequestedCursor::Live))
    }

    /// Returns event `i` of an account, whose revs are in the order of the numbers.
    fn line(did: char, i: u64) -> String {
        format!(
            r#"{{"did":"did:plc:{did}","time_us":{i},"kind":"commit","commit":{{"rev":"{i:013}","operation":"create","collection":"a.b.c","rkey":"{i}"}}}}"#
        )
    }

    fn push(hold: &mut Hold, events: &[(char, u64)], clock: u64) {
        let mut batch = Batch::default();
        events.iter().for_each(|(did, i)| batch.push(line(*did, *i).as_bytes()));
        hold.push(Item::lines(batch, connection()), TimeUs(clock));
    }

    fn push_missing(hold: &mut Hold, did: char, i: u64, clock: u64) {
        push_missing_line(hold, &line(did, i), i, clock, 0);
    }

    fn push_missing_line(hold: &mut Hold, line: &str, i: u64, clock: u64, rank: u32) {
        let mut batch = Batch::default();
        batch.push(line.as_bytes());
        let connection = connection();
        let header = batch.header_or_parse(0, connection.shape);
        let (name, line) = (NameId::default(), batch.line(0).into());
        let event =
            WitnessEvent { line, header, connection, name, counts: true, rank, is_relayed: false };
        hold.push_missing(MissingEvent { identity: i, clock: TimeUs(clock), event }, TimeUs(clock));
    }

    /// Returns the numbers of the events that are written when the server in use is at `reached`.
    fn written(hold: &mut Hold, reached: u64) -> Vec<u64> {
        let mut written = Vec::new();
        while let Some(step) = hold.next(TimeUs(reached)) {
            let mut batch = match step {
                Step::Main(item) => item.batch,
                Step::Missing(missing) => missing.batch,
            };
            for i in 0..batch.len() {
                let header = batch.header_or_parse(i, EventFormat::V1).expect("an event");
                written.push(header.time_us);
            }
        }
        written
    }

    #[test]
    fn a_missing_event_comes_before_the_next_one_of_its_account() {
        let mut hold = Hold::new(WINDOW);
        push(&mut hold, &[('a', 1), ('b', 2), ('a', 5), ('b', 6)], 6);
        push(&mut hold, &[('a', 9)], 9);
        push_missing(&mut hold, 'b', 4, 4);
        push_missing(&mut hold, 'a', 7, 7);
        assert_eq!(hold.size().0, 7);
        assert_eq!(written(&mut hold, 125), [0; 0]);
        assert_eq!(written(&mut hold, 126), [1, 2, 5, 4, 6]);
        assert_eq!(written(&mut hold, 129), [7, 9]);
        assert_eq!(hold.size(), (0, 0));
    }

    #[test]
    fn a_missing_event_without_a_later_one_waits_for_the_earlier_ones() {
        let mut hold = Hold::new(WINDOW);
        // The clock of a batch is that of its last event.
        push(&mut hold, &[('a', 1), ('c', 9)], 9);
        push_missing(&mut hold, 'a', 2, 2);
        assert_eq!(written(&mut hold, 128), [0; 0]);
        assert_eq!(written(&mut hold, 129), [1, 9]);
        assert_eq!(written(&mut hold, 161), [0; 0]);
        assert_eq!(written(&mut hold, 162), [2]);
    }

    #[test]
    fn a_missing_event_of_a_commit_comes_in_its_place_whatever_the_times_say() {
        let rev_of = |i| if (2..6).contains(&i) { 2 } else { i };
        let event = |i: u64, late: u64| {
            let rev = format!("{:013}", rev_of(i));
            let time = format!("\"time_us\":{}", i + late);
            let rev = line('a', i).replace(&format!("{i:013}"), &rev);
            rev.replace(&format!("\"time_us\":{i}"), &time)
        };
        let mut hold = Hold::new(WINDOW);
        // The commit has the events 2 to 5, and the witness is 30 late.
        for i in [1, 3, 4, 7] {
            let mut batch = Batch::default();
            batch.push(event(i, 0).as_bytes());
            hold.push(Item::lines(batch, connection()), TimeUs(i));
        }
        for (i, rank) in [(2, 0), (5, 3)] {
            push_missing_line(&mut hold, &event(i, 30), i, i + 30, rank);
        }
        assert_eq!(written(&mut hold, 500), [1, 32, 3, 4, 35, 7]);
    }

    #[test]
    fn at_the_end_everything_is_written_in_order() {
        let mut hold = Hold::new(WINDOW);
        push(&mut hold, &[('a', 1), ('b', 3)], 3);
        push_missing(&mut hold, 'a', 2, 2);
        push_missing(&mut hold, 'b', 1, 1);
        assert_eq!(written(&mut hold, u64::MAX), [1, 1, 3, 2]);
    }

    #[test]
    fn more_than_may_wait_is_written_before_its_time() {
        let mut hold = Hold::new(WINDOW);
        let many = vec![('a', 1); MAX_EVENTS / 4];
        (1..=4).for_each(|clock| push(&mut hold, &many, clock));
        assert!(hold.next(TimeUs(5)).is_none() && !hold.take_was_full());
        push(&mut hold, &[('a', 1)], 5);
        assert!(
            matches!(hold.next(TimeUs(5)), Some(Step::Main(item)) if item.batch.len() == many.len())
        );
        assert!(hold.next(TimeUs(5)).is_none() && hold.take_was_full() && !hold.take_was_full());
        assert_eq!(hold.size().0, MAX_EVENTS - many.len() + 1);
    }
}
