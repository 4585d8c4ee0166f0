//! Filters of files that change while a run is active: what is printed before and after the change,
//! what the server is asked for, and what a kill after it leaves.

mod names;
#[cfg(unix)]
mod outputs;
mod refused;
#[cfg(unix)]
mod servers;

use std::io::{BufRead as _, BufReader, Read};
use std::marker;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Instant;

use crate::support::run::{Started, Tail};
use crate::support::scripted::Step::{Accept, Hang, Send, Sync, WaitFor};
use crate::support::scripted::{ReceivedRequest, ScriptedServer, Step, texts};
use crate::support::{FIRST_US, PATIENCE, Scratch, signal};

/// Returns a post of `did:plc:ACCOUNT`.
fn post(account: &str, n: u64, has_seq: bool) -> String {
    record(account, "app.bsky.feed.post", n, has_seq)
}

fn record(account: &str, collection: &str, n: u64, has_seq: bool) -> String {
    let time = FIRST_US + n * 1_000;
    let cursor = if has_seq { format!(r#","cursor":{n}"#) } else { String::new() };
    format!(
        r#"{{"did":"did:plc:{account}","time_us":{time}{cursor},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"{collection}","rkey":"{n}"}}}}"#
    )
}

/// A run whose output and log are read line by line.
pub struct Watched {
    pub run: Started,
    pub stdout: Receiver<String>,
    pub stderr: Receiver<String>,
}

/// Returns the lines of a stream as they come.
fn lines_of(stream: impl Read + marker::Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if sender.send(line.expect("a line")).is_err() {
                return;
            }
        }
    });
    lines
}

impl Watched {
    pub fn start(tail: Tail) -> Self {
        let mut run = tail.start();
        let stdout = lines_of(run.child.stdout.take().unwrap());
        let stderr = lines_of(run.child.stderr.take().unwrap());
        Self { run, stdout, stderr }
    }

    #[track_caller]
    pub fn prints<T: AsRef<str>>(&self, lines: &[T]) {
        for line in lines {
            assert_eq!(self.stdout.recv_timeout(PATIENCE).as_deref(), Ok(line.as_ref()));
        }
    }

    /// Reads the log up to a line with these words, and returns that line.
    #[track_caller]
    pub fn says(&self, words: &str) -> String {
        let mut before = Vec::new();
        while let Ok(line) = self.stderr.recv_timeout(PATIENCE) {
            if line.contains(words) {
                return line;
            }
            before.push(line);
        }
        panic!("{words:?} is not in {before:#?}");
    }

    /// Asks for a look at the files; other systems look within a second.
    pub fn look(&self) {
        if cfg!(unix) {
            signal(self.run.child.id(), "USR2");
        }
    }

    /// Waits for the end, and checks that nothing more was printed.
    #[track_caller]
    pub fn ends(self) {
        let Self { run, stdout, stderr } = self;
        assert_eq!(stdout.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
        assert_eq!(run.finish().code, Some(0));
        for line in stderr {
            assert!(!line.contains("gap"), "{line}");
        }
    }
}

/// Writes a list. No reader sees a part of it.
pub fn replace(list: &Path, text: &str) {
    let new = list.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, list).unwrap();
}

/// Waits until the server has what `is_there` looks for.
pub fn wait_for(server: &ScriptedServer, is_there: impl Fn(&[ReceivedRequest]) -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !is_there(&server.requests()) {
        assert!(Instant::now() < patience, "{:#?}", server.requests());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

/// Stays connected after `lines`.
fn stay(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines)), Hang]
}

/// Stays connected after `lines`, and knows when the client has read them.
fn stay_synced(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines)), Sync, Hang]
}

pub fn has_pong(request: &ReceivedRequest) -> bool {
    request.frames.iter().any(|(opcode, _)| *opcode == 10)
}

// Guards INV-11.
#[test]
fn an_added_account_is_read_from_the_position_of_the_change() {
    // The server sends b102 although it was not asked for b, so that b102 is the position.
    let before = [post("a", 100, true), post("a", 101, true), post("b", 102, true)];
    let after = [post("b", 102, true), post("a", 103, true), post("b", 104, true)];
    let server = ScriptedServer::start([stay_synced(&before), stay(&after)]);
    let scratch = Scratch::new();
    let list = scratch.path("dids.txt");
    replace(&list, "did:plc:a\n");
    let at = format!("@{}", list.display());
    let run = Watched::start(Tail::of(&server).flags(&["-d", &at, "-n", "4"]));
    run.prints(&before[..2]);
    wait_for(&server, |requests| has_pong(&requests[0]));
    replace(&list, "did:plc:a\n# a friend\ndid:plc:b\n");
    run.look();
    let line = run.says("filter changed");
    assert!(line.contains("1 account added, 2 in all; it applies after seq 102 at "), "{line}");
    run.prints(&after[1..]);
    run.ends();
    let requests = server.requests();
    assert_eq!(requests[0].query("wantedDids"), ["did:plc:a"]);
    assert_eq!(requests[1].query("wantedDids"), ["did:plc:a", "did:plc:b"]);
    assert_eq!(requests[1].query("cursor"), ["102"]);
}

#[test]
fn a_removed_account_needs_no_other_connection_on_v1() {
    let before = [post("a", 100, true), post("b", 101, true)];
    // The server has not obeyed yet.
    let after = [post("b", 102, true), record("a", "x.y.z", 103, true), post("a", 104, true)];
    let script = vec![Accept, Send(texts(&before)), WaitFor(1), Send(texts(&after)), Hang];
    let server = ScriptedServer::start([script]);
    let scratch = Scratch::new();
    let (list, excluded) = (scratch.path("dids.txt"), scratch.path("excluded.txt"));
    replace(&list, "did:plc:a\ndid:plc:b\n");
    replace(&excluded, "q.r.s\n");
    let [at, excluded_at] = [&list, &excluded].map(|path| format!("@{}", path.display()));
    let flags = ["-d", &at, "--exclude", &excluded_at, "-n", "3"];
    let run = Watched::start(Tail::of(&server).flags(&flags));
    run.prints(&before);
    replace(&excluded, "x.y.*\n");
    run.look();
    run.says("filter changed: ");
    replace(&list, "did:plc:a\n");
    run.look();
    run.prints(&after[2..]);
    run.says("1 account removed, 1 in all");
    run.ends();
    let request = server.requests().remove(0);
    let update = &request.frames.iter().find(|(opcode, _)| *opcode == 1).unwrap().1;
    assert_eq!(
        std::str::from_utf8(update).unwrap(),
        r#"{"type":"options_update","payload":{"wantedCollections":[],"wantedDids":["did:plc:a"],"maxMessageSizeBytes":0}}"#
    );
}

#[test]
fn on_a_legacy_server_the_replay_prints_what_was_added_after_the_change() {
    let before = [post("a", 100, false), post("a", 110, false)];
    // A replay from the rewind margin: b105 lies before the change.
    let after = [
        post("a", 100, false),
        post("b", 105, false),
        post("a", 110, false),
        post("b", 115, false),
        post("a", 120, false),
    ];
    let server = ScriptedServer::start([stay(&before), stay(&after)]);
    let scratch = Scratch::new();
    let list = scratch.path("dids.txt");
    replace(&list, "did:plc:a\n");
    let at = format!("@{}", list.display());
    let flags = ["-d", &at, "-n", "4", "--join", "single"];
    let run = Watched::start(Tail::of(&server).flags(&flags));
    run.prints(&before);
    replace(&list, "did:plc:b\ndid:plc:a\n");
    run.look();
    run.prints(&after[3..]);
    run.ends();
}

// Guards INV-11.
#[test]
fn a_kill_after_a_change_resumes_at_its_position() {
    let before = [post("a", 100, true), post("b", 101, true)];
    let after = [post("b", 101, true), post("b", 102, true)];
    let silent = vec![Accept, Hang];
    let server = ScriptedServer::start([stay_synced(&before), silent, stay(&after)]);
    let scratch = Scratch::new();
    let list = scratch.path("dids.txt");
    replace(&list, "did:plc:a\n");
    let at = format!("@{}", list.display());
    let tail = || {
        let flags = ["-d", &at, "--consumer", "c", "--cursor", "auto", "--checkpoint-every", "1h"];
        Tail::of(&server).state(scratch.path("state.db")).flags(&flags)
    };
    let mut run = Watched::start(tail());
    run.prints(&before[..1]);
    wait_for(&server, |requests| has_pong(&requests[0]));
    replace(&list, "did:plc:a\ndid:plc:b\n");
    run.look();
    run.says("it applies after seq 101");
    wait_for(&server, |requests| requests.len() == 2 && !requests[1].head.is_empty());
    run.run.child.kill().unwrap();
    run.run.child.wait().unwrap();
    let run = Watched::start(tail().flags(&["-n", "1"]));
    run.prints(&after[1..]);
    run.ends();
    assert_eq!(server.requests().last().unwrap().query("cursor"), ["101"]);
}
