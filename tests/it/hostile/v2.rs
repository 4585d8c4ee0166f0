//! The v2 stream: the requests, and every error that protocol/jetstream-v2.md names.

use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, AcceptWith, Answer, Hang, Send, Sync};
use crate::support::scripted::{ScriptedServer, Step, http, text, texts};
use crate::support::{FIRST_US, Scratch, run as support_run};

pub const PATH: &str = "/xrpc/network.bsky.jetstream.subscribeEvents";
pub const ECHO: Step = AcceptWith("Sec-WebSocket-Protocol: xrpc.v1.json\r\n");

/// A post of number and seq `i`, `seconds` after the first instant: the message and its v1 line.
pub fn post(i: u64, seconds: u64) -> (String, String) {
    let time_us = FIRST_US + seconds * 1_000_000;
    let time = format!("{:.6}", jiff::Timestamp::from_microsecond(time_us as i64).unwrap());
    let record = r#"{"$type":"app.bsky.feed.post","seq":7,"text":"{\"seq\":8}"}"#;
    let payload = format!(
        r#"{{"$type":"network.bsky.jetstream.subscribeEvents#commit","cid":"bafy{i}","collection":"app.bsky.feed.post","did":"did:plc:a","operation":"create","record":{record},"rev":"3mptbypluud2a","rkey":"{i}","seq":{i},"time":"{time}"}}"#
    );
    let line = format!(
        r#"{{"did":"did:plc:a","time_us":{time_us},"cursor":{i},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"app.bsky.feed.post","rkey":"{i}","record":{record},"cid":"bafy{i}"}}}}"#
    );
    (format!(r#"{{"$type":"message","payload":{payload}}}"#), line)
}

pub fn posts(from: u64, count: u64) -> (Vec<String>, Vec<String>) {
    (from..from + count).map(|i| post(i, i)).unzip()
}

fn info(name: &str) -> String {
    format!(
        r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#info","message":"m","name":"{name}"}}}}"#
    )
}

fn error(name: &str) -> String {
    format!(r#"{{"$type":"error","error":"{name}","message":"why \u001b[31m"}}"#)
}

pub fn xrpc(status: &str, name: &str, message: &str) -> Vec<u8> {
    let body = format!(r#"{{"error":"{name}","message":"{message}"}}"#);
    http(status, "Content-Type: application/json\r\n", &body)
}

fn tail(server: &ScriptedServer, count: usize, flags: &[&str]) -> Run {
    let tail = Tail::of(server).protocol("v2").flags(&["-n", &count.to_string()]);
    tail.flags(flags).run()
}

#[test]
fn messages_are_printed_as_v1_lines() {
    let (messages, lines) = posts(500, 3);
    let server = ScriptedServer::start([vec![ECHO, Send(texts(&messages)), Hang]]);
    tail(&server, 3, &["--strict"]).ends_with(0).prints(&lines);
    let request = &server.requests()[0];
    assert_eq!(request.target(), PATH);
    assert_eq!(request.header("sec-websocket-protocol"), Some("xrpc.v1.json"));
    assert_eq!(request.header("sec-websocket-extensions"), None);
    // Any message of the client would end the connection (§1).
    assert!(request.frames.iter().all(|(opcode, _)| *opcode >= 8), "{:?}", request.frames);
}

#[test]
fn white_space_around_and_within_a_message_is_not_printed() {
    let (messages, lines) = posts(500, 3);
    let spaced = [
        format!("{}\n", messages[0]),
        format!(" \r\n{}\t", messages[1]),
        messages[2].replace(":{", ":\n  {"),
    ];
    let server = ScriptedServer::start([vec![ECHO, Send(texts(&spaced)), Hang]]);
    tail(&server, 3, &["--strict"]).ends_with(0).prints(&lines).never_says("malformed");
}

#[test]
fn the_native_shape_is_the_unchanged_payload() {
    let (messages, _) = posts(500, 3);
    let payloads = messages.iter().map(|message| {
        let payload = message.strip_prefix(r#"{"$type":"message","payload":"#).unwrap();
        payload.strip_suffix('}').unwrap().to_owned()
    });
    let server = ScriptedServer::start([
        vec![ECHO, Send(texts(&messages))],
        vec![ECHO, Send(texts(&messages)), Hang],
    ]);
    let flags = ["--shape", "native", "--operation", "create", "--timeout", "2s"];
    let run = tail(&server, 100, &flags);
    run.ends_with(0).prints(payloads).says(&["3 duplicates removed", "saved seq 502"]);
    assert_eq!(server.requests()[1].query("cursor"), ["500"]);
}

#[test]
fn filters_and_cursor_are_in_the_request() {
    let (messages, lines) = posts(500, 1);
    let server = ScriptedServer::start([vec![ECHO, Send(texts(&messages)), Hang]]);
    let flags = ["-c", "app.bsky.feed.post,app.bsky.graph.*", "-d", "did:plc:a"];
    let more = ["--max-message-size", "64k", "--cursor", "500"];
    tail(&server, 1, &[flags, more].concat()).ends_with(0).prints(&lines);
    let request = &server.requests()[0];
    assert_eq!(request.query("collections"), ["app.bsky.feed.post", "app.bsky.graph.*"]);
    assert_eq!(request.query("dids"), ["did:plc:a"]);
    assert_eq!(request.query("cursor"), ["500"]);
    // The message is longer than the line.
    assert_eq!(request.query("maxMessageSizeBytes"), ["68096"]);
    for v1 in ["wantedCollections", "wantedDids", "requireHello", "compress", "zstdDictionary"] {
        assert_eq!(request.query(v1), [""; 0]);
    }
}

#[test]
fn a_missing_subprotocol_echo_is_accepted_and_a_wrong_one_is_not() {
    let (messages, lines) = posts(500, 1);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&messages)), Hang]]);
    tail(&server, 1, &[]).ends_with(0).prints(&lines);
    for echo in [
        "Sec-WebSocket-Protocol: XRPC.v1.json\r\n",
        "Sec-WebSocket-Protocol: xrpc.v2.json\r\n",
        "Sec-WebSocket-Protocol: \r\n",
    ] {
        let server = ScriptedServer::start([vec![AcceptWith(echo), Hang]]);
        let run = tail(&server, 1, &[]);
        run.ends_with(1).prints([""; 0]).says(&["subprotocol", "xrpc.v1.json", &server.host()]);
    }
}

#[test]
fn refusals_are_reported_by_name_and_quoted() {
    let server = ScriptedServer::start([vec![Answer(xrpc(
        "400 Bad Request",
        "InvalidRequest",
        "bad DID: x",
    ))]]);
    // The answer is that of a v2 server, so the program does not try v1.
    let run = Tail::of(&server).protocol("auto").run();
    run.ends_with(1).prints([""; 0]).says(&["HTTP 400 (InvalidRequest): bad DID: x"]);
    let busy = || vec![Answer(xrpc("503 No", "ServiceUnavailable", "service not ready: warming"))];
    let server = ScriptedServer::start([busy(), busy()]);
    let run = Tail::of(&server).protocol("auto").flags(&["--max-retries", "1"]).run();
    run.ends_with(3).says(&["HTTP 503 (ServiceUnavailable): service not ready: warming"]);
}

#[test]
fn a_cursor_that_is_too_old_is_a_gap_and_the_stream_continues_from_the_floor() {
    let (before, before_lines) = posts(500, 3);
    let (after, after_lines) = posts(900, 2);
    let too_old = || vec![Answer(xrpc("400 Bad Request", "CursorTooOld", "cursor 500 below 900"))];
    let server = ScriptedServer::start([
        vec![ECHO, Send(texts(&before))],
        too_old(),
        vec![ECHO, Send(texts([&[info("OutdatedCursor")][..], &after].concat())), Hang],
    ]);
    let run = tail(&server, 5, &[]);
    run.ends_with(0).prints(before_lines.iter().chain(&after_lines)).says(&[
        "CursorTooOld",
        "cursor 500 below 900",
        "gap from seq 502 at 2026-07-04T14:46:30.000000Z to seq 900",
        "1 gap",
    ]);
    let requests = server.requests();
    assert_eq!(requests[1].query("cursor"), ["500"]);
    assert_eq!(requests[2].query("cursor"), ["1000000000000000"]);

    // A number that the user gave.
    let server = ScriptedServer::start([too_old(), vec![ECHO, Send(texts(&after)), Hang]]);
    let run = tail(&server, 100, &["--cursor", "500", "--on-gap", "fail"]);
    run.ends_with(4).prints([""; 0]).says(&["gap from seq 500 to seq 900"]);
}

#[test]
fn a_time_that_is_too_old_is_a_gap_as_the_server_reports() {
    let (messages, lines) = posts(900, 2);
    let outdated = [&[info("OutdatedCursor")][..], &messages].concat();
    let script = || vec![ECHO, Send(texts(&outdated)), Hang];
    let server = ScriptedServer::start([script()]);
    // Less than the minute that an unreported gap would need.
    let instant = (FIRST_US + 890_000_000).to_string();
    let run = tail(&server, 2, &["--cursor", &instant]);
    run.ends_with(0).prints(&lines).says(&["the server begins later than", "1 gap"]);
    // A user who asks for the oldest event gets it.
    let server = ScriptedServer::start([script()]);
    tail(&server, 2, &["--cursor", "oldest"]).ends_with(0).prints(&lines).never_says("gap");
    assert_eq!(server.requests()[0].query("cursor"), ["1000000000000000"]);
}

#[test]
fn a_position_is_the_same_under_both_protocols() {
    let (messages, lines) = posts(500, 9);
    let scratch = Scratch::new();
    let state = scratch.path("state.db");
    let server = ScriptedServer::start([
        vec![ECHO, Send(texts(&messages[..3])), Hang],
        vec![Accept, Send(texts(&lines[..6])), Hang],
        vec![ECHO, Send(texts(&messages)), Hang],
    ]);
    for (protocol, from) in [("v2", 0), ("v1", 3), ("v2", 6)] {
        let tail = Tail::of(&server).protocol(protocol).state(state.clone());
        let run = tail.flags(&["-n", "3", "--cursor", "auto", "--consumer", "c"]).run();
        run.ends_with(0).prints(&lines[from..from + 3]).never_says("gap");
    }
    let requests = server.requests();
    assert_eq!(requests[1].query("cursor"), ["500"]);
    // The first event that this protocol's stream added.
    assert_eq!(requests[2].query("cursor"), ["503"]);
    let shown = support_run::cursors(&["show", "c", "--json", "--state", state.to_str().unwrap()]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["seq"], 508);
}

#[test]
fn error_frames_are_reported_by_name_and_the_stream_continues() {
    let (messages, lines) = posts(500, 8);
    let server = ScriptedServer::start([
        vec![ECHO, Send(texts(&messages[..2])), Send(text(error("ConsumerTooSlow")))],
        vec![ECHO, Send(texts(&messages[1..4])), Send(text(error("InternalError")))],
        vec![ECHO, Send(texts(&messages[3..6])), Send(text(error("SomethingNew")))],
        vec![ECHO, Send(texts(&messages[5..])), Hang],
    ]);
    let run = tail(&server, 8, &[]);
    run.ends_with(0).prints(&lines).says(&[
        "read too slowly (ConsumerTooSlow: why [31m)",
        "a failure of its own (InternalError: why [31m)",
        "\"SomethingNew\": why [31m",
        "3 reconnects",
    ]);
}

#[test]
fn seqs_that_step_back_or_repeat_are_reported_and_lose_nothing() {
    let (messages, lines) = posts(500, 6);
    let order = [0, 1, 1, 3, 2, 4, 5];
    let sent: Vec<&String> = order.iter().map(|i| &messages[*i]).collect();
    let server = ScriptedServer::start([vec![ECHO, Send(texts(sent)), Hang]]);
    let run = tail(&server, 6, &[]);
    let printed = [0, 1, 3, 2, 4, 5].map(|i: usize| lines[i].clone());
    run.ends_with(0).prints(printed).says(&[
        "sequence numbers repeated: seq 501 came after seq 501",
        "sequence numbers went back: seq 502 came after seq 503",
        "1 duplicate removed",
    ]);
}

#[test]
fn messages_that_are_not_events_are_skipped_and_counted() {
    let (messages, lines) = posts(500, 2);
    let unknown = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#label\u001b","seq":501}}"#;
    for (bad, words) in [
        (r#"{"$type":"message","payload":{"#.to_owned(), "skipped a malformed event"),
        (r#"{"$type":"message"}"#.to_owned(), "no object as payload"),
        (messages[1].replace("\"seq\":501", "\"seq\":\"501\""), "seq is no unsigned integer"),
        (messages[1].replace("\"seq\":501", "\"seq\":0"), "seq is not between"),
        (messages[1].replace(".000000Z", "Z"), "time is not like"),
        (messages[1].replace("\"did\":\"did:plc:a\",", ""), "no member did"),
        (messages[1].replace("app.bsky.feed.post", "app.\n"), "raw control character"),
        // A single object of v1 among messages of v2 is damage, not another protocol.
        (lines[1].clone(), "an object without $type"),
        (unknown.to_owned(), "1 of unknown types"),
    ] {
        let sent = [&messages[0], &bad, &messages[1]];
        let server = ScriptedServer::start([vec![ECHO, Send(texts(sent)), Hang]]);
        tail(&server, 2, &[]).ends_with(0).prints(&lines).says(&[words]);
    }
}

/// Behind the ping the client reads message by message, behind a batch that it has read as a whole.
#[test]
fn another_message_before_a_ping_loses_no_event() {
    const PING: [u8; 2] = [0x89, 0];
    let (messages, lines) = posts(500, 4);
    for other in [info("Advisory"), r#"{"$type":"message"}"#.to_owned()] {
        let mut sent = texts([&messages[1], &other]);
        sent.extend(PING);
        sent.extend(texts(&messages[2..]));
        let server =
            ScriptedServer::start([vec![ECHO, Send(text(&messages[0])), Sync, Send(sent), Hang]]);
        tail(&server, 4, &[]).ends_with(0).prints(&lines);
    }
}

#[test]
fn an_endpoint_that_speaks_v1_is_refused_as_v2() {
    let (_, lines) = posts(500, 2);
    for objects in [lines, vec![r#"{"error":"InvalidRequest","message":"m"}"#.to_owned()]] {
        let connection = || vec![ECHO, Send(texts(&objects)), Hang];
        let server = ScriptedServer::start([connection(), connection()]);
        let run = tail(&server, 2, &[]);
        run.ends_with(1).prints([""; 0]).says(&["objects without $type", "--protocol v1"]);
    }
}

#[test]
fn one_object_of_v1_before_a_v2_stream_is_a_damaged_message() {
    let (messages, lines) = posts(500, 2);
    let object = || vec![ECHO, Send(text(&lines[0])), Hang];
    // On the first connection, and after the stream has been v2: even twice in a row.
    let server = ScriptedServer::start([
        object(),
        vec![ECHO, Send(text(&messages[0]))],
        object(),
        object(),
        vec![ECHO, Send(texts(&messages)), Hang],
    ]);
    let run = tail(&server, 2, &["--cursor", "1783175000000000"]);
    run.ends_with(0).prints(&lines).says(&["objects without $type"]);
}

#[test]
fn a_refusal_that_is_cut_off_is_not_final() {
    let (messages, lines) = posts(500, 1);
    for body in [r#"{"error":"Unkn"#, ""] {
        let cut = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: 60\r\n\r\n{body}");
        let server = ScriptedServer::start([
            vec![Answer(cut.into_bytes())],
            vec![ECHO, Send(texts(&messages)), Hang],
        ]);
        tail(&server, 1, &[]).ends_with(0).prints(&lines).says(&["HTTP 400", "connecting to"]);
    }
}

#[test]
fn kinds_requested_for_liveness_are_not_printed() {
    let (messages, lines) = posts(500, 2);
    let identity = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#identity","did":"did:plc:b","identity":{"did":"did:plc:b","seq":3},"seq":501,"time":"2026-07-04T14:38:08.384849Z"}}"#;
    let sync = identity.replace("identity", "sync").replace("501", "502");
    let sent = [&messages[0], identity, &sync, &messages[1].replace("\"seq\":501", "\"seq\":503")];
    let expected = [lines[0].clone(), lines[1].replace("\"cursor\":501", "\"cursor\":503")];
    let server = ScriptedServer::start([vec![ECHO, Send(texts(sent)), Hang]]);
    tail(&server, 2, &["-c", "app.bsky.feed.post"]).ends_with(0).prints(expected);
    // `-c` alone implies commits, but the request includes the other kinds.
    assert_eq!(server.requests()[0].query("kinds"), [""; 0]);

    let server = ScriptedServer::start([vec![ECHO, Send(texts(sent)), Hang]]);
    let run = tail(&server, 1, &["-k", "sync"]);
    run.ends_with(0).prints([r#"{"did":"did:plc:b","time_us":1783175888384849,"cursor":502,"kind":"sync","sync":{"did":"did:plc:b","seq":3}}"#]);
    assert_eq!(server.requests()[0].query("kinds"), ["identity", "account", "sync"]);
}

#[test]
fn a_failover_from_v2_to_a_legacy_server_loses_nothing() {
    let (messages, lines) = posts(1, 12);
    let legacy: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(i, l)| l.replace(&format!(",\"cursor\":{}", i + 1), ""))
        .collect();
    let refused = || vec![Answer(http("503 Down", "Retry-After: 300\r\n", "down"))];
    let first = ScriptedServer::start([vec![ECHO, Send(texts(&messages[..6]))], refused()]);
    let second = ScriptedServer::start([
        vec![Answer(http("404 Not Found", "", ""))],
        vec![Accept, Send(texts(&legacy)), Hang],
    ]);
    let run = Tail::of(&first)
        .protocol("auto")
        .flags(&["--host", &second.host(), "--join", "single", "-n", "12"])
        .run();
    let expected = lines[..6].iter().chain(&legacy[6..]);
    run.ends_with(0).prints(expected).never_says("gap");
}
