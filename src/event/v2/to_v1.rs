//! Converts a v2 event to the line that the same server prints on `/subscribe`.
//!
//! Source: protocol/jetstream-v2.md §7 for the mapping, protocol/jetstream-v1.md §7 for the order
//! of members. Strings and records are copied byte by byte: encoding them again would change
//! numbers such as `1e21`.

use crate::event::header_spans::{BodySpans, CommitSpans, FieldSpan, HeaderSpans};
use crate::event::scanner::RawString;

use super::payload::{Body, Change, Event};

/// An upper bound of the bytes of a line other than the DID, the record and the relay's object, for
/// allocation.
const FRAME_BYTES: usize = 256;

impl Event<'_> {
    /// Appends the event as a line in v1 format, without a line feed, and returns the places of its
    /// header fields. Escapes are not checked. A sync, which v1 never had, becomes
    /// `"kind":"sync","sync":{…}`.
    pub fn write_v1_line(&self, out: &mut Vec<u8>) -> HeaderSpans {
        let body_bytes = match &self.body {
            Body::Commit(change) => change.record.map_or(0, str::len),
            Body::Relayed(_, relayed) => relayed.json.len(),
        };
        out.reserve(FRAME_BYTES + self.did.raw().len() + body_bytes);
        let start = out.len();
        let did = put_string(out, start, "{\"did\":\"", &self.did);
        put(out, &["\",\"time_us\":"]);
        put_number(out, self.time_us);
        put(out, &[",\"cursor\":"]);
        put_number(out, self.seq);
        let body = match &self.body {
            Body::Commit(change) => BodySpans::Commit(change.write(out, start)),
            Body::Relayed(kind, relayed) => {
                let word = kind.word();
                put(out, &[",\"kind\":\"", word, "\",\"", word, "\":", relayed.json]);
                BodySpans::Relayed(*kind, relayed.seq)
            }
        };
        out.push(b'}');
        HeaderSpans::new(did, self.time_us, self.seq, body)
    }
}

impl Change<'_> {
    /// Appends the members of a commit; the line began at `start`.
    fn write(&self, out: &mut Vec<u8>, start: usize) -> CommitSpans {
        let before = ",\"kind\":\"commit\",\"commit\":{\"rev\":\"";
        let rev = put_string(out, start, before, &self.rev);
        let operation = put_string(out, start, "\",\"operation\":\"", &self.operation);
        let collection = put_string(out, start, "\",\"collection\":\"", &self.collection);
        let rkey = put_string(out, start, "\",\"rkey\":\"", &self.rkey);
        put(out, &["\""]);
        if let Some(record) = self.record {
            put(out, &[",\"record\":", record]);
        }
        if let Some(cid) = self.cid {
            put(out, &[",\"cid\":", cid]);
        }
        out.push(b'}');
        CommitSpans { rev, operation, collection, rkey }
    }
}

/// Appends `before` and a string, and returns its place in the line that began at `start`.
fn put_string(out: &mut Vec<u8>, start: usize, before: &str, string: &RawString<'_>) -> FieldSpan {
    put(out, &[before, string.raw()]);
    FieldSpan::of(string, out.len() - string.raw().len() - start)
}

fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends a number in decimal. The formatting of the standard library takes several times as long.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}
