//! `--chaos`: each fault happens, happens again with the same seed, and loses nothing for a client
//! that resumes as the protocol says.

mod delivery;
mod ends;
mod loss;
mod messages;
mod server;
mod stamps;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::support::client::{Client, Next};
use crate::support::{PATIENCE, ServeProcess};

/// A server with faults that closes at the end of the recording.
fn chaotic(recording: &Path, spec: &str) -> ServeProcess {
    ServeProcess::start(recording, &["--close-at-end", "--chaos", spec])
}

/// How a raw connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RawEnd {
    Fin,
    Reset,
}

/// Returns all bytes after the upgrade that a silent client receives, and how the connection ended.
fn raw_bytes(server: &ServeProcess, query: &str) -> (Vec<u8>, RawEnd) {
    let mut bytes = Vec::new();
    let end = read_on(upgraded(server, query), &mut bytes);
    (bytes, end)
}

/// A WebSocket whose frames the test reads itself.
fn upgraded(server: &ServeProcess, query: &str) -> TcpStream {
    let mut stream = connect(server, query);
    let head = head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    stream
}

/// A connection that has requested a stream.
fn connect(server: &ServeProcess, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(upgrade(query).as_bytes()).unwrap();
    stream
}

/// Reads the head of the answer, and nothing after it.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap()
}

fn upgrade(query: &str) -> String {
    format!(
        "GET /subscribe?{query} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

fn read_on(mut stream: TcpStream, bytes: &mut Vec<u8>) -> RawEnd {
    match stream.read_to_end(bytes) {
        Ok(_) => RawEnd::Fin,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => RawEnd::Reset,
        Err(error) => panic!("{error} after {} bytes", bytes.len()),
    }
}

/// A frame: its first byte (final bit, reserved bits, opcode) and its payload.
type Frame<'a> = (u8, &'a [u8]);

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const CLOSE: u8 = 0x88;

/// Returns the whole frames of a server, and the bytes after them.
fn frames(mut bytes: &[u8]) -> (Vec<Frame<'_>>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, rest)) = frame(bytes) {
        frames.push(frame);
        bytes = rest;
    }
    (frames, bytes)
}

fn frame(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let (len, start): (usize, usize) = match *bytes.get(1)? {
        126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap())), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize, 10),
        len @ 0..126 => (usize::from(len), 2),
        _ => return None,
    };
    let payload = bytes.get(start..start.checked_add(len)?)?;
    Some(((bytes[0], payload), &bytes[start + len..]))
}

/// Returns the lines among a server's text frames that are in the recording.
fn recorded_lines<'a>(frames: &[Frame<'a>], lines: &[String]) -> Vec<&'a str> {
    let lines: BTreeSet<&str> = lines.iter().map(String::as_str).collect();
    let texts = frames.iter().filter(|(first, _)| *first == TEXT);
    let texts = texts.filter_map(|(_, payload)| std::str::from_utf8(payload).ok());
    texts.filter(|text| lines.contains(text)).collect()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// Returns the number of a line in `crate::support::events`, whatever its stamps are.
fn event_number(line: &str) -> u64 {
    let event = json(line);
    match event["kind"].as_str() {
        Some("commit") => event["commit"]["rkey"].as_str().unwrap().parse().unwrap(),
        _ => event["identity"]["seq"].as_u64().unwrap(),
    }
}

fn event_numbers<T: AsRef<str>>(lines: &[T]) -> Vec<u64> {
    lines.iter().map(|line| event_number(line.as_ref())).collect()
}

/// Returns a line without the members that a server stamps.
fn unstamped(line: &str) -> Value {
    let mut event = json(line);
    let members = event.as_object_mut().unwrap();
    members.remove("time_us");
    members.remove("cursor");
    event
}

/// How many events a client rewinds.
const MARGIN: u64 = 30;
/// The same in the time of `crate::support::events`, in microseconds.
const MARGIN_US: u64 = MARGIN * 1_000;

/// Reconnects after every end, a margin before the newest event that it saw, until it has seen
/// `count` different events. Returns them in the order of arrival, and the number of connections.
async fn read_with_margin(server: &ServeProcess, count: usize) -> (Vec<u64>, usize) {
    let mut seen: Vec<u64> = Vec::new();
    let mut cursor = 0;
    for connections in 1..200 {
        let mut client = Client::connect(&server.url(&format!("cursor={cursor}"))).await;
        while let Next::Event(line) = client.next().await {
            let event = json(&line);
            cursor = cursor.max(match event["cursor"].as_u64() {
                Some(seq) => seq.saturating_sub(MARGIN),
                None => event["time_us"].as_u64().unwrap() - MARGIN_US,
            });
            let event_number = event_number(&line);
            if !seen.contains(&event_number) {
                seen.push(event_number);
            }
        }
        if seen.len() >= count {
            return (seen, connections);
        }
    }
    panic!("{} of {count} events after 200 connections", seen.len());
}
