//! `--archive-compact`: which rows the archive does not have any more.
//!
//! A real server removes creates and updates that a later delete, update, account deletion or sync
//! has superseded. Deletes, identity, account and sync events stay. Compaction runs every few hours
//! over what is sealed by then (protocol/jetstream-v2-archive.md §7). Here it runs whenever
//! [`COMPACTED_SEGMENTS`] more segments are sealed. Rounds of a loop are compacted one by one.

use std::collections::HashMap;

use serde::Deserialize;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::Archive;
use crate::serve::stamps::Stamps;
use crate::serve::timeline::Timeline;

/// The number of segments after which a paced server compacts its archive again.
const COMPACTED_SEGMENTS: u64 = 4;

/// For each event of a round, the event that supersedes it first; `u64::MAX` if none does.
#[derive(Debug)]
pub(in crate::serve) struct Compaction(Vec<u64>);

/// The members of an event that decide what supersedes what.
#[derive(Deserialize)]
struct Event {
    did: String,
    kind: String,
    commit: Option<Commit>,
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Commit {
    operation: String,
    collection: String,
    rkey: String,
}

#[derive(Deserialize)]
struct Account {
    active: bool,
    status: Option<String>,
}

/// The next events, from one event on, that supersede others.
#[derive(Default)]
struct Superseding {
    /// By the hash of a record's URI.
    of_record: HashMap<u64, u64>,
    /// By the hash of a DID.
    of_account: HashMap<u64, u64>,
}

impl Superseding {
    /// Goes one event back; returns the event that supersedes it.
    fn back(&mut self, number: u64, event: &Event) -> Option<u64> {
        let account = xxh3_64(event.did.as_bytes());
        let deleted = event
            .account
            .as_ref()
            .is_some_and(|account| !account.active && account.status.as_deref() == Some("deleted"));
        if event.kind == "sync" || (event.kind == "account" && deleted) {
            self.of_account.insert(account, number);
        }
        let commit = event.commit.as_ref().filter(|_| event.kind == "commit")?;
        let uri = format!("{}/{}/{}", event.did, commit.collection, commit.rkey);
        let record = xxh3_64(uri.as_bytes());
        let next = self.of_record.get(&record).into_iter().chain(self.of_account.get(&account));
        let next = next.min().copied();
        if commit.operation != "create" {
            self.of_record.insert(record, number);
        }
        next.filter(|_| commit.operation != "delete")
    }
}

impl Compaction {
    fn of<'a>(lines: impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator) -> Self {
        let mut superseding = Superseding::default();
        let mut superseded_by = vec![u64::MAX; lines.len()];
        for ((number, line), place) in lines.enumerate().rev().zip(superseded_by.iter_mut().rev()) {
            let event = serde_json::from_slice(line).ok();
            let next = event.and_then(|event| superseding.back(number as u64, &event));
            *place = next.unwrap_or(u64::MAX);
        }
        Self(superseded_by)
    }

    /// Returns whether compaction removes this event if it sees only the first `seen` events.
    pub(super) fn removes(&self, event: u64, seen: u64) -> bool {
        let events = self.0.len() as u64;
        let round = event / events.max(1) * events;
        let by = usize::try_from(event - round).ok().and_then(|index| self.0.get(index));
        by.is_some_and(|by| round.saturating_add(*by) < seen)
    }
}

impl Archive {
    /// Returns what compaction removes; `None` without compaction.
    pub(super) fn compaction(&self, stamps: &Stamps) -> Option<&Compaction> {
        let known = self.compaction.as_ref()?;
        // An event that the server lacks supersedes nothing.
        let present = |(event, line): (usize, _)| match stamps.is_missing(event as u64) {
            true => &b""[..],
            false => line,
        };
        let lines = || stamps.recording().lines().enumerate().map(present);
        Some(known.get_or_init(|| Compaction::of(lines())))
    }

    /// Returns the number of events that compaction has seen by now; 0 without compaction.
    pub(super) fn compacted(&self, timeline: &Timeline, now: Instant) -> u64 {
        if self.compaction.is_none() {
            return 0;
        }
        let sealed = timeline.sealed(now);
        let period = COMPACTED_SEGMENTS.saturating_mul(timeline.segment_events());
        if timeline.is_paced() { sealed - sealed % period.max(1) } else { sealed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(operation: &str, rkey: &str) -> String {
        format!(
            r#"{{"did":"d","kind":"commit","commit":{{"operation":"{operation}","collection":"c","rkey":"{rkey}"}}}}"#
        )
    }

    fn account(body: &str) -> String {
        format!(r#"{{"did":"d","kind":"account","account":{body}}}"#)
    }

    /// Returns which events go if compaction sees the first `seen`.
    fn removed(lines: &[String], seen: u64) -> Vec<usize> {
        let compaction = Compaction::of(lines.iter().map(String::as_bytes));
        (0..lines.len()).filter(|&event| compaction.removes(event as u64, seen)).collect()
    }

    #[test]
    fn what_a_later_event_supersedes_goes_and_markers_stay() {
        let deleted = account(r#"{"active":false,"status":"deleted"}"#);
        let inactive = account(r#"{"active":false,"status":"takendown"}"#);
        let sync = r#"{"did":"d","kind":"sync","sync":{}}"#.to_owned();
        let other = commit("create", "x").replace(r#""did":"d""#, r#""did":"other""#);
        let (create, update, delete) =
            (commit("create", "a"), commit("update", "a"), commit("delete", "a"));
        let cases: [(&[&String], &[usize]); 7] = [
            (&[&create, &update, &update], &[0, 1]),
            (&[&create, &delete, &create], &[0]),
            (&[&create, &inactive], &[]),
            (&[&create, &other, &delete, &deleted, &create], &[0]),
            (&[&create, &commit("update", "b"), &sync, &create], &[0, 1]),
            (&[&sync, &deleted, &delete, &delete], &[]),
            // A second create, as a resync brings it, supersedes nothing.
            (&[&create, &create], &[]),
        ];
        for (lines, expected) in cases {
            let lines: Vec<String> = lines.iter().map(|line| (*line).clone()).collect();
            assert_eq!(removed(&lines, u64::MAX), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_compaction_has_not_seen_supersedes_nothing() {
        let lines = ["create", "update", "delete"].map(|operation| commit(operation, "a"));
        let removed: Vec<_> = (0..=3).map(|seen| removed(&lines, seen)).collect();
        assert_eq!(removed, [vec![], vec![], vec![0], vec![0, 1]]);
    }

    #[test]
    fn rounds_are_compacted_one_by_one() {
        let compaction = Compaction::of(
            ["create", "delete"].map(|o| commit(o, "a")).iter().map(String::as_bytes),
        );
        let removed: Vec<_> = (0..6).filter(|event| compaction.removes(*event, 4)).collect();
        assert_eq!(removed, [0, 2]);
    }
}
