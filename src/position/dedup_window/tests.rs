use super::*;
use crate::position::{Origin, Position, ServerKind};

mod model;

fn at(time: u64) -> EventPosition {
    EventPosition { time: TimeUs(time), seq: Some(Seq(time + 1)) }
}

fn write(window: &mut DedupWindow, identity: u64, time: u64) {
    window.advance(at(time));
    window.insert(identity);
}

#[test]
fn remembers_at_least_the_span_and_forgets_beyond() {
    let mut window = DedupWindow::new(1000);
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
fn stays_bounded_when_the_clock_does_not_move() {
    let mut window = DedupWindow::new(1000);
    for i in 0..MAX_EVENTS * 4 {
        write(&mut window, i, 7);
        window.settle(None);
    }
    let kept = window.identities().len() as u64;
    assert!((MAX_EVENTS..=MAX_EVENTS + MAX_EVENTS / REWIND_POINTS + 1).contains(&kept), "{kept}");
}

#[test]
fn an_imported_older_time_evicts_nothing() {
    let mut window = DedupWindow::new(1000);
    write(&mut window, 1, 1_000_000);
    write(&mut window, 2, 5);
    window.settle(None);
    assert!(window.contains(1) && window.contains(2));
}

#[test]
fn filtered_events_move_the_rewind_point() {
    let mut window = DedupWindow::new(1000);
    write(&mut window, 1, 0);
    for time in 1..5000 {
        window.advance(at(time));
        window.settle(None);
    }
    assert!(window.rewind_to().unwrap().time.0 >= 3000);
    assert!(!window.identities().contains(&1));
}

#[test]
fn what_was_passed_is_not_asked_for_again_and_its_last_event_stays_known() {
    let mut window = DedupWindow::new(1000);
    write(&mut window, 1, 10);
    write(&mut window, 2, 20);
    window.set_watermark(at(20));
    window.settle(None);
    assert_eq!(window.rewind_to(), Some(at(20)));
    assert!(window.contains(2));
    // Where nothing is wanted the place moves on all the same, and never back.
    window.set_watermark(EventPosition { time: TimeUs(20), seq: Some(Seq(5000)) });
    window.set_watermark(at(30));
    assert_eq!(window.rewind_to().and_then(|at| at.seq), Some(Seq(5000)));
    // Another server's numbers are others.
    window.change_server(at(40));
    assert_eq!(window.rewind_to(), Some(at(40)));
    assert!(window.contains(1) && window.contains(2));
}

#[test]
fn a_refused_batch_leaves_no_trace_but_its_accepted_lines() {
    let mut window = DedupWindow::new(1000);
    write(&mut window, 1, 0);
    let snapshot = window.snapshot();
    for i in 2..100 {
        write(&mut window, i, i * 1000);
    }
    window.roll_back(snapshot, &[at(2000), at(3000), at(4000)]);
    window.settle(None);
    assert_eq!(window.identities(), [1, 2, 3, 4]);
    assert_eq!(window.rewind_to(), Some(at(0)));
}

#[test]
fn a_restored_window_knows_what_the_saved_one_knew() {
    let mut window = DedupWindow::new(1000);
    for i in 0..3000 {
        write(&mut window, i, i);
        window.settle(None);
    }
    let rewind_to = window.rewind_to().unwrap();
    let position = Position {
        origin: Origin { server: "a".into(), kind: ServerKind::V2, filter_fingerprint: 1 },
        newest: at(2999),
        rewind_to,
        max_time: window.latest(),
    };
    let saved = Resume { position, identities: window.identities() };
    let mut restored = DedupWindow::restore(1000, &saved);
    assert_eq!(restored.rewind_to(), Some(rewind_to));
    assert_eq!(restored.identities(), window.identities());
    for i in 3000..9000 {
        write(&mut restored, i, i);
        restored.settle(None);
    }
    assert!(restored.identities().len() < 2000);
}

#[test]
fn no_rewind_point_is_set_between_events_of_one_instant() {
    let mut window = DedupWindow::new(1000);
    for (identity, time) in [(1, 0), (2, 500), (3, 500), (4, 2000), (5, 2000), (6, 3500)] {
        window.advance(EventPosition { time: TimeUs(time), seq: None });
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
    let mut window = DedupWindow::new(1000);
    for i in 0..100 {
        write(&mut window, i, i);
    }
    window.settle(None);
    for _ in 0..3 * MAX_EVENTS / REWIND_POINTS / 100 {
        (0..100).for_each(|time| {
            window.advance(at(time));
        });
        window.settle(None);
    }
    assert_eq!(window.rewind_to(), Some(at(0)));
    assert!((0..100).all(|i| window.contains(i)));
}

#[test]
fn keys_that_another_server_orders_after_a_rewind_point_stay_as_long_as_it() {
    let time = |time| EventPosition { time: TimeUs(time), seq: None };
    let mut window = DedupWindow::new(1000);
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
    window.on_duplicate(2, time(5210));
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
    let mut window = DedupWindow::new(1000);
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
fn one_absurd_time_sets_no_rewind_point_and_forgets_nothing() {
    for seq in [None, Some(Seq(1))] {
        let at = |time: u64| EventPosition { time: TimeUs(time), seq: seq.map(|_| Seq(time)) };
        let mut window = DedupWindow::new(1000);
        window.begin_batch(TimeUs(0), || vec![TimeUs(1)]);
        for time in 1..100 {
            window.advance(at(time));
            window.insert(time);
        }
        window.settle(None);
        let before = window.rewind_to();
        let lie = EventPosition { time: TimeUs(u64::MAX), seq: seq.map(|_| Seq(Seq::LIMIT - 1)) };
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
    let mut window = DedupWindow::new(1000);
    for i in 0..100 {
        write(&mut window, i + 500, i);
    }
    assert!(window.is_held_by_another(Seq(50), 1));
    assert!(!window.is_held_by_another(Seq(50), 549));
    assert!(!window.is_held_by_another(Seq(500), 1), "nothing is known of it");
    window.change_server(at(200));
    assert!(!window.is_held_by_another(Seq(50), 1), "another server's numbers are others");
}

#[test]
fn an_old_event_that_is_repeated_for_ever_is_forgotten_in_the_end() {
    let mut window = DedupWindow::new(1000);
    write(&mut window, 0, 0);
    for i in 1..4 * MAX_EVENTS {
        window.on_duplicate(0, at(i));
        write(&mut window, i, i);
        window.settle(None);
    }
    let kept = window.identities().len() as u64;
    assert!(kept <= 2 * MAX_EVENTS, "{kept}");
}

fn resume(window: &DedupWindow, newest: EventPosition) -> Resume {
    let position = Position {
        origin: Origin { server: "a".into(), kind: ServerKind::V2, filter_fingerprint: 1 },
        newest,
        rewind_to: window.rewind_to().unwrap(),
        max_time: window.latest(),
    };
    Resume { position, identities: window.identities() }
}

/// Everything from the rewind point up to `end` comes again.
fn replay(window: &mut DedupWindow, end: u64) {
    let from = window.rewind_to().unwrap().time.0;
    (from..end).for_each(|time| window.on_duplicate(time, at(time)));
}

#[test]
fn runs_shorter_than_the_span_pile_up_nothing() {
    let mut window = DedupWindow::new(1000);
    for run in 0..100 {
        for time in run * 50..(run + 1) * 50 {
            write(&mut window, time, time);
            window.settle(None);
        }
        let end = (run + 1) * 50;
        window = DedupWindow::restore(1000, &resume(&window, at(end - 1)));
        replay(&mut window, end);
        window.settle(None);
        assert!((end.saturating_sub(1000)..end).all(|time| window.contains(time)), "{run}");
    }
    assert!(window.identities().len() <= 1300, "{}", window.identities().len());
    assert!(window.rewind_to().unwrap().time.0 >= 3700, "{:?}", window.rewind_to());
}

#[test]
fn what_a_server_repeats_is_known_as_long_as_it_can_come_again() {
    let mut window = DedupWindow::new(1000);
    write(&mut window, 0, 0);
    for time in 1..5000 {
        write(&mut window, time, time);
        if time % 700 == 0 {
            window.on_duplicate(0, at(time));
        }
        window.settle(None);
        let repeated = time / 700 * 700;
        assert!(repeated < window.rewind_to().unwrap().time.0 || window.contains(0), "{time}");
    }
}

#[test]
fn what_another_server_has_later_is_kept_as_long() {
    let mut window = DedupWindow::new(1000);
    for time in 0..2000 {
        write(&mut window, time, time);
        window.settle(None);
    }
    // Two that are new or filtered out, then all the others of the last second again.
    let there = |time| EventPosition { time: TimeUs(time), seq: Some(Seq(time + 90_000)) };
    window.change_server(there(998));
    window.advance(there(998));
    window.advance(there(999));
    (1000..2000).for_each(|time| window.on_duplicate(time, there(time)));
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
    let mut saved = DedupWindow::new(1000);
    write(&mut saved, 1, 0);
    let mut resume = resume(&saved, at(0));
    resume.identities = vec![1, 1, 2, 1];
    assert_eq!(DedupWindow::restore(1000, &resume).identities(), [1, 2]);
}

#[test]
fn what_comes_again_after_an_unsupported_event_is_kept_for_a_replay_from_there() {
    let mut window = DedupWindow::new(1000);
    let at = |time| EventPosition { time: TimeUs(time), seq: None };
    for time in 10_000..10_100 {
        window.advance(at(time));
        window.insert(time);
    }
    window.settle(None);
    // A sparse stream: this event becomes a rewind point once the next one supports its time.
    window.advance(at(15_000));
    window.insert(15_000);
    window.on_duplicate(10_090, at(15_010));
    for time in [20_000, 25_000] {
        window.advance(at(time));
        window.insert(time);
    }
    window.settle(None);
    assert_eq!(window.rewind_to(), Some(at(15_000)));
    assert!(window.identities().contains(&10_090));
}

#[test]
fn a_false_time_that_comes_again_never_becomes_the_rewind_point() {
    let mut window = DedupWindow::new(1000);
    let at = |time| EventPosition { time: TimeUs(time), seq: None };
    for time in (10_000..20_000).step_by(100) {
        window.advance(at(time));
        window.insert(time);
    }
    window.settle(None);
    window.on_duplicate(19_000, at(900_000));
    for time in (20_000..30_000).step_by(100) {
        window.advance(at(time));
        window.insert(time);
        window.settle(None);
        assert!(window.rewind_to().is_some_and(|rewind_to| rewind_to.time <= TimeUs(time)));
    }
}

#[test]
fn an_instant_of_which_an_event_is_known_is_not_the_start_of_a_later_one() {
    let at = |time| EventPosition { time: TimeUs(time), seq: None };
    for comes_again in [false, true] {
        let mut window = DedupWindow::new(1000);
        window.advance(at(40));
        window.insert(0);
        if comes_again {
            window.insert(1);
            window.on_duplicate(1, at(400));
        } else {
            window.advance(at(400));
            window.insert(1);
        }
        // Another event of that instant, which is not written.
        window.advance(at(400));
        for i in 1..40 {
            window.advance(at(400 + i * 67));
        }
        window.settle(None);
        let rewinds_before =
            window.rewind_to().is_none_or(|rewind_to| rewind_to.time <= TimeUs(400));
        assert!(!rewinds_before || window.identities().contains(&1));
    }
}
