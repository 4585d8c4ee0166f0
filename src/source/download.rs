//! Small public files over HTTPS: with redirects to `https://` alone, and through the same
//! proxies and with the same trust as the streams.

use std::io;

use http::header::LOCATION;
use tokio::time::Instant;
use url::{Position, Url};

use super::dial::{DialError, dial};
use super::endpoint::{self, Credentials, EndpointError};
use super::http::{self as client, Answer, Bounds, Request};
use super::proxy::Proxies;
use super::tls::TlsContext;
use crate::display::printable::one_line;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// Longest address of a redirect, in bytes.
const MAX_LOCATION_BYTES: usize = 2048;

/// How a file is fetched.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// Proxies from the environment.
    pub proxies: &'a Proxies,
    /// Trust.
    pub tls: &'a TlsContext,
    /// When to give up.
    pub deadline: Instant,
    /// Most bytes of the body that are read.
    pub max_body_bytes: usize,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No byte stream.
    #[error("HTTPS failed ({0})")]
    Dial(#[from] DialError),
    /// No answer.
    #[error("HTTPS gave no answer ({0})")]
    Io(#[from] io::Error),
    /// Another answer than 200.
    #[error("HTTPS answered {0}")]
    Status(u16),
    /// A redirect too many, or one that is not followed.
    #[error("HTTPS redirects to {0:?}: only {MAX_REDIRECTS} redirects to https:// are followed")]
    Redirect(String),
    /// The name can't be dialled.
    #[error("HTTPS can't be tried ({0})")]
    Endpoint(#[from] EndpointError),
}

/// Fetches a file. The credentials in `url` go to its own server alone, and to no target of a
/// redirect.
///
/// # Errors
/// [`DownloadError`].
pub async fn fetch(url: &Url, route: Route<'_>) -> Result<Answer, DownloadError> {
    let mut login = Credentials::of_url(url);
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let answer = once(&url, login.take().as_ref(), route).await?;
        match answer.status {
            200 => return Ok(answer),
            301 | 302 | 303 | 307 | 308 => url = redirected(&url, &answer)?,
            status => return Err(DownloadError::Status(status)),
        }
    }
    Err(DownloadError::Redirect(one_line(url.as_str().as_bytes(), 200)))
}

async fn once(
    url: &Url,
    login: Option<&Credentials>,
    route: Route<'_>,
) -> Result<Answer, DownloadError> {
    let Route { proxies, tls, deadline, max_body_bytes } = route;
    let endpoint = endpoint::parse(&url[..Position::BeforePath])?;
    let transport = dial(&endpoint, proxies, tls, deadline).await?;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let headers =
        login.map(|login| format!("Authorization: {}\r\n", login.basic())).unwrap_or_default();
    let request = Request { path, headers: &headers, body: None };
    let bounds = Bounds { head_by: deadline, body_by: deadline, max_body_bytes };
    Ok(client::send(transport, &endpoint, request, bounds).await?)
}

/// Where to go on. Never to plain HTTP: what comes from there could come from anybody.
fn redirected(from: &Url, answer: &Answer) -> Result<Url, DownloadError> {
    let location = answer.headers.get(LOCATION).map_or(&b""[..], |value| value.as_bytes());
    let refused = || DownloadError::Redirect(one_line(location, 200));
    let text = std::str::from_utf8(location).map_err(|_| refused())?;
    if text.is_empty() || text.len() > MAX_LOCATION_BYTES {
        return Err(refused());
    }
    let to = from.join(text).map_err(|_| refused())?;
    let has_credentials = !to.username().is_empty() || to.password().is_some();
    // A relative address keeps the credentials of the first one, which are not sent again.
    let is_same_server = to[..Position::BeforePath] == from[..Position::BeforePath];
    if to.scheme() != "https" || (has_credentials && !is_same_server) {
        return Err(refused());
    }
    Ok(to)
}
