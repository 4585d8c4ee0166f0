//! Times and seqs: faulty clocks, and the recording as other servers would send it.

use std::collections::BTreeMap;

use super::{chaotic, event_numbers, json, unstamped};
use crate::support::{FIRST_US, Scratch, ServeProcess, events};

fn times(lines: &[String]) -> Vec<u64> {
    lines.iter().map(|line| json(line)["time_us"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn clock_faults_change_only_times_and_equally_on_every_connection() {
    const YEAR_US: u64 = 365 * 86_400 * 1_000_000;
    let scratch = Scratch::new();
    for (kind, seqs) in [("v2", true), ("legacy", false)] {
        let lines = events(500, seqs);
        let path = scratch.recording(&lines);
        for fault in ["same=10", "step=50:5s", "imported=10"] {
            let flags = ["--close-at-end", "--server-kind", kind, "--chaos", fault];
            let server = ServeProcess::start(&path, &flags);
            let got = crate::serve::all(&server, "").await;
            assert_eq!(got, crate::serve::all(&server, "").await, "{kind} {fault}");
            let seq = |line: &String| (json(line)["cursor"].clone(), unstamped(line));
            assert!(got.iter().map(seq).eq(lines.iter().map(seq)), "{kind} {fault}");
            let times = times(&got);
            let pairs = || times.windows(2);
            let shown = match fault {
                "same=10" => pairs().filter(|w| w[0] == w[1]).count() > 20,
                "imported=10" => times.iter().filter(|&&t| t < FIRST_US - YEAR_US / 2).count() > 20,
                _ => pairs().filter(|w| w[1] + 4_000_000 < w[0]).count() > 3,
            };
            assert!(shown, "{kind} {fault}");
        }
    }
}

#[tokio::test]
async fn a_served_time_works_as_a_cursor_without_loss() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(300, false));
    let server = chaotic(&path, "same=5,step=60,imported=50");
    let got = crate::serve::all(&server, "").await;
    for (i, time_us) in times(&got).into_iter().enumerate().step_by(7) {
        let rest = crate::serve::all(&server, &format!("cursor={time_us}")).await;
        assert!(rest.len() >= got.len() - i && got.ends_with(&rest), "event {i}");
    }
}

#[tokio::test]
async fn another_instance_sends_the_same_events_with_its_own_stamps() {
    let scratch = Scratch::new();
    for (kind, seqs) in [("v2", true), ("legacy", false)] {
        let lines = events(500, seqs);
        let path = scratch.recording(&lines);
        let served_lines = async |instance: u32| {
            let spec = format!("instance={instance}");
            let flags = ["--close-at-end", "--server-kind", kind, "--chaos", &spec];
            crate::serve::all(&ServeProcess::start(&path, &flags), "").await
        };
        let (one, again, two) =
            (served_lines(1).await, served_lines(1).await, served_lines(2).await);
        assert_eq!(one, again);
        assert_ne!(event_numbers(&one), event_numbers(&two), "two instances have the same order");
        let mut accounts: Vec<BTreeMap<String, Vec<u64>>> = Vec::new();
        for served in [&one, &two, &lines] {
            let mut sorted = event_numbers(served);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..500).collect::<Vec<_>>(), "an instance has other events");
            let mut by_account: BTreeMap<String, Vec<u64>> = BTreeMap::new();
            for (line, event_number) in served.iter().zip(event_numbers(served)) {
                by_account.entry(json(line)["did"].to_string()).or_default().push(event_number);
            }
            accounts.push(by_account);
            assert!(times(served).is_sorted());
            let far = |(time_us, event_number): (u64, u64)| {
                time_us.abs_diff(FIRST_US + event_number * 1_000) > 1_050_000
            };
            assert!(!times(served).into_iter().zip(event_numbers(served)).any(far));
        }
        assert!(
            accounts[0] == accounts[2] && accounts[1] == accounts[2],
            "the order within accounts differs"
        );
        let seqs: Vec<Vec<Option<u64>>> = [&one, &two]
            .map(|served| served.iter().map(|l| json(l)["cursor"].as_u64()).collect())
            .to_vec();
        assert!(seqs[0].is_sorted());
        assert_eq!(seqs[0] == seqs[1], kind == "legacy", "only v2 instances have other seqs");
        assert!(times(&one).iter().all(|t| !times(&two).contains(t)) || kind == "v2");
    }
}
