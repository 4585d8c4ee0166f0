//! Kills, hostile witnesses, and what a comparison can't be combined with.

use super::*;
use std::time::{Duration, Instant};

use crate::support::PATIENCE;
use crate::support::scripted::Step::Pause;

/// Returns the flags of runs that continue each other.
fn resumed(scratch: &Scratch, main: &ScriptedServer, witness: &ScriptedServer) -> Tail {
    witnessed(main, witness).state(scratch.path("state.db")).flags(&[
        "--consumer",
        "c",
        "--cursor",
        "auto",
        "--from",
        "oldest",
        "--checkpoint-events",
        "50",
    ])
}

fn wait_until(condition: impl Fn() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < patience, "waited too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

// Guards INV-1.
#[test]
fn a_killed_run_loses_nothing_that_was_undecided() {
    let scratch = Scratch::new();
    let out = scratch.path("events.ndjson");
    let file = out.to_str().unwrap();
    // The first run ends after half of the events: the servers have no more then.
    let first = |lines: Vec<String>| -> Vec<Step> {
        let half = lines.len() / 2;
        stay(&lines[..half])
    };
    let all = main_events(|i| !main_lacks(i));
    let seen = witness_events(|i| !witness_lacks(i));
    let main = ScriptedServer::start([first(all.clone()), stay(&all)]);
    let witness = ScriptedServer::start([first(seen.clone()), stay(&seen)]);
    let mut killed = resumed(&scratch, &main, &witness)
        .flags(&["-o", file, "--checkpoint-every", "50ms"])
        .start();
    // Late ones have come, and the last second is undecided.
    wait_until(|| {
        let text = std::fs::read_to_string(&out).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let found = numbers(&lines);
        found.contains(&273) && found.contains(&290)
    });
    killed.child.kill().unwrap();
    drop(killed);
    let until = format!("{}", FIRST_US + 585 * 100_000);
    let run = resumed(&scratch, &main, &witness).flags(&["-o", file, "--until", &until]).run();
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let text = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let found = numbers(&lines);
    let known: HashSet<u64> = found.iter().copied().collect();
    let lost: Vec<u64> = (0..585).filter(|i| !known.contains(i)).collect();
    assert_eq!((lost, found.len() - known.len()), (vec![], 0), "(lost, repeated)");
}

#[test]
fn a_witness_that_invents_times_can_not_move_the_run() {
    let main = ScriptedServer::start([stay(&main_events(|i| !main_lacks(i)))]);
    let mut lines = witness_events(|_| true);
    // Invented events of next year, of long ago, and a line that is not JSON.
    let year = 31_536_000_000_000;
    lines.insert(100, event(9_001, year, 70_000));
    lines.insert(200, event(9_002, 0, 70_000).replace("\"time_us\":1783", "\"time_us\":1683"));
    lines.insert(300, "{\"did\":".to_owned());
    let witness = ScriptedServer::start([stay(&lines)]);
    let run = witnessed(&main, &witness).flags(&["--cursor", "oldest", "-n", "602"]).run();
    run.ends_with(0);
    let found = numbers(&run.lines);
    let known: HashSet<u64> = found.iter().copied().collect();
    // The two inventions are printed, each once, as any event that only one server has.
    assert_eq!((found.len(), known.len()), (602, 602));
    assert!((0..EVENTS).all(|i| known.contains(&i)));
}

#[test]
fn a_witness_that_reconnects_repeats_nothing() {
    let main = ScriptedServer::start([vec![
        Accept,
        Send(texts(main_events(|i| i < 300 && !main_lacks(i)))),
        Pause(Duration::from_millis(300)),
        Send(texts(main_events(|i| i >= 300 && !main_lacks(i)))),
        Hang,
    ]]);
    let cut = |lines: &[String]| vec![Accept, Send(texts(lines))];
    let half = cut(&witness_events(|i| i < 200 && !witness_lacks(i)));
    let witness = ScriptedServer::start([half, stay(&witness_events(|i| !witness_lacks(i)))]);
    let run = witnessed(&main, &witness).flags(&["--cursor", "oldest", "-n", "600"]).run();
    run.ends_with(0);
    assert_complete(&run.lines);
}

#[test]
fn what_can_not_be_compared_is_refused() {
    let refused = |flags: &[&str], words: &str| {
        let run = Tail::of_host("h.example").flags(flags).run();
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    };
    refused(&["--witness", "h.example"], "no witness of itself");
    refused(&["--witness", "w.example", "--when-full", "drop-oldest"], "count as missing");
    refused(&["--witness", "w.example", "--witness-window", "1h"], "from 1s to 10m");
    refused(&["--witness-only", "report"], "name one with --witness HOST");
}
