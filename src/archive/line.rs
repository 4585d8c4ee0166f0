//! Writes a row as one line: the event as a v2 server sends it, without its line feed.
//!
//! The line is in the format of `/subscribe`, with the server's seq as `cursor` (v1 §7; archive
//! §6), or it is the payload of the v2 stream (v2 §3). Both are lossless.

use std::io::Write as _;

use super::cbor::CborError;
use super::error::RowError;
use super::row::{Row, RowKind};
use super::transcode::Transcoder;
use super::{cid, json};
use crate::event::format::EventFormat;
use crate::event::header_spans::{CommitPlaces, HeaderSpans};
use crate::position::TimeUs;

/// Largest payload that becomes an event. Relays limit records to about 1 MiB; JSON has at most six
/// times as many bytes.
pub const MAX_PAYLOAD_BYTES: usize = 16 << 20;

/// 9999-12-30T21:59:59Z: just below the last instant that jiff can represent.
const LAST_TIME: TimeUs = TimeUs(253_402_207_199_000_000);

/// Writes rows, and reuses its buffers from row to row.
#[derive(Debug, Default)]
pub struct LineWriter {
    transcoder: Transcoder,
}

impl LineWriter {
    /// Returns a writer with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the row's event, without a line feed, for example to [`Batch::line_buffer`]. Returns the
    /// line's entry of the sidecar if it is a commit without escapes in its header fields.
    ///
    /// [`Batch::line_buffer`]: crate::event::batch::Batch::line_buffer
    ///
    /// # Errors
    /// [`RowError`] if the payload is not strict DAG-CBOR, or if the time is before 1970; `out` is
    /// unchanged then.
    pub fn append(
        &mut self,
        row: &Row<'_>,
        format: EventFormat,
        out: &mut Vec<u8>,
    ) -> Result<Option<HeaderSpans>, RowError> {
        let start = out.len();
        let outcome = match format {
            EventFormat::V1 => self.append_v1(row, out),
            EventFormat::Native => self.append_native(row, out),
        };
        outcome.map_err(|CborError { what, at }| {
            out.truncate(start);
            RowError { seq: row.seq, what, at, block_at: row.payload_at + at }
        })
    }

    fn append_v1(
        &mut self,
        row: &Row<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<HeaderSpans>, CborError> {
        let time = display_time(row)?;
        let mut fields = Fields::new(out);
        out.extend_from_slice(b"{\"did\":");
        fields.places.did = fields.append(row.did, out);
        out.extend_from_slice(b",\"time_us\":");
        json::append_unsigned(time.0, out);
        out.extend_from_slice(b",\"cursor\":");
        json::append_unsigned(row.seq.0, out);
        out.extend_from_slice(b",\"kind\":\"");
        out.extend_from_slice(row.kind.as_str().as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(row.kind.as_str().as_bytes());
        out.extend_from_slice(b"\":");
        match row.kind.operation() {
            None => self.append_body(row, out)?,
            Some(operation) => {
                out.extend_from_slice(b"{\"rev\":");
                fields.places.rev = fields.append(row.rev, out);
                out.extend_from_slice(b",\"operation\":");
                fields.places.operation = fields.append(operation, out);
                out.extend_from_slice(b",\"collection\":");
                fields.places.collection = fields.append(row.collection, out);
                out.extend_from_slice(b",\"rkey\":");
                fields.places.rkey = fields.append(row.rkey, out);
                if row.kind != RowKind::Delete {
                    out.extend_from_slice(b",\"record\":");
                    self.append_payload(row, out)?;
                    out.extend_from_slice(b",\"cid\":\"");
                    cid::append_record_cid(row.payload, out);
                    out.push(b'"');
                }
                out.push(b'}');
            }
        }
        out.push(b'}');
        Ok(fields.spans(row, time, out))
    }

    fn append_native(
        &mut self,
        row: &Row<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Option<HeaderSpans>, CborError> {
        let time = display_time(row)?;
        let mut fields = Fields::new(out);
        let kind = row.kind.as_str();
        out.extend_from_slice(b"{\"$type\":\"network.bsky.jetstream.subscribeEvents#");
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        let seq = |out: &mut Vec<u8>| {
            append_name("seq", out);
            json::append_unsigned(row.seq.0, out);
        };
        // A server orders the members by name, so the body's is before `did`, after it, or after
        // `seq`.
        match row.kind {
            RowKind::Account => {
                append_name(kind, out);
                self.append_body(row, out)?;
                append_text("did", row.did, out);
                seq(out);
            }
            RowKind::Identity => {
                append_text("did", row.did, out);
                append_name(kind, out);
                self.append_body(row, out)?;
                seq(out);
            }
            RowKind::Sync => {
                append_text("did", row.did, out);
                seq(out);
                append_name(kind, out);
                self.append_body(row, out)?;
            }
            RowKind::Create | RowKind::Update | RowKind::Delete | RowKind::Resync => {
                self.append_native_commit(row, &mut fields, out)?;
                seq(out);
            }
        }
        append_name("time", out);
        // Writing to a vector cannot fail.
        let _ = write!(out, "\"{time}\"}}");
        // A later time has no text that could be parsed.
        let has_text = time <= LAST_TIME;
        Ok(fields.spans(row, time, out).filter(|_| has_text))
    }

    /// Appends the members of a commit that are before `seq`.
    fn append_native_commit(
        &mut self,
        row: &Row<'_>,
        fields: &mut Fields,
        out: &mut Vec<u8>,
    ) -> Result<(), CborError> {
        let has_record = row.kind != RowKind::Delete;
        if has_record {
            append_name("cid", out);
            out.push(b'"');
            cid::append_record_cid(row.payload, out);
            out.push(b'"');
        }
        append_name("collection", out);
        fields.places.collection = fields.append(row.collection, out);
        append_name("did", out);
        fields.places.did = fields.append(row.did, out);
        append_name("operation", out);
        fields.places.operation = fields.append(row.kind.operation().unwrap_or_default(), out);
        if has_record {
            append_name("record", out);
            self.append_payload(row, out)?;
        }
        append_name("rev", out);
        fields.places.rev = fields.append(row.rev, out);
        append_name("rkey", out);
        fields.places.rkey = fields.append(row.rkey, out);
        Ok(())
    }

    /// Appends the relay's event, which must be a map.
    fn append_body(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<(), CborError> {
        let start = out.len();
        self.append_payload(row, out)?;
        match out.get(start) {
            Some(b'{') if row.payload.first().is_some_and(|first| first >> 5 == 5) => Ok(()),
            _ => Err(CborError { what: "the relay's event is not a map", at: 0 }),
        }
    }

    fn append_payload(&mut self, row: &Row<'_>, out: &mut Vec<u8>) -> Result<(), CborError> {
        if row.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(CborError { what: "a payload of more than 16 MiB", at: MAX_PAYLOAD_BYTES });
        }
        self.transcoder.append(row.payload, out)
    }
}

/// Appends the header fields of a line, and notes their places.
struct Fields {
    /// Where the line starts in the buffer.
    start: usize,
    places: CommitPlaces,
    has_escapes: bool,
}

impl Fields {
    fn new(out: &[u8]) -> Self {
        Self { start: out.len(), places: CommitPlaces::default(), has_escapes: false }
    }

    /// Appends a string; returns its place.
    fn append(&mut self, text: &str, out: &mut Vec<u8>) -> (usize, usize) {
        let start = out.len() + 1 - self.start;
        json::append_string(text, out);
        let end = out.len() - 1 - self.start;
        self.has_escapes |= end - start != text.len();
        (start, end)
    }

    /// Returns the entry of a complete line. The relay's `seq` in the other kinds is not known here.
    fn spans(&self, row: &Row<'_>, time: TimeUs, out: &[u8]) -> Option<HeaderSpans> {
        let is_known = row.kind.operation().is_some() && !self.has_escapes;
        let line_bytes = out.len() - self.start;
        let spans = HeaderSpans::of_commit(time.0, row.seq.0, &self.places, line_bytes);
        spans.filter(|_| is_known)
    }
}

/// Appends the name of a member that is not the first.
fn append_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a member whose value is a string.
fn append_text(name: &str, text: &str, out: &mut Vec<u8>) {
    append_name(name, out);
    json::append_string(text, out);
}

fn display_time(row: &Row<'_>) -> Result<TimeUs, CborError> {
    let time = u64::try_from(row.display_time_us());
    time.map(TimeUs).map_err(|_| CborError { what: "the row's time lies before 1970", at: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::write::convert::RowBuf;

    const SYNC: &str = r#"{"did":"did:plc:a","time_us":1783175888395001,"cursor":7,"kind":"sync","sync":{"blocks":{"$bytes":"OqJl"},"did":"did:plc:a","rev":"3mptbypluud2a","seq":5,"time":"2026-07-04T14:38:08.101Z"}}"#;
    const ACCOUNT: &str = r#"{"did":"did:plc:a","time_us":1783175888395001,"cursor":7,"kind":"account","account":{"active":false,"did":"did:plc:a","seq":5,"status":"deleted","time":"t"}}"#;
    const DELETE: &str = r#"{"did":"did:plc:a","time_us":1783175888395001,"cursor":7,"kind":"commit","commit":{"rev":"r","operation":"delete","collection":"a.b.c","rkey":"<k>"}}"#;

    fn line(row: &Row<'_>, format: EventFormat) -> Result<String, RowError> {
        let mut out = Vec::new();
        let outcome = LineWriter::new().append(row, format, &mut out);
        assert!(outcome.is_ok() || out.is_empty());
        outcome.map(|_| String::from_utf8(out).unwrap())
    }

    #[test]
    fn each_kind_has_its_members_in_the_servers_order() {
        for (v1, native) in [
            (
                SYNC,
                r##"{"$type":"network.bsky.jetstream.subscribeEvents#sync","did":"did:plc:a","seq":7,"sync":{"blocks":{"$bytes":"OqJl"},"did":"did:plc:a","rev":"3mptbypluud2a","seq":5,"time":"2026-07-04T14:38:08.101Z"},"time":"2026-07-04T14:38:08.395001Z"}"##,
            ),
            (
                ACCOUNT,
                r##"{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{"active":false,"did":"did:plc:a","seq":5,"status":"deleted","time":"t"},"did":"did:plc:a","seq":7,"time":"2026-07-04T14:38:08.395001Z"}"##,
            ),
            (
                DELETE,
                r##"{"$type":"network.bsky.jetstream.subscribeEvents#commit","collection":"a.b.c","did":"did:plc:a","operation":"delete","rev":"r","rkey":"\u003ck\u003e","seq":7,"time":"2026-07-04T14:38:08.395001Z"}"##,
            ),
        ] {
            let row = RowBuf::from_line(v1.as_bytes(), None).unwrap();
            let v1 = v1.replace("<k>", "\\u003ck\\u003e");
            assert_eq!(line(&row.as_row(), EventFormat::V1), Ok(v1));
            assert_eq!(line(&row.as_row(), EventFormat::Native).as_deref(), Ok(native));
        }
    }

    #[test]
    fn the_entry_of_a_line_is_what_a_parse_finds() {
        let create = DELETE.replace("delete", "create").replace("<k>", "k");
        let create = create.replace("\"k\"", "\"k\",\"record\":{\"did\":\"x\",\"rev\":\"y\"}");
        let delete = DELETE.replace("<k>", "k");
        for (line, is_known) in
            [(&*create, true), (&delete, true), (DELETE, false), (ACCOUNT, false)]
        {
            let row = RowBuf::from_line(line.as_bytes(), None).unwrap();
            for format in [EventFormat::V1, EventFormat::Native] {
                let mut out = b"before".to_vec();
                let entry = LineWriter::new().append(&row.as_row(), format, &mut out).unwrap();
                let parsed = format.parse_spans(&out[6..]).unwrap();
                assert_eq!(entry, is_known.then_some(parsed), "{line}");
            }
            let far = RowBuf { indexed_at_us: i64::MAX, ..row };
            let native =
                LineWriter::new().append(&far.as_row(), EventFormat::Native, &mut Vec::new());
            assert_eq!(native, Ok(None));
        }
    }

    #[test]
    fn what_a_sync_stands_for_is_in_its_row() {
        let row = RowBuf::from_line(SYNC.as_bytes(), None).unwrap();
        assert_eq!((row.kind, &*row.rev), (RowKind::Sync, "3mptbypluud2a"));
        assert_eq!((&*row.collection, &*row.rkey), ("", ""));
    }

    #[test]
    fn a_row_that_is_no_event_is_named_and_leaves_nothing() {
        let sound = RowBuf::from_line(ACCOUNT.as_bytes(), None).unwrap();
        let at = |row: &RowBuf, what| {
            for format in [EventFormat::V1, EventFormat::Native] {
                let row = Row { payload_at: 100, ..row.as_row() };
                let error = line(&row, format).unwrap_err();
                assert_eq!((error.seq.0, error.what), (7, what));
                assert_eq!(error.block_at, 100 + error.at);
            }
        };
        at(&RowBuf { payload: vec![], ..sound.clone() }, "the end is missing");
        at(&RowBuf { payload: vec![0x80], ..sound.clone() }, "the relay's event is not a map");
        at(
            &RowBuf { payload: vec![0xa1, 0x61, b'a', 0xf7], ..sound.clone() },
            "a simple value other than false, true and null",
        );
        at(&RowBuf { witnessed_at_us: -1, ..sound }, "the row's time lies before 1970");
    }
}
