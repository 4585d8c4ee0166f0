//! Responses before the upgrade (§2 and §10).

use std::fs;
use std::io::Write as _;
use std::process::Command;

use tokio_tungstenite::tungstenite::Error;

use crate::support::client::Client;
use crate::support::{PATIENCE, Scratch, ServeProcess, events, isolate_environment};

#[test]
fn refusals_match_those_of_each_server() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(3, true));
    let v2 = ServeProcess::start(&path, &["--server-kind", "v2"]);
    let legacy = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    let check = |answer: String, status: &str, body: &str| {
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");
        if body.ends_with('\n') && !body.starts_with('{') {
            assert!(answer.contains("Content-Type: text/plain; charset=utf-8\r\n"), "{answer}");
        }
    };
    let bad_request = "400 Bad Request";
    for (query, body) in [
        (
            "wantedCollections=app.bsky.fo*",
            "subscribe: invalid options: invalid collection: app.bsky.fo*\n",
        ),
        ("wantedCollections=", "subscribe: invalid options: invalid collection: \n"),
        ("wantedDids=bob", "subscribe: invalid options: invalid DID: bob\n"),
        ("cursor=x", "subscribe: invalid cursor: \"x\"\n"),
        ("cursor=-1", "subscribe: invalid cursor: negative value -1\n"),
        // Filters are checked before the cursor.
        ("cursor=x&wantedDids=bob", "subscribe: invalid options: invalid DID: bob\n"),
    ] {
        check(v2.get(&format!("/subscribe?{query}")), bad_request, body);
    }
    assert!(v2.get("/subscribe?a=%zz").starts_with("HTTP/1.1 400"));
    assert!(v2.get("/subscribe?a=1;b").starts_with("HTTP/1.1 400"));
    check(legacy.get("/subscribe?cursor=x"), bad_request, "invalid cursor: x\n");
    check(
        legacy.get("/subscribe?wantedDids=bob"),
        bad_request,
        "invalid subscriber options: invalid DID\n",
    );

    assert!(v2.get("/subscribe?cursor=5&wantedDids=did:plc:a").starts_with("HTTP/1.1 426"));
    assert!(v2.raw_request("POST /subscribe HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    assert!(v2.raw_request("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
    assert!(v2.get("/nowhere").starts_with("HTTP/1.1 404"));
    assert!(legacy.get("/xrpc/network.bsky.jetstream.subscribeEvents").starts_with("HTTP/1.1 404"));
    let keyless = "GET /subscribe HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let versionless = format!("{keyless}\r\n");
    assert!(v2.raw_request(&versionless).starts_with("HTTP/1.1 400"));
    let keyless = format!("{keyless}Sec-WebSocket-Version: 13\r\n\r\n");
    assert!(v2.raw_request(&keyless).starts_with("HTTP/1.1 400"));
}

#[test]
fn the_two_servers_differ_before_connecting() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let written = scratch.path("trained.zdict");
    let flags = ["--write-dictionary", written.to_str().unwrap()];
    let v2 = ServeProcess::start(&path, &[]);
    let legacy = ServeProcess::start(&path, &["--server-kind", "legacy"]);
    assert!(legacy.get("/").ends_with("\r\n\r\nWelcome to Jetstream\n"));
    assert!(v2.get("/").contains("Content-Type: text/html"));
    let get_dictionary = "/xrpc/network.bsky.jetstream.getZstdDictionary";
    assert!(legacy.get(get_dictionary).starts_with("HTTP/1.1 404"));
    let unknown = v2.get(&format!("{get_dictionary}?id=1612007021"));
    assert!(unknown.starts_with("HTTP/1.1 404") && unknown.contains("\"DictionaryNotFound\""));
    drop(v2);

    let v2 = ServeProcess::start(&path, &flags);
    let id = fs::read(&written).unwrap()[4..8].try_into().map(u32::from_le_bytes).unwrap();
    let head = raw_head(&v2, get_dictionary);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains(&format!("X-Zstd-Dictionary-Id: {id}")), "{head}");
}

/// Guards against `serve --write-dictionary recording.ndjson`.
#[test]
fn a_dictionary_replaces_only_a_dictionary() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let before = fs::read(&path).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &scratch.path("."));
    command.arg("serve").arg(&path).arg("--write-dictionary").arg(&path);
    let output = command.args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("exists and is not a dictionary"), "{stderr}");
    assert_eq!(fs::read(&path).unwrap(), before);

    let written = scratch.path("trained.zdict");
    for _ in 0..2 {
        ServeProcess::start(&path, &["--write-dictionary", written.to_str().unwrap()]);
    }
}

/// Returns the head of an answer whose body is not text.
fn raw_head(server: &ServeProcess, target: &str) -> String {
    use std::io::{BufRead, BufReader};
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn two_compression_schemes_at_once_are_refused_on_v2() {
    let scratch = Scratch::new();
    let path = scratch.recording(&events(2_000, true));
    let server = ServeProcess::start(&path, &[]);
    let deflate = [("Sec-WebSocket-Extensions", "permessage-deflate")];
    let refused = Client::try_connect(&server.url("compress=true"), &deflate).await;
    let Err(Error::Http(response)) = refused else { panic!("the server accepted the request") };
    let body = String::from_utf8(response.body().clone().unwrap_or_default()).unwrap();
    assert!(body.starts_with("choose one compression scheme: "), "{body}");
}
