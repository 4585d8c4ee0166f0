//! Resolves the handles among the values of `--did` to DIDs, once, at the start of a run, before
//! anything depends on the filter.

use std::time::Duration;

use anyhow::Context as _;

use super::consumer_name::Destination;
use super::start_settings::name_consumer;
use super::stripe_settings::of_stripe;
use crate::settings::TailSettings;
use crate::source::handle::{self, ResolveOptions};
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;

/// Replaces the handles by DIDs, and returns the DIDs with their handles. A derived consumer name
/// is then the one that the DIDs alone would give.
///
/// # Errors
/// [`handle::ResolveError`], or if the runtime can't be started.
pub fn resolve_handles(settings: &mut TailSettings) -> anyhow::Result<Vec<(String, String)>> {
    let Some(handles) = settings.handles.take() else { return Ok(Vec::new()) };
    let ways = ResolveOptions {
        dns_server: handles.dns_server,
        proxies: Proxies::from_env(),
        tls: TlsContext::platform_with(settings.ca_file.clone()),
        timeout: settings.connection.connect_timeout,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("can't start the runtime")?;
    let dids = runtime.block_on(handle::resolve(&handles.names, &ways));
    // A lookup of the system's resolver can't be interrupted. It may still run; don't wait for it.
    runtime.shutdown_timeout(Duration::ZERO);
    let dids = dids.context("--did")?;
    let handles = handles.names.iter().map(ToString::to_string);
    let known = dids.iter().cloned().zip(handles).collect();
    settings.filter.dids.extend(dids);
    let TailSettings { filter, endpoints, demo, .. } = settings;
    let to = Destination::new(settings.output.as_ref(), settings.to.as_ref());
    name_consumer(&mut settings.consumer, filter, endpoints, *demo, &to);
    if !settings.consumer.is_chosen {
        let name = &settings.consumer.name;
        settings.consumer.name = of_stripe(name, &settings.archive, settings.stop.until);
    }
    if settings.archive.stripe.is_some() {
        settings.consumer.former.clone_from(&settings.consumer.name);
    }
    Ok(known)
}
