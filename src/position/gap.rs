//! Ranges of events that were not available, with the reason.

use std::fmt;

use super::{EventPosition, Seq, TimeUs};

/// A range of events that were not available. Its ends may be unknown, as times, as sequence
/// numbers, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the gap was found, by this machine's clock.
    pub seen_at: TimeUs,
    /// The last instant before it.
    pub from_time: Option<TimeUs>,
    /// The first instant after it.
    pub to_time: Option<TimeUs>,
    /// The last sequence number before it.
    pub from_seq: Option<Seq>,
    /// The first sequence number after it.
    pub to_seq: Option<Seq>,
    /// The reason, as a short phrase for messages.
    pub reason: String,
}

impl Gap {
    /// Returns how much of the stream's time is missing, in microseconds, if both ends are known.
    #[must_use]
    pub fn missing_us(&self) -> Option<u64> {
        let (from, to) = (self.from_time?, self.to_time?);
        Some(to.0.saturating_sub(from.0))
    }

    /// Returns whether `other` is this gap or a part of it, no matter when either was found.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let ends = |gap: &Self| (gap.from_time, gap.to_time, gap.from_seq, gap.to_seq);
        if ends(self) == ends(other) {
            return true;
        }
        let is_within = match (self.seqs(), other.seqs()) {
            (Some(ours), Some(theirs)) => is_within(ours, theirs),
            (None, None) => match (self.times(), other.times()) {
                (Some(ours), Some(theirs)) => is_within(ours, theirs),
                _ => false,
            },
            _ => false,
        };
        is_within && self.reason == other.reason
    }

    /// Returns whether `later` begins inside this gap or at its end, for the same reason: then at
    /// most one event was received between them.
    #[must_use]
    pub fn is_followed_by(&self, later: &Self) -> bool {
        let touches = match (self.seqs(), later.seqs()) {
            (Some((from, to)), Some((later_from, later_to))) => {
                (from..=to).contains(&later_from) && later_to >= to
            }
            (None, None) => match (self.times(), later.times()) {
                (Some((from, to)), Some((later_from, later_to))) => {
                    (from..=to).contains(&later_from) && later_to >= to
                }
                _ => false,
            },
            _ => false,
        };
        touches && self.reason == later.reason
    }

    /// Returns the gap from the beginning of this one to the end of `later`.
    #[must_use]
    pub fn joined_with(&self, later: &Self, reason: &str) -> Self {
        let is_ascending = self.from_seq.zip(later.to_seq).is_none_or(|(from, to)| from <= to);
        Self {
            seen_at: later.seen_at,
            from_time: self.from_time,
            to_time: later.to_time,
            // The numbers of different servers make no interval.
            from_seq: self.from_seq.filter(|_| is_ascending),
            to_seq: later.to_seq.filter(|_| is_ascending),
            reason: reason.to_owned(),
        }
    }

    fn seqs(&self) -> Option<(Seq, Seq)> {
        self.from_seq.zip(self.to_seq)
    }

    fn times(&self) -> Option<(TimeUs, TimeUs)> {
        self.from_time.zip(self.to_time)
    }
}

fn is_within<T: PartialOrd>(outer: (T, T), inner: (T, T)) -> bool {
    outer.0 <= inner.0 && inner.1 <= outer.1
}

impl fmt::Display for Gap {
    /// Both ends: `from seq 5 at 2026-…Z to seq 9 at 2026-…Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = end(self.from_time, self.from_seq);
        let to = end(self.to_time, self.to_seq);
        write!(f, "from {from} to {to}")
    }
}

fn end(time: Option<TimeUs>, seq: Option<Seq>) -> String {
    match (time, seq) {
        (Some(time), seq) => EventPosition { time, seq }.to_string(),
        (None, Some(seq)) => format!("seq {}", seq.0),
        (None, None) => "unknown".to_owned(),
    }
}
