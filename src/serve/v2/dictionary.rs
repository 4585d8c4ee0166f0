//! The endpoint that serves the dictionary of the v2 stream (v2 §6).

use crate::position::ServerKind;
use crate::serve::ServerState;
use crate::serve::file_response::FileResponse;
use crate::serve::head::RequestHead;
use crate::serve::query::Query;
use crate::serve::response::{Response, XrpcErrorCode};

/// The error if no dictionary is available.
pub(super) const NO_DICTIONARY: &str = "service not ready: no zstd dictionary: the recording is too \
                               short to train one from; start the server with --v2-dictionary";

/// Answers a request for the dictionary.
pub(super) fn answer(head: &RequestHead, shared: &ServerState) -> Response {
    let Ok(query) = Query::parse(&head.query, ServerKind::V2) else {
        return Response::xrpc(XrpcErrorCode::InvalidRequest, "invalid query string");
    };
    let requested = match query.first("id") {
        None => None,
        Some(text) => match parse_id(text) {
            Some(id) => Some(id),
            None => {
                let message = format!("invalid id: {text:?}: expected an integer from 1");
                return Response::xrpc(XrpcErrorCode::InvalidRequest, &message);
            }
        },
    };
    let Some(dictionary) = shared.v2_dictionary() else {
        return Response::xrpc(XrpcErrorCode::ServiceUnavailable, NO_DICTIONARY);
    };
    let id = dictionary.id();
    if let Some(requested) = requested.filter(|&requested| requested != u64::from(id)) {
        return Response::xrpc(XrpcErrorCode::DictionaryNotFound, &unknown(requested, id));
    }
    let headers = format!(
        "X-Zstd-Dictionary-Id: {id}\r\nCache-Control: public, max-age=31536000, immutable\r\n"
    );
    let file = FileResponse {
        body: dictionary.bytes().to_vec().into(),
        etag: format!("\"zstd-dict-{id}\""),
        last_modified: String::new(),
        headers,
    };
    file.respond(head)
}

/// Parses a dictionary id: a decimal integer from 1.
pub(super) fn parse_id(text: &str) -> Option<u64> {
    let id = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    id.filter(|&id| id >= 1)
}

/// Returns the error text for an id that is not the current one.
pub(super) fn unknown(requested: u64, current: u32) -> String {
    format!("no dictionary with id {requested}; current dictionary id is {current}")
}
