//! A simulation of the dedup stage: servers that send the same events with orders, times and
//! sequence numbers of their own, and a consumer that is cut off, killed and moved to other
//! servers. After each step it checks that no event came twice, and at the end that none is
//! missing.
//!
//! Bytes decide each step, so that both proptest and the fuzzer can choose them. No I/O.

#![allow(clippy::expect_used)]

use std::collections::HashSet;
use std::sync::Arc;

use skytail::event::batch::Batch;
use skytail::event::event_id::{EventIdKey, EventIdSecrets};
use skytail::event::header::{self, Operation};
use skytail::filter::Filter;
use skytail::metrics::Metrics;
use skytail::pipeline::dedup::{Delivery, EventProcessor, ProcessorConfig};
use skytail::position::{EventPosition, Origin, Resume, Seq, ServerKind, StartPosition, TimeUs};
use skytail::settings::OnGap;
use skytail::source::{ConnectionInfo, RequestedCursor};

/// The time of the first event: servers take smaller numbers for sequence numbers.
const EPOCH_US: u64 = 2_000_000_000_000_000;
/// How far a new connection rewinds, in microseconds. The times of two servers for one event differ
/// by less.
const REWIND_US: u64 = 500;
const EVENTS: u64 = 600;
/// How much later a server sends an event again, in microseconds.
const REPEAT_US: u64 = 700;
/// How far ahead a false time is, in microseconds.
const FUTURE_US: u64 = 40 * 3_600 * 1_000_000;
const KINDS: [ServerKind; 3] = [ServerKind::V2, ServerKind::V2, ServerKind::Legacy];

/// One server's events, in its order.
struct Server {
    origin: Origin,
    /// Each with the server's own time of it, which can differ from the time that it writes.
    sent: Vec<(u64, EventPosition, u64)>,
}

/// The properties of one simulated run.
#[derive(Clone, Copy)]
struct Scenario {
    /// Only the first servers are used; with one, there is no failover.
    servers: usize,
    first: usize,
    /// Some events have times of long ago (v2).
    imports: bool,
    /// Several events have one time (legacy, and v2).
    ties: bool,
    /// Servers send some events twice.
    repeats: bool,
    /// Servers stamp some events with times that are far ahead.
    future_times: bool,
    /// The consumer filters events itself.
    filters: bool,
}

/// The bytes of the input; zeros after their end.
struct Steps<'a>(&'a [u8]);

impl Steps<'_> {
    fn next(&mut self) -> u64 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u64::from(*first)
    }
}

struct Consumer<'a> {
    servers: &'a [Server],
    scenario: Scenario,
    processor: EventProcessor,
    connection: Arc<ConnectionInfo>,
    server: usize,
    /// The index of the next event in the server's list.
    next: usize,
    connections: u64,
    /// The events that were printed; a kill undoes those that were not saved.
    printed: HashSet<u64>,
    saved: Option<(Resume, HashSet<u64>)>,
}

/// Returns a number that looks random and depends only on its inputs.
fn mix(a: u64, b: u64) -> u64 {
    let x = (a ^ b.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

fn server(which: usize, scenario: Scenario, steps: &mut Steps<'_>) -> Server {
    let salt = which as u64 + 1;
    let mut stamped = Vec::new();
    let mut time = EPOCH_US;
    let pace = steps.next() % 40;
    for event in 0..EVENTS {
        let quiet = if mix(event, 7).is_multiple_of(97) { 3 * REWIND_US } else { 0 };
        time += if scenario.ties { pace / 4 } else { 1 + mix(event, pace) % (pace + 1) } + quiet;
        let stamp = time + mix(event, salt) % 150 + 60 * salt;
        stamped.push((stamp, event));
        if scenario.repeats && mix(event, salt + 9).is_multiple_of(11) {
            stamped.push((stamp + REPEAT_US, event));
        }
    }
    stamped.sort_unstable();
    if scenario.future_times {
        // A false time that equals another event's time can't be detected. A legacy server's times
        // strictly increase (protocol/jetstream-v1.md §8).
        let mut least = 0;
        for (stamp, _) in &mut stamped {
            *stamp = least.max(*stamp);
            least = *stamp + 1;
        }
    }
    let kind = KINDS[which];
    let mut sent: Vec<(u64, EventPosition, u64)> = Vec::new();
    for (place, (stamp, event)) in stamped.into_iter().enumerate() {
        let is_import = is_import(event, scenario);
        let (time, seq) = match kind {
            ServerKind::V2 if is_import => (EPOCH_US - 1000 + event, Some(place)),
            ServerKind::V2 => (stamp, Some(place)),
            ServerKind::Legacy => (stamp, None),
        };
        let is_future =
            scenario.future_times && (event == 0 || mix(event, salt + 4).is_multiple_of(41));
        let time = if is_future { stamp + FUTURE_US } else { time };
        let seq = seq.map(|place| Seq(1000 * salt + 2 * place as u64));
        sent.push((stamp, EventPosition { time: TimeUs(time), seq }, event));
    }
    Server {
        origin: Origin { server: format!("{which}.example").into(), kind, filter_fingerprint: 1 },
        sent,
    }
}

fn is_import(event: u64, scenario: Scenario) -> bool {
    scenario.imports && mix(event, 3).is_multiple_of(5)
}

fn is_wanted(event: u64, scenario: Scenario) -> bool {
    !scenario.filters || !mix(event, 5).is_multiple_of(3)
}

fn line(mark: EventPosition, event: u64) -> String {
    let operation = if mix(event, 5).is_multiple_of(3) { "delete" } else { "create" };
    let cursor = mark.seq.map(|seq| format!(r#""cursor":{},"#, seq.0)).unwrap_or_default();
    format!(
        r#"{{"did":"did:plc:made","time_us":{},{cursor}"kind":"commit","commit":{{"rev":"{event}","operation":"{operation}","collection":"com.example.note","rkey":"k"}}}}"#,
        mark.time.0
    )
}

fn processor(scenario: Scenario, start: &StartPosition) -> EventProcessor {
    let mut filter = Filter::default();
    if scenario.filters {
        filter.operations.push(Operation::Create);
    }
    let config = ProcessorConfig {
        filter: Arc::new(filter),
        strict: false,
        limit: None,
        until: None,
        until_margin_us: 1_000_000,
        live_at: None,
        rewind_us: REWIND_US,
        secrets: EventIdSecrets { key: EventIdKey::new(42), legacy_seed: None },
        on_gap: OnGap::Fail,
        period_us: None,
    };
    EventProcessor::new(config, start, Arc::new(Metrics::default()))
}

impl Consumer<'_> {
    /// Connects to a server with the cursor that the reader would ask for.
    fn connect(&mut self, server: usize, surplus: u64) {
        let to = &self.servers[server];
        let position = self.processor.position().cloned();
        let asked = match &position {
            None => RequestedCursor::Oldest,
            Some(position) if position.origin != to.origin => {
                RequestedCursor::Instant(position.max_time.minus_us(REWIND_US))
            }
            Some(position) => match position.rewind_to.seq {
                Some(seq) => RequestedCursor::Seq(seq),
                None => RequestedCursor::Instant(position.rewind_to.time),
            },
        };
        let from = to.sent.partition_point(|(stamp, mark, _)| match asked {
            RequestedCursor::Seq(seq) => mark.seq < Some(seq),
            RequestedCursor::Instant(instant) => *stamp < instant.0,
            RequestedCursor::Live
            | RequestedCursor::Oldest
            | RequestedCursor::OldestInsteadOf(_)
            | RequestedCursor::Archive => false,
        });
        let starts_early =
            to.origin.kind == ServerKind::V2 && matches!(asked, RequestedCursor::Instant(_));
        let surplus = if starts_early { surplus as usize } else { 0 };
        (self.server, self.next) = (server, from.saturating_sub(surplus));
        self.connections += 1;
        let number = self.connections;
        self.connection = Arc::new(ConnectionInfo::v1(number, to.origin.clone(), asked));
    }

    fn batch(&mut self, events: usize) -> Batch {
        let sent = &self.servers[self.server].sent;
        let end = (self.next + events).min(sent.len());
        let mut batch = Batch::default();
        for (_, mark, event) in &sent[self.next..end] {
            batch.push(line(*mark, *event).as_bytes());
        }
        self.next = end;
        batch
    }

    fn print<'b>(&mut self, lines: impl Iterator<Item = &'b [u8]>) {
        for line in lines {
            let header = header::parse(line).expect("we wrote it");
            let event = header.commit.and_then(|c| c.rev.parse().ok()).expect("we wrote it");
            assert!(is_wanted(event, self.scenario), "event {event} is not wanted");
            assert!(self.printed.insert(event), "event {event} came twice");
        }
    }

    /// Returns the time of the event before `next`, by its server's clock.
    fn now(&self) -> TimeUs {
        let sent = &self.servers[self.server].sent;
        TimeUs(self.next.checked_sub(1).map_or(EPOCH_US, |last| sent[last].0))
    }

    /// Fails if the dedup stage reports a gap or a restarted sequence: the simulation has neither.
    fn find_nothing(&mut self) {
        let found = self.processor.take_anomaly();
        assert!(found.is_none(), "{found:?} at {:?}", self.processor.position());
    }

    /// Reads and prints the next events.
    fn read(&mut self, events: usize) {
        let batch = self.batch(events);
        let staged = self.processor.process(batch, &self.connection.clone(), self.now());
        self.find_nothing();
        self.print(staged.lines().iter());
        let bytes = staged.lines().bytes().len();
        self.processor.commit(staged, Delivery::Bytes(bytes));
        let latest = self.processor.position().map_or(TimeUs(0), |position| position.max_time);
        assert!(latest.0 < EPOCH_US + FUTURE_US / 2, "a lie became the clock: {latest}");
    }

    /// Reads the next events; the output fails after some of the lines, and the run ends.
    fn break_off(&mut self, events: usize, cut: u64) {
        let batch = self.batch(events);
        let staged = self.processor.process(batch, &self.connection.clone(), self.now());
        self.find_nothing();
        let lines = staged.lines();
        let accepted_bytes = (cut as usize * 7) % (lines.bytes().len() + 1);
        let whole = lines.spans().iter().filter(|span| span.end <= accepted_bytes).count();
        self.print(lines.iter().take(whole));
        self.processor.rollback(staged, Delivery::Bytes(accepted_bytes));
        self.restart();
    }

    fn save(&mut self) {
        self.saved = self.processor.resume().map(|resume| (resume, self.printed.clone()));
    }

    /// Ends the run cleanly and starts the next one.
    fn restart(&mut self) {
        self.save();
        self.kill();
    }

    /// Starts the next run from the last saved position.
    fn kill(&mut self) {
        let start = match &self.saved {
            Some((resume, printed)) => {
                self.printed.clone_from(printed);
                StartPosition::Resume(Box::new(resume.clone()))
            }
            None => {
                self.printed.clear();
                StartPosition::Oldest
            }
        };
        self.processor = processor(self.scenario, &start);
    }

    /// Does what one pair of input bytes selects.
    fn step(&mut self, step: u64, many: u64) {
        let elsewhere = if self.scenario.servers == 1 {
            self.server
        } else {
            (many % self.scenario.servers as u64) as usize
        };
        // Before the first position, the server never changes.
        let elsewhere =
            if self.processor.position().is_none() { self.scenario.first } else { elsewhere };
        match step % 12 {
            0..=4 => self.read(many as usize % 50),
            5 => self.save(),
            6 => {
                self.restart();
                self.connect(self.server, 0);
            }
            7 => {
                self.restart();
                self.connect(elsewhere, many % 30);
            }
            8 => {
                self.kill();
                let same = self.processor.position().map(|p| p.origin.clone());
                let server = self.servers.iter().position(|s| Some(&s.origin) == same.as_ref());
                self.connect(server.unwrap_or(self.scenario.first), 0);
            }
            9 => self.connect(self.server, 0),
            10 => self.connect(elsewhere, many % 30),
            _ => {
                self.break_off(many as usize % 50, step * 31 + many);
                let back = if self.processor.position().is_none() {
                    self.scenario.first
                } else {
                    self.server
                };
                self.connect(back, many % 30);
            }
        }
    }
}

/// Runs the simulation that these bytes select, and checks its results.
///
/// # Panics
/// If an event is repeated or missing.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps(bytes);
    let flags = steps.next();
    let repeats = flags & 8 != 0;
    let scenario = Scenario {
        // A repeat that comes long after another server sent the event can't be detected.
        servers: if repeats { 1 } else { KINDS.len() },
        first: if flags & 1 == 0 { 0 } else { 2 },
        imports: flags & 2 != 0,
        ties: flags & 4 != 0,
        repeats,
        filters: flags & 16 != 0,
        future_times: flags & 32 != 0,
    };
    let pace = Steps(&[steps.next() as u8]).next() as u8;
    let servers: Vec<Server> =
        (0..KINDS.len()).map(|which| server(which, scenario, &mut Steps(&[pace]))).collect();
    let start = StartPosition::Oldest;
    let origin = servers[scenario.first].origin.clone();
    let mut consumer = Consumer {
        servers: &servers,
        scenario,
        processor: processor(scenario, &start),
        connection: Arc::new(ConnectionInfo::v1(0, origin, RequestedCursor::Oldest)),
        server: scenario.first,
        next: 0,
        connections: 0,
        printed: HashSet::new(),
        saved: None,
    };
    consumer.connect(scenario.first, 0);
    while !steps.0.is_empty() {
        let (step, many) = (steps.next(), steps.next());
        consumer.step(step, many);
    }
    consumer.read(usize::try_from(EVENTS).unwrap_or(usize::MAX) * 3);
    // If a server is asked by time, an old time before the first event that is late enough can't be
    // told apart from the server's surplus.
    let is_sure = |event: &u64| scenario.servers == 1 || !is_import(*event, scenario);
    let wanted = (0..EVENTS).filter(|event| is_wanted(*event, scenario)).filter(is_sure);
    for event in wanted {
        assert!(consumer.printed.contains(&event), "event {event} is missing");
    }
}
