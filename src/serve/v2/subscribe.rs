//! Handles the request for the v2 stream: parameters and error responses, in the server's order of
//! checks (v2 §1, §2, §4, §5): readiness, query syntax, compression, filters, cursor, handshake.

use std::sync::Arc;

use tokio::time::Instant;

use super::{SUBPROTOCOL, dictionary, frame};
use crate::metrics::now_us;
use crate::position::ServerKind;
use crate::serve::ServerState;
use crate::serve::cursor::CursorTarget;
use crate::serve::dictionary::Dictionary;
use crate::serve::filter::v2::V2Filter;
use crate::serve::handshake;
use crate::serve::head::RequestHead;
use crate::serve::query::Query;
use crate::serve::response::{Response, XrpcErrorCode};
use crate::serve::subscription::{EventFilter, Protocol, StreamStart, Subscription};

/// Parameters that only `/subscribe` accepts.
const V1_FILTERS: [&str; 3] = ["wantedDids", "wantedCollections", "requireHello"];

/// Decides a request for the stream.
pub(super) fn decide(
    head: &RequestHead,
    connection: u64,
    shared: &ServerState,
    now: Instant,
) -> Result<Subscription, Response> {
    let chaos = shared.chaos.as_ref();
    if let Some(refusal) = chaos.and_then(|c| c.refusal(connection)) {
        return Err(Response::refused_xrpc(refusal));
    }
    let query = Query::parse(&head.query, ServerKind::V2)
        .map_err(|_| bad_request("invalid query string"))?;
    let dictionary = compression(head, &query, connection, shared)?;
    let filter = parse_filter(&query)?;
    let accept_key = handshake::accept_key(head, ServerKind::V2);
    if accept_key.is_ok() {
        // As on `/subscribe`, only a valid upgrade request starts the playhead.
        shared.timeline.start(now, now_us());
    }
    let (from, first) = start(query.first("cursor"), shared, now)?;
    let accept_key = accept_key?;
    let mut echo =
        head.has_exact_token("Sec-WebSocket-Protocol", SUBPROTOCOL).then_some(SUBPROTOCOL);
    if let Some(chaos) = chaos {
        if let Some(changed) = chaos.echo(connection) {
            echo = changed;
        }
        if dictionary.is_some() {
            chaos.record_compressed();
        }
    }
    Ok(Subscription {
        filter: EventFilter::V2(filter),
        from,
        dictionary,
        protocol: Protocol::V2 { echo, first },
        require_hello: false,
        accept_key,
    })
}

fn bad_request(message: &str) -> Response {
    Response::xrpc(XrpcErrorCode::InvalidRequest, &format!("subscribe: {message}"))
}

/// Returns the requested dictionary (v2 §6).
fn compression(
    head: &RequestHead,
    query: &Query,
    connection: u64,
    shared: &ServerState,
) -> Result<Option<Arc<Dictionary>>, Response> {
    let uses_v1_parameter = query.first("compress") == Some("true")
        || head.header("Socket-Encoding").any(|v| v.contains("zstd"));
    if uses_v1_parameter {
        return Err(bad_request(
            "compress and Socket-Encoding belong to /subscribe: use zstdDictionary",
        ));
    }
    let Some(text) = query.first("zstdDictionary").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let requested = dictionary::parse_id(text)
        .ok_or_else(|| bad_request(&format!("invalid zstdDictionary: {text:?}")))?;
    let current = shared.v2_dictionary().ok_or_else(|| {
        Response::xrpc(XrpcErrorCode::UnknownZstdDictionary, dictionary::NO_DICTIONARY)
    })?;
    let denied = shared.chaos.as_ref().is_some_and(|chaos| chaos.denies_dictionary(connection));
    if requested != u64::from(current.id()) || denied {
        let message = dictionary::unknown(requested, current.id());
        return Err(Response::xrpc(XrpcErrorCode::UnknownZstdDictionary, &message));
    }
    Ok(Some(current))
}

/// Parses the filter (v2 §2).
fn parse_filter(query: &Query) -> Result<V2Filter, Response> {
    if let Some(name) = V1_FILTERS.into_iter().find(|name| query.first(name).is_some()) {
        return Err(bad_request(&format!(
            "{name} belongs to /subscribe: use kinds, dids and collections"
        )));
    }
    let (kinds, dids) = (query.all("kinds"), query.all("dids"));
    let mut filter = V2Filter::from_lists(&kinds, &dids, &query.all("collections"))
        .map_err(|text| bad_request(&format!("invalid options: {text}")))?;
    filter.max_message_bytes = match query.all("maxMessageSizeBytes").as_slice() {
        [] => 0,
        [size] if size.bytes().all(|b| b.is_ascii_digit()) => size
            .parse()
            .map_err(|_| bad_request(&format!("invalid maxMessageSizeBytes: {size:?}")))?,
        [size] => return Err(bad_request(&format!("invalid maxMessageSizeBytes: {size:?}"))),
        _ => return Err(bad_request("maxMessageSizeBytes is given more than once")),
    };
    Ok(filter)
}

/// Returns where the stream starts and the message that precedes all events (v2 §4).
fn start(
    cursor: Option<&str>,
    shared: &ServerState,
    now: Instant,
) -> Result<(StreamStart, Option<String>), Response> {
    let Some(cursor) = cursor.filter(|c| !c.is_empty()) else {
        return Ok((StreamStart::Live, None));
    };
    let target = shared.timeline.resolve_v2_stream(cursor, now);
    match target.map_err(|_| bad_request(&format!("invalid cursor: {cursor:?}")))? {
        CursorTarget::Tip => Ok((StreamStart::Tip, None)),
        CursorTarget::Event(event) => Ok((StreamStart::Event(event), None)),
        CursorTarget::SeqTooOld { requested, floor } => {
            let floor = shared.timeline.stamps.seq(floor);
            let message = format!(
                "subscribe: cursor too old: cursor {requested} below lookback floor {floor}; \
                 re-backfill from your last seq"
            );
            Err(Response::xrpc(XrpcErrorCode::CursorTooOld, &message))
        }
        CursorTarget::TimeTooOld { floor } => {
            let seq = shared.timeline.stamps.seq(floor);
            let message =
                format!("requested timestamp cursor below retention floor; starting at seq {seq}");
            Ok((StreamStart::Event(floor), Some(frame::info("OutdatedCursor", &message))))
        }
    }
}
