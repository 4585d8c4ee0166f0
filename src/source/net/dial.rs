//! Connects to an endpoint: DNS, TCP, a proxy if the environment names one, and TLS. Also finds a
//! plain-text server on a port where the client expects TLS, to say so in the error.

use tokio::time::Instant;

use super::error::{DialError, DialProblem, Peer};
use super::phase_timer::PhaseTimer;
use super::proxy::{self, Proxies};
use super::tls::{TlsContext, TlsProblem};
use super::transport::Transport;
use super::{connect, plain_text_probe};
use crate::source::endpoint::Endpoint;

/// Connects to an endpoint. `deadline` bounds all steps together.
///
/// # Errors
/// [`DialError`] names the peer, the phase and, if there is one, the remedy.
pub async fn dial(
    endpoint: &Endpoint,
    proxies: &Proxies,
    tls: &TlsContext,
    deadline: Instant,
) -> Result<Transport, DialError> {
    let mut timer = PhaseTimer::new(deadline);
    let peer = Peer { host: endpoint.dial_host(), port: endpoint.port, proxy_variable: None };
    let proxy = proxies.for_endpoint(endpoint);
    let proxy =
        proxy.map_err(|error| peer.error(DialProblem::ProxySetting(error.clone().into())))?;
    let outcome = match (proxy, endpoint.tls) {
        (Some(proxy), tls_inside) => {
            let stream = proxy::tunnel(proxy, &peer, tls, &mut timer).await?;
            match tls_inside {
                true => connect::wrap_tls(&peer, tls, stream, &mut timer).await,
                false => Ok(stream),
            }
        }
        (None, true) => {
            let stream = connect::tcp(&peer, &mut timer).await?;
            direct_tls(endpoint, &peer, tls, stream, timer).await
        }
        (None, false) => Ok(Transport::new(connect::tcp(&peer, &mut timer).await?)),
    };
    outcome.map_err(|error| error.suggesting(&endpoint.other_scheme()))
}

/// Starts TLS on a direct connection. A plain-text server takes the handshake for the start of a
/// request and may wait for its rest, so a silent server is probed on a second connection.
async fn direct_tls(
    endpoint: &Endpoint,
    peer: &Peer,
    tls: &TlsContext,
    stream: tokio::net::TcpStream,
    mut timer: PhaseTimer,
) -> Result<Transport, DialError> {
    let not_tls = || {
        let try_instead = String::new();
        peer.error(DialProblem::Tls(TlsProblem::NotTls { try_instead }))
    };
    let address = stream.peer_addr().ok();
    let handshake = connect::wrap_tls(peer, tls, Transport::new(stream), &mut timer);
    let outcome = tokio::select! {
        outcome = handshake => outcome,
        () = plain_text_probe::found_when_silent(address, endpoint) => return Err(not_tls()),
    };
    match outcome {
        Err(DialError { problem: DialProblem::Tls(TlsProblem::Interrupted(_)), .. })
            if plain_text_probe::is_found(address, endpoint).await =>
        {
            Err(not_tls())
        }
        outcome => outcome,
    }
}
