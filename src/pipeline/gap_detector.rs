//! Whether a connection goes on where the output stands, judged from its first events: v1 has
//! no word for "that is too old" or "that means nothing here" (protocol/jetstream-v1.md §4).
//! Pure: it is notice what was asked, where the output stands, and each event's place.
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
use crate::position::dedup_window::DedupWindow;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Position, Seq, ServerKind, TimeUs};
use crate::source::{ConnectionInfo, RequestedCursor};

/// How much later than asked for the first event may be where nothing can be proven: quiet
/// streams, servers that lag, clocks.
const LENIENCE_US: u64 = 60_000_000;

/// How far two servers' stamps of one event may differ before an overlap would be missed.
const STAMPS_DIFFER_US: u64 = 1_000_000;

/// Why a gap is one, where the server proved it.
const NO_LONGER_HELD: &str = "the server no longer holds these events";

/// What a connection's first events say.
#[derive(Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Events are missing.
    Gap(Gap),
    /// The server's sequence numbers no longer mean what they meant: ask it by time.
    Renumbered {
        /// What was asked for.
        asked: Seq,
        /// What came.
        got: Seq,
    },
    /// A number that another event had when it was written: the server crashed.
    Reused {
        /// The number.
        seq: Seq,
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
pub struct Observation {
    /// Its place.
    pub at: EventPosition,
    /// Whether the filter lets it through.
    pub is_wanted: bool,
    /// Whether it was written before.
    pub is_known: bool,
}

/// What is still to be found out about one connection.
#[derive(Debug)]
pub enum GapDetector {
    /// Nothing.
    Settled,
    /// Its first event decides: a resume by sequence number.
    BySeq {
        /// What was asked for: an event that was received before.
        asked: Seq,
        /// The newest event that was dealt with.
        newest: EventPosition,
    },
    /// Its first event decides: a resume on the same legacy server.
    ByTime {
        /// Where the output stands.
        latest: TimeUs,
    },
    /// Something written before must come again before this instant has passed for long.
    ByOverlap {
        /// Where the output stands.
        latest: EventPosition,
        /// How much later an event must be to be clearly later.
        margin_us: u64,
    },
    /// The server said that it no longer holds what was asked for (protocol/jetstream-v2.md §4,
    /// §5); its first event is the other end of the gap.
    ServerNotice {
        /// The last event in front of it, or the instant.
        from: Option<EventPosition>,
        /// The sequence number asked for, where there is no such event.
        asked: Option<Seq>,
    },
    /// Its first event decides: a person's time.
    AskedTime(TimeUs),
    /// Its first event decides: a person's sequence number.
    AskedSeq(Seq),
}

impl GapDetector {
    /// What is to be found out about `connection`. `is_renumbered` says that the server's
    /// numbers mean nothing any more.
    #[must_use]
    pub fn of(
        connection: &ConnectionInfo,
        position: Option<&Position>,
        window: &DedupWindow,
        filter: &Filter,
        is_renumbered: bool,
    ) -> Self {
        if let Some(notice) = Self::from_server_notice(connection, position) {
            return notice;
        }
        let Some(position) = position else {
            // With a list of accounts a stream may be silent for days, and proves nothing.
            return match connection.requested {
                RequestedCursor::Instant(instant) if filter.dids.is_empty() => {
                    Self::AskedTime(instant)
                }
                RequestedCursor::Seq(seq) if filter.accepts_all() => Self::AskedSeq(seq),
                _ => Self::Settled,
            };
        };
        let is_same = position.origin == connection.origin && !is_renumbered;
        let latest = position.max_time;
        match connection.requested {
            RequestedCursor::Seq(seq) if is_same && position.rewind_to.seq == Some(seq) => {
                Self::BySeq { asked: seq, newest: position.newest }
            }
            RequestedCursor::Instant(instant)
                if is_same
                    && connection.origin.kind == ServerKind::Legacy
                    && (position.rewind_to.time..=position.newest.time).contains(&instant) =>
            {
                Self::ByTime { latest }
            }
            // What lies between was seen on the connection before this one.
            RequestedCursor::Instant(instant)
                if is_same
                    && connection.origin.kind == ServerKind::Legacy
                    && position.newest.time < instant =>
            {
                Self::Settled
            }
            RequestedCursor::Instant(instant) => Self::ByOverlap {
                latest: EventPosition { time: latest, seq: None },
                margin_us: match window.has_entry_since(instant.plus_us(STAMPS_DIFFER_US)) {
                    true => latest.0.saturating_sub(instant.0),
                    false => LENIENCE_US,
                },
            },
            _ => Self::Settled,
        }
    }

    /// What the server itself said about the beginning of a connection.
    fn from_server_notice(
        connection: &ConnectionInfo,
        position: Option<&Position>,
    ) -> Option<Self> {
        match (connection.requested, position) {
            (RequestedCursor::OldestInsteadOf(_), Some(position)) => {
                Some(Self::ServerNotice { from: Some(position.newest), asked: None })
            }
            (RequestedCursor::OldestInsteadOf(seq), None) => {
                Some(Self::ServerNotice { from: None, asked: Some(seq) })
            }
            (RequestedCursor::Instant(instant), position) if connection.is_clamped => {
                let time = position.map_or(instant, |position| position.max_time);
                Some(Self::ServerNotice {
                    from: Some(EventPosition { time, seq: None }),
                    asked: None,
                })
            }
            _ => None,
        }
    }

    /// Looks at the next event. `now` is our own clock.
    pub fn observe(&mut self, seen: Observation, now: TimeUs) -> Option<Anomaly> {
        let Observation { at, is_wanted, is_known } = seen;
        let finding = match *self {
            Self::Settled => return None,
            Self::BySeq { asked, newest } => match (at.seq, newest.seq) {
                // A known event proves the overlap, whatever its number.
                (Some(got), _) if !is_known && (got < asked || (got == asked && is_wanted)) => {
                    Some(Anomaly::Renumbered { asked, got })
                }
                (Some(got), Some(had)) if got > had && !is_known => {
                    Some(gap(Some(newest), at, NO_LONGER_HELD, now))
                }
                _ => None,
            },
            Self::ByTime { latest } => (at.time > latest && !is_known).then(|| {
                let from = EventPosition { time: latest, seq: None };
                gap(Some(from), at, NO_LONGER_HELD, now)
            }),
            Self::ByOverlap { .. } if is_known => None,
            Self::ByOverlap { latest, margin_us } => {
                if at.time <= latest.time.plus_us(margin_us) {
                    return None;
                }
                let why = "this server showed nothing of what was written last from another";
                Some(gap(Some(latest), at, why, now))
            }
            Self::ServerNotice { .. } if is_known => None,
            Self::ServerNotice { from, asked } => {
                let is_missing = match (from, asked) {
                    (Some(EventPosition { seq: Some(had), .. }), _) => at.seq > Some(had),
                    (Some(EventPosition { time, .. }), _) => at.time > time,
                    (None, asked) => at.seq > asked,
                };
                is_missing.then(|| match gap(from, at, NO_LONGER_HELD, now) {
                    Anomaly::Gap(gap) if from.is_none() => {
                        Anomaly::Gap(Gap { from_seq: asked, ..gap })
                    }
                    finding => finding,
                })
            }
            Self::AskedTime(instant) => (at.time > instant.plus_us(LENIENCE_US)).then(|| {
                let from = EventPosition { time: instant, seq: None };
                gap(Some(from), at, "the server holds nothing as old as was asked for", now)
            }),
            Self::AskedSeq(asked) => match at.seq {
                Some(got) if got < asked => Some(Anomaly::Ahead { asked, got }),
                Some(got) if got > asked => {
                    let why = "the server holds nothing as old as was asked for";
                    let Anomaly::Gap(gap) = gap(None, at, why, now) else { return None };
                    Some(Anomaly::Gap(Gap { from_seq: Some(asked), ..gap }))
                }
                _ => None,
            },
        };
        *self = Self::Settled;
        finding
    }
}

fn gap(from: Option<EventPosition>, to: EventPosition, reason: &str, now: TimeUs) -> Anomaly {
    Anomaly::Gap(Gap {
        seen_at: now,
        from_time: from.map(|at| at.time),
        to_time: Some(to.time),
        from_seq: from.and_then(|at| at.seq),
        to_seq: to.seq,
        reason: reason.to_owned(),
    })
}

#[cfg(test)]
mod tests;
