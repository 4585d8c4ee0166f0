//! Delays: from the moment that an event is written to the socket until its line can be read.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::compare::Bench;
use super::load::{self, Load};
use super::measure::{self, Program};
use super::server;

/// How long the output stays unread: at 5,000 events a second the queue of 4 MiB is full after two
/// seconds.
const BLOCKED: Duration = Duration::from_secs(8);

/// How a program follows a paced stream.
pub struct Delay {
    pub p50_us: f64,
    pub p99_us: f64,
    pub cpu_us: f64,
    pub wall_us: f64,
}

impl Delay {
    /// Returns the processor time that the events took, in percent of a core: without that of `start`, a
    /// run of a few events. A start takes as long as a thousand events, and a consumer at the tip
    /// runs for weeks.
    pub fn cpu_percent(&self, start: &Self) -> f64 {
        100.0 * (self.cpu_us - start.cpu_us) / (self.wall_us - start.wall_us)
    }
}

/// Sends `events` events at `rate` a second, and times each line.
pub fn paced(events: usize, rate: u64, program: impl Fn(&str, &str) -> Program) -> Delay {
    let frames = single_frames(&Load::plain(events));
    let (listener, address) = server::listen();
    let server = server::pace(listener, frames, every(rate));
    let scratch = tempfile::tempdir().expect("a directory");
    let report_path = scratch.path().join("took");
    let program = program(&address.to_string(), &events.to_string());
    let mut child = measure::start(&program, &report_path, Stdio::piped());
    let came = arrivals(child.stdout.take().expect("piped"), events);
    child.wait().expect("wait for the watch");
    let sent = server.join().expect("the server");
    assert_eq!((sent.len(), came.len()), (events, events));
    let mut delays: Vec<f64> = came
        .iter()
        .zip(&sent)
        .map(|(came, sent)| came.saturating_duration_since(*sent).as_secs_f64() * 1e6)
        .collect();
    delays.sort_by(f64::total_cmp);
    let took = measure::took(&report_path, &program);
    Delay {
        p50_us: delays[events / 2],
        p99_us: delays[events * 99 / 100],
        cpu_us: took.cpu_us as f64,
        wall_us: took.wall_us as f64,
    }
}

fn arrivals(mut stdout: impl std::io::Read, events: usize) -> Vec<Instant> {
    let mut came = Vec::with_capacity(events);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let bytes = stdout.read(&mut buffer).expect("read");
        if bytes == 0 {
            return came;
        }
        let now = Instant::now();
        came.extend(memchr::memchr_iter(b'\n', &buffer[..bytes]).map(|_| now));
    }
}

/// Returns the milliseconds from the start of the program until its first byte.
pub fn first_byte(load: &Load, program: impl FnOnce(&str) -> Program) -> f64 {
    let (listener, address) = server::listen();
    let program = program(&address.to_string());
    std::thread::scope(|scope| {
        server::flood(scope, listener, load, 1);
        let began = Instant::now();
        let mut child = std::process::Command::new(&program.words[0])
            .args(&program.words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start a process");
        let mut stdout = child.stdout.take().expect("piped");
        stdout.read_exact(&mut [0]).expect("a first byte");
        let took_ms = began.elapsed().as_secs_f64() * 1e3;
        let _ = std::io::copy(&mut stdout, &mut std::io::sink());
        child.wait().expect("wait for it");
        took_ms
    })
}

/// Returns the most memory, in MiB, of a program whose output is not read until its queue has long
/// been full. The events come as fast as the program reads them, or `rate` a second, each alone.
pub fn blocked(bench: &Bench, load: &Load, rate: Option<u64>) -> f64 {
    let events = load.events.to_string();
    let (listener, address) = server::listen();
    let scratch = tempfile::tempdir().expect("a directory");
    let report_path = scratch.path().join("took");
    let program = bench.skytail("", &address.to_string(), &["-n", &events]);
    std::thread::scope(|scope| {
        match rate {
            None => server::flood(scope, listener, load, 1),
            Some(rate) => drop(server::pace(listener, single_frames(load), every(rate))),
        }
        let mut child = measure::start(&program, &report_path, Stdio::piped());
        let mut stdout = child.stdout.take().expect("piped");
        std::thread::sleep(BLOCKED);
        std::io::copy(&mut stdout, &mut std::io::sink()).expect("read");
        child.wait().expect("wait for the watch");
    });
    measure::took(&report_path, &program).peak_rss_kib as f64 / 1024.0
}

fn single_frames(load: &Load) -> Vec<Vec<u8>> {
    let mut rest = &load.frames[..];
    let mut frames = Vec::with_capacity(load.events);
    while let Some((_, tail)) = load::split(rest) {
        frames.push(rest[..rest.len() - tail.len()].to_vec());
        rest = tail;
    }
    frames
}

fn every(rate: u64) -> Duration {
    Duration::from_nanos(1_000_000_000 / rate)
}
