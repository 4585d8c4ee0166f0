//! One dictionary from a v2 server.
//!
//! Source: protocol/jetstream-v2.md §6.

use std::io;

use tokio::time::Instant;

use crate::compression::dictionary::{Dictionary, Fault, MAX_SIZE_BYTES};
use crate::source::dial::{self, DialError};
use crate::source::endpoint::Endpoint;
use crate::source::http;
use crate::source::proxy::Proxies;
use crate::source::refusal::{self, Xrpc};
use crate::source::tls::TlsContext;

/// Where dictionaries are served, below an endpoint's base path.
const PATH: &str = "/xrpc/network.bsky.jetstream.getZstdDictionary";

/// The header with the ID of the dictionary in the body.
const ID_HEADER: &str = "x-zstd-dictionary-id";

/// Why there is no dictionary.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No byte stream.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No answer.
    #[error("no answer ({0})")]
    Io(#[from] io::Error),
    /// The server has no dictionary of this ID.
    #[error("DictionaryNotFound: {0}")]
    NotFound(String),
    /// Another answer than 200.
    #[error("HTTP {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words, printable.
        said: String,
    },
    /// The answer ended too early.
    #[error("the answer was cut off after {0} bytes")]
    CutOff(usize),
    /// It is no dictionary.
    #[error("{0}")]
    Fault(Fault),
    /// It is another one than its header says.
    #[error("the header names ID {header:?}, and the dictionary has {blob}")]
    OtherId {
        /// What the header says, printable.
        header: String,
        /// What the bytes say.
        blob: u32,
    },
}

impl FetchError {
    /// Whether the server answered that it has nothing of the kind.
    #[must_use]
    pub fn is_no_such_endpoint(&self) -> bool {
        matches!(self, Self::Refused { status: 300..=428 | 430..=499 | 501, .. })
    }
}

/// Fetches the dictionary of this ID, or the server's current one. No credentials are sent.
///
/// # Errors
/// [`FetchError`].
pub async fn fetch(
    endpoint: &Endpoint,
    proxies: &Proxies,
    tls: &TlsContext,
    id: Option<u32>,
    deadline: Instant,
) -> Result<Dictionary, FetchError> {
    let transport = dial::dial(endpoint, proxies, tls, deadline).await?;
    let path = match id {
        Some(id) => format!("{PATH}?id={id}"),
        None => PATH.to_owned(),
    };
    let most = usize::try_from(MAX_SIZE_BYTES + 1).unwrap_or(usize::MAX);
    let answer = http::get(transport, endpoint, &path, deadline, most).await?;
    let body = answer.body;
    if answer.status != 200 {
        return Err(match refusal::xrpc(&body.bytes) {
            Some(Xrpc { name, message }) if name == "DictionaryNotFound" => {
                FetchError::NotFound(message)
            }
            _ => {
                let said = refusal::words(&body.bytes);
                FetchError::Refused { status: answer.status, said }
            }
        });
    }
    if !body.is_whole && body.bytes.len() < most {
        return Err(FetchError::CutOff(body.bytes.len()));
    }
    let header = answer.headers.get(ID_HEADER).map(|value| value.as_bytes().to_vec());
    let dictionary = Dictionary::check(body.bytes).map_err(FetchError::Fault)?;
    let blob = dictionary.id;
    // The ID in the bytes counts; a header that says another one makes both doubtful.
    match header {
        Some(header) if header != blob.to_string().as_bytes() => {
            let header = crate::display::printable::one_line(&header, 40);
            Err(FetchError::OtherId { header, blob })
        }
        _ => Ok(dictionary),
    }
}

/// The ID that a server's message names as its current one: the last number in it (§5, §6: it
/// stands in the text alone).
#[must_use]
pub fn named_id(message: &str) -> Option<u32> {
    let mut numbers = message.rsplit(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty());
    numbers.next()?.parse().ok().filter(|id| *id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_id_is_the_last_number_of_a_message() {
        for (message, id) in [
            ("no dictionary with id 5; current dictionary id is 20260811", Some(20_260_811)),
            ("unknown dictionary", None),
            ("current dictionary id is 0", None),
            ("current dictionary id is 99999999999", None),
            ("use 7.", Some(7)),
        ] {
            assert_eq!(named_id(message), id, "{message}");
        }
    }
}
