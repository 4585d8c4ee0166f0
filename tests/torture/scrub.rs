//! `skytail scrub`, killed at random moments, between runs that continue its files. After it has
//! ended once, no file has a record of a deleted URI or account, and all other lines are there.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use skytail::compression::sniff;

use crate::support::tail::tail;
use crate::support::{FIRST_US, Scratch, ServeProcess, isolate_environment};
use crate::variable;

const EVENTS: usize = 2_000;
const ACCOUNTS: usize = 12;
const KEYS: usize = 15;
/// The forms of the output: flags, with `{}` for the directory.
const OUTPUTS: [&[&str]; 3] = [
    &["-o", "{}/a.ndjson"],
    &["-o", "{}/a.ndjson.zst"],
    &["-o", "{}/a.ndjson.zst", "--rotate", "64KiB"],
];

/// What an event says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fact {
    Put(usize),
    Delete(usize),
    Identity,
    Deleted,
    Active,
    Sync,
}

/// A recording, and what each line says of which account.
struct Recording {
    lines: Vec<String>,
    facts: Vec<(usize, Fact)>,
}

impl Recording {
    fn new(rng: &mut fastrand::Rng) -> Self {
        let facts: Vec<(usize, Fact)> = (0..EVENTS).map(|_| fact(rng)).collect();
        let line = |(n, (did, fact)): (usize, &(usize, Fact))| {
            let pad = (0..rng.usize(..400)).map(|_| rng.alphanumeric()).collect::<String>();
            line(n, *did, *fact, &pad)
        };
        let lines = facts.iter().enumerate().map(line).collect();
        Self { lines, facts }
    }

    /// Returns the first `count` lines that stay after a scrub of them, in their order.
    fn kept(&self, count: usize) -> Vec<&str> {
        let (mut gone, mut records) = (vec![false; count], HashMap::<(usize, usize), usize>::new());
        let mut of_account = vec![Vec::new(); ACCOUNTS];
        for (n, (did, fact)) in self.facts.iter().take(count).enumerate() {
            match fact {
                Fact::Put(key) | Fact::Delete(key) => {
                    if let Some(former) = records.remove(&(*did, *key)) {
                        gone[former] = true;
                    }
                    if let Fact::Put(key) = fact {
                        records.insert((*did, *key), n);
                        of_account[*did].push(n);
                    }
                }
                Fact::Identity => of_account[*did].push(n),
                Fact::Deleted => of_account[*did].drain(..).for_each(|n| gone[n] = true),
                Fact::Sync => {
                    let is_put = |n: &usize| matches!(self.facts[*n].1, Fact::Put(_));
                    let puts = of_account[*did].iter().copied().filter(is_put);
                    puts.for_each(|n| gone[n] = true);
                }
                Fact::Active => {}
            }
        }
        (0..count).filter(|n| !gone[*n]).map(|n| &*self.lines[n]).collect()
    }
}

fn fact(rng: &mut fastrand::Rng) -> (usize, Fact) {
    let key = rng.usize(..KEYS);
    let fact = match rng.u8(..100) {
        0..70 => Fact::Put(key),
        70..85 => Fact::Delete(key),
        85..94 => Fact::Identity,
        94 => Fact::Deleted,
        95..97 => Fact::Active,
        _ => Fact::Sync,
    };
    (rng.usize(..ACCOUNTS), fact)
}

/// Returns an event. `pad` makes records large, also when they are compressed.
fn line(n: usize, did: usize, fact: Fact, pad: &str) -> String {
    let time_us = FIRST_US + n as u64 * 100_000;
    let rev = rev(time_us);
    let commit = |operation: &str, key: usize, rest: &str| {
        let body = format!(
            r#"{{"rev":"{rev}","operation":"{operation}","collection":"a.b.c","rkey":"{key}"{rest}}}"#
        );
        ("commit", body)
    };
    let (kind, body) = match fact {
        Fact::Put(key) => {
            let record = format!(r#","record":{{"n":{n},"pad":"{pad}"}}"#);
            commit(if n.is_multiple_of(3) { "update" } else { "create" }, key, &record)
        }
        Fact::Delete(key) => commit("delete", key, ""),
        Fact::Identity => ("identity", format!(r#"{{"handle":"{n}.example","seq":{n}}}"#)),
        Fact::Deleted => ("account", format!(r#"{{"active":false,"seq":{n},"status":"deleted"}}"#)),
        Fact::Active => ("account", format!(r#"{{"active":true,"seq":{n}}}"#)),
        Fact::Sync => ("sync", format!(r#"{{"rev":"{rev}","seq":{n}}}"#)),
    };
    format!(
        r#"{{"did":"did:plc:{did}","time_us":{time_us},"cursor":{},"kind":"{kind}","{kind}":{body}}}"#,
        1_000 + n
    )
}

/// Returns the TID of a time.
fn rev(time_us: u64) -> String {
    const LETTERS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
    let letter = |place: u32| char::from(LETTERS[((time_us << 10) >> (place * 5) & 31) as usize]);
    (0..13).rev().map(letter).collect()
}

/// A round: one recording, runs that write parts of it, and a killed scrub after each.
struct Round {
    seed: u64,
    rng: fastrand::Rng,
    home: Scratch,
    recording: Recording,
    output: Vec<String>,
    kills: usize,
}

impl Round {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (home, recording) = (Scratch::new(), Recording::new(&mut rng));
        let files = home.path("files");
        fs::create_dir(&files).unwrap();
        let files = files.to_str().unwrap();
        let output = OUTPUTS[rng.usize(..OUTPUTS.len())];
        let output = output.iter().map(|flag| flag.replace("{}", files)).collect();
        Self { seed, rng, home, recording, output, kills: 0 }
    }

    /// Returns how often a scrub was killed.
    fn run(mut self) -> usize {
        let server = ServeProcess::start(&self.home.recording(&self.recording.lines), &[]);
        let host = server.address.to_string();
        let mut written = 0;
        while written < EVENTS {
            let count = self.rng.usize(1..=EVENTS / 2).min(EVENTS - written);
            let limit = count.to_string();
            let common = ["--host", &*host, "--protocol", "v2", "--from", "oldest"];
            let mut flags = [&common[..], &["--consumer", "c", "-n", &limit]].concat();
            flags.extend(self.output.iter().map(String::as_str));
            let ended = tail(&self.home.path(""), &flags);
            assert_eq!(ended.code(), 0, "seed {}: {}", self.seed, ended.stderr);
            written += count;
            self.scrub_with_kills();
            let (found, kept) = (self.lines(), self.recording.kept(written));
            let first = found.iter().zip(&kept).position(|(a, b)| a != b);
            let (seed, lengths) = (self.seed, (found.len(), kept.len()));
            assert_eq!((first, lengths.0), (None, lengths.1), "seed {seed} after {written} events");
        }
        self.kills
    }

    /// Kills several scrubs at random moments, and runs another one to its end.
    fn scrub_with_kills(&mut self) {
        let mut kills = self.rng.usize(..6);
        loop {
            let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
            isolate_environment(&mut command, &self.home.path(""));
            command.arg("scrub").arg("--state").arg(self.home.path("state.db"));
            command.args(files(&self.home.path("files")));
            command.stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            if kills > 0 {
                kills -= 1;
                std::thread::sleep(Duration::from_micros(self.rng.u64(..60_000)));
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) if kills == 0 => return,
                Some(0) => {}
                None => self.kills += 1,
                Some(_) => panic!("seed {}: {stderr}", self.seed),
            }
        }
    }

    /// Returns the lines of all files, in the order of the files.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for path in files(&self.home.path("files")) {
            let file = fs::File::open(&path).unwrap();
            let mut text = String::new();
            sniff::decompressed(file).unwrap().read_to_string(&mut text).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }
}

/// Returns the recordings in a directory, in the order in which a run began them.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_copy = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "scrub");
    let mut files: Vec<PathBuf> = entries.filter(|path| !is_copy(path)).collect();
    let number = |path: &PathBuf| -> u32 {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.split('.').find_map(|part| part.parse().ok()).unwrap_or(0)
    };
    files.sort_by_key(number);
    files
}

fn run(lasting: Duration) -> usize {
    let seed = variable("SKYTAIL_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let until = Instant::now() + lasting;
    let (mut rounds, mut kills) = (0, 0);
    while rounds == 0 || Instant::now() < until {
        kills += Round::new(seed.wrapping_add(rounds)).run();
        rounds += 1;
    }
    println!("scrub: {rounds} rounds, {kills} kills; seed {seed}");
    kills
}

// Guards INV-10.
#[test]
fn a_scrub_that_is_killed_at_any_moment_removes_exactly_what_was_deleted() {
    run(Duration::from_secs(3));
}

#[test]
#[ignore = "half an hour; see main.rs"]
fn a_scrub_is_killed_for_half_an_hour() {
    let minutes = variable("SKYTAIL_TORTURE_MINUTES").unwrap_or(30);
    assert!(run(Duration::from_secs(60 * minutes)) > 20 * minutes as usize);
}
