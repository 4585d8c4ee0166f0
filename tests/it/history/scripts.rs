//! Servers that follow a script: without an archive, or with false answers.

use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{AcceptWith, Answer, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, http, texts};

const ECHO: Step = AcceptWith("Sec-WebSocket-Protocol: xrpc.v1.json\r\n");

fn message(seq: u64) -> String {
    format!(
        r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
    )
}

fn too_old() -> Vec<Step> {
    let body = r#"{"error":"CursorTooOld","message":"cursor 500 below 900"}"#;
    vec![Answer(http("400 Bad Request", "Content-Type: application/json\r\n", body))]
}

fn json(status: &str, body: &str) -> Vec<Step> {
    vec![Answer(http(status, "Content-Type: application/json\r\n", body))]
}

/// Runs against a server that refuses seq 500, answers a plan request with this, and streams from
/// seq 900 on.
fn run(plan: Vec<Step>) -> (Run, ScriptedServer) {
    let stream = vec![ECHO, Send(texts([message(900)])), Hang];
    let server = ScriptedServer::start([too_old(), plan, too_old(), stream]);
    let flags = ["--cursor", "500", "-n", "1", "-v"];
    let run = Tail::of(&server).protocol("v2").archive("auto").flags(&flags).run();
    (run, server)
}

#[test]
fn a_server_without_an_archive_leaves_a_gap() {
    for (status, body) in [
        ("404 Not Found", ""),
        ("501 Not Implemented", r#"{"error":"MethodNotImplemented","message":"no"}"#),
        ("400 Bad Request", r#"{"error":"InvalidRequest","message":"filters are refused"}"#),
        ("403 Forbidden", "who are you?"),
    ] {
        let (run, server) = run(json(status, body));
        run.ends_with(0).says(&["gap from seq 500 to seq 900", &status[..3], "1 gap"]);
        let requests = server.requests();
        assert!(requests[1].target().ends_with("planSnapshot"), "{}", requests[1].target());
        assert_eq!(requests[3].query("cursor"), ["1000000000000000"]);
    }
}

#[test]
fn a_malformed_plan_is_reported_and_leaves_a_gap() {
    for (body, words) in [
        ("[]", "the plan can't be read"),
        ("{}", "the plan can't be read"),
        (r#"{"plannedThroughSeq":9,"sealedTipSeq":5}"#, "beyond the sealed tip (9)"),
        (
            r#"{"plannedThroughSeq":900,"sealedTipSeq":900,"segments":[{"name":"../etc","index":1,"minSeq":1,"maxSeq":9,"mode":"segment"}]}"#,
            "which is not the name of segment number 1",
        ),
    ] {
        let (run, _) = run(json("200 OK", body));
        run.ends_with(0).says(&["gap from seq 500 to seq 900", words]);
    }
}

#[test]
fn a_legacy_server_is_probed_once_and_read_as_before() {
    let line = r#"{"did":"did:plc:a","time_us":1783175888390226,"kind":"account","account":{}}"#;
    let server = ScriptedServer::start([
        vec![Answer(http("404 Not Found", "", ""))],
        vec![Answer(http("404 Not Found", "", ""))],
        vec![Step::Accept, Send(texts([line])), Hang],
    ]);
    let flags = ["--cursor", "oldest", "-n", "1", "--join", "single"];
    let run = Tail::of(&server).protocol("auto").archive("auto").flags(&flags).run();
    run.ends_with(0).prints([line]).never_says("archive");
    let requests = server.requests();
    assert!(requests[0].target().ends_with("planSnapshot"));
    assert!(requests[2].target().starts_with("/subscribe"));
}
