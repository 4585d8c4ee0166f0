//! From a handle to the DID that it names: by DNS, and where that has no answer by HTTPS.
//!
//! Source: the handle specification of the AT Protocol, "Handle Resolution". Whether the DID's
//! own document names the handle in turn is not asked: what is printed is the DID.

mod dns;
pub mod syntax;
mod well_known;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::endpoint;
use super::proxy::Proxies;
use super::tls::TlsContext;
pub use dns::{DnsProblem, Lookup};
pub use syntax::{Handle, HandleError};
pub use well_known::WebProblem;

/// Handles that are asked for at a time.
const AT_A_TIME: usize = 16;

/// How to ask.
#[derive(Debug)]
pub struct Ways {
    /// The DNS server; `None` for those of the system.
    pub dns_server: Option<SocketAddr>,
    /// Proxies for HTTPS.
    pub proxies: Proxies,
    /// TLS for HTTPS.
    pub tls: TlsContext,
    /// Time for each of the two ways, for one handle.
    pub timeout: Duration,
}

/// A handle that leads to no DID, or to more than one.
#[derive(Debug, thiserror::Error)]
#[error("{handle} can't be resolved to a DID: {problem}; check its spelling, or give the DID")]
pub struct ResolveError {
    /// The handle.
    pub handle: Handle,
    /// What was found.
    pub problem: Problem,
}

/// Why a handle leads to no DID.
#[derive(Debug)]
pub enum Problem {
    /// DNS names several.
    Conflict(DnsProblem),
    /// Neither way has one.
    Neither(DnsProblem, WebProblem),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(dns) => write!(f, "{dns}"),
            Self::Neither(dns, web) => write!(f, "{dns}, and {web}"),
        }
    }
}

impl ResolveError {
    /// Whether nobody answered at all, so that it may be otherwise when the network is back.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match &self.problem {
            Problem::Neither(DnsProblem::NoAnswer(_) | DnsProblem::NotAsked(_), web) => {
                web.is_unreachable()
            }
            _ => false,
        }
    }
}

/// Resolves handles to DIDs, in their order.
///
/// # Errors
/// The first [`ResolveError`] that was met.
pub async fn resolve(handles: &[Handle], ways: &Ways) -> Result<Vec<String>, ResolveError> {
    let lookup = Lookup::new(ways.dns_server, ways.timeout);
    let each = handles.iter().map(|handle| one(handle, ways, &lookup));
    stream::iter(each).buffered(AT_A_TIME).try_collect().await
}

/// Returns why DNS must not be asked for a handle: a user whose proxy resolves names itself, or
/// whose setting for it can't be used, may not want any other server to see them. A DNS server
/// that the user names is asked.
fn not_to_ask(handle: &Handle, ways: &Ways) -> Option<DnsProblem> {
    if ways.dns_server.is_some() {
        return None;
    }
    let endpoint = endpoint::parse(&format!("https://{handle}")).ok()?;
    match ways.proxies.for_endpoint(&endpoint) {
        Ok(Some(proxy)) if proxy.resolves_names() => Some(DnsProblem::NotAsked(proxy.variable)),
        Ok(_) => None,
        Err(error) => Some(DnsProblem::NotAsked(error.variable)),
    }
}

async fn one(handle: &Handle, ways: &Ways, lookup: &Lookup) -> Result<String, ResolveError> {
    let fails = |problem| ResolveError { handle: handle.clone(), problem };
    let asking = async {
        match not_to_ask(handle, ways) {
            Some(problem) => Err(problem),
            None => lookup.did(handle, Instant::now() + ways.timeout).await,
        }
    };
    let by_dns = match asking.await {
        Ok(did) => {
            tracing::info!("{handle} is {did} (DNS)");
            return Ok(did);
        }
        // Who says two things is not asked a third time.
        Err(conflict @ DnsProblem::Conflict { .. }) => {
            return Err(fails(Problem::Conflict(conflict)));
        }
        Err(problem) => problem,
    };
    match well_known::did(handle, ways, Instant::now() + ways.timeout).await {
        Ok(did) => {
            tracing::info!("{handle} is {did} (HTTPS)");
            Ok(did)
        }
        Err(by_web) => Err(fails(Problem::Neither(by_dns, by_web))),
    }
}
