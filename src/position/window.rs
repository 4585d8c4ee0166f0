//! The identities of the newest events that were written, and from where a replay can be
//! told apart by them.
//!
//! Responsible for memory (bounded by event time and by count) and for the point to rewind
//! to. What an identity is, `event::identity` knows.
//!
//! Identities stand in a ring in the order they were written, 8 bytes each, and in a hash set
//! (up to 18 bytes each). *Milestones* divide the ring: at each one we know the event's place
//! on the server, and that everything written since is in the ring. The oldest milestone is
//! what a new connection rewinds to. So the ring is thinned a milestone at a time.

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::{Mark, Resume, Seq, TimeUs};

/// Most events between the oldest milestone and now. The firehose has brought up to 2,500
/// events a second; ten seconds of that fit twice over. Bounds the memory at 4 MiB.
pub const MAX_EVENTS: u64 = 65_536;

/// How many milestones divide the span that is remembered.
const MILESTONES: u64 = 8;

/// The remembered identities.
#[derive(Debug)]
pub struct Window {
    span_us: u64,
    ring: VecDeque<u64>,
    known: HashSet<u64, BuildHasherDefault<AlreadyHashed>>,
    milestones: VecDeque<Milestone>,
    /// Identities that have left the ring, so that a milestone's index stays true.
    evicted: u64,
    /// Events seen, written or not.
    events: u64,
    /// The latest event time seen.
    latest: TimeUs,
    /// The highest sequence number seen on this server.
    highest_seq: Option<Seq>,
}

#[derive(Clone, Copy, Debug)]
struct Milestone {
    mark: Mark,
    /// The latest event time when it was set.
    clock: TimeUs,
    /// The number of identities ever entered before it.
    index: u64,
    /// The number of events seen before it.
    events: u64,
}

/// What [`Window::roll_back`] needs to undo a batch.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {
    milestones: usize,
    entered: u64,
    events: u64,
    latest: TimeUs,
    highest_seq: Option<Seq>,
}

impl Window {
    /// An empty window that remembers `span_us` of event time.
    #[must_use]
    pub fn new(span_us: u64) -> Self {
        Self {
            span_us,
            ring: VecDeque::new(),
            known: HashSet::default(),
            milestones: VecDeque::new(),
            evicted: 0,
            events: 0,
            latest: TimeUs(0),
            highest_seq: None,
        }
    }

    /// The window that an earlier run saved.
    #[must_use]
    pub fn restore(span_us: u64, resume: &Resume) -> Self {
        let mut window = Self::new(span_us);
        let Resume { position, identities } = resume;
        window.ring.extend(identities);
        window.known.extend(identities);
        window.latest = position.latest_time;
        window.highest_seq = position.newest.seq;
        window.milestones.push_back(Milestone {
            mark: position.rewind_to,
            clock: position.latest_time.minus_us(span_us),
            index: 0,
            events: 0,
        });
        window.events = window.ring.len() as u64;
        window
    }

    /// Whether this event was written already.
    #[must_use]
    pub fn contains(&self, identity: u64) -> bool {
        self.known.contains(&identity)
    }

    /// Notes an event that was dealt with; call it before [`Window::insert`] for the same one.
    pub fn advance(&mut self, mark: Mark) {
        let is_ahead = self.is_ahead(mark);
        self.latest = self.latest.max(mark.time);
        self.highest_seq = self.highest_seq.max(mark.seq);
        let due = self.milestones.back().is_none_or(|last| {
            let seen = self.events - last.events;
            let clock_due = last.clock.plus_us(self.span_us / MILESTONES);
            let regular = self.latest >= clock_due || seen >= MAX_EVENTS / MILESTONES;
            (regular && is_ahead) || seen >= MAX_EVENTS
        });
        if due {
            self.milestones.push_back(Milestone {
                mark,
                clock: self.latest,
                index: self.entered(),
                events: self.events,
            });
        }
        self.events += 1;
    }

    /// Whether an event lies beyond all that was seen. Inside a replay it does not, and
    /// nothing there may become a milestone: what was written behind it the first time
    /// stands in the ring in front of it. (A server whose clock or sequence fell back
    /// gets a milestone all the same after `MAX_EVENTS`, so that memory stays bounded.)
    fn is_ahead(&self, mark: Mark) -> bool {
        match (mark.seq, self.highest_seq) {
            (Some(seq), Some(highest)) => seq > highest,
            // Strictly: a replay from an instant also brings the earlier ones of that instant.
            _ => mark.time > self.latest,
        }
    }

    /// Remembers an event that is about to be written.
    pub fn insert(&mut self, identity: u64) {
        if self.known.insert(identity) {
            self.ring.push_back(identity);
        }
    }

    /// The output now comes from another server: from its first event `mark` on, everything
    /// that was written is still in the ring, and no earlier mark means anything.
    pub fn change_server(&mut self, mark: Mark) {
        let clock = self.milestones.front().map_or(mark.time, |oldest| oldest.clock);
        let events = self.milestones.front().map_or(self.events, |oldest| oldest.events);
        self.milestones.clear();
        self.milestones.push_back(Milestone { mark, clock, index: self.evicted, events });
        self.highest_seq = mark.seq;
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
        self.milestones.front().map(|oldest| oldest.mark)
    }

    /// The latest event time seen.
    #[must_use]
    pub fn latest(&self) -> TimeUs {
        self.latest
    }

    /// The identities, oldest first.
    #[must_use]
    pub fn identities(&self) -> Vec<u64> {
        self.ring.iter().copied().collect()
    }

    /// A point to come back to if the sink refuses what is entered from here on. Nothing
    /// leaves the window until [`Window::settle`].
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            milestones: self.milestones.len(),
            entered: self.entered(),
            events: self.events,
            latest: self.latest,
            highest_seq: self.highest_seq,
        }
    }

    /// Forgets what was entered since `savepoint`, but for the first `accepted` identities.
    pub fn roll_back(&mut self, savepoint: Savepoint, accepted: usize) {
        let keep = (savepoint.entered - self.evicted) as usize + accepted;
        while self.ring.len() > keep {
            if let Some(identity) = self.ring.pop_back() {
                self.known.remove(&identity);
            }
        }
        // The very first milestone stays: it is the first event seen, and nothing before it
        // was ever asked for.
        self.milestones.truncate(savepoint.milestones.max(1));
        self.events = savepoint.events;
        self.latest = savepoint.latest;
        self.highest_seq = savepoint.highest_seq;
    }

    /// The sink has accepted everything: lets go of what is older than the span.
    pub fn settle(&mut self) {
        while let Some(&next) = self.milestones.get(1) {
            let old = next.clock.0.saturating_add(self.span_us) <= self.latest.0;
            let many = self.events - next.events >= MAX_EVENTS;
            if !old && !many {
                break;
            }
            self.milestones.pop_front();
            while self.evicted < next.index {
                if let Some(identity) = self.ring.pop_front() {
                    self.known.remove(&identity);
                }
                self.evicted += 1;
            }
        }
    }

    fn entered(&self) -> u64 {
        self.evicted + self.ring.len() as u64
    }
}

/// Identities are hashes already; hashing them again would cost as much as looking them up.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::{Origin, Position, ServerKind};
    use proptest::prelude::*;

    fn mark(time: u64) -> Mark {
        Mark { time: TimeUs(time), seq: Some(Seq(time + 1)) }
    }

    fn write(window: &mut Window, identity: u64, time: u64) {
        window.advance(mark(time));
        window.insert(identity);
    }

    #[test]
    fn remembers_at_least_the_span_and_forgets_beyond() {
        let mut window = Window::new(1000);
        for i in 0..5000 {
            write(&mut window, i, i);
            window.settle();
        }
        assert!((4000..5000).all(|i| window.contains(i)));
        assert!(!window.contains(3000));
        let rewind_to = window.rewind_to().unwrap().time.0;
        assert!((3000..=4000).contains(&rewind_to), "{rewind_to}");
        assert_eq!(window.identities().first(), Some(&rewind_to));
    }

    #[test]
    fn stays_bounded_when_the_clock_stands_still() {
        let mut window = Window::new(1000);
        for i in 0..MAX_EVENTS * 4 {
            write(&mut window, i, 7);
            window.settle();
        }
        let kept = window.identities().len() as u64;
        assert!((MAX_EVENTS..=MAX_EVENTS + MAX_EVENTS / MILESTONES + 1).contains(&kept), "{kept}");
    }

    #[test]
    fn an_imported_older_time_evicts_nothing() {
        let mut window = Window::new(1000);
        write(&mut window, 1, 1_000_000);
        write(&mut window, 2, 5);
        window.settle();
        assert!(window.contains(1) && window.contains(2));
    }

    #[test]
    fn filtered_events_move_the_rewind_point() {
        let mut window = Window::new(1000);
        write(&mut window, 1, 0);
        for time in 1..5000 {
            window.advance(mark(time));
            window.settle();
        }
        assert!(window.rewind_to().unwrap().time.0 >= 3000);
        assert!(!window.contains(1));
    }

    #[test]
    fn a_refused_batch_leaves_no_trace_but_its_accepted_lines() {
        let mut window = Window::new(1000);
        write(&mut window, 1, 0);
        let savepoint = window.savepoint();
        for i in 2..100 {
            write(&mut window, i, i * 1000);
        }
        window.roll_back(savepoint, 3);
        window.settle();
        assert_eq!(window.identities(), [1, 2, 3, 4]);
        assert_eq!(window.rewind_to(), Some(mark(0)));
    }

    #[test]
    fn a_restored_window_knows_what_the_saved_one_knew() {
        let mut window = Window::new(1000);
        for i in 0..3000 {
            write(&mut window, i, i);
            window.settle();
        }
        let rewind_to = window.rewind_to().unwrap();
        let position = Position {
            origin: Origin { server: "a".into(), kind: ServerKind::V2, stream: 1 },
            newest: mark(2999),
            rewind_to,
            latest_time: window.latest(),
        };
        let saved = Resume { position, identities: window.identities() };
        let mut restored = Window::restore(1000, &saved);
        assert_eq!(restored.rewind_to(), Some(rewind_to));
        assert_eq!(restored.identities(), window.identities());
        for i in 3000..9000 {
            write(&mut restored, i, i);
            restored.settle();
        }
        assert!(restored.identities().len() < 2000);
    }

    #[test]
    fn no_milestone_stands_between_events_of_one_instant() {
        let mut window = Window::new(1000);
        for (identity, time) in [(1, 0), (2, 500), (3, 500), (4, 2000), (5, 2000), (6, 3500)] {
            window.advance(Mark { time: TimeUs(time), seq: None });
            window.insert(identity);
            window.settle();
        }
        let rewind_to = window.rewind_to().unwrap().time.0;
        let since: Vec<u64> = window.identities();
        assert_eq!((rewind_to, since), (2000, vec![4, 5, 6]));
    }

    #[test]
    fn a_filtered_replay_makes_nothing_forgotten() {
        let mut window = Window::new(1000);
        for i in 0..100 {
            write(&mut window, i, i);
        }
        window.settle();
        for _ in 0..3 * MAX_EVENTS / MILESTONES / 100 {
            (0..100).for_each(|time| window.advance(mark(time)));
            window.settle();
        }
        assert_eq!(window.rewind_to(), Some(mark(0)));
        assert!((0..100).all(|i| window.contains(i)));
    }

    proptest! {
        /// The model is a list of all events ever written.
        #[test]
        fn everything_written_since_the_rewind_point_is_known(
            steps in prop::collection::vec((0u64..400, any::<bool>(), any::<bool>()), 1..400)
        ) {
            let mut window = Window::new(1000);
            let mut written = Vec::new();
            let mut time = 0;
            for (i, (step, is_written, settles)) in steps.into_iter().enumerate() {
                time += step;
                window.advance(mark(time));
                if is_written {
                    window.insert(i as u64);
                    written.push((i as u64, time));
                }
                if settles {
                    window.settle();
                }
            }
            let rewind_to = window.rewind_to().unwrap().time.0;
            for (identity, at) in written {
                if at > rewind_to {
                    prop_assert!(window.contains(identity));
                }
            }
        }
    }
}
