//! Checks the flags of `skytail tail` and turns them into [`TailSettings`], before any connection
//! is made.

use std::time::Duration;

use super::archive_settings::archive_settings;
use super::args::{CursorArgs, FlowArgs, OutputArgs, SourceArgs, TailArgs};
use super::backfill_new;
use super::broker_settings::broker_settings;
use super::database_settings::{self, database_settings};
use super::filter_files::list_names;
use super::filter_settings::{accounts, filter, with_placeholder_dids};
use super::last::args::last_settings;
use super::markers::{self, MarkerArgs};
use super::output_name;
use super::output_settings::{output_settings, parquet_settings};
use super::render_settings::render_settings;
use super::start_settings::{StartContext, StartSettings, start_settings};
use super::stripe_settings::add_stripe;
use super::witness_settings::add_witness;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::cli::values::OrNever;
use crate::cli::values::time::parse_time;
use crate::event::header::Kind;
use crate::filter::Filter;
use crate::settings::{
    Archive, ArchiveMode, Buffer, CheckpointEvery, Compression, Connection, CursorMode, Handles,
    MaxRetries, OutputSettings, Render, StopRules, TailSettings, To,
};
use crate::sink::sqlite::DatabaseSettings;
use crate::source::endpoint::{self, Endpoint};
use crate::source::handle::Handle;
use crate::source::net::tls::ExtraRoots;
use crate::source::protocol::Protocol;
use crate::source::v2;

/// Bluesky's public servers (protocol/jetstream-v1.md §1). The v2 servers come first, because
/// their events carry an exact cursor.
const DEFAULT_HOSTS: [&str; 6] = [
    "jetstream.us-east.bsky.network",
    "jetstream.us-west.bsky.network",
    "jetstream1.us-east.bsky.network",
    "jetstream2.us-east.bsky.network",
    "jetstream1.us-west.bsky.network",
    "jetstream2.us-west.bsky.network",
];
/// Time without an event after which a stream that can't be quiet counts as dead.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How often positions are saved.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How often positions are saved if each save ends a zstd frame. Longer frames compress better, and
/// ten seconds of the firehose exceed the window that zstd looks back over. A kill loses no event
/// in either case: ten seconds are read again.
const ZSTD_CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// The error about `--jq` or `--format` with a broker.
const RENDERED_TO_BROKER: &str = "skytail publishes events unchanged, so that a broker can recognise duplicates: leave --jq and --format to its consumers";

/// Checks the flags, and returns the settings. `now_us` is the present in Unix microseconds;
/// `is_terminal` says whether standard output is a terminal.
///
/// # Errors
/// [`UsageError`] for the first wrong value: its source, the value and the remedy.
pub fn tail_settings(
    args: &TailArgs,
    sources: &ValueSources,
    now_us: u64,
    is_terminal: bool,
) -> Result<TailSettings, UsageError> {
    let endpoints = endpoints(&args.source, sources)?;
    let (dids, handles) = accounts(args, sources)?;
    let filter = filter(&args.filters, dids, sources)?;
    let markers = args.markers.setting_for(args.output.output.as_deref());
    let mut filter = Filter { markers, ..filter };
    let database = database_settings(args, &mut filter, &handles, sources)?;
    let complete = with_placeholder_dids(&filter, &handles);
    check_protocol(&args.source, &endpoints, &complete, sources)?;
    let (output, to, render) = outputs(args, database, &endpoints, &filter, sources)?;
    let database = to.as_ref().and_then(To::database);
    let context = StartContext {
        endpoints: &endpoints,
        filter: &filter,
        output: output.as_ref(),
        to: to.as_ref(),
        now_us,
        is_terminal,
    };
    let start = start_settings(args, &context, sources)?;
    let stop = stop_rules(&args.output, now_us, sources)?;
    check_end(&start, &stop, sources)?;
    let settings = TailSettings {
        demo: args.source.demo,
        protocol: database_settings::protocol(args, database, &filter, sources)?,
        shape: args.output.shape,
        cursor: start.cursor,
        last: last_settings(args, &context, sources)?,
        from: start.from,
        consumer: start.consumer,
        state: start.state,
        unsaved: start.unsaved,
        checkpoint: checkpoint_every(&args.cursor, output.as_ref()),
        output,
        to: to.clone(),
        render,
        stop,
        buffer: buffer(&args.flow, sources)?,
        compression: compression(&args.source),
        // SQLite's functions fail for a whole query if one record is no JSON.
        strict: args.output.strict || database.is_some(),
        connection: connection(args, &complete),
        ca_file: ca_file(&args.source, sources)?,
        backfill_new: args.archive_bounds.backfill_new,
        archive: archive(args, &endpoints, database.is_some(), sources)?,
        handles: handles_to_resolve(handles, &args.source),
        on_gap: args.cursor.on_gap,
        drain_timeout: database_settings::drain_timeout(args, database),
        witness: None,
        metrics_listen: args.operation.metrics_listen,
        endpoints,
        filter,
    };
    with_other_readers(args, settings, now_us, sources)
}

/// Adds what reads beside the stream, or in place of it: the histories of lists, a stripe of the
/// history, a witness.
fn with_other_readers(
    args: &TailArgs,
    settings: TailSettings,
    now_us: u64,
    sources: &ValueSources,
) -> Result<TailSettings, UsageError> {
    backfill_new::check(args, &settings.archive, sources)?;
    let settings = add_stripe(args, settings, now_us, sources)?;
    add_witness(&args.witness, settings, !args.source.host.is_empty(), sources)
}

/// The files, the broker or database, and how to render events.
type Outputs = (Option<OutputSettings>, Option<To>, Option<Render>);

/// Returns the outputs of a run.
fn outputs(
    args: &TailArgs,
    database: Option<DatabaseSettings>,
    endpoints: &[Endpoint],
    filter: &Filter,
    sources: &ValueSources,
) -> Result<Outputs, UsageError> {
    let mut output = output_settings(&args.output, sources)?;
    let named = output_name::check(args, output.as_ref(), sources)?;
    let mut render = args.render.clone();
    if let Some(output) = &mut output {
        output.objection = named.objection;
        if output.naming.is_parquet() {
            let fields = std::mem::take(&mut render.fields);
            let lists = list_names(args);
            output.parquet = parquet_settings(&fields, endpoints, filter, &lists, sources)?;
        }
    }
    let broker = broker_settings(&args.output, sources)?;
    let render = match &database {
        Some(_) => database_settings::render(args, sources)?,
        None => render_settings(&render, named.format, sources)?,
    };
    check_render(&args.markers, render.as_ref(), broker.is_some(), sources)?;
    let to = broker.map(To::Broker).or(database.map(Box::new).map(To::Database));
    Ok((output, to, render))
}

fn archive(
    args: &TailArgs,
    endpoints: &[Endpoint],
    is_fold: bool,
    sources: &ValueSources,
) -> Result<Archive, UsageError> {
    let contacted = contacted(&args.source, endpoints);
    // A fold does not need the events that a compacted archive no longer has.
    let unset = if is_fold { ArchiveMode::Prefer } else { ArchiveMode::Auto };
    let variable = |name: &str| std::env::var_os(name);
    let archive = archive_settings(&args.archive, unset, contacted, sources, variable)?;
    Ok(Archive { max_bytes: args.archive_bounds.archive_max_bytes, ..archive })
}

fn handles_to_resolve(names: Vec<Handle>, args: &SourceArgs) -> Option<Handles> {
    (!names.is_empty()).then_some(Handles { names, dns_server: args.dns_server })
}

/// Refuses rendered events if a broker or a later scrub needs them as they are.
fn check_render(
    markers: &MarkerArgs,
    render: Option<&Render>,
    has_broker: bool,
    sources: &ValueSources,
) -> Result<(), UsageError> {
    if has_broker && render.is_some() {
        return Err(sources.usage_error("to", RENDERED_TO_BROKER));
    }
    markers::check(markers, render, sources)
}

fn compression(args: &SourceArgs) -> Compression {
    Compression { mode: args.compress, dictionary: args.zstd_dictionary.clone() }
}

fn checkpoint_every(args: &CursorArgs, output: Option<&OutputSettings>) -> CheckpointEvery {
    let is_compressed = output.is_some_and(|output| output.naming.is_compressed());
    let default = if is_compressed { ZSTD_CHECKPOINT_EVERY } else { CHECKPOINT_EVERY };
    CheckpointEvery {
        interval: args.checkpoint_every.unwrap_or(default),
        events: args.checkpoint_events,
    }
}

fn endpoints(args: &SourceArgs, sources: &ValueSources) -> Result<Vec<Endpoint>, UsageError> {
    let defaults = DEFAULT_HOSTS.map(str::to_owned);
    let hosts = if args.host.is_empty() { &defaults[..] } else { &args.host };
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for host in hosts {
        let endpoint = endpoint::parse(host).map_err(|error| sources.usage_error("host", error))?;
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints)
}

fn ca_file(args: &SourceArgs, sources: &ValueSources) -> Result<ExtraRoots, UsageError> {
    let Some(path) = &args.ca_file else { return Ok(ExtraRoots::default()) };
    ExtraRoots::read(path).map_err(|error| sources.usage_error("ca-file", error))
}

/// Returns the servers that the run contacts: none of these with `--demo`, which starts its own.
fn contacted<'a>(args: &SourceArgs, endpoints: &'a [Endpoint]) -> &'a [Endpoint] {
    if args.demo { &[] } else { endpoints }
}

/// Checks that a protocol that the user fixed supports the filter. With `--protocol auto` skytail
/// chooses one that does.
fn check_protocol(
    args: &SourceArgs,
    endpoints: &[Endpoint],
    filter: &Filter,
    sources: &ValueSources,
) -> Result<(), UsageError> {
    let pinned = |endpoint: &Endpoint| args.protocol.pinned(endpoint);
    if endpoints.iter().any(|endpoint| pinned(endpoint) == Some(Protocol::V2))
        && let Some(obstacle) = v2::request::obstacle(filter)
    {
        return Err(sources.usage_error(
            "protocol",
            format!("{obstacle}; leave --protocol at auto, which uses v1 for these filters"),
        ));
    }
    if endpoints.iter().all(|endpoint| pinned(endpoint) == Some(Protocol::V1))
        && filter.kinds == [Kind::Sync]
    {
        return Err(sources.usage_error("kind", "sync events exist in v2 only: use --protocol v2"));
    }
    Ok(())
}

fn stop_rules(
    args: &OutputArgs,
    now_us: u64,
    sources: &ValueSources,
) -> Result<StopRules, UsageError> {
    let until = args.until.as_deref().map(|text| parse_time(text, now_us));
    Ok(StopRules {
        limit: args.limit,
        until: until.transpose().map_err(|error| sources.usage_error("until", error))?,
        exit_when_live: args.exit_when_live,
        timeout: args.timeout,
    })
}

/// Refuses an end at or before the start. A saved start is not known yet.
fn check_end(
    start: &StartSettings,
    stop: &StopRules,
    sources: &ValueSources,
) -> Result<(), UsageError> {
    let (CursorMode::Time(from), Some(until)) = (start.cursor, stop.until) else { return Ok(()) };
    if until > from {
        return Ok(());
    }
    let flag = if sources.is_given("since") { "since" } else { "cursor" };
    let start = sources.of(flag);
    Err(sources.usage_error(
        "until",
        format!("{until} is not after {from}, which {start} says: write a later --until, or an earlier {start}"),
    ))
}

fn buffer(args: &FlowArgs, sources: &ValueSources) -> Result<Buffer, UsageError> {
    let never_reached = |lag: u64| usize::try_from(lag).map_or(true, |lag| lag >= args.buffer);
    if let Some(lag) = args.max_lag
        && never_reached(lag)
    {
        return Err(sources.usage_error(
            "max-lag",
            format!(
                "{lag} events can't wait in a buffer of {}: write a smaller number, or a larger --buffer",
                args.buffer
            ),
        ));
    }
    Ok(Buffer {
        events: args.buffer,
        bytes: args.buffer_bytes,
        when_full: args.when_full,
        max_lag_events: args.max_lag,
    })
}

fn connection(args: &TailArgs, filter: &Filter) -> Connection {
    let source = &args.source;
    // A stream of a few accounts can be quiet for days, so its silence is no sign of a failure.
    let can_be_quiet = !filter.dids.is_empty();
    let stall_timeout = match source.stall_timeout {
        Some(chosen) => chosen.0,
        None => (!can_be_quiet).then_some(STALL_TIMEOUT),
    };
    Connection {
        connect_timeout: source.connect_timeout,
        ping_after: source.ping_after,
        pong_timeout: source.pong_timeout,
        stall_timeout,
        max_retries: match source.max_retries {
            None => MaxRetries::OnceConnected,
            Some(OrNever(None)) => MaxRetries::Unlimited,
            Some(OrNever(Some(n))) => MaxRetries::Limit(n),
        },
        max_message_bytes: source.max_frame_size,
        join: args.cursor.join,
        prefer_first: source.prefer_first,
        // At most ten years: `values::duration` refuses more.
        rewind_us: u64::try_from(args.cursor.rewind.as_micros()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
