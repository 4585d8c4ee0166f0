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

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::event::identity::AsItIs;

use super::{Mark, Resume, Seq, TimeUs};

/// Most events between the oldest milestone and now. The firehose has brought up to 2,500
/// events a second; ten seconds of that fit twice over. Bounds the memory at 6 MiB.
pub const MAX_EVENTS: u64 = 65_536;

/// How many milestones divide the span that is remembered.
const MILESTONES: u64 = 8;

/// The remembered identities.
#[derive(Debug)]
pub struct Window {
    span_us: u64,
    ring: VecDeque<u64>,
    /// The identities in the ring, and how many were ever entered before each.
    known: HashMap<u64, u64, AsItIs>,
    milestones: VecDeque<Milestone>,
    /// Identities that have left the ring, so that a milestone's index stays true.
    evicted: u64,
    /// Events seen, written or not.
    events: u64,
    /// The latest event time seen.
    latest: TimeUs,
    /// The highest sequence number seen on this server.
    highest_seq: Option<Seq>,
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
            known: HashMap::default(),
            milestones: VecDeque::new(),
            evicted: 0,
            events: 0,
            latest: TimeUs(0),
            highest_seq: None,
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
        window.latest = position.latest_time;
        window.highest_seq = position.newest.seq;
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

    /// Notes an event that was dealt with; call it before [`Window::insert`] for the same one.
    pub fn advance(&mut self, mark: Mark) {
        let is_ahead = self.is_ahead(mark);
        self.is_replaying &= !is_ahead;
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
                keeps_from: self.entered(),
                events: self.events,
            });
        }
        self.events += 1;
    }

    /// Everything up to `mark` was dealt with, and whoever asks from `mark` on (inclusively)
    /// gets nothing of it again but the event at `mark` itself. That one is still remembered:
    /// it is the newest, if it was written at all.
    pub fn pass(&mut self, mark: Mark) {
        self.latest = self.latest.max(mark.time);
        self.highest_seq = self.highest_seq.max(mark.seq);
        if self.passed.is_none_or(|passed| passed.seq < mark.seq) {
            self.passed = Some(mark);
        }
    }

    /// Whether an event lies beyond all that was seen. Inside a replay it does not, and
    /// nothing there may become a milestone: what was written behind it the first time
    /// stands in the ring in front of it. (A server whose clock or sequence fell back
    /// gets a milestone all the same after `MAX_EVENTS`, so that memory stays bounded.)
    fn is_ahead(&self, mark: Mark) -> bool {
        match (mark.seq, self.highest_seq) {
            (Some(seq), Some(highest)) => seq > highest,
            // Strictly: a replay from an instant also brings the earlier ones of that instant,
            // be they new or known.
            _ => mark.time > self.latest.max(self.latest_again),
        }
    }

    /// Remembers an event that is about to be written.
    pub fn insert(&mut self, identity: u64) {
        let entered = self.entered();
        if let Entry::Vacant(unknown) = self.known.entry(identity) {
            unknown.insert(entered);
            self.ring.push_back(identity);
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
        for milestone in &mut self.milestones {
            if milestone.keeps_from > index && milestone.is_before(mark) {
                milestone.keeps_from = index;
            }
        }
        self.find_milestone(index, mark);
    }

    /// Sets the milestones anew that an earlier run had: of those only the oldest was saved.
    /// Without them a run that ends within the span would never let go of anything, and many
    /// of them in a row would rewind ever further.
    fn find_milestone(&mut self, index: u64, mark: Mark) {
        // As in `is_ahead`: what else came at that instant may stand in front of it.
        let is_alone = mark.seq.is_some() || mark.time > self.latest_again;
        self.latest_again = self.latest_again.max(mark.time);
        let Some(&last) = self.milestones.back() else { return };
        let clock = mark.time.min(self.latest);
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
        let clock = self.milestones.front().map_or(mark.time, |oldest| oldest.clock);
        let events = self.milestones.front().map_or(self.events, |oldest| oldest.events);
        self.milestones.clear();
        let index = self.evicted;
        self.milestones.push_back(Milestone { mark, clock, index, keeps_from: index, events });
        self.highest_seq = mark.seq;
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
        let oldest = self.milestones.front().map(|oldest| oldest.mark);
        match (oldest, self.passed) {
            (Some(oldest), Some(passed)) if oldest.seq >= passed.seq => Some(oldest),
            (oldest, passed) => passed.or(oldest),
        }
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

    /// Forgets what was entered since `savepoint`, but for the first identities, whose marks
    /// are `accepted`.
    pub fn roll_back(&mut self, savepoint: Savepoint, accepted: &[Mark]) {
        let keep = (savepoint.entered - self.evicted) as usize + accepted.len();
        while self.ring.len() > keep {
            if let Some(identity) = self.ring.pop_back() {
                self.known.remove(&identity);
            }
        }
        // The very first milestone stays: it is the first event seen, and nothing before it
        // was ever asked for.
        self.milestones.truncate(savepoint.milestones.max(1));
        self.events = savepoint.events;
        // What was accepted counts: the next event is ahead of it or is not.
        let latest = accepted.iter().map(|mark| mark.time).max();
        self.latest = latest.map_or(savepoint.latest, |latest| latest.max(savepoint.latest));
        let highest_seq = accepted.iter().filter_map(|mark| mark.seq).max();
        self.highest_seq = highest_seq.max(savepoint.highest_seq);
    }

    /// The sink has accepted everything: lets go of what is older than the span.
    pub fn settle(&mut self) {
        while let Some(&next) = self.milestones.get(1) {
            let old = next.clock.plus_us(self.span_us) <= self.latest && !self.is_replaying;
            let many = self.events - next.events >= MAX_EVENTS;
            if !old && !many {
                break;
            }
            self.milestones.pop_front();
            // Bounded memory comes before a server that repeats one old event for ever.
            let is_kept_long = self.entered() - next.keeps_from >= MAX_EVENTS;
            let keeps_from = if is_kept_long { next.index } else { next.keeps_from };
            while self.evicted < keeps_from {
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
    fn what_was_passed_is_not_asked_for_again_and_its_last_event_stays_known() {
        let mut window = Window::new(1000);
        write(&mut window, 1, 10);
        write(&mut window, 2, 20);
        window.pass(mark(20));
        window.settle();
        assert_eq!(window.rewind_to(), Some(mark(20)));
        assert!(window.contains(2));
        // Where nothing is wanted the place moves on all the same, and never back.
        window.pass(Mark { time: TimeUs(20), seq: Some(Seq(5000)) });
        window.pass(mark(30));
        assert_eq!(window.rewind_to().and_then(|mark| mark.seq), Some(Seq(5000)));
        // Another server's numbers are others.
        window.change_server(mark(40));
        assert_eq!(window.rewind_to(), Some(mark(40)));
        assert!(window.contains(1) && window.contains(2));
    }

    #[test]
    fn a_refused_batch_leaves_no_trace_but_its_accepted_lines() {
        let mut window = Window::new(1000);
        write(&mut window, 1, 0);
        let savepoint = window.savepoint();
        for i in 2..100 {
            write(&mut window, i, i * 1000);
        }
        window.roll_back(savepoint, &[mark(2000), mark(3000), mark(4000)]);
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

    #[test]
    fn what_another_server_orders_behind_a_milestone_is_kept_as_long_as_it() {
        let time = |time| Mark { time: TimeUs(time), seq: None };
        let mut window = Window::new(1000);
        for (identity, at) in [(1, 5000), (2, 5010)] {
            window.advance(time(at));
            window.insert(identity);
            window.settle();
        }
        // The other server has 3, which is new, in front of 2.
        window.change_server(time(5305));
        window.advance(time(5305));
        window.insert(3);
        window.settle();
        window.meet_again(2, time(5310));
        for at in 0..17 {
            window.advance(time(5400 + at * 60));
            window.insert(100 + at);
            window.settle();
        }
        assert_eq!(window.rewind_to(), Some(time(5305)));
        assert!(window.contains(2) && window.contains(3));
    }

    #[test]
    fn an_old_event_that_is_repeated_for_ever_is_forgotten_in_the_end() {
        let mut window = Window::new(1000);
        write(&mut window, 0, 0);
        for i in 1..4 * MAX_EVENTS {
            window.meet_again(0, mark(i));
            write(&mut window, i, i);
            window.settle();
        }
        let kept = window.identities().len() as u64;
        assert!(kept <= 2 * MAX_EVENTS, "{kept}");
    }

    fn resume(window: &Window, newest: Mark) -> Resume {
        let position = Position {
            origin: Origin { server: "a".into(), kind: ServerKind::V2, stream: 1 },
            newest,
            rewind_to: window.rewind_to().unwrap(),
            latest_time: window.latest(),
        };
        Resume { position, identities: window.identities() }
    }

    /// Everything from the rewind point up to `end` comes again.
    fn replay(window: &mut Window, end: u64) {
        let from = window.rewind_to().unwrap().time.0;
        (from..end).for_each(|time| window.meet_again(time, mark(time)));
    }

    #[test]
    fn runs_shorter_than_the_span_pile_up_nothing() {
        let mut window = Window::new(1000);
        for run in 0..100 {
            for time in run * 50..(run + 1) * 50 {
                write(&mut window, time, time);
                window.settle();
            }
            let end = (run + 1) * 50;
            window = Window::restore(1000, &resume(&window, mark(end - 1)));
            replay(&mut window, end);
            window.settle();
            assert!((end.saturating_sub(1000)..end).all(|time| window.contains(time)), "{run}");
        }
        assert!(window.identities().len() <= 1300, "{}", window.identities().len());
        assert!(window.rewind_to().unwrap().time.0 >= 3700, "{:?}", window.rewind_to());
    }

    #[test]
    fn what_a_server_repeats_is_known_as_long_as_it_can_come_again() {
        let mut window = Window::new(1000);
        write(&mut window, 0, 0);
        for time in 1..5000 {
            write(&mut window, time, time);
            if time % 700 == 0 {
                window.meet_again(0, mark(time));
            }
            window.settle();
            let repeated = time / 700 * 700;
            assert!(repeated < window.rewind_to().unwrap().time.0 || window.contains(0), "{time}");
        }
    }

    #[test]
    fn what_another_server_has_later_is_kept_as_long() {
        let mut window = Window::new(1000);
        for time in 0..2000 {
            write(&mut window, time, time);
            window.settle();
        }
        // Two that are new or filtered out, then all the others of the last second again.
        let there = |time| Mark { time: TimeUs(time), seq: Some(Seq(time + 90_000)) };
        window.change_server(there(998));
        window.advance(there(998));
        window.advance(there(999));
        (1000..2000).for_each(|time| window.meet_again(time, there(time)));
        for time in 2000..6000 {
            window.advance(there(time));
            window.insert(time);
            window.settle();
            let from = window.rewind_to().unwrap().time.0;
            assert!((from.max(1000)..time).all(|known| window.contains(known)), "{from} to {time}");
        }
        assert!(window.identities().len() < 1300);
    }

    #[test]
    fn identities_that_a_damaged_file_repeats_count_once() {
        let mut saved = Window::new(1000);
        write(&mut saved, 1, 0);
        let mut resume = resume(&saved, mark(0));
        resume.identities = vec![1, 1, 2, 1];
        assert_eq!(Window::restore(1000, &resume).identities(), [1, 2]);
    }

    /// What may happen to a window, in one server's stream.
    #[derive(Clone, Debug)]
    enum Step {
        /// New events, each written or not, their times this far apart; those of long ago
        /// where `imported`.
        Read { events: Vec<bool>, pace: u64, imported: bool },
        /// The same, but the sink takes only a part.
        Refuse { events: Vec<bool>, pace: u64, accepted: usize },
        /// A new connection, perhaps of a new process.
        Reconnect { restarts: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        let events = || prop::collection::vec(any::<bool>(), 0..40);
        prop_oneof![
            6 => (events(), 0u64..80, prop::bool::weighted(0.1))
                .prop_map(|(events, pace, imported)| Step::Read { events, pace, imported }),
            1 => (events(), 0u64..80, 0usize..40)
                .prop_map(|(events, pace, accepted)| Step::Refuse { events, pace, accepted }),
            2 => any::<bool>().prop_map(|restarts| Step::Reconnect { restarts }),
        ]
    }

    /// A stream, what was written of it, and the window that should know.
    struct Model {
        window: Window,
        has_seqs: bool,
        stream: Vec<(Mark, bool)>,
        clock: u64,
    }

    impl Model {
        fn read(&mut self, events: &[bool], pace: u64, imported: bool) {
            for &is_written in events {
                self.clock += pace;
                let time = if imported { 1 } else { self.clock };
                let identity = self.stream.len() as u64;
                let seq = self.has_seqs.then_some(Seq(identity + 1));
                let mark = Mark { time: TimeUs(time), seq };
                self.window.advance(mark);
                if is_written {
                    self.window.insert(identity);
                }
                self.stream.push((mark, is_written));
            }
        }

        /// The stream from the rewind point on, as a server would find it.
        fn replayed(&self) -> impl Iterator<Item = (u64, Mark, bool)> + '_ {
            let from = self.window.rewind_to();
            let is_asked = move |mark: Mark| {
                from.is_none_or(|from| match from.seq {
                    Some(_) => mark.seq >= from.seq,
                    None => mark.time >= from.time,
                })
            };
            let numbered = self.stream.iter().enumerate();
            numbered
                .filter(move |(_, (mark, _))| is_asked(*mark))
                .map(|(i, (mark, is_written))| (i as u64, *mark, *is_written))
        }

        fn check(&self) -> Result<(), TestCaseError> {
            for (identity, mark, is_written) in self.replayed() {
                prop_assert_eq!(self.window.contains(identity), is_written, "{:?}", mark);
            }
            let kept = self.window.ring.len() as u64;
            prop_assert!(kept <= 2 * MAX_EVENTS + MAX_EVENTS / MILESTONES);
            prop_assert!(self.window.known.len() <= self.window.ring.len());
            Ok(())
        }

        fn reconnect(&mut self, restarts: bool) {
            let Some((newest, _)) = self.stream.last() else { return };
            if restarts && self.window.rewind_to().is_some() {
                self.window = Window::restore(1000, &resume(&self.window, *newest));
            }
            let again: Vec<_> = self.replayed().collect();
            for (identity, mark, _) in again {
                match self.window.contains(identity) {
                    true => self.window.meet_again(identity, mark),
                    false => self.window.advance(mark),
                }
            }
            self.window.settle();
        }

        fn take(&mut self, step: Step) {
            match step {
                Step::Read { events, pace, imported } => {
                    let imported = imported && self.has_seqs;
                    self.read(&events, pace, imported);
                    self.window.settle();
                }
                Step::Refuse { events, pace, accepted } => {
                    let (savepoint, before) = (self.window.savepoint(), self.stream.len());
                    self.read(&events, pace, false);
                    // Up to the last line that was taken everything has happened.
                    let new = self.stream.iter().enumerate().skip(before);
                    let taken: Vec<_> = new.filter(|(_, (_, w))| *w).take(accepted).collect();
                    let end = taken.last().map_or(before, |(i, _)| i + 1);
                    let marks: Vec<Mark> = taken.iter().map(|(_, (mark, _))| *mark).collect();
                    self.window.roll_back(savepoint, &marks);
                    self.stream.truncate(end);
                    self.clock = self.stream.last().map_or(0, |(m, _)| m.time.0).max(self.clock);
                    self.reconnect(true);
                }
                Step::Reconnect { restarts } => self.reconnect(restarts),
            }
        }
    }

    proptest! {
        #[test]
        fn a_replay_is_told_apart_event_by_event(
            steps in prop::collection::vec(step(), 1..60), has_seqs: bool,
        ) {
            let window = Window::new(1000);
            let mut model = Model { window, has_seqs, stream: Vec::new(), clock: 10 };
            for step in steps {
                model.take(step);
                model.check()?;
            }
        }

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
