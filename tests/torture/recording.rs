//! Difficult recordings: many events of one instant, clocks that step back, imported times, commits
//! of several operations, unknown kinds. It also identifies events, without code of the program
//! under test.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use crate::support::fold;

/// The approximate `time_us` of the first event.
const FIRST_US: u64 = 1_783_175_888_000_000;
/// The `cursor` before the first event.
const FIRST_SEQ: u64 = 700_000;
/// The account of a sparse `--did`.
pub const RARE_DID: &str = "did:plc:rare";
/// The collection of a sparse `-c`.
pub const RARE_COLLECTION: &str = "app.bsky.graph.list";

/// The other collections.
pub const COLLECTIONS: [&str; 5] = [
    "app.bsky.feed.like",
    "app.bsky.feed.post",
    "app.bsky.graph.follow",
    "app.bsky.feed.repost",
    "app.bsky.actor.profile",
];

/// The properties of a recording.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// With sequence numbers, as a v2 server sends them, and with events that share a time.
    pub is_v2: bool,
    /// Times that step back or are years old. They affect neither a sequence nor a client that does
    /// not use times as positions.
    pub has_wild_times: bool,
    /// One in this many times is wild.
    pub wild_one_in: u32,
    /// Kinds without an id of their own: another server may send such an event a second time.
    pub has_unknown_kinds: bool,
    /// The average time between two events, in microseconds.
    pub step_us: u64,
}

/// Events, with all that the oracle needs.
pub struct Recording {
    /// The lines as a server without faults sends them.
    pub lines: Vec<String>,
    /// The number of each event's account.
    pub accounts: Vec<u32>,
    places: HashMap<String, u32>,
    /// The maximum time up to each event.
    latest_us: Vec<u64>,
}

/// The stamps of a line, and its event.
pub struct Stamped {
    pub time_us: u64,
    pub seq: Option<u64>,
    /// The index of the event in the recording.
    pub event: Option<u32>,
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    did: Cow<'a, str>,
    time_us: u64,
    cursor: Option<u64>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    commit: Option<Commit<'a>>,
    identity: Option<Relayed>,
    account: Option<Relayed>,
    sync: Option<Relayed>,
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow)]
    rev: Cow<'a, str>,
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(borrow)]
    collection: Cow<'a, str>,
    #[serde(borrow)]
    rkey: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Relayed {
    seq: u64,
}

impl Line<'_> {
    fn name(&self) -> String {
        let relayed = self.identity.as_ref().or(self.account.as_ref()).or(self.sync.as_ref());
        match (&self.commit, relayed) {
            (Some(c), _) => {
                format!("{} {} {} {} {}", self.did, c.rev, c.operation, c.collection, c.rkey)
            }
            (None, Some(relayed)) => format!("{} {} {}", self.did, self.kind, relayed.seq),
            // The writer below gives each of these an account of its own.
            (None, None) => format!("{} {}", self.did, self.kind),
        }
    }
}

impl Recording {
    /// Generates a recording of at least `events` events.
    pub fn new(scenario: Scenario, events: usize, rng: &mut fastrand::Rng) -> Self {
        let mut writer = Writer { scenario, clock_us: FIRST_US, back: (0, 0), lines: Vec::new() };
        while writer.lines.len() < events {
            writer.next(rng);
        }
        Self::of(writer.lines)
    }

    /// Generates a recording whose accounts are consistent, so that a database can be compared with
    /// a fold. Times neither step back nor repeat.
    pub fn for_database(
        scenario: Scenario,
        events: usize,
        syncs: bool,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let seed = rng.u64(1..);
        let step_us = scenario.step_us;
        let lines = fold::seeded_events(seed, events as u64, FIRST_US, step_us, FIRST_SEQ, syncs);
        let without_seq = |line: String| match scenario.is_v2 {
            true => line,
            false => {
                let (head, rest) = line.split_once(r#","cursor":"#).expect("a cursor");
                let (_, rest) = rest.split_once(',').expect("a member after it");
                format!("{head},{rest}")
            }
        };
        Self::of(lines.into_iter().map(without_seq).collect())
    }

    pub fn empty() -> Self {
        Self::of(Vec::new())
    }

    fn of(lines: Vec<String>) -> Self {
        let mut places = HashMap::with_capacity(lines.len());
        let mut numbers = HashMap::new();
        let mut accounts = Vec::with_capacity(lines.len());
        let mut latest_us: Vec<u64> = Vec::with_capacity(lines.len());
        for (i, text) in lines.iter().enumerate() {
            let line: Line<'_> = serde_json::from_str(text).expect("a line of ours");
            let twin = places.insert(line.name(), i as u32);
            assert_eq!(twin, None, "two events of one name: {text}");
            let latest = latest_us.last().copied().unwrap_or(0);
            latest_us.push(latest.max(line.time_us));
            let next = numbers.len() as u32;
            accounts.push(*numbers.entry(line.did.into_owned()).or_insert(next));
        }
        Self { lines, accounts, places, latest_us }
    }

    /// Returns which events a later update or delete of their record supersedes: an archive may lack
    /// them (protocol/jetstream-v2-archive.md §7). No account here is deleted.
    pub fn superseded(&self) -> Vec<bool> {
        let mut superseded = vec![false; self.lines.len()];
        let mut records: HashMap<String, Vec<usize>> = HashMap::new();
        for (i, text) in self.lines.iter().enumerate() {
            let line: Line<'_> = serde_json::from_str(text).expect("a line of ours");
            let Some(commit) = line.commit else { continue };
            let uri = format!("{} {} {}", line.did, commit.collection, commit.rkey);
            let earlier = records.entry(uri).or_default();
            if commit.operation != "create" {
                earlier.drain(..).for_each(|i| superseded[i] = true);
            }
            if commit.operation != "delete" {
                earlier.push(i);
            }
        }
        superseded
    }

    /// Returns the share of events before an instant.
    pub fn share_before(&self, time_us: u64) -> f64 {
        let before = self.latest_us.partition_point(|&latest| latest < time_us);
        before as f64 / self.lines.len().max(1) as f64
    }

    /// Parses a printed line, or returns `None` if it is not an event.
    pub fn read(&self, line: &str) -> Option<Stamped> {
        let line: Line<'_> = serde_json::from_str(line).ok()?;
        let event = self.places.get(&line.name()).copied();
        Some(Stamped { time_us: line.time_us, seq: line.cursor, event })
    }
}

struct Writer {
    scenario: Scenario,
    clock_us: u64,
    /// How far the clock has stepped back, in microseconds, and for how many more events.
    back: (u64, u32),
    lines: Vec<String>,
}

impl Writer {
    /// Writes the events of one message of the relay.
    fn next(&mut self, rng: &mut fastrand::Rng) {
        self.tick(rng);
        let i = self.lines.len() as u64;
        let account = (rng.f64() * rng.f64() * 300.0) as u64;
        let did = match rng.u32(0..150) {
            0 => RARE_DID.to_owned(),
            _ => format!("did:plc:acc{account}"),
        };
        match rng.u32(0..100) {
            0..=2 => {
                let body = format!(
                    r#"{{"did":"{did}","handle":"a{account}.example","seq":{}}}"#,
                    31_000_000_000 + i
                );
                self.event(rng, &did, "identity", &body);
            }
            3..=4 => {
                let body = format!(
                    r#"{{"active":{},"did":"{did}","seq":{}}}"#,
                    rng.bool(),
                    31_000_000_000 + i
                );
                self.event(rng, &did, "account", &body);
            }
            5 if self.scenario.has_unknown_kinds => {
                self.event(
                    rng,
                    &format!("did:plc:new{i}"),
                    "news",
                    r#"{"what":"a kind of a later server"}"#,
                );
            }
            6..=15 => {
                for operation in 0..rng.u64(2..6) {
                    self.operation(rng, &did, i, operation);
                }
            }
            _ => self.operation(rng, &did, i, 0),
        }
    }

    fn tick(&mut self, rng: &mut fastrand::Rng) {
        // Bursts and pauses, as on the network.
        let step_us = self.scenario.step_us;
        self.clock_us += match rng.u32(0..20) {
            0 => rng.u64(0..step_us * 16),
            1..=4 => rng.u64(0..step_us * 2),
            5 if self.scenario.is_v2 => 0,
            _ => rng.u64(0..step_us / 8),
        };
        if self.scenario.has_wild_times
            && self.scenario.is_v2
            && rng.u32(0..self.scenario.wild_one_in) == 0
        {
            self.back = (rng.u64(0..1_500_000), rng.u32(1..20));
        }
        self.back.1 = self.back.1.saturating_sub(1);
    }

    fn operation(&mut self, rng: &mut fastrand::Rng, did: &str, commit: u64, operation: u64) {
        let collection = match rng.u32(0..100) {
            0 => RARE_COLLECTION,
            n => COLLECTIONS[n as usize % 5],
        };
        // Some records change repeatedly under one key; a commit may delete and create a record.
        let rkey = match rng.u32(0..10) {
            0 if operation == 0 => "self".to_owned(),
            1 => format!("3l:{commit}.{operation}~\\u002d_"),
            _ => format!("3l{commit}x{operation}"),
        };
        let length =
            if rng.u32(0..1000) == 0 { rng.usize(20_000..80_000) } else { rng.usize(0..400) };
        let record = format!(
            r#","record":{{"$type":"{collection}","text":"{} \u003c\u00e9\\\"}}"}},"cid":"bafyrei{commit}""#,
            "x".repeat(length)
        );
        let (word, record) = match rng.u32(0..10) {
            0..=1 => ("delete", ""),
            2 => ("update", &*record),
            _ => ("create", &*record),
        };
        let body = format!(
            r#"{{"rev":"3m{commit:011}","operation":"{word}","collection":"{collection}","rkey":"{rkey}"{record}}}"#
        );
        self.event(rng, did, "commit", &body);
    }

    fn event(&mut self, rng: &mut fastrand::Rng, did: &str, kind: &str, body: &str) {
        let Scenario { is_v2, has_wild_times, wild_one_in, .. } = self.scenario;
        // A legacy server's clock never repeats.
        self.clock_us += u64::from(!is_v2);
        let is_imported = has_wild_times && kind == "commit" && rng.u32(0..wild_one_in) == 0;
        let time_us = match (is_imported, self.back.1) {
            (true, _) => self.clock_us - rng.u64(1..4) * 365 * 86_400_000_000,
            (false, 0) => self.clock_us,
            (false, _) => self.clock_us - self.back.0,
        };
        let cursor = match is_v2 {
            // Sequence numbers increase, with holes.
            true => format!(r#","cursor":{}"#, FIRST_SEQ + 2 * self.lines.len() as u64),
            false => String::new(),
        };
        self.lines.push(format!(
            r#"{{"did":"{did}","time_us":{time_us}{cursor},"kind":"{kind}","{kind}":{body}}}"#
        ));
    }
}
