//! What `--chaos` does to the archive. Each fault depends on what is asked for and how often
//! that was asked before, not on the order in which parallel requests arrive.

use std::ops::Range;

use crate::archive::name::segment_name;
use crate::metrics::now_us;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Xrpc};
use crate::serve::chaos::{Chaos, Fault};
use crate::serve::content::Content;
use crate::serve::head::Head;

/// A block within what is handed out.
#[derive(Debug)]
pub(super) struct Part {
    pub block: usize,
    pub bytes: Range<usize>,
}

/// Whether a request is to come again later.
pub(super) fn refusal(chaos: &Chaos, endpoint: &str, target: u64) -> Option<Answer> {
    let target = target_of(endpoint, target, 0);
    let (luck, wait) = chaos.throttles(target)?;
    let wait_s = wait.as_secs();
    let too_many = |headers: String| {
        Answer::xrpc(Xrpc::RateLimitExceeded, "rate limit exceeded: chaos").with(&headers)
    };
    Some(match luck.below(0, 3) {
        0 => too_many(format!("Retry-After: {wait_s}\r\n")),
        1 => too_many(format!("RateLimit-Reset: {}\r\n", now_us() / 1_000_000 + wait_s)),
        _ => Answer::xrpc(Xrpc::ServiceUnavailable, "service not ready: chaos")
            .with(&format!("Retry-After: {wait_s}\r\n")),
    })
}

/// What happens before a segment's bytes are looked for.
pub(super) fn before_download(shared: &Shared, endpoint: &str, index: u64) -> Result<(), Answer> {
    let Some(chaos) = &shared.chaos else { return Ok(()) };
    if let Some(answer) = refusal(chaos, endpoint, index) {
        return Err(answer);
    }
    if endpoint == "listSegments" {
        return Ok(());
    }
    if chaos.strikes_again(Fault::Missing, target_of(endpoint, index, 0)).is_some() {
        return Err(not_found(index));
    }
    chaos.rewrite(index);
    Ok(())
}

pub(super) fn not_found(index: u64) -> Answer {
    let message = format!("no segment {}", segment_name(index));
    Answer::xrpc(Xrpc::SegmentNotFound, &message)
}

/// The answer with bytes of a segment, and what becomes of it on its way.
pub(super) fn download(
    content: Content,
    parts: &[Part],
    head: &Head,
    shared: &Shared,
    index: u64,
) -> Answer {
    let Some(chaos) = &shared.chaos else { return content.answer(head) };
    let target = target_of("download", index, parts.first().map_or(0, |part| part.block));
    let (mut answer, served) = match chaos.strikes_again(Fault::Norange, target) {
        Some(_) => content.whole(head),
        None => content.part(head),
    };
    corrupt(&mut answer, &served, parts, chaos, index);
    if !answer.body.is_empty()
        && let Some(luck) = chaos.strikes_again(Fault::Truncate, target)
    {
        answer.length = Some(answer.body.len() as u64);
        let kept = luck.below(0, answer.body.len() as u64) as usize;
        answer.body.truncate(kept);
    }
    answer
}

/// Changes a byte in the middle of some blocks.
fn corrupt(answer: &mut Answer, served: &Range<usize>, parts: &[Part], chaos: &Chaos, index: u64) {
    if chaos.odds(Fault::Corrupt).is_none() {
        return;
    }
    let mut bytes = None;
    for part in parts {
        let middle = part.bytes.start + part.bytes.len() / 2;
        // Whoever gets this byte has asked for this block.
        let Some(at) = middle.checked_sub(served.start).filter(|_| served.contains(&middle)) else {
            continue;
        };
        let target = target_of("block", index, part.block);
        if let Some(luck) = chaos.strikes_again(Fault::Corrupt, target) {
            let bytes = bytes.get_or_insert_with(|| answer.body.to_vec());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << luck.below(0, 8);
            }
        }
    }
    if let Some(bytes) = bytes {
        answer.body = bytes.into();
    }
}

/// A number for what is asked for.
fn target_of(endpoint: &str, index: u64, block: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{endpoint} {index} {block}").as_bytes())
}
