//! `--witness`: two servers that each leave out events have all of them between them, each once.

mod ends;
mod filters;
mod kills;
mod leaves;
mod lossy;
mod pair;

use std::collections::{HashMap, HashSet};

use crate::support::FIRST_US;
use crate::support::run::Tail;
use crate::support::scripted::Step::{Accept, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, texts};

/// The events of a test, 100 ms apart: a minute of event time.
const EVENTS: u64 = 600;

/// Event `i`, as a server has it that is `late_us` behind and numbers its events from `first_seq`.
fn event(i: u64, late_us: u64, first_seq: u64) -> String {
    let (did, collection) = match i % 3 {
        0 => ("did:plc:a", "app.bsky.feed.like"),
        _ => ("did:plc:b", "app.bsky.feed.post"),
    };
    let time_us = FIRST_US + i * 100_000 + late_us;
    let cursor = match first_seq {
        0 => String::new(),
        first => format!(r#","cursor":{}"#, first + i),
    };
    format!(
        r#"{{"did":"{did}","time_us":{time_us}{cursor},"kind":"commit","commit":{{"rev":"3mptbyp{i:06}","operation":"create","collection":"{collection}","rkey":"{i}"}}}}"#
    )
}

/// The events of the server in use.
fn main_events(keep: impl Fn(u64) -> bool) -> Vec<String> {
    (0..EVENTS).filter(|i| keep(*i)).map(|i| event(i, 0, 100)).collect()
}

/// The events of the witness: the same ones with other times and numbers.
fn witness_events(keep: impl Fn(u64) -> bool) -> Vec<String> {
    (0..EVENTS).filter(|i| keep(*i)).map(|i| event(i, 300_000, 70_000)).collect()
}

fn stay(lines: &[String]) -> Vec<Step> {
    vec![Accept, Send(texts(lines)), Hang]
}

/// Returns the number of each line's event.
fn numbers(lines: &[String]) -> Vec<u64> {
    let number = |line: &String| {
        let rkey = line.split_once(r#""rkey":""#).expect("a record key").1;
        rkey.split('"').next().unwrap().parse().expect("a number")
    };
    lines.iter().map(number).collect()
}

/// Fails unless each event is there once.
fn assert_complete(lines: &[String]) {
    let found = numbers(lines);
    let known: HashSet<u64> = found.iter().copied().collect();
    let lost: Vec<u64> = (0..EVENTS).filter(|i| !known.contains(i)).collect();
    assert_eq!((lost, found.len() - known.len()), (vec![], 0), "(lost, repeated)");
}

/// Returns a tail of `main` with this witness and a window of one second.
fn witnessed(main: &ScriptedServer, witness: &ScriptedServer) -> Tail {
    Tail::of(main).flags(&["--witness", &witness.host(), "--witness-window", "1s"])
}

/// Left out by one server, and not by the other; none at the start and at the end of the run,
/// where nothing is decided.
fn is_compared(i: u64) -> bool {
    (20..EVENTS - 20).contains(&i)
}

fn main_lacks(i: u64) -> bool {
    is_compared(i) && i.is_multiple_of(7)
}

fn witness_lacks(i: u64) -> bool {
    is_compared(i) && i % 7 == 3
}

#[test]
fn two_servers_that_leave_out_events_have_all_of_them_between_them() {
    let main = ScriptedServer::start([stay(&main_events(|i| !main_lacks(i)))]);
    let witness = ScriptedServer::start([stay(&witness_events(|i| !witness_lacks(i)))]);
    let run = witnessed(&main, &witness)
        .flags(&["--cursor", "oldest", "-n", "600", "--log-format", "json"])
        .run();
    run.ends_with(0);
    assert_complete(&run.lines);
    // What the server in use has keeps its order, and what only the witness has comes later.
    let found = numbers(&run.lines);
    let own: Vec<u64> = found.iter().copied().filter(|i| !main_lacks(*i)).collect();
    assert!(own.is_sorted(), "{own:?}");
    let place: HashMap<u64, usize> = found.iter().enumerate().map(|(at, i)| (*i, at)).collect();
    for i in (0..EVENTS).filter(|i| main_lacks(*i)) {
        assert!(place[&i] > place[&(i + 1)], "{i} came before a later event");
    }
    let lacking = (0..EVENTS).filter(|i| main_lacks(*i)).count();
    assert!(run.stderr.contains(&format!(r#""printed":{lacking}"#)), "{}", run.stderr);
    let of_main = format!(r#""{}":{lacking}"#, main.host());
    assert!(run.stderr.contains(&of_main), "{of_main} is not in {}", run.stderr);
    // A server that lacks nothing is not accused.
    assert!(run.stderr.contains("did not send events that"), "{}", run.stderr);
}

#[test]
fn a_witness_of_the_other_protocol_is_compared() {
    let main = ScriptedServer::start([stay(&main_events(|i| !main_lacks(i)))]);
    // A legacy server, whose events have no number.
    let lines: Vec<String> = (0..EVENTS).map(|i| event(i, 300_000, 0)).collect();
    let witness = ScriptedServer::start([stay(&lines)]);
    let run = witnessed(&main, &witness)
        .flags(&["--cursor", "oldest", "--join", "single", "-n", "600"])
        .run();
    run.ends_with(0);
    assert_complete(&run.lines);
}
