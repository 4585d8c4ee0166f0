//! A synthetic recording that resembles the network but has no real accounts.
//!
//! Accounts, handles, words and keys are generated from a seed; equal arguments give equal bytes.
//! The mix, the member order and the sizes follow protocol/jetstream-v1.md §7 and a v2 server:
//! every event has a `cursor`, and the operations of one commit share `rev` and `time_us`. The CIDs
//! of records are computed; those in references are random.

mod commits;
mod names;

use std::fmt::Write as _;

use super::recording::Recording;
use names::Names;

/// Number of accounts, which also are the subjects of likes and follows.
const ACCOUNTS: usize = 400;
/// Mean distance between two commits, in microseconds.
const MEAN_STEP_US: u64 = 2_000;
/// First seq: large enough to resemble a server that has run for a while.
pub const FIRST_SEQ: u64 = 9_000_001;
/// First relay seq (above 2^31, as on the real relay).
const FIRST_RELAY_SEQ: u64 = 31_500_000_001;

/// Generates a recording of `events` events (at least one), the last of them at `end_us` in Unix
/// microseconds. Equal arguments give equal bytes.
#[must_use]
pub fn recording(seed: u64, events: usize, end_us: u64) -> Recording {
    let text = ndjson(seed, events.max(1), end_us);
    // Generated lines are valid events; the tests below check this.
    match Recording::from_bytes(text.into_bytes(), "demo") {
        Ok(recording) => recording,
        Err(error) => unreachable!("the demo recording is malformed: {error}"),
    }
}

fn ndjson(seed: u64, events: usize, end_us: u64) -> String {
    let mut names = Names::new(seed, ACCOUNTS);
    // Distances and sizes are drawn first, so that the last event can be at `end_us`.
    let mut plan: Vec<(u64, usize)> = Vec::with_capacity(events);
    let mut left = events;
    while left > 0 {
        let operations = 1 + if names.one_in(20) { 1 + names.below(3) } else { 0 };
        plan.push((names.step_us(MEAN_STEP_US), operations.min(left)));
        left -= operations.min(left);
    }
    let span_us: u64 = plan.iter().map(|(step_us, _)| step_us).sum();
    let mut writer = Writer {
        text: String::with_capacity(events * 600),
        time_us: end_us.saturating_sub(span_us).max(1),
        seq: FIRST_SEQ,
        relay_seq: FIRST_RELAY_SEQ,
    };
    for (step_us, operations) in plan {
        writer.time_us = writer.time_us.saturating_add(step_us);
        writer.relay_seq += 1 + names.below(40) as u64;
        match names.below(1_000) {
            0..18 if operations == 1 => writer.identity(&mut names),
            18..35 if operations == 1 => writer.account(&mut names),
            _ => commits::write(&mut writer, operations, &mut names),
        }
    }
    writer.text
}

/// The lines so far, and the numbers of the next line.
struct Writer {
    text: String,
    time_us: u64,
    seq: u64,
    relay_seq: u64,
}

impl Writer {
    /// Writes one line with the member of its kind.
    fn event(&mut self, did: &str, kind: &str, body: &str) {
        // Writing to a string can't fail.
        let _ = writeln!(
            self.text,
            r#"{{"did":"{did}","time_us":{},"cursor":{},"kind":"{kind}","{kind}":{body}}}"#,
            self.time_us, self.seq
        );
        self.seq += 1;
    }

    fn identity(&mut self, names: &mut Names) {
        let account = names.account();
        let body = format!(
            r#"{{"did":"{}","handle":"{}","seq":{},"time":"{}"}}"#,
            account.did,
            account.handle,
            self.relay_seq,
            names::rfc3339_ms(self.time_us)
        );
        self.event(&account.did, "identity", &body);
    }

    fn account(&mut self, names: &mut Names) {
        let account = names.account();
        let status = match names.below(10) {
            0 => r#","status":"deactivated""#,
            1 => r#","status":"deleted""#,
            _ => "",
        };
        let body = format!(
            r#"{{"active":{},"did":"{}","seq":{}{status},"time":"{}"}}"#,
            status.is_empty(),
            account.did,
            self.relay_seq,
            names::rfc3339_ms(self.time_us)
        );
        self.event(&account.did, "account", &body);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::event::header::{self, Kind, Operation};
    use crate::filter::check_did;

    const END_US: u64 = 1_795_000_000_000_000;

    #[test]
    fn the_same_seed_gives_the_same_recording() {
        assert_eq!(ndjson(7, 500, END_US), ndjson(7, 500, END_US));
        assert_ne!(ndjson(7, 500, END_US), ndjson(8, 500, END_US));
    }

    #[test]
    fn it_has_the_requested_length_and_end() {
        for events in [0, 1, 2, 3, 1_000] {
            let recording = recording(3, events, END_US);
            assert_eq!(recording.len(), events.max(1));
            assert!(recording.is_v2());
            let times: Vec<u64> = recording.entries().iter().map(|e| e.time_us).collect();
            assert!(times.is_sorted());
            assert_eq!(times.last(), Some(&END_US), "{events}");
        }
    }

    #[test]
    fn no_two_events_are_the_same() {
        let text = ndjson(7, 3000, END_US);
        let key = crate::event::event_id::EventIdKey::new(1);
        let mut identities = crate::event::event_id::EventIdHasher::new(key);
        let distinct: std::collections::HashSet<u64> = text
            .lines()
            .map(|line| identities.of(&crate::event::header::parse(line.as_bytes()).unwrap()))
            .collect();
        assert_eq!(distinct.len(), 3000);
    }

    #[test]
    fn its_lines_are_what_a_v2_server_sends() {
        let recording = recording(1, 20_000, END_US);
        let mut mix: HashMap<String, u32> = HashMap::new();
        let (mut bytes, mut deletes, mut shared_times) = (0, 0, 0);
        let mut before: Option<(String, u64, String)> = None;
        for line in recording.lines() {
            let _: serde_json::Value = serde_json::from_slice(line).unwrap();
            let header = header::parse(line).unwrap();
            check_did(&header.did).unwrap();
            bytes += line.len();
            if header.kind != Kind::Commit {
                assert!(header.relay_seq.is_some());
                *mix.entry("other".into()).or_default() += 1;
                continue;
            }
            let commit = header.commit.unwrap();
            assert_eq!((commit.rev.len(), &commit.rev[..2]), (13, "3n"), "{}", commit.rev);
            let key = (header.did.into_owned(), header.time_us, commit.rev.into_owned());
            shared_times += u32::from(before.as_ref() == Some(&key));
            before = Some(key);
            deletes += u32::from(commit.operation == Operation::Delete);
            *mix.entry(commit.collection.into_owned()).or_default() += 1;
        }
        let share = |name: &str| f64::from(mix[name]) / 20_000.0;
        assert!((0.45..0.65).contains(&share("app.bsky.feed.like")), "{mix:?}");
        assert!((0.10..0.20).contains(&share("app.bsky.feed.post")), "{mix:?}");
        assert!((0.02..0.04).contains(&share("other")), "{mix:?}");
        assert!((600..1_600).contains(&deletes), "{deletes}");
        assert!(shared_times > 200, "{shared_times}");
        assert!((450..650).contains(&(bytes / 20_000)), "{}", bytes / 20_000);
    }
}
