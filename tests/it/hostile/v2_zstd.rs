//! Dictionaries of v2 servers: fetched without credentials, checked, cached, and replaced when the
//! server changes them. If that fails, the stream is uncompressed.

use crate::hostile::v2::{ECHO, posts, xrpc};
use crate::support::run::{Run, Tail};
use crate::support::scripted::Step::{Answer, Hang, Send};
use crate::support::scripted::{ScriptedServer, Step, binary, http, texts};

/// A dictionary with this ID.
fn dictionary(id: u32) -> Vec<u8> {
    let samples: Vec<String> = (0..500_u64)
        .map(|n| format!(r#"{{"did":"did:plc:{:x}","time":{n}}}"#, n.wrapping_mul(0x9E37_79B9)))
        .collect();
    let mut bytes = ::zstd::dict::from_samples(&samples, 4096).unwrap();
    bytes[4..8].copy_from_slice(&id.to_le_bytes());
    bytes
}

fn served(id: u32) -> Vec<Step> {
    served_as(&id.to_string(), &dictionary(id))
}

fn served_as(id: &str, body: &[u8]) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Zstd-Dictionary-Id: {id}\r\n\r\n",
        body.len()
    );
    vec![Answer([head.as_bytes(), body].concat())]
}

fn compressed(messages: &[String], id: u32) -> Vec<u8> {
    let mut compressor = ::zstd::bulk::Compressor::with_dictionary(3, &dictionary(id)).unwrap();
    messages.iter().flat_map(|m| binary(&compressor.compress(m.as_bytes()).unwrap())).collect()
}

fn stream(messages: &[String], id: u32) -> Vec<Step> {
    vec![ECHO, Send(compressed(messages, id)), Hang]
}

fn plain(messages: &[String]) -> Vec<Step> {
    vec![ECHO, Send(texts(messages)), Hang]
}

fn refused(current: &str) -> Vec<Step> {
    let message = format!("unknown dictionary 1; {current}");
    vec![Answer(xrpc("400 Bad Request", "UnknownZstdDictionary", &message))]
}

fn tail(server: &ScriptedServer, mode: &str, count: usize) -> Tail {
    let tail = Tail::of_host(&format!("ws://me:s3cret@{}", server.host())).protocol("v2");
    tail.flags(&["--compress", mode, "-n", &count.to_string(), "-v"])
}

fn run(server: &ScriptedServer, mode: &str, count: usize) -> Run {
    tail(server, mode, count).run()
}

#[test]
fn the_servers_dictionary_is_fetched_without_credentials() {
    let (messages, lines) = posts(500, 3);
    let server = ScriptedServer::start([served(7), stream(&messages, 7)]);
    run(&server, "on", 3).ends_with(0).prints(&lines).says(&["fetched the zstd dictionary 7"]);
    let requests = server.requests();
    assert_eq!(requests[0].target(), "/xrpc/network.bsky.jetstream.getZstdDictionary");
    assert_eq!(requests[0].header("authorization"), None);
    assert!(requests[1].header("authorization").is_some());
    assert_eq!(requests[1].query("zstdDictionary"), ["7"]);
}

#[test]
fn a_dictionary_is_cached_and_replaced_when_the_server_has_another() {
    let (messages, lines) = posts(500, 6);
    let server = ScriptedServer::start([
        served(7),
        vec![ECHO, Send(compressed(&messages[..3], 7))],
        // The same run again, with the stored dictionary.
        refused("current dictionary id is 8"),
        served(8),
        stream(&messages, 8),
    ]);
    let run = run(&server, "on", 6);
    run.ends_with(0).prints(&lines).says(&["another zstd dictionary now: 8, not 7"]);
    let requests = server.requests();
    assert_eq!(requests[2].query("zstdDictionary"), ["7"]);
    assert_eq!(requests[3].query("id"), ["8"]);
    assert_eq!(requests[4].query("zstdDictionary"), ["8"]);
}

#[test]
fn a_cached_dictionary_is_not_fetched_again() {
    let (messages, lines) = posts(500, 3);
    let server = ScriptedServer::start([stream(&messages, 7)]);
    let tail = tail(&server, "on", 3);
    tail.cache("skytail/dictionaries/7.zdict", &dictionary(7));
    tail.run().ends_with(0).prints(&lines).never_says("fetched");

    // A damaged file counts as missing.
    let server = ScriptedServer::start([served(7), stream(&messages, 7)]);
    let tail = self::tail(&server, "on", 3);
    tail.cache("skytail/dictionaries/7.zdict", b"damaged");
    tail.run().ends_with(0).prints(&lines);
}

#[test]
fn an_unknown_dictionary_id_falls_back_to_the_current_one() {
    let (messages, lines) = posts(500, 3);
    let not_found = xrpc(
        "404 Not Found",
        "DictionaryNotFound",
        "no dictionary with id 8; current dictionary id is 9",
    );
    let server = ScriptedServer::start([
        served(7),
        refused("current dictionary id is 8"),
        vec![Answer(not_found)],
        served(9),
        stream(&messages, 9),
    ]);
    run(&server, "on", 3).ends_with(0).prints(&lines);
}

#[test]
fn an_unused_dictionary_flag_is_reported() {
    let (messages, lines) = posts(500, 2);
    let scripts = [refused("current dictionary id is 8"), served(8), stream(&messages, 8)];
    let server = ScriptedServer::start(scripts);
    let tail = tail(&server, "auto", 2);
    let file = tail.file("a.zdict", &dictionary(7));
    let run = tail.flags(&["--zstd-dictionary", &file]).run();
    let words =
        "--zstd-dictionary has ID 7 and is not used: this server compresses with the dictionary 8";
    run.ends_with(0).prints(&lines).says(&[words]);
}

#[test]
fn a_server_that_refuses_its_own_dictionary_is_asked_for_plain_text() {
    let (messages, lines) = posts(500, 3);
    let file = dictionary(7);
    let scripts = || [refused("current dictionary id is 7"), served(7), plain(&messages)];
    let with = |server: &ScriptedServer, mode| {
        let tail = tail(server, mode, 3);
        let file = tail.file("a.zdict", &file);
        tail.flags(&["--zstd-dictionary", &file]).run()
    };
    let server = ScriptedServer::start(scripts());
    let run = with(&server, "auto");
    run.ends_with(0).prints(&lines).says(&["names it as its current one; receiving uncompressed"]);
    assert_eq!(server.requests()[2].query("zstdDictionary"), [""; 0]);
    let server = ScriptedServer::start([refused("current dictionary id is 7"), served(7)]);
    with(&server, "on").ends_with(1).says(&["names it as its current one", "--compress auto"]);
}

#[test]
fn an_invalid_dictionary_is_reported_and_not_used() {
    let (messages, lines) = posts(500, 2);
    let mut cut = served(7);
    if let Some(Answer(bytes)) = cut.first_mut() {
        bytes.truncate(bytes.len() - 100);
    }
    for (answer, words) in [
        (served_as("7", b"<html>"), "it is not a zstd dictionary"),
        (served_as("8", &dictionary(7)), "the header names ID \"8\""),
        (served_as("7", &vec![0; 3 << 20]), "larger than 1 MiB"),
        (
            served_as("20260811", &dictionary(20_260_811)),
            "claims to be the dictionary of Jetstream v2",
        ),
        (vec![Answer(xrpc("500 No", "InternalError", "oh"))], "HTTP 500"),
        (cut, "was cut off"),
    ] {
        // The server refuses the other server's dictionary first, so that the program asks for this
        // one.
        let scripts =
            [refused("no other"), answer, plain(&[messages[0].clone(), messages[1].clone()])];
        let server = ScriptedServer::start(scripts);
        let tail = tail(&server, "auto", 2);
        let file = tail.file("a.zdict", &dictionary(1));
        let run = tail.flags(&["--zstd-dictionary", &file]).run();
        run.ends_with(0).prints(&lines).says(&[words, "receiving uncompressed"]);
    }
}

#[test]
fn a_server_without_dictionaries_has_no_v2_if_zstd_is_required() {
    let none = || vec![Answer(http("404 Not Found", "", "404 page not found"))];
    let run = |server: &ScriptedServer, protocol| {
        Tail::of(server).protocol(protocol).flags(&["--compress", "on"]).run()
    };
    // The program falls back to v1, whose dictionary is not installed.
    let server = ScriptedServer::start([none()]);
    let log = run(&server, "auto");
    log.ends_with(1).prints([""; 0]).says(&["the server speaks v1", "dictionary install"]);
    let server = ScriptedServer::start([none()]);
    let log = run(&server, "v2");
    log.ends_with(1).says(&["dictionary is not available: HTTP 404", "--compress auto"]);
    log.says(&["--protocol v1"]);
}

#[test]
fn a_bomb_is_skipped_and_reported() {
    let (messages, lines) = posts(500, 2);
    let mut compressor = ::zstd::bulk::Compressor::with_dictionary(3, &dictionary(7)).unwrap();
    let bomb = binary(&compressor.compress(&vec![b'x'; 64 << 20]).unwrap());
    let sent = [compressed(&messages[..1], 7), bomb, compressed(&messages[1..], 7)].concat();
    let server = ScriptedServer::start([served(7), vec![ECHO, Send(sent), Hang]]);
    let run = tail(&server, "on", 2).flags(&["--max-frame-size", "1MiB"]).run();
    run.ends_with(0).prints(&lines).says(&["decompresses to more than 1048576 bytes"]);
}
