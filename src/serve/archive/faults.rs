//! Injects the archive faults of `--chaos`. Each fault depends on what is requested and on how
//! often it was requested before, not on the order of parallel requests.

use std::ops::Range;

use crate::archive::name::segment_name;
use crate::metrics::now_us;
use crate::serve::ServerState;
use crate::serve::chaos::{Chaos, Fault};
use crate::serve::file_response::FileResponse;
use crate::serve::head::RequestHead;
use crate::serve::response::{Response, XrpcErrorCode};

/// A block and its span within the served bytes.
#[derive(Debug)]
pub(super) struct BlockSpan {
    pub block: usize,
    pub bytes: Range<usize>,
}

/// Returns the refusal of a throttled request.
pub(super) fn refusal(chaos: &Chaos, endpoint: &str, target: u64) -> Option<Response> {
    let target = target_of(endpoint, target, 0);
    let (draw, wait) = chaos.throttles(target)?;
    let wait_s = wait.as_secs();
    let too_many = |headers: String| {
        Response::xrpc(XrpcErrorCode::RateLimitExceeded, "rate limit exceeded: chaos")
            .with_headers(&headers)
    };
    Some(match draw.below(0, 3) {
        0 => too_many(format!("Retry-After: {wait_s}\r\n")),
        1 => too_many(format!("RateLimit-Reset: {}\r\n", now_us() / 1_000_000 + wait_s)),
        _ => Response::xrpc(XrpcErrorCode::ServiceUnavailable, "service not ready: chaos")
            .with_headers(&format!("Retry-After: {wait_s}\r\n")),
    })
}

/// Injects the faults that precede a download.
pub(super) fn before_download(
    shared: &ServerState,
    endpoint: &str,
    index: u64,
) -> Result<(), Response> {
    let Some(chaos) = &shared.chaos else { return Ok(()) };
    if let Some(response) = refusal(chaos, endpoint, index) {
        return Err(response);
    }
    if endpoint == "listSegments" {
        return Ok(());
    }
    if chaos.injects_again(Fault::Missing, target_of(endpoint, index, 0)).is_some() {
        return Err(not_found(index));
    }
    chaos.rewrite(index);
    Ok(())
}

pub(super) fn not_found(index: u64) -> Response {
    let message = format!("no segment {}", segment_name(index));
    Response::xrpc(XrpcErrorCode::SegmentNotFound, &message)
}

/// Serves bytes of a segment and injects the download faults.
pub(super) fn download(
    file: FileResponse,
    spans: &[BlockSpan],
    head: &RequestHead,
    shared: &ServerState,
    index: u64,
) -> Response {
    let Some(chaos) = &shared.chaos else { return file.respond(head) };
    let target = target_of("download", index, spans.first().map_or(0, |span| span.block));
    let (mut response, served) = match chaos.injects_again(Fault::Norange, target) {
        Some(_) => file.respond_whole(head),
        None => file.respond_with_range(head),
    };
    corrupt(&mut response, &served, spans, chaos, index);
    if !response.body.is_empty()
        && let Some(draw) = chaos.injects_again(Fault::Truncate, target)
    {
        response.length = Some(response.body.len() as u64);
        let kept = draw.below(0, response.body.len() as u64) as usize;
        response.body.truncate(kept);
    }
    response
}

/// Flips one bit in the middle of some blocks.
fn corrupt(
    response: &mut Response,
    served: &Range<usize>,
    spans: &[BlockSpan],
    chaos: &Chaos,
    index: u64,
) {
    if chaos.odds(Fault::Corrupt).is_none() {
        return;
    }
    let mut bytes = None;
    for span in spans {
        let middle = span.bytes.start + span.bytes.len() / 2;
        // The response contains this byte, so the client requested this block.
        let Some(at) = middle.checked_sub(served.start).filter(|_| served.contains(&middle)) else {
            continue;
        };
        let target = target_of("block", index, span.block);
        if let Some(draw) = chaos.injects_again(Fault::Corrupt, target) {
            let bytes = bytes.get_or_insert_with(|| response.body.to_vec());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << draw.below(0, 8);
            }
        }
    }
    if let Some(bytes) = bytes {
        response.body = bytes.into();
    }
}

/// Returns the hash that identifies what is requested.
fn target_of(endpoint: &str, index: u64, block: usize) -> u64 {
    xxhash_rust::xxh3::xxh3_64(format!("{endpoint} {index} {block}").as_bytes())
}
