//! The programs that skytail is compared with.
//!
//! The floor does only what is necessary: it reads the socket, strips the frames, writes the lines.
//! The reference is the design of most clients: a WebSocket library, a struct per event, a channel
//! of structs, each of which is serialized again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{load, measure, server};

/// Plays a role of the benchmark.
pub fn play(role: &str, words: &[String]) {
    match (role, words) {
        ("watch", words) => measure::watch(words),
        ("floor", [host, events]) => floor(connect(host), host, &PLAIN, number(events)),
        ("floor-v2", [host, events]) => floor(connect(host), host, &V2, number(events)),
        ("floor-tls", [host, events]) => floor(connect_tls(host), host, &PLAIN, number(events)),
        ("reference", [host, events]) => reference(host, number(events)),
        _ => panic!("no role {role:?} with {words:?}"),
    }
}

/// Bytes read at once, and written at once.
const FLOOR_READ_BYTES: usize = 512 * 1024;
const FLOOR_WRITE_BYTES: usize = 64 * 1024;

/// What the floor requests, and what it removes from both ends of a message.
struct Envelope {
    path: &'static str,
    header: &'static str,
    start: &'static str,
    end: &'static str,
}

const PLAIN: Envelope = Envelope { path: "/subscribe", header: "", start: "", end: "" };

const V2: Envelope = Envelope {
    path: "/xrpc/network.bsky.jetstream.subscribeEvents",
    header: "Sec-WebSocket-Protocol: xrpc.v1.json\r\n",
    start: r#"{"$type":"message","payload":"#,
    end: "}",
};

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn connect(host: &str) -> TcpStream {
    TcpStream::connect(host).expect("connect")
}

/// Connects with rustls alone.
fn connect_tls(host: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(server::tls_file("ca.pem"));
    roots.add(authority.expect("a certificate")).expect("a sound certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(config, name).expect("a client");
    StreamOwned::new(connection, connect(host))
}

fn floor(mut stream: impl Read + Write, host: &str, envelope: &Envelope, events: u64) {
    let Envelope { path, header, .. } = envelope;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{header}\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("ask");
    server::read_head(&mut stream).expect("an answer");
    strip(stream, envelope, events);
}

fn strip(mut stream: impl Read, envelope: &Envelope, events: u64) {
    let (first, last) = (envelope.start.len(), envelope.end.len());
    let mut buffer = vec![0; FLOOR_READ_BYTES];
    let mut lines = Vec::with_capacity(FLOOR_WRITE_BYTES * 2);
    let mut stdout = std::io::stdout().lock();
    let (mut start, mut end, mut left) = (0, 0, events);
    while left > 0 {
        let read = stream.read(&mut buffer[end..]).expect("read");
        assert!(read > 0, "the server went away, {left} events to go");
        end += read;
        // The close frame after the last event has no payload.
        while let Some((payload, _)) = load::split(&buffer[start..end]).filter(|_| left > 0) {
            lines.extend_from_slice(&payload[first..payload.len() - last]);
            lines.push(b'\n');
            start += payload.len() + if payload.len() < 126 { 2 } else { 4 };
            left -= 1;
            if lines.len() >= FLOOR_WRITE_BYTES {
                write(&mut stdout, &mut lines);
            }
        }
        buffer.copy_within(start..end, 0);
        (start, end) = (0, end - start);
        write(&mut stdout, &mut lines);
    }
}

/// Bypasses the line buffer of `Stdout`, which would search for line feeds.
fn write(stdout: &mut std::io::StdoutLock<'_>, lines: &mut Vec<u8>) {
    use std::os::fd::AsFd as _;
    let mut rest = &lines[..];
    while !rest.is_empty() {
        let written = nix::unistd::write(stdout.as_fd(), rest).expect("write");
        rest = &rest[written..];
    }
    lines.clear();
}

#[derive(Serialize, Deserialize)]
struct Event {
    did: String,
    time_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<u64>,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<Commit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct Commit {
    rev: String,
    operation: String,
    collection: String,
    rkey: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cid: Option<String>,
}

fn reference(host: &str, events: u64) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Event>(1_000);
    let writer = std::thread::spawn(move || {
        for _ in 0..events {
            let event = receiver.blocking_recv().expect("an event");
            println!("{}", serde_json::to_string(&event).expect("it came from JSON"));
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let stream = tokio::net::TcpStream::connect(host).await.expect("connect");
        let url = format!("ws://{host}/subscribe");
        let (mut messages, _) =
            tokio_tungstenite::client_async(url, stream).await.expect("a handshake");
        for _ in 0..events {
            let message = messages.next().await.expect("more").expect("a message");
            let text = message.into_text().expect("text");
            sender.send(serde_json::from_str(&text).expect("an event")).await.ok();
        }
    });
    writer.join().expect("the writer");
}

/// libzstd alone: the same frames, from memory into memory, in this process.
pub fn inflate(load: &load::Load, dictionary: &[u8]) -> measure::ResourceUsage {
    let mut decompressor =
        zstd::bulk::Decompressor::with_dictionary(dictionary).expect("a dictionary");
    let mut line = Vec::with_capacity(1 << 20);
    let mut bytes = 0;
    let began = Instant::now();
    for payload in load.payloads() {
        line.clear();
        bytes += decompressor.decompress_to_buffer(payload, &mut line).expect("a sound frame") + 1;
    }
    let wall_us = began.elapsed().as_micros() as u64;
    assert_eq!(bytes as u64, load.line_bytes);
    // It never waits.
    measure::ResourceUsage { wall_us, cpu_us: wall_us, peak_rss_kib: 0, succeeded: true }
}
