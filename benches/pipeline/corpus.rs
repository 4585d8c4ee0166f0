//! The events of the benchmark: of real shape, each with an identity of its own.
//!
//! They are the recorded events of `../shared/protocol/vectors`, in random order and with new times,
//! numbers and identifiers, if that directory exists. If not, they are events of the demo, which have the
//! same statistics: sizes, embeds, languages, escapes, kinds.

use std::path::Path;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use skytail::serve::demo;

/// The time of the last event; any past instant does.
const END_US: u64 = 1_780_000_000_000_000;
/// The time between two recorded events, as in the network.
const STEP_US: u64 = 1_600;
/// The demo's seed, and that of the order.
const SEED: u64 = 7;
/// Events generated at once, so that the generator's own memory stays small.
const PIECE: usize = 100_000;
/// The digits of a rev, in ascending order.
const REV_DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// The order of the members of an event. Values of records keep theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOrder {
    /// As servers send them.
    Usual,
    /// Another one, the same for all events.
    Reversed,
    /// Another one for each event.
    Shuffled,
}

/// Where the events come from, for reports.
pub fn source() -> &'static str {
    if recorded().is_some() { "recorded events" } else { "events of the demo" }
}

/// Returns the lines of `events` events, in the order of time and with continuous numbers.
pub fn lines(events: usize, each: impl FnMut(&[u8])) {
    match recorded() {
        Some(recorded) => recorded_lines(&recorded, events, each),
        None => demo_lines(events, each),
    }
}

fn recorded() -> Option<Vec<String>> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/protocol/vectors");
    let text = std::fs::read_to_string(vectors.join("production_v1.jsonl")).ok()?;
    Some(text.lines().map(str::to_owned).collect()).filter(|lines: &Vec<_>| !lines.is_empty())
}

fn recorded_lines(recorded: &[String], events: usize, mut each: impl FnMut(&[u8])) {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut line = String::new();
    for number in 0..events as u64 {
        let shape = with_new_identifiers(&recorded[rng.usize(0..recorded.len())], &mut rng);
        let time_us = END_US - (events as u64 - number) * STEP_US;
        let stamps = format!("{time_us},\"cursor\":{}", demo::FIRST_SEQ + number);
        line.clear();
        let rest = replace_digits(&shape, "\"time_us\":", &stamps, &mut line);
        let rest = match rest.split_once("\"rev\":\"") {
            Some((before, after)) => {
                line.extend([before, "\"rev\":\"", &rev(number)]);
                after.find('"').map_or("", |end| &after[end..])
            }
            None => {
                replace_digits(rest, "\"seq\":", &(31_000_000_000 + number).to_string(), &mut line)
            }
        };
        line.push_str(rest);
        each(line.as_bytes());
    }
}

/// Returns a line with other DIDs, CIDs and record keys: otherwise an archive of repeated events would
/// compress far better than a real one.
fn with_new_identifiers(line: &str, rng: &mut fastrand::Rng) -> String {
    let mut bytes = line.as_bytes().to_vec();
    let is_digit = |byte: &u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
    for run in bytes.chunk_by_mut(|a, b| is_digit(a) && is_digit(b)) {
        let new = match (run.len(), run) {
            (13, run @ [b'3', ..]) => &mut run[1..],
            (24, run) => run,
            // The start names the hash, and the last digit has fewer values.
            (59, run @ [b'b', b'a', b'f', ..]) => &mut run[8..58],
            _ => continue,
        };
        new.fill_with(|| REV_DIGITS[rng.usize(0..REV_DIGITS.len())]);
    }
    String::from_utf8(bytes).expect("ASCII in place of ASCII")
}

/// Appends `text` up to the number after `name`, and a replacement for that; returns the rest.
fn replace_digits<'a>(text: &'a str, name: &str, with: &str, into: &mut String) -> &'a str {
    let (before, after) = text.split_once(name).expect("a recorded event has this member");
    into.extend([before, name, with]);
    after.trim_start_matches(|c: char| c.is_ascii_digit())
}

fn rev(mut number: u64) -> String {
    let mut digits = *b"3m22222222222";
    for digit in digits[2..].iter_mut().rev() {
        *digit = REV_DIGITS[(number % 32) as usize];
        number /= 32;
    }
    digits.map(char::from).iter().collect()
}

/// Every piece is another network.
fn demo_lines(events: usize, mut each: impl FnMut(&[u8])) {
    let mut left = events;
    let mut seq = demo::FIRST_SEQ;
    let mut whole = Vec::new();
    let mut numbered = |line: &[u8]| {
        const MEMBER: &[u8] = br#""cursor":"#;
        let at = memchr::memmem::find(line, MEMBER).expect("a v2 server's event") + MEMBER.len();
        let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        whole.clear();
        whole.extend_from_slice(&line[..at]);
        whole.extend_from_slice(seq.to_string().as_bytes());
        whole.extend_from_slice(&line[at + digits..]);
        seq += 1;
        each(&whole);
    };
    while left > 0 {
        let piece = left.min(PIECE);
        // A commit takes two milliseconds, so that pieces don't overlap.
        let end_us = END_US - (left - piece) as u64 * 2_500;
        let recording = demo::recording(SEED + left as u64, piece, end_us);
        recording.lines().take(piece).for_each(&mut numbered);
        left -= piece;
    }
}

/// Returns an event with its members in another order: those of the event, of its commit, and of a
/// v2 message's payload.
pub fn reorder(json: &[u8], order: MemberOrder, rng: &mut fastrand::Rng) -> Vec<u8> {
    let text = std::str::from_utf8(json).expect("UTF-8");
    let mut out = String::with_capacity(text.len());
    append_reordered(text, order, rng, &mut out);
    out.into_bytes()
}

fn append_reordered(object: &str, order: MemberOrder, rng: &mut fastrand::Rng, out: &mut String) {
    let mut members = members(object);
    match order {
        MemberOrder::Usual => {}
        MemberOrder::Reversed => members.reverse(),
        MemberOrder::Shuffled => rng.shuffle(&mut members),
    }
    for (i, (name, value)) in members.iter().enumerate() {
        out.extend([if i == 0 { "{\"" } else { ",\"" }, name, "\":"]);
        match name.as_str() {
            "commit" | "payload" if value.get().starts_with('{') => {
                append_reordered(value.get(), order, rng, out);
            }
            _ => out.push_str(value.get()),
        }
    }
    out.push('}');
}

fn members(object: &str) -> Vec<(String, &RawValue)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(object).deserialize_map(Members).expect("an object")
}
