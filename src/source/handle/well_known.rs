//! Fetches a handle's DID by HTTPS: `/.well-known/atproto-did` on the host with that name.

use tokio::time::Instant;
use url::Url;

use super::ResolveOptions;
use super::syntax::Handle;
use crate::display::printable::one_line;
use crate::filter::syntax::is_did;
use crate::source::download::{self, DownloadError, Route};

/// The longest answer that is read, in bytes: a DID has up to 2,048, and white space may follow.
const MAX_BODY_BYTES: usize = 4096;

/// Why the host has no DID.
#[derive(Debug, thiserror::Error)]
pub enum HttpsProblem {
    /// The download failed.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The answer is not a DID.
    #[error("HTTPS answered {0:?}, which is not a DID")]
    NoDid(String),
}

impl HttpsProblem {
    /// Returns whether the host did not answer.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Download(DownloadError::Dial(_) | DownloadError::Io(_)))
    }
}

/// Returns the DID of a handle.
///
/// # Errors
/// [`HttpsProblem`].
pub(super) async fn did(
    handle: &Handle,
    options: &ResolveOptions,
    deadline: Instant,
) -> Result<String, HttpsProblem> {
    let start = format!("https://{handle}/.well-known/atproto-did");
    let url = Url::parse(&start).map_err(|_| DownloadError::Redirect(start))?;
    let (proxies, tls) = (&options.proxies, &options.tls);
    let route = Route { proxies, tls, deadline, max_body_bytes: MAX_BODY_BYTES };
    parse_did(&download::fetch(&url, route).await?.body.bytes)
}

fn parse_did(body: &[u8]) -> Result<String, HttpsProblem> {
    let text = std::str::from_utf8(body.trim_ascii()).ok().filter(|text| is_did(text));
    text.map(str::to_owned).ok_or_else(|| HttpsProblem::NoDid(one_line(body, 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_must_be_one_did_and_nothing_else() {
        assert_eq!(parse_did(b"did:plc:abc").unwrap(), "did:plc:abc");
        assert_eq!(parse_did(b" did:plc:abc\r\n").unwrap(), "did:plc:abc");
        for bad in
            [&b""[..], b"<html>", b"did:plc:abc did:plc:d", b"did:plc:abc\ndid:plc:d", b"\xff"]
        {
            assert!(matches!(parse_did(bad), Err(HttpsProblem::NoDid(_))), "{bad:?}");
        }
    }
}
