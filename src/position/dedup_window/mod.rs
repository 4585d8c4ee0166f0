//! The dedup window: the dedup keys of the newest written events, and the position from which a
//! replay can be compared with them.
//!
//! The window bounds its memory by event time and by count, and decides to which position a new
//! connection rewinds. `event::event_id` defines the dedup keys.
//!
//! A ring holds the keys in the order in which the events were written, 8 bytes each; a table finds
//! their places in it, 8 to 16 bytes each (`keys`). *Rewind points* divide the ring. A rewind point
//! is an event's position on the server at which the ring holds everything that was written since.
//! A new connection rewinds to the oldest one, and the window forgets one rewind point at a time.

mod advance;
mod forget;
mod keys;
mod numbers;
mod rollback;
mod snapshot;
mod witness;

use std::collections::VecDeque;

use super::clock::Clock;
use super::{EventPosition, Resume, Seq, TimeUs};

use keys::Keys;
use numbers::{Held, Numbers};
pub use snapshot::WindowSnapshot;

/// Maximum number of events from the oldest rewind point to the newest event. The firehose has
/// reached 2,500 events a second; ten seconds of that fit twice. Also the number of keys that the
/// window keeps whatever their age, for servers that repeat themselves on one connection. Bounds
/// the memory at 4 MiB.
pub const MAX_EVENTS: u64 = 65_536;

/// Number of rewind points in the span.
const REWIND_POINTS: u64 = 8;

/// The dedup window.
#[derive(Clone, Debug)]
pub struct DedupWindow {
    span_us: u64,
    /// [`MAX_EVENTS`], or more if the run compares two servers.
    max_events: u64,
    /// The keys of the span before this instant are kept, whatever came since.
    held_at: TimeUs,
    keys: Keys,
    /// The sequence number of each key, as far as this server assigned one.
    held: Held,
    rewind_points: VecDeque<RewindPoint>,
    /// Whether one of them may be late.
    has_late_point: bool,
    /// The index of the one to which a new connection rewinds. Older ones are kept for a rollback
    /// of the pipe backlog.
    oldest: usize,
    /// Number of keys that an earlier run saved: the first ones ever inserted.
    restored: u64,
    /// Number of events, written or not.
    events: u64,
    /// The latest event time that several events support.
    clock: Clock,
    /// Number of keys inserted before the clock was in doubt, if it is: see
    /// [`DedupWindow::see_time`].
    doubt_from: Option<u64>,
    /// The highest sequence number of this server that other events support.
    numbers: Numbers,
    /// The newest event of a sparse stream, which the next event will support.
    pending: Option<RewindPoint>,
    /// The sequence number of the latest event.
    current: Option<Seq>,
    /// Everything up to here is processed: see [`DedupWindow::set_watermark`].
    watermark: Option<EventPosition>,
    /// The latest time of a duplicate.
    max_replayed_time: TimeUs,
    /// The latest time of a duplicate that no other event supports.
    claimed_replayed_time: TimeUs,
    /// Duplicates come, and no event after the newest one has come since. Until one comes, events
    /// that are old by the clock may still follow.
    is_replaying: bool,
}

#[derive(Clone, Copy, Debug)]
struct RewindPoint {
    at: EventPosition,
    /// The latest event time when the point was set.
    clock: TimeUs,
    /// Number of keys ever inserted before it.
    index: u64,
    /// Number of those keys that a replay from here can't bring: `index`, or less if the server's
    /// order differs from the order of writing.
    retain_from: u64,
    /// Number of events before it.
    events: u64,
    /// Whether its event has another time than `clock`, and no event since has moved the clock: the
    /// keys before it may be of events that came later than `clock`.
    is_late: bool,
}

impl RewindPoint {
    /// Returns whether a replay from here brings an event at `at`.
    fn is_before(&self, at: EventPosition) -> bool {
        match (self.at.seq, at.seq) {
            (Some(own), Some(seq)) => own <= seq,
            _ => self.at.time <= at.time,
        }
    }
}

impl DedupWindow {
    /// Returns an empty window for `span_us` of event time.
    #[must_use]
    pub fn new(span_us: u64) -> Self {
        Self {
            span_us,
            max_events: MAX_EVENTS,
            held_at: TimeUs(u64::MAX),
            keys: Keys::default(),
            held: Held::default(),
            rewind_points: VecDeque::new(),
            has_late_point: false,
            oldest: 0,
            restored: 0,
            events: 0,
            clock: Clock::new(span_us),
            doubt_from: None,
            numbers: Numbers::default(),
            pending: None,
            current: None,
            watermark: None,
            max_replayed_time: TimeUs(0),
            claimed_replayed_time: TimeUs(0),
            is_replaying: false,
        }
    }

    /// Returns the window that an earlier run saved.
    #[must_use]
    pub fn restore(span_us: u64, resume: &Resume) -> Self {
        let mut window = Self::new(span_us);
        let Resume { position, identities } = resume;
        identities.iter().for_each(|&identity| window.insert(identity));
        window.restored = window.inserted();
        window.clock.set(position.max_time);
        // The newest event jumped ahead, and no other had supported its time.
        window.doubt_from = (position.newest.time > position.max_time).then_some(0);
        window.numbers.set(position.newest.seq);
        window.rewind_points.push_back(RewindPoint {
            at: position.rewind_to,
            // The point's own time, unless that is an imported one of the future.
            clock: position.rewind_to.time.min(position.max_time.minus_us(span_us)),
            index: 0,
            retain_from: 0,
            events: 0,
            is_late: false,
        });
        window.events = window.keys.len() as u64;
        window
    }

    /// Returns whether an event with this key was written.
    #[must_use]
    #[inline(always)]
    pub fn contains(&self, identity: u64) -> bool {
        self.keys.number(identity).is_some()
    }

    /// Notes that everything up to `at` is processed. A replay from `at` (inclusive) brings nothing
    /// of it again except the event at `at`, whose key is still in the window if it was written.
    pub fn set_watermark(&mut self, at: EventPosition) {
        self.clock.reach(at.time);
        self.numbers.reach(at.seq);
        if self.watermark.is_none_or(|watermark| watermark.seq < at.seq) {
            self.watermark = Some(at);
        }
    }

    /// Returns whether an event lies after all events so far. Events of a replay do not, and none
    /// of them may become a rewind point: events that were written after it the first time precede
    /// it in the ring. (If a server's clock or sequence fell back, the window sets a rewind point
    /// all the same after `MAX_EVENTS`, so that memory stays bounded.)
    fn is_ahead(&self, at: EventPosition) -> bool {
        match (at.seq, self.numbers.highest()) {
            (Some(seq), Some(_)) => self.numbers.is_ahead(seq),
            // Strictly: a replay from an instant brings every event of that instant, new or known.
            _ => {
                at.time > self.latest().max(self.max_replayed_time)
                    && at.time != self.claimed_replayed_time
            }
        }
    }

    /// Adds the key of an event that is about to be written, unless the window has it.
    pub fn insert(&mut self, identity: u64) {
        if !self.contains(identity) {
            self.insert_new(identity);
        }
    }

    /// Adds a key that [`DedupWindow::contains`] does not find.
    #[inline(always)]
    pub fn insert_new(&mut self, identity: u64) {
        self.keys.push_back(identity);
        self.held.push(self.current);
    }

    /// Notes that a known event came again, at `at` of the server that assigned the positions so
    /// far. Mostly this is a replay, in the order of writing. But an event that one server sent
    /// *before* a rewind point was set, another one, or the same one after a crash, may send
    /// *after* the rewind point's position. A replay from there brings it, so that its key must
    /// stay as long as the rewind point does.
    pub fn on_duplicate(&mut self, identity: u64, at: EventPosition) {
        let Some(index) = self.keys.number(identity) else { return };
        self.is_replaying = true;
        for rewind_point in self.rewind_points.iter_mut().chain(&mut self.pending) {
            if rewind_point.retain_from > index && rewind_point.is_before(at) {
                rewind_point.retain_from = index;
            }
        }
        // A time that only this event claims must not become a rewind point.
        if self.supports(at) {
            self.find_rewind_point(index, at);
        } else {
            self.claimed_replayed_time = at.time;
        }
    }

    /// Sets the rewind points again that an earlier run had, of which only the oldest was saved.
    /// Without them a run that ends within the span would forget nothing, and many such runs in a
    /// row would rewind further and further.
    fn find_rewind_point(&mut self, index: u64, at: EventPosition) {
        // As in `is_ahead`: other events of that instant may precede this one.
        let is_alone = at.seq.is_some() || at.time > self.max_replayed_time;
        self.max_replayed_time = self.max_replayed_time.max(at.time);
        let Some(&last) = self.rewind_points.back() else { return };
        let clock = at.time.min(self.latest());
        let is_due = clock >= last.clock.plus_us(self.span_us / REWIND_POINTS);
        if is_due && is_alone && last.at != at && last.is_before(at) && index >= last.index {
            let events = (last.events + (index - last.index)).min(self.events);
            let is_late = false;
            let found = RewindPoint { at, clock, index, retain_from: index, events, is_late };
            self.rewind_points.push_back(found);
        }
    }

    /// Continues on another server, whose first event is at `at`. From there on everything that was
    /// written is still in the ring, and no earlier position is comparable.
    pub fn change_server(&mut self, at: EventPosition) {
        let time = if self.is_jump(at.time) { self.latest() } else { at.time };
        let at = EventPosition { time, ..at };
        let oldest = self.rewind_points.get(self.oldest);
        let clock = oldest.map_or(at.time, |oldest| oldest.clock);
        let events = oldest.map_or(self.events, |oldest| oldest.events);
        self.rewind_points.clear();
        self.oldest = 0;
        // What the previous server's replay could have brought, and nothing older.
        let index = self.margin_start();
        let retain_from = index;
        let first = RewindPoint { at, clock, index, retain_from, events, is_late: false };
        self.rewind_points.push_back(first);
        self.numbers.set(at.seq);
        // Duplicates of this instant may have come before this event, and a replay from here brings
        // them.
        self.max_replayed_time = self.max_replayed_time.max(at.time);
        self.held.forget();
        self.pending = None;
        self.watermark = None;
    }

    /// Moves the first position on a server back to an event that was written, whose time was not
    /// trusted, if the events after it were refused.
    pub fn begin_no_later(&mut self, than: EventPosition) {
        if let Some(first) = self.rewind_points.front_mut()
            && than.seq.is_some()
            && than.seq < first.at.seq
        {
            first.at = EventPosition { time: first.at.time.min(than.time), ..than };
        }
    }

    /// Returns whether a key in the window is certainly of an event at or after this instant.
    #[must_use]
    pub fn has_entry_since(&self, instant: TimeUs) -> bool {
        let first = self.rewind_points.iter().find(|rewind_point| rewind_point.clock >= instant);
        first.is_some_and(|rewind_point| self.inserted() > rewind_point.index)
    }

    /// Returns where a new connection must start so that every event written since is known.
    #[must_use]
    pub fn rewind_to(&self) -> Option<EventPosition> {
        let oldest = self.rewind_points.get(self.oldest).map(|oldest| oldest.at);
        match (oldest, self.watermark) {
            (Some(oldest), Some(watermark)) if oldest.seq >= watermark.seq => Some(oldest),
            (oldest, watermark) => watermark.or(oldest),
        }
    }

    /// Returns whether a replay from [`DedupWindow::rewind_to`] may bring events of an earlier run.
    #[must_use]
    pub fn rewinds_into_earlier_run(&self) -> bool {
        self.rewind_points.front().is_some_and(|oldest| oldest.retain_from < self.restored)
    }

    /// Returns the latest event time that several events support.
    #[must_use]
    pub fn latest(&self) -> TimeUs {
        self.clock.latest()
    }

    /// Returns whether an event lay ahead of what several events support, and none since
    /// contradicts it.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.clock.is_in_doubt()
    }

    /// Returns whether a time lies further ahead than one event moves the clock.
    #[must_use]
    pub fn is_jump(&self, time: TimeUs) -> bool {
        self.clock.is_jump(time)
    }

    /// Returns the highest supported sequence number of this server.
    #[must_use]
    pub fn highest_seq(&self) -> Option<Seq> {
        self.numbers.highest()
    }

    /// Returns whether another event than `identity` was written under this number.
    #[must_use]
    pub fn is_held_by_another(&self, seq: Seq, identity: u64) -> bool {
        !self.numbers.is_ahead(seq)
            && self
                .held
                .place(seq)
                .and_then(|place| self.keys.get(place))
                .is_some_and(|held| held != identity)
    }

    /// Returns the keys that a replay from [`DedupWindow::rewind_to`] may bring, oldest first.
    #[must_use]
    pub fn identities(&self) -> Vec<u64> {
        let older = (self.margin_start() - self.keys.evicted()) as usize;
        self.keys.from(older).collect()
    }

    /// Returns the number of keys that no replay from the oldest rewind point can bring.
    fn margin_start(&self) -> u64 {
        let evicted = self.keys.evicted();
        let start = self.rewind_points.front().map_or(evicted, |oldest| oldest.retain_from);
        start.max(evicted)
    }

    fn inserted(&self) -> u64 {
        self.keys.inserted()
    }
}

#[cfg(test)]
mod tests;
