//! A filter of a file that changes while two servers are compared.

use std::sync::mpsc::RecvTimeoutError;

use super::{event, numbers};
use crate::filter_files::{Watched, has_pong, replace, wait_for};
use crate::history::in_parallel;
use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Hang, Send, Sync, WaitFor};
use crate::support::scripted::{ScriptedServer, Step, texts};
use crate::support::{PATIENCE, Scratch};

/// Where the filter changes: the last event before the second connection of each server.
const CHANGE: u64 = 100;

/// The end of the events.
const END: u64 = 200;

/// Whether event `i` is of the account `did:plc:a`; the others are of `did:plc:b`.
fn is_of_a(i: u64) -> bool {
    i.is_multiple_of(3)
}

/// Returns these events as one of the servers sends them.
fn sent(late_us: u64, first_seq: u64, all: impl Iterator<Item = u64>) -> Vec<String> {
    all.map(|i| event(i, late_us, first_seq)).collect()
}

fn main_sends(all: impl Iterator<Item = u64>) -> Vec<String> {
    sent(0, 100, all)
}

fn witness_sends(all: impl Iterator<Item = u64>) -> Vec<String> {
    sent(300_000, 70_000, all)
}

fn synced(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines)), Sync, Hang]
}

/// Returns the numbers of the events that a run prints, until these are `count`.
fn printed(run: &Watched, count: usize) -> Vec<u64> {
    let line = |_| run.stdout.recv_timeout(PATIENCE).expect("a line");
    numbers(&(0..count).map(line).collect::<Vec<_>>())
}

/// A run with a list of accounts and a witness, whose files change once both have been read.
struct Case {
    scratch: Scratch,
    main: ScriptedServer,
    witness: ScriptedServer,
}

impl Case {
    /// Starts the servers; each has two connections with these events.
    fn new(main: [Vec<String>; 2], witness: [Vec<String>; 2]) -> Self {
        let [main, witness] =
            [main, witness].map(|lines| ScriptedServer::start(lines.map(|lines| synced(&lines))));
        Self { scratch: Scratch::new(), main, witness }
    }

    /// Starts the servers; each sends the second events once it was asked for less.
    fn updated(main: [Vec<String>; 2], witness: [Vec<String>; 2]) -> Self {
        let script = |[first, second]: [Vec<String>; 2]| {
            let sends = [&first, &second].map(|lines| Send(texts(lines)));
            let [first, second] = sends;
            vec![Accept, first, Sync, WaitFor(1), second, Hang]
        };
        let [main, witness] = [main, witness].map(|lines| ScriptedServer::start([script(lines)]));
        Self { scratch: Scratch::new(), main, witness }
    }

    fn list(&self, accounts: &[&str]) -> String {
        let list = self.scratch.path("dids.txt");
        let lines: Vec<String> = accounts.iter().map(|did| format!("did:plc:{did}\n")).collect();
        replace(&list, &lines.concat());
        format!("@{}", list.display())
    }

    fn start(&self, list: &str, more: &[&str]) -> Watched {
        let (witness, window) = (self.witness.host(), ["--witness-window", "1s"]);
        let flags = ["--witness", &*witness, "-d", list, "--from", "oldest", "--cursor", "auto"];
        let state = self.scratch.path("state.db");
        let flags = [&flags[..], &window, more, &["--log-format", "json"]].concat();
        Watched::start(Tail::of(&self.main).state(state).flags(&flags))
    }

    /// Waits until both servers have sent their first events.
    fn wait(&self) {
        for server in [&self.main, &self.witness] {
            wait_for(server, |requests| requests.first().is_some_and(has_pong));
        }
    }

    /// Fails unless the second connections are asked for these accounts.
    fn assert_asked(&self, accounts: &[&str]) {
        for server in [&self.main, &self.witness] {
            let requests = server.requests();
            assert_eq!(requests[1].query("wantedDids"), accounts);
        }
    }
}

/// Waits for the end, and returns the summary.
fn summary(run: Watched) -> serde_json::Value {
    assert_eq!(run.stdout.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    let log: Vec<String> = run.stderr.iter().collect();
    assert_eq!(run.run.finish().code, Some(0), "{log:#?}");
    serde_json::from_str(log.last().expect("a summary")).expect("JSON")
}

/// The witness is behind or ahead of the server in use at the change.
#[test]
fn an_added_account_is_asked_of_both_servers_and_compared_after_the_window() {
    in_parallel(&[90, 108], |witness_at| {
        // The server in use leaves out one event of `a` before the change, and one of each after it.
        let lacks = |i: &u64| [93, 153, 160].contains(i);
        let first = |last: u64| (0..=last).filter(|i| is_of_a(*i));
        let case = Case::new(
            [first(CHANGE).collect::<Vec<_>>(), (CHANGE - 1..END).collect()]
                .map(|all| main_sends(all.into_iter().filter(|i| !lacks(i)))),
            [witness_sends(first(*witness_at)), witness_sends(*witness_at..END)],
        );
        let list = case.list(&["a"]);
        let wanted = |i: &u64| is_of_a(*i) || *i >= CHANGE;
        let total = (0..END).filter(wanted).count();
        let run = case.start(&list, &["-n", &total.to_string()]);
        let before = first(CHANGE).filter(|i| !lacks(i)).count();
        let mut all = printed(&run, before);
        case.wait();
        case.list(&["a", "b"]);
        run.look();
        all.extend(printed(&run, total - before));
        let summary = summary(run);
        all.sort_unstable();
        assert_eq!(all, (0..END).filter(wanted).collect::<Vec<_>>());
        // Nothing else is missing on either server: what one filter wants is not compared.
        let missing = &summary["witness"]["missing"];
        assert_eq!(missing[&case.main.host()], 3, "{summary}");
        assert_eq!(missing[&case.witness.host()], 0, "{summary}");
        case.assert_asked(&["did:plc:a", "did:plc:b"]);
    });
}

/// Returns a case whose list loses `did:plc:b` after [`CHANGE`]. The server in use lacks these
/// events, and the witness has not sent the last events of `b` before the change.
fn with_removed_account(main_lacks: &[u64]) -> Case {
    let lacks = |i: &u64| main_lacks.contains(i);
    Case::updated(
        [(0..=CHANGE), (CHANGE + 1..=END)].map(|all| main_sends(all.filter(|i| !lacks(i)))),
        [(0..=CHANGE - 5), (CHANGE - 4..=END)].map(witness_sends),
    )
}

#[test]
fn a_removed_account_is_missing_on_no_server() {
    let case = with_removed_account(&[93, 153]);
    let list = case.list(&["a", "b"]);
    let wanted = |i: &u64| is_of_a(*i) || *i <= CHANGE;
    let total = (0..=END).filter(wanted).count();
    let run = case.start(&list, &["-n", &total.to_string()]);
    let before = (0..=CHANGE).count() - 1;
    let mut all = printed(&run, before);
    case.wait();
    case.list(&["a"]);
    run.look();
    all.extend(printed(&run, total - before));
    let summary = summary(run);
    let missing = &summary["witness"]["missing"];
    assert_eq!(missing[&case.main.host()], 2, "{summary}");
    assert_eq!(missing[&case.witness.host()], 0, "{summary}");
    all.sort_unstable();
    assert_eq!(all, (0..=END).filter(wanted).collect::<Vec<_>>());
}

#[test]
fn what_waits_for_the_witness_at_a_change_passes_the_old_filter() {
    let case = with_removed_account(&[]);
    let list = case.list(&["a", "b"]);
    // The last events of the recording wait at the end of the run.
    let wanted: Vec<u64> = (0..END - 20).filter(|i| is_of_a(*i) || *i <= CHANGE).collect();
    let run = case.start(&list, &["--witness-hold", "-n", &wanted.len().to_string()]);
    case.wait();
    case.list(&["a"]);
    run.look();
    assert_eq!(printed(&run, wanted.len()), wanted);
    let log = run.says("filter changed");
    assert!(log.contains("1 account removed, 1 in all; it applies after seq 200 "), "{log}");
    let summary = summary(run);
    assert_eq!(summary["witness"]["printed"], 0, "{summary}");
}

#[test]
fn after_a_kill_what_only_the_new_filter_wants_before_the_change_is_no_missing_event() {
    let first = || (0..CHANGE).filter(|i| is_of_a(*i));
    // The server in use leaves out one event of `a`, which is not decided when the run is killed.
    let lacks = |i: &u64| *i == 93;
    let main = main_sends(first().filter(|i| !lacks(i)));
    let again = main_sends((70..=END).filter(|i| !lacks(i)));
    let scripts = |first: &[String], again: &[String]| {
        let silent = vec![Accept, Hang];
        ScriptedServer::start([synced(first), silent, synced(again)])
    };
    let case = Case {
        scratch: Scratch::new(),
        main: scripts(&main, &again),
        witness: scripts(&witness_sends(first()), &witness_sends(70..=END)),
    };
    let list = case.list(&["a"]);
    let mut run = case.start(&list, &["--checkpoint-every", "1h"]);
    let before = printed(&run, main.len());
    case.wait();
    case.list(&["a", "b"]);
    run.look();
    for server in [&case.main, &case.witness] {
        wait_for(server, |requests| requests.get(1).is_some_and(|r| !r.head.is_empty()));
    }
    run.run.child.kill().unwrap();
    run.run.child.wait().unwrap();
    let wanted: Vec<u64> = (0..=END).filter(|i| is_of_a(*i) || *i >= CHANGE).collect();
    let rest = (wanted.len() - before.len()).to_string();
    let run = case.start(&list, &["-n", &rest]);
    let mut all = [before, printed(&run, rest.parse().unwrap())].concat();
    let summary = summary(run);
    all.sort_unstable();
    assert_eq!(all, wanted);
    assert_eq!(summary["witness"]["missing"][&case.main.host()], 1, "{summary}");
}
