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

use super::time;

/// The prefix of every payload type.
const NSID: &str = "network.bsky.jetstream.subscribeEvents#";

/// Sequence numbers are below this (§3).
const SEQ_LIMIT: u64 = 1_000_000_000_000_000;

/// An event of the v2 stream.
pub struct Event<'a> {
    /// The DID of the repository.
    pub(super) did: RawString<'a>,
    /// The event's `time`, in Unix microseconds.
    pub time_us: u64,
    /// The sequence number, 1 to 10^15-1.
    pub seq: u64,
    /// The offset of the payload in the scanned text.
    pub(super) start: usize,
    pub(super) body: Body<'a>,
}

/// The part of an event that depends on its kind.
pub(super) enum Body<'a> {
    /// An operation on a record.
    Commit(Change<'a>),
    /// An identity, account or sync event, as the relay sent it.
    Relayed(Kind, Relayed<'a>),
}

/// The fields of a commit.
pub(super) struct Change<'a> {
    pub(super) rev: RawString<'a>,
    pub(super) operation: RawString<'a>,
    pub(super) collection: RawString<'a>,
    pub(super) rkey: RawString<'a>,
    /// Any JSON value; `None` for a delete.
    pub(super) record: Option<&'a str>,
    /// A JSON value, quotes included; `None` for a delete.
    pub(super) cid: Option<&'a str>,
}

/// The object of an event that the relay sent.
#[derive(Clone, Copy)]
pub(super) struct Relayed<'a> {
    /// The object as JSON.
    pub(super) json: &'a str,
    /// The relay's sequence number; `None` if the object has none.
    pub(super) seq: Option<u64>,
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
    kind: Option<RawString<'a>>,
    did: Option<RawString<'a>>,
    time: Option<RawString<'a>>,
    seq: Option<u64>,
    rev: Option<RawString<'a>>,
    operation: Option<RawString<'a>>,
    collection: Option<RawString<'a>>,
    rkey: Option<RawString<'a>>,
    record: Option<&'a str>,
    cid: Option<&'a str>,
    identity: Option<Relayed<'a>>,
    account: Option<Relayed<'a>>,
    sync: Option<Relayed<'a>>,
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
    header_spans::check_length(line)?;
    let mut scanner = Scanner::new(line)?;
    let mut members = Members::default();
    read(&mut scanner, &mut members)?;
    scanner.end()?;
    match members.finish()? {
        Payload::Event(event) => {
            event.check_escapes()?;
            Ok(event.native_spans())
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
        let string: &mut Option<RawString<'a>> = match key {
            "$type" => &mut self.kind,
            "did" => &mut self.did,
            "time" => &mut self.time,
            "rev" => &mut self.rev,
            "operation" => &mut self.operation,
            "collection" => &mut self.collection,
            "rkey" => &mut self.rkey,
            "name" => &mut self.name,
            "message" => &mut self.message,
            "seq" => return self.take_seq(scanner),
            "record" => return raw(scanner).map(|json| self.record = Some(json)),
            "cid" => return raw(scanner).map(|json| self.cid = Some(json)),
            "identity" => return relayed(scanner).map(|body| self.identity = body),
            "account" => return relayed(scanner).map(|body| self.account = body),
            "sync" => return relayed(scanner).map(|body| self.sync = body),
            _ => return scanner.skip_value(),
        };
        const WHAT: &str = "a member of the payload is no string";
        if scanner.peek() == Some(b'"') {
            *string = Some(scanner.string(WHAT)?);
            return Ok(());
        }
        *string = None;
        self.fault.get_or_insert_with(|| scanner.malformed(WHAT));
        scanner.skip_value()
    }

    fn take_seq(&mut self, scanner: &mut Scanner<'a>) -> Result<(), Malformed> {
        match scanner.integer("seq is no unsigned integer") {
            Ok(seq) => {
                self.seq = Some(seq);
                Ok(())
            }
            Err(error) => {
                self.fault.get_or_insert(error);
                scanner.skip_value()
            }
        }
    }

    /// Validates the members and combines them into a payload.
    pub(super) fn finish(&self) -> Result<Payload<'a>, Malformed> {
        let missing = |what| Malformed { what, at: 0 };
        let kind = self.kind.ok_or_else(|| missing("no member $type in the payload"))?.decode()?;
        let body = match kind.strip_prefix(NSID) {
            Some("commit") => None,
            Some("identity") => Some((Kind::Identity, self.identity)),
            Some("account") => Some((Kind::Account, self.account)),
            Some("sync") => Some((Kind::Sync, self.sync)),
            Some("info") => {
                let decode =
                    |text: Option<RawString<'a>>| text.map_or(Ok("".into()), |t| t.decode());
                return Ok(Payload::Info {
                    name: decode(self.name)?,
                    message: decode(self.message)?,
                });
            }
            _ => return Ok(Payload::Unknown(kind)),
        };
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let body = match body {
            None => Body::Commit(Change {
                rev: self.rev.ok_or_else(|| missing("no member rev"))?,
                operation: self.operation.ok_or_else(|| missing("no member operation"))?,
                collection: self.collection.ok_or_else(|| missing("no member collection"))?,
                rkey: self.rkey.ok_or_else(|| missing("no member rkey"))?,
                record: self.record,
                cid: self.cid,
            }),
            Some((kind, relayed)) => {
                let what = "the object that the payload's type names is missing";
                Body::Relayed(kind, relayed.ok_or_else(|| missing(what))?)
            }
        };
        let time = self.time.ok_or_else(|| missing("no member time"))?.decode()?;
        let seq = self.seq.ok_or_else(|| missing("no member seq"))?;
        if !(1..SEQ_LIMIT).contains(&seq) {
            return Err(missing("seq is not between 1 and 10^15"));
        }
        Ok(Payload::Event(Event {
            did: self.did.ok_or_else(|| missing("no member did"))?,
            time_us: time::parse_us(&time)
                .ok_or_else(|| missing("time is not like 2026-07-04T14:38:08.085434Z"))?,
            seq,
            start: 0,
            body,
        }))
    }
}

impl Event<'_> {
    /// Returns the places of the header fields in the payload, which is the event's line in native
    /// format. Escapes are not checked.
    #[must_use]
    pub fn native_spans(&self) -> HeaderSpans {
        let place = |string: &RawString<'_>| FieldSpan::of(string, string.start() - self.start);
        let body = match &self.body {
            Body::Commit(change) => BodySpans::Commit(CommitSpans {
                rev: place(&change.rev),
                operation: place(&change.operation),
                collection: place(&change.collection),
                rkey: place(&change.rkey),
            }),
            Body::Relayed(kind, relayed) => BodySpans::Relayed(*kind, relayed.seq),
        };
        HeaderSpans::new(place(&self.did), self.time_us, self.seq, body)
    }

    /// Fails if a header field has an invalid escape.
    fn check_escapes(&self) -> Result<(), Malformed> {
        if let Body::Commit(change) = &self.body {
            for field in [&change.operation, &change.rev, &change.collection, &change.rkey] {
                field.decode()?;
            }
        }
        self.did.decode().map(drop)
    }
}

fn raw<'a>(scanner: &mut Scanner<'a>) -> Result<&'a str, Malformed> {
    let start = scanner.offset();
    scanner.skip_value()?;
    Ok(scanner.text_since(start))
}

fn relayed<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Relayed<'a>>, Malformed> {
    let start = scanner.offset();
    if scanner.peek() != Some(b'{') {
        return scanner.skip_value().map(|()| None);
    }
    let seq = header::relay_seq(scanner)?;
    Ok(Some(Relayed { json: scanner.text_since(start), seq }))
}
