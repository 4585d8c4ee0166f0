//! Parses the payload of a v2 message: one event, with its fields as slices of the message.
//!
//! Source: protocol/jetstream-v2.md §3. Members may come in any order. Only the payload's own
//! members count, not nested ones with the same names. If a member occurs twice, the last one
//! counts, as for `jq` and most parsers.

use std::borrow::Cow;

use crate::event::error::Malformed;
use crate::event::header::{self, Kind};
use crate::event::header_spans::{self, BodySpans, CommitSpans, FieldSpan, HeaderSpans};
use crate::event::scanner::{RawString, Scanner};

use super::fast_path;
use super::time::MinuteCache;

/// The prefix of every payload type.
const NSID: &str = "network.bsky.jetstream.subscribeEvents#";

/// Sequence numbers are below this (§3).
const SEQ_LIMIT: u64 = 1_000_000_000_000_000;

/// An event of the v2 stream: its numbers, and the places of its fields in the message.
pub struct Event<'a> {
    pub(super) message: &'a [u8],
    /// The place of the payload.
    pub(super) payload: FieldSpan,
    /// The DID of the repository.
    pub(super) did: FieldSpan,
    /// The event's `time`, in Unix microseconds.
    pub time_us: u64,
    /// The sequence number, 1 to 10^15-1.
    pub seq: u64,
    /// The digits of the sequence number.
    pub(super) seq_digits: FieldSpan,
    pub(super) body: Body,
}

/// The part of an event that depends on its kind.
pub(super) enum Body {
    /// An operation on a record.
    Commit(Change),
    /// An identity, account or sync event, as the relay sent it.
    Relayed(Kind, Relayed),
}

/// The fields of a commit.
pub(super) struct Change {
    pub(super) fields: CommitSpans,
    /// Any JSON value; `None` for a delete.
    pub(super) record: Option<FieldSpan>,
    /// A JSON value, quotes included; `None` for a delete.
    pub(super) cid: Option<FieldSpan>,
}

/// The object of an event that the relay sent.
#[derive(Clone, Copy)]
pub(super) struct Relayed {
    /// The object as JSON.
    pub(super) json: FieldSpan,
    /// The relay's sequence number; `None` if the object has none.
    pub(super) seq: Option<u64>,
}

/// The members of a payload that make an event.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) did: Option<FieldSpan>,
    /// The sequence number and its digits.
    pub(super) seq: Option<(u64, FieldSpan)>,
    pub(super) rev: Option<FieldSpan>,
    pub(super) operation: Option<FieldSpan>,
    pub(super) collection: Option<FieldSpan>,
    pub(super) rkey: Option<FieldSpan>,
    pub(super) record: Option<FieldSpan>,
    pub(super) cid: Option<FieldSpan>,
    pub(super) identity: Option<Relayed>,
    pub(super) account: Option<Relayed>,
    pub(super) sync: Option<Relayed>,
}

/// Returns whether a number is one of the stream.
#[inline(always)]
pub(super) fn is_seq(seq: u64) -> bool {
    (1..SEQ_LIMIT).contains(&seq)
}

/// Returns the kind of events of this payload type; `None` if they are of a later kind.
#[inline]
pub(super) fn event_kind(payload_type: &[u8]) -> Option<Kind> {
    match payload_type.strip_prefix(NSID.as_bytes())? {
        b"commit" => Some(Kind::Commit),
        b"identity" => Some(Kind::Identity),
        b"account" => Some(Kind::Account),
        b"sync" => Some(Kind::Sync),
        _ => None,
    }
}

impl Fields {
    /// Validates the members of an event and combines them.
    #[inline]
    pub(super) fn event<'a>(
        &self,
        message: &'a [u8],
        payload: FieldSpan,
        kind: Kind,
        time: Option<&[u8]>,
        minute: &mut MinuteCache,
    ) -> Result<Event<'a>, Malformed> {
        let missing = |what| Malformed { what, at: 0 };
        let relayed = match kind {
            Kind::Identity => self.identity,
            Kind::Account => self.account,
            Kind::Sync => self.sync,
            Kind::Commit | Kind::Other => None,
        };
        let body = match (kind, relayed) {
            (Kind::Commit, _) => {
                let fields = CommitSpans {
                    rev: self.rev.ok_or_else(|| missing("no member rev"))?,
                    operation: self.operation.ok_or_else(|| missing("no member operation"))?,
                    collection: self.collection.ok_or_else(|| missing("no member collection"))?,
                    rkey: self.rkey.ok_or_else(|| missing("no member rkey"))?,
                };
                Body::Commit(Change { fields, record: self.record, cid: self.cid })
            }
            (kind, Some(relayed)) => Body::Relayed(kind, relayed),
            (_, None) => {
                return Err(missing("the object that the payload's type names is missing"));
            }
        };
        let time = time.ok_or_else(|| missing("no member time"))?;
        let (seq, seq_digits) = self.seq.ok_or_else(|| missing("no member seq"))?;
        if !is_seq(seq) {
            return Err(missing("seq is not between 1 and 10^15"));
        }
        let did = self.did.ok_or_else(|| missing("no member did"))?;
        let time_us = minute
            .parse_us(time)
            .ok_or_else(|| missing("time is not like 2026-07-04T14:38:08.085434Z"))?;
        Ok(Event { message, payload, did, time_us, seq, seq_digits, body })
    }
}

/// A payload, by its type.
pub(super) enum Payload<'a> {
    /// One of the event types.
    Event(Event<'a>),
    /// An advisory (`#info`).
    Info {
        /// For example `OutdatedCursor`.
        name: Cow<'a, str>,
        /// The server's text for people.
        message: Cow<'a, str>,
    },
    /// A type that only later servers have, with its name.
    Unknown(Cow<'a, str>),
}

/// The members of a payload, not validated yet: an envelope of an unknown type may have any.
#[derive(Default)]
pub(super) struct Members<'a> {
    fields: Fields,
    kind: Option<RawString<'a>>,
    time: Option<RawString<'a>>,
    name: Option<RawString<'a>>,
    message: Option<RawString<'a>>,
    /// The first member with a known name and a value of the wrong type. It is not an error yet,
    /// because a payload type of a later server may use the name differently.
    fault: Option<Malformed>,
}

/// Parses the places of the header fields of one event in native format, and checks the line's
/// structure.
///
/// # Errors
/// [`Malformed`] if the line is not one balanced JSON object with closed strings and without raw
/// control characters, or not an event of a known type.
pub fn parse_spans(line: &[u8]) -> Result<HeaderSpans, Malformed> {
    match fast_path::parse_native(line) {
        Some(spans) => Ok(spans),
        None => parse_any(line),
    }
}

/// Parses a line with the general parser.
pub(super) fn parse_any(line: &[u8]) -> Result<HeaderSpans, Malformed> {
    parse_event(line).map(|event| event.native_spans())
}

/// Parses one event in native format, with all fields.
///
/// # Errors
/// As [`parse_spans`].
pub fn parse_event(line: &[u8]) -> Result<Event<'_>, Malformed> {
    header_spans::check_length(line)?;
    let mut scanner = Scanner::new(line)?;
    let mut members = Members::default();
    read(&mut scanner, &mut members)?;
    let payload = FieldSpan::plain(0, scanner.offset());
    scanner.end()?;
    match members.finish(line, payload)? {
        Payload::Event(event) => {
            event.check_escapes()?;
            Ok(event)
        }
        Payload::Info { .. } | Payload::Unknown(_) => {
            Err(Malformed { what: "no event of a known type", at: 0 })
        }
    }
}

/// Parses the next value, which must be an object, into `found`.
pub(super) fn read<'a>(
    scanner: &mut Scanner<'a>,
    found: &mut Members<'a>,
) -> Result<(), Malformed> {
    header::members(scanner, "a payload object expected", |scanner, key| found.take(scanner, key))
}

impl<'a> Members<'a> {
    fn take(&mut self, scanner: &mut Scanner<'a>, key: &str) -> Result<(), Malformed> {
        let field = match key {
            "$type" => return self.take_string(scanner, |members| &mut members.kind),
            "time" => return self.take_string(scanner, |members| &mut members.time),
            "name" => return self.take_string(scanner, |members| &mut members.name),
            "message" => return self.take_string(scanner, |members| &mut members.message),
            "did" => &mut self.fields.did,
            "rev" => &mut self.fields.rev,
            "operation" => &mut self.fields.operation,
            "collection" => &mut self.fields.collection,
            "rkey" => &mut self.fields.rkey,
            "seq" => return self.take_seq(scanner),
            "record" => return raw(scanner).map(|json| self.fields.record = Some(json)),
            "cid" => return raw(scanner).map(|json| self.fields.cid = Some(json)),
            "identity" => return relayed(scanner).map(|body| self.fields.identity = body),
            "account" => return relayed(scanner).map(|body| self.fields.account = body),
            "sync" => return relayed(scanner).map(|body| self.fields.sync = body),
            _ => return scanner.skip_value(),
        };
        *field = string(scanner, &mut self.fault)?.map(|s| FieldSpan::of(&s, s.start()));
        Ok(())
    }

    fn take_string(
        &mut self,
        scanner: &mut Scanner<'a>,
        member: impl FnOnce(&mut Self) -> &mut Option<RawString<'a>>,
    ) -> Result<(), Malformed> {
        let found = string(scanner, &mut self.fault)?;
        *member(self) = found;
        Ok(())
    }

    fn take_seq(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        let start = scanner.offset();
        match scanner.integer("seq is no unsigned integer") {
            Ok(seq) => {
                let digits = FieldSpan::plain(start, start + scanner.text_since(start).len());
                self.fields.seq = Some((seq, digits));
                Ok(())
            }
            Err(error) => {
                self.fault.get_or_insert(error);
                scanner.skip_value()
            }
        }
    }

    /// Validates the members and combines them into a payload, whose place in the message is given.
    pub(super) fn finish(
        &self,
        message: &'a [u8],
        payload: FieldSpan,
    ) -> Result<Payload<'a>, Malformed> {
        let missing = |what| Malformed { what, at: 0 };
        let kind = self.kind.ok_or_else(|| missing("no member $type in the payload"))?.decode()?;
        let Some(event_kind) = event_kind(kind.as_bytes()) else {
            if kind.strip_prefix(NSID) != Some("info") {
                return Ok(Payload::Unknown(kind));
            }
            let decode = |text: Option<RawString<'a>>| text.map_or(Ok("".into()), |t| t.decode());
            return Ok(Payload::Info { name: decode(self.name)?, message: decode(self.message)? });
        };
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let time = self.time.map(|time| time.decode()).transpose()?;
        let time = time.as_deref().map(str::as_bytes);
        let minute = &mut MinuteCache::default();
        self.fields.event(message, payload, event_kind, time, minute).map(Payload::Event)
    }
}

impl<'a> Event<'a> {
    /// Returns the payload, which is the event's line in native format.
    #[must_use]
    #[inline]
    pub fn native_line(&self) -> &'a [u8] {
        self.payload.bytes(self.message)
    }

    /// Returns the places of the header fields in the payload, which is the event's line in native
    /// format. Escapes are not checked.
    #[must_use]
    #[inline]
    pub fn native_spans(&self) -> HeaderSpans {
        let start = self.payload.start();
        let place = |field: FieldSpan| field.moved_to(field.start() - start);
        let body = match &self.body {
            Body::Commit(Change { fields, .. }) => BodySpans::Commit(CommitSpans {
                rev: place(fields.rev),
                operation: place(fields.operation),
                collection: place(fields.collection),
                rkey: place(fields.rkey),
            }),
            Body::Relayed(kind, relayed) => BodySpans::Relayed(*kind, relayed.seq),
        };
        HeaderSpans::new(place(self.did), self.time_us, self.seq, body)
    }

    /// Fails if a header field has an invalid escape.
    fn check_escapes(&self) -> Result<(), Malformed> {
        if let Body::Commit(Change { fields, .. }) = &self.body {
            for field in [fields.operation, fields.rev, fields.collection, fields.rkey] {
                field.check_escapes(self.message)?;
            }
        }
        self.did.check_escapes(self.message)
    }
}

/// Reads a string; `None` for a value of another type, which is a fault.
fn string<'a>(
    scanner: &mut Scanner<'a>,
    fault: &mut Option<Malformed>,
) -> Result<Option<RawString<'a>>, Malformed> {
    const WHAT: &str = "a member of the payload is no string";
    if scanner.peek() == Some(b'"') {
        return scanner.string(WHAT).map(Some);
    }
    fault.get_or_insert_with(|| scanner.malformed(WHAT));
    scanner.skip_value().map(|()| None)
}

fn raw(scanner: &mut Scanner<'_>) -> Result<FieldSpan, Malformed> {
    let start = scanner.offset();
    scanner.skip_value()?;
    Ok(FieldSpan::plain(start, start + scanner.text_since(start).len()))
}

fn relayed(scanner: &mut Scanner<'_>) -> Result<Option<Relayed>, Malformed> {
    let start = scanner.offset();
    if scanner.peek() != Some(b'{') {
        return scanner.skip_value().map(|()| None);
    }
    let seq = header::relay_seq(scanner)?;
    let json = FieldSpan::plain(start, start + scanner.text_since(start).len());
    Ok(Some(Relayed { json, seq }))
}
