//! A stream with filters that change at any event, connections that end at any event, and runs that
//! are killed: the output is what the filters in force at each event want, each event once.

use std::sync::Arc;

use proptest::prelude::*;

use crate::event::batch::Batch;
use crate::event::event_id::{EventIdKey, EventIdSecrets};
use crate::filter::Filter;
use crate::pipeline::dedup::{Delivery, EventProcessor, ProcessorConfig};
use crate::position::{FilterSince, Origin, Resume, Seq, ServerKind, StartPosition, TimeUs};
use crate::settings::OnGap;
use crate::source::{ConnectionInfo, RequestedCursor};

const T0: u64 = 1_783_000_000_000_000;
/// The time between two events: so short that each supports the one before.
const STEP_US: u64 = 500;
const ACCOUNTS: u64 = 3;

/// What happens after some events.
#[derive(Clone, Copy, Debug)]
enum Incident {
    /// The filter changes to these accounts, a bit each; the server need not be asked again.
    InPlace(u8),
    /// The same, and the reader connects again.
    Reconnect(u8),
    /// The connection ends.
    Cut,
    /// The process is killed after it saved its position, or some events later.
    Kill { saves: bool },
    /// The process is killed, and the filter changes before the next start.
    KillAndChange(u8),
}

fn filter(accounts: u8) -> Arc<Filter> {
    let dids = (0..ACCOUNTS).filter(|n| accounts & (1 << n) != 0);
    Arc::new(Filter { dids: dids.map(|n| format!("did:plc:{n}")).collect(), ..Filter::default() })
}

fn line(n: u64, has_seq: bool) -> String {
    let (account, time) = (n * 7 % ACCOUNTS, T0 + n * STEP_US);
    let cursor = if has_seq { format!(r#","cursor":{n}"#) } else { String::new() };
    format!(
        r#"{{"did":"did:plc:{account}","time_us":{time}{cursor},"kind":"commit","commit":{{"rev":"r","operation":"create","collection":"a.b.c","rkey":"{n}"}}}}"#
    )
}

fn wants(accounts: u8, n: u64) -> bool {
    accounts & (1 << (n * 7 % ACCOUNTS)) != 0
}

/// A consumer of one server, whose events have the numbers from 1.
struct Consumer {
    processor: EventProcessor,
    kind: ServerKind,
    accounts: u8,
    connections: u64,
    output: Vec<u64>,
    saved: Option<(Resume, u8, Option<FilterSince>, usize)>,
}

impl Consumer {
    fn new(kind: ServerKind) -> Self {
        let processor = Self::processor(&StartPosition::Live, 1);
        Self { processor, kind, accounts: 1, connections: 0, output: Vec::new(), saved: None }
    }

    fn processor(start: &StartPosition, accounts: u8) -> EventProcessor {
        let config = ProcessorConfig {
            filter: filter(accounts),
            strict: false,
            limit: None,
            until: None,
            until_margin_us: 0,
            live_at: None,
            rewind_us: 50_000,
            secrets: EventIdSecrets { key: EventIdKey::new(1), legacy_seed: None },
            on_gap: OnGap::Fail,
            period_us: None,
        };
        EventProcessor::new(config, start, Arc::default())
    }

    /// Returns the next connection, and the number of the first event that it brings.
    fn connect(&mut self) -> (Arc<ConnectionInfo>, u64) {
        self.connections += 1;
        let filter_fingerprint = filter(self.accounts).fingerprint();
        let origin = Origin { server: "a.example".into(), kind: self.kind, filter_fingerprint };
        let (requested, first) = match self.processor.position() {
            None => (RequestedCursor::Live, 1),
            Some(position) => match position.rewind_to.seq {
                Some(seq) => (RequestedCursor::Seq(seq), seq.0),
                None => {
                    let from = position.newest.time.minus_us(50_000).max(position.rewind_to.time);
                    (RequestedCursor::Instant(from), from.0.saturating_sub(T0).div_ceil(STEP_US))
                }
            },
        };
        (Arc::new(ConnectionInfo::v1(self.connections, origin, requested)), first.max(1))
    }

    fn receive(&mut self, connection: &Arc<ConnectionInfo>, n: u64) {
        let line = line(n, self.kind == ServerKind::V2);
        let mut batch = Batch::default();
        batch.push(line.as_bytes());
        let staged = self.processor.process(batch, connection, TimeUs(T0 + n * STEP_US));
        assert_eq!(self.processor.stop_reason(), None, "a gap before {n}");
        let bytes = staged.lines().bytes().len();
        self.output.extend((bytes > 0).then_some(n));
        self.processor.commit(staged, Delivery::Bytes(bytes));
    }

    /// Changes the filter; returns the number of the last event under the old one.
    fn change(&mut self, accounts: u8) -> u64 {
        self.accounts = accounts;
        let at = self.processor.change_filter(filter(accounts));
        self.save();
        at.map_or(0, |at| (at.time.0 - T0) / STEP_US)
    }

    fn save(&mut self) {
        if let Some(resume) = self.processor.resume() {
            let since = self.processor.filter_stamp().since;
            self.saved = Some((resume, self.accounts, since, self.output.len()));
        }
    }

    /// Restarts with another filter; returns the number of the last event under the old one.
    fn restart_with(&mut self, accounts: u8) -> u64 {
        let Some((resume, now, since, _)) = &mut self.saved else { return 0 };
        let position = &mut resume.position;
        let changed = FilterSince::at_newest(position, since.as_ref());
        let at = changed.at;
        (position.newest, position.rewind_to) = (at, at);
        (*now, *since) = (accounts, Some(changed));
        self.restart();
        at.seq.map_or(0, |seq| seq.0)
    }

    fn restart(&mut self) {
        let Some((resume, accounts, since, length)) = self.saved.clone() else { return };
        self.output.truncate(length);
        self.accounts = accounts;
        let start = StartPosition::Resume(Box::new(resume));
        self.processor = Self::processor(&start, accounts).with_filter_since(since);
    }
}

fn incidents() -> impl Strategy<Value = Vec<(u64, Incident)>> {
    let incident = prop_oneof![
        (1u8..8).prop_map(Incident::InPlace),
        (1u8..8).prop_map(Incident::Reconnect),
        Just(Incident::Cut),
        any::<bool>().prop_map(|saves| Incident::Kill { saves }),
        (1u8..8).prop_map(Incident::KillAndChange),
    ];
    prop::collection::vec((1u64..12, incident), 1..12)
}

/// What a server can filter.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// It sends what the filter wants that a connection asked for.
    Wanted,
    /// The protocol has no word for the filter: the server sends everything.
    All,
}

/// Plays the incidents; returns the output and what it must be.
fn play(
    (kind, sends): (ServerKind, Sent),
    incidents: &[(u64, Incident)],
    kills: bool,
) -> (Vec<u64>, Vec<u64>) {
    let mut consumer = Consumer::new(kind);
    // After which event the accounts changed.
    let mut changes = vec![(0, 1)];
    let (mut connection, mut next) = consumer.connect();
    let (mut newest, mut sent) = (0, consumer.accounts);
    for (events, incident) in incidents.iter().copied().chain([(200, Incident::Cut)]) {
        // Some incidents happen within a replay.
        for n in next..next + events {
            if matches!(sends, Sent::All) || wants(sent, n) {
                consumer.receive(&connection, n);
            }
        }
        next += events;
        newest = newest.max(next - 1);
        match incident {
            Incident::InPlace(accounts) => {
                let accounts = match sends {
                    Sent::All => accounts,
                    Sent::Wanted if accounts & sent != 0 => accounts & sent,
                    Sent::Wanted => continue,
                };
                changes.push((consumer.change(accounts), accounts));
                continue;
            }
            Incident::Reconnect(accounts) => changes.push((consumer.change(accounts), accounts)),
            Incident::Kill { saves } if kills && consumer.saved.is_some() => {
                if saves {
                    consumer.save();
                }
                consumer.restart();
            }
            Incident::KillAndChange(accounts) if kills && consumer.saved.is_some() => {
                consumer.save();
                changes.push((consumer.restart_with(accounts), accounts));
            }
            _ => {}
        }
        (connection, next) = consumer.connect();
        sent = consumer.accounts;
    }
    let in_force = |n| changes.iter().rev().find(|(after, _)| *after < n).map_or(0, |c| c.1);
    let expected = (1..=newest).filter(|n| wants(in_force(*n), *n)).collect();
    (consumer.output, expected)
}

proptest! {
    #[test]
    fn each_event_passes_the_filter_of_its_place_on_v2(incidents in incidents()) {
        let (output, expected) = play((ServerKind::V2, Sent::Wanted), &incidents, true);
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn each_event_passes_the_filter_of_its_place_if_v2_sends_all(incidents in incidents()) {
        let (output, expected) = play((ServerKind::V2, Sent::All), &incidents, true);
        prop_assert_eq!(output, expected);
    }

    /// Without numbers a killed run does not know what lies within a second before the change.
    #[test]
    fn each_event_passes_the_filter_of_its_place_on_a_legacy_server(incidents in incidents()) {
        let (output, expected) = play((ServerKind::Legacy, Sent::Wanted), &incidents, false);
        prop_assert_eq!(output, expected);
    }
}

#[test]
fn a_server_that_renumbers_at_a_change_is_noticed() {
    let mut consumer = Consumer::new(ServerKind::V2);
    let (connection, _) = consumer.connect();
    (10..=12).for_each(|n| consumer.receive(&connection, n));
    consumer.change(7);
    let (connection, first) = consumer.connect();
    assert_eq!(first, 12);
    consumer.receive(&connection, 3);
    assert!(consumer.processor.take_anomaly().is_some());
    assert_eq!(consumer.processor.position().unwrap().newest.seq, Some(Seq(12)));
}
