//! `skytail plan`: what `skytail tail` with the same flags would download from an archive.

mod view;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use super::config::value_source::ValueSources;
use super::exit::{Exit, UsageError, format_chain};
use super::stdout::print;
use super::tail::args::TailArgs;
use super::tail::demo::{AtEnd, DemoServer};
use super::tail::session;
use super::tail::startup::{exit_for_error, log_settings, prepare};
use crate::display::log;
use crate::display::terminal::Terminal;
use crate::metrics::Metrics;
use crate::position::StartPosition;
use crate::settings::{ArchiveMode, DisplaySettings, TailSettings};
use crate::source::archive::bounds::BackfillLimits;
use crate::source::archive::client::{ArchiveClient, ArchiveClientConfig};
use crate::source::archive::estimate::{self, Estimate, MeasuredRate};
use crate::source::archive::{BackfillError, BackfillStart};
use crate::source::endpoint::Endpoint;
use crate::source::net::proxy::Proxies;
use crate::source::net::tls::TlsContext;
use crate::source::protocol::Protocol;

/// The flags of `skytail plan`: those of `tail`, so that a command can be planned before it runs.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = super::help::PLAN)]
pub struct PlanArgs {
    /// Download nothing to measure the rate; the plan has no
    /// time then
    #[arg(long, help_heading = "Plan")]
    no_measure: bool,

    #[command(flatten)]
    pub tail: TailArgs,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
enum PlanFailure {
    #[error("{0}: the archive asks to be left alone for now ({1}): try again in {2}")]
    Throttled(Arc<str>, BackfillError, String),
    #[error("{0}: the archive wants a key ({1}): give one with --api-key-file or SKYTAIL_API_KEY")]
    Key(Arc<str>, BackfillError),
    #[error("{0}: no archive here ({1}): name a v2 server with --host")]
    None(Arc<str>, BackfillError),
    #[error("{0}: the archive can't be planned: {1}")]
    Other(Arc<str>, BackfillError),
}

impl PlanFailure {
    fn new(endpoint: &Endpoint, error: BackfillError) -> Self {
        let server = Arc::clone(&endpoint.label);
        match (error.throttled_for(), error.refused_status()) {
            (Some(wait), _) => {
                let wait = crate::display::units::duration(wait.max(Duration::from_secs(1)));
                Self::Throttled(server, error, wait)
            }
            (None, Some(401 | 403)) => Self::Key(server, error),
            (None, Some(404 | 405 | 501)) => Self::None(server, error),
            _ => Self::Other(server, error),
        }
    }

    fn is_unreachable(&self) -> bool {
        match self {
            Self::Other(_, error) => error.dial_error().is_some(),
            _ => false,
        }
    }
}

/// A plan, and what it is of.
struct Plan {
    server: Arc<str>,
    estimate: Estimate,
    rate: Option<MeasuredRate>,
}

/// Runs the command.
///
/// # Errors
/// A [`UsageError`] if the flags name no history, or the log can't be started.
pub fn run(
    args: &PlanArgs,
    settings: TailSettings,
    display: &DisplaySettings,
    sources: &ValueSources,
) -> anyhow::Result<Exit> {
    log::init(&log_settings(display), &Terminal::stderr())
        .map_err(|error| UsageError(error.to_string()))?;
    if settings.archive.mode == ArchiveMode::Off {
        let problem = "there is nothing to plan without the archive: leave the flag out";
        return Err(sources.usage_error("archive", problem).into());
    }
    Ok(plan(args, settings).unwrap_or_else(|error| {
        tracing::error!("{}", format_chain(&error));
        let failure = error.downcast_ref::<PlanFailure>();
        match failure.is_some_and(PlanFailure::is_unreachable) {
            true => Exit::GaveUp,
            false => exit_for_error(&error),
        }
    }))
}

fn plan(args: &PlanArgs, mut settings: TailSettings) -> anyhow::Result<Exit> {
    prepare(&mut settings)?;
    let start = start(&settings)?;
    let demo = match settings.demo {
        true => Some(DemoServer::start(None, AtEnd::Loop)?),
        false => None,
    };
    if let Some(demo) = &demo {
        settings.endpoints = vec![demo.endpoint()];
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("can't start the runtime")?;
    let plan = runtime.block_on(plan_first(&settings, start, !args.no_measure));
    if let Some(demo) = demo {
        demo.stop();
    }
    let plan = plan?;
    let text = match args.tail.render.is_json() {
        true => view::json(&plan)?,
        false => view::text(&plan),
    };
    print(text.as_bytes())
}

/// Returns where the run would start in the archive.
fn start(settings: &TailSettings) -> anyhow::Result<BackfillStart> {
    match session::planned_start(settings)? {
        StartPosition::Oldest => Ok(BackfillStart::After(0)),
        StartPosition::Time(time) => Ok(BackfillStart::Since(time)),
        StartPosition::Seq(seq) => Ok(BackfillStart::After(seq.0.saturating_sub(1))),
        StartPosition::Resume(resume) => {
            let position = &resume.position;
            let is_same = |endpoint: &Endpoint| endpoint.label == position.origin.server;
            match position.newest.seq {
                Some(seq) if settings.endpoints.first().is_some_and(is_same) => {
                    Ok(BackfillStart::After(seq.0))
                }
                _ => Ok(BackfillStart::Since(position.max_time)),
            }
        }
        StartPosition::Live => Err(UsageError(
            "a run from the live tip reads no archive: plan another start with --cursor oldest, --cursor TIME or --since TIME".into(),
        )
        .into()),
    }
}

/// Plans with the first server that answers.
async fn plan_first(
    settings: &TailSettings,
    start: BackfillStart,
    measures: bool,
) -> anyhow::Result<Plan> {
    let mut first_failure = None;
    let is_v1 = |endpoint: &Endpoint| settings.protocol.pinned(endpoint) == Some(Protocol::V1);
    for endpoint in settings.endpoints.iter().filter(|endpoint| !is_v1(endpoint)) {
        match plan_with(endpoint, settings, start, measures).await {
            Ok(plan) => return Ok(plan),
            Err(error) => {
                let failure = PlanFailure::new(endpoint, error);
                tracing::info!("{failure}");
                first_failure.get_or_insert(failure);
            }
        }
    }
    match first_failure {
        Some(failure) => Err(failure.into()),
        None => Err(UsageError(
            "v1 servers have no archive: leave --protocol out, or name a v2 server with --host"
                .into(),
        )
        .into()),
    }
}

async fn plan_with(
    endpoint: &Endpoint,
    settings: &TailSettings,
    start: BackfillStart,
    measures: bool,
) -> Result<Plan, BackfillError> {
    let config = ArchiveClientConfig {
        endpoint: endpoint.clone(),
        proxies: Arc::new(Proxies::from_env()),
        tls: Arc::new(TlsContext::platform_with(settings.ca_file.clone())),
        key: settings.archive.key.clone(),
        connect_timeout: settings.connection.connect_timeout,
        metrics: Arc::new(Metrics::default()),
    };
    let limits = BackfillLimits {
        parallelism: settings.archive.parallelism,
        until: settings.stop.until,
        stripe: settings.archive.stripe,
        ..BackfillLimits::default()
    };
    let client = ArchiveClient::new(config.clone()).without_patience();
    let estimate = estimate::estimate(&client, start, &settings.filter, &limits).await?;
    let rate = match measures && estimate.segments > 0 {
        true => {
            let rate = estimate::measure(config, start, settings.filter.clone(), &limits).await;
            let warn =
                |error: &BackfillError| tracing::warn!("the rate can't be measured: {error}");
            rate.inspect_err(warn).ok()
        }
        false => None,
    };
    Ok(Plan { server: Arc::clone(&endpoint.label), estimate, rate })
}
