use super::*;
use crate::position::{EventPosition, Origin, ServerKind};
use proptest::prelude::*;

const S: u64 = 1_000_000;
const HOUR: u64 = 3_600 * S;
/// 2026-07-04.
const NOW: u64 = 1_783_175_888 * S;
const YEAR_9999: u64 = 253_402_300_799 * S;

fn clock(now: u64) -> Clock {
    let mut clock = Clock::new(10 * S);
    clock.set_now(TimeUs(now));
    clock
}

fn after(now: u64, times: impl IntoIterator<Item = u64>) -> u64 {
    let mut clock = clock(now);
    times.into_iter().for_each(|time| clock.note(TimeUs(time)));
    clock.latest().0
}

/// `count` events, 50 ms apart, up to `end`.
fn stream(end: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |i| end - (count - 1 - i) * 50_000)
}

#[test]
fn a_dense_stream_moves_it_event_by_event() {
    assert_eq!(after(NOW, stream(NOW, 100)), NOW);
    assert_eq!(after(0, stream(NOW, 100)), NOW);
}

#[test]
fn a_single_event_ahead_moves_nothing_wherever_it_stands() {
    for ahead in [YEAR_9999, NOW + 23 * HOUR, NOW + 120 * S, u64::MAX] {
        let before = stream(NOW - 30 * S, 100);
        assert_eq!(after(NOW, before.chain([ahead])), NOW - 30 * S);
        let between = stream(NOW - 30 * S, 100).chain([ahead]).chain(stream(NOW - 25 * S, 100));
        assert_eq!(after(NOW, between), NOW - 25 * S);
        assert!(after(NOW, [ahead]) <= NOW);
        let first = [ahead].into_iter().chain(stream(NOW - HOUR, 100));
        assert_eq!(after(NOW, first), NOW - HOUR);
    }
}

#[test]
fn one_lie_that_the_present_makes_plausible_moves_nothing_either() {
    let yesterday = NOW - 24 * HOUR;
    let replay = |lies: u64| {
        let first = stream(yesterday, 100);
        first.chain((0..lies).map(|_| NOW)).chain(stream(yesterday + 5 * S, 100))
    };
    assert_eq!(after(NOW, replay(1)), yesterday + 5 * S);
    // The same event again is no second one.
    assert_eq!(after(NOW, replay(5)), yesterday + 5 * S);
    assert_eq!(after(NOW, [NOW].into_iter().chain(stream(yesterday, 100))), yesterday);
}

#[test]
fn many_single_lies_far_apart_are_single() {
    let mut times = Vec::new();
    for i in 0..50 {
        times.extend(stream(NOW - 60 * S + i * S, 20));
        times.push(NOW - 10 * S + i);
    }
    assert_eq!(after(NOW, times), NOW - 60 * S + 49 * S);
}

#[test]
fn a_jump_is_taken_back_when_the_stream_continues_before_it() {
    let before = || stream(NOW - 2 * HOUR, 100);
    let lies = [NOW - HOUR, NOW - HOUR + 5];
    assert_eq!(after(NOW, before().chain(lies)), NOW - HOUR + 5);
    let continued = (1..=8).map(|i| NOW - 2 * HOUR + i * 50_000);
    assert_eq!(after(NOW, before().chain(lies).chain(continued)), NOW - 2 * HOUR + 400_000);
    // Imported times contradict nothing.
    let imported = (1..=20).map(|i| NOW - 9_000 * HOUR + i);
    assert_eq!(after(NOW, before().chain(lies).chain(imported)), NOW - HOUR + 5);
}

#[test]
fn a_sparse_stream_is_one_event_behind() {
    let hours = (0..10).map(|i| NOW - (10 - i) * HOUR);
    assert_eq!(after(NOW, hours.clone()), NOW - 2 * HOUR);
    // With imported events among them, too.
    let imports = hours.flat_map(|time| [time, time / 2]);
    assert_eq!(after(NOW, imports), NOW - 2 * HOUR);
}

#[test]
fn many_events_outweigh_a_wrong_clock_of_this_machine() {
    let honest = stream(NOW + 10 * 60 * S, 100);
    assert_eq!(after(NOW, honest), NOW + 10 * 60 * S);
    assert_eq!(after(NOW - 9_000 * HOUR, stream(NOW, 100)), NOW);
}

#[test]
fn what_was_believed_wrongly_is_corrected_by_many() {
    let mut clock = clock(NOW);
    clock.set(TimeUs(NOW + 23 * HOUR));
    stream(NOW, 7).for_each(|time| clock.note(TimeUs(time)));
    assert_eq!(clock.latest().0, NOW + 23 * HOUR);
    stream(NOW + S, 10).for_each(|time| clock.note(TimeUs(time)));
    assert_eq!(clock.latest().0, NOW + S);
}

#[test]
fn the_first_events_are_judged_together() {
    let mut clock = clock(NOW);
    let times: Vec<TimeUs> =
        [YEAR_9999].into_iter().chain(stream(NOW - HOUR, 4)).map(TimeUs).collect();
    clock.start(&times);
    assert!(clock.latest() <= TimeUs(NOW - HOUR));
}

fn position(newest: u64, rewind_to: u64, latest: u64) -> Position {
    let mark = |time| EventPosition { time: TimeUs(time), seq: None };
    Position {
        origin: Origin { server: "a".into(), kind: ServerKind::V2, filter_fingerprint: 1 },
        newest: mark(newest),
        rewind_to: mark(rewind_to),
        max_time: TimeUs(latest),
    }
}

fn recovered(newest: u64, rewind_to: u64, latest: u64) -> Option<[u64; 3]> {
    let mut position = position(newest, rewind_to, latest);
    let is_changed = position.recover(TimeUs(NOW));
    let Position { newest, rewind_to, max_time, .. } = position;
    is_changed.then_some([newest.time.0, rewind_to.time.0, max_time.0])
}

#[test]
fn a_poisoned_position_recovers() {
    let (sound, ahead) = (NOW - 60 * S, NOW + 23 * HOUR);
    assert_eq!(recovered(sound, sound - 9 * S, sound), None);
    // The lie in the middle, as the last event, as the first, and alone.
    assert_eq!(recovered(sound, sound - 9 * S, ahead), Some([sound, sound - 9 * S, sound]));
    assert_eq!(recovered(ahead, sound, ahead), Some([sound, sound, sound]));
    assert_eq!(recovered(sound, ahead, ahead), Some([sound, sound, sound]));
    assert_eq!(recovered(ahead, ahead, ahead), Some([NOW, NOW, NOW]));
    assert_eq!(recovered(YEAR_9999, YEAR_9999 - 9 * S, YEAR_9999), Some([NOW, NOW, NOW]));
    // Ten minutes, and all of it: this machine's clock is wrong.
    let behind = NOW + 600 * S;
    assert_eq!(recovered(behind, behind - 9 * S, behind), None);
}

proptest! {
    /// However a single lie is placed in a dense stream, the clock is at most a step ahead.
    #[test]
    fn one_lie_never_leads_by_more_than_a_step(
        at in 0_usize..200, lie in any::<u64>(), age in 0..48 * HOUR,
    ) {
        let mut times: Vec<u64> = stream(NOW - age, 200).collect();
        times.insert(at, lie);
        let mut clock = clock(NOW);
        let mut honest = NOW - age - 200 * 50_000;
        for (i, time) in times.into_iter().enumerate() {
            clock.note(TimeUs(time));
            honest = if i == at { honest } else { time };
            if i > 1 {
                let most = if at == 0 { NEAR_US } else { STEP_US };
                prop_assert!(clock.latest().0 <= honest + most, "{i}: {} {honest}", clock.latest().0);
            }
        }
        prop_assert!(clock.latest().0 + STEP_US >= NOW - age, "it is not left behind");
    }
}
