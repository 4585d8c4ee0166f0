//! Downloads small public files over HTTPS. Follows redirects to `https://` only, and uses the
//! same proxies and trusted certificates as the streams.

use std::io;

use http::header::LOCATION;
use tokio::time::Instant;
use url::{Position, Url};

use super::endpoint::{self, Credentials, EndpointError};
use super::http::{HttpRequest, HttpResponse, ResponseLimits, send};
use super::net::proxy::Proxies;
use super::net::tls::TlsContext;
use super::net::{DialError, dial};
use crate::display::printable::one_line;

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 3;
/// The longest address of a redirect, in bytes.
const MAX_LOCATION_BYTES: usize = 2048;

/// How to download a file.
#[derive(Clone, Copy, Debug)]
pub struct Route<'a> {
    /// The proxies of the environment.
    pub proxies: &'a Proxies,
    /// The trusted certificates.
    pub tls: &'a TlsContext,
    /// The deadline for all steps, redirects included.
    pub deadline: Instant,
    /// The most bytes of the body that are read.
    pub max_body_bytes: usize,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// DNS, TCP, the proxy or TLS failed.
    #[error("HTTPS failed ({0})")]
    Dial(#[from] DialError),
    /// The server did not answer.
    #[error("HTTPS gave no answer ({0})")]
    Io(#[from] io::Error),
    /// The status is not 200.
    #[error("HTTPS answered {0}")]
    Status(u16),
    /// One redirect too many, or one that is not followed.
    #[error("HTTPS redirects to {0:?}: only {MAX_REDIRECTS} redirects to https:// are followed")]
    Redirect(String),
    /// The URL names no server.
    #[error("HTTPS can't be tried ({0})")]
    Endpoint(#[from] EndpointError),
}

/// Downloads a file. Sends the credentials in `url` to its own server only, and to no target of a
/// redirect.
///
/// # Errors
/// [`DownloadError`].
pub async fn fetch(url: &Url, route: Route<'_>) -> Result<HttpResponse, DownloadError> {
    let mut login = Credentials::from_url(url);
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response = fetch_once(&url, login.take().as_ref(), route).await?;
        match response.status {
            200 => return Ok(response),
            301 | 302 | 303 | 307 | 308 => url = redirect_target(&url, &response)?,
            status => return Err(DownloadError::Status(status)),
        }
    }
    Err(DownloadError::Redirect(one_line(url.as_str().as_bytes(), 200)))
}

async fn fetch_once(
    url: &Url,
    login: Option<&Credentials>,
    route: Route<'_>,
) -> Result<HttpResponse, DownloadError> {
    let Route { proxies, tls, deadline, max_body_bytes } = route;
    let endpoint = endpoint::parse(&url[..Position::BeforePath])?;
    let transport = dial(&endpoint, proxies, tls, deadline).await?;
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let headers =
        login.map(|login| format!("Authorization: {}\r\n", login.basic())).unwrap_or_default();
    let request = HttpRequest { path, headers: &headers, body: None };
    let limits = ResponseLimits { head_by: deadline, body_by: deadline, max_body_bytes };
    Ok(send(transport, &endpoint, request, limits).await?)
}

/// Returns the URL that a response redirects to. Refuses plain HTTP, where anyone on the way could
/// have written the file.
fn redirect_target(from: &Url, response: &HttpResponse) -> Result<Url, DownloadError> {
    let location = response.headers.get(LOCATION).map_or(&b""[..], |value| value.as_bytes());
    let refused = || DownloadError::Redirect(one_line(location, 200));
    let text = std::str::from_utf8(location).map_err(|_| refused())?;
    if text.is_empty() || text.len() > MAX_LOCATION_BYTES {
        return Err(refused());
    }
    let to = from.join(text).map_err(|_| refused())?;
    let has_credentials = !to.username().is_empty() || to.password().is_some();
    // A relative address keeps the credentials of `from`, which are not sent again.
    let is_same_server = to[..Position::BeforePath] == from[..Position::BeforePath];
    if to.scheme() != "https" || (has_credentials && !is_same_server) {
        return Err(refused());
    }
    Ok(to)
}
