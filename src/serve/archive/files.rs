//! `getSegment`, `getBlock` and `listSegments` (archive §2).

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Bytes;

use super::build::SegmentInfo;
use super::faults::{self, BlockSpan};
use super::{bad_request, sealed_segments};
use crate::archive::name::segment_index;
use crate::position::ServerKind;
use crate::serve::ServerState;
use crate::serve::file_response::FileResponse;
use crate::serve::head::RequestHead;
use crate::serve::query::Query;
use crate::serve::response::{Response, XrpcErrorCode};

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// Serves `getSegment`: a whole segment file.
pub(super) fn segment(
    head: &RequestHead,
    shared: &ServerState,
    now: Instant,
) -> Result<Response, Response> {
    let query = query(head)?;
    let index = named(query.first("name"), "name")?;
    faults::before_download(shared, "getSegment", index)?;
    let (info, file) = sealed(index, shared, now)?;
    let spans: Vec<BlockSpan> = (0..info.segment.blocks.len())
        .filter_map(|block| Some(BlockSpan { block, bytes: frame(&info, block)? }))
        .collect();
    let etag = format!("\"{}\"", info.segment.header.checksum_text());
    let file = file_response(&info, file, etag);
    Ok(faults::download(file, &spans, head, shared, index))
}

/// Serves `getBlock`: the stored frame of one block.
pub(super) fn block(
    head: &RequestHead,
    shared: &ServerState,
    now: Instant,
) -> Result<Response, Response> {
    let query = query(head)?;
    let index = named(query.first("segment"), "segment")?;
    let number = query.first("blockIndex").unwrap_or_default();
    let block: usize = number
        .parse()
        .ok()
        .filter(|_| number.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| bad_request(&format!("invalid blockIndex: {number:?}")))?;
    faults::before_download(shared, "getBlock", index)?;
    let (info, file) = sealed(index, shared, now)?;
    let bytes = frame(&info, block).ok_or_else(|| {
        let message = format!("segment {} has no block {block}", info.name);
        Response::xrpc(XrpcErrorCode::BlockNotFound, &message)
    })?;
    let etag = format!("\"{}:{block}\"", info.segment.header.checksum_text());
    let spans = vec![BlockSpan { block, bytes: 0..bytes.len() }];
    let file = file_response(&info, file.slice(bytes), etag);
    Ok(faults::download(file, &spans, head, shared, index))
}

#[derive(Serialize)]
struct Listing {
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    segments: Vec<Listed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    index: u64,
    size_bytes: u64,
    checksum: String,
    event_count: u32,
    min_seq: u64,
    max_seq: u64,
    min_witnessed_at: i64,
    max_witnessed_at: i64,
}

/// Serves `listSegments`: one page of the list.
pub(super) fn list(
    head: &RequestHead,
    shared: &ServerState,
    now: Instant,
) -> Result<Response, Response> {
    let query = query(head)?;
    let number = |name: &str, default: u64, min: u64| match query.first(name) {
        None => Ok(default),
        Some("") if name == "cursor" => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|&n| n >= min && text.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| bad_request(&format!("invalid {name}: {text:?}"))),
    };
    let limit = number("limit", DEFAULT_LIMIT, 1)?.min(MAX_LIMIT);
    let first = number("cursor", 0, 0)?;
    faults::before_download(shared, "listSegments", first)?;
    let all = sealed_segments(shared, now);
    let end = first.saturating_add(limit).min(all);
    let infos = (first..end).filter_map(|index| shared.archive.cache.info(index, shared, now));
    let segments = infos.map(|info| listed(&info)).collect();
    let listing = Listing { cursor: (end < all).then(|| end.to_string()), segments };
    let text = serde_json::to_string(&listing).map_err(|e| bad_request(&e.to_string()))?;
    Ok(Response::json("200 OK", text))
}

fn listed(info: &SegmentInfo) -> Listed {
    let header = &info.segment.header;
    Listed {
        name: info.name.clone(),
        index: info.index,
        size_bytes: info.segment.file_bytes,
        checksum: header.checksum_text(),
        event_count: header.event_count,
        min_seq: header.min_seq,
        max_seq: header.max_seq,
        min_witnessed_at: header.min_witnessed_at_us,
        max_witnessed_at: header.max_witnessed_at_us,
    }
}

fn query(head: &RequestHead) -> Result<Query, Response> {
    Query::parse(&head.query, ServerKind::V2).map_err(|_| bad_request("invalid query string"))
}

fn named(name: Option<&str>, parameter: &str) -> Result<u64, Response> {
    let name = name.unwrap_or_default();
    segment_index(name).ok_or_else(|| bad_request(&format!("invalid {parameter}: {name:?}")))
}

/// Returns a segment that is sealed by now.
fn sealed(
    index: u64,
    shared: &ServerState,
    now: Instant,
) -> Result<(Arc<SegmentInfo>, Bytes), Response> {
    let is_sealed = index < sealed_segments(shared, now);
    let found = is_sealed.then(|| shared.archive.cache.file(index, shared, now)).flatten();
    found.ok_or_else(|| faults::not_found(index))
}

/// Returns the span of a block's frame in the file.
fn frame(info: &SegmentInfo, block: usize) -> Option<Range<usize>> {
    let entry = info.segment.blocks.get(block)?;
    let start = usize::try_from(entry.frame_at()).ok()?;
    Some(start..start.checked_add(entry.frame_bytes as usize)?)
}

fn file_response(info: &SegmentInfo, body: Bytes, etag: String) -> FileResponse {
    let written = jiff::Timestamp::from_microsecond(info.segment.header.max_witnessed_at_us);
    let written = written.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    FileResponse {
        body,
        etag,
        last_modified: written.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        headers: "Cache-Control: public, no-cache\r\n".to_owned(),
    }
}
