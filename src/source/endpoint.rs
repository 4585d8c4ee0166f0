//! Parses `--host`: one server and how to reach it. Nothing is resolved or dialled here.

mod credentials;
pub(super) mod zone;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use url::{Host, Url};

use super::protocol::Protocol;

pub use credentials::Credentials;

/// The port on which a self-hosted legacy server listens (protocol/jetstream-v1.md §1).
const LEGACY_PORT: u16 = 6008;
/// The longest `--host` value that is parsed, in bytes.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// The longest base path, in bytes, after normalisation.
const MAX_PATH_BYTES: usize = 1024;
/// The longest host name, in bytes (RFC 1035).
const MAX_HOST_BYTES: usize = 253;
/// The paths of the streams, which users paste along with the host, and the protocol of each.
const STREAM_PATHS: [(&str, Protocol); 3] = [
    (Protocol::V1.path(), Protocol::V1),
    (Protocol::V2.path(), Protocol::V2),
    ("/xrpc", Protocol::V2),
];

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether to use TLS.
    pub tls: bool,
    /// The host name or address, without brackets and zone.
    pub host: String,
    /// The zone of a link-local address: the name of a network interface.
    pub zone: Option<String>,
    /// The TCP port.
    pub port: u16,
    /// The path before `/subscribe` or `/xrpc/…`; empty for most servers.
    pub base_path: String,
    /// The protocol, if the path names one.
    pub protocol: Option<Protocol>,
    /// The user name and password of the URL, for `Authorization`.
    pub credentials: Option<Credentials>,
    /// The server's name for users, logs and the state file: without secrets, and without a
    /// default scheme or port. Parses to this endpoint again, except for credentials and protocol.
    pub label: Arc<str>,
}

/// Why a `--host` value is invalid. No message repeats a password or a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The value is empty.
    #[error("the host is empty: give HOST, HOST:PORT or a ws(s):// or http(s):// URL")]
    Empty,
    /// The value is longer than any real one.
    #[error("the host is too long ({0} bytes)")]
    TooLong(usize),
    /// The value has white space, control characters or backslashes.
    #[error("{0:?} contains white space, a backslash or a control character")]
    BadCharacter(String),
    /// The scheme is not one of the four.
    #[error("{0:?} is not a scheme for a Jetstream server: use ws, wss, http or https")]
    Scheme(String),
    /// The value is neither a host nor a URL.
    #[error(
        "{input:?} is not a host ({reason}): give HOST, HOST:PORT or a ws(s):// or http(s):// URL"
    )]
    Invalid {
        /// The value, redacted.
        input: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The port is 0.
    #[error("{0:?}: port 0 can't be dialled")]
    PortZero(String),
    /// The value has a query or a fragment.
    #[error(
        "{0:?} has a query or a fragment: give the server only, and filters and cursor by their own flags (--collection, --did, --cursor)"
    )]
    Query(String),
}

/// Parses a bare host, `host:port`, `[::1]:6008`, or a `ws`, `wss`, `http` or `https` URL.
///
/// A bare host means TLS on port 443, or plain text on port 6008 if it is a loopback host. The
/// path of a stream at the end selects the protocol, and is removed.
///
/// # Errors
/// [`EndpointError`] says which part of the value is wrong.
pub fn parse(input: &str) -> Result<Endpoint, EndpointError> {
    if input.is_empty() {
        return Err(EndpointError::Empty);
    }
    if input.len() > MAX_INPUT_BYTES {
        return Err(EndpointError::TooLong(input.len()));
    }
    let shown = || redacted(input);
    if input.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(EndpointError::BadCharacter(shown()));
    }
    let invalid = |reason: String| EndpointError::Invalid { input: shown(), reason };
    // The URL parser does not support zones.
    let (without_zone, zone) = zone::split(input).ok_or_else(|| {
        invalid("the zone after % must be the name of a network interface".to_owned())
    })?;
    let ParsedUrl { url, tls: scheme_tls, port } = parse_url(&without_zone, &invalid)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(EndpointError::Query(shown()));
    }
    // A slash in a password ends the host too early, and messages would show the rest, which is
    // secret, as a path.
    if url.path().contains('@') {
        return Err(invalid(
            "an @ after a slash: in a user name or password write / as %2F".to_owned(),
        ));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(invalid("no host".to_owned())),
    };
    if host.len() > MAX_HOST_BYTES {
        return Err(EndpointError::TooLong(host.len()));
    }
    let loopback = is_loopback(&host);
    let tls = scheme_tls.unwrap_or(!loopback);
    let port = port.unwrap_or(if tls { 443 } else { LEGACY_PORT });
    if port == 0 {
        return Err(EndpointError::PortZero(shown()));
    }
    let (base_path, protocol) = base_path(url.path());
    if base_path.len() > MAX_PATH_BYTES {
        return Err(EndpointError::TooLong(base_path.len()));
    }
    let label = label(tls, &bracketed(&host, zone.as_deref()), port, loopback, &base_path).into();
    let credentials = Credentials::from_url(&url);
    Ok(Endpoint { tls, host, zone, port, base_path, protocol, credentials, label })
}

/// A `--host` value as a URL.
struct ParsedUrl {
    url: Url,
    /// Whether the scheme means TLS; `None` without a scheme.
    tls: Option<bool>,
    /// The port of the value or of its scheme; `None` for a bare host.
    port: Option<u16>,
}

/// Parses a URL, or a bare host with or without a port.
fn parse_url(
    input: &str,
    invalid: &impl Fn(String) -> EndpointError,
) -> Result<ParsedUrl, EndpointError> {
    let parse = |text: &str| Url::parse(text).map_err(|e| invalid(e.to_string()));
    if let Some(scheme) = scheme_of(input) {
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        let url = parse(input)?;
        let port = url.port_or_known_default();
        return Ok(ParsedUrl { url, tls: Some(tls), port });
    }
    // An IPv6 address without brackets has no port.
    let bare = match input.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]"),
        Err(_) => input.to_owned(),
    };
    let url = parse(&format!("https://{bare}"))?;
    // The parser omits a port that is the scheme's default, so parse with two schemes.
    let port = match url.port() {
        Some(port) => Some(port),
        None => parse(&format!("http://{bare}"))?.port(),
    };
    Ok(ParsedUrl { url, tls: None, port })
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        parse(s)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Endpoint {
    /// Returns whether the host is a loopback name or address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Returns the value of a `Host` header: with brackets around an IPv6 address, and without the
    /// scheme's default port.
    #[must_use]
    pub fn authority(&self) -> String {
        // A zone has no meaning to the peer (RFC 6874 §4).
        let host = bracketed(&self.host, None);
        if self.port == scheme_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// Returns the host for the resolver: with the zone of a link-local address.
    #[must_use]
    pub fn dial_host(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.host),
            None => self.host.clone(),
        }
    }

    /// Returns the URL of the same server with TLS instead of plain text, or the reverse.
    #[must_use]
    pub fn other_scheme(&self) -> String {
        let tls = !self.tls;
        let scheme = if tls { "wss" } else { "ws" };
        let host = bracketed(&self.host, self.zone.as_deref());
        let port = match self.port == scheme_port(tls) {
            true => String::new(),
            false => format!(":{}", self.port),
        };
        format!("{scheme}://{host}{port}{}", self.base_path)
    }

    /// Returns the absolute WebSocket URI of a path (starting with `/`) below the base path, with
    /// an encoded query (without `?`; may be empty). Contains no credentials.
    #[must_use]
    pub fn request_uri(&self, path: &str, query: &str) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{}{}{path}{separator}{query}", self.authority(), self.base_path)
    }
}

/// Returns the scheme; `None` for a bare host, even if its path contains `://`.
fn scheme_of(input: &str) -> Option<&str> {
    let (scheme, _) = input.split_once("://")?;
    scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        .then_some(scheme)
}

fn scheme_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn bracketed(host: &str, zone: Option<&str>) -> String {
    let zone = zone.map(|zone| format!("%25{zone}")).unwrap_or_default();
    if host.contains(':') { format!("[{host}{zone}]") } else { host.to_owned() }
}

/// Removes trailing slashes and the paths of streams, as often as they occur, so that the result
/// does not change when it is parsed again. The last path selects the protocol.
fn base_path(path: &str) -> (String, Option<Protocol>) {
    let mut rest = path.trim_end_matches('/');
    let mut protocol = None;
    let named = |rest: &str| {
        STREAM_PATHS.iter().find_map(|(path, named)| Some((rest.strip_suffix(path)?.len(), *named)))
    };
    while let Some((length, named)) = named(rest) {
        rest = rest.get(..length).unwrap_or_default().trim_end_matches('/');
        protocol = protocol.or(Some(named));
    }
    (rest.to_owned(), protocol)
}

/// Returns the shortest text that parses to the same server. It shows the scheme of plain text on a
/// network, and of TLS to a loopback host.
fn label(tls: bool, host: &str, port: u16, loopback: bool, base_path: &str) -> String {
    let scheme = match (tls, loopback) {
        (true, false) | (false, true) => "",
        (true, true) => "wss://",
        (false, false) => "ws://",
    };
    // The default port of a bare loopback host is not that of `ws`, so it is always shown.
    let port = if port == scheme_port(tls) && (tls || !loopback) {
        String::new()
    } else {
        format!(":{port}")
    };
    format!("{scheme}{host}{port}{base_path}")
}

/// Returns the input for an error message: shortened, and without everything before `@`, the query
/// and the fragment, which may be secret.
pub(super) fn redacted(input: &str) -> String {
    let scheme = scheme_of(input).map_or(String::new(), |scheme| format!("{scheme}://"));
    let (place, rest) = input.split_at(input.find(['?', '#']).unwrap_or(input.len()));
    // A password may contain a question mark, and a query an @.
    if rest.contains('@') {
        return format!("{scheme}…");
    }
    let shown = match place.rsplit_once('@') {
        None => place.to_owned(),
        Some((_, place)) => format!("{scheme}…@{place}"),
    };
    let shown = match rest.chars().next() {
        None => shown,
        Some(mark) => format!("{shown}{mark}…"),
    };
    match shown.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown,
    }
}

#[cfg(test)]
mod tests;
