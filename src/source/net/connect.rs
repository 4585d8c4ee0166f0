//! The phases of dialling: DNS, TCP to one of the addresses, TLS. Each ends with the deadline.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::error::{DialError, DialProblem, Peer};
use super::phase_timer::{Phase, PhaseTimeout, PhaseTimer};
use super::tls::TlsContext;
use super::transport::Transport;

/// The most addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;
/// How long an address is tried before the next one joins it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Starts TLS on an open stream.
pub(super) async fn wrap_tls(
    peer: &Peer,
    tls: &TlsContext,
    stream: Transport,
    timer: &mut PhaseTimer,
) -> Result<Transport, DialError> {
    match timer.run(Phase::Tls, tls.handshake(&peer.host, stream)).await {
        Err(timeout) => Err(peer.timed_out(timeout)),
        Ok(Err(problem)) => Err(peer.error(DialProblem::Tls(problem))),
        Ok(Ok(stream)) => Ok(Transport::new(stream)),
    }
}

/// Resolves the name of `peer` and connects.
pub(super) async fn tcp(peer: &Peer, timer: &mut PhaseTimer) -> Result<TcpStream, DialError> {
    let addresses = resolve(peer, timer).await?;
    let began = Instant::now();
    match timer.run(Phase::Connecting, connect_any(addresses)).await {
        Err(timeout) => Err(peer.timed_out(timeout)),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(peer.error(match e.kind() {
            io::ErrorKind::ConnectionRefused => DialProblem::Refused,
            io::ErrorKind::TimedOut => {
                let took = began.elapsed();
                DialProblem::TimedOut(PhaseTimeout { phase: Phase::Connecting, took, before: None })
            }
            _ => DialProblem::Unreachable(e),
        })),
    }
}

/// Returns the addresses of `peer`, IPv6 and IPv4 in turn, in the resolver's order otherwise.
pub(super) async fn resolve(
    peer: &Peer,
    timer: &mut PhaseTimer,
) -> Result<Vec<SocketAddr>, DialError> {
    let lookup = tokio::net::lookup_host((peer.host.as_str(), peer.port));
    let found: Vec<SocketAddr> = match timer.run(Phase::Resolving, lookup).await {
        Err(timeout) => return Err(peer.timed_out(timeout)),
        Ok(Err(e)) => match peer.host.split_once('%') {
            // For an address, the resolver only looks up the number of its interface.
            Some((_, zone)) => {
                return Err(peer.error(DialProblem::NoInterface(zone.to_owned())));
            }
            None => return Err(peer.error(DialProblem::UnknownHost(e.to_string()))),
        },
        Ok(Ok(addresses)) => addresses.collect(),
    };
    let mixed = interleaved(found);
    if mixed.is_empty() {
        return Err(peer.error(DialProblem::UnknownHost("it has no address".to_owned())));
    }
    Ok(mixed)
}

/// Returns at most [`MAX_ADDRESSES`] addresses, both families in turn. The family that the
/// resolver prefers comes first. A family without a route then costs one [`HEAD_START`].
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

/// Connects to the first address that answers. A dead address delays the others by
/// [`HEAD_START`].
///
/// # Errors
/// The last failure, if no address answers.
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
    // WebSocket pings find a dead peer sooner, except while the reader is blocked.
    socket.set_keepalive(true)?;
    // Pings, pongs and the handshake are small, and must be sent at once.
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn address_families_alternate() {
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
