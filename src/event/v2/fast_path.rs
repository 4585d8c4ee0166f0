//! Parses an event of the v2 stream, whatever the order of its members, by the message's structural
//! index.
//!
//! As with v1, this fast path never rejects a message. For advisories, errors, types of later
//! servers and anything unexpected it returns `None`, and the general parser reads the message.

use crate::event::fast_path::relay_seq;
use crate::event::header_spans::{FieldSpan, HeaderSpans};
use crate::event::header_types::Kind;
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
        let (mut walk, mut envelope) = (Walk::new(index), Self::default());
        if let Some(after) = walk.after(b"{\"$type\":\"message\",\"payload\":") {
            walk = after;
            envelope.kind = FieldSpan::plain(10, 17);
            envelope.payload.pass(&mut walk)?;
            walk.rest_of_members(&mut envelope)?;
        } else {
            walk.members(&mut envelope)?;
        }
        walk.end()?;
        if walk.text(envelope.kind) != b"message" {
            return None;
        }
        envelope.payload.event(&walk)
    }
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
        let (mut walk, mut payload) = (Walk::new(index), Payload::default());
        payload.pass(&mut walk)?;
        walk.end()?;
        payload.event(&walk).map(|event| event.native_spans())
    }
}

/// The members of a payload.
#[derive(Default)]
struct Payload {
    place: FieldSpan,
    kind: Word,
    time: FieldSpan,
    fields: Fields,
}

/// The type of a payload.
enum Word {
    Commit,
    /// The place of a type that is not known yet.
    Other(FieldSpan),
}

impl Default for Word {
    fn default() -> Self {
        Self::Other(FieldSpan::default())
    }
}

impl Payload {
    /// Passes a payload and notes its members. It expects the order in which today's servers write
    /// the members of a commit; members in any other order are passed one by one.
    #[inline(always)]
    fn pass(&mut self, walk: &mut Walk<'_, '_>) -> Option<()> {
        let start = walk.pos();
        if let Some(after) =
            walk.after(b"{\"$type\":\"network.bsky.jetstream.subscribeEvents#commit\"")
        {
            *walk = after;
            self.kind = Word::Commit;
            self.pass_commit(walk)?;
            walk.rest_of_members(self)?;
        } else {
            walk.members(self)?;
        }
        self.place = FieldSpan::plain(start, walk.pos());
        Some(())
    }

    #[inline(always)]
    fn pass_commit(&mut self, walk: &mut Walk<'_, '_>) -> Option<()> {
        let fields = &mut self.fields;
        if let Some(after) = walk.after(b",\"cid\":") {
            *walk = after;
            fields.cid = Some(walk.raw()?);
        }
        if let Some(after) = walk.after(b",\"collection\":\"") {
            *walk = after;
            fields.collection = Some(walk.string_body()?);
        }
        if let Some(after) = walk.after(b",\"did\":\"") {
            *walk = after;
            fields.did = Some(walk.string_body()?);
        }
        if let Some(after) = walk.after(b",\"operation\":\"") {
            *walk = after;
            fields.operation = Some(walk.string_body()?);
        }
        if let Some(after) = walk.after(b",\"record\":") {
            *walk = after;
            fields.record = Some(walk.raw()?);
        }
        if let Some(after) = walk.after(b",\"rev\":\"") {
            *walk = after;
            fields.rev = Some(walk.string_body()?);
        }
        if let Some(after) = walk.after(b",\"rkey\":\"") {
            *walk = after;
            fields.rkey = Some(walk.string_body()?);
        }
        if let Some(after) = walk.after(b",\"seq\":") {
            *walk = after;
            let start = walk.pos();
            fields.seq = Some((walk.integer()?, FieldSpan::plain(start, walk.pos())));
        }
        if let Some(after) = walk.after(b",\"time\":\"") {
            *walk = after;
            self.time = walk.string_body()?;
        }
        Some(())
    }

    #[inline(always)]
    fn event<'a>(&self, walk: &Walk<'a, '_>) -> Option<Event<'a>> {
        let kind = match self.kind {
            Word::Commit => Kind::Commit,
            Word::Other(kind) => event_kind(walk.text(kind))?,
        };
        self.fields.event(walk.line(), self.place, kind, Some(walk.text(self.time))).ok()
    }
}

impl Members for Payload {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        const TYPE: u64 = key_word("$type");
        const CID: u64 = key_word("cid");
        const COLLECTION: u64 = key_word("collection");
        const DID: u64 = key_word("did");
        const OPERATION: u64 = key_word("operation");
        const RECORD: u64 = key_word("record");
        const REV: u64 = key_word("rev");
        const RKEY: u64 = key_word("rkey");
        const SEQ: u64 = key_word("seq");
        const TIME: u64 = key_word("time");
        let fields = &mut self.fields;
        match key.word {
            TYPE => self.kind = Word::Other(walk.string()?),
            CID => fields.cid = Some(walk.raw()?),
            COLLECTION if walk.is_key(key, b"collection") => {
                fields.collection = Some(walk.string()?);
            }
            DID => fields.did = Some(walk.string()?),
            OPERATION if walk.is_key(key, b"operation") => fields.operation = Some(walk.string()?),
            RECORD => fields.record = Some(walk.raw()?),
            REV => fields.rev = Some(walk.string()?),
            RKEY => fields.rkey = Some(walk.string()?),
            SEQ => {
                let start = walk.pos();
                fields.seq = Some((walk.integer()?, FieldSpan::plain(start, walk.pos())));
            }
            TIME => self.time = walk.string()?,
            _ => {
                let (after, member) = other_member(*walk, key)?;
                *walk = after;
                match member {
                    OtherMember::Relayed(Kind::Identity, found) => fields.identity = found,
                    OtherMember::Relayed(Kind::Account, found) => fields.account = found,
                    OtherMember::Relayed(_, found) => fields.sync = found,
                    OtherMember::Skipped => {}
                }
            }
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
