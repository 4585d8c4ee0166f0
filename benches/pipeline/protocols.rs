//! Comparisons of what a server may send: v2, members in another order, zstd, TLS.

use super::compare::{Bench, Run};
use super::corpus::MemberOrder;
use super::load::{self, Load, Protocol};
use super::measure::{Output, Program, ResourceUsage};
use super::programs;
use super::report::{Report, ratio};
use super::server;

/// Events of comparisons with several loads, which are in memory together.
const MOST_EVENTS: usize = 1_000_000;

fn wall(took: &ResourceUsage) -> f64 {
    took.wall_us as f64
}

fn cpu(took: &ResourceUsage) -> f64 {
    took.cpu_us as f64
}

impl Bench {
    /// The same events from a server that speaks v1, and from one that speaks v2.
    pub fn v2(&self, report: &mut Report) {
        let (v1, v2) = (Load::plain(self.arguments.events), Load::v2(self.arguments.events));
        let events = v1.events.to_string();
        let with = |load: &Load, flags: &[&str]| {
            let all: Vec<&str> = flags.iter().copied().chain(["-n", &events]).collect();
            self.once(load, 1, Output::Null, |host| self.skytail("", host, &all))
        };
        let floor = |host: &str| Program::role("floor", "floor-v2", &[host, &events]);
        let rounds = self.rounds(
            self.arguments.rounds,
            vec![
                Box::new(|| self.once(&v2, 1, Output::Null, floor)),
                Box::new(|| with(&v1, &["--protocol", "v1"])),
                Box::new(|| with(&v2, &["--protocol", "v2"])),
                Box::new(|| with(&v2, &["--protocol", "v2", "--shape", "native"])),
            ],
        );
        let names = ["floor, envelopes stripped", "live v1", "live v2", "live v2, --shape native"];
        report.compare("v2", &names, &rounds);
        for (place, name, most) in [(2, "live v2", 1.3), (3, "live v2, native", 1.1)] {
            let name = |what| format!("{name}, {what} beside live v1");
            report.figure(&name("wall"), ratio(&rounds, place, 1, wall), "×", Some(most));
            report.figure(&name("CPU"), ratio(&rounds, place, 1, cpu), "×", Some(most));
        }
    }

    /// Members in an order that no server uses today.
    pub fn shuffled(&self, report: &mut Report) {
        let count = self.arguments.events.min(MOST_EVENTS);
        for (protocol, flags) in [
            ("v1", &["--protocol", "v1"][..]),
            ("v2", &["--protocol", "v2"]),
            ("native", &["--protocol", "v2", "--shape", "native"]),
        ] {
            let orders = [MemberOrder::Usual, MemberOrder::Reversed, MemberOrder::Shuffled];
            let load = |order| match protocol {
                "v1" => Load::plain_in(order, count),
                _ => Load::v2_in(order, count),
            };
            let loads = orders.map(load);
            let events = count.to_string();
            let flags: Vec<&str> = flags.iter().copied().chain(["-n", &events]).collect();
            let run =
                |load| self.once(load, 1, Output::Null, |host| self.skytail("", host, &flags));
            let programs = loads.iter().map(|load| -> Run<'_> { Box::new(move || run(load)) });
            let rounds = self.rounds(self.arguments.rounds, programs.collect());
            let names = ["the usual order", "another order", "another for each event"];
            report.compare(&format!("shuffled, {protocol}"), &names, &rounds);
            for (place, name) in [(1, names[1]), (2, names[2])] {
                let name = |what| format!("{protocol}, {name}: {what} beside the usual one");
                report.figure(&name("wall"), ratio(&rounds, place, 0, wall), "×", Some(1.25));
                report.figure(&name("CPU"), ratio(&rounds, place, 0, cpu), "×", Some(1.25));
            }
        }
    }

    pub fn zstd(&self, report: &mut Report) {
        for (protocol, word) in [(Protocol::V1, "v1"), (Protocol::V2, "v2")] {
            self.zstd_of(protocol, word, report);
        }
    }

    fn zstd_of(&self, protocol: Protocol, word: &str, report: &mut Report) {
        let dictionary = load::dictionary(protocol);
        let path = self.scratch_file(&format!("dictionary-{word}"), &dictionary);
        let load = Load::compressed(protocol, self.arguments.zstd_events, &dictionary);
        let events = load.events.to_string();
        let flags = ["--compress", "on", "--zstd-dictionary", &path, "--protocol", word, "-n"];
        let flags: Vec<&str> = flags.iter().copied().chain([&*events]).collect();
        let skytail = |host: &str| {
            let mut program = self.skytail("", host, &flags);
            let off = program.words.iter().position(|word| word == "off").expect("it is there");
            program.words.drain(off - 1..=off);
            program
        };
        let rounds = self.rounds(
            self.arguments.rounds,
            vec![
                Box::new(|| programs::inflate(&load, &dictionary)),
                Box::new(|| self.once(&load, 1, Output::Null, skytail)),
                Box::new(|| self.once(&load, 1, Output::Cat, skytail)),
            ],
        );
        let names = ["libzstd alone", "skytail to /dev/null", "skytail | cat >/dev/null"];
        report.compare(&format!("zstd, {word}"), &names, &rounds);
        let name = |what| format!("zstd, {word}, {what} beside libzstd alone");
        report.figure(&name("wall"), ratio(&rounds, 1, 0, wall), "×", Some(1.2));
        report.figure(&name("CPU"), ratio(&rounds, 1, 0, cpu), "×", Some(1.4));
    }

    /// What TLS adds to skytail, and what it adds to the floor: rustls alone.
    pub fn tls(&self, report: &mut Report) {
        let plain = Load::plain(self.arguments.events.min(MOST_EVENTS));
        let secure = Load { tls: Some(server::tls_config()), ..Load::plain(plain.events) };
        let events = plain.events.to_string();
        let authority = server::tls_file("ca.pem").display().to_string();
        let flags = ["--protocol", "v1", "--ca-file", &authority, "-n", &events];
        let skytail = |load, scheme: &str| {
            self.once(load, 1, Output::Null, |address| {
                let port = address.rsplit(':').next().expect("a port");
                self.skytail("", &format!("{scheme}://localhost:{port}"), &flags)
            })
        };
        let floor = |load, role: &str| {
            self.once(load, 1, Output::Null, |host| Program::role("", role, &[host, &events]))
        };
        let rounds = self.rounds(
            self.arguments.rounds,
            vec![
                Box::new(|| floor(&plain, "floor")),
                Box::new(|| floor(&secure, "floor-tls")),
                Box::new(|| skytail(&plain, "ws")),
                Box::new(|| skytail(&secure, "wss")),
            ],
        );
        let names = ["floor", "floor, TLS", "skytail", "skytail, TLS"];
        report.compare("tls", &names, &rounds);
        let added = |round: &Vec<ResourceUsage>| {
            let added = |with: usize, without: usize| cpu(&round[with]) - cpu(&round[without]);
            added(3, 2) / added(1, 0)
        };
        let added = super::report::median(rounds.iter().map(added));
        report.figure("CPU that TLS adds, beside the floor's", added, "×", Some(1.15));
    }

    /// A program for each event.
    pub fn jq(&self, report: &mut Report) {
        let load = Load::plain(self.arguments.events.min(MOST_EVENTS));
        let events = load.events.to_string();
        let with = |flags: &[&str]| {
            let all: Vec<&str> = flags.iter().copied().chain(["-n", &events]).collect();
            self.once(&load, 1, Output::Null, |host| self.skytail("", host, &all))
        };
        let rounds = self.rounds(
            self.arguments.rounds,
            vec![Box::new(|| with(&[])), Box::new(|| with(&["--jq", ".did"]))],
        );
        report.compare("jq", &["plain", "--jq .did"], &rounds);
        report.figure("--jq .did, CPU beside plain", ratio(&rounds, 1, 0, cpu), "×", Some(3.0));
    }
}
