//! Reads the payload of a commit in the order in which today's servers write it.

use crate::event::header_spans::{CommitSpans, FieldSpan};
use crate::event::walk::Walk;

use super::payload::{Body, Change, Event, is_seq};
use super::time::MinuteCache;

/// The payload of a commit in the usual order.
pub(super) struct UsualCommit {
    place: FieldSpan,
    did: FieldSpan,
    change: Change,
    seq: u64,
    seq_digits: FieldSpan,
    time: FieldSpan,
}

impl UsualCommit {
    #[inline(always)]
    pub(super) fn event<'a>(
        self,
        walk: &Walk<'a, '_>,
        minute: &mut MinuteCache,
    ) -> Option<Event<'a>> {
        let Self { place: payload, did, change, seq, seq_digits, time } = self;
        let time_us = minute.parse_us(walk.text(time))?;
        let body = Body::Commit(change);
        is_seq(seq).then_some(Event {
            message: walk.line(),
            payload,
            did,
            time_us,
            seq,
            seq_digits,
            body,
        })
    }
}

/// Passes the payload of a commit whose members are in the usual order. It compares several names at
/// once. `None` for anything else.
#[inline(always)]
pub(super) fn usual_commit(to: &mut Walk<'_, '_>) -> Option<UsualCommit> {
    let start = to.pos();
    let mut walk = to.after(b"{\"$type\":\"network.bsky.jetstream.subscribeEvents#commit\"")?;
    let (mut cid, mut record) = (None, None);
    if let Some(after) = walk.after(b",\"cid\":") {
        walk = after;
        cid = Some(walk.raw()?);
    }
    walk = walk.after(b",\"collection\":\"")?;
    let collection = walk.string_body()?;
    walk = walk.after(b",\"did\":\"")?;
    let did = walk.string_body()?;
    walk = walk.after(b",\"operation\":\"")?;
    let operation = walk.string_body()?;
    if let Some(after) = walk.after(b",\"record\":") {
        walk = after;
        record = Some(walk.raw()?);
    }
    walk = walk.after(b",\"rev\":\"")?;
    let rev = walk.string_body()?;
    walk = walk.after(b",\"rkey\":\"")?;
    let rkey = walk.string_body()?;
    walk = walk.after(b",\"seq\":")?;
    let digits = walk.pos();
    let seq = walk.integer()?;
    let seq_digits = FieldSpan::plain(digits, walk.pos());
    walk = walk.after(b",\"time\":\"")?;
    let time = walk.string_body()?;
    walk = walk.after(b"}")?;
    *to = walk;
    let place = FieldSpan::plain(start, walk.pos());
    let fields = CommitSpans { rev, operation, collection, rkey };
    Some(UsualCommit { place, did, change: Change { fields, record, cid }, seq, seq_digits, time })
}
