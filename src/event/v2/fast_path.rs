//! Parses an event of the v2 stream, whatever the order of its members, by the message's structural
//! index.
//!
//! As with v1, this fast path never rejects a message. For advisories, errors, types of later
//! servers and anything unexpected it returns `None`, and the general parser reads the message.

use crate::event::fast_path::relay_seq;
use crate::event::header_spans::{FieldSpan, HeaderSpans};
use crate::event::header_types::Kind;
use crate::event::learned_order::LearnedOrder;
use crate::event::members::{self, Found, SlotSet, slot};
use crate::event::simd::dispatch;
use crate::event::simd::structural_index::{IndexReader, IndexedLine};
use crate::event::walk::{Key, Members, Walk, key_word};

use super::payload::{Event, Fields, Relayed, event_kind};
use super::time::MinuteCache;
use super::usual_order::usual_commit;

/// Reads the messages of one stream. It remembers what earlier ones had in common with later ones.
#[derive(Debug, Default)]
pub struct EventReader {
    minute: MinuteCache,
    order: LearnedOrder,
    /// The number of bytes of a message before and after its payload, in the learned order.
    around: (usize, usize),
}

impl EventReader {
    /// Parses a message whose envelope has an event, if nothing in it is unusual. `None` says
    /// nothing about the message: pass it to [`read_any`](super::read_any).
    #[must_use]
    #[inline]
    pub fn read<'a>(&mut self, message: &'a [u8]) -> Option<Event<'a>> {
        dispatch::index(&mut Envelopes(self), message)
    }

    /// As [`EventReader::read`], for the event's line in native format.
    #[must_use]
    #[inline]
    pub fn read_native(&mut self, message: &[u8]) -> Option<NativeEvent> {
        dispatch::index(&mut NativeEnvelopes(self), message)
    }
}

/// An event as its line in native format, which is a part of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeEvent {
    /// The offset of the line in the message.
    pub start: usize,
    /// The offset of the end of the line in the message.
    pub end: usize,
    /// The sequence number.
    pub seq: u64,
    /// The places of the header fields in the line.
    pub spans: HeaderSpans,
}

impl NativeEvent {
    #[inline(always)]
    fn of(event: &Event<'_>) -> Self {
        let start = event.payload.start();
        let end = start + event.payload.plain_length();
        Self { start, end, seq: event.seq, spans: event.native_spans() }
    }
}

/// Parses the places of the header fields of one event in native format.
#[inline]
pub(super) fn parse_native(line: &[u8]) -> Option<HeaderSpans> {
    dispatch::index(&mut NativeLine, line)
}

/// Messages of which the whole event is wanted.
struct Envelopes<'r>(&'r mut EventReader);

/// Messages of which the payload is wanted.
struct NativeEnvelopes<'r>(&'r mut EventReader);

impl IndexReader for Envelopes<'_> {
    type Found<'a> = Event<'a>;

    #[inline(always)]
    fn read<'a>(&mut self, index: IndexedLine<'a, '_>) -> Option<Event<'a>> {
        message(self.0, Walk::new(index))
    }
}

impl IndexReader for NativeEnvelopes<'_> {
    type Found<'a> = NativeEvent;

    #[inline(always)]
    fn read<'a>(&mut self, index: IndexedLine<'a, '_>) -> Option<NativeEvent> {
        message(self.0, Walk::new(index)).map(|event| NativeEvent::of(&event))
    }
}

#[inline(always)]
fn message<'a>(reader: &mut EventReader, walk: Walk<'a, '_>) -> Option<Event<'a>> {
    if let Some(event) = usual_message(&mut reader.minute, walk) {
        return Some(event);
    }
    match learned_message(reader, walk) {
        Some(event) => Some(event),
        None => any_message(reader, walk),
    }
}

#[inline(always)]
fn usual_message<'a>(minute: &mut MinuteCache, mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    walk = walk.after(b"{\"$type\":\"message\",\"payload\":")?;
    let commit = usual_commit(&mut walk)?;
    walk = walk.after(b"}")?;
    walk.end()?;
    commit.event(&walk, minute)
}

/// Parses a commit whose members are in the order of an earlier one.
#[inline(always)]
fn learned_message<'a>(reader: &mut EventReader, mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let found = reader.order.read(&mut walk)?;
    let (before, after) = reader.around;
    let place = FieldSpan::plain(before, walk.line().len().checked_sub(after)?);
    payload_event(&walk, &found, place, &mut reader.minute, Relays::default())
}

/// Parses an event whose members are in any order.
#[inline(always)]
fn any_message<'a>(reader: &mut EventReader, mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let mut envelope = Envelope::default();
    walk.members(&mut envelope)?;
    walk.end()?;
    if walk.text(envelope.kind) != b"message" {
        return None;
    }
    let Payload { place, found, relays } = &envelope.payload;
    let event = payload_event(&walk, found, *place, &mut reader.minute, *relays)?;
    if relays.is_empty() {
        reader.learn(walk.line(), found, *place);
    }
    Some(event)
}

impl EventReader {
    #[inline(always)]
    fn learn(&mut self, line: &[u8], found: &Found, payload: FieldSpan) {
        if self.order.is_due(found) {
            self.order.learn(line, found);
            let end = payload.start() + payload.plain_length();
            self.around = (payload.start(), line.len() - end);
        }
    }
}

/// The members of a message.
#[derive(Default)]
struct Envelope {
    kind: FieldSpan,
    payload: Payload,
}

impl Members for Envelope {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        const TYPE: u64 = key_word("$type");
        const PAYLOAD: u64 = key_word("payload");
        match key.word {
            TYPE => self.kind = walk.string()?,
            PAYLOAD => {
                // Of a repeated payload the last one counts.
                self.payload = Payload::default();
                let start = walk.pos();
                walk.members(&mut self.payload)?;
                self.payload.place = FieldSpan::plain(start, walk.pos());
            }
            _ => walk.skip()?,
        }
        Some(())
    }
}

/// A line in native format.
#[derive(Default)]
struct NativeLine;

impl IndexReader for NativeLine {
    type Found<'a> = HeaderSpans;

    #[inline(always)]
    fn read(&mut self, index: IndexedLine<'_, '_>) -> Option<HeaderSpans> {
        let walk = Walk::new(index);
        let event = match usual_line(walk) {
            Some(event) => Some(event),
            None => any_line(walk),
        };
        event.map(|event| event.native_spans())
    }
}

#[inline(always)]
fn usual_line<'a>(mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let commit = usual_commit(&mut walk)?;
    walk.end()?;
    commit.event(&walk, &mut MinuteCache::default())
}

#[inline(always)]
fn any_line<'a>(mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let mut payload = Payload::default();
    walk.members(&mut payload)?;
    let place = FieldSpan::plain(0, walk.pos());
    walk.end()?;
    payload_event(&walk, &payload.found, place, &mut MinuteCache::default(), payload.relays)
}

const TYPE: usize = slot("$type");
const CID: usize = slot("cid");
const COLLECTION: usize = slot("collection");
const DID: usize = slot("did");
const OPERATION: usize = slot("operation");
const RECORD: usize = slot("record");
const REV: usize = slot("rev");
const RKEY: usize = slot("rkey");
const SEQ: usize = slot("seq");
const TIME: usize = slot("time");
const STRINGS: SlotSet =
    SlotSet::of(&["$type", "collection", "did", "operation", "rev", "rkey", "time"]);
const INTEGERS: SlotSet = SlotSet::of(&["seq"]);

/// The members of a payload.
#[derive(Default)]
struct Payload {
    place: FieldSpan,
    found: Found,
    relays: Relays,
}

/// The objects of events that the relay sent.
#[derive(Clone, Copy, Default)]
struct Relays {
    identity: Option<Relayed>,
    account: Option<Relayed>,
    sync: Option<Relayed>,
}

impl Relays {
    fn is_empty(&self) -> bool {
        self.identity.is_none() && self.account.is_none() && self.sync.is_none()
    }
}

/// Combines the members of a payload.
#[inline(always)]
fn payload_event<'a>(
    walk: &Walk<'a, '_>,
    found: &Found,
    place: FieldSpan,
    minute: &mut MinuteCache,
    relays: Relays,
) -> Option<Event<'a>> {
    found.check(STRINGS, INTEGERS)?;
    found.check_name(walk, OPERATION, b"operation")?;
    found.check_name(walk, COLLECTION, b"collection")?;
    let kind = event_kind(walk.text(found.place(TYPE)))?;
    let fields = Fields {
        did: found.place_if_seen(DID),
        seq: found.place_if_seen(SEQ).map(|digits| (found.number(walk, SEQ), digits)),
        rev: found.place_if_seen(REV),
        operation: found.place_if_seen(OPERATION),
        collection: found.place_if_seen(COLLECTION),
        rkey: found.place_if_seen(RKEY),
        record: found.raw(RECORD),
        cid: found.raw(CID),
        identity: relays.identity,
        account: relays.account,
        sync: relays.sync,
    };
    let time = Some(walk.text(found.place(TIME)));
    fields.event(walk.line(), place, kind, time, minute).ok()
}

impl Members for Payload {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        if let Some(slot) = members::find(key) {
            return self.found.take(walk, key, slot);
        }
        let (after, member) = other_member(*walk, key)?;
        *walk = after;
        match member {
            OtherMember::Relayed(Kind::Identity, found) => self.relays.identity = found,
            OtherMember::Relayed(Kind::Account, found) => self.relays.account = found,
            OtherMember::Relayed(_, found) => self.relays.sync = found,
            OtherMember::Skipped => {}
        }
        Some(())
    }
}

/// A member that commits do not have.
enum OtherMember {
    /// The object of an event that the relay sent; `None` for a value of another type.
    Relayed(Kind, Option<Relayed>),
    /// Any other.
    Skipped,
}

/// Passes a member that commits do not have. A call, because most events are commits.
#[inline(never)]
fn other_member<'a, 'i>(mut walk: Walk<'a, 'i>, key: Key) -> Option<(Walk<'a, 'i>, OtherMember)> {
    const IDENTITY: u64 = key_word("identity");
    const ACCOUNT: u64 = key_word("account");
    const SYNC: u64 = key_word("sync");
    const NAME: u64 = key_word("name");
    const MESSAGE: u64 = key_word("message");
    let kind = match key.word {
        IDENTITY if walk.is_key(key, b"identity") => Kind::Identity,
        ACCOUNT => Kind::Account,
        SYNC => Kind::Sync,
        _ => {
            match key.word {
                // Only advisories have them, but they must be strings in every payload.
                NAME | MESSAGE => drop(walk.string()?),
                _ => walk.skip()?,
            }
            return Some((walk, OtherMember::Skipped));
        }
    };
    let (start, is_object) = (walk.pos(), walk.peek()? == b'{');
    let seq = relay_seq(&mut walk)?;
    let json = FieldSpan::plain(start, walk.pos());
    let relayed = is_object.then_some(Relayed { json, seq });
    Some((walk, OtherMember::Relayed(kind, relayed)))
}

#[cfg(test)]
mod tests;
