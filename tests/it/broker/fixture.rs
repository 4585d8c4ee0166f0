//! A recording, a server for it, and runs that publish it.
#![allow(dead_code)]

use crate::support::tail::{Ended, TailProcess, tail};
use crate::support::{FIRST_US, Scratch, ServeProcess};

/// The recording, its server and the state file of a test; the broker is separate.
pub struct Fixture {
    pub scratch: Scratch,
    pub recorded: Vec<String>,
    server: ServeProcess,
}

impl Fixture {
    /// Makes a recording of `count` events of a hundred accounts.
    pub fn new(count: u64) -> Self {
        let scratch = Scratch::new();
        let recorded: Vec<String> = (0..count).map(event).collect();
        let server = ServeProcess::start(&scratch.recording(&recorded), &[]);
        Self { scratch, recorded, server }
    }

    /// Returns the flags of a run that resumes the last one and ends with the recording.
    fn flags(&self, to: &str, more: &[&str]) -> Vec<String> {
        let host = self.server.address.to_string();
        let mut flags = vec!["--host", &host, "--exit-when-live", "--rewind", "1s", "--to", to];
        for pair in [["--cursor", "auto"], ["--consumer", "c"], ["--checkpoint-every", "20ms"]] {
            if !more.contains(&pair[0]) {
                flags.extend(pair);
            }
        }
        flags.extend(more);
        flags.into_iter().map(str::to_owned).collect()
    }

    pub fn start(&self, to: &str, more: &[&str]) -> TailProcess {
        let flags = self.flags(to, more);
        let flags: Vec<&str> = flags.iter().map(|flag| &**flag).collect();
        TailProcess::start(&self.scratch.path(""), &flags)
    }

    /// Runs to the end of the recording.
    pub fn run(&self, to: &str, more: &[&str]) -> Ended {
        let flags = self.flags(to, more);
        let flags: Vec<&str> = flags.iter().map(|flag| &**flag).collect();
        tail(&self.scratch.path(""), &flags)
    }

    /// Sets the cursor of the first run to the oldest event.
    pub fn begin_at_oldest(&self) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
        crate::support::isolate_environment(&mut command, &self.scratch.path(""));
        let state = self.scratch.path("state.db");
        command.args(["cursors", "set", "c", &FIRST_US.to_string(), "--state"]).arg(state);
        assert!(command.output().unwrap().status.success());
    }

    /// Fails unless these are the recording: each event once, in order.
    #[track_caller]
    pub fn assert_is_the_recording(&self, found: &[String]) {
        let differs =
            found.iter().zip(&self.recorded).position(|(found, recorded)| found != recorded);
        assert_eq!(differs, None, "event {differs:?} is another one");
        assert_eq!(found.len(), self.recorded.len());
    }

    /// Fails unless these are the events of the recording, each once, and each account's in order.
    #[track_caller]
    pub fn assert_keeps_accounts_in_order(&self, partitions: &[Vec<String>]) {
        let mut places = std::collections::HashMap::new();
        for (place, line) in self.recorded.iter().enumerate() {
            places.insert(&**line, (place, account(line)));
        }
        let mut newest = std::collections::HashMap::new();
        let mut count = 0;
        for (partition, lines) in partitions.iter().enumerate() {
            for line in lines {
                let (place, account) = places.remove(&**line).expect("an event that is there once");
                let before = newest.insert(account, (partition, place));
                let is_behind = before.is_none_or(|(p, before)| p == partition && before < place);
                assert!(is_behind, "{account}: {before:?}, then {place} in {partition}");
                count += 1;
            }
        }
        assert_eq!(count, self.recorded.len());
    }
}

fn account(line: &str) -> &str {
    line.split('"').nth(3).unwrap()
}

fn event(i: u64) -> String {
    let (time_us, cursor, account) = (FIRST_US + i * 1_000, 5_000 + i, i * i % 101);
    let text = "x".repeat((i % 400) as usize);
    format!(
        r#"{{"did":"did:plc:a{account}","time_us":{time_us},"cursor":{cursor},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}","record":{{"$type":"app.bsky.feed.post","text":"{text}"}},"cid":"bafyrei{i}"}}}}"#
    )
}
