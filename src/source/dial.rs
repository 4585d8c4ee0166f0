//! From an [`Endpoint`] to a byte stream: DNS, TCP, a proxy where the environment names one,
//! and TLS. Speaks no HTTP of its own; retries nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use super::proxy::{self, Proxies};
use super::tls::{TlsContext, TlsProblem};

/// Most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;
/// Head start of each address before the next is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A byte stream to a server, through whatever lies between.
pub struct Transport(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Transport {
    /// Wraps any stream: tests use it for in-memory ones.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self(Box::new(stream))
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transport")
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// A connection that did not come about: with whom, and why.
#[derive(Debug, thiserror::Error)]
#[error("{peer}: {problem}")]
pub struct DialError {
    /// `host:port` of the peer it failed with; with `proxy ` in front where that is a proxy.
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
    /// The time for the whole connection ran out.
    #[error("timed out while {0}")]
    TimedOut(Phase),
    /// The proxy answered CONNECT with something else than 2xx.
    #[error(
        "refuses to connect to {target} (HTTP {status}{reason}): check HTTPS_PROXY, or name the host in NO_PROXY"
    )]
    ProxyRefused {
        /// `host:port` that was asked for.
        target: String,
        /// The HTTP status.
        status: u16,
        /// The proxy's own words, printable, with a blank in front; may be empty.
        reason: String,
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
    /// Whether another attempt is pointless. Always `false`: only an HTTP answer of the server
    /// itself is final, and a name, a route, a proxy or a certificate may be well again when
    /// the next host, or this one, is tried.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        false
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
pub(super) struct Peer {
    pub host: String,
    pub port: u16,
    pub is_proxy: bool,
}

impl Peer {
    pub fn fails(&self, problem: DialProblem) -> DialError {
        let proxy = if self.is_proxy { "proxy " } else { "" };
        DialError { peer: format!("{proxy}{}", host_port(&self.host, self.port)), problem }
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(super) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Connects to an endpoint. `deadline` bounds all steps together.
///
/// # Errors
/// [`DialError`] names the peer, the step and, where there is one, the remedy.
pub async fn dial(
    endpoint: &Endpoint,
    proxies: &Proxies,
    tls: &TlsContext,
    deadline: Instant,
) -> Result<Transport, DialError> {
    let peer = Peer { host: endpoint.host.clone(), port: endpoint.port, is_proxy: false };
    let stream = match proxies.for_endpoint(endpoint) {
        None => Transport::new(tcp(&peer, deadline).await?),
        Some(proxy) => proxy::tunnel(&proxy, &peer, tls, deadline).await?,
    };
    if endpoint.tls { wrap_tls(&peer, tls, stream, deadline).await } else { Ok(stream) }
}

/// TLS over an open stream.
pub(super) async fn wrap_tls(
    peer: &Peer,
    tls: &TlsContext,
    stream: Transport,
    deadline: Instant,
) -> Result<Transport, DialError> {
    match timeout_at(deadline, tls.handshake(&peer.host, stream)).await {
        Err(_) => Err(peer.fails(DialProblem::TimedOut(Phase::Tls))),
        Ok(Err(problem)) => Err(peer.fails(DialProblem::Tls(problem))),
        Ok(Ok(stream)) => Ok(Transport::new(stream)),
    }
}

/// DNS and TCP.
pub(super) async fn tcp(peer: &Peer, deadline: Instant) -> Result<TcpStream, DialError> {
    let addresses = resolve(peer, deadline).await?;
    match timeout_at(deadline, connect_any(addresses)).await {
        Err(_) => Err(peer.fails(DialProblem::TimedOut(Phase::Connecting))),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(peer.fails(match e.kind() {
            io::ErrorKind::ConnectionRefused => DialProblem::Refused,
            io::ErrorKind::TimedOut => DialProblem::TimedOut(Phase::Connecting),
            _ => DialProblem::Unreachable(e),
        })),
    }
}

/// The addresses of a name, IPv6 and IPv4 in turn, in the resolver's order otherwise.
pub(super) async fn resolve(peer: &Peer, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
    let lookup = tokio::net::lookup_host((peer.host.as_str(), peer.port));
    let found: Vec<SocketAddr> = match timeout_at(deadline, lookup).await {
        Err(_) => return Err(peer.fails(DialProblem::TimedOut(Phase::Resolving))),
        Ok(Err(e)) => return Err(peer.fails(DialProblem::UnknownHost(e.to_string()))),
        Ok(Ok(addresses)) => addresses.collect(),
    };
    let mixed = interleaved(found);
    if mixed.is_empty() {
        return Err(peer.fails(DialProblem::UnknownHost("it has no address".to_owned())));
    }
    Ok(mixed)
}

/// Both families in turn, beginning with the resolver's favourite, so that a broken one costs
/// one head start; at most [`MAX_ADDRESSES`].
fn interleaved(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut mixed = Vec::new();
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    while preferred.len() + others.len() > 0 && mixed.len() < MAX_ADDRESSES {
        mixed.extend(preferred.next());
        mixed.extend(others.next());
    }
    mixed
}

/// The first of these addresses that answers. Each gets a head start; a dead one does not hold
/// up the others. The last failure is returned when there is none.
async fn connect_any(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match waiting.next() {
            Some(address) => attempts.push(connect(address)),
            None if attempts.is_empty() => {
                return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            }
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(e) => failure = Some(e),
            },
            () = tokio::time::sleep(HEAD_START), if more => {}
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Our own pings find a dead peer sooner; this one serves a reader that is blocked.
    socket.set_keepalive(true)?;
    // Pings, pongs and the handshake are small and want to leave at once.
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn address_families_take_turns() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            text.split(' ').map(|a| a.parse().unwrap()).collect()
        };
        let found = parse("[::1]:1 [::2]:1 [::3]:1 1.1.1.1:1");
        assert_eq!(interleaved(found), parse("[::1]:1 1.1.1.1:1 [::2]:1 [::3]:1"));
        let many = vec![parse("1.1.1.1:1")[0]; 100];
        assert_eq!(interleaved(many).len(), MAX_ADDRESSES);
        assert_eq!(interleaved(Vec::new()), []);
    }

    #[tokio::test]
    async fn one_good_address_is_enough() {
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let stream = connect_any(vec![closed, closed, open, closed]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(stream.nodelay().unwrap());
        let error = connect_any(vec![closed, closed]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(connect_any(Vec::new()).await.is_err());
    }
}
