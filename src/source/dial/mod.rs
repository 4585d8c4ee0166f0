//! From an [`Endpoint`] to a byte stream: DNS, TCP, a proxy where the environment names one,
//! and TLS. Speaks no HTTP of its own; retries nothing.

pub mod error;
pub(super) mod steps;

use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::proxy::{self, Proxies};
use super::tls::TlsContext;
use super::transport::Transport;

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
    let peer = Peer { host: endpoint.host.clone(), port: endpoint.port, is_proxy: false };
    let stream = match proxies.for_endpoint(endpoint) {
        None => Transport::new(steps::tcp(&peer, deadline).await?),
        Some(proxy) => proxy::tunnel(&proxy, &peer, tls, deadline).await?,
    };
    if endpoint.tls { steps::wrap_tls(&peer, tls, stream, deadline).await } else { Ok(stream) }
}
