//! What `--host` names: one server and how to reach it. Parsing only: nothing is resolved or
//! dialled here.

mod credentials;
pub(super) mod zone;

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use url::{Host, Url};

use super::protocol::Protocol;
use super::{v1, v2};

pub use credentials::Credentials;

/// The port on which a self-hosted legacy server listens (protocol/jetstream-v1.md §1).
const LEGACY_PORT: u16 = 6008;
/// Longest `--host` value looked at, in bytes.
const MAX_INPUT_BYTES: usize = 8 * 1024;
/// Longest base path, in bytes, after normalisation.
const MAX_PATH_BYTES: usize = 1024;
/// Longest host name, in bytes (RFC 1035).
const MAX_HOST_BYTES: usize = 253;
/// The paths of the streams, which people paste along with the host, and what they say about
/// the protocol.
const STREAM_PATHS: [(&str, Protocol); 3] =
    [(v1::PATH, Protocol::V1), (v2::PATH, Protocol::V2), ("/xrpc", Protocol::V2)];

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets and zone.
    pub host: String,
    /// The zone of a link-local address: the network interface that leads there.
    pub zone: Option<String>,
    /// TCP port.
    pub port: u16,
    /// The path in front of `/subscribe` or `/xrpc/…`; empty for most.
    pub base_path: String,
    /// The protocol that the path named, if it named one.
    pub protocol: Option<Protocol>,
    /// What to send as `Authorization`, from `user:password@`.
    pub credentials: Option<Credentials>,
    /// The name for people, logs and the state file: no secrets, and no scheme or port where
    /// they go without saying. Parses back to this endpoint, less credentials and protocol.
    pub label: Arc<str>,
}

/// Why a `--host` value was refused. No message repeats a password or a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was given.
    #[error("the host is empty: give HOST, HOST:PORT or a ws(s):// or http(s):// URL")]
    Empty,
    /// Longer than any real one.
    #[error("the host is too long ({0} bytes)")]
    TooLong(usize),
    /// Blanks, control characters or backslashes.
    #[error("{0:?} holds a blank, a backslash or a control character")]
    BadCharacter(String),
    /// A scheme that is not one of the four.
    #[error("{0:?} is no scheme for a Jetstream server: use ws, wss, http or https")]
    Scheme(String),
    /// Not parseable as host or URL.
    #[error(
        "{input:?} is no host ({reason}): give HOST, HOST:PORT or a ws(s):// or http(s):// URL"
    )]
    Invalid {
        /// What was given, without secrets.
        input: String,
        /// What the parser did not like.
        reason: String,
    },
    /// Port 0.
    #[error("{0:?}: port 0 can't be dialled")]
    PortZero(String),
    /// A query or a fragment.
    #[error(
        "{0:?} has a query or a fragment: give the server only, and filters and cursor by their own flags (--collection, --did, --cursor)"
    )]
    Query(String),
}

/// Parses a bare host, `host:port`, `[::1]:6008`, or a `ws`, `wss`, `http` or `https` URL.
///
/// A bare host means TLS on port 443, unless it is a loopback one, which means plain
/// WebSocket on port 6008. The path of a stream at its end names the protocol, and is dropped.
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
    let shown = || without_secrets(input);
    if input.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(EndpointError::BadCharacter(shown()));
    }
    let invalid = |reason: String| EndpointError::Invalid { input: shown(), reason };
    // The URL parser knows no zones.
    let (input, zone) = zone::split(input).ok_or_else(|| {
        invalid("the zone after % must be the name of a network interface".to_owned())
    })?;
    let input = input.as_str();
    let parse_url = |text: &str| Url::parse(text).map_err(|e| invalid(e.to_string()));

    let (url, scheme_tls, explicit_port) = if let Some(scheme) = scheme_of(input) {
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        let url = parse_url(input)?;
        let port = url.port_or_known_default();
        (url, Some(tls), port)
    } else {
        // An address without brackets can only be a host: there is no port to confuse it with.
        let bare = match input.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => input.to_owned(),
        };
        let url = parse_url(&format!("https://{bare}"))?;
        // The parser hides a port that is the scheme's own, so ask with two schemes.
        let port = match url.port() {
            Some(port) => Some(port),
            None => parse_url(&format!("http://{bare}"))?.port(),
        };
        (url, None, port)
    };

    if url.query().is_some() || url.fragment().is_some() {
        return Err(EndpointError::Query(shown()));
    }
    // A password with a slash in it ends the host too early; the rest, secret as it is, would
    // be shown as a path.
    if url.path().contains('@') {
        return Err(invalid(
            "an @ behind a slash: in a user name or password write / as %2F".to_owned(),
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
    let port = explicit_port.unwrap_or(if tls { 443 } else { LEGACY_PORT });
    if port == 0 {
        return Err(EndpointError::PortZero(shown()));
    }
    let (base_path, protocol) = base_path(url.path());
    if base_path.len() > MAX_PATH_BYTES {
        return Err(EndpointError::TooLong(base_path.len()));
    }
    let label = label(tls, &bracketed(&host, zone.as_deref()), port, loopback, &base_path).into();
    let credentials = Credentials::of_url(&url);
    Ok(Endpoint { tls, host, zone, port, base_path, protocol, credentials, label })
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
    /// Whether the host is this machine by its very name.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }

    /// Host and port as a `Host` header has them: with brackets around an IPv6 address, and
    /// without the scheme's own port.
    #[must_use]
    pub fn authority(&self) -> String {
        // A zone means nothing to the other side (RFC 6874 §4).
        let host = bracketed(&self.host, None);
        if self.port == scheme_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }

    /// The host as the resolver takes it: with the zone of a link-local address.
    #[must_use]
    pub fn dial_host(&self) -> String {
        match &self.zone {
            Some(zone) => format!("{}%{zone}", self.host),
            None => self.host.clone(),
        }
    }

    /// The URL of the same server with TLS instead of plain text, or the reverse.
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

    /// The absolute WebSocket URI of a path (starting with `/`) below the base path, with an
    /// already encoded query (without `?`; may be empty). Holds no credentials.
    #[must_use]
    pub fn request_uri(&self, path: &str, query: &str) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{}{}{path}{separator}{query}", self.authority(), self.base_path)
    }
}

/// The scheme, if the text is a URL and not a bare host whose path happens to hold `://`.
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

/// Drops trailing slashes and the paths of streams, as often as they occur: what is left is
/// stable when it is parsed again. The last path is the one that counts.
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

/// The shortest text that still parses to the same server and does not hide plain text on a
/// network, or TLS where one expects none.
fn label(tls: bool, host: &str, port: u16, loopback: bool, base_path: &str) -> String {
    let scheme = match (tls, loopback) {
        (true, false) | (false, true) => "",
        (true, true) => "wss://",
        (false, false) => "ws://",
    };
    // The default port of a bare loopback host is not that of `ws`, so it is always said.
    let port = if port == scheme_port(tls) && (tls || !loopback) {
        String::new()
    } else {
        format!(":{port}")
    };
    format!("{scheme}{host}{port}{base_path}")
}

/// The input as a message may show it: without what stands before `@`, and without query and
/// fragment, either of which may be secret; and shortened.
pub(super) fn without_secrets(input: &str) -> String {
    let scheme = scheme_of(input).map_or(String::new(), |scheme| format!("{scheme}://"));
    let (place, rest) = input.split_at(input.find(['?', '#']).unwrap_or(input.len()));
    // The rest of a password may follow a question mark, and of a query an @.
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
