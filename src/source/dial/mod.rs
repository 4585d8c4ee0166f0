//! From an [`Endpoint`] to a byte stream: DNS, TCP, a proxy where the environment names one,
//! and TLS. Speaks no HTTP of its own, but to find a plain server where TLS was expected;
//! retries nothing.

pub(super) mod clock;
pub mod error;
mod plain;
pub(super) mod steps;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::proxy::{self, Proxies};
use super::tls::{TlsContext, TlsProblem};
use super::transport::Transport;

use clock::Clock;
pub use clock::Timing;
use error::Peer;
pub use error::{DialError, DialProblem, Phase};

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
    let mut clock = Clock::new(deadline);
    let peer = Peer { host: endpoint.dial_host(), port: endpoint.port, proxy_variable: None };
    let proxy = proxies.for_endpoint(endpoint);
    let proxy =
        proxy.map_err(|error| peer.fails(DialProblem::ProxySetting(error.clone().into())))?;
    let outcome = match (proxy, endpoint.tls) {
        (Some(proxy), tls_inside) => {
            let stream = proxy::tunnel(proxy, &peer, tls, &mut clock).await?;
            match tls_inside {
                true => steps::wrap_tls(&peer, tls, stream, &mut clock).await,
                false => Ok(stream),
            }
        }
        (None, true) => {
            let stream = steps::tcp(&peer, &mut clock).await?;
            direct_tls(endpoint, &peer, tls, stream, clock).await
        }
        (None, false) => Ok(Transport::new(steps::tcp(&peer, &mut clock).await?)),
    };
    outcome.map_err(|error| with_other_scheme(error, &endpoint.other_scheme()))
}

/// The same error, with the URL to use instead if the peer turned out not to speak TLS.
pub(super) fn with_other_scheme(mut error: DialError, url: &str) -> DialError {
    if let DialProblem::Tls(TlsProblem::NotTls { try_instead }) = &mut error.problem {
        url.clone_into(try_instead);
    }
    error
}

/// TLS over a direct connection. A plain server may wait for the rest of what it takes for a
/// request, and so is looked for in a second connection when the first brings nothing.
async fn direct_tls(
    endpoint: &Endpoint,
    peer: &Peer,
    tls: &TlsContext,
    stream: tokio::net::TcpStream,
    mut clock: Clock,
) -> Result<Transport, DialError> {
    let not_tls = || {
        let try_instead = String::new();
        peer.fails(DialProblem::Tls(TlsProblem::NotTls { try_instead }))
    };
    let address = stream.peer_addr().ok();
    let handshake = steps::wrap_tls(peer, tls, Transport::new(stream), &mut clock);
    let outcome = tokio::select! {
        outcome = handshake => outcome,
        () = plain::found_when_quiet(address, endpoint) => return Err(not_tls()),
    };
    match outcome {
        Err(DialError { problem: DialProblem::Tls(TlsProblem::Cut(_)), .. })
            if plain::is_found(address, endpoint).await =>
        {
            Err(not_tls())
        }
        outcome => outcome,
    }
}
