//! Compares the stream of the server in use with that of the witness. Pure: no clock, no I/O.

mod filter_change;

use std::sync::Arc;

use crate::event::header_spans::HeaderSpans;
use crate::pipeline::dedup::PassedEvent;
use crate::position::TimeUs;
use crate::source::ConnectionInfo;

use super::names::NameId;
use super::pending::Pending;

/// Most bytes of lines that only the witness has. The queue to the witness fills up after that,
/// and its server sees backpressure. A minute of the whole firehose has 50 MB.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// Most events that only the witness has.
const MAX_PENDING: usize = 1 << 18;

/// Most events that only the server in use has so far: four minutes of the firehose at its highest
/// rate. A witness that is further behind is not compared up to the oldest of them. An entry has
/// at most 72 bytes, so that all have 36 MiB.
const MAX_EXPECTED: usize = 1 << 19;

/// The next event of an account in the stream of the witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) identity: u64,
    /// Whether it is of the same commit.
    pub(super) is_of_commit: bool,
}

/// An event that only the witness has so far.
#[derive(Debug)]
pub(super) struct WitnessEvent {
    pub(super) line: Box<[u8]>,
    pub(super) header: Option<HeaderSpans>,
    /// The connection that brought it.
    pub(super) connection: Arc<ConnectionInfo>,
    pub(super) name: NameId,
    pub(super) counts: bool,
    /// How many events of its commit the witness sent directly before it; only noted if the output
    /// waits.
    pub(super) rank: u32,
    /// The next event of its account, once the witness has sent it; only noted if the output waits.
    pub(super) successor: Option<Successor>,
    /// Whether its dedup key has the number of a relay. Two servers that read different relays
    /// have different numbers.
    pub(super) is_relayed: bool,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) name: NameId,
    /// The number of the account: see `filter_change::account_number`.
    pub(super) account: u32,
}

impl From<NameId> for Subject {
    fn from(name: NameId) -> Self {
        Self { name, account: 0 }
    }
}

/// An event that only the server in use has so far.
#[derive(Clone, Copy, Debug)]
struct ExpectedEvent {
    subject: Subject,
    is_relayed: bool,
    /// Whether it was not printed, because the filter did not want it at its place.
    is_unwanted: bool,
}

/// An event that the server in use does not have.
#[derive(Debug)]
pub(super) struct MissingEvent {
    pub(super) identity: u64,
    /// The clock of the witness's stream when it came.
    pub(super) clock: TimeUs,
    pub(super) event: WitnessEvent,
}

/// The comparison of two streams.
#[derive(Debug)]
pub struct Matcher {
    window_us: u64,
    /// The instant after which the streams are compared, on the clock of the server in use; `None`
    /// before its first event. The servers' times differ by up to the window, so an event of the
    /// witness is judged from one window later on.
    floor: Option<TimeUs>,
    /// The same for the events of the server in use: where the witness's stream began.
    witness_floor: Option<TimeUs>,
    /// Events that only the witness has so far.
    pending: Pending<WitnessEvent>,
    pending_bytes: usize,
    /// Events that only the server in use has so far.
    expected: Pending<ExpectedEvent>,
    /// Whether both servers number relayed events alike: one of them was matched.
    shares_relay: bool,
    /// See [`Matcher::offset_us`].
    offset_us: i64,
}

impl Matcher {
    /// Returns a matcher that compares from `floor` on.
    #[must_use]
    pub fn new(window_us: u64, floor: Option<TimeUs>) -> Self {
        Self {
            window_us,
            floor,
            witness_floor: None,
            pending: Pending::default(),
            pending_bytes: 0,
            expected: Pending::default(),
            shares_relay: false,
            offset_us: 0,
        }
    }

    /// Returns whether it is known from which instant on the streams are compared.
    pub(super) fn has_started(&self) -> bool {
        self.floor.is_some()
    }

    /// Returns from which instant on everything is compared, if both streams have begun.
    pub(super) fn compared_from(&self) -> Option<TimeUs> {
        Some(self.floor?.max(self.witness_floor?).plus_us(self.window_us))
    }

    /// Compares nothing up to this instant of the server in use.
    pub(super) fn skip_to(&mut self, instant: TimeUs) {
        self.floor = Some(self.floor.map_or(instant, |floor| floor.max(instant)));
    }

    /// Forgets what only the server in use has: another stream is the witness's from now on.
    /// Nothing is compared from before `oldest_key`, the oldest event that the output recognises.
    pub(super) fn change_witness(&mut self, oldest_key: Option<TimeUs>) {
        self.expected.clear();
        self.witness_floor = None;
        oldest_key.into_iter().for_each(|instant| self.skip_to(instant));
        self.shares_relay = false;
    }

    /// Notes an event of the server in use. Returns the instant up to which nothing is compared any
    /// more, if there was no room for the event.
    pub(super) fn on_main(
        &mut self,
        passed: PassedEvent,
        subject: impl Into<Subject>,
        is_relayed: bool,
    ) -> Option<TimeUs> {
        self.floor.get_or_insert(passed.clock);
        if let Some(witness) = self.take_pending(passed.identity) {
            self.note_offset(witness, passed.clock);
            self.shares_relay |= is_relayed;
            return None;
        }
        let (subject, is_unwanted) = (subject.into(), false);
        self.expect(
            passed.identity,
            passed.clock,
            ExpectedEvent { subject, is_relayed, is_unwanted },
        )
    }

    /// Notes an event of the server in use that is not compared, because the witness may not have
    /// been asked for it.
    pub(super) fn remove_pending(&mut self, identity: u64) -> bool {
        self.take_pending(identity).is_some()
    }

    /// Removes an event that only the witness had, and returns the clock of its stream then.
    fn take_pending(&mut self, identity: u64) -> Option<TimeUs> {
        let (clock, event) = self.pending.remove(identity)?;
        self.pending_bytes -= event.line.len();
        Some(clock)
    }

    /// Notes the clocks of the two streams at one event.
    fn note_offset(&mut self, witness: TimeUs, main: TimeUs) {
        self.offset_us = witness.0.cast_signed().saturating_sub(main.0.cast_signed());
    }

    /// Returns by how much the witness's clock is ahead of the other one's, as the latest event of
    /// both shows it, in microseconds.
    pub(super) fn offset_us(&self) -> i64 {
        self.offset_us
    }

    /// Notes an event of the witness that is not compared.
    pub(super) fn remove_expected(&mut self, identity: u64) {
        self.expected.remove(identity);
    }

    fn expect(&mut self, identity: u64, clock: TimeUs, event: ExpectedEvent) -> Option<TimeUs> {
        self.expected.push(identity, clock, event);
        if self.expected.len() <= MAX_EXPECTED && self.expected.places() <= 2 * MAX_EXPECTED {
            return None;
        }
        let oldest = self.expected.pop()?.clock;
        self.skip_to(oldest);
        Some(oldest)
    }

    /// Notes an event of the witness. `is_written` says whether the output has the event.
    pub(super) fn on_witness(
        &mut self,
        passed: PassedEvent,
        is_written: bool,
        event: impl FnOnce() -> WitnessEvent,
    ) -> Outcome {
        self.witness_floor.get_or_insert(passed.clock);
        let expected = self.expected.remove(passed.identity);
        if let Some((main, _)) = expected {
            self.note_offset(passed.clock, main);
        }
        if expected.is_some() || is_written {
            return Outcome::Matched;
        }
        let event = event();
        self.pending_bytes += event.line.len();
        let before = self.pending.len();
        let bytes = event.line.len();
        self.pending.push(passed.identity, passed.clock, event);
        if self.pending.len() == before {
            self.pending_bytes -= bytes;
        }
        Outcome::Pending
    }

    /// Notes which event follows one that only the witness has so far, in its account.
    pub(super) fn note_successor(&mut self, identity: u64, successor: Successor) {
        if let Some(event) = self.pending.get_mut(identity) {
            event.successor = Some(successor);
        }
    }

    /// Notes that a relayed event of both streams had the same number.
    pub(super) fn matched_relayed(&mut self) {
        self.shares_relay = true;
    }

    /// Removes the oldest event that only the witness has, if the server in use has passed it.
    pub(super) fn next_missing(&mut self, main: TimeUs) -> Option<MissingEvent> {
        loop {
            let entry = self.pending.pop_until(main.minus_us(self.window_us))?;
            self.pending_bytes -= entry.value.line.len();
            let is_compared = is_after(entry.clock, self.floor, self.window_us);
            if is_compared && (!entry.value.is_relayed || self.shares_relay) {
                let (identity, clock) = (entry.identity, entry.clock);
                return Some(MissingEvent { identity, clock, event: entry.value });
            }
        }
    }

    /// Removes the oldest event that only the server in use has, if the witness has passed it;
    /// returns its collection, and the clock of its stream when it came.
    pub(super) fn next_unwitnessed(&mut self, witness: TimeUs) -> Option<(NameId, TimeUs)> {
        loop {
            let entry = self.expected.pop_until(witness.minus_us(self.window_us))?;
            let is_compared = is_after(entry.clock, self.witness_floor, self.window_us);
            let ExpectedEvent { subject, is_relayed, is_unwanted } = entry.value;
            if is_compared && !is_unwanted && (!is_relayed || self.shares_relay) {
                return Some((subject.name, entry.clock));
            }
        }
    }

    /// Returns whether the witness is close to the bound, from which on the comparison skips events.
    pub(super) fn is_nearly_full(&self) -> bool {
        self.expected.places() > MAX_EXPECTED
    }

    /// Returns whether more events of the witness may be noted.
    pub(super) fn has_room(&self) -> bool {
        self.pending_bytes < MAX_PENDING_BYTES
            && self.pending.len() < MAX_PENDING
            && self.pending.places() < 2 * MAX_PENDING
    }

    /// Returns the number of events that only the witness has so far, and the bytes of their lines.
    pub(super) fn pending(&self) -> (usize, usize) {
        (self.pending.len(), self.pending_bytes)
    }
}

/// Returns whether an event of one stream is late enough that the other stream has it for certain,
/// if that began at `floor`: the servers' times differ by up to the window.
fn is_after(clock: TimeUs, floor: Option<TimeUs>, window_us: u64) -> bool {
    floor.is_some_and(|floor| clock > floor.plus_us(window_us))
}

/// What became of an event of the witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server in use has it, too.
    Matched,
    /// It waits for the server in use.
    Pending,
}

#[cfg(test)]
mod tests;
