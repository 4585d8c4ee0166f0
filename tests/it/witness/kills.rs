//! A run with `--witness` is killed while events are undecided, and resumed.

use super::pair::{
    MAIN_LACKS, Pair, WITNESS_LACKS, assert_once, main_lacks, wait_for_metric, witness_lacks,
};
use crate::support::FIRST_US;

/// The events of the servers before the kill, 30 seconds, and after it.
const BEFORE: u64 = 300;
const AFTER: u64 = 500;

/// Five seconds: fifty events, of which the first and the last are not compared. The servers' clocks
/// differ by up to two seconds.
const WINDOW: [&str; 2] = ["--witness-window", "5s"];
const UNDECIDED: u64 = 75;

/// Returns whether the output must have an event.
fn is_wanted(i: u64, end: u64) -> bool {
    !main_lacks(i) || is_decided(i, end)
}

/// Returns whether an event is between what is not compared.
fn is_decided(i: u64, end: u64) -> bool {
    (UNDECIDED..end - UNDECIDED).contains(&i)
}

fn pair() -> Pair {
    let [main, witness] = [(MAIN_LACKS, 1), (WITNESS_LACKS, 2)]
        .map(|(lacks, instance)| format!("{lacks},instance={instance}"));
    Pair::start(BEFORE, &main, &witness)
}

/// Resumes after a kill, until all events have come, and checks that each came once.
fn resume(pair: Pair, flags: &[&str]) {
    let pair = pair.restart(AFTER);
    let tail = pair.tail(&[&WINDOW, flags].concat());
    // With --witness-hold the rest waits.
    pair.wait_for(|i| is_wanted(i, AFTER), 0..AFTER - 2 * UNDECIDED);
    tail.signal("TERM");
    tail.ends();
    let written = pair.written();
    assert_once(&written);
    let is_lost = |i: &u64| is_wanted(*i, AFTER) && !written.contains(i);
    let lost: Vec<u64> = (0..AFTER - 2 * UNDECIDED).filter(is_lost).collect();
    assert_eq!(lost, [0; 0], "lost");
    // A run after a stop has nothing to add to it.
    let tail = pair.tail(&[&WINDOW, flags].concat());
    let newest = "skytail_witness_last_event_timestamp_seconds";
    wait_for_metric(tail.metrics_address(), newest, FIRST_US / 1_000_000 + AFTER / 10 - 5);
    tail.signal("TERM");
    tail.ends();
    let late = |i: &u64| !written.contains(i) && *i < AFTER - 2 * UNDECIDED;
    let again = pair.written();
    assert_once(&again);
    assert_eq!(again.iter().copied().filter(late).collect::<Vec<_>>(), [0; 0], "late");
}

// Guards INV-1.
#[test]
fn what_was_undecided_at_a_kill_is_decided_by_the_next_run() {
    let pair = pair();
    let tail = pair.tail(&WINDOW);
    pair.wait_for(|i| is_wanted(i, BEFORE), 0..BEFORE);
    pair.wait_for_checkpoint(BEFORE - 15);
    tail.signal("KILL");
    drop(tail);
    resume(pair, &[]);
}

// Guards INV-1.
#[test]
fn output_that_waited_at_a_kill_is_written_by_the_next_run() {
    let pair = pair();
    let tail = pair.tail(&[&WINDOW[..], &["--witness-hold"]].concat());
    // One and a half windows wait.
    pair.wait_for(|i| is_wanted(i, BEFORE), 0..BEFORE - 2 * UNDECIDED);
    pair.wait_for_checkpoint(BEFORE - 2 * UNDECIDED);
    tail.signal("KILL");
    drop(tail);
    assert!(pair.written().iter().all(|i| *i < BEFORE - 50), "nothing waited");
    resume(pair, &["--witness-hold"]);
}

// Guards INV-1.
#[test]
fn what_a_killed_run_could_not_compare_is_compared_by_the_next_run() {
    let pair = pair();
    // Nothing listens on port 1.
    let tail = pair.tail_with("127.0.0.1:1", &WINDOW);
    pair.wait_for(|i| !main_lacks(i), 0..BEFORE);
    pair.wait_for_checkpoint(BEFORE - 15);
    tail.signal("KILL");
    drop(tail);
    assert!(!pair.written().iter().any(|i| main_lacks(*i)));
    assert!(pair.written().iter().any(|i| witness_lacks(*i)));
    resume(pair, &[]);
}
