//! The archive of a v2 server (protocol/jetstream-v2-archive.md; "§" is a section of it).

mod chaos;
mod files;
mod plan;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use skytail::archive::block::BlockDecoder;
use skytail::archive::line::LineWriter;
use skytail::archive::segment::Segment;
use skytail::event::format::EventFormat;

use crate::support::{PATIENCE, Scratch, ServeProcess, events};

const METHOD: &str = "/xrpc/network.bsky.jetstream.";

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    /// Returns a header's value.
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("Content-Type"), Some("application/json"), "{}", self.head);
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Returns whether the body has all bytes that the head announces.
    fn is_whole(&self) -> bool {
        self.header("Content-Length") == Some(&self.body.len().to_string())
    }

    /// Returns the status and the name of an error.
    fn error(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap().to_owned())
    }
}

fn request(server: &ServeProcess, request: &str) -> Answer {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap();
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

/// Sends a GET with additional header lines.
fn get(server: &ServeProcess, target: &str, headers: &str) -> Answer {
    request(server, &format!("GET {METHOD}{target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n"))
}

fn plan_with(server: &ServeProcess, body: &str, headers: &str) -> Answer {
    let length = body.len();
    request(
        server,
        &format!(
            "POST {METHOD}planSnapshot HTTP/1.1\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        ),
    )
}

fn plan(server: &ServeProcess, body: &str) -> Value {
    let answer = plan_with(server, body, "");
    assert_eq!(answer.status, 200, "{body}: {}", answer.json());
    answer.json()
}

/// A server with 1 050 events (seqs from 100 on) in ten segments of ten blocks of ten events and an
/// active one of 50 events.
fn server(scratch: &Scratch, flags: &[&str]) -> ServeProcess {
    let path = scratch.recording(&events(1_050, true));
    let sizes =
        ["--close-at-end", "--archive-segment-events", "100", "--archive-block-events", "10"];
    ServeProcess::start(&path, &[&sizes, flags].concat())
}

/// Returns an event without its CID: the archive computes it, and `crate::support::events` invents
/// one.
fn without_cid(line: &str) -> Value {
    let mut event: Value = serde_json::from_str(line).unwrap();
    if let Some(commit) = event["commit"].as_object_mut() {
        commit.remove("cid");
    }
    event
}

/// Returns the events of one stored block.
fn rows(frame: &[u8]) -> Vec<Value> {
    let mut decoder = BlockDecoder::new().unwrap();
    let (mut writer, mut events) = (LineWriter::new(), Vec::new());
    for row in decoder.decode(frame).unwrap().rows() {
        let mut line = Vec::new();
        writer.append(&row, EventFormat::V1, &mut line).unwrap();
        events.push(without_cid(std::str::from_utf8(&line).unwrap()));
    }
    events
}

/// Returns all events of a segment's file.
fn segment_rows(file: &[u8]) -> Vec<Value> {
    let segment = Segment::parse(file).unwrap();
    (0..segment.blocks.len()).flat_map(|block| rows(segment.frame(file, block).unwrap())).collect()
}

fn get_segment(server: &ServeProcess, name: &str) -> Vec<u8> {
    let answer = get(server, &format!("getSegment?name={name}"), "");
    assert_eq!(answer.status, 200, "{}", answer.head);
    answer.body
}

fn get_block(server: &ServeProcess, name: &str, block: u64) -> Vec<u8> {
    let answer = get(server, &format!("getBlock?segment={name}&blockIndex={block}"), "");
    assert_eq!(answer.status, 200, "{}", answer.head);
    answer.body
}

/// Returns all events of the plan's pages, in order, and the number of pages.
fn read_plan(server: &ServeProcess, filters: &str) -> (Vec<Value>, usize) {
    let (mut events, mut after, mut tip) = (Vec::new(), 0, None);
    for pages in 1.. {
        let before = tip.map_or(String::new(), |tip: u64| format!(r#","beforeSeq":{tip}"#));
        let page = plan(server, &format!(r#"{{{filters}"afterSeq":{after}{before}}}"#));
        let through = page["plannedThroughSeq"].as_u64().unwrap();
        assert!(through > after, "a plan without progress");
        let tip = *tip.get_or_insert(page["sealedTipSeq"].as_u64().unwrap());
        for segment in page["segments"].as_array().unwrap() {
            events.extend(read_plan_entry(server, segment));
        }
        if through >= tip {
            return (events, pages);
        }
        after = through;
    }
    unreachable!()
}

/// Returns the events of one entry of a plan.
fn read_plan_entry(server: &ServeProcess, segment: &Value) -> Vec<Value> {
    let name = segment["name"].as_str().unwrap();
    if segment["mode"] == "segment" {
        return segment_rows(&get_segment(server, name));
    }
    let ranges = segment["blocks"].as_array().unwrap().iter();
    let blocks = ranges.flat_map(|r| r["first"].as_u64().unwrap()..=r["last"].as_u64().unwrap());
    blocks.flat_map(|block| rows(&get_block(server, name, block))).collect()
}

/// Returns the events of the recording as the archive sends them.
fn recorded(count: u64) -> Vec<Value> {
    events(count, true).iter().map(|line| without_cid(line)).collect()
}
