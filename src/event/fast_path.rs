//! Parses the header of a line in v1 format (protocol/jetstream-v1.md §7), whatever the order of
//! its members, by the line's structural index.
//!
//! This fast path never rejects a line. For anything unexpected it returns `None`, and `header`
//! parses the line from its start.

use super::header_spans::{BodySpans, CommitSpans, FieldSpan, HeaderSpans};
use super::header_types::Kind;
use super::simd::dispatch;
use super::simd::structural_index::{IndexReader, IndexedLine};
use super::walk::{Key, Members, Walk, key_word};

/// Parses the header of a line and checks the line's structure. If a member occurs twice, the last
/// one counts.
#[inline]
pub(super) fn parse(line: &[u8]) -> Option<HeaderSpans> {
    dispatch::index::<Event>(line)
}

/// The members of an event.
#[derive(Default)]
struct Event {
    did: Option<FieldSpan>,
    time_us: Option<u64>,
    cursor: u64,
    kind: Word,
    commit: Option<CommitSpans>,
    /// The relay's `seq`, each from the member of that name.
    identity: Option<u64>,
    account: Option<u64>,
    sync: Option<u64>,
}

/// The value of `kind`.
enum Word {
    Commit,
    /// The place of a word that is not known yet.
    Other(FieldSpan),
}

impl Default for Word {
    fn default() -> Self {
        Self::Other(FieldSpan::default())
    }
}

impl IndexReader for Event {
    type Found<'a> = HeaderSpans;

    #[inline(always)]
    fn read(index: IndexedLine<'_, '_>) -> Option<HeaderSpans> {
        let (mut walk, mut event) = (Walk::new(index), Self::default());
        event.pass(&mut walk)?;
        walk.end()?;
        let body = match event.kind {
            Word::Commit => event.commit.map_or(BodySpans::EmptyCommit, BodySpans::Commit),
            Word::Other(kind) => match walk.text(kind) {
                b"commit" => event.commit.map_or(BodySpans::EmptyCommit, BodySpans::Commit),
                b"identity" => BodySpans::Relayed(Kind::Identity, event.identity),
                b"account" => BodySpans::Relayed(Kind::Account, event.account),
                b"sync" => BodySpans::Relayed(Kind::Sync, event.sync),
                _ => BodySpans::Other(kind),
            },
        };
        Some(HeaderSpans::new(event.did?, event.time_us?, event.cursor, body))
    }
}

impl Event {
    /// Passes the object. It expects the order in which today's servers write the members, and
    /// compares several names at once; members in any other order are passed one by one.
    #[inline(always)]
    fn pass(&mut self, walk: &mut Walk<'_, '_>) -> Option<()> {
        let Some(after) = walk.after(b"{\"did\":\"") else { return walk.members(self) };
        *walk = after;
        self.did = Some(walk.string_body()?);
        if let Some(after) = walk.after(b",\"time_us\":") {
            *walk = after;
            self.time_us = Some(walk.integer()?);
        }
        if let Some(after) = walk.after(b",\"cursor\":") {
            *walk = after;
            self.cursor = walk.integer()?;
        }
        if let Some(after) = walk.after(b",\"kind\":\"commit\",\"commit\":{\"rev\":\"") {
            *walk = after;
            self.kind = Word::Commit;
            self.commit = Some(pass_commit(walk)?);
        }
        walk.rest_of_members(self)
    }
}

/// Passes an object `commit` after `"rev":"`, and returns its fields.
#[inline(always)]
fn pass_commit(walk: &mut Walk<'_, '_>) -> Option<CommitSpans> {
    let mut commit = CommitSpans { rev: walk.string_body()?, ..CommitSpans::default() };
    if let Some(after) = walk.after(b",\"operation\":\"") {
        *walk = after;
        commit.operation = walk.string_body()?;
    }
    if let Some(after) = walk.after(b",\"collection\":\"") {
        *walk = after;
        commit.collection = walk.string_body()?;
    }
    if let Some(after) = walk.after(b",\"rkey\":\"") {
        *walk = after;
        commit.rkey = walk.string_body()?;
    }
    if let Some(after) = walk.after(b",\"record\":") {
        *walk = after;
        walk.skip()?;
    }
    if let Some(after) = walk.after(b",\"cid\":") {
        *walk = after;
        walk.skip()?;
    }
    walk.rest_of_members(&mut commit)?;
    Some(commit)
}

impl Members for Event {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        const DID: u64 = key_word("did");
        const TIME_US: u64 = key_word("time_us");
        const CURSOR: u64 = key_word("cursor");
        const KIND: u64 = key_word("kind");
        const COMMIT: u64 = key_word("commit");
        match key.word {
            DID => self.did = Some(walk.string()?),
            TIME_US => self.time_us = Some(walk.integer()?),
            CURSOR => self.cursor = walk.integer()?,
            KIND => self.kind = Word::Other(walk.string()?),
            COMMIT => {
                self.commit = None;
                if walk.peek()? != b'{' {
                    return walk.skip();
                }
                let mut commit = CommitSpans::default();
                walk.members(&mut commit)?;
                self.commit = Some(commit);
            }
            _ => {
                let (after, member) = other_member(*walk, key)?;
                *walk = after;
                match member {
                    OtherMember::Relayed(Kind::Identity, seq) => self.identity = seq,
                    OtherMember::Relayed(Kind::Account, seq) => self.account = seq,
                    OtherMember::Relayed(_, seq) => self.sync = seq,
                    OtherMember::Skipped => {}
                }
            }
        }
        Some(())
    }
}

impl Members for CommitSpans {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        const REV: u64 = key_word("rev");
        const OPERATION: u64 = key_word("operation");
        const COLLECTION: u64 = key_word("collection");
        const RKEY: u64 = key_word("rkey");
        match key.word {
            REV => self.rev = walk.string()?,
            OPERATION if walk.is_key(key, b"operation") => self.operation = walk.string()?,
            COLLECTION if walk.is_key(key, b"collection") => self.collection = walk.string()?,
            RKEY => self.rkey = walk.string()?,
            _ => walk.skip()?,
        }
        Some(())
    }
}

/// A member that commits do not have.
enum OtherMember {
    /// The object of an event that the relay sent, and the relay's `seq`.
    Relayed(Kind, Option<u64>),
    /// Any other.
    Skipped,
}

/// Passes a member that commits do not have. A call, because most events are commits.
#[inline(never)]
fn other_member<'a, 'i>(mut walk: Walk<'a, 'i>, key: Key) -> Option<(Walk<'a, 'i>, OtherMember)> {
    const IDENTITY: u64 = key_word("identity");
    const ACCOUNT: u64 = key_word("account");
    const SYNC: u64 = key_word("sync");
    let kind = match key.word {
        IDENTITY if walk.is_key(key, b"identity") => Kind::Identity,
        ACCOUNT => Kind::Account,
        SYNC => Kind::Sync,
        _ => {
            walk.skip()?;
            return Some((walk, OtherMember::Skipped));
        }
    };
    let seq = relay_seq(&mut walk)?;
    Some((walk, OtherMember::Relayed(kind, seq)))
}

/// Passes the object of an event that the relay sent, and returns the relay's `seq`. `None` inside
/// for an object without one, and for a value of another type.
pub(super) fn relay_seq(walk: &mut Walk<'_, '_>) -> Option<Option<u64>> {
    if walk.peek()? != b'{' {
        return walk.skip().map(|()| None);
    }
    let mut found = RelaySeq(None);
    walk.members(&mut found)?;
    Some(found.0)
}

struct RelaySeq(Option<u64>);

impl Members for RelaySeq {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        const SEQ: u64 = key_word("seq");
        match (key.word, walk.peek()?) {
            (SEQ, b'0'..=b'9') => self.0 = Some(walk.integer()?),
            (SEQ, _) => {
                self.0 = None;
                walk.skip()?;
            }
            _ => walk.skip()?,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
