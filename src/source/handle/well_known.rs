//! A handle's DID by HTTPS: `/.well-known/atproto-did` on the host of that name.

use tokio::time::Instant;
use url::Url;

use super::Ways;
use super::syntax::Handle;
use crate::display::printable::one_line;
use crate::filter::syntax::is_did;
use crate::source::download::{self, DownloadError, Route};

/// Longest answer that is read, in bytes: a DID has up to 2,048, and blanks may follow.
const MAX_BODY_BYTES: usize = 4096;

/// Why there is no DID at the host.
#[derive(Debug, thiserror::Error)]
pub enum WebProblem {
    /// No answer with a body.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The answer is no DID.
    #[error("HTTPS answered {0:?}, which is no DID")]
    NoDid(String),
}

impl WebProblem {
    /// Whether the host did not answer at all.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Download(DownloadError::Dial(_) | DownloadError::Io(_)))
    }
}

/// The DID of a handle.
///
/// # Errors
/// [`WebProblem`].
pub(super) async fn did(
    handle: &Handle,
    ways: &Ways,
    deadline: Instant,
) -> Result<String, WebProblem> {
    let start = format!("https://{handle}/.well-known/atproto-did");
    let url = Url::parse(&start).map_err(|_| DownloadError::Redirect(start))?;
    let (proxies, tls) = (&ways.proxies, &ways.tls);
    let route = Route { proxies, tls, deadline, max_body_bytes: MAX_BODY_BYTES };
    did_in(&download::fetch(&url, route).await?.body.bytes)
}

fn did_in(body: &[u8]) -> Result<String, WebProblem> {
    let text = std::str::from_utf8(body.trim_ascii()).ok().filter(|text| is_did(text));
    text.map(str::to_owned).ok_or_else(|| WebProblem::NoDid(one_line(body, 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_one_did_and_nothing_else() {
        assert_eq!(did_in(b"did:plc:abc").unwrap(), "did:plc:abc");
        assert_eq!(did_in(b" did:plc:abc\r\n").unwrap(), "did:plc:abc");
        for bad in
            [&b""[..], b"<html>", b"did:plc:abc did:plc:d", b"did:plc:abc\ndid:plc:d", b"\xff"]
        {
            assert!(matches!(did_in(bad), Err(WebProblem::NoDid(_))), "{bad:?}");
        }
    }
}
