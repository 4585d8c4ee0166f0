//! What a request asks for, and how it is refused: paths, query parameters and the answers
//! before the upgrade, in the words of the imitated server
//! (protocol/jetstream-v1.md §2, §3 and §10).

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::Shared;
use super::chaos::Refusal;
use super::head::Head;
use super::timeline::BadCursor;
use super::wanted::{BadOptions, Wanted};
use crate::position::ServerKind;

/// The id of the v1 dictionary, which no server hands out (protocol/jetstream-v1.md §5).
const V1_DICTIONARY_ID: &str = "1612007021";
const SUBSCRIBE: &str = "/subscribe";
const GET_DICTIONARY: &str = "/xrpc/network.bsky.jetstream.getZstdDictionary";

/// A stream to open.
#[derive(Debug)]
pub(super) struct Subscription {
    pub wanted: Wanted,
    pub from: From,
    pub compress: bool,
    pub require_hello: bool,
    /// For the `Sec-WebSocket-Accept` header.
    pub accept_key: String,
}

/// Where a stream starts, decided when the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Without a cursor: the tip at the moment of the hello.
    Live,
    /// A cursor that lies ahead: the tip.
    Tip,
    /// A cursor's event.
    Event(u64),
}

/// An answer that ends the connection.
#[derive(Debug)]
pub(super) struct Answer {
    status: &'static str,
    headers: String,
    body: Vec<u8>,
}

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
        (GET_DICTIONARY, ServerKind::V2) if head.method == "GET" => Err(dictionary(head, shared)),
        ("/" | GET_DICTIONARY, ServerKind::V2) | ("/", _) => Err(Answer::wrong_method()),
        _ => Err(Answer::text("404 Not Found", "404 page not found")),
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
    let accept_key = handshake(head, kind);
    if accept_key.is_ok() {
        // The first client moves the playhead, and with `--restamp` the times that cursors
        // are in; somebody who only looks with a plain GET does not.
        shared.timeline.start(now, wall_us());
    }
    let from = start(query.first("cursor"), shared, now)?;
    let accept_key = accept_key?;
    if wants_zstd && shared.dictionary().is_none() {
        return Err(Answer::bad_request(
            "compression not available: the recording is too short to train a dictionary from; \
             start the server with --zstd-dictionary",
        ));
    }
    Ok(Subscription {
        wanted,
        from,
        compress: wants_zstd,
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

/// The WebSocket part of the head; returns the accept key.
fn handshake(head: &Head, kind: ServerKind) -> Result<String, Answer> {
    if head.method != "GET" {
        return Err(Answer::wrong_method());
    }
    if !head.has_token("Connection", "upgrade") || !head.has_token("Upgrade", "websocket") {
        return Err(match kind {
            ServerKind::V2 => Answer {
                headers: "Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned(),
                ..Answer::text("426 Upgrade Required", "WebSocket upgrade required")
            },
            ServerKind::Legacy => Answer::bad_request("Bad Request"),
        });
    }
    if !head.has_token("Sec-WebSocket-Version", "13") {
        return Err(Answer {
            headers: "Sec-WebSocket-Version: 13\r\n".to_owned(),
            ..Answer::bad_request("unsupported WebSocket version: only 13 is spoken")
        });
    }
    // 16 bytes in base64 (RFC 6455 §4.2.1).
    match head.header("Sec-WebSocket-Key").next().map(str::trim) {
        Some(key) if key.len() == 24 && key.ends_with("==") => {
            Ok(derive_accept_key(key.as_bytes()))
        }
        _ => Err(Answer::bad_request("bad Sec-WebSocket-Key")),
    }
}

fn welcome(kind: ServerKind) -> Answer {
    match kind {
        ServerKind::Legacy => Answer::text("200 OK", "Welcome to Jetstream"),
        ServerKind::V2 => Answer {
            headers: "Content-Type: text/html; charset=utf-8\r\n".to_owned(),
            ..Answer::text(
                "200 OK",
                "<!doctype html><title>Jetstream</title><p>A recording, served by skytail. \
                 Connect a WebSocket to <code>/subscribe</code>.",
            )
        },
    }
}

fn dictionary(head: &Head, shared: &Shared) -> Answer {
    let query = Query::parse(&head.query, ServerKind::V2);
    let id = query.as_ref().ok().and_then(|q| q.first("id"));
    let at_hand = shared.dictionary();
    match (id, at_hand) {
        (Some(V1_DICTIONARY_ID), _) => dictionary_not_found(),
        (_, None) => {
            Answer::text("503 Service Unavailable", "service not ready: no zstd dictionary")
        }
        (Some(id), Some(dictionary)) if id != dictionary.id().to_string() => dictionary_not_found(),
        (_, Some(dictionary)) => Answer {
            status: "200 OK",
            headers: format!(
                "Content-Type: application/octet-stream\r\nX-Zstd-Dictionary-Id: {}\r\n",
                dictionary.id()
            ),
            body: dictionary.bytes().to_vec(),
        },
    }
}

fn dictionary_not_found() -> Answer {
    let body = r#"{"error":"DictionaryNotFound","message":"no such dictionary"}"#;
    Answer {
        headers: "Content-Type: application/json\r\n".to_owned(),
        ..Answer::text("404 Not Found", body)
    }
}

impl Answer {
    fn text(status: &'static str, line: &str) -> Self {
        Self {
            status,
            headers:
                "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
                    .to_owned(),
            body: format!("{line}\n").into_bytes(),
        }
    }

    fn bad_request(line: &str) -> Self {
        Self::text("400 Bad Request", line)
    }

    fn wrong_method() -> Self {
        Self {
            headers: "Allow: GET\r\nContent-Type: text/plain; charset=utf-8\r\n".to_owned(),
            ..Self::text("405 Method Not Allowed", "Method Not Allowed")
        }
    }

    /// Refused on purpose.
    fn not_now(refusal: Refusal) -> Self {
        let mut answer = match refusal.too_many {
            true => Self::text("429 Too Many Requests", "too many requests"),
            false => Self::text("503 Service Unavailable", "service not ready: chaos"),
        };
        answer.headers.push_str(&format!("Retry-After: {}\r\n", refusal.retry_after_s));
        answer
    }

    /// No more connections are taken.
    pub(super) fn too_many_connections() -> Self {
        Self::text("503 Service Unavailable", "service not ready: too many connections")
    }

    /// The head is longer than is taken.
    pub(super) fn head_too_long() -> Self {
        Self::text("431 Request Header Fields Too Large", "request header fields too large")
    }

    /// Not HTTP/1.1.
    pub(super) fn malformed() -> Self {
        Self::bad_request("400 Bad Request")
    }

    /// The whole answer as sent.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let length = self.body.len();
        // What an answer says of the connection itself comes first.
        let close =
            if self.headers.starts_with("Connection:") { "" } else { "Connection: close\r\n" };
        let head = format!(
            "HTTP/1.1 {}\r\n{}{close}Content-Length: {length}\r\n\r\n",
            self.status, self.headers
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// The parameters of a query string, in order.
#[derive(Debug)]
struct Query(Vec<(String, String)>);

impl Query {
    /// Malformed pairs are an error on v2, and left out by legacy.
    fn parse(query: &str, kind: ServerKind) -> Result<Self, Answer> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            if is_well_formed(pair) {
                pairs.extend(url::form_urlencoded::parse(pair.as_bytes()).into_owned());
            } else if kind == ServerKind::V2 {
                return Err(Answer::bad_request("subscribe: invalid query string"));
            }
        }
        Ok(Self(pairs))
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(n, _)| n == name);
        named.map(|(_, value)| value.clone()).collect()
    }
}

/// Neither a raw semicolon nor a bad percent escape.
fn is_well_formed(pair: &str) -> bool {
    let escapes_are_hex = pair.split('%').skip(1).all(|after| {
        after.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    !pair.contains(';') && escapes_are_hex
}

/// The time of day in unix microseconds.
pub(super) fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_and_bad_ones_refused_on_v2_only() {
        let query = Query::parse("a=1&b=x%2Ay&a=2&&c", ServerKind::V2).unwrap();
        assert_eq!(query.first("a"), Some("1"));
        assert_eq!(query.all("a"), ["1", "2"]);
        assert_eq!(query.first("b"), Some("x*y"));
        assert_eq!(query.first("c"), Some(""));
        for bad in ["a=%", "a=%2", "a=%zz", "a=1;b=2"] {
            assert!(Query::parse(bad, ServerKind::V2).is_err(), "{bad}");
            let query = Query::parse(&format!("{bad}&z=1"), ServerKind::Legacy).unwrap();
            assert_eq!((query.first("a"), query.first("z")), (None, Some("1")), "{bad}");
        }
    }
}
