//! Why dialling failed.

use std::io;

use super::phase_timer::{Phase, PhaseTimeout};
use super::proxy::ProxySettingError;
use super::tls::TlsProblem;

/// A failed attempt to dial: the peer, and the problem.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {problem}")]
pub struct DialError {
    /// The `host:port` of the peer; for a proxy with its variable, as in
    /// `proxy host:port (from HTTPS_PROXY)`.
    pub peer: String,
    /// What went wrong.
    pub problem: DialProblem,
}

/// What went wrong before the first byte of HTTP.
#[derive(Debug, thiserror::Error)]
pub enum DialProblem {
    /// DNS has no address for the name, or did not answer.
    #[error("the name can't be resolved ({0}): check its spelling and the network")]
    UnknownHost(String),
    /// Nothing listens on the port.
    #[error("connection refused: nothing listens on this port")]
    Refused,
    /// No route to the host.
    #[error("can't be reached ({0}): check the network")]
    Unreachable(io::Error),
    /// The zone of the address names no network interface of this machine.
    #[error("no network interface is called {0:?}: check the zone after the % of the address")]
    NoInterface(String),
    /// The deadline of the attempt passed.
    #[error("{0}")]
    TimedOut(PhaseTimeout),
    /// The value of the proxy variable is unusable.
    #[error("{0}")]
    ProxySetting(Box<ProxySettingError>),
    /// The proxy's answer to CONNECT is not 2xx.
    #[error(
        "refuses to connect to {target} (HTTP {status}{reason}): check {variable}, or name the host in NO_PROXY"
    )]
    ProxyRefused {
        /// The `host:port` of the server.
        target: Box<str>,
        /// The HTTP status.
        status: u16,
        /// The proxy's reason phrase, printable, with a space before it; may be empty.
        reason: Box<str>,
        /// The variable that named the proxy.
        variable: &'static str,
    },
    /// The proxy violated its protocol, or the connection to it failed.
    #[error("no tunnel to {target}: {reason}")]
    Proxy {
        /// The `host:port` of the server.
        target: String,
        /// What went wrong, printable.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error("{0}")]
    Tls(TlsProblem),
}

impl DialError {
    /// Returns whether another attempt is useless. Only a wrong setting is permanent: a name, a
    /// route, a proxy or a certificate may work again at the next attempt, or for another host.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self.problem, DialProblem::ProxySetting(_))
    }

    /// Returns whether no connection to the peer came about, as without a network: its name has no
    /// address, or no address answers.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match &self.problem {
            DialProblem::UnknownHost(_) | DialProblem::Refused | DialProblem::Unreachable(_) => {
                true
            }
            DialProblem::TimedOut(timeout) => {
                matches!(timeout.phase, Phase::Resolving | Phase::Connecting)
            }
            _ => false,
        }
    }

    /// Returns the peer and the problem, without advice about this peer alone.
    #[must_use]
    pub fn without_advice(&self) -> String {
        let peer = &self.peer;
        match &self.problem {
            DialProblem::UnknownHost(cause) => {
                format!("{peer}: the name can't be resolved ({cause})")
            }
            DialProblem::Unreachable(cause) => format!("{peer}: can't be reached ({cause})"),
            DialProblem::Refused => format!("{peer}: connection refused"),
            problem => format!("{peer}: {problem}"),
        }
    }

    /// Returns the same error. If the peer turned out not to speak TLS, it suggests `url`.
    pub(super) fn suggesting(mut self, url: &str) -> Self {
        if let DialProblem::Tls(TlsProblem::NotTls { try_instead }) = &mut self.problem {
            url.clone_into(try_instead);
        }
        self
    }
}

/// The peer of a dial attempt: a server or a proxy.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub host: String,
    pub port: u16,
    /// The variable that names it, if it is a proxy.
    pub proxy_variable: Option<&'static str>,
}

impl Peer {
    /// Returns an error with this peer.
    pub fn error(&self, problem: DialProblem) -> DialError {
        let place = host_port(&self.host, self.port);
        let peer = match self.proxy_variable {
            None => place,
            Some(variable) => format!("proxy {place} (from {variable})"),
        };
        DialError { peer, problem }
    }

    /// Returns the error of a phase that did not finish before the deadline.
    pub fn timed_out(&self, timeout: PhaseTimeout) -> DialError {
        self.error(DialProblem::TimedOut(timeout))
    }
}

/// Returns `host:port`, with brackets around an IPv6 address.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
