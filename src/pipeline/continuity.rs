//! Whether a connection goes on where the output stands, judged from its first events: v1 has
//! no word for "that is too old" or "that means nothing here" (protocol/jetstream-v1.md §4).
//! Pure: it is told what was asked, where the output stands, and each event's place.
//!
//! What can be proven depends on what was asked:
//!
//! - A resume at the same server, by the same filter, asks for an event that this server has
//!   sent before, inclusively. Whatever comes first instead tells the truth: a later event
//!   than the newest that we have means a gap; an earlier one, or another event under the
//!   same number, means that the numbers were given anew.
//! - Another server stamps the same events differently. There the overlap is the proof: of
//!   what was written inside the rewind margin, something must come again before anything
//!   that is clearly later.
//! - A person's own time or number proves little; what is said of it is said with room to
//!   spare.

use crate::filter::Filter;
use crate::position::gap::Gap;
use crate::position::window::Window;
use crate::position::{Mark, Position, Seq, ServerKind, TimeUs};
use crate::source::{Asked, Connection};

/// How much later than asked for the first event may be where nothing can be proven: quiet
/// streams, servers that lag, clocks.
const LENIENCE_US: u64 = 60_000_000;

/// How far two servers' stamps of one event may differ before an overlap would be missed.
const STAMPS_DIFFER_US: u64 = 1_000_000;

/// Why a gap is one, where the server proved it.
const NO_LONGER_HELD: &str = "the server no longer holds these events";

/// What a connection's first events say.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// Events are missing.
    Gap(Gap),
    /// The server's sequence numbers no longer mean what they meant: ask it by time.
    Renumbered {
        /// What was asked for.
        asked: Seq,
        /// What came.
        got: Seq,
    },
    /// The number that a person asked for lies ahead; the server began at its live tip.
    Ahead {
        /// What was asked for.
        asked: Seq,
        /// What came.
        got: Seq,
    },
}

/// One event, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its place.
    pub mark: Mark,
    /// Whether the filter lets it through.
    pub is_wanted: bool,
    /// Whether it was written before.
    pub is_known: bool,
}

/// What is still to be found out about one connection.
#[derive(Debug)]
pub enum Continuity {
    /// Nothing.
    Settled,
    /// Its first event decides: a resume by sequence number.
    BySeq {
        /// What was asked for: an event that was received before.
        asked: Seq,
        /// The newest event that was dealt with.
        newest: Mark,
    },
    /// Its first event decides: a resume on the same legacy server.
    ByTime {
        /// Where the output stands.
        latest: TimeUs,
    },
    /// Something written before must come again before this instant has passed for long.
    ByOverlap {
        /// Where the output stands.
        latest: Mark,
        /// How much later an event must be to be clearly later.
        margin_us: u64,
    },
    /// The server said that it no longer holds what was asked for (protocol/jetstream-v2.md §4,
    /// §5); its first event is the other end of the gap.
    Told {
        /// The last event in front of it, or the instant.
        from: Option<Mark>,
        /// The sequence number asked for, where there is no such event.
        asked: Option<Seq>,
    },
    /// Its first event decides: a person's time.
    AskedTime(TimeUs),
    /// Its first event decides: a person's sequence number.
    AskedSeq(Seq),
}

impl Continuity {
    /// What is to be found out about `connection`. `is_renumbered` says that the server's
    /// numbers mean nothing any more.
    #[must_use]
    pub fn of(
        connection: &Connection,
        position: Option<&Position>,
        window: &Window,
        filter: &Filter,
        is_renumbered: bool,
    ) -> Self {
        if let Some(told) = Self::told(connection, position) {
            return told;
        }
        let Some(position) = position else {
            // With a list of accounts a stream may be silent for days, and proves nothing.
            return match connection.asked {
                Asked::Instant(instant) if filter.dids.is_empty() => Self::AskedTime(instant),
                Asked::Seq(seq) if filter.is_open() => Self::AskedSeq(seq),
                _ => Self::Settled,
            };
        };
        let is_same = position.origin == connection.origin && !is_renumbered;
        let latest = position.latest_time;
        match connection.asked {
            Asked::Seq(seq) if is_same && position.rewind_to.seq == Some(seq) => {
                Self::BySeq { asked: seq, newest: position.newest }
            }
            Asked::Instant(instant)
                if is_same
                    && connection.origin.kind == ServerKind::Legacy
                    && position.rewind_to.time == instant =>
            {
                Self::ByTime { latest }
            }
            Asked::Instant(instant) => Self::ByOverlap {
                latest: Mark { time: latest, seq: None },
                margin_us: match window.has_entry_since(instant.plus_us(STAMPS_DIFFER_US)) {
                    true => latest.0.saturating_sub(instant.0),
                    false => LENIENCE_US,
                },
            },
            _ => Self::Settled,
        }
    }

    /// What the server itself said about the beginning of a connection.
    fn told(connection: &Connection, position: Option<&Position>) -> Option<Self> {
        match (connection.asked, position) {
            (Asked::Floor(_), Some(position)) => {
                Some(Self::Told { from: Some(position.newest), asked: None })
            }
            (Asked::Floor(seq), None) => Some(Self::Told { from: None, asked: Some(seq) }),
            (Asked::Instant(instant), position) if connection.is_clamped => {
                let time = position.map_or(instant, |position| position.latest_time);
                Some(Self::Told { from: Some(Mark { time, seq: None }), asked: None })
            }
            _ => None,
        }
    }

    /// Looks at the next event. `now` is our own clock.
    pub fn look(&mut self, seen: Seen, now: TimeUs) -> Option<Finding> {
        let Seen { mark, is_wanted, is_known } = seen;
        let finding = match *self {
            Self::Settled => return None,
            Self::BySeq { asked, newest } => match (mark.seq, newest.seq) {
                // A known event proves the overlap, whatever its number.
                (Some(got), _) if !is_known && (got < asked || (got == asked && is_wanted)) => {
                    Some(Finding::Renumbered { asked, got })
                }
                (Some(got), Some(had)) if got > had && !is_known => {
                    Some(gap(Some(newest), mark, NO_LONGER_HELD, now))
                }
                _ => None,
            },
            Self::ByTime { latest } => (mark.time > latest && !is_known).then(|| {
                let from = Mark { time: latest, seq: None };
                gap(Some(from), mark, NO_LONGER_HELD, now)
            }),
            Self::ByOverlap { .. } if is_known => None,
            Self::ByOverlap { latest, margin_us } => {
                if mark.time <= latest.time.plus_us(margin_us) {
                    return None;
                }
                let why = "this server showed nothing of what was written last from another";
                Some(gap(Some(latest), mark, why, now))
            }
            Self::Told { .. } if is_known => None,
            Self::Told { from, asked } => {
                let is_missing = match (from, asked) {
                    (Some(Mark { seq: Some(had), .. }), _) => mark.seq > Some(had),
                    (Some(Mark { time, .. }), _) => mark.time > time,
                    (None, asked) => mark.seq > asked,
                };
                is_missing.then(|| match gap(from, mark, NO_LONGER_HELD, now) {
                    Finding::Gap(gap) if from.is_none() => {
                        Finding::Gap(Gap { from_seq: asked, ..gap })
                    }
                    finding => finding,
                })
            }
            Self::AskedTime(instant) => (mark.time > instant.plus_us(LENIENCE_US)).then(|| {
                let from = Mark { time: instant, seq: None };
                gap(Some(from), mark, "the server holds nothing as old as was asked for", now)
            }),
            Self::AskedSeq(asked) => match mark.seq {
                Some(got) if got < asked => Some(Finding::Ahead { asked, got }),
                Some(got) if got > asked => {
                    let why = "the server holds nothing as old as was asked for";
                    let Finding::Gap(gap) = gap(None, mark, why, now) else { return None };
                    Some(Finding::Gap(Gap { from_seq: Some(asked), ..gap }))
                }
                _ => None,
            },
        };
        *self = Self::Settled;
        finding
    }
}

fn gap(from: Option<Mark>, to: Mark, reason: &str, now: TimeUs) -> Finding {
    Finding::Gap(Gap {
        seen_at: now,
        from_time: from.map(|mark| mark.time),
        to_time: Some(to.time),
        from_seq: from.and_then(|mark| mark.seq),
        to_seq: to.seq,
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::Origin;

    const S: u64 = 1_000_000;
    const NOW: TimeUs = TimeUs(1_000_000 * S);

    fn origin(server: &str, kind: ServerKind) -> Origin {
        Origin { server: server.into(), kind, stream: 1 }
    }

    fn mark(seconds: u64, seq: Option<u64>) -> Mark {
        Mark { time: TimeUs(seconds * S), seq: seq.map(Seq) }
    }

    /// The output stands at 100 s, seq 200; it rewinds to 90 s, seq 180.
    fn position(kind: ServerKind) -> Position {
        let seq = |seq| (kind == ServerKind::V2).then_some(seq);
        Position {
            origin: origin("a", kind),
            newest: mark(100, seq(200)),
            rewind_to: mark(90, seq(180)),
            latest_time: TimeUs(100 * S),
        }
    }

    fn window(written_at: &[u64]) -> Window {
        let mut window = Window::new(10 * S);
        for &seconds in written_at {
            window.advance(mark(seconds, None));
            window.insert(seconds);
        }
        window
    }

    fn of(
        origin: Origin,
        asked: Asked,
        position: Option<&Position>,
        window: &Window,
    ) -> Continuity {
        let connection = Connection::v1(1, origin, asked);
        Continuity::of(&connection, position, window, &Filter::default(), false)
    }

    fn seen(mark: Mark, is_known: bool) -> Seen {
        Seen { mark, is_wanted: true, is_known }
    }

    fn ends(finding: Option<Finding>) -> Option<String> {
        match finding {
            Some(Finding::Gap(gap)) => Some(gap.to_string()),
            _ => None,
        }
    }

    fn by_seq() -> Continuity {
        let position = position(ServerKind::V2);
        of(origin("a", ServerKind::V2), Asked::Seq(Seq(180)), Some(&position), &window(&[]))
    }

    #[test]
    fn a_resume_by_seq_is_proven_by_its_first_event() {
        assert_eq!(by_seq().look(seen(mark(90, Some(180)), true), NOW), None);
        // A row was removed on the server; what comes is still among what we have.
        assert_eq!(by_seq().look(seen(mark(95, Some(190)), true), NOW), None);
        let gap = by_seq().look(seen(mark(400, Some(900)), false), NOW);
        assert_eq!(
            ends(gap).as_deref(),
            Some(
                "from seq 200 at 1970-01-01T00:01:40.000000Z to seq 900 at 1970-01-01T00:06:40.000000Z"
            )
        );
    }

    #[test]
    fn numbers_that_were_given_anew_are_noticed() {
        let renumbered = |got| Some(Finding::Renumbered { asked: Seq(180), got: Seq(got) });
        assert_eq!(by_seq().look(seen(mark(400, Some(7)), false), NOW), renumbered(7));
        assert_eq!(by_seq().look(seen(mark(400, Some(180)), false), NOW), renumbered(180));
        let unwanted = Seen { is_wanted: false, ..seen(mark(400, Some(180)), false) };
        assert_eq!(by_seq().look(unwanted, NOW), None);
    }

    #[test]
    fn only_the_first_event_is_judged() {
        let mut continuity = by_seq();
        assert_eq!(continuity.look(seen(mark(90, Some(180)), true), NOW), None);
        assert_eq!(continuity.look(seen(mark(400, Some(900)), false), NOW), None);
    }

    #[test]
    fn what_the_server_says_itself_is_believed_at_once() {
        let position = position(ServerKind::V2);
        let v2 = || origin("a", ServerKind::V2);
        let floor = |position| of(v2(), Asked::Floor(Seq(180)), position, &window(&[]));
        assert_eq!(
            ends(floor(Some(&position)).look(seen(mark(400, Some(900)), false), NOW)).as_deref(),
            Some(
                "from seq 200 at 1970-01-01T00:01:40.000000Z to seq 900 at 1970-01-01T00:06:40.000000Z"
            )
        );
        assert_eq!(floor(Some(&position)).look(seen(mark(99, Some(195)), false), NOW), None);
        assert_eq!(
            ends(floor(None).look(seen(mark(400, Some(900)), false), NOW)).as_deref(),
            Some("from seq 180 to seq 900 at 1970-01-01T00:06:40.000000Z")
        );
        let clamped = |position| {
            let asked = Asked::Instant(TimeUs(95 * S));
            let connection = Connection { is_clamped: true, ..Connection::v1(1, v2(), asked) };
            Continuity::of(&connection, position, &window(&[]), &Filter::default(), false)
        };
        // One second is enough: nothing has to be guessed.
        assert!(ends(clamped(None).look(seen(mark(96, Some(5)), false), NOW)).is_some());
        assert!(
            ends(clamped(Some(&position)).look(seen(mark(101, Some(5)), false), NOW)).is_some()
        );
        assert_eq!(clamped(Some(&position)).look(seen(mark(99, Some(5)), false), NOW), None);
        assert_eq!(clamped(Some(&position)).look(seen(mark(101, Some(5)), true), NOW), None);
    }

    #[test]
    fn another_filter_proves_nothing() {
        let position = position(ServerKind::V2);
        let other = Origin { stream: 2, ..origin("a", ServerKind::V2) };
        let mut continuity = of(other, Asked::Seq(Seq(180)), Some(&position), &window(&[]));
        assert_eq!(continuity.look(seen(mark(400, Some(900)), false), NOW), None);
    }

    #[test]
    fn a_legacy_server_that_forgot_is_noticed() {
        let position = position(ServerKind::Legacy);
        let legacy = origin("a", ServerKind::Legacy);
        let asked = Asked::Instant(TimeUs(90 * S));
        let resume = || of(legacy.clone(), asked, Some(&position), &window(&[95]));
        assert_eq!(resume().look(seen(mark(90, None), true), NOW), None);
        assert!(ends(resume().look(seen(mark(101, None), false), NOW)).is_some());
    }

    #[test]
    fn another_server_must_show_something_known() {
        let position = position(ServerKind::V2);
        let asked = Asked::Instant(TimeUs(95 * S));
        let other =
            |window: &Window| of(origin("b", ServerKind::V2), asked, Some(&position), window);
        let written = window(&[88, 90, 93, 97, 100]);
        let mut good = other(&written);
        assert_eq!(good.look(seen(mark(96, Some(5)), false), NOW), None);
        assert_eq!(good.look(seen(mark(97, Some(6)), true), NOW), None);
        assert_eq!(good.look(seen(mark(300, Some(7)), false), NOW), None);
        let mut bad = other(&written);
        assert_eq!(bad.look(seen(mark(104, Some(5)), false), NOW), None);
        assert!(ends(bad.look(seen(mark(106, Some(6)), false), NOW)).is_some());
        // Nothing was written lately, so nothing can come again.
        let mut quiet = other(&window(&[80]));
        assert_eq!(quiet.look(seen(mark(140, Some(5)), false), NOW), None);
    }

    #[test]
    fn a_persons_own_start_is_judged_with_room_to_spare() {
        let v2 = || origin("a", ServerKind::V2);
        let none = window(&[]);
        let time = || of(v2(), Asked::Instant(TimeUs(100 * S)), None, &none);
        assert_eq!(time().look(seen(mark(150, Some(5)), false), NOW), None);
        assert!(ends(time().look(seen(mark(170, Some(5)), false), NOW)).is_some());
        let seq = || of(v2(), Asked::Seq(Seq(50)), None, &none);
        assert_eq!(seq().look(seen(mark(150, Some(50)), false), NOW), None);
        assert_eq!(
            ends(seq().look(seen(mark(170, Some(51)), false), NOW)).as_deref(),
            Some("from seq 50 to seq 51 at 1970-01-01T00:02:50.000000Z")
        );
        let ahead = Finding::Ahead { asked: Seq(50), got: Seq(49) };
        assert_eq!(seq().look(seen(mark(150, Some(49)), false), NOW), Some(ahead));
    }
}
