//! Two `skytail serve` that have the same recording, and of which each lacks events.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::{event, numbers};
use crate::operate::{MonitoredTail, get_until};
use crate::support::{PATIENCE, Scratch, ServeProcess};

/// What the servers lack: with these seeds never the same event.
pub const MAIN_LACKS: &str = "omit=7,seed=1";
pub const WITNESS_LACKS: &str = "omit=7,seed=2";

pub fn main_lacks(i: u64) -> bool {
    i % 7 == 1
}

pub fn witness_lacks(i: u64) -> bool {
    i % 7 == 2
}

/// The servers, and the directory of a tail that compares them.
pub struct Pair {
    chaos: [String; 2],
    pub main: ServeProcess,
    pub witness: ServeProcess,
    scratch: Scratch,
}

impl Pair {
    /// Starts the servers with the first `count` events.
    pub fn start(count: u64, main: &str, witness: &str) -> Self {
        let scratch = Scratch::new();
        let chaos = [main, witness].map(str::to_owned);
        let [main, witness] = chaos.each_ref().map(|chaos| {
            let recording = recording(&scratch, count);
            ServeProcess::start(&recording, &["--chaos", chaos])
        });
        Self { chaos, main, witness, scratch }
    }

    /// Stops the servers, and starts them at the same addresses with the first `count` events.
    pub fn restart(self, count: u64) -> Self {
        let Self { chaos, main, witness, scratch } = self;
        let recording = recording(&scratch, count);
        let again = |server: ServeProcess, chaos: &str| {
            let address = server.address.to_string();
            drop(server);
            ServeProcess::start_at(&address, &recording, &["--chaos", chaos])
        };
        let (main, witness) = (again(main, &chaos[0]), again(witness, &chaos[1]));
        Self { chaos, main, witness, scratch }
    }

    pub fn main_host(&self) -> String {
        self.main.address.to_string()
    }

    /// Starts a tail that writes to a file, and that resumes the one before it.
    pub fn tail(&self, flags: &[&str]) -> MonitoredTail {
        self.tail_with(&self.witness.address.to_string(), flags)
    }

    /// The same with another witness.
    pub fn tail_with(&self, witness: &str, flags: &[&str]) -> MonitoredTail {
        let out = self.out();
        let all = [
            &["--witness", witness, "--archive", "off", "--checkpoint-every", "50ms"][..],
            &["--consumer", "c", "--cursor", "auto", "--from", "oldest", "--log-format", "json"],
            &["--metrics-listen", "0", "-v", "-o", out.to_str().unwrap()],
            flags,
        ]
        .concat();
        MonitoredTail::start_in(&self.scratch.path("."), &self.main_host(), &all, |_| {})
    }

    fn out(&self) -> PathBuf {
        self.scratch.path("merged.ndjson")
    }

    /// Returns the numbers of the events in the file.
    pub fn written(&self) -> Vec<u64> {
        let text = std::fs::read_to_string(self.out()).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        numbers(&whole.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    /// Waits until the file has these events.
    #[track_caller]
    pub fn wait_for(&self, events: impl Fn(u64) -> bool, of: std::ops::Range<u64>) {
        wait_until("lines", || {
            let written: std::collections::HashSet<u64> = self.written().into_iter().collect();
            let lost: Vec<u64> =
                of.clone().filter(|i| events(*i) && !written.contains(i)).collect();
            if lost.is_empty() { Ok(()) } else { Err(format!("{lost:?} did not come")) }
        });
    }

    /// Waits until the saved position is at event `i` or later.
    #[track_caller]
    pub fn wait_for_checkpoint(&self, i: u64) {
        let wanted_us = crate::support::FIRST_US + i * 100_000;
        self.wait_for_saved(|saved| saved["time_us"].as_u64() >= Some(wanted_us));
    }

    /// Waits until the saved position is one of this server; returns what is saved.
    #[track_caller]
    pub fn wait_for_checkpoint_of(&self, server: &str) -> Value {
        self.wait_for_saved(|saved| saved["server"] == server)
    }

    #[track_caller]
    fn wait_for_saved(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let state = self.scratch.path("state.db");
        let saved = std::cell::RefCell::new(Value::Null);
        wait_until("a checkpoint", || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
            command.args(["cursors", "show", "c", "--json", "--state"]).arg(&state);
            let shown = command.output().expect("run skytail").stdout;
            let shown: Value = serde_json::from_slice(&shown).unwrap_or_default();
            let (is_wanted, text) = (is_wanted(&shown), shown.to_string());
            saved.replace(shown);
            if is_wanted { Ok(()) } else { Err(text) }
        });
        saved.into_inner()
    }
}

fn recording(scratch: &Scratch, count: u64) -> PathBuf {
    scratch.recording(&(0..count).map(|i| event(i, 0, 100)).collect::<Vec<_>>())
}

/// Repeats the check until it succeeds.
#[track_caller]
pub fn wait_until(what: &str, check: impl Fn() -> Result<(), String>) {
    let patience = Instant::now() + PATIENCE;
    while let Err(problem) = check() {
        assert!(Instant::now() < patience, "no {what}: {problem}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Returns the sum of a metric whose samples begin so.
pub fn sum(page: &str, name: &str) -> u64 {
    let values = page.lines().filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().expect("a number") as u64).sum()
}

/// Waits until the sum of a metric is at least this; returns the page.
#[track_caller]
pub fn wait_for_metric(address: SocketAddr, name: &str, least: u64) -> String {
    get_until(address, "/metrics", |page| sum(&page.body, name) >= least).body
}

/// Fails if an event is there twice.
#[track_caller]
pub fn assert_once(written: &[u64]) {
    let mut sorted = written.to_vec();
    sorted.sort_unstable();
    let twice: Vec<u64> = sorted.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
    assert_eq!(twice, [0; 0], "repeated");
}

/// Fails unless the events of each account are in order.
#[track_caller]
pub fn assert_ordered(written: &[u64]) {
    for account in [0, 1] {
        let own: Vec<u64> = written.iter().copied().filter(|i| (i % 3).min(1) == account).collect();
        assert!(own.is_sorted(), "account {account}: {own:?}");
    }
}
