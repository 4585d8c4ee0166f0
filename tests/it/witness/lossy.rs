//! Two lossy servers: what is counted, what is printed where, and what happens without a witness.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::pair::{
    MAIN_LACKS, Pair, WITNESS_LACKS, assert_once, assert_ordered, main_lacks, sum, wait_for_metric,
    witness_lacks,
};
use super::*;
use crate::operate::{MonitoredTail, get_until};
use crate::support::{Scratch, ServeProcess};
use serde_json::Value;

/// Returns how many of these events one server lacks.
fn count(lacks: fn(u64) -> bool, of: std::ops::Range<u64>) -> u64 {
    of.filter(|i| lacks(*i)).count() as u64
}

/// Returns the beginning of the samples of what a server lacks.
fn lacks_of(host: &str) -> String {
    format!("skytail_missing_events_total{{server=\"{host}\"")
}

/// Stops a tail, and returns the part of its summary about the witness.
fn stop(tail: MonitoredTail) -> Value {
    tail.signal("TERM");
    let summary = tail.says(r#""message":"summary""#);
    tail.ends();
    serde_json::from_str::<Value>(&summary).unwrap()["witness"].take()
}

#[test]
fn a_report_counts_what_only_the_witness_has_and_prints_nothing_of_it() {
    let pair = Pair::start(300, MAIN_LACKS, WITNESS_LACKS);
    let tail = pair.tail(&["--witness-window", "5s", "--witness-only", "report"]);
    let address = tail.metrics_address();
    let (main, witness) = (pair.main_host(), pair.witness.address.to_string());
    // The first and the last window, of fifty events each, are not compared.
    let of_main = count(main_lacks, 70..240);
    let page = wait_for_metric(address, &lacks_of(&main), of_main);
    wait_for_metric(address, &lacks_of(&witness), count(witness_lacks, 70..240));
    assert_eq!(sum(&page, "skytail_witness_printed_events_total"), 0);
    assert_eq!(sum(&page, "skytail_witness_connected"), 1);
    tail.says("they are not printed");
    let summary = stop(tail);
    assert_eq!(summary["printed"], 0);
    let counted = summary["missing"][&main].as_u64().unwrap();
    assert!((of_main..=count(main_lacks, 0..300)).contains(&counted), "{summary}");
    let own: Vec<u64> = (0..300).filter(|i| !main_lacks(*i)).collect();
    assert_eq!(pair.written(), own);
}

/// Starts a server that sends these lines, the last ones when the gate is open.
fn gated(first: &[String], last: &[String]) -> (ScriptedServer, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let (first, last) = (Send(texts(first)), Send(texts(last)));
    let script = vec![Accept, first, Step::Gate(Arc::clone(&gate)), last, Hang];
    (ScriptedServer::start([script]), gate)
}

// Guards INV-4.
#[test]
fn output_that_waits_has_each_account_in_order_and_is_written_at_a_stop() {
    let scratch = Scratch::new();
    let all: Vec<String> = main_events(|_| true);
    let witness = ServeProcess::start(&scratch.recording(&all), &["--chaos", WITNESS_LACKS]);
    let lines = main_events(|i| !main_lacks(i));
    // The server in use waits until the witness has sent everything: nothing is late.
    let (main, gate) = gated(&lines[..20], &lines[20..]);
    let tail = hold(&scratch, &main, &witness);
    let address = tail.metrics_address();
    get_until(address, "/metrics", |page| {
        let newest = sum(&page.body, "skytail_witness_last_event_timestamp_seconds");
        newest >= (FIRST_US + (EVENTS - 5) * 100_000) / 1_000_000
    });
    gate.store(true, Ordering::SeqCst);
    // It is known what is missing before the last window, and another half of one waits.
    wait_for_metric(address, &lacks_of(&main.host()), count(main_lacks, 40..EVENTS - 25));
    let held = |page: &str| sum(page, "skytail_witness_held_events");
    let page = get_until(address, "/metrics", |page| (15..40).contains(&held(&page.body))).body;
    assert!(sum(&page, "skytail_witness_held_bytes") > 3_000, "{page}");
    // What waits has come all the same.
    assert_eq!(sum(&page, "skytail_received_events_total"), lines.len() as u64);
    let newest = sum(&page, "skytail_last_event_timestamp_seconds");
    assert!(newest >= (FIRST_US + (EVENTS - 5) * 100_000) / 1_000_000, "{page}");
    let printed = stop(tail)["printed"].as_u64().unwrap();
    let written = written(&scratch);
    assert_eq!(written.len() as u64, lines.len() as u64 + printed);
    assert_once(&written);
    assert_ordered(&written);
    let lost = |i: &u64| !written.contains(i);
    assert_eq!((40..EVENTS - 25).filter(lost).collect::<Vec<_>>(), [0; 0], "lost");
}

/// Starts a tail whose output waits for the witness.
fn hold(scratch: &Scratch, main: &ScriptedServer, witness: &ServeProcess) -> MonitoredTail {
    let (out, witness) = (scratch.path("merged.ndjson"), witness.address.to_string());
    let flags = [
        ["--witness", &witness, "--witness-window", "2s"],
        ["--protocol", "v1", "--archive", "off"],
        ["--cursor", "oldest", "--metrics-listen", "0"],
        ["--log-format", "json", "-o", out.to_str().unwrap()],
    ]
    .concat();
    let flags = [&flags[..], &["--witness-hold", "-v"]].concat();
    MonitoredTail::start_in(&scratch.path("."), &main.host(), &flags, |_| {})
}

#[test]
fn without_a_witness_that_answers_the_run_warns_and_goes_on() {
    let lines = main_events(|_| true);
    let (main, gate) = gated(&lines[..300], &lines[300..]);
    let scratch = Scratch::new();
    let out = scratch.path("merged.ndjson");
    // Nothing listens on port 1.
    let flags = ["--witness", "127.0.0.1:1", "--protocol", "v1", "--archive", "off", "-n", "600"];
    let rest = ["--cursor", "oldest", "--metrics-listen", "0", "-v", "-o", out.to_str().unwrap()];
    let flags = [&flags[..], &rest].concat();
    let tail = MonitoredTail::start_in(&scratch.path("."), &main.host(), &flags, |_| {});
    let address = tail.metrics_address();
    let warning = tail.says("the witness can't be reached: 127.0.0.1:1");
    assert!(warning.contains("the run continues, and nothing is compared"), "{warning}");
    let lines_written = "skytail_events_total{outcome=\"written\"}";
    let page = wait_for_metric(address, lines_written, 300);
    assert_eq!(sum(&page, "skytail_witness_connected"), 0);
    assert_eq!(sum(&page, "skytail_connected"), 1);
    gate.store(true, Ordering::SeqCst);
    tail.ends();
    assert_eq!(written(&scratch), (0..EVENTS).collect::<Vec<_>>());
}

/// Returns the numbers of the events in the file of a run that has ended.
fn written(scratch: &Scratch) -> Vec<u64> {
    let text = std::fs::read_to_string(scratch.path("merged.ndjson")).unwrap();
    numbers(&text.lines().map(str::to_owned).collect::<Vec<_>>())
}
