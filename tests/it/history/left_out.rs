//! Archived events that must not be skipped silently: after empty segments, with filters that v2
//! can't express, and if a plan omits segments.

use crate::history::{FIRST_SEQ, Fixture, assert_same, without_line_feeds};
use crate::support::Scratch;
use crate::support::run::Tail;
use crate::support::scripted::Step::{AcceptWith, Answer, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, http, texts};
use crate::support::tail::{Ended, tail};

/// Runs with `--protocol auto`.
fn run_auto(fixture: &Fixture, flags: &[&str]) -> Ended {
    let host = ["--host", &*fixture.host, "--exit-when-live"];
    let ended = tail(&Scratch::new().path(""), &[&host[..], flags].concat());
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    ended
}

/// Real servers seal a segment without events when a rotation falls at the end of their bootstrap.
/// The list of segments contains it; the plan does not.
#[test]
fn empty_segments_are_skipped_at_any_place() {
    for empty in ["empty=1", "empty=3"] {
        let fixture = Fixture::new(3_250, &["--chaos", empty]);
        let from = 1_234;
        let instant = (crate::support::FIRST_US + 1_000 * from as u64).to_string();
        let seq = (FIRST_SEQ + from as u64).to_string();
        for (cursor, from) in [("oldest", 0), (&*instant, from), (&*seq, from)] {
            let (printed, log) = fixture.run_ok(&["--cursor", cursor]);
            assert!(!log.contains("gap"), "{empty} {cursor}: {log}");
            assert_same(&printed, &fixture.recorded[from..]);
        }
    }
}

#[test]
fn a_filter_that_v2_cannot_express_does_not_skip_the_archive() {
    let fixture = Fixture::new(3_250, &[]);
    let dids = fixture.scratch.path("dids");
    let others = (0..5_000).map(|i| format!("did:plc:{i:024}\n")).collect::<String>();
    std::fs::write(&dids, format!("did:plc:tenth\n{others}")).unwrap();
    let dids = format!("@{}", dids.display());
    let filters: [(&[&str], &str); 3] = [
        (&["-c", "app.*", "--cursor", "oldest"], r#""kind":"commit""#),
        (&["-c", "app.*", "--cursor", "0"], r#""kind":"commit""#),
        (&["-d", &dids, "--cursor", "oldest"], "did:plc:tenth"),
    ];
    for (flags, word) in filters {
        let ended = run_auto(&fixture, flags);
        assert!(!ended.stderr.contains("gap"), "{}", ended.stderr);
        let wanted = |line: &&String| line.contains(word);
        let expected: Vec<String> = fixture.recorded.iter().filter(wanted).cloned().collect();
        assert_same(&without_line_feeds(ended.rest), &expected);
    }
}

const ECHO: Step = AcceptWith("Sec-WebSocket-Protocol: xrpc.v1.json\r\n");

fn json(body: &str) -> Vec<Step> {
    vec![Answer(http("200 OK", "Content-Type: application/json\r\n", body))]
}

fn stream_from(seq: u64) -> Vec<Step> {
    let message = format!(
        r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
    );
    vec![ECHO, Send(texts([message])), Hang]
}

fn listed(index: u64, events: u64, min: u64, max: u64) -> String {
    format!(
        r#"{{"index":{index},"eventCount":{events},"minSeq":{min},"maxSeq":{max},"maxWitnessedAt":1783175888390226}}"#
    )
}

#[test]
fn segments_that_an_unfiltered_plan_skips_are_a_gap() {
    let plan = json(r#"{"plannedThroughSeq":200,"sealedTipSeq":200,"segments":[]}"#);
    let left_out = [listed(0, 90, 1, 99), listed(1, 0, 0, 0), listed(2, 90, 100, 200)];
    let nothing = [listed(0, 0, 1, 99), listed(1, 0, 0, 0), listed(2, 0, 100, 200)];
    for (segments, is_gap) in [(left_out, true), (nothing, false)] {
        let list = format!(r#"{{"segments":[{}]}}"#, segments.join(","));
        let server =
            ScriptedServer::start([plan.clone(), json(&list), json(&list), stream_from(201)]);
        let flags = ["--cursor", "oldest", "-n", "1", "-v"];
        let run = Tail::of(&server).protocol("v2").archive("auto").flags(&flags).run();
        match is_gap {
            true => {
                let words =
                    ["to seq 201", "the plan leaves out 2 segments from seg_0000000000.jss"];
                run.ends_with(0).says(&words);
            }
            false => {
                run.ends_with(0).never_says("gap from");
            }
        }
    }
}
