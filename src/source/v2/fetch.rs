//! Downloads one zstd dictionary from a v2 server.
//!
//! Source: protocol/jetstream-v2.md §6.

use std::io;

use tokio::time::Instant;

use crate::compression::dictionary::{Dictionary, Fault, MAX_SIZE_BYTES};
use crate::source::endpoint::Endpoint;
use crate::source::http::{self, error_body, error_body::XrpcError};
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;
use crate::source::net::{self, DialError};

/// The path of the dictionaries, below an endpoint's base path.
const PATH: &str = "/xrpc/network.bsky.jetstream.getZstdDictionary";

/// The header with the ID of the dictionary in the body.
const ID_HEADER: &str = "x-zstd-dictionary-id";

/// Why a dictionary could not be downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DictionaryFetchError {
    /// DNS, TCP, the proxy or TLS failed.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The server did not answer.
    #[error("no answer ({0})")]
    Io(#[from] io::Error),
    /// The server has no dictionary with this ID.
    #[error("DictionaryNotFound: {0}")]
    NotFound(String),
    /// The status is not 200.
    #[error("HTTP {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's text, printable.
        said: String,
    },
    /// The body ended too early, after this many bytes.
    #[error("the answer was cut off after {0} bytes")]
    CutOff(usize),
    /// The body is not a dictionary.
    #[error("{0}")]
    Fault(Fault),
    /// The dictionary has another ID than the header.
    #[error("the header names ID {header:?}, and the dictionary has {blob}")]
    OtherId {
        /// The ID in the header, printable.
        header: String,
        /// The ID in the dictionary.
        blob: u32,
    },
}

impl DictionaryFetchError {
    /// Returns whether the server's answer means that it serves no dictionaries.
    #[must_use]
    pub fn is_no_such_endpoint(&self) -> bool {
        matches!(self, Self::Refused { status: 300..=428 | 430..=499 | 501, .. })
    }
}

/// Downloads the dictionary with this ID, or the server's current one. Sends no credentials.
///
/// # Errors
/// [`DictionaryFetchError`].
pub async fn fetch(
    endpoint: &Endpoint,
    proxies: &Proxies,
    tls: &TlsContext,
    id: Option<u32>,
    deadline: Instant,
) -> Result<Dictionary, DictionaryFetchError> {
    let transport = net::dial(endpoint, proxies, tls, deadline).await?;
    let path = match id {
        Some(id) => format!("{PATH}?id={id}"),
        None => PATH.to_owned(),
    };
    let max_bytes = usize::try_from(MAX_SIZE_BYTES + 1).unwrap_or(usize::MAX);
    let response = http::get(transport, endpoint, &path, deadline, max_bytes).await?;
    let body = response.body;
    if response.status != 200 {
        return Err(match error_body::xrpc_error(&body.bytes) {
            Some(XrpcError { name, message }) if name == "DictionaryNotFound" => {
                DictionaryFetchError::NotFound(message)
            }
            _ => {
                let said = error_body::text(&body.bytes);
                DictionaryFetchError::Refused { status: response.status, said }
            }
        });
    }
    if !body.is_whole && body.bytes.len() < max_bytes {
        return Err(DictionaryFetchError::CutOff(body.bytes.len()));
    }
    let header = response.headers.get(ID_HEADER).map(|value| value.as_bytes().to_vec());
    let dictionary = Dictionary::check(body.bytes).map_err(DictionaryFetchError::Fault)?;
    let blob = dictionary.id;
    // The ID in the dictionary counts. If the header has another one, both are doubtful.
    match header {
        Some(header) if header != blob.to_string().as_bytes() => {
            let header = crate::display::printable::one_line(&header, 40);
            Err(DictionaryFetchError::OtherId { header, blob })
        }
        _ => Ok(dictionary),
    }
}

/// Returns the ID that a server's error message names as its current one: the last number in the
/// text, because no other field has it (§5, §6).
#[must_use]
pub fn current_id(message: &str) -> Option<u32> {
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
            assert_eq!(current_id(message), id, "{message}");
        }
    }
}
