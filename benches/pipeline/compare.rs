//! The comparisons: their programs, their streams, and the maximum of their ratios.

use std::collections::BTreeMap;
use std::path::Path;

use super::Arguments;
use super::corpus::lines;
use super::latency;
use super::load::Load;
use super::measure::{self, Output, Program, ResourceUsage};
use super::peers;
use super::report::{Report, median};
use super::server;

/// Starts measured for the time to the first byte.
const STARTS: usize = 20;

/// One run of a program.
pub type Run<'a> = Box<dyn FnMut() -> ResourceUsage + 'a>;

/// A comparison, and its name.
type Comparison = (&'static str, fn(&Bench, &mut Report));

/// What all comparisons share.
pub struct Bench {
    pub arguments: Arguments,
    scratch: tempfile::TempDir,
}

impl Bench {
    pub fn new(arguments: &Arguments) -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        Self { arguments: arguments.clone(), scratch }
    }

    /// Runs all selected comparisons.
    pub fn run(&self, report: &mut Report) {
        let comparisons: [Comparison; 16] = [
            ("plain", Self::plain),
            ("pipe", Self::pipe),
            ("filters", Self::filters),
            ("cursor", Self::cursor),
            ("zstd", Self::zstd),
            ("v2", Self::v2),
            ("shuffled", Self::shuffled),
            ("tls", Self::tls),
            ("archive", Self::archive),
            ("jq", Self::jq),
            ("blocked", Self::blocked),
            ("start", Self::start),
            ("tip", Self::tip),
            ("flat", Self::flat),
            ("lists", Self::lists),
            ("binary", Self::binary),
        ];
        for (name, comparison) in comparisons {
            if name.contains(&self.arguments.only) {
                comparison(self, report);
            }
        }
    }

    /// Returns a `skytail tail` with its own state file.
    pub fn skytail(&self, name: &str, host: &str, flags: &[&str]) -> Program {
        let state = self.scratch.path().join("state.db").display().to_string();
        let mut common = vec!["tail", "--host", host, "--compress", "off", "-q"];
        // The two exclude each other.
        if !flags.contains(&"--no-checkpoint") {
            common.extend(["--state", &state]);
        }
        let binary = self.arguments.skytail.display().to_string();
        let words = common.iter().chain(flags).map(|word| (*word).to_owned());
        Program::new(name, std::iter::once(binary).chain(words))
    }

    /// Writes a file and returns its path.
    pub fn scratch_file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.scratch.path().join(name);
        std::fs::write(&path, bytes).expect("write a file");
        path.display().to_string()
    }

    /// Runs one program against a server of its own.
    pub fn once(
        &self,
        load: &Load,
        times: usize,
        output: Output,
        program: impl FnOnce(&str) -> Program,
    ) -> ResourceUsage {
        let (listener, address) = server::listen();
        std::thread::scope(|scope| {
            server::flood(scope, listener, load, times);
            measure::run(&program(&address.to_string()), output)
        })
    }

    /// Runs rounds in which the programs take turns.
    pub fn rounds(&self, rounds: usize, mut programs: Vec<Run<'_>>) -> Vec<Vec<ResourceUsage>> {
        (0..rounds).map(|_| programs.iter_mut().map(|program| program()).collect()).collect()
    }

    fn plain(&self, report: &mut Report) {
        let load = Load::plain(self.arguments.events);
        let events = load.events.to_string();
        let mut names = vec!["floor", "skytail"];
        let mut programs = self.floor_and_skytail(&load, &events, Output::Null);
        if !self.arguments.no_reference {
            names.push("the reference design");
            programs.push(Box::new(|| {
                let role = |host: &str| Program::role("", "reference", &[host, &events]);
                self.once(&load, 1, Output::Null, role)
            }));
        }
        for peer in peers::installed(self.arguments.peers) {
            names.push(peer.name);
            let load = &load;
            programs.push(Box::new(move || {
                self.once(load, 1, Output::Null, |host| peer.program(host))
            }));
        }
        report.compare("to /dev/null", &names, &self.rounds(self.arguments.rounds, programs));
        let wall = report.wall_ratio("to /dev/null", "skytail");
        report.figure("plain, wall beside the floor (goal: 1.6)", wall, "×", Some(2.0));
        let cpu = report.cpu_ratio("to /dev/null", "skytail");
        report.figure("plain, CPU beside the floor (goal: 4)", cpu, "×", Some(5.0));
        let rss = report.peak_rss_mib("to /dev/null", "skytail");
        report.figure("peak memory at full speed", rss, "MiB", Some(20.0));
    }

    /// The output goes through a pipe to another process. Four of them then share the cores, so
    /// single rounds vary: there are three times as many.
    fn pipe(&self, report: &mut Report) {
        let load = Load::plain(self.arguments.events);
        let events = load.events.to_string();
        let programs = self.floor_and_skytail(&load, &events, Output::Cat);
        let rounds = self.rounds(3 * self.arguments.rounds, programs);
        report.compare("| cat >/dev/null", &["floor", "skytail"], &rounds);
        let wall = report.wall_ratio("| cat >/dev/null", "skytail");
        report.figure("to a pipe, wall beside the floor", wall, "×", Some(1.25));
    }

    fn floor_and_skytail<'a>(
        &'a self,
        load: &'a Load,
        events: &'a str,
        output: Output,
    ) -> Vec<Run<'a>> {
        let floor = move |host: &str| Program::role("floor", "floor", &[host, events]);
        let skytail = move |host: &str| self.skytail("skytail", host, &["-n", events]);
        vec![
            Box::new(move || self.once(load, 1, output, floor)),
            Box::new(move || self.once(load, 1, output, skytail)),
        ]
    }

    /// A filter that accepts about one event of a hundred, on a server that sends all of them.
    fn filters(&self, report: &mut Report) {
        let mut counts = BTreeMap::<String, usize>::new();
        lines(self.arguments.events, |line| {
            let header = skytail::event::header::parse(line).expect("a sound event");
            let collection = header.commit.map(|commit| commit.collection.into_owned());
            *counts.entry(collection.unwrap_or_default()).or_default() += 1;
        });
        counts.remove("");
        let rare = self.arguments.events / 100;
        let nearest = counts.into_iter().min_by_key(|(_, count)| count.abs_diff(rare));
        let (collection, passes) = nearest.expect("commits");
        let percent = passes as f64 * 100.0 / self.arguments.events as f64;
        report.figure("events that the filter passes", percent, "%", None);
        let (events, passes) = (self.arguments.events.to_string(), passes.to_string());
        for (protocol, load) in [("v1", Load::plain as fn(usize) -> Load), ("v2", Load::v2)] {
            let load = load(self.arguments.events);
            let all = ["--protocol", protocol, "-n", &events];
            let some = ["--protocol", protocol, "-c", &collection, "-n", &passes];
            let run = |flags: &[&str]| {
                self.once(&load, 1, Output::Null, |host| self.skytail("", host, flags))
            };
            let programs: Vec<Run<'_>> = vec![Box::new(|| run(&all)), Box::new(|| run(&some))];
            let rounds = self.rounds(self.arguments.rounds, programs);
            let comparison = format!("filters, {protocol}");
            report.compare(&comparison, &["all events", "one of a hundred"], &rounds);
            let cpu = report.cpu_ratio(&comparison, "one of a hundred");
            let name = format!("{protocol}, a filter that passes 1%, CPU beside none");
            report.figure(&name, cpu, "×", Some(1.0));
        }
    }

    fn cursor(&self, report: &mut Report) {
        let load = Load::plain(self.arguments.events);
        let events = load.events.to_string();
        let with = |flags: &'static [&'static str]| {
            let all: Vec<&str> = flags.iter().copied().chain(["-n", &events]).collect();
            // Otherwise the second run with `auto` would find everything known.
            let _ = std::fs::remove_file(self.scratch.path().join("state.db"));
            self.once(&load, 1, Output::Null, |host| self.skytail("", host, &all))
        };
        let rounds = self.rounds(
            self.arguments.rounds,
            vec![
                Box::new(|| with(&["--cursor", "live"])),
                Box::new(|| with(&["--cursor", "auto"])),
                Box::new(|| with(&["--no-checkpoint"])),
            ],
        );
        report.compare("cursor", &["--cursor live", "--cursor auto", "--no-checkpoint"], &rounds);
        let cpu = report.cpu_ratio("cursor", "--cursor auto");
        report.figure("--cursor auto, CPU beside live", cpu, "×", Some(1.03));
    }

    /// The output stays unread: at full speed, and with each event alone.
    fn blocked(&self, report: &mut Report) {
        let load = Load::plain(100_000.min(self.arguments.events));
        for (name, rate) in [("", None), (", 5,000/s", Some(5_000))] {
            let rss = latency::blocked(self, &load, rate);
            report.figure(
                &format!("peak memory with blocked stdout{name}"),
                rss,
                "MiB",
                Some(20.0),
            );
        }
    }

    fn start(&self, report: &mut Report) {
        let load = Load::plain(100);
        let events = load.events.to_string();
        let starts: Vec<f64> = (0..STARTS)
            .map(|_| latency::first_byte(&load, |host| self.skytail("", host, &["-n", &events])))
            .collect();
        report.figure("start to first byte of output", median(starts), "ms", Some(20.0));
    }

    /// The live tip: delay and processor time at the rate of the network.
    fn tip(&self, report: &mut Report) {
        let floor = |events, rate| {
            latency::paced(events, rate, |host, events| {
                Program::role("floor", "floor", &[host, events])
            })
        };
        let ours = |events, rate| {
            latency::paced(events, rate, |host, events| {
                self.skytail("skytail", host, &["-n", events])
            })
        };
        // The second one finds the state file of the first one.
        let (floor_start, _, start) = (floor(10, 1_000), ours(10, 1_000), ours(10, 1_000));
        report.figure("CPU of a start", start.cpu_us / 1e3, "ms", None);
        for rate in [4, 1_000, 5_000] {
            let events = (rate * self.arguments.seconds) as usize;
            let (floor, ours) = (floor(events, rate), ours(events, rate));
            let name = |what: &str| format!("{rate}/s, {what}");
            report.figure(&name("p50 delay of the floor"), floor.p50_us, "µs", None);
            report.figure(&name("p50 delay"), ours.p50_us, "µs", Some(200.0));
            report.figure(&name("p99 delay of the floor"), floor.p99_us, "µs", None);
            report.figure(&name("p99 delay"), ours.p99_us, "µs", None);
            let (added, most) = (ours.p99_us - floor.p99_us, (rate >= 1_000).then_some(300.0));
            report.figure(&name("added p99 delay"), added, "µs", most);
            let (floor, ours) = (floor.cpu_percent(&floor_start), ours.cpu_percent(&start));
            report.figure(&name("CPU of the floor"), floor, "% of a core", None);
            report.figure(&name("CPU"), ours, "% of a core", None);
            let most = (rate >= 1_000).then_some(1.3);
            report.figure(&name("CPU beside the floor"), ours / floor, "×", most);
        }
    }

    /// The cost of one event, from few events to many.
    fn flat(&self, report: &mut Report) {
        let load = Load::plain(self.arguments.events.min(1_000_000));
        let many: usize = if self.arguments.long { 50_000_000 } else { 10_000_000 };
        for events in [10_000_usize, 100_000, 1_000_000, many] {
            let count = events.to_string();
            let times = events.div_ceil(load.events);
            let skytail = |host: &str| self.skytail("", host, &["-n", &count]);
            let took = || self.once(&load, times, Output::Null, skytail).cpu_us as f64;
            let rounds = if events > 1_000_000 { 1 } else { self.arguments.rounds };
            let cpu_us = median((0..rounds).map(|_| took()));
            report.figure(
                &format!("CPU an event, {events} events"),
                cpu_us * 1e3 / events as f64,
                "ns",
                None,
            );
        }
    }

    /// The cost of one event, with short and with long lists of filters.
    fn lists(&self, report: &mut Report) {
        let load = Load::plain(self.arguments.events.min(1_000_000));
        let (mut dids, mut posts) = (std::collections::BTreeSet::new(), 0_usize);
        lines(load.events, |line| {
            let header = skytail::event::header::parse(line).expect("a sound event");
            dids.insert(header.did.into_owned());
            posts += usize::from(header.commit.is_some());
        });
        let events = load.events.to_string();
        let posts = posts.to_string();
        let mut all: Vec<String> = dids.into_iter().collect();
        let known = all.len();
        all.extend(
            (0..).map(|i| format!("did:plc:{i:024}")).take(10_000_usize.saturating_sub(known)),
        );
        all.truncate(10_000);
        let file = self.scratch.path().join("dids.txt");
        let wanted = format!("@{}", file.display());
        std::fs::write(&file, all.join("\n")).expect("write the list");
        let collections = |count: usize| {
            let names = (1..count).map(|i| format!("com.example.c{i}"));
            names.chain(["app.bsky.*".to_owned()]).collect::<Vec<_>>().join(",")
        };
        let (one, hundred) = (collections(1), collections(100));
        let with = |flags: &[&str], count: &str| {
            let all: Vec<&str> = flags.iter().copied().chain(["-n", count]).collect();
            self.once(&load, 1, Output::Null, |host| self.skytail("", host, &all))
        };
        let rounds = self.rounds(
            self.arguments.rounds,
            vec![
                Box::new(|| with(&[], &events)),
                Box::new(|| with(&["-c", &one], &posts)),
                Box::new(|| with(&["-c", &hundred], &posts)),
                Box::new(|| with(&["-d", &wanted], &events)),
            ],
        );
        let names = ["no filter", "1 collection", "100 collections", "10,000 DIDs"];
        report.compare("lists", &names, &rounds);
    }

    /// Benchmarks build a larger binary than `cargo build --release` (with the features of the
    /// tests): `--skytail` measures the release binary.
    fn binary(&self, report: &mut Report) {
        let path: &Path = &self.arguments.skytail;
        let bytes = std::fs::metadata(path).expect("the binary").len();
        let (name, at_most) = match path == Path::new(env!("CARGO_BIN_EXE_skytail")) {
            true => ("binary as built for benchmarks", None),
            false => ("release binary", Some(13.0)),
        };
        report.figure(name, bytes as f64 / f64::from(1 << 20), "MiB", at_most);
    }
}
