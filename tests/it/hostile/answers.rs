//! Failures before the first frame: each has its own message and exit code. Requests follow
//! protocol/jetstream-v1.md.

use crate::support::events;
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Accept, Answer, Hang, Send, WaitFor};
use crate::support::scripted::{ScriptedServer, http, switching, text, texts};

const QUICK: &[&str] = &["--connect-timeout", "300ms", "--max-retries", "1"];

/// Answers two requests the same way: with one retry allowed, the run gives up.
#[track_caller]
fn gives_up_on(answer: Vec<u8>) -> Run {
    let scripts = [vec![Answer(answer.clone())], vec![Answer(answer)]];
    let server = ScriptedServer::start(scripts);
    let run = Tail::of(&server).flags(&["--max-retries", "1"]).run();
    run.ends_with(3).prints([""; 0]).says(&["gave up after 2 failed attempts"]);
    run
}

#[test]
fn a_run_without_filters_requests_everything_and_identifies_itself() {
    let events = events(1, true);
    let server = ScriptedServer::start([vec![Accept, Send(text(&events[0])), Hang]]);
    Tail::of(&server).flags(&["-n", "1"]).run().ends_with(0).prints(&events);
    let request = &server.requests()[0];
    assert!(request.head.starts_with("GET /subscribe HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!(request.header("host"), Some(server.host().as_str()));
    let agent = request.header("user-agent").unwrap();
    assert_eq!(agent, concat!("skytail/", env!("CARGO_PKG_VERSION")));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("sec-websocket-version"), Some("13"));
    // Both kinds of compression at once are a 400 on v2.
    assert_eq!(request.header("sec-websocket-extensions"), None);
    assert_eq!(request.header("sec-websocket-protocol"), None);
}

#[test]
fn filters_and_cursor_are_in_the_request() {
    let event = &events(1, true)[0];
    let server = ScriptedServer::start([vec![Accept, Send(text(event)), Hang]]);
    let run = Tail::of(&server)
        .flags(&["-n", "1", "-c", "app.bsky.feed.post,app.bsky.graph.*", "-d", "did:plc:even"])
        .flags(&["--max-message-size", "64k", "--cursor", "1783175888000000"])
        .run();
    run.ends_with(0).prints([event]);
    let request = &server.requests()[0];
    assert_eq!(request.query("wantedCollections"), ["app.bsky.feed.post", "app.bsky.graph.*"]);
    assert_eq!(request.query("wantedDids"), ["did:plc:even"]);
    assert_eq!(request.query("maxMessageSizeBytes"), ["64000"]);
    assert_eq!(request.query("cursor"), ["1783175888000000"]);
    assert_eq!(request.query("compress"), [""; 0]);
    assert_eq!(request.query("requireHello"), [""; 0]);
}

#[test]
fn filters_too_long_for_a_url_are_sent_in_a_message() {
    let event = &events(1, true)[0];
    let server = ScriptedServer::start([vec![Accept, WaitFor(1), Send(text(event)), Hang]]);
    let tail = Tail::of(&server);
    let mut dids: Vec<String> = (0..2_000).map(|i| format!("did:plc:{i:024}")).collect();
    dids.push("did:plc:even".into());
    let list = tail.file("dids", dids.join("\n").as_bytes());
    let run = tail.flags(&["-n", "1", "-c", "app.bsky.feed.post", "-d", &format!("@{list}")]).run();
    run.ends_with(0).prints([event]);
    let request = &server.requests()[0];
    assert_eq!(request.target(), "/subscribe?requireHello=true");
    let (opcode, payload) = &request.frames[0];
    assert_eq!(*opcode, 1);
    let hello: serde_json::Value = serde_json::from_slice(payload).unwrap();
    assert_eq!(hello["type"], "options_update");
    assert_eq!(hello["payload"]["wantedCollections"], serde_json::json!(["app.bsky.feed.post"]));
    assert_eq!(hello["payload"]["wantedDids"], serde_json::json!(dids));
    assert_eq!(hello["payload"]["maxMessageSizeBytes"], 0);
}

#[test]
fn an_unknown_host_is_reported() {
    let run = Tail::of_host("no-such-host.invalid").flags(&["--max-retries", "1"]).run();
    run.ends_with(3)
        .prints([""; 0])
        .says(&["no-such-host.invalid:443: the name can't be resolved"]);
}

#[test]
fn a_refused_connection_is_reported() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = Tail::of_host(&port.to_string()).flags(&["--max-retries", "2"]).run();
    run.ends_with(3).prints([""; 0]).says(&[
        &format!("{port}: connection refused: nothing listens on this port"),
        "gave up after 3 failed attempts",
    ]);
}

#[test]
fn a_server_that_accepts_and_never_answers_is_reported() {
    let server = ScriptedServer::start([vec![Hang], vec![Hang]]);
    let run = Tail::of(&server).flags(QUICK).run();
    run.ends_with(3).prints([""; 0]).says(&[
        &server.host(),
        "while waiting for the answer to the WebSocket handshake",
        "gave up after 2 failed attempts",
    ]);
}

#[test]
fn tls_to_a_plain_port_is_reported() {
    let answer = http("400 Bad Request", "", "plain HTTP only");
    let server = ScriptedServer::start([vec![Send(answer.clone())], vec![Send(answer)]]);
    let run = Tail::of_host(&format!("wss://{}", server.host())).flags(QUICK).run();
    run.ends_with(3).prints([""; 0]).says(&[&server.host(), "TLS"]);
}

#[test]
fn a_permanent_refusal_ends_the_run_at_once_and_is_quoted() {
    for (status, code) in
        [("400 Bad Request", "400"), ("401 X", "401"), ("403 X", "403"), ("404 X", "404")]
    {
        let answer = http(status, "", "subscribe: invalid options: \x1b[31minvalid DID: did:x\n");
        let server = ScriptedServer::start([vec![Answer(answer)]]);
        let run = Tail::of(&server).run();
        run.ends_with(1).prints([""; 0]).says(&[
            &server.host(),
            &format!("HTTP {code}: subscribe: invalid options: [31minvalid DID: did:x"),
        ]);
    }
}

#[test]
fn a_permanent_refusal_of_one_server_keeps_the_others() {
    let events = events(1, true);
    let refusing = ScriptedServer::start([vec![Answer(http("403 Forbidden", "", "not you"))]]);
    let serving = ScriptedServer::start([vec![Accept, Send(text(&events[0])), Hang]]);
    let run = Tail::of(&refusing).flags(&["--host", &serving.host(), "-n", "1"]).run();
    run.ends_with(0).prints(&events).says(&["HTTP 403: not you"]);
}

#[test]
fn temporary_failures_are_reported_and_retried() {
    for (status, words) in [
        ("500 Internal Server Error", "HTTP 500: sorry"),
        ("503 Service Unavailable", "HTTP 503: sorry"),
        ("426 Upgrade Required", "HTTP 426: sorry"),
    ] {
        gives_up_on(http(status, "", "sorry\n")).says(&[words]);
    }
    gives_up_on(http("502 Bad Gateway", "", "<html><h1>502</h1>nginx</html>"))
        .says(&["HTTP 502: 502 nginx"]);
}

#[test]
fn retry_after_is_honoured() {
    let events = events(1, true);
    let busy = http("429 Too Many Requests", "Retry-After: 1\r\n", "slow down");
    let server =
        ScriptedServer::start([vec![Answer(busy)], vec![Accept, Send(text(&events[0])), Hang]]);
    let run = Tail::of(&server).flags(&["-n", "1"]).run();
    // The jitter adds up to 250 ms.
    run.ends_with(0).prints(&events).says(&["HTTP 429: slow down", " in 1."]);
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    let answer = http("302 Found", "Location: https://elsewhere.example/secret?token=x\r\n", "");
    let run = gives_up_on(answer);
    run.says(&["redirects (HTTP 302) to https://elsewhere.example:", "--host"]);
    run.never_says("token");
}

#[test]
fn a_response_that_is_not_http_is_reported() {
    gives_up_on(b"SSH-2.0-OpenSSH_9.6\x1b[2J\r\n".to_vec())
        .says(&["the answer is not HTTP", "SSH-2.0-OpenSSH_9.6 [2J"]);
    gives_up_on(b"HTTP/1.1 wat\r\n\r\n".to_vec()).says(&["is not a WebSocket handshake"]);
    gives_up_on(http("200 OK", "", "<html>Welcome to Jetstream</html>"))
        .says(&["HTTP 200: Welcome to Jetstream"]);
    gives_up_on(Vec::new())
        .says(&["closed the connection without an answer to the WebSocket handshake"]);
}

#[test]
fn an_endless_head_is_aborted() {
    let endless = format!("HTTP/1.1 101 X\r\nX: {}", "x".repeat(100_000));
    gives_up_on(endless.into_bytes()).says(&["the head of the answer has no end"]);
}

#[test]
fn a_wrong_accept_key_is_reported() {
    gives_up_on(switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")).says(&["not a WebSocket handshake"]);
}

#[test]
fn events_right_after_the_handshake_are_not_lost() {
    // All in one write, so that events arrive together with the answer.
    let events = events(50, true);
    let server = ScriptedServer::start([vec![Accept, Send(texts(&events)), Hang]]);
    Tail::of(&server).flags(&["-n", "50"]).run().ends_with(0).prints(&events);
}

#[test]
fn a_seq_cursor_on_a_legacy_server_is_refused() {
    let server = ScriptedServer::start([vec![Accept, Send(texts(events(3, false))), Hang]]);
    let run = Tail::of(&server).flags(&["--cursor", "500"]).run();
    run.ends_with(1).prints([""; 0]).says(&[
        &server.host(),
        "the server is a legacy one",
        "use a time or unix microseconds with --cursor",
    ]);
    assert_eq!(server.requests()[0].query("cursor"), ["500"]);
}
