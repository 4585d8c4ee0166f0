//! Detects gaps and renumbering at the start of a connection, from its first events. v1 has no
//! message for "your cursor is too old" or "your cursor has no meaning here"
//! (protocol/jetstream-v1.md §4). Pure: the input is the request, the position of the output, and
//! the position of each event.
//!
//! The request decides what can be proven:
//!
//! - A resume on the same server with the same filter asks for an event that this server has sent
//!   before, inclusively. So its first event is proof: one that is later than our newest event
//!   means a gap; an earlier one, or another event with the same number, means that the server
//!   assigned its numbers again.
//! - Another server stamps the same events with other times. There the overlap is the proof: one of
//!   the events that were written inside the rewind margin must arrive before any event that is
//!   clearly later.
//! - A time or a number that the user gave proves little, so it is reported only with a margin.

use crate::filter::Filter;
use crate::position::dedup_window::DedupWindow;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Position, Seq, ServerKind, TimeUs};
use crate::source::{ConnectionInfo, RequestedCursor};

/// How much later than requested the first event may be if nothing can be proven, in
/// microseconds: for quiet streams, servers that lag, and clocks that differ.
const LENIENCE_US: u64 = 60_000_000;

/// How far two servers' times of one event may differ, in microseconds, before an overlap is
/// missed.
const STAMPS_DIFFER_US: u64 = 1_000_000;

/// The reason of a gap that the server proved.
const NO_LONGER_HELD: &str = "the server no longer holds these events";

/// What the first events of a connection reveal.
#[derive(Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Events are missing.
    Gap(Gap),
    /// The server assigned its sequence numbers again: the cursor must be a time.
    Renumbered {
        /// The requested number.
        requested: Seq,
        /// The number of the first event.
        got: Seq,
    },
    /// An event has the number of another event that was written: the server crashed.
    Reused {
        /// The number of both events.
        seq: Seq,
    },
    /// The number that the user gave is in the future, so the server started at its live tip.
    Ahead {
        /// The requested number.
        requested: Seq,
        /// The number of the first event.
        got: Seq,
    },
}

/// The properties of one event that the detector needs.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// The event's position.
    pub at: EventPosition,
    /// Whether the filter accepts the event.
    pub is_wanted: bool,
    /// Whether the event was written before.
    pub is_known: bool,
}

/// What is still unknown about one connection. Most variants wait for the first event and then
/// become [`Self::Settled`].
#[derive(Debug)]
pub enum GapDetector {
    /// Nothing: no event can reveal anything.
    Settled,
    /// A resume by sequence number; the first event decides.
    BySeq {
        /// The requested number, of an event that was received before.
        requested: Seq,
        /// The newest processed event.
        newest: EventPosition,
    },
    /// A resume on the same legacy server; the first event decides.
    ByTime {
        /// The latest time of the output.
        latest: TimeUs,
    },
    /// A resume on another server: an event that was written must arrive again before one that is
    /// clearly later.
    ByOverlap {
        /// The latest time of the output.
        latest: EventPosition,
        /// How much later than `latest` an event must be to be clearly later, in microseconds.
        margin_us: u64,
    },
    /// The server reported that it no longer has the requested events (protocol/jetstream-v2.md §4,
    /// §5); the first event is the other end of the gap.
    ServerNotice {
        /// The last event before the gap, or the requested instant.
        from: Option<EventPosition>,
        /// The requested sequence number, if no event before the gap is known.
        requested: Option<Seq>,
    },
    /// A time that the user gave; the first event decides.
    RequestedTime(TimeUs),
    /// A sequence number that the user gave; the first event decides.
    RequestedSeq(Seq),
}

impl GapDetector {
    /// Returns the detector for `connection`. If `is_renumbered` is set, the server's earlier
    /// numbers have no meaning any more.
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
            // A stream of a few accounts may be silent for days, and proves nothing.
            return match connection.requested {
                RequestedCursor::Instant(instant) if filter.dids.is_empty() => {
                    Self::RequestedTime(instant)
                }
                RequestedCursor::Seq(seq) if filter.requests_all() => Self::RequestedSeq(seq),
                _ => Self::Settled,
            };
        };
        let is_same = position.origin == connection.origin && !is_renumbered;
        let latest = position.max_time;
        match connection.requested {
            RequestedCursor::Seq(seq) if is_same && position.rewind_to.seq == Some(seq) => {
                Self::BySeq { requested: seq, newest: position.newest }
            }
            RequestedCursor::Instant(instant)
                if is_same
                    && connection.origin.kind == ServerKind::Legacy
                    && (position.rewind_to.time..=position.newest.time).contains(&instant) =>
            {
                Self::ByTime { latest }
            }
            // The events between were received on the previous connection.
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

    /// Returns the detector for a connection that replays events from before a change of the
    /// filter. The server may omit them for the new filter, so that only its own notice proves a
    /// gap. That it has renumbered its events shows as always.
    #[must_use]
    pub fn after_filter_change(connection: &ConnectionInfo, position: &Position) -> Self {
        if let Some(notice) = Self::from_server_notice(connection, Some(position)) {
            return notice;
        }
        let (origin, of) = (&position.origin, &connection.origin);
        let is_same = origin.server == of.server && origin.kind == of.kind;
        match connection.requested {
            RequestedCursor::Seq(seq) if is_same && position.rewind_to.seq == Some(seq) => {
                let newest = EventPosition { seq: None, ..position.newest };
                Self::BySeq { requested: seq, newest }
            }
            _ => Self::Settled,
        }
    }

    /// Returns the detector for a gap that the server itself reported, if it did.
    fn from_server_notice(
        connection: &ConnectionInfo,
        position: Option<&Position>,
    ) -> Option<Self> {
        match (connection.requested, position) {
            (RequestedCursor::OldestInsteadOf(_), Some(position)) => {
                Some(Self::ServerNotice { from: Some(position.newest), requested: None })
            }
            (RequestedCursor::OldestInsteadOf(seq), None) => {
                Some(Self::ServerNotice { from: None, requested: Some(seq) })
            }
            (RequestedCursor::Instant(instant), position) if connection.is_clamped => {
                let time = position.map_or(instant, |position| position.max_time);
                Some(Self::ServerNotice {
                    from: Some(EventPosition { time, seq: None }),
                    requested: None,
                })
            }
            _ => None,
        }
    }

    /// Processes the next event. `now` is this machine's clock.
    pub fn observe(&mut self, seen: Observation, now: TimeUs) -> Option<Anomaly> {
        let Observation { at, is_wanted, is_known } = seen;
        let anomaly = match *self {
            Self::Settled => return None,
            Self::BySeq { requested, newest } => match (at.seq, newest.seq) {
                // A known event proves the overlap, whatever its number.
                (Some(got), _)
                    if !is_known && (got < requested || (got == requested && is_wanted)) =>
                {
                    Some(Anomaly::Renumbered { requested, got })
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
            Self::ServerNotice { from, requested } => {
                let is_missing = match (from, requested) {
                    (Some(EventPosition { seq: Some(had), .. }), _) => at.seq > Some(had),
                    (Some(EventPosition { time, .. }), _) => at.time > time,
                    (None, requested) => at.seq > requested,
                };
                is_missing.then(|| match gap(from, at, NO_LONGER_HELD, now) {
                    Anomaly::Gap(gap) if from.is_none() => {
                        Anomaly::Gap(Gap { from_seq: requested, ..gap })
                    }
                    anomaly => anomaly,
                })
            }
            Self::RequestedTime(instant) => (at.time > instant.plus_us(LENIENCE_US)).then(|| {
                let from = EventPosition { time: instant, seq: None };
                gap(Some(from), at, "the server holds nothing as old as was asked for", now)
            }),
            Self::RequestedSeq(requested) => match at.seq {
                Some(got) if got < requested => Some(Anomaly::Ahead { requested, got }),
                Some(got) if got > requested => {
                    let why = "the server holds nothing as old as was asked for";
                    let Anomaly::Gap(gap) = gap(None, at, why, now) else { return None };
                    Some(Anomaly::Gap(Gap { from_seq: Some(requested), ..gap }))
                }
                _ => None,
            },
        };
        *self = Self::Settled;
        anomaly
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
