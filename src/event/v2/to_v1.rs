//! Converts a v2 event to the line that the same server prints on `/subscribe`.
//!
//! Source: protocol/jetstream-v2.md §7 for the mapping, protocol/jetstream-v1.md §7 for the order
//! of members. Strings and records are copied byte by byte: encoding them again would change
//! numbers such as `1e21`.

use super::payload::{Body, Change, Event, word};

/// An upper bound of the bytes of a line other than the DID, the record and the relay's object, for
/// allocation.
const FRAME_BYTES: usize = 256;

impl Event<'_> {
    /// Appends the event as a line in v1 format, without a line feed. A sync, which v1 never had,
    /// becomes `"kind":"sync","sync":{…}`.
    pub fn write_v1_line(&self, out: &mut Vec<u8>) {
        let body_bytes = match &self.body {
            Body::Commit(change) => change.record.map_or(0, str::len),
            Body::Relayed(_, relayed) => relayed.json.len(),
        };
        out.reserve(FRAME_BYTES + self.did.raw().len() + body_bytes);
        put(out, &["{\"did\":\"", self.did.raw(), "\",\"time_us\":"]);
        put_number(out, self.time_us);
        put(out, &[",\"cursor\":"]);
        put_number(out, self.seq);
        match &self.body {
            Body::Commit(change) => change.write(out),
            Body::Relayed(kind, relayed) => {
                let kind = word(*kind);
                put(out, &[",\"kind\":\"", kind, "\",\"", kind, "\":", relayed.json]);
            }
        }
        out.push(b'}');
    }
}

impl Change<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        put(out, &[",\"kind\":\"commit\",\"commit\":{\"rev\":\"", self.rev.raw()]);
        put(out, &["\",\"operation\":\"", self.operation.raw()]);
        put(out, &["\",\"collection\":\"", self.collection.raw()]);
        put(out, &["\",\"rkey\":\"", self.rkey.raw(), "\""]);
        if let Some(record) = self.record {
            put(out, &[",\"record\":", record]);
        }
        if let Some(cid) = self.cid {
            put(out, &[",\"cid\":", cid]);
        }
        out.push(b'}');
    }
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
