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
        window.settle(None);
    }
    assert!((4000..5000).all(|i| window.contains(i)));
    assert!(!window.identities().contains(&2999));
    let rewind_to = window.rewind_to().unwrap().time.0;
    assert!((3000..=4000).contains(&rewind_to), "{rewind_to}");
    assert_eq!(window.identities().first(), Some(&rewind_to));
}

#[test]
fn stays_bounded_when_the_clock_stands_still() {
    let mut window = Window::new(1000);
    for i in 0..MAX_EVENTS * 4 {
        write(&mut window, i, 7);
        window.settle(None);
    }
    let kept = window.identities().len() as u64;
    assert!((MAX_EVENTS..=MAX_EVENTS + MAX_EVENTS / MILESTONES + 1).contains(&kept), "{kept}");
}

#[test]
fn an_imported_older_time_evicts_nothing() {
    let mut window = Window::new(1000);
    write(&mut window, 1, 1_000_000);
    write(&mut window, 2, 5);
    window.settle(None);
    assert!(window.contains(1) && window.contains(2));
}

#[test]
fn filtered_events_move_the_rewind_point() {
    let mut window = Window::new(1000);
    write(&mut window, 1, 0);
    for time in 1..5000 {
        window.advance(mark(time));
        window.settle(None);
    }
    assert!(window.rewind_to().unwrap().time.0 >= 3000);
    assert!(!window.identities().contains(&1));
}

#[test]
fn what_was_passed_is_not_asked_for_again_and_its_last_event_stays_known() {
    let mut window = Window::new(1000);
    write(&mut window, 1, 10);
    write(&mut window, 2, 20);
    window.pass(mark(20));
    window.settle(None);
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
    window.settle(None);
    assert_eq!(window.identities(), [1, 2, 3, 4]);
    assert_eq!(window.rewind_to(), Some(mark(0)));
}

#[test]
fn a_restored_window_knows_what_the_saved_one_knew() {
    let mut window = Window::new(1000);
    for i in 0..3000 {
        write(&mut window, i, i);
        window.settle(None);
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
        restored.settle(None);
    }
    assert!(restored.identities().len() < 2000);
}

#[test]
fn no_milestone_stands_between_events_of_one_instant() {
    let mut window = Window::new(1000);
    for (identity, time) in [(1, 0), (2, 500), (3, 500), (4, 2000), (5, 2000), (6, 3500)] {
        window.advance(Mark { time: TimeUs(time), seq: None });
        window.insert(identity);
        window.settle(None);
    }
    let rewind_to = window.rewind_to().unwrap().time.0;
    let since: Vec<u64> = window.identities();
    // One event behind, as a sparse stream is: nothing supports the last jump.
    assert_eq!((rewind_to, since), (500, vec![2, 3, 4, 5, 6]));
}

#[test]
fn a_filtered_replay_makes_nothing_forgotten() {
    let mut window = Window::new(1000);
    for i in 0..100 {
        write(&mut window, i, i);
    }
    window.settle(None);
    for _ in 0..3 * MAX_EVENTS / MILESTONES / 100 {
        (0..100).for_each(|time| {
            window.advance(mark(time));
        });
        window.settle(None);
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
        window.settle(None);
    }
    // The other server has 3, which is new, in front of 2.
    window.change_server(time(5205));
    window.advance(time(5205));
    window.insert(3);
    window.settle(None);
    window.meet_again(2, time(5210));
    for at in 0..17 {
        window.advance(time(5300 + at * 60));
        window.insert(100 + at);
        window.settle(None);
    }
    assert_eq!(window.rewind_to(), Some(time(5205)));
    assert!(window.contains(2) && window.contains(3));
}

#[test]
fn a_repeat_long_after_the_span_is_known_as_long_as_the_memory_bound_allows() {
    let mut window = Window::new(1000);
    for i in 0..MAX_EVENTS {
        write(&mut window, i, i * 100);
        window.settle(None);
    }
    assert!((0..MAX_EVENTS).all(|i| window.contains(i)));
    // What a resume needs is no more than before.
    assert!(window.identities().len() < 20, "{}", window.identities().len());
    for i in MAX_EVENTS..3 * MAX_EVENTS {
        write(&mut window, i, i * 100);
        window.settle(None);
    }
    assert!(!window.contains(2 * MAX_EVENTS - 1) && window.contains(2 * MAX_EVENTS));
}

#[test]
fn one_absurd_time_sets_no_milestone_and_forgets_nothing() {
    for seq in [None, Some(Seq(1))] {
        let at = |time: u64| Mark { time: TimeUs(time), seq: seq.map(|_| Seq(time)) };
        let mut window = Window::new(1000);
        window.begin_batch(TimeUs(0), || vec![TimeUs(1)]);
        for time in 1..100 {
            window.advance(at(time));
            window.insert(time);
        }
        window.settle(None);
        let before = window.rewind_to();
        let lie = Mark { time: TimeUs(u64::MAX), seq: seq.map(|_| Seq(Seq::LIMIT - 1)) };
        assert_eq!(window.advance(lie), None);
        window.insert(1 << 40);
        window.settle(None);
        assert_eq!((window.latest(), window.rewind_to()), (TimeUs(99), before));
        window.advance(at(100));
        window.settle(None);
        assert_eq!(window.highest_seq(), seq.map(|_| Seq(100)));
        assert!((1..100).all(|i| window.contains(i)));
    }
}

#[test]
fn another_event_under_a_known_number_is_noticed() {
    let mut window = Window::new(1000);
    for i in 0..100 {
        write(&mut window, i + 500, i);
    }
    assert!(window.is_held_by_another(Seq(50), 1));
    assert!(!window.is_held_by_another(Seq(50), 549));
    assert!(!window.is_held_by_another(Seq(500), 1), "nothing is known of it");
    window.change_server(mark(200));
    assert!(!window.is_held_by_another(Seq(50), 1), "another server's numbers are others");
}

#[test]
fn an_old_event_that_is_repeated_for_ever_is_forgotten_in_the_end() {
    let mut window = Window::new(1000);
    write(&mut window, 0, 0);
    for i in 1..4 * MAX_EVENTS {
        window.meet_again(0, mark(i));
        write(&mut window, i, i);
        window.settle(None);
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
            window.settle(None);
        }
        let end = (run + 1) * 50;
        window = Window::restore(1000, &resume(&window, mark(end - 1)));
        replay(&mut window, end);
        window.settle(None);
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
        window.settle(None);
        let repeated = time / 700 * 700;
        assert!(repeated < window.rewind_to().unwrap().time.0 || window.contains(0), "{time}");
    }
}

#[test]
fn what_another_server_has_later_is_kept_as_long() {
    let mut window = Window::new(1000);
    for time in 0..2000 {
        write(&mut window, time, time);
        window.settle(None);
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
        window.settle(None);
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
                false => {
                    self.window.advance(mark);
                }
            }
        }
        self.window.settle(None);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Read { events, pace, imported } => {
                let imported = imported && self.has_seqs;
                self.read(&events, pace, imported);
                self.window.settle(None);
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
                window.settle(None);
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

#[test]
fn what_comes_again_after_an_unsupported_event_is_kept_for_a_replay_from_there() {
    let mut window = Window::new(1000);
    let at = |time| Mark { time: TimeUs(time), seq: None };
    for time in 10_000..10_100 {
        window.advance(at(time));
        window.insert(time);
    }
    window.settle(None);
    // A sparse stream: this event becomes a milestone once the next one supports its time.
    window.advance(at(15_000));
    window.insert(15_000);
    window.meet_again(10_090, at(15_010));
    for time in [20_000, 25_000] {
        window.advance(at(time));
        window.insert(time);
    }
    window.settle(None);
    assert_eq!(window.rewind_to(), Some(at(15_000)));
    assert!(window.identities().contains(&10_090));
}

#[test]
fn a_false_time_that_comes_again_is_no_place_to_rewind_to() {
    let mut window = Window::new(1000);
    let at = |time| Mark { time: TimeUs(time), seq: None };
    for time in (10_000..20_000).step_by(100) {
        window.advance(at(time));
        window.insert(time);
    }
    window.settle(None);
    window.meet_again(19_000, at(900_000));
    for time in (20_000..30_000).step_by(100) {
        window.advance(at(time));
        window.insert(time);
        window.settle(None);
        assert!(window.rewind_to().is_some_and(|rewind_to| rewind_to.time <= TimeUs(time)));
    }
}
