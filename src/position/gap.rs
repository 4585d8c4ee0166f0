//! Events that could not be had: where they are missing, and why.

use std::fmt;

use super::{Mark, Seq, TimeUs};

/// Events that could not be had. Either pair of ends may be unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When it was noticed.
    pub seen_at: TimeUs,
    /// The last instant before it.
    pub from_time: Option<TimeUs>,
    /// The first instant after it.
    pub to_time: Option<TimeUs>,
    /// The last sequence number before it.
    pub from_seq: Option<Seq>,
    /// The first sequence number after it.
    pub to_seq: Option<Seq>,
    /// Why, in a few words for a person.
    pub reason: String,
}

impl Gap {
    /// How much of the stream's time is missing, in microseconds, where both ends are known.
    #[must_use]
    pub fn missing_us(&self) -> Option<u64> {
        let (from, to) = (self.from_time?, self.to_time?);
        Some(to.0.saturating_sub(from.0))
    }

    /// Whether it is the same hole, whenever it was noticed.
    #[must_use]
    pub fn has_same_ends(&self, other: &Self) -> bool {
        let ends = |gap: &Self| (gap.from_time, gap.to_time, gap.from_seq, gap.to_seq);
        ends(self) == ends(other)
    }
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
        (Some(time), seq) => Mark { time, seq }.to_string(),
        (None, Some(seq)) => format!("seq {}", seq.0),
        (None, None) => "unknown".to_owned(),
    }
}
