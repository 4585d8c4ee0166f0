//! Gives events of later loop rounds their own event ids: another `rev` for commits, another relay
//! `seq` for other kinds. Otherwise every consumer that removes duplicates would drop all rounds
//! after the first.

use std::ops::Range;

use super::recording::Recording;
use super::stamp_fields;
use super::stamps::ROUND_GAP_US;
use crate::event::header::{self, Header};

/// The alphabet of TIDs (TID syntax of the AT Protocol): sortable base 32.
const TID_DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
const TID_LENGTH: usize = 13;
/// Bits of a TID below its microseconds: the clock id.
const CLOCK_BITS: u32 = 10;

/// The change of event ids from one round to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundIds {
    /// Increment of every relay `seq` per round.
    relay_seqs: u64,
    /// Increment of every `rev` per round, in microseconds. Derived from the recorded times, so
    /// that all server instances of a recording give its events the same ids.
    revs_us: u64,
}

/// A span of a line and its replacement.
pub(super) type Edit = (Range<usize>, String);

impl RoundIds {
    /// Returns the increments for a recording, so large that no two rounds share an event id.
    pub(super) fn of(recording: &Recording) -> Self {
        let seqs = recording.lines().filter_map(|line| header::parse(line).ok()?.relay_seq);
        let (min, max) = seqs.fold((u64::MAX, 0), |(min, max), seq| (min.min(seq), max.max(seq)));
        let times = || recording.entries().iter().map(|entry| entry.time_us);
        let span_us = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        Self {
            relay_seqs: max.saturating_sub(min).saturating_add(1),
            revs_us: span_us.saturating_add(ROUND_GAP_US),
        }
    }

    /// Returns the edit of a line for this round, counted from 0. Events that have neither `rev`
    /// nor relay `seq` are identified by their times and cursors, which change anyway.
    pub(super) fn edit(self, line: &[u8], round: u64) -> Option<Edit> {
        if round == 0 {
            return None;
        }
        let header = header::parse(line).ok()?;
        match (&header.commit, header.relay_seq) {
            (Some(commit), _) if !commit.rev.is_empty() => {
                let span = member(line, &header, "rev")?;
                let inner = span.start + 1..span.end.checked_sub(1)?;
                Some((inner, later_rev(&commit.rev, round, self.revs_us.saturating_mul(round))))
            }
            (None, Some(seq)) if seq > 0 => {
                let later = self.relay_seqs.saturating_mul(round);
                Some((member(line, &header, "seq")?, seq.saturating_add(later).to_string()))
            }
            _ => None,
        }
    }
}

/// Returns the span of a member's value in the event's payload.
fn member(line: &[u8], header: &Header<'_>, name: &str) -> Option<Range<usize>> {
    let value = |object, name: &str| {
        // The last of several members with the same name counts.
        let members = stamp_fields::object_members(object)?;
        members.into_iter().rfind(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    };
    let found: &[u8] = value(value(line, &header.kind_text)?, name)?;
    let start = found.as_ptr() as usize - line.as_ptr() as usize;
    Some(start..start + found.len())
}

/// Returns a `rev` that is later by `later_us`; appends the round's number if `rev` is not a TID.
fn later_rev(rev: &str, round: u64, later_us: u64) -> String {
    let digit = |byte: u8| TID_DIGITS.iter().position(|&digit| digit == byte);
    let value = rev.bytes().try_fold(0_u128, |value, byte| Some(value << 5 | digit(byte)? as u128));
    let Some(value) = value.filter(|_| rev.len() == TID_LENGTH) else {
        return format!("{rev}-{round}");
    };
    let later = value + (u128::from(later_us) << CLOCK_BITS);
    let shifts = (0..TID_LENGTH).rev().map(|place| 5 * place);
    let digits = shifts.map(|shift| TID_DIGITS.get((later >> shift & 31) as usize));
    digits.map(|digit| char::from(digit.copied().unwrap_or(b'2'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(line: &str, round: u64) -> String {
        let recording = Recording::from_bytes(line.as_bytes().to_vec(), "x").unwrap();
        let edit = RoundIds::of(&recording).edit(line.as_bytes(), round);
        match edit {
            Some((span, text)) => {
                let mut line = line.to_owned();
                line.replace_range(span, &text);
                line
            }
            None => line.to_owned(),
        }
    }

    #[test]
    fn commits_get_a_later_rev_and_other_kinds_another_number() {
        let commit = r#"{"did":"did:plc:a","time_us":1,"kind":"commit","commit":{"rev":"3mptbypluud2a","operation":"delete","collection":"a.b.c","rkey":"seq"}}"#;
        assert_eq!(renamed(commit, 0), commit);
        let (first, second) = (renamed(commit, 1), renamed(commit, 2));
        assert!(commit < &*first && first < second, "{first} {second}");
        assert_eq!(first.len(), commit.len());
        let odd = commit.replace("3mptbypluud2a", "r");
        assert!(renamed(&odd, 2).contains(r#""rev":"r-2""#));
        let identity = r#"{"did":"did:plc:a","time_us":1,"kind":"identity","identity":{"seq":7,"did":"did:plc:a"}}"#;
        assert!(renamed(identity, 3).contains(r#"{"seq":10,"#));
        let other = r#"{"did":"did:plc:a","time_us":1,"kind":"new","new":{"seq":7}}"#;
        assert_eq!(renamed(other, 3), other);
    }
}
