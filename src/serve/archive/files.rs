//! `getSegment`, `getBlock` and `listSegments` (archive §2).

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Bytes;

use super::build::Volume;
use super::trouble::{self, Part};
use super::{bad_request, sealed_segments};
use crate::archive::name::segment_index;
use crate::position::ServerKind;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Xrpc};
use crate::serve::content::Content;
use crate::serve::head::Head;
use crate::serve::query::Query;

const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// The whole file.
pub(super) fn segment(head: &Head, shared: &Shared, now: Instant) -> Result<Answer, Answer> {
    let query = query(head)?;
    let index = named(query.first("name"), "name")?;
    trouble::before_download(shared, "getSegment", index)?;
    let (volume, file) = sealed(index, shared, now)?;
    let parts: Vec<Part> = (0..volume.segment.blocks.len())
        .filter_map(|block| Some(Part { block, bytes: frame(&volume, block)? }))
        .collect();
    let etag = format!("\"{}\"", volume.segment.header.checksum_text());
    let content = content(&volume, file, etag);
    Ok(trouble::download(content, &parts, head, shared, index))
}

/// One block's stored frame.
pub(super) fn block(head: &Head, shared: &Shared, now: Instant) -> Result<Answer, Answer> {
    let query = query(head)?;
    let index = named(query.first("segment"), "segment")?;
    let number = query.first("blockIndex").unwrap_or_default();
    let block: usize = number
        .parse()
        .ok()
        .filter(|_| number.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| bad_request(&format!("invalid blockIndex: {number:?}")))?;
    trouble::before_download(shared, "getBlock", index)?;
    let (volume, file) = sealed(index, shared, now)?;
    let bytes = frame(&volume, block).ok_or_else(|| {
        let message = format!("segment {} has no block {block}", volume.name);
        Answer::xrpc(Xrpc::BlockNotFound, &message)
    })?;
    let etag = format!("\"{}:{block}\"", volume.segment.header.checksum_text());
    let parts = vec![Part { block, bytes: 0..bytes.len() }];
    let content = content(&volume, file.slice(bytes), etag);
    Ok(trouble::download(content, &parts, head, shared, index))
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

/// A page of all segments.
pub(super) fn list(head: &Head, shared: &Shared, now: Instant) -> Result<Answer, Answer> {
    let query = query(head)?;
    let number = |name: &str, default: u64, least: u64| match query.first(name) {
        None => Ok(default),
        Some("") if name == "cursor" => Ok(default),
        Some(text) => text
            .parse()
            .ok()
            .filter(|&n| n >= least && text.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| bad_request(&format!("invalid {name}: {text:?}"))),
    };
    let limit = number("limit", DEFAULT_LIMIT, 1)?.min(MAX_LIMIT);
    let first = number("cursor", 0, 0)?;
    trouble::before_download(shared, "listSegments", first)?;
    let all = sealed_segments(shared, now);
    let end = first.saturating_add(limit).min(all);
    let volumes = (first..end).filter_map(|index| shared.archive.shelf.volume(index, shared));
    let segments = volumes.map(|volume| listed(&volume)).collect();
    let listing = Listing { cursor: (end < all).then(|| end.to_string()), segments };
    let text = serde_json::to_string(&listing).map_err(|e| bad_request(&e.to_string()))?;
    Ok(Answer::json("200 OK", text))
}

fn listed(volume: &Volume) -> Listed {
    let header = &volume.segment.header;
    Listed {
        name: volume.name.clone(),
        index: volume.index,
        size_bytes: volume.segment.file_bytes,
        checksum: header.checksum_text(),
        event_count: header.event_count,
        min_seq: header.min_seq,
        max_seq: header.max_seq,
        min_witnessed_at: header.min_witnessed_at_us,
        max_witnessed_at: header.max_witnessed_at_us,
    }
}

fn query(head: &Head) -> Result<Query, Answer> {
    Query::parse(&head.query, ServerKind::V2).map_err(|_| bad_request("invalid query string"))
}

fn named(name: Option<&str>, parameter: &str) -> Result<u64, Answer> {
    let name = name.unwrap_or_default();
    segment_index(name).ok_or_else(|| bad_request(&format!("invalid {parameter}: {name:?}")))
}

/// A segment that is sealed by now.
fn sealed(index: u64, shared: &Shared, now: Instant) -> Result<(Arc<Volume>, Bytes), Answer> {
    let is_sealed = index < sealed_segments(shared, now);
    let found = is_sealed.then(|| shared.archive.shelf.file(index, shared)).flatten();
    found.ok_or_else(|| trouble::not_found(index))
}

/// Where a block's frame stands in the file.
fn frame(volume: &Volume, block: usize) -> Option<Range<usize>> {
    let entry = volume.segment.blocks.get(block)?;
    let start = usize::try_from(entry.frame_at()).ok()?;
    Some(start..start.checked_add(entry.frame_bytes as usize)?)
}

fn content(volume: &Volume, body: Bytes, etag: String) -> Content {
    let written = jiff::Timestamp::from_microsecond(volume.segment.header.max_witnessed_at_us);
    let written = written.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    Content {
        body,
        etag,
        last_modified: written.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        headers: "Cache-Control: public, no-cache\r\n".to_owned(),
    }
}
