use super::*;

use crate::position::{Origin, ServerKind};
use crate::source::RequestedCursor;

const WINDOW: u64 = 10;

fn origin() -> Origin {
    Origin { server: "witness".into(), kind: ServerKind::V2, filter_fingerprint: 0 }
}

fn passed(identity: u64, clock: u64) -> PassedEvent {
    PassedEvent { identity, clock: TimeUs(clock), counts: true }
}

fn event(is_relayed: bool) -> WitnessEvent {
    WitnessEvent {
        line: Box::from(&b"{}"[..]),
        header: None,
        connection: Arc::new(ConnectionInfo::v1(1, origin(), RequestedCursor::Live)),
        name: NameId::default(),
        counts: true,
        rank: 0,
        successor: None,
        is_relayed,
    }
}

/// Returns a matcher that compares from the instant 10 of the witness on.
fn matcher() -> Matcher {
    Matcher::new(WINDOW, Some(TimeUs(0)))
}

fn missing(matcher: &mut Matcher, main: u64) -> Vec<u64> {
    std::iter::from_fn(|| matcher.next_missing(TimeUs(main)).map(|m| m.identity)).collect()
}

#[test]
fn an_event_is_missing_when_the_other_stream_has_passed_it_by_the_window() {
    let mut matcher = matcher();
    for (identity, clock) in [(1, 20), (2, 21), (3, 30)] {
        let outcome = matcher.on_witness(passed(identity, clock), false, || event(false));
        assert_eq!(outcome, Outcome::Pending);
    }
    assert_eq!(matcher.on_main(passed(2, 25), NameId::default(), false), None);
    assert_eq!(missing(&mut matcher, 29), [0; 0]);
    assert_eq!(missing(&mut matcher, 30), [1]);
    assert_eq!(missing(&mut matcher, 99), [3]);
    assert_eq!(matcher.pending(), (0, 0));
}

#[test]
fn what_the_output_has_and_what_is_older_than_the_comparison_is_not_missing() {
    let mut matcher = matcher();
    let mut outcome = |identity, clock, is_written| {
        matcher.on_witness(passed(identity, clock), is_written, || event(false))
    };
    assert_eq!(outcome(1, 50, true), Outcome::Matched);
    for (identity, clock) in [(2, 10), (3, 11), (4, 60), (5, 61)] {
        assert_eq!(outcome(identity, clock, false), Outcome::Pending);
    }
    assert_eq!(missing(&mut matcher, 21), [3]);
    matcher.skip_to(TimeUs(50));
    assert_eq!(missing(&mut matcher, 99), [5]);
}

#[test]
fn an_event_of_the_server_in_use_is_missing_on_the_witness_in_the_same_way() {
    let mut matcher = matcher();
    matcher.on_witness(passed(0, 5), false, || event(false));
    for (identity, clock) in [(9, 15), (1, 20), (2, 21)] {
        matcher.on_main(passed(identity, clock), NameId::default(), false);
    }
    assert_eq!(matcher.on_witness(passed(1, 25), false, || event(false)), Outcome::Matched);
    assert_eq!(matcher.next_unwitnessed(TimeUs(30)), None);
    assert_eq!(matcher.next_unwitnessed(TimeUs(31)), Some((NameId::default(), TimeUs(21))));
    assert_eq!(matcher.next_unwitnessed(TimeUs(99)), None);
}

#[test]
fn relayed_events_are_compared_once_one_was_matched() {
    let mut matcher = matcher();
    matcher.on_main(passed(1, 20), NameId::default(), true);
    assert_eq!(matcher.next_unwitnessed(TimeUs(99)), None);
    matcher.on_witness(passed(2, 20), false, || event(true));
    assert_eq!(missing(&mut matcher, 99), [0; 0]);
    matcher.on_witness(passed(3, 20), false, || event(true));
    matcher.on_main(passed(3, 20), NameId::default(), true);
    matcher.on_witness(passed(4, 20), false, || event(true));
    assert_eq!(missing(&mut matcher, 99), [4]);
}

#[test]
fn a_witness_that_is_too_far_behind_moves_the_start_of_the_comparison() {
    let mut matcher = matcher();
    let skipped = (0..=MAX_EXPECTED as u64)
        .find_map(|i| matcher.on_main(passed(i, 1_000 + i), NameId::default(), false));
    assert_eq!(skipped, Some(TimeUs(1_000)));
    matcher.on_witness(passed(u64::MAX, 1_010), false, || event(false));
    assert_eq!(missing(&mut matcher, u64::MAX), [0; 0]);
    matcher.change_witness(Some(TimeUs(5_000)));
    assert_eq!(matcher.next_unwitnessed(TimeUs(u64::MAX)), None);
}

#[test]
fn what_was_undecided_when_the_witness_changed_is_decided_later() {
    let mut matcher = matcher();
    matcher.on_witness(passed(1, 70), false, || event(false));
    matcher.change_witness(Some(TimeUs(50)));
    // The new stream begins before that, with an event that the output may have had.
    matcher.on_witness(passed(2, 60), false, || event(false));
    matcher.on_witness(passed(3, 61), false, || event(false));
    assert_eq!(missing(&mut matcher, 99), [1, 3]);
}
