//! Handles become DIDs: once, at the start of a run, before anything depends on the filter.

use anyhow::Context as _;

use super::consumer_name::{self, Destination};
use crate::settings::TailSettings;
use crate::source::handle::{self, ResolveOptions};
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;

/// Puts the DIDs in the place of the handles, if there are any. The name of the consumer is
/// then the one that the DIDs alone would have given.
///
/// # Errors
/// [`handle::ResolveError`] for a handle that leads to none, or what the system refused.
pub fn resolve_handles(settings: &mut TailSettings) -> anyhow::Result<()> {
    let Some(handles) = settings.handles.take() else { return Ok(()) };
    let ways = ResolveOptions {
        dns_server: handles.dns_server,
        proxies: Proxies::from_env(),
        tls: TlsContext::platform_with(settings.ca_file.clone()),
        timeout: settings.connection.connect_timeout,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("can't start the runtime")?;
    let dids = runtime.block_on(handle::resolve(&handles.names, &ways));
    // A name that is being looked up can't be interrupted, and nobody waits for it any more.
    runtime.shutdown_timeout(std::time::Duration::ZERO);
    settings.filter.dids.extend(dids.context("--did")?);
    let TailSettings { filter, endpoints, demo, .. } = settings;
    settings.consumer.former = consumer_name::of_0_1_0(filter, endpoints, *demo);
    if !settings.consumer.is_chosen {
        let to = Destination::new(settings.output.as_ref(), settings.to.as_ref());
        settings.consumer.name = consumer_name::derive(filter, endpoints, *demo, &to);
    }
    Ok(())
}
