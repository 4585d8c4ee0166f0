//! A handle's DID by HTTPS: `/.well-known/atproto-did` on the host of that name.

use std::io;

use ::http::header::LOCATION;
use tokio::time::Instant;
use url::{Position, Url};

use super::Ways;
use super::syntax::Handle;
use crate::display::printable::one_line;
use crate::filter::syntax::is_did;
use crate::source::dial::{DialError, dial};
use crate::source::endpoint::{self, EndpointError};
use crate::source::http::{self, Answer};

/// Longest answer that is read, in bytes: a DID has up to 2,048, and blanks may follow.
const MAX_BODY_BYTES: usize = 4096;
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// Longest address of a redirect, in bytes.
const MAX_LOCATION_BYTES: usize = 2048;

/// Why there is no DID at the host.
#[derive(Debug, thiserror::Error)]
pub enum WebProblem {
    /// No byte stream.
    #[error("HTTPS failed ({0})")]
    Dial(#[from] DialError),
    /// No answer.
    #[error("HTTPS gave no answer ({0})")]
    Io(#[from] io::Error),
    /// Another answer than 200.
    #[error("HTTPS answered {0}")]
    Status(u16),
    /// The answer is no DID.
    #[error("HTTPS answered {0:?}, which is no DID")]
    NoDid(String),
    /// A redirect too many, or one to where nobody follows.
    #[error("HTTPS redirects to {0:?}: only {MAX_REDIRECTS} redirects to https:// are followed")]
    Redirect(String),
    /// The name can't be dialled.
    #[error("HTTPS can't be tried ({0})")]
    Endpoint(#[from] EndpointError),
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
    let mut url = Url::parse(&start).map_err(|_| WebProblem::Redirect(start))?;
    for _ in 0..=MAX_REDIRECTS {
        let answer = get(&url, ways, deadline).await?;
        match answer.status {
            200 => return did_in(&answer.body.bytes),
            301 | 302 | 303 | 307 | 308 => url = redirected(&url, &answer)?,
            status => return Err(WebProblem::Status(status)),
        }
    }
    Err(WebProblem::Redirect(one_line(url.as_str().as_bytes(), 200)))
}

async fn get(url: &Url, ways: &Ways, deadline: Instant) -> Result<Answer, WebProblem> {
    let endpoint = endpoint::parse(&url[..Position::BeforePath])?;
    let transport = dial(&endpoint, &ways.proxies, &ways.tls, deadline).await?;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    Ok(http::get(transport, &endpoint, path, deadline, MAX_BODY_BYTES).await?)
}

/// Where to go on. Never to plain HTTP: what comes from there could come from anybody.
fn redirected(from: &Url, answer: &Answer) -> Result<Url, WebProblem> {
    let location = answer.headers.get(LOCATION).map_or(&b""[..], |value| value.as_bytes());
    let refused = || WebProblem::Redirect(one_line(location, 200));
    let text = std::str::from_utf8(location).map_err(|_| refused())?;
    if text.is_empty() || text.len() > MAX_LOCATION_BYTES {
        return Err(refused());
    }
    let to = from.join(text).map_err(|_| refused())?;
    let has_credentials = !to.username().is_empty() || to.password().is_some();
    if to.scheme() != "https" || has_credentials {
        return Err(refused());
    }
    Ok(to)
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
