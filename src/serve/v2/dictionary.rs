//! The endpoint that hands out the dictionary of the v2 stream (v2 §6).

use crate::position::ServerKind;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Xrpc};
use crate::serve::content::Content;
use crate::serve::head::Head;
use crate::serve::query::Query;

/// Why there is none.
pub(super) const NONE: &str = "service not ready: no zstd dictionary: the recording is too \
                               short to train one from; start the server with --v2-dictionary";

/// Answers a request for the dictionary.
pub(super) fn answer(head: &Head, shared: &Shared) -> Answer {
    let Ok(query) = Query::parse(&head.query, ServerKind::V2) else {
        return Answer::xrpc(Xrpc::InvalidRequest, "invalid query string");
    };
    let asked = match query.first("id") {
        None => None,
        Some(text) => match read_id(text) {
            Some(id) => Some(id),
            None => {
                let message = format!("invalid id: {text:?}: expected an integer from 1");
                return Answer::xrpc(Xrpc::InvalidRequest, &message);
            }
        },
    };
    let Some(dictionary) = shared.v2_dictionary() else {
        return Answer::xrpc(Xrpc::ServiceUnavailable, NONE);
    };
    let id = dictionary.id();
    if let Some(asked) = asked.filter(|&asked| asked != u64::from(id)) {
        return Answer::xrpc(Xrpc::DictionaryNotFound, &unknown(asked, id));
    }
    let headers = format!(
        "X-Zstd-Dictionary-Id: {id}\r\nCache-Control: public, max-age=31536000, immutable\r\n"
    );
    let content = Content {
        body: dictionary.bytes().to_vec().into(),
        etag: format!("\"zstd-dict-{id}\""),
        last_modified: String::new(),
        headers,
    };
    content.answer(head)
}

/// An id of a dictionary: a decimal integer from 1.
pub(super) fn read_id(text: &str) -> Option<u64> {
    let id = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    id.filter(|&id| id >= 1)
}

/// What is said of an id that is not the current one.
pub(super) fn unknown(asked: u64, current: u32) -> String {
    format!("no dictionary with id {asked}; current dictionary id is {current}")
}
