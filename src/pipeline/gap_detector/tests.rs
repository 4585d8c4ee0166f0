//! Tests what each kind of request proves.

use super::*;
use crate::position::Origin;

const S: u64 = 1_000_000;
const NOW: TimeUs = TimeUs(1_000_000 * S);

fn origin(server: &str, kind: ServerKind) -> Origin {
    Origin { server: server.into(), kind, filter_fingerprint: 1 }
}

fn at(seconds: u64, seq: Option<u64>) -> EventPosition {
    EventPosition { time: TimeUs(seconds * S), seq: seq.map(Seq) }
}

/// The output is at 100 s, seq 200; its rewind point is at 90 s, seq 180.
fn position(kind: ServerKind) -> Position {
    let seq = |seq| (kind == ServerKind::V2).then_some(seq);
    Position {
        origin: origin("a", kind),
        newest: at(100, seq(200)),
        rewind_to: at(90, seq(180)),
        max_time: TimeUs(100 * S),
    }
}

fn window(written_at: &[u64]) -> DedupWindow {
    let mut window = DedupWindow::new(10 * S);
    for &seconds in written_at {
        window.advance(at(seconds, None));
        window.insert(seconds);
    }
    window
}

fn of(
    origin: Origin,
    requested: RequestedCursor,
    position: Option<&Position>,
    window: &DedupWindow,
) -> GapDetector {
    let connection = ConnectionInfo::v1(1, origin, requested);
    GapDetector::of(&connection, position, window, &Filter::default(), false)
}

fn observation(at: EventPosition, is_known: bool) -> Observation {
    Observation { at, is_wanted: true, is_known }
}

fn ends(anomaly: Option<Anomaly>) -> Option<String> {
    match anomaly {
        Some(Anomaly::Gap(gap)) => Some(gap.to_string()),
        _ => None,
    }
}

fn by_seq() -> GapDetector {
    let position = position(ServerKind::V2);
    of(origin("a", ServerKind::V2), RequestedCursor::Seq(Seq(180)), Some(&position), &window(&[]))
}

#[test]
fn a_resume_by_seq_is_proven_by_its_first_event() {
    assert_eq!(by_seq().observe(observation(at(90, Some(180)), true), NOW), None);
    // The server removed an event; the first one is still among the known events.
    assert_eq!(by_seq().observe(observation(at(95, Some(190)), true), NOW), None);
    let gap = by_seq().observe(observation(at(400, Some(900)), false), NOW);
    assert_eq!(
        ends(gap).as_deref(),
        Some(
            "from seq 200 at 1970-01-01T00:01:40.000000Z to seq 900 at 1970-01-01T00:06:40.000000Z"
        )
    );
}

#[test]
fn numbers_that_the_server_assigned_again_are_reported() {
    let renumbered = |got| Some(Anomaly::Renumbered { requested: Seq(180), got: Seq(got) });
    assert_eq!(by_seq().observe(observation(at(400, Some(7)), false), NOW), renumbered(7));
    assert_eq!(by_seq().observe(observation(at(400, Some(180)), false), NOW), renumbered(180));
    let unwanted = Observation { is_wanted: false, ..observation(at(400, Some(180)), false) };
    assert_eq!(by_seq().observe(unwanted, NOW), None);
}

#[test]
fn only_the_first_event_decides() {
    let mut detector = by_seq();
    assert_eq!(detector.observe(observation(at(90, Some(180)), true), NOW), None);
    assert_eq!(detector.observe(observation(at(400, Some(900)), false), NOW), None);
}

#[test]
fn a_gap_that_the_server_reports_needs_no_margin() {
    let position = position(ServerKind::V2);
    let v2 = || origin("a", ServerKind::V2);
    let floor =
        |position| of(v2(), RequestedCursor::OldestInsteadOf(Seq(180)), position, &window(&[]));
    assert_eq!(
        ends(floor(Some(&position)).observe(observation(at(400, Some(900)), false), NOW))
            .as_deref(),
        Some(
            "from seq 200 at 1970-01-01T00:01:40.000000Z to seq 900 at 1970-01-01T00:06:40.000000Z"
        )
    );
    assert_eq!(floor(Some(&position)).observe(observation(at(99, Some(195)), false), NOW), None);
    assert_eq!(
        ends(floor(None).observe(observation(at(400, Some(900)), false), NOW)).as_deref(),
        Some("from seq 180 to seq 900 at 1970-01-01T00:06:40.000000Z")
    );
    let clamped = |position| {
        let requested = RequestedCursor::Instant(TimeUs(95 * S));
        let connection =
            ConnectionInfo { is_clamped: true, ..ConnectionInfo::v1(1, v2(), requested) };
        GapDetector::of(&connection, position, &window(&[]), &Filter::default(), false)
    };
    // One second is enough, because the server itself reported the gap.
    assert!(ends(clamped(None).observe(observation(at(96, Some(5)), false), NOW)).is_some());
    assert!(
        ends(clamped(Some(&position)).observe(observation(at(101, Some(5)), false), NOW)).is_some()
    );
    assert_eq!(clamped(Some(&position)).observe(observation(at(99, Some(5)), false), NOW), None);
    assert_eq!(clamped(Some(&position)).observe(observation(at(101, Some(5)), true), NOW), None);
}

#[test]
fn another_filter_proves_nothing() {
    let position = position(ServerKind::V2);
    let other = Origin { filter_fingerprint: 2, ..origin("a", ServerKind::V2) };
    let mut detector = of(other, RequestedCursor::Seq(Seq(180)), Some(&position), &window(&[]));
    assert_eq!(detector.observe(observation(at(400, Some(900)), false), NOW), None);
}

#[test]
fn a_gap_on_the_same_legacy_server_is_reported() {
    let position = position(ServerKind::Legacy);
    let legacy = origin("a", ServerKind::Legacy);
    let requested = RequestedCursor::Instant(TimeUs(90 * S));
    let resume = || of(legacy.clone(), requested, Some(&position), &window(&[95]));
    assert_eq!(resume().observe(observation(at(90, None), true), NOW), None);
    assert!(ends(resume().observe(observation(at(101, None), false), NOW)).is_some());
}

#[test]
fn another_server_must_send_a_known_event() {
    let position = position(ServerKind::V2);
    let requested = RequestedCursor::Instant(TimeUs(95 * S));
    let other =
        |window: &DedupWindow| of(origin("b", ServerKind::V2), requested, Some(&position), window);
    let written = window(&[88, 90, 93, 97, 100]);
    let mut good = other(&written);
    assert_eq!(good.observe(observation(at(96, Some(5)), false), NOW), None);
    assert_eq!(good.observe(observation(at(97, Some(6)), true), NOW), None);
    assert_eq!(good.observe(observation(at(300, Some(7)), false), NOW), None);
    let mut bad = other(&written);
    assert_eq!(bad.observe(observation(at(104, Some(5)), false), NOW), None);
    assert!(ends(bad.observe(observation(at(106, Some(6)), false), NOW)).is_some());
    // No event was written in the margin, so none can arrive again.
    let mut quiet = other(&window(&[80]));
    assert_eq!(quiet.observe(observation(at(140, Some(5)), false), NOW), None);
}

#[test]
fn a_start_that_the_user_gave_is_reported_with_a_margin() {
    let v2 = || origin("a", ServerKind::V2);
    let none = window(&[]);
    let time = || of(v2(), RequestedCursor::Instant(TimeUs(100 * S)), None, &none);
    assert_eq!(time().observe(observation(at(150, Some(5)), false), NOW), None);
    assert!(ends(time().observe(observation(at(170, Some(5)), false), NOW)).is_some());
    let seq = || of(v2(), RequestedCursor::Seq(Seq(50)), None, &none);
    assert_eq!(seq().observe(observation(at(150, Some(50)), false), NOW), None);
    assert_eq!(
        ends(seq().observe(observation(at(170, Some(51)), false), NOW)).as_deref(),
        Some("from seq 50 to seq 51 at 1970-01-01T00:02:50.000000Z")
    );
    let ahead = Anomaly::Ahead { requested: Seq(50), got: Seq(49) };
    assert_eq!(seq().observe(observation(at(150, Some(49)), false), NOW), Some(ahead));
}
