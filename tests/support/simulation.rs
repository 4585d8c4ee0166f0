//! A small world in which a sieve makes journeys: servers that tell the same events in orders,
//! times and numbers of their own, and a consumer that is cut, killed and sent elsewhere. After
//! each step it is checked that nothing came twice, and at the end that nothing is missing.
//!
//! A journey is made of bytes, so that both proptest and the fuzzer can choose it. No I/O.

#![allow(clippy::expect_used)]

use std::collections::HashSet;
use std::sync::Arc;

use skytail::event::batch::Batch;
use skytail::event::header::{self, Operation};
use skytail::event::identity::{IdentityKey, IdentitySecrets};
use skytail::filter::Filter;
use skytail::metrics::Metrics;
use skytail::pipeline::sieve::{Rules, Sieve};
use skytail::position::{Mark, Origin, Resume, Seq, ServerKind, StartPosition, TimeUs};
use skytail::settings::OnGap;
use skytail::source::{ConnectionInfo, RequestedCursor};

/// When the world begins: servers take smaller numbers for sequence numbers.
const EPOCH_US: u64 = 2_000_000_000_000_000;
/// How far a new connection rewinds. Any two servers' times for one event are less apart.
const REWIND_US: u64 = 500;
const EVENTS: u64 = 600;
/// How much later a server that repeats itself does so.
const REPEAT_US: u64 = 700;
/// How far ahead a lie is stamped.
const FUTURE_US: u64 = 40 * 3_600 * 1_000_000;
const KINDS: [ServerKind; 3] = [ServerKind::V2, ServerKind::V2, ServerKind::Legacy];

/// What one server has to tell, in its order.
struct Server {
    origin: Origin,
    /// Each with the server's own time of it, which is not always what it writes.
    sent: Vec<(u64, Mark, u64)>,
}

/// What sort of world it is.
#[derive(Clone, Copy)]
struct Scenario {
    /// The first servers only; one means that there is no other.
    servers: usize,
    first: usize,
    /// Some events carry times of long ago (v2).
    imports: bool,
    /// Several events share one time (legacy, and v2).
    ties: bool,
    /// Servers tell some events twice.
    repeats: bool,
    /// Servers stamp some events with times that are far ahead.
    future_times: bool,
    /// The consumer wants only some events, and picks them out itself.
    filters: bool,
}

/// Takes the journey apart; zeros once it is used up.
struct Steps<'a>(&'a [u8]);

impl Steps<'_> {
    fn next(&mut self) -> u64 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u64::from(*first)
    }
}

/// The consumer.
struct Consumer<'a> {
    servers: &'a [Server],
    scenario: Scenario,
    sieve: Sieve,
    connection: Arc<ConnectionInfo>,
    server: usize,
    /// The place in the server's list of what comes next.
    next: usize,
    connections: u64,
    /// What was printed and counts: a kill makes the rest count no more.
    printed: HashSet<u64>,
    saved: Option<(Resume, HashSet<u64>)>,
}

/// A number that looks random and depends on its inputs alone.
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
        // Where an event future_times that shares its time with another one, no one can tell. A legacy
        // server's times strictly increase (protocol/jetstream-v1.md §8).
        let mut least = 0;
        for (stamp, _) in &mut stamped {
            *stamp = least.max(*stamp);
            least = *stamp + 1;
        }
    }
    let kind = KINDS[which];
    let mut sent: Vec<(u64, Mark, u64)> = Vec::new();
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
        sent.push((stamp, Mark { time: TimeUs(time), seq }, event));
    }
    Server { origin: Origin { server: format!("{which}.example").into(), kind, stream: 1 }, sent }
}

fn is_import(event: u64, scenario: Scenario) -> bool {
    scenario.imports && mix(event, 3).is_multiple_of(5)
}

fn is_wanted(event: u64, scenario: Scenario) -> bool {
    !scenario.filters || !mix(event, 5).is_multiple_of(3)
}

fn line(mark: Mark, event: u64) -> String {
    let operation = if mix(event, 5).is_multiple_of(3) { "delete" } else { "create" };
    let cursor = mark.seq.map(|seq| format!(r#""cursor":{},"#, seq.0)).unwrap_or_default();
    format!(
        r#"{{"did":"did:plc:made","time_us":{},{cursor}"kind":"commit","commit":{{"rev":"{event}","operation":"{operation}","collection":"com.example.note","rkey":"k"}}}}"#,
        mark.time.0
    )
}

fn sieve(scenario: Scenario, start: &StartPosition) -> Sieve {
    let mut filter = Filter::default();
    if scenario.filters {
        filter.operations.push(Operation::Create);
    }
    let rules = Rules {
        filter,
        strict: false,
        limit: None,
        until: None,
        live_at: None,
        rewind_us: REWIND_US,
        secrets: IdentitySecrets { key: IdentityKey::new(42), former_seed: None },
        on_gap: OnGap::Fail,
        period_us: None,
    };
    Sieve::new(rules, start, Arc::new(Metrics::default()))
}

impl Consumer<'_> {
    /// A connection to a server, as the reader would ask for it.
    fn connect(&mut self, server: usize, surplus: u64) {
        let to = &self.servers[server];
        let position = self.sieve.position().cloned();
        let asked = match &position {
            None => RequestedCursor::Oldest,
            Some(position) if position.origin != to.origin => {
                RequestedCursor::Instant(position.latest_time.minus_us(REWIND_US))
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

    /// The time when the event before `next` happened, by its server's clock.
    fn now(&self) -> TimeUs {
        let sent = &self.servers[self.server].sent;
        TimeUs(self.next.checked_sub(1).map_or(EPOCH_US, |last| sent[last].0))
    }

    /// Nothing is ever missing here, and no server counts anew.
    fn find_nothing(&mut self) {
        let found = self.sieve.take_finding();
        assert!(found.is_none(), "{found:?} at {:?}", self.sieve.position());
    }

    /// Reads on, and prints.
    fn read(&mut self, events: usize) {
        let batch = self.batch(events);
        let (lines, _) = self.sieve.sift(batch, &self.connection.clone(), self.now());
        self.find_nothing();
        self.print(lines.iter());
        self.sieve.accepted(&lines);
        let latest = self.sieve.position().map_or(TimeUs(0), |position| position.latest_time);
        assert!(latest.0 < EPOCH_US + FUTURE_US / 2, "a lie became the clock: {latest}");
    }

    /// Reads on, and the output breaks behind some lines; the run ends there.
    fn break_off(&mut self, events: usize, cut: u64) {
        let batch = self.batch(events);
        let (lines, pending) = self.sieve.sift(batch, &self.connection.clone(), self.now());
        self.find_nothing();
        let accepted_bytes = (cut as usize * 7) % (lines.bytes().len() + 1);
        let whole = lines.spans().iter().filter(|span| span.end <= accepted_bytes).count();
        self.print(lines.iter().take(whole));
        self.sieve.refused(&lines, pending, accepted_bytes);
        self.restart();
    }

    fn save(&mut self) {
        self.saved = self.sieve.resume().map(|resume| (resume, self.printed.clone()));
    }

    /// A clean end and a new beginning.
    fn restart(&mut self) {
        self.save();
        self.kill();
    }

    /// A new beginning from what was saved last.
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
        self.sieve = sieve(self.scenario, &start);
    }

    /// Does what one pair of bytes of the input stands for.
    fn step(&mut self, step: u64, many: u64) {
        let elsewhere = if self.scenario.servers == 1 {
            self.server
        } else {
            (many % self.scenario.servers as u64) as usize
        };
        // From the beginning a server is never changed: there is no position yet.
        let elsewhere =
            if self.sieve.position().is_none() { self.scenario.first } else { elsewhere };
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
                let same = self.sieve.position().map(|p| p.origin.clone());
                let server = self.servers.iter().position(|s| Some(&s.origin) == same.as_ref());
                self.connect(server.unwrap_or(self.scenario.first), 0);
            }
            9 => self.connect(self.server, 0),
            10 => self.connect(elsewhere, many % 30),
            _ => {
                self.break_off(many as usize % 50, step * 31 + many);
                let back =
                    if self.sieve.position().is_none() { self.scenario.first } else { self.server };
                self.connect(back, many % 30);
            }
        }
    }
}

/// Makes the journey that these bytes stand for, and checks its promises.
///
/// # Panics
/// Where one does not hold.
pub fn run(bytes: &[u8]) {
    let mut steps = Steps(bytes);
    let flags = steps.next();
    let repeats = flags & 8 != 0;
    let scenario = Scenario {
        // A server that repeats an event long after another has sent it can't be seen through.
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
        sieve: sieve(scenario, &start),
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
    // Where a server is asked by time, an old time in front of the first late enough can't be
    // sent from what the server sends too much.
    let is_sure = |event: &u64| scenario.servers == 1 || !is_import(*event, scenario);
    let wanted = (0..EVENTS).filter(|event| is_wanted(*event, scenario)).filter(is_sure);
    for event in wanted {
        assert!(consumer.printed.contains(&event), "event {event} is missing");
    }
}
