//! What each sort of beginning proves.

use super::*;
use crate::position::Origin;

const S: u64 = 1_000_000;
const NOW: TimeUs = TimeUs(1_000_000 * S);

fn origin(server: &str, kind: ServerKind) -> Origin {
    Origin { server: server.into(), kind, stream: 1 }
}

fn mark(seconds: u64, seq: Option<u64>) -> EventPosition {
    EventPosition { time: TimeUs(seconds * S), seq: seq.map(Seq) }
}

/// The output stands at 100 s, seq 200; it rewinds to 90 s, seq 180.
fn position(kind: ServerKind) -> Position {
    let seq = |seq| (kind == ServerKind::V2).then_some(seq);
    Position {
        origin: origin("a", kind),
        newest: mark(100, seq(200)),
        rewind_to: mark(90, seq(180)),
        max_time: TimeUs(100 * S),
    }
}

fn window(written_at: &[u64]) -> DedupWindow {
    let mut window = DedupWindow::new(10 * S);
    for &seconds in written_at {
        window.advance(mark(seconds, None));
        window.insert(seconds);
    }
    window
}

fn of(
    origin: Origin,
    asked: RequestedCursor,
    position: Option<&Position>,
    window: &DedupWindow,
) -> GapDetector {
    let connection = ConnectionInfo::v1(1, origin, asked);
    GapDetector::of(&connection, position, window, &Filter::default(), false)
}

fn seen(at: EventPosition, is_known: bool) -> Observation {
    Observation { at, is_wanted: true, is_known }
}

fn ends(finding: Option<Anomaly>) -> Option<String> {
    match finding {
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
    assert_eq!(by_seq().observe(seen(mark(90, Some(180)), true), NOW), None);
    // A row was removed on the server; what comes is still among what we have.
    assert_eq!(by_seq().observe(seen(mark(95, Some(190)), true), NOW), None);
    let gap = by_seq().observe(seen(mark(400, Some(900)), false), NOW);
    assert_eq!(
        ends(gap).as_deref(),
        Some(
            "from seq 200 at 1970-01-01T00:01:40.000000Z to seq 900 at 1970-01-01T00:06:40.000000Z"
        )
    );
}

#[test]
fn numbers_that_were_given_anew_are_noticed() {
    let renumbered = |got| Some(Anomaly::Renumbered { asked: Seq(180), got: Seq(got) });
    assert_eq!(by_seq().observe(seen(mark(400, Some(7)), false), NOW), renumbered(7));
    assert_eq!(by_seq().observe(seen(mark(400, Some(180)), false), NOW), renumbered(180));
    let unwanted = Observation { is_wanted: false, ..seen(mark(400, Some(180)), false) };
    assert_eq!(by_seq().observe(unwanted, NOW), None);
}

#[test]
fn only_the_first_event_is_judged() {
    let mut continuity = by_seq();
    assert_eq!(continuity.observe(seen(mark(90, Some(180)), true), NOW), None);
    assert_eq!(continuity.observe(seen(mark(400, Some(900)), false), NOW), None);
}

#[test]
fn what_the_server_says_itself_is_believed_at_once() {
    let position = position(ServerKind::V2);
    let v2 = || origin("a", ServerKind::V2);
    let floor =
        |position| of(v2(), RequestedCursor::OldestInsteadOf(Seq(180)), position, &window(&[]));
    assert_eq!(
        ends(floor(Some(&position)).observe(seen(mark(400, Some(900)), false), NOW)).as_deref(),
        Some(
            "from seq 200 at 1970-01-01T00:01:40.000000Z to seq 900 at 1970-01-01T00:06:40.000000Z"
        )
    );
    assert_eq!(floor(Some(&position)).observe(seen(mark(99, Some(195)), false), NOW), None);
    assert_eq!(
        ends(floor(None).observe(seen(mark(400, Some(900)), false), NOW)).as_deref(),
        Some("from seq 180 to seq 900 at 1970-01-01T00:06:40.000000Z")
    );
    let clamped = |position| {
        let asked = RequestedCursor::Instant(TimeUs(95 * S));
        let connection = ConnectionInfo { is_clamped: true, ..ConnectionInfo::v1(1, v2(), asked) };
        GapDetector::of(&connection, position, &window(&[]), &Filter::default(), false)
    };
    // One second is enough: nothing has to be guessed.
    assert!(ends(clamped(None).observe(seen(mark(96, Some(5)), false), NOW)).is_some());
    assert!(ends(clamped(Some(&position)).observe(seen(mark(101, Some(5)), false), NOW)).is_some());
    assert_eq!(clamped(Some(&position)).observe(seen(mark(99, Some(5)), false), NOW), None);
    assert_eq!(clamped(Some(&position)).observe(seen(mark(101, Some(5)), true), NOW), None);
}

#[test]
fn another_filter_proves_nothing() {
    let position = position(ServerKind::V2);
    let other = Origin { stream: 2, ..origin("a", ServerKind::V2) };
    let mut continuity = of(other, RequestedCursor::Seq(Seq(180)), Some(&position), &window(&[]));
    assert_eq!(continuity.observe(seen(mark(400, Some(900)), false), NOW), None);
}

#[test]
fn a_legacy_server_that_forgot_is_noticed() {
    let position = position(ServerKind::Legacy);
    let legacy = origin("a", ServerKind::Legacy);
    let asked = RequestedCursor::Instant(TimeUs(90 * S));
    let resume = || of(legacy.clone(), asked, Some(&position), &window(&[95]));
    assert_eq!(resume().observe(seen(mark(90, None), true), NOW), None);
    assert!(ends(resume().observe(seen(mark(101, None), false), NOW)).is_some());
}

#[test]
fn another_server_must_show_something_known() {
    let position = position(ServerKind::V2);
    let asked = RequestedCursor::Instant(TimeUs(95 * S));
    let other =
        |window: &DedupWindow| of(origin("b", ServerKind::V2), asked, Some(&position), window);
    let written = window(&[88, 90, 93, 97, 100]);
    let mut good = other(&written);
    assert_eq!(good.observe(seen(mark(96, Some(5)), false), NOW), None);
    assert_eq!(good.observe(seen(mark(97, Some(6)), true), NOW), None);
    assert_eq!(good.observe(seen(mark(300, Some(7)), false), NOW), None);
    let mut bad = other(&written);
    assert_eq!(bad.observe(seen(mark(104, Some(5)), false), NOW), None);
    assert!(ends(bad.observe(seen(mark(106, Some(6)), false), NOW)).is_some());
    // Nothing was written lately, so nothing can come again.
    let mut quiet = other(&window(&[80]));
    assert_eq!(quiet.observe(seen(mark(140, Some(5)), false), NOW), None);
}

#[test]
fn a_persons_own_start_is_judged_with_room_to_spare() {
    let v2 = || origin("a", ServerKind::V2);
    let none = window(&[]);
    let time = || of(v2(), RequestedCursor::Instant(TimeUs(100 * S)), None, &none);
    assert_eq!(time().observe(seen(mark(150, Some(5)), false), NOW), None);
    assert!(ends(time().observe(seen(mark(170, Some(5)), false), NOW)).is_some());
    let seq = || of(v2(), RequestedCursor::Seq(Seq(50)), None, &none);
    assert_eq!(seq().observe(seen(mark(150, Some(50)), false), NOW), None);
    assert_eq!(
        ends(seq().observe(seen(mark(170, Some(51)), false), NOW)).as_deref(),
        Some("from seq 50 to seq 51 at 1970-01-01T00:02:50.000000Z")
    );
    let ahead = Anomaly::Ahead { asked: Seq(50), got: Seq(49) };
    assert_eq!(seq().observe(seen(mark(150, Some(49)), false), NOW), Some(ahead));
}
