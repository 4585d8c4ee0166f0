//! Routes requests, and handles v1's `/subscribe` with its parameters and error responses in the
//! wording of the imitated server (protocol/jetstream-v1.md §2, §3 and §10). `v2` handles the paths
//! under `/xrpc/`.

use tokio::time::Instant;

use super::ServerState;
use super::cursor::InvalidCursor;
use super::filter::{InvalidOptions, V1Filter};
use super::handshake;
use super::head::RequestHead;
use super::query::Query;
use super::response::Response;
use super::subscription::{EventFilter, Protocol, StreamStart, Subscription};
use super::v2;
use crate::metrics::now_us;
use crate::position::ServerKind;

const SUBSCRIBE: &str = "/subscribe";

/// Decides the request of connection number `connection`.
pub(super) fn route(
    head: &RequestHead,
    connection: u64,
    shared: &ServerState,
    now: Instant,
) -> Result<Subscription, Response> {
    let kind = shared.kind();
    match (head.path.as_str(), kind) {
        (SUBSCRIBE, _) => match shared.chaos.as_ref().and_then(|c| c.refusal(connection)) {
            Some(refusal) => Err(Response::refused(refusal)),
            None => subscribe(head, shared, now),
        },
        ("/", _) if head.method == "GET" => Err(landing_page(kind)),
        ("/", _) => Err(Response::method_not_allowed()),
        (path, ServerKind::V2) => match path.strip_prefix(v2::XRPC) {
            Some(method) => v2::route(method, head, connection, shared, now),
            None => Err(Response::not_found()),
        },
        _ => Err(Response::not_found()),
    }
}

/// Checks in v2's order: query, compression, filters, cursor, handshake.
fn subscribe(
    head: &RequestHead,
    shared: &ServerState,
    now: Instant,
) -> Result<Subscription, Response> {
    let kind = shared.kind();
    let query = Query::parse(&head.query, kind)?;
    let wants_zstd = query.first("compress") == Some("true")
        || head.header("Socket-Encoding").any(|v| v.contains("zstd"));
    let offers_deflate =
        head.header("Sec-WebSocket-Extensions").any(|v| v.contains("permessage-deflate"));
    if kind == ServerKind::V2 && wants_zstd && offers_deflate {
        return Err(Response::bad_request(
            "choose one compression scheme: zstd or permessage-deflate",
        ));
    }
    let size = query.first("maxMessageSizeBytes").and_then(|v| v.parse().ok()).unwrap_or(0);
    let (collections, dids) = (query.all("wantedCollections"), query.all("wantedDids"));
    let filter = V1Filter::from_lists(&collections, &dids, size, kind)
        .map_err(|e| invalid_options(&e, kind))?;
    let accept_key = handshake::accept_key(head, kind);
    if accept_key.is_ok() {
        // The first client starts the playhead and with `--restamp` shifts the times that cursors
        // refer to. A plain GET request does not count as a client.
        shared.timeline.start(now, now_us());
    }
    let from = start(query.first("cursor"), shared, now)?;
    let accept_key = accept_key?;
    let dictionary = match wants_zstd.then(|| shared.dictionaries.v1(shared.recording())) {
        Some(None) => {
            return Err(Response::bad_request(
                "compression not available: the recording is too short to train a dictionary \
                 from; start the server with --zstd-dictionary",
            ));
        }
        dictionary => dictionary.flatten(),
    };
    Ok(Subscription {
        filter: EventFilter::V1(filter),
        from,
        dictionary,
        protocol: Protocol::V1,
        require_hello: query.first("requireHello") == Some("true"),
        accept_key,
    })
}

fn start(
    cursor: Option<&str>,
    shared: &ServerState,
    now: Instant,
) -> Result<StreamStart, Response> {
    let Some(cursor) = cursor.filter(|c| !c.is_empty()) else {
        return Ok(StreamStart::Live);
    };
    match shared.timeline.resolve(cursor, now) {
        Ok(Some(event)) => Ok(StreamStart::Event(event)),
        Ok(None) => Ok(StreamStart::Tip),
        Err(bad) => Err(Response::bad_request(&match (shared.kind(), bad) {
            (ServerKind::Legacy, _) => format!("invalid cursor: {cursor}"),
            (ServerKind::V2, InvalidCursor::Negative(value)) => {
                format!("subscribe: invalid cursor: negative value {value}")
            }
            (ServerKind::V2, InvalidCursor::NotAnInteger) => {
                format!("subscribe: invalid cursor: {cursor:?}")
            }
        })),
    }
}

fn invalid_options(InvalidOptions(text): &InvalidOptions, kind: ServerKind) -> Response {
    Response::bad_request(&match kind {
        ServerKind::V2 => format!("subscribe: invalid options: {text}"),
        ServerKind::Legacy => format!("invalid subscriber options: {text}"),
    })
}

fn landing_page(kind: ServerKind) -> Response {
    match kind {
        ServerKind::Legacy => Response::text("200 OK", "Welcome to Jetstream"),
        ServerKind::V2 => Response::html(
            "200 OK",
            "<!doctype html><title>Jetstream</title><p>A recording, served by skytail. \
             Connect a WebSocket to <code>/subscribe</code> or to \
             <code>/xrpc/network.bsky.jetstream.subscribeEvents</code>.",
        ),
    }
}
