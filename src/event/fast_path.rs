//! Parses the header of a line in v1 format (protocol/jetstream-v1.md §7), whatever the order of
//! its members, by the line's structural index.
//!
//! This fast path never rejects a line. For anything unexpected it returns `None`, and `header`
//! parses the line from its start.

use super::header_spans::{BodySpans, CommitSpans, HeaderSpans};
use super::header_types::Kind;
use super::learned_order::LearnedOrder;
use super::members::{self, Found, SlotSet, slot};
use super::simd::dispatch;
use super::simd::structural_index::{IndexReader, IndexedLine};
use super::walk::{Key, Members, Walk, key_word};

/// Parses the header of a line and checks the line's structure. If a member occurs twice, the last
/// one counts.
#[inline]
pub(super) fn parse(line: &[u8]) -> Option<HeaderSpans> {
    dispatch::index(&mut EventLine, line)
}

const DID: usize = slot("did");
const TIME_US: usize = slot("time_us");
const CURSOR: usize = slot("cursor");
const KIND: usize = slot("kind");
const COMMIT: usize = slot("commit");

const REV: usize = slot("rev");
const OPERATION: usize = slot("operation");
const COLLECTION: usize = slot("collection");
const RKEY: usize = slot("rkey");
const COMMIT_FIELDS: SlotSet = SlotSet::of(&["rev", "operation", "collection", "rkey"]);

/// Members of an event's own object that commits have.
const EVENT_FIELDS: SlotSet = SlotSet::of(&["did", "time_us", "cursor", "kind", "commit"]);
/// Members of the object `commit`.
const COMMIT_MEMBERS: SlotSet =
    SlotSet::of(&["rev", "operation", "collection", "rkey", "record", "cid"]);

/// Reads the lines of one stream. It remembers the order of the members of an earlier one, unless that
/// is the usual one.
#[derive(Debug, Default)]
pub struct LineReader {
    order: LearnedOrder,
}

impl LineReader {
    /// Parses the header of a line as [`parse`] does.
    #[inline]
    pub(super) fn parse(&mut self, line: &[u8]) -> Option<HeaderSpans> {
        dispatch::index(self, line)
    }
}

impl IndexReader for LineReader {
    type Found<'a> = HeaderSpans;

    #[inline(always)]
    fn read(&mut self, index: IndexedLine<'_, '_>) -> Option<HeaderSpans> {
        let walk = Walk::new(index);
        if let Some(commit) = usual_order(walk) {
            return Some(commit);
        }
        match learned_order(&mut self.order, walk) {
            Some(commit) => Some(commit),
            None => any_order(walk, &mut |event| self.learn(walk.line(), event)),
        }
    }
}

impl LineReader {
    /// Learns the order of a commit.
    #[inline(always)]
    fn learn(&mut self, line: &[u8], event: &Event) {
        if let Some((_, CommitMembers(commit))) = &event.commit
            && event.found.is_within(EVENT_FIELDS)
            && commit.is_within(COMMIT_MEMBERS)
            && self.order.is_due(commit)
        {
            self.order.learn(line, &event.found.with(commit, COMMIT));
        }
    }
}

/// The members of an event.
#[derive(Default)]
struct Event {
    found: Found,
    commit: Option<(CommitSpans, CommitMembers)>,
    /// The relay's `seq`, each from the member of that name.
    identity: Option<u64>,
    account: Option<u64>,
    sync: Option<u64>,
}

/// A line in v1 format.
#[derive(Default)]
struct EventLine;

impl IndexReader for EventLine {
    type Found<'a> = HeaderSpans;

    #[inline(always)]
    fn read(&mut self, index: IndexedLine<'_, '_>) -> Option<HeaderSpans> {
        let walk = Walk::new(index);
        match usual_order(walk) {
            Some(commit) => Some(commit),
            None => any_order(walk, &mut |_| {}),
        }
    }
}

/// Parses a commit whose members are in the order in which today's servers write them. It compares
/// several names at once. `None` for anything else.
#[inline(always)]
fn usual_order(mut walk: Walk<'_, '_>) -> Option<HeaderSpans> {
    walk = walk.after(b"{\"did\":\"")?;
    let did = walk.string_body()?;
    walk = walk.after(b",\"time_us\":")?;
    let time_us = walk.integer()?;
    let mut cursor = 0;
    if let Some(after) = walk.after(b",\"cursor\":") {
        walk = after;
        cursor = walk.integer()?;
    }
    walk = walk.after(b",\"kind\":\"commit\",\"commit\":{\"rev\":\"")?;
    let rev = walk.string_body()?;
    walk = walk.after(b",\"operation\":\"")?;
    let operation = walk.string_body()?;
    walk = walk.after(b",\"collection\":\"")?;
    let collection = walk.string_body()?;
    walk = walk.after(b",\"rkey\":\"")?;
    let rkey = walk.string_body()?;
    if let Some(after) = walk.after(b",\"record\":") {
        walk = after;
        walk.skip()?;
    }
    if let Some(after) = walk.after(b",\"cid\":") {
        walk = after;
        walk.skip()?;
    }
    walk = walk.after(b"}}")?;
    walk.end()?;
    let commit = CommitSpans { rev, operation, collection, rkey };
    Some(HeaderSpans::new(did, time_us, cursor, BodySpans::Commit(commit)))
}

/// Parses a commit whose members are in the order of an earlier one.
#[inline(always)]
fn learned_order(order: &mut LearnedOrder, mut walk: Walk<'_, '_>) -> Option<HeaderSpans> {
    let found = order.read(&mut walk)?;
    if walk.text(found.place(KIND)) != b"commit" {
        return None;
    }
    let commit = BodySpans::Commit(commit_spans(&found));
    let (time_us, cursor) = (found.number(&walk, TIME_US), found.number(&walk, CURSOR));
    Some(HeaderSpans::new(found.place(DID), time_us, cursor, commit))
}

/// Parses an event whose members are in any order, and passes a commit to `on_commit`.
#[inline(always)]
fn any_order(mut walk: Walk<'_, '_>, on_commit: &mut impl FnMut(&Event)) -> Option<HeaderSpans> {
    let mut event = Event::default();
    walk.members(&mut event)?;
    walk.end()?;
    let found = &event.found;
    found.check(SlotSet::of(&["did", "kind"]), SlotSet::of(&["time_us", "cursor"]))?;
    let body = event.body(walk.text(found.place(KIND)));
    let did = found.place_if_seen(DID)?;
    found.has(TIME_US).then_some(())?;
    if matches!(body, BodySpans::Commit(_)) {
        on_commit(&event);
    }
    Some(HeaderSpans::new(did, found.number(&walk, TIME_US), found.number(&walk, CURSOR), body))
}

impl Event {
    #[inline(always)]
    fn body(&self, kind: &[u8]) -> BodySpans {
        match kind {
            b"commit" => self
                .commit
                .as_ref()
                .map_or(BodySpans::EmptyCommit, |(commit, _)| BodySpans::Commit(*commit)),
            b"identity" => BodySpans::Relayed(Kind::Identity, self.identity),
            b"account" => BodySpans::Relayed(Kind::Account, self.account),
            b"sync" => BodySpans::Relayed(Kind::Sync, self.sync),
            _ => BodySpans::Other(self.found.place(KIND)),
        }
    }
}

/// The members of an object `commit`.
#[derive(Default)]
struct CommitMembers(Found);

impl CommitMembers {
    #[inline(always)]
    fn spans(&self, walk: &Walk<'_, '_>) -> Option<CommitSpans> {
        let Self(found) = self;
        found.check(COMMIT_FIELDS, SlotSet::default())?;
        found.check_name(walk, OPERATION, b"operation")?;
        found.check_name(walk, COLLECTION, b"collection")?;
        Some(commit_spans(found))
    }
}

#[inline(always)]
fn commit_spans(found: &Found) -> CommitSpans {
    CommitSpans {
        rev: found.place(REV),
        operation: found.place(OPERATION),
        collection: found.place(COLLECTION),
        rkey: found.place(RKEY),
    }
}

impl Members for Event {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        let Some(slot) = members::find(key) else {
            let (after, member) = other_member(*walk, key)?;
            *walk = after;
            match member {
                OtherMember::Relayed(Kind::Identity, seq) => self.identity = seq,
                OtherMember::Relayed(Kind::Account, seq) => self.account = seq,
                OtherMember::Relayed(_, seq) => self.sync = seq,
                OtherMember::Skipped => {}
            }
            return Some(());
        };
        if slot == COMMIT && walk.peek()? == b'{' {
            let mut commit = CommitMembers::default();
            walk.members(&mut commit)?;
            self.found.see(COMMIT);
            self.commit = Some((commit.spans(walk)?, commit));
            return Some(());
        }
        self.found.take(walk, key, slot)
    }
}

impl Members for CommitMembers {
    #[inline(always)]
    fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key) -> Option<()> {
        match members::find(key) {
            Some(slot) => self.0.take(walk, key, slot),
            None => walk.skip(),
        }
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
