//! What names an event in later rounds of a loop: another `rev` of a commit, another relay
//! `seq` of the other kinds. Without that, every consumer that removes duplicates drops all
//! rounds but the first.

use std::ops::Range;

use super::recording::Recording;
use super::stamp_fields;
use super::stamps::ROUND_GAP_US;
use crate::event::header::{self, Header};

/// The alphabet of TIDs (the TID syntax of the AT Protocol): base 32, sortable.
const TID_DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
/// Digits of a TID.
const TID_LENGTH: usize = 13;
/// Bits of a TID below its microseconds.
const CLOCK_BITS: u32 = 10;

/// How events are named anew from round to round.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundIds {
    /// Added to every relay `seq` from one round to the next.
    relay_seqs: u64,
    /// Added to every `rev` from one round to the next, in microseconds. From the recorded
    /// times, so that all servers that tell a recording name its events the same way.
    revs_us: u64,
}

/// A piece of a line to be replaced.
pub(super) type Edit = (Range<usize>, String);

impl RoundIds {
    /// Returns the renaming of a recording, which leaves no name of a round for another one.
    pub(super) fn of(recording: &Recording) -> Self {
        let seqs = recording.lines().filter_map(|line| header::parse(line).ok()?.relay_seq);
        let (least, most) =
            seqs.fold((u64::MAX, 0), |(least, most), seq| (least.min(seq), most.max(seq)));
        let times = || recording.entries().iter().map(|entry| entry.time_us);
        let span_us = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        Self {
            relay_seqs: most.saturating_sub(least).saturating_add(1),
            revs_us: span_us.saturating_add(ROUND_GAP_US),
        }
    }

    /// Returns what to change in a line for this round, counted from 0. Events of other kinds are named by their times and cursors, which change anyway.
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

/// Returns where the value of this member of the event's payload stands.
fn member(line: &[u8], header: &Header<'_>, name: &str) -> Option<Range<usize>> {
    let value = |object, name: &str| {
        // Where a member stands twice, the last one counts.
        let members = stamp_fields::object_members(object)?;
        members.into_iter().rfind(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
    };
    let found: &[u8] = value(value(line, &header.kind_text)?, name)?;
    let start = found.as_ptr() as usize - line.as_ptr() as usize;
    Some(start..start + found.len())
}

/// Returns a `rev` so much later; one that is no TID gets the round's number.
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
