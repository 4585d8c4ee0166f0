//! Resolves handles to DIDs: by DNS, and by HTTPS if DNS has no answer.
//!
//! Source: the handle specification of the AT Protocol, "Handle Resolution". skytail does not check
//! that the DID's own document names the handle in turn, because it shows the DID.

mod dns;
pub mod syntax;
mod well_known;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::endpoint;
use super::net::proxy::Proxies;
use super::net::tls::TlsContext;
pub use dns::{DnsLookup, DnsProblem};
pub use syntax::{Handle, HandleError};
pub use well_known::HttpsProblem;

/// How many handles are resolved at the same time.
const PARALLEL_LOOKUPS: usize = 16;

/// How to resolve handles.
#[derive(Debug)]
pub struct ResolveOptions {
    /// The DNS server; `None` for those of the system.
    pub dns_server: Option<SocketAddr>,
    /// The proxies for HTTPS.
    pub proxies: Proxies,
    /// The trusted certificates for HTTPS.
    pub tls: TlsContext,
    /// The time for DNS and for HTTPS, each, for one handle.
    pub timeout: Duration,
}

/// A handle that resolves to no DID, or to more than one.
#[derive(Debug, thiserror::Error)]
#[error("{handle} can't be resolved to a DID: {problem}; check its spelling, or give the DID")]
pub struct ResolveError {
    /// The handle.
    pub handle: Handle,
    /// What went wrong.
    pub problem: ResolveProblem,
}

/// Why a handle does not resolve.
#[derive(Debug)]
pub enum ResolveProblem {
    /// DNS has several DIDs.
    Conflict(DnsProblem),
    /// Neither DNS nor HTTPS has a DID.
    Neither(DnsProblem, HttpsProblem),
}

impl fmt::Display for ResolveProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(dns) => write!(f, "{dns}"),
            Self::Neither(dns, https) => write!(f, "{dns}, and {https}"),
        }
    }
}

impl ResolveError {
    /// Returns whether no server answered, so that a later attempt may succeed.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match &self.problem {
            ResolveProblem::Neither(DnsProblem::NoAnswer(_) | DnsProblem::NotAsked(_), https) => {
                https.is_unreachable()
            }
            _ => false,
        }
    }
}

/// Resolves handles to DIDs, in their order.
///
/// # Errors
/// The first [`ResolveError`].
pub async fn resolve(
    handles: &[Handle],
    options: &ResolveOptions,
) -> Result<Vec<String>, ResolveError> {
    let lookup = DnsLookup::new(options.dns_server, options.timeout);
    let each = handles.iter().map(|handle| resolve_one(handle, options, &lookup));
    stream::iter(each).buffered(PARALLEL_LOOKUPS).try_collect().await
}

/// Returns why a handle must not be looked up in DNS. A user whose proxy resolves names, or whose
/// proxy setting is unusable, may not want another server to see the names. A DNS server that the
/// user names is always used.
fn dns_obstacle(handle: &Handle, options: &ResolveOptions) -> Option<DnsProblem> {
    if options.dns_server.is_some() {
        return None;
    }
    let endpoint = endpoint::parse(&format!("https://{handle}")).ok()?;
    match options.proxies.for_endpoint(&endpoint) {
        Ok(Some(proxy)) if proxy.resolves_names() => Some(DnsProblem::NotAsked(proxy.variable)),
        Ok(_) => None,
        Err(error) => Some(DnsProblem::NotAsked(error.variable)),
    }
}

async fn resolve_one(
    handle: &Handle,
    options: &ResolveOptions,
    lookup: &DnsLookup,
) -> Result<String, ResolveError> {
    let error = |problem| ResolveError { handle: handle.clone(), problem };
    let lookup = async {
        match dns_obstacle(handle, options) {
            Some(problem) => Err(problem),
            None => lookup.did(handle, Instant::now() + options.timeout).await,
        }
    };
    let by_dns = match lookup.await {
        Ok(did) => {
            tracing::info!("{handle} is {did} (DNS)");
            return Ok(did);
        }
        // HTTPS cannot settle a contradiction in DNS.
        Err(conflict @ DnsProblem::Conflict { .. }) => {
            return Err(error(ResolveProblem::Conflict(conflict)));
        }
        Err(problem) => problem,
    };
    match well_known::did(handle, options, Instant::now() + options.timeout).await {
        Ok(did) => {
            tracing::info!("{handle} is {did} (HTTPS)");
            Ok(did)
        }
        Err(by_https) => Err(error(ResolveProblem::Neither(by_dns, by_https))),
    }
}
