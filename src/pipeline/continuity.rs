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
        connection: &ConnectionInfo,
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
            return match connection.requested {
                RequestedCursor::Instant(instant) if filter.dids.is_empty() => {
                    Self::AskedTime(instant)
                }
                RequestedCursor::Seq(seq) if filter.is_open() => Self::AskedSeq(seq),
                _ => Self::Settled,
            };
        };
        let is_same = position.origin == connection.origin && !is_renumbered;
        let latest = position.latest_time;
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
    fn told(connection: &ConnectionInfo, position: Option<&Position>) -> Option<Self> {
        match (connection.requested, position) {
            (RequestedCursor::OldestInsteadOf(_), Some(position)) => {
                Some(Self::Told { from: Some(position.newest), asked: None })
            }
            (RequestedCursor::OldestInsteadOf(seq), None) => {
                Some(Self::Told { from: None, asked: Some(seq) })
            }
            (RequestedCursor::Instant(instant), position) if connection.is_clamped => {
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
mod tests;
