//! Refusals before the upgrade: their messages, and the order of the checks (§1, §2, §5).

use super::{refusal, upgrade};
use crate::support::{Scratch, ServeProcess, V2_STREAM, events};

fn list(name: &str, value: &str, count: usize) -> String {
    vec![format!("{name}={value}"); count].join("&")
}

#[test]
fn every_bad_parameter_is_an_invalid_request_that_names_it() {
    let scratch = Scratch::new();
    let server = ServeProcess::start(&scratch.recording(&events(2_000, true)), &[]);
    for (query, words) in [
        ("a=%zz", "query"),
        ("a=1;b=2", "query"),
        ("kinds=commits", "\"commits\""),
        ("kinds=", "\"\""),
        (&list("kinds", "commit", 5), "5 > 4"),
        ("dids=bob", "\"bob\""),
        ("dids=", "\"\""),
        (&list("dids", "did:plc:a", 10_001), "10001 > 10000"),
        ("collections=app.*", "\"app.*\""),
        ("collections=.*", "\".*\""),
        ("collections=app.bsky.fo*", "\"app.bsky.fo*\""),
        ("collections=", "\"\""),
        (&list("collections", "app.bsky.x", 101), "101 > 100"),
        ("collections=app.bsky.x&kinds=identity", "commit"),
        ("maxMessageSizeBytes=", "\"\""),
        ("maxMessageSizeBytes=-1", "\"-1\""),
        ("maxMessageSizeBytes=%2B1", "\"+1\""),
        ("maxMessageSizeBytes=4294967296", "4294967296"),
        ("maxMessageSizeBytes=1&maxMessageSizeBytes=1", "more than once"),
        ("zstdDictionary=x", "\"x\""),
        ("zstdDictionary=0", "\"0\""),
        ("zstdDictionary=-1", "\"-1\""),
        ("compress=true", "compress"),
        ("wantedDids=did:plc:a", "wantedDids"),
        ("wantedCollections=", "wantedCollections"),
        ("requireHello=false", "requireHello"),
        ("cursor=x", "\"x\""),
        ("cursor=-1", "\"-1\""),
        ("cursor=1.5", "\"1.5\""),
        ("cursor=9223372036854775808", "9223372036854775808"),
    ] {
        let (status, error, message) = refusal(&server.raw_request(&upgrade(query, "")));
        assert_eq!((status, error.as_str()), (400, "InvalidRequest"), "{query}");
        assert!(message.contains(words), "{query}: {message}");
    }
    let (_, _, message) = refusal(&server.raw_request(&upgrade("", "Socket-Encoding: zstd\r\n")));
    assert!(message.contains("Socket-Encoding"), "{message}");
    // Values at the limits are accepted, and so are unknown parameters.
    let fine = [list("dids", "did:plc:a", 10_000), list("collections", "app.bsky.*", 100)];
    for query in [&fine[0], &fine[1], "maxMessageSizeBytes=4294967295", "compress=false&x=y"] {
        let answer = server.get(&format!("{V2_STREAM}?{query}"));
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    }
}

#[test]
fn checks_run_in_the_real_servers_order() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let server = ServeProcess::start(&path, &["--chaos", "clamp=50"]);
    let refused = |query: &str| refusal(&server.get(&format!("{V2_STREAM}?{query}")));
    let all = "zstdDictionary=7&kinds=x&cursor=1";
    assert!(refused(&format!("{all}&a=%zz")).2.contains("query"));
    assert_eq!(refused(all).1, "UnknownZstdDictionary");
    assert!(refused("kinds=x&cursor=1").2.contains("kind"));
    assert_eq!(refused("cursor=1").1, "CursorTooOld");
    assert!(server.get(&format!("{V2_STREAM}?cursor=2099")).starts_with("HTTP/1.1 426 "));
    let post = format!("POST {V2_STREAM} HTTP/1.1\r\n\r\n");
    assert!(server.raw_request(&post).starts_with("HTTP/1.1 405 "));
    let refusing = ServeProcess::start(&path, &["--chaos", "refuse=1:3s"]);
    let answers = [(); 2].map(|()| refusing.raw_request(&upgrade("a=%zz", "")));
    assert!(answers[0].starts_with("HTTP/1.1 429 "), "{}", answers[0]);
    let (status, error, message) = refusal(&answers[1]);
    assert_eq!((status, error.as_str()), (503, "ServiceUnavailable"));
    assert!(message.starts_with("service not ready: "), "{message}");
    assert!(answers.iter().all(|a| a.contains("\r\nRetry-After: 3\r\n")));
}

#[test]
fn the_subprotocol_is_echoed_if_offered_exactly() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    let server = ServeProcess::start(&path, &["--close-at-end"]);
    for (offer, echoed) in [
        ("", false),
        ("Sec-WebSocket-Protocol: xrpc.v1.json\r\n", true),
        ("Sec-WebSocket-Protocol: other, xrpc.v1.json\r\n", true),
        ("Sec-WebSocket-Protocol: other\r\nSec-WebSocket-Protocol: xrpc.v1.json\r\n", true),
        ("Sec-WebSocket-Protocol: XRPC.v1.json\r\n", false),
        ("Sec-WebSocket-Protocol: xrpc.v1\r\n", false),
    ] {
        let answer = server.raw_bytes(&upgrade("", offer));
        let answer = String::from_utf8_lossy(&answer);
        let (head, frames) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let echo = head.contains("\r\nSec-WebSocket-Protocol: xrpc.v1.json");
        assert_eq!((echo, head.contains("Protocol:")), (echoed, echoed), "{offer:?}: {head}");
        assert!(frames.contains("subscribeEvents#commit"), "the framing is the same");
    }
}

#[test]
fn an_unknown_method_is_not_implemented_and_legacy_has_no_xrpc() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(5, true));
    let v2 = ServeProcess::start(&path, &[]);
    let (status, error, _) = refusal(&v2.get("/xrpc/network.bsky.jetstream.getMoon"));
    assert_eq!((status, error.as_str()), (501, "MethodNotImplemented"));
    let legacy = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    for method in ["subscribeEvents", "getZstdDictionary", "planSnapshot", "getMoon"] {
        let answer = legacy.get(&format!("/xrpc/network.bsky.jetstream.{method}"));
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}
