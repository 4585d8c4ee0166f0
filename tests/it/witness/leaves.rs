//! `--witness-leave`: a server that lacks too many events is left for the witness.

use std::time::Duration;

use super::pair::{
    MAIN_LACKS, Pair, WITNESS_LACKS, assert_once, main_lacks, sum, wait_for_metric, wait_until,
    witness_lacks,
};
use super::{main_events, numbers, witness_events};
use crate::operate::MonitoredTail;
use crate::support::scripted::ScriptedServer;
use crate::support::scripted::Step::{Accept, OnlyPongs};
use crate::support::{FIRST_US, Scratch, ServeProcess};

/// A window of fifty events.
const FLAGS: [&str; 4] = ["--witness-window", "5s", "--witness-leave", "10%"];
/// The server in use lacks a third of the events.
const BLIND: &str = "blind=app.bsky.feed.like";
const EVENTS: u64 = 300;

fn is_like(i: u64) -> bool {
    i.is_multiple_of(3)
}

/// Waits until the witness's newest event has come.
fn wait_for_witness(address: std::net::SocketAddr) {
    let newest = "skytail_witness_last_event_timestamp_seconds";
    wait_for_metric(address, newest, FIRST_US / 1_000_000 + EVENTS / 10 - 5);
}

#[test]
fn a_server_that_lacks_too_much_is_left_and_what_was_not_compared_is_a_gap() {
    let pair = Pair::start(EVENTS, BLIND, "seed=0");
    let tail = pair.tail(&FLAGS);
    let address = tail.metrics_address();
    let (main, witness) = (pair.main_host(), pair.witness.address.to_string());
    let warning = tail.says("as --witness-leave asks");
    assert!(warning.contains(&format!("{main} did not send 1")), "{warning}");
    assert!(warning.contains(&format!("leaving it for {witness}")), "{warning}");
    tail.says(&format!("{main} lacks events, and was not compared there"));
    // The events of the first window are not compared. From the next whole one on all are there.
    pair.wait_for(|i| !is_like(i) || i >= 100, 0..EVENTS);
    let page = wait_for_metric(address, "skytail_witness_leaves_total", 1);
    assert_eq!(sum(&page, "skytail_gaps_total"), 1, "{page}");
    // The position is one of the other server now.
    let shown = pair.wait_for_checkpoint_of(&witness);
    tail.signal("TERM");
    let summary = tail.says(r#""message":"summary""#);
    assert!(summary.contains(r#""left":1"#), "{summary}");
    tail.ends();
    assert_once(&pair.written());
    let gaps = shown["gaps"].as_array().unwrap();
    let (from, to) = (gaps[0]["from_us"].as_u64(), gaps[0]["to_us"].as_u64());
    let (from, to) = (from.unwrap() - FIRST_US, to.unwrap() - FIRST_US);
    assert!(
        gaps.len() == 1 && from < 2_000_000 && (5_000_000..=12_000_000).contains(&to),
        "{shown}"
    );
}

#[test]
fn two_servers_that_lack_as_much_are_not_changed() {
    let pair = Pair::start(EVENTS, MAIN_LACKS, WITNESS_LACKS);
    let tail = pair.tail(&[&FLAGS[..2], &["--witness-leave", "1%"]].concat());
    let address = tail.metrics_address();
    let main = format!("skytail_missing_events_total{{server=\"{}\"", pair.main_host());
    let page = wait_for_metric(address, &main, (70..240).filter(|i| main_lacks(*i)).count() as u64);
    let witness = format!("skytail_missing_events_total{{server=\"{}\"", pair.witness.address);
    let lacks = (70..240).filter(|i| witness_lacks(*i)).count() as u64;
    wait_for_metric(address, &witness, lacks);
    wait_for_witness(address);
    assert_eq!(sum(&page, "skytail_witness_leaves_total"), 0, "{page}");
    tail.signal("TERM");
    let summary = tail.says(r#""message":"summary""#);
    assert!(summary.contains(r#""left":0"#), "{summary}");
    tail.ends();
}

#[test]
fn a_gap_before_the_change_ends_a_run_that_must_have_none_and_the_next_one_continues() {
    let pair = Pair::start(EVENTS, BLIND, "seed=0");
    let flags = [&FLAGS[..], &["--on-gap", "fail"]].concat();
    let tail = pair.tail(&flags);
    tail.says("stopped after it, as --on-gap fail asks");
    tail.ends_with(4);
    let tail = pair.tail(&flags);
    let address = tail.metrics_address();
    wait_for_witness(address);
    pair.wait_for(|i| !is_like(i) || (100..EVENTS - 75).contains(&i), 0..EVENTS);
    tail.signal("TERM");
    tail.ends();
    assert_once(&pair.written());
}

#[test]
fn a_server_that_has_sent_nothing_is_left() {
    // The second connection is that of the witness.
    let main = ScriptedServer::start([vec![Accept, OnlyPongs], vec![Accept, OnlyPongs]]);
    let (scratch, home) = (Scratch::new(), Scratch::new());
    let lines = main_events(|_| true);
    let witness = ServeProcess::start(&scratch.recording(&lines), &[]);
    let (host, out) = (witness.address.to_string(), scratch.path("all.ndjson"));
    let flags = [
        ["--witness", &host, "--witness-window", "1s", "--cursor", "oldest", "--protocol", "v1"],
        [
            "--archive",
            "off",
            "--metrics-listen",
            "0",
            "--log-format",
            "text",
            "-o",
            out.to_str().unwrap(),
        ],
    ]
    .concat();
    let flags = [&flags[..], &["-v"]].concat();
    let tail = MonitoredTail::start_in(&home.path("."), &main.host(), &flags, |_| {});
    let address = tail.metrics_address();
    let warning = tail.says("has sent no event in 1.0s");
    assert!(warning.contains(&format!("leaving it for {host}")), "{warning}");
    let written = "skytail_events_total{outcome=\"written\"}";
    wait_for_metric(address, written, 600);
    wait_until("second connection", || match main.requests().len() {
        2 => Ok(()),
        count => Err(format!("{count}")),
    });
    tail.signal("TERM");
    tail.ends();
    let text = std::fs::read_to_string(&out).unwrap();
    let written = numbers(&text.lines().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(written, (0..600).collect::<Vec<_>>());
}

#[test]
fn the_first_server_is_not_preferred_again_after_it_was_left() {
    // Both play their events as if they were live: the first one is well.
    let scratch = Scratch::new();
    let flags = ["--rate", "200/s", "--chaos", BLIND];
    let main = ServeProcess::start(&scratch.recording(&main_events(|_| true)), &flags);
    let other = Scratch::new();
    let recording = other.recording(&witness_events(|_| true));
    let witness = ServeProcess::start(&recording, &flags[..2]);
    let host = witness.address.to_string();
    let flags = ["--witness", &host, "--cursor", "oldest", "--protocol", "v1", "--archive", "off"];
    let more = ["--metrics-listen", "0", "--log-format", "text", "-v", "--prefer-first=50ms"];
    let flags = [&flags[..], &more, &FLAGS].concat();
    let main = main.address.to_string();
    let tail = MonitoredTail::start_in(&scratch.path("."), &main, &flags, |_| {});
    tail.says("as --witness-leave asks");
    std::thread::sleep(Duration::from_millis(600));
    tail.signal("TERM");
    let rest = tail.ends_after();
    assert!(!rest.iter().any(|line| line.contains("going back to it")), "{rest:#?}");
}
