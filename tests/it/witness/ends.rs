//! Reconnects, hostile witnesses, and what a comparison can't be combined with.

use super::*;
use std::time::Duration;

use crate::support::scripted::Step::Pause;

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
    refused(&["--witness-leave", "1%"], "name one with --witness HOST");
    refused(&["--witness", "w.example", "--cursor", "123456"], "means nothing on the witness");
    let leave = ["--witness", "w.example", "--witness-leave"];
    refused(&[&leave[..], &["0%"]].concat(), "from 0.0001% to 100%");
    let report = [&leave[..], &["1%", "--witness-only", "report"]].concat();
    refused(&report, "prints none of them");
}
