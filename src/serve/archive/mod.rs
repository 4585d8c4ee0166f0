//! The archive of a v2 server: all sealed segments, over HTTP (protocol/jetstream-v2-archive.md §1
//! to §3; "archive §" cites a section of it).
//!
//! ```text
//! timeline (sealed events) ─▶ build (rows → segment) ─▶ segment_cache ─▶ plan | files
//! ```
//!
//! Segments are built on request, because the recording is in memory anyway. The cache keeps the
//! newest of them as files, and only the metadata of the others. Responses are made on their own
//! threads (`connection::fetch`), because building takes about a tenth of a second per segment.
//!
//! With `--archive-compact`, superseded rows are removed as a real server removes them
//! (`compaction`).

mod build;
mod compaction;
mod empty;
mod faults;
mod files;
mod key;
mod plan;
mod segment_cache;

use std::sync::OnceLock;

use tokio::time::Instant;

use super::ServerState;
use super::head::RequestHead;
use super::response::{Response, XrpcErrorCode};
use super::v2;
use crate::metrics::now_us;
use crate::position::ServerKind;

pub(super) use compaction::Compaction;
pub use key::ApiKey;
pub(super) use segment_cache::SegmentCache;

/// Maximum size of a request body, in bytes (archive §2).
pub(super) const MAX_BODY_BYTES: usize = 2_000_000;
/// Default number of entries on a page of a plan.
const PLAN_ENTRIES: usize = 100_000;

/// The archive of a server.
#[derive(Debug)]
pub(super) struct Archive {
    /// Rows per block.
    pub block_events: usize,
    /// Key that clients must send; `None`: no key is required.
    pub api_key: Option<ApiKey>,
    pub cache: SegmentCache,
    /// What compaction removes, once that is known; `None` without compaction.
    pub compaction: Option<OnceLock<Compaction>>,
}

/// The endpoints of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArchiveEndpoint {
    PlanSnapshot,
    GetSegment,
    GetBlock,
    ListSegments,
}

impl ArchiveEndpoint {
    /// Returns the endpoint of a request; `None` for other paths. Legacy servers have no archive.
    pub(super) fn of(head: &RequestHead, kind: ServerKind) -> Option<Self> {
        let method = head.path.strip_prefix(v2::XRPC).filter(|_| kind == ServerKind::V2)?;
        Some(match method.strip_prefix("network.bsky.jetstream.")? {
            "planSnapshot" => Self::PlanSnapshot,
            "getSegment" => Self::GetSegment,
            "getBlock" => Self::GetBlock,
            "listSegments" => Self::ListSegments,
            _ => return None,
        })
    }

    fn methods(self) -> &'static str {
        match self {
            Self::PlanSnapshot => "POST",
            _ => "GET, HEAD",
        }
    }
}

/// Answers an archive request.
pub(super) fn answer(
    endpoint: ArchiveEndpoint,
    head: &RequestHead,
    body: &[u8],
    shared: &ServerState,
    now: Instant,
) -> Response {
    if let Err(response) = authorize(endpoint, head, shared) {
        return response;
    }
    // An archive request starts the playhead as well.
    shared.timeline.start(now, now_us());
    let answered = match endpoint {
        ArchiveEndpoint::PlanSnapshot => plan::answer(head, body, shared, now),
        ArchiveEndpoint::GetSegment => files::segment(head, shared, now),
        ArchiveEndpoint::GetBlock => files::block(head, shared, now),
        ArchiveEndpoint::ListSegments => files::list(head, shared, now),
    };
    answered.unwrap_or_else(|refusal| refusal)
}

/// Checks method and key.
fn authorize(
    endpoint: ArchiveEndpoint,
    head: &RequestHead,
    shared: &ServerState,
) -> Result<(), Response> {
    if !endpoint.methods().split(", ").any(|method| method == head.method) {
        return Err(Response::xrpc_method_not_allowed(endpoint.methods()));
    }
    if shared.archive.api_key.as_ref().is_none_or(|key| key.is_presented_by(head)) {
        return Ok(());
    }
    let message = "this endpoint takes Authorization: Bearer KEY, with a key of this server";
    Err(Response::xrpc(XrpcErrorCode::AuthenticationRequired, message))
}

/// Returns the number of sealed segments. A loop at rate `max` has no tip, and therefore none.
fn sealed_segments(shared: &ServerState, now: Instant) -> u64 {
    let timeline = &shared.timeline;
    if timeline.tip(now) == u64::MAX {
        return 0;
    }
    empty::with_empty(timeline.sealed(now) / timeline.segment_events(), shared)
}

fn bad_request(message: &str) -> Response {
    Response::xrpc(XrpcErrorCode::InvalidRequest, message)
}
