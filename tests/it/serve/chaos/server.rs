//! Faults of the whole server: little retention, lag, refusals, and wrong values on its command
//! line.

use super::{chaotic, connect, head, upgrade};
use crate::support::client::Client;
use crate::support::{FIRST_US, Scratch, ServeProcess, events, serve_command};

#[tokio::test]
async fn clamp_moves_old_cursors_to_the_floor_silently() {
    let scratch = Scratch::new();
    for (kind, seqs) in [("v2", true), ("legacy", false)] {
        let lines = events(200, seqs);
        let path = scratch.recording(&lines);
        let flags = ["--close-at-end", "--server-kind", kind, "--chaos", "clamp=50"];
        let server = ServeProcess::start(&path, &flags);
        let old = if seqs { "cursor=120".into() } else { format!("cursor={FIRST_US}") };
        assert_eq!(crate::serve::all(&server, &old).await, lines[150..], "{kind}");
        let new = if seqs { 280 } else { FIRST_US + 180_000 };
        assert_eq!(
            crate::serve::all(&server, &format!("cursor={new}")).await,
            lines[180..],
            "{kind}"
        );
        assert_eq!(crate::serve::all(&server, "").await, lines, "{kind}: without a cursor");
    }
}

#[tokio::test]
async fn behind_omits_the_newest_events_at_rate_max() {
    let scratch = Scratch::new();
    let lines = events(200, true);
    let path = scratch.recording(&lines);
    let server = chaotic(&path, "behind=50ms");
    assert_eq!(crate::serve::all(&server, "").await, lines[..150]);
    assert_eq!(crate::serve::all(&server, "cursor=240").await, lines[140..150]);
    assert_eq!(
        crate::serve::all(&server, "cursor=260").await,
        Vec::<String>::new(),
        "silently live"
    );
    let nothing = chaotic(&path, "behind=1h");
    assert_eq!(crate::serve::all(&nothing, "").await, Vec::<String>::new());
}

#[tokio::test]
async fn behind_delays_all_events_of_a_paced_recording() {
    let scratch = Scratch::new();
    let lines = events(100, true);
    let path = scratch.recording(&lines);
    for rate in ["1x", "1000/s"] {
        let late = ["--rate", rate, "--close-at-end", "--chaos", "behind=100ms"];
        let server = ServeProcess::start(&path, &late);
        assert_eq!(crate::serve::all(&server, "").await, lines, "{rate}");
        let never = ["--rate", rate, "--close-at-end", "--chaos", "behind=24h"];
        let server = ServeProcess::start(&path, &never);
        let mut client = Client::connect(&server.url("cursor=0")).await;
        assert_eq!(client.ping().await, Vec::<String>::new(), "{rate}");
    }
}

#[test]
fn refuse_alternates_429_and_503_with_retry_after() {
    let scratch = Scratch::new();
    let server = chaotic(&scratch.recording(&events(5, true)), "refuse=1:3s");
    for status in ["429 Too Many Requests", "503 Service Unavailable", "429 Too Many Requests"] {
        let answer = server.raw_request(&upgrade(""));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.contains("\r\nRetry-After: 3\r\n"), "{answer}");
    }
    // Only streams are refused.
    assert!(server.get("/").starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn refuse_accepts_the_other_connections() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(1, true));
    let play = || -> Vec<bool> {
        let server = chaotic(&path, "refuse=3:0s");
        (0..60)
            .map(|_| {
                let head = head(&mut connect(&server, ""));
                let refused = !head.starts_with("HTTP/1.1 101 ");
                assert_eq!(refused, head.contains("\r\nRetry-After: 0\r\n"), "{head}");
                refused
            })
            .collect()
    };
    let refused = play();
    assert!((8..40).contains(&refused.iter().filter(|&&r| r).count()), "{refused:?}");
    assert_eq!(refused, play());
}

#[test]
fn a_bad_fault_specification_is_a_usage_error_that_names_it() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    for (spec, words) in [
        ("clsoe=5", "\"clsoe\" is not a fault"),
        ("stall=5:soon", "stall: \"5:soon\" is not"),
        ("seed=1,seed=2", "seed is given twice"),
    ] {
        let output = serve_command(&path).args(["--chaos", spec]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_legacy_server_has_no_seqs_to_reuse() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, false));
    let output = serve_command(&path).args(["--chaos", "reuse=5"]).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("--chaos reuse: a legacy server has no seqs"), "{message}");
}
