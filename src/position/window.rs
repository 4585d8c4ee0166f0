//! The identities of the newest events that were written, and from where a replay can be
//! told apart by them.
//!
//! Responsible for memory (bounded by event time and by count) and for the point to rewind
//! to. What an identity is, `event::identity` knows.
//!
//! Identities stand in a ring in the order they were written, 8 bytes each, and in a hash map
//! to their places there (up to 34 bytes each). *Milestones* divide the ring: at each one we
//! know the event's place on the server, and that everything written since is in the ring. The
//! oldest milestone is what a new connection rewinds to. So the ring is thinned a milestone at
//! a time.

mod advance;
mod forget;
mod numbers;
mod take_back;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::event::identity::AsItIs;

use super::clock::Clock;
use super::{Mark, Resume, Seq, TimeUs};

use numbers::{Held, Numbers};

/// Most events between the oldest milestone and now. The firehose has brought up to 2,500
/// events a second; ten seconds of that fit twice over. Also the number of identities that are
/// kept beyond it, whatever their age, for servers that repeat themselves on one connection.
/// Bounds the memory at 8 MiB.
pub const MAX_EVENTS: u64 = 65_536;

/// How many milestones divide the span that is remembered.
const MILESTONES: u64 = 8;

/// The remembered identities.
#[derive(Clone, Debug)]
pub struct Window {
    span_us: u64,
    ring: VecDeque<u64>,
    /// The sequence number of each, as far as this server gave it one.
    held: Held,
    /// The identities in the ring, and how many were ever entered before each.
    known: HashMap<u64, u64, AsItIs>,
    milestones: VecDeque<Milestone>,
    /// Which of them a new connection rewinds to; older ones are there for what may have to be
    /// taken back.
    oldest: usize,
    /// Identities that have left the ring, so that a milestone's index stays true.
    evicted: u64,
    /// How many of all that were ever entered an earlier run saved: the first ones.
    restored: u64,
    /// Events seen, written or not.
    events: u64,
    /// The latest event time that several events support.
    clock: Clock,
    /// The highest sequence number on this server that is supported.
    numbers: Numbers,
    /// A sparse stream's newest event, which the next one will support.
    pending: Option<Milestone>,
    /// The sequence number of the event that was noted last.
    current: Option<Seq>,
    /// Everything up to here was dealt with and comes no more: see [`Window::pass`].
    passed: Option<Mark>,
    /// The latest time of an event that came again.
    latest_again: TimeUs,
    /// Events come again, and none has come since that lies beyond all that was seen. Until
    /// one does, what is old by the clock may be still to come.
    is_replaying: bool,
}

#[derive(Clone, Copy, Debug)]
struct Milestone {
    mark: Mark,
    /// The latest event time when it was set.
    clock: TimeUs,
    /// The number of identities ever entered before it.
    index: u64,
    /// The number of those that a replay from here can't bring: `index`, or less where the
    /// server's order is another than that of writing.
    keeps_from: u64,
    /// The number of events seen before it.
    events: u64,
}

impl Milestone {
    /// Whether a replay from here brings an event at `mark`.
    fn is_before(&self, mark: Mark) -> bool {
        match (self.mark.seq, mark.seq) {
            (Some(own), Some(seq)) => own <= seq,
            _ => self.mark.time <= mark.time,
        }
    }
}

/// What [`Window::roll_back`] needs to undo a batch.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    milestones: usize,
    entered: u64,
    events: u64,
    clock: Clock,
    numbers: Numbers,
    pending: Option<Milestone>,
}

impl Window {
    /// An empty window that remembers `span_us` of event time.
    #[must_use]
    pub fn new(span_us: u64) -> Self {
        Self {
            span_us,
            ring: VecDeque::new(),
            held: Held::default(),
            known: HashMap::default(),
            milestones: VecDeque::new(),
            oldest: 0,
            evicted: 0,
            restored: 0,
            events: 0,
            clock: Clock::new(span_us),
            numbers: Numbers::default(),
            pending: None,
            current: None,
            passed: None,
            latest_again: TimeUs(0),
            is_replaying: false,
        }
    }

    /// The window that an earlier run saved.
    #[must_use]
    pub fn restore(span_us: u64, resume: &Resume) -> Self {
        let mut window = Self::new(span_us);
        let Resume { position, identities } = resume;
        identities.iter().for_each(|&identity| window.insert(identity));
        window.restored = window.entered();
        window.clock.set(position.latest_time);
        window.numbers.set(position.newest.seq);
        window.milestones.push_back(Milestone {
            mark: position.rewind_to,
            // Its own time, unless that is an imported one of the future.
            clock: position.rewind_to.time.min(position.latest_time.minus_us(span_us)),
            index: 0,
            keeps_from: 0,
            events: 0,
        });
        window.events = window.ring.len() as u64;
        window
    }

    /// Whether this event was written already.
    #[must_use]
    pub fn contains(&self, identity: u64) -> bool {
        self.known.contains_key(&identity)
    }

    /// Everything up to `mark` was dealt with, and whoever asks from `mark` on (inclusively)
    /// gets nothing of it again but the event at `mark` itself. That one is still remembered:
    /// it is the newest, if it was written at all.
    pub fn pass(&mut self, mark: Mark) {
        self.clock.reach(mark.time);
        self.numbers.reach(mark.seq);
        if self.passed.is_none_or(|passed| passed.seq < mark.seq) {
            self.passed = Some(mark);
        }
    }

    /// Whether an event lies beyond all that was seen. Inside a replay it does not, and
    /// nothing there may become a milestone: what was written behind it the first time
    /// stands in the ring in front of it. (A server whose clock or sequence fell back
    /// gets a milestone all the same after `MAX_EVENTS`, so that memory stays bounded.)
    fn is_ahead(&self, mark: Mark) -> bool {
        match (mark.seq, self.numbers.highest()) {
            (Some(seq), Some(_)) => self.numbers.is_ahead(seq),
            // Strictly: a replay from an instant also brings the earlier ones of that instant,
            // be they new or known.
            _ => mark.time > self.latest().max(self.latest_again),
        }
    }

    /// Remembers an event that is about to be written.
    pub fn insert(&mut self, identity: u64) {
        let entered = self.entered();
        if let Entry::Vacant(unknown) = self.known.entry(identity) {
            unknown.insert(entered);
            self.ring.push_back(identity);
            self.held.push(self.current);
        }
    }

    /// A remembered event came again, at `mark` of the server that the marks so far are of.
    /// Mostly a replay comes by, in the order in which events were written. But what one
    /// server sent *before* a milestone was set, another one, or the same one after a crash,
    /// may send *behind* the milestone's mark: a replay from there brings it, so it must stay
    /// as long as the milestone does.
    pub fn meet_again(&mut self, identity: u64, mark: Mark) {
        let Some(&index) = self.known.get(&identity) else { return };
        self.is_replaying = true;
        for milestone in self.milestones.iter_mut().chain(&mut self.pending) {
            if milestone.keeps_from > index && milestone.is_before(mark) {
                milestone.keeps_from = index;
            }
        }
        // A time that only this event claims is no place to rewind to.
        if self.supports(mark) {
            self.find_milestone(index, mark);
        }
    }

    /// Sets the milestones anew that an earlier run had: of those only the oldest was saved.
    /// Without them a run that ends within the span would never let go of anything, and many
    /// of them in a row would rewind ever further.
    fn find_milestone(&mut self, index: u64, mark: Mark) {
        // As in `is_ahead`: what else came at that instant may stand in front of it.
        let is_alone = mark.seq.is_some() || mark.time > self.latest_again;
        self.latest_again = self.latest_again.max(mark.time);
        let Some(&last) = self.milestones.back() else { return };
        let clock = mark.time.min(self.latest());
        let is_due = clock >= last.clock.plus_us(self.span_us / MILESTONES);
        if is_due && is_alone && last.mark != mark && last.is_before(mark) && index >= last.index {
            let events = (last.events + (index - last.index)).min(self.events);
            let found = Milestone { mark, clock, index, keeps_from: index, events };
            self.milestones.push_back(found);
        }
    }

    /// The output now comes from another server: from its first event `mark` on, everything
    /// that was written is still in the ring, and no earlier mark means anything.
    pub fn change_server(&mut self, mark: Mark) {
        let time = if self.is_jump(mark.time) { self.latest() } else { mark.time };
        let mark = Mark { time, ..mark };
        let oldest = self.milestones.get(self.oldest);
        let clock = oldest.map_or(mark.time, |oldest| oldest.clock);
        let events = oldest.map_or(self.events, |oldest| oldest.events);
        self.milestones.clear();
        self.oldest = 0;
        // All that the earlier server's replay could have brought, and nothing older.
        let index = self.margin_start();
        self.milestones.push_back(Milestone { mark, clock, index, keeps_from: index, events });
        self.numbers.set(mark.seq);
        self.held.forget();
        self.pending = None;
        self.passed = None;
    }

    /// Whether anything that is still remembered was certainly written at or after this
    /// instant.
    #[must_use]
    pub fn has_entry_since(&self, instant: TimeUs) -> bool {
        let first = self.milestones.iter().find(|milestone| milestone.clock >= instant);
        first.is_some_and(|milestone| self.entered() > milestone.index)
    }

    /// Where a new connection must start so that every event written since is known.
    #[must_use]
    pub fn rewind_to(&self) -> Option<Mark> {
        let oldest = self.milestones.get(self.oldest).map(|oldest| oldest.mark);
        match (oldest, self.passed) {
            (Some(oldest), Some(passed)) if oldest.seq >= passed.seq => Some(oldest),
            (oldest, passed) => passed.or(oldest),
        }
    }

    /// Returns whether a replay from [`Window::rewind_to`] may bring what an earlier run wrote.
    #[must_use]
    pub fn rewinds_into_earlier_run(&self) -> bool {
        self.milestones.front().is_some_and(|oldest| oldest.keeps_from < self.restored)
    }

    /// The latest event time seen.
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
                .and_then(|place| self.ring.get(place))
                .is_some_and(|held| *held != identity)
    }

    /// The identities that a replay from [`Window::rewind_to`] may bring, oldest first.
    #[must_use]
    pub fn identities(&self) -> Vec<u64> {
        let older = (self.margin_start() - self.evicted) as usize;
        self.ring.iter().skip(older).copied().collect()
    }

    /// The number of identities that no replay from the oldest milestone can bring.
    fn margin_start(&self) -> u64 {
        let start = self.milestones.front().map_or(self.evicted, |oldest| oldest.keeps_from);
        start.max(self.evicted)
    }

    /// A point to come back to if the sink refuses what is entered from here on. Nothing
    /// leaves the window until [`Window::settle`].
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            milestones: self.milestones.len(),
            entered: self.entered(),
            events: self.events,
            clock: self.clock,
            numbers: self.numbers,
            pending: self.pending,
        }
    }

    /// Forgets what was entered since `savepoint`, but for the first `accepted` identities. Call
    /// [`Window::see_again`] with the place of each of them afterwards.
    pub fn roll_back_to(&mut self, savepoint: Savepoint, accepted: usize) {
        self.keep((savepoint.entered - self.evicted) as usize + accepted);
        // The very first milestone stays: it is the first event seen, and nothing before it
        // was ever asked for.
        self.milestones.truncate(savepoint.milestones.max(1));
        self.oldest = self.oldest.min(self.milestones.len().saturating_sub(1));
        self.events = savepoint.events;
        (self.clock, self.numbers, self.pending) =
            (savepoint.clock, savepoint.numbers, savepoint.pending);
    }

    /// Notes an event that was accepted before the rest of its batch was refused: the next event
    /// is ahead of it or is not.
    pub fn see_again(&mut self, mark: Mark) {
        self.see_time(mark.time);
        mark.seq.into_iter().for_each(|seq| self.numbers.note(seq));
    }

    /// Forgets what was entered since `savepoint`, but for the first identities, whose places are
    /// `accepted`.
    #[cfg(test)]
    fn roll_back(&mut self, savepoint: Savepoint, accepted: &[Mark]) {
        self.roll_back_to(savepoint, accepted.len());
        accepted.iter().for_each(|mark| self.see_again(*mark));
    }

    /// Forgets all identities but the oldest ones.
    fn keep(&mut self, oldest: usize) {
        while self.ring.len() > oldest {
            if let Some(identity) = self.ring.pop_back() {
                self.known.remove(&identity);
            }
            self.held.pop_back();
        }
    }

    fn entered(&self) -> u64 {
        self.evicted + self.ring.len() as u64
    }
}

#[cfg(test)]
mod tests;
