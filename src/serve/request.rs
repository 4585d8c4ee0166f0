//! What a request asks for: the paths of both servers, and v1's `/subscribe` with its
//! parameters and refusals, in the words of the imitated server
//! (protocol/jetstream-v1.md §2, §3 and §10). What lies under `/xrpc/` is `v2`'s.

use tokio::time::Instant;

use super::Shared;
use super::answer::Answer;
use super::cursor::BadCursor;
use super::handshake;
use super::head::Head;
use super::query::Query;
use super::subscription::{From, Protocol, Subscription, Wants};
use super::v2;
use super::wanted::{BadOptions, Wanted};
use crate::metrics::now_us;
use crate::position::ServerKind;

const SUBSCRIBE: &str = "/subscribe";

/// Decides the request of a connection with this number.
pub(super) fn decide(
    head: &Head,
    connection: u64,
    shared: &Shared,
    now: Instant,
) -> Result<Subscription, Answer> {
    let kind = shared.kind();
    match (head.path.as_str(), kind) {
        (SUBSCRIBE, _) => match shared.chaos.as_ref().and_then(|c| c.refusal(connection)) {
            Some(refusal) => Err(Answer::not_now(refusal)),
            None => subscribe(head, shared, now),
        },
        ("/", _) if head.method == "GET" => Err(welcome(kind)),
        ("/", _) => Err(Answer::wrong_method()),
        (path, ServerKind::V2) => match path.strip_prefix(v2::XRPC) {
            Some(method) => v2::decide(method, head, connection, shared, now),
            None => Err(Answer::not_found()),
        },
        _ => Err(Answer::not_found()),
    }
}

/// v2's order of checks: query, compression, filters, cursor, handshake.
fn subscribe(head: &Head, shared: &Shared, now: Instant) -> Result<Subscription, Answer> {
    let kind = shared.kind();
    let query = Query::parse(&head.query, kind)?;
    let wants_zstd = query.first("compress") == Some("true")
        || head.header("Socket-Encoding").any(|v| v.contains("zstd"));
    let offers_deflate =
        head.header("Sec-WebSocket-Extensions").any(|v| v.contains("permessage-deflate"));
    if kind == ServerKind::V2 && wants_zstd && offers_deflate {
        return Err(Answer::bad_request(
            "choose one compression scheme: zstd or permessage-deflate",
        ));
    }
    let size = query.first("maxMessageSizeBytes").and_then(|v| v.parse().ok()).unwrap_or(0);
    let (collections, dids) = (query.all("wantedCollections"), query.all("wantedDids"));
    let wanted =
        Wanted::from_lists(&collections, &dids, size, kind).map_err(|e| bad_options(&e, kind))?;
    let accept_key = handshake::accept_key(head, kind);
    if accept_key.is_ok() {
        // The first client moves the playhead, and with `--restamp` the times that cursors
        // are in; somebody who only looks with a plain GET does not.
        shared.timeline.start(now, now_us());
    }
    let from = start(query.first("cursor"), shared, now)?;
    let accept_key = accept_key?;
    let dictionary = match wants_zstd.then(|| shared.dictionaries.v1(shared.recording())) {
        Some(None) => {
            return Err(Answer::bad_request(
                "compression not available: the recording is too short to train a dictionary \
                 from; start the server with --zstd-dictionary",
            ));
        }
        dictionary => dictionary.flatten(),
    };
    Ok(Subscription {
        wants: Wants::V1(wanted),
        from,
        dictionary,
        protocol: Protocol::V1,
        require_hello: query.first("requireHello") == Some("true"),
        accept_key,
    })
}

fn start(cursor: Option<&str>, shared: &Shared, now: Instant) -> Result<From, Answer> {
    let Some(cursor) = cursor.filter(|c| !c.is_empty()) else {
        return Ok(From::Live);
    };
    match shared.timeline.resolve(cursor, now) {
        Ok(Some(event)) => Ok(From::Event(event)),
        Ok(None) => Ok(From::Tip),
        Err(bad) => Err(Answer::bad_request(&match (shared.kind(), bad) {
            (ServerKind::Legacy, _) => format!("invalid cursor: {cursor}"),
            (ServerKind::V2, BadCursor::Negative(value)) => {
                format!("subscribe: invalid cursor: negative value {value}")
            }
            (ServerKind::V2, BadCursor::NotAnInteger) => {
                format!("subscribe: invalid cursor: {cursor:?}")
            }
        })),
    }
}

fn bad_options(BadOptions(text): &BadOptions, kind: ServerKind) -> Answer {
    Answer::bad_request(&match kind {
        ServerKind::V2 => format!("subscribe: invalid options: {text}"),
        ServerKind::Legacy => format!("invalid subscriber options: {text}"),
    })
}

fn welcome(kind: ServerKind) -> Answer {
    match kind {
        ServerKind::Legacy => Answer::text("200 OK", "Welcome to Jetstream"),
        ServerKind::V2 => Answer::html(
            "200 OK",
            "<!doctype html><title>Jetstream</title><p>A recording, served by skytail. \
             Connect a WebSocket to <code>/subscribe</code> or to \
             <code>/xrpc/network.bsky.jetstream.subscribeEvents</code>.",
        ),
    }
}
