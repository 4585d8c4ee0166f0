//! Parses an event of the v2 stream, whatever the order of its members, by the message's structural
//! index.
//!
//! As with v1, this fast path never rejects a message. For advisories, errors, types of later
//! servers and anything unexpected it returns `None`, and the general parser reads the message.

use crate::event::fast_path::relay_seq;
use crate::event::header_spans::{FieldSpan, HeaderSpans};
use crate::event::header_types::Kind;
use crate::event::members::{self, Found, SlotSet, slot};
use crate::event::simd::dispatch;
use crate::event::simd::structural_index::{IndexReader, IndexedLine};
use crate::event::walk::{Key, Members, Walk, key_word};

use super::payload::{Event, Fields, Relayed, event_kind};

/// Parses a message whose envelope has an event.
#[inline]
pub(super) fn read(message: &[u8]) -> Option<Event<'_>> {
    dispatch::index::<Envelope>(message)
}

/// Parses the places of the header fields of one event in native format.
#[inline]
pub(super) fn parse_native(line: &[u8]) -> Option<HeaderSpans> {
    dispatch::index::<NativeLine>(line)
}

/// The members of a message.
#[derive(Default)]
struct Envelope {
    kind: FieldSpan,
    payload: Payload,
}

impl IndexReader for Envelope {
    type Found<'a> = Event<'a>;

    #[inline(always)]
    fn read<'a>(index: IndexedLine<'a, '_>) -> Option<Event<'a>> {
        let walk = Walk::new(index);
        match usual_message(walk) {
            Some(event) => Some(event),
            None => any_message(walk),
        }
    }
}

#[inline(always)]
fn usual_message<'a>(mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    walk = walk.after(b"{\"$type\":\"message\",\"payload\":")?;
    let commit = usual_commit(&mut walk)?;
    walk = walk.after(b"}")?;
    walk.end()?;
    commit.event(&walk)
}

#[inline(always)]
fn any_message<'a>(mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let mut envelope = Envelope::default();
    walk.members(&mut envelope)?;
    walk.end()?;
    if walk.text(envelope.kind) != b"message" {
        return None;
    }
    envelope.payload.event(&walk)
}

/// The payload of a commit in the usual order.
struct UsualCommit {
    place: FieldSpan,
    fields: Fields,
    time: FieldSpan,
}

impl UsualCommit {
    #[inline(always)]
    fn event<'a>(&self, walk: &Walk<'a, '_>) -> Option<Event<'a>> {
        let time = Some(walk.text(self.time));
        self.fields.event(walk.line(), self.place, Kind::Commit, time).ok()
    }
}

/// Passes the payload of a commit whose members are in the order in which today's servers write
/// them. It compares several names at once. `None` for anything else.
#[inline(always)]
fn usual_commit(to: &mut Walk<'_, '_>) -> Option<UsualCommit> {
    let start = to.pos();
    let mut walk = to.after(b"{\"$type\":\"network.bsky.jetstream.subscribeEvents#commit\"")?;
    let mut fields = Fields::default();
    if let Some(after) = walk.after(b",\"cid\":") {
        walk = after;
        fields.cid = Some(walk.raw()?);
    }
    walk = walk.after(b",\"collection\":\"")?;
    fields.collection = Some(walk.string_body()?);
    walk = walk.after(b",\"did\":\"")?;
    fields.did = Some(walk.string_body()?);
    walk = walk.after(b",\"operation\":\"")?;
    fields.operation = Some(walk.string_body()?);
    if let Some(after) = walk.after(b",\"record\":") {
        walk = after;
        fields.record = Some(walk.raw()?);
    }
    walk = walk.after(b",\"rev\":\"")?;
    fields.rev = Some(walk.string_body()?);
    walk = walk.after(b",\"rkey\":\"")?;
    fields.rkey = Some(walk.string_body()?);
    walk = walk.after(b",\"seq\":")?;
    let digits = walk.pos();
    fields.seq = Some((walk.integer()?, FieldSpan::plain(digits, walk.pos())));
    walk = walk.after(b",\"time\":\"")?;
    let time = walk.string_body()?;
    walk = walk.after(b"}")?;
    *to = walk;
    Some(UsualCommit { place: FieldSpan::plain(start, walk.pos()), fields, time })
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
struct NativeLine;

impl IndexReader for NativeLine {
    type Found<'a> = HeaderSpans;

    #[inline(always)]
    fn read(index: IndexedLine<'_, '_>) -> Option<HeaderSpans> {
        let walk = Walk::new(index);
        match usual_line(walk) {
            Some(event) => Some(event.native_spans()),
            None => any_line(walk).map(|event| event.native_spans()),
        }
    }
}

#[inline(always)]
fn usual_line<'a>(mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let commit = usual_commit(&mut walk)?;
    walk.end()?;
    commit.event(&walk)
}

#[inline(always)]
fn any_line<'a>(mut walk: Walk<'a, '_>) -> Option<Event<'a>> {
    let mut payload = Payload::default();
    walk.members(&mut payload)?;
    payload.place = FieldSpan::plain(0, walk.pos());
    walk.end()?;
    payload.event(&walk)
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
    identity: Option<Relayed>,
    account: Option<Relayed>,
    sync: Option<Relayed>,
}

impl Payload {
    #[inline(always)]
    fn event<'a>(&self, walk: &Walk<'a, '_>) -> Option<Event<'a>> {
        let found = &self.found;
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
            identity: self.identity,
            account: self.account,
            sync: self.sync,
        };
        fields.event(walk.line(), self.place, kind, Some(walk.text(found.place(TIME)))).ok()
    }
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
            OtherMember::Relayed(Kind::Identity, found) => self.identity = found,
            OtherMember::Relayed(Kind::Account, found) => self.account = found,
            OtherMember::Relayed(_, found) => self.sync = found,
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
