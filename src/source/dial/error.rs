//! What can go wrong between a host name and a byte stream, in words.

use std::io;

use super::clock::Timing;
use crate::source::proxy::ProxySettingError;
use crate::source::tls::TlsProblem;

/// A connection that did not come about: with whom, and why.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {problem}")]
pub struct DialError {
    /// `host:port` of the peer it failed with; of a proxy with its variable, as in
    /// `proxy host:port (from HTTPS_PROXY)`.
    pub peer: String,
    /// What happened.
    pub problem: DialProblem,
}

/// What can go wrong before the first byte of HTTP.
#[derive(Debug, thiserror::Error)]
pub enum DialProblem {
    /// DNS has no address for the name, or could not be asked.
    #[error("the name can't be resolved ({0}): check its spelling and the network")]
    UnknownHost(String),
    /// Nobody listens on the port.
    #[error("connection refused: nothing listens on this port")]
    Refused,
    /// No way there.
    #[error("can't be reached ({0}): check the network")]
    Unreachable(io::Error),
    /// The address has a zone, and no network interface here has its name.
    #[error("no network interface is called {0:?}: check the zone after the % of the address")]
    NoInterface(String),
    /// The time for the whole connection ran out.
    #[error("{0}")]
    TimedOut(Timing),
    /// The variable for the proxy can't be used.
    #[error("{0}")]
    ProxySetting(Box<ProxySettingError>),
    /// The proxy answered CONNECT with something else than 2xx.
    #[error(
        "refuses to connect to {target} (HTTP {status}{reason}): check {variable}, or name the host in NO_PROXY"
    )]
    ProxyRefused {
        /// `host:port` that was asked for.
        target: Box<str>,
        /// The HTTP status.
        status: u16,
        /// The proxy's own words, printable, with a blank in front; may be empty.
        reason: Box<str>,
        /// The variable that named the proxy.
        variable: &'static str,
    },
    /// The proxy broke its protocol or the connection.
    #[error("no tunnel to {target}: {reason}")]
    Proxy {
        /// `host:port` that was asked for.
        target: String,
        /// What happened, printable.
        reason: String,
    },
    /// TLS failed.
    #[error("{0}")]
    Tls(TlsProblem),
}

impl DialError {
    /// Whether another attempt is pointless. That is so for a wrong setting alone: a name, a
    /// route, a proxy or a certificate may be well again when the next host, or this one, is
    /// tried.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self.problem, DialProblem::ProxySetting(_))
    }
}

/// A step of dialling, as a message names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// DNS.
    Resolving,
    /// TCP.
    Connecting,
    /// CONNECT or SOCKS.
    Proxy,
    /// TLS.
    Tls,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Resolving => "looking up the name",
            Self::Connecting => "connecting",
            Self::Proxy => "waiting for the proxy",
            Self::Tls => "shaking hands for TLS",
        })
    }
}

/// A peer for error messages.
#[derive(Clone, Debug)]
pub(in crate::source) struct Peer {
    pub host: String,
    pub port: u16,
    /// The variable that named it, if it is a proxy.
    pub proxy_variable: Option<&'static str>,
}

impl Peer {
    pub fn fails(&self, problem: DialProblem) -> DialError {
        let place = host_port(&self.host, self.port);
        let peer = match self.proxy_variable {
            None => place,
            Some(variable) => format!("proxy {place} (from {variable})"),
        };
        DialError { peer, problem }
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(in crate::source) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
