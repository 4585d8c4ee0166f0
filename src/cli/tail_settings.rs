//! What the flags of `skytail tail` mean together: everything is checked here, before
//! anything is dialled, and comes out as [`TailSettings`].

use std::collections::HashSet;
use std::fmt::Display;

use super::archive_settings::archive_settings;
use super::broker_settings::broker_settings;
use super::exit::UsageError;
use super::origin::Origins;
use super::output_settings::output_settings;
use super::render_settings::render_settings;
use super::start_settings::{Around, start_settings};
use super::tail::{FilterArgs, FlowArgs, OutputArgs, SourceArgs, TailArgs};
use super::values::OrNever;
use super::values::account::{Account, parse_account, without_at};
use super::values::list::{ListError, read_list};
use super::values::time::parse_time;
use crate::event::header::Kind;
use crate::filter::{Collections, Filter};
use crate::settings::{
    Buffer, CheckpointEvery, Compression, Connection, Handles, MaxRetries, StopRules, TailSettings,
};
use crate::source::endpoint::{self, Endpoint};
use crate::source::handle::Handle;
use crate::source::net::tls::ExtraRoots;
use crate::source::protocol::Protocol;
use crate::source::v2;

/// Bluesky's public servers (protocol/jetstream-v1.md §1). The v2 servers come first, since
/// they stamp an exact cursor on every event.
const DEFAULT_HOSTS: [&str; 6] = [
    "jetstream.us-east.bsky.network",
    "jetstream.us-west.bsky.network",
    "jetstream1.us-east.bsky.network",
    "jetstream2.us-east.bsky.network",
    "jetstream1.us-west.bsky.network",
    "jetstream2.us-west.bsky.network",
];
/// Most collections that a server takes (protocol/jetstream-v1.md §3).
const MOST_COLLECTIONS: usize = 100;
/// Most DIDs that a server takes (protocol/jetstream-v1.md §3).
const MOST_DIDS: usize = 10_000;
/// Time without an event after which a stream that can't be quiet counts as dead.
const STALL_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// How often positions are saved.
const CHECKPOINT_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// The same where each save ends a zstd frame: a frame packs better the more it holds, and
/// ten seconds of the firehose hold more than zstd looks back. A kill costs no event either
/// way; ten seconds are read again.
const PACKED_CHECKPOINT_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

/// Turns the flags into settings. `now_us` is the present in Unix microseconds; `is_terminal` says
/// whether standard output is a terminal.
///
/// # Errors
/// [`UsageError`] for the first thing that is wrong, naming the flag (or what stood in for
/// it), the value and the remedy.
pub fn tail_settings(
    args: &TailArgs,
    origins: &Origins,
    now_us: u64,
    is_terminal: bool,
) -> Result<TailSettings, UsageError> {
    let wrong = Wrong { origins };
    let endpoints = endpoints(&args.source, &wrong)?;
    let (dids, handles) = accounts(args, &wrong)?;
    let filter = filter(&args.filters, dids, &wrong)?;
    let complete = with_stand_ins(&filter, &handles);
    can_be_asked(&args.source, &endpoints, &complete, &wrong)?;
    let output = output_settings(&args.output, origins)?;
    let to = broker_settings(&args.output, origins)?;
    let render = render_settings(&args.render, origins)?;
    if to.is_some() && render.is_some() {
        let told = "a broker knows events again by what they are, and gets them as they came: leave --jq and --format to its consumers";
        return Err(wrong.value("to", told));
    }
    let around = Around {
        endpoints: &endpoints,
        filter: &filter,
        output: output.as_ref(),
        to: to.as_ref(),
        now_us,
        is_terminal,
    };
    let start = start_settings(args, &around, origins)?;
    let is_packed = output.as_ref().is_some_and(|output| output.naming.is_compressed());
    let interval = if is_packed { PACKED_CHECKPOINT_EVERY } else { CHECKPOINT_EVERY };
    Ok(TailSettings {
        demo: args.source.demo,
        protocol: args.source.protocol,
        shape: args.output.shape,
        cursor: start.cursor,
        from: start.from,
        consumer: start.consumer,
        state: start.state,
        unsaved: start.unsaved,
        checkpoint: CheckpointEvery {
            interval: args.cursor.checkpoint_every.unwrap_or(interval),
            events: args.cursor.checkpoint_events,
        },
        output,
        to,
        render,
        stop: stop_rules(&args.output, now_us, &wrong)?,
        buffer: buffer(&args.flow, &wrong)?,
        compression: Compression {
            mode: args.source.compress,
            dictionary: args.source.zstd_dictionary.clone(),
        },
        strict: args.output.strict,
        connection: connection(args, &complete),
        ca_file: ca_file(&args.source, &wrong)?,
        archive: archive_settings(
            &args.archive,
            open_to(&args.source, &endpoints),
            origins,
            |name| std::env::var_os(name),
        )?,
        handles: (!handles.is_empty())
            .then_some(Handles { names: handles, dns_server: args.source.dns_server }),
        on_gap: args.cursor.on_gap,
        drain_timeout: args.output.drain_timeout,
        metrics_listen: args.operation.metrics_listen,
        endpoints,
        filter,
    })
}

/// Makes errors that name where the value came from.
struct Wrong<'a> {
    origins: &'a Origins,
}

impl Wrong<'_> {
    fn value(&self, long: &str, error: impl Display) -> UsageError {
        UsageError(format!("{}: {error}", self.origins.of(long)))
    }
}

fn endpoints(args: &SourceArgs, wrong: &Wrong<'_>) -> Result<Vec<Endpoint>, UsageError> {
    let defaults = DEFAULT_HOSTS.map(str::to_owned);
    let hosts = if args.host.is_empty() { &defaults[..] } else { &args.host };
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for host in hosts {
        let endpoint = endpoint::parse(host).map_err(|error| wrong.value("host", error))?;
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints)
}

fn ca_file(args: &SourceArgs, wrong: &Wrong<'_>) -> Result<ExtraRoots, UsageError> {
    let Some(path) = &args.ca_file else { return Ok(ExtraRoots::default()) };
    ExtraRoots::read(path).map_err(|error| wrong.value("ca-file", error))
}

/// The servers that are spoken to: none of these with `--demo`, which brings its own.
fn open_to<'a>(args: &SourceArgs, endpoints: &'a [Endpoint]) -> &'a [Endpoint] {
    if args.demo { &[] } else { endpoints }
}

/// Whether each server that may only be spoken to in one protocol can be asked for all this in
/// it. With a choice, skytail chooses the other.
fn can_be_asked(
    args: &SourceArgs,
    endpoints: &[Endpoint],
    filter: &Filter,
    wrong: &Wrong<'_>,
) -> Result<(), UsageError> {
    let pinned = |endpoint: &Endpoint| args.protocol.pinned(endpoint);
    if endpoints.iter().any(|endpoint| pinned(endpoint) == Some(Protocol::V2))
        && let Some(obstacle) = v2::request::obstacle(filter)
    {
        return Err(wrong.value(
            "protocol",
            format!("{obstacle}; leave --protocol at auto, which uses v1 for these filters"),
        ));
    }
    if endpoints.iter().all(|endpoint| pinned(endpoint) == Some(Protocol::V1))
        && filter.kinds == [Kind::Sync]
    {
        return Err(wrong.value("kind", "sync events exist in v2 only: use --protocol v2"));
    }
    Ok(())
}

/// What `--did` names: DIDs, and handles that are to become some, each once.
fn accounts(
    args: &TailArgs,
    wrong: &Wrong<'_>,
) -> Result<(HashSet<String>, Vec<Handle>), UsageError> {
    let for_tests = args.source.dns_server.is_some();
    let values = args.filters.did.iter().map(|value| without_at(value, for_tests).to_owned());
    let values: Vec<String> = values.collect();
    let list = read_list(&values, MOST_DIDS, |text| parse_account(text, for_tests).map(drop))
        .map_err(|error: ListError<_>| wrong.value("did", error))?;
    let (mut dids, mut handles) = (HashSet::new(), Vec::new());
    for text in &list {
        match parse_account(text, for_tests).map_err(|error| wrong.value("did", error))? {
            Account::Did(did) => {
                dids.insert(did);
            }
            Account::Handle(handle) if !handles.contains(&handle) => handles.push(handle),
            Account::Handle(_) => {}
        }
    }
    Ok((dids, handles))
}

/// The filter with some DID for each handle: enough for questions about how many there are.
fn with_stand_ins(filter: &Filter, handles: &[Handle]) -> Filter {
    let mut complete = filter.clone();
    complete.dids.extend(handles.iter().map(|handle| format!("did:web:{handle}")));
    complete
}

fn filter(
    args: &FilterArgs,
    dids: HashSet<String>,
    wrong: &Wrong<'_>,
) -> Result<Filter, UsageError> {
    let check = |value: &str| Collections::default().add(value);
    let patterns = read_list(&args.collection, MOST_COLLECTIONS, check);
    let mut collections = Collections::default();
    for pattern in patterns.map_err(|error| wrong.value("collection", error))? {
        let added = collections.add(&pattern);
        added.map_err(|error| wrong.value("collection", error))?;
    }
    Ok(Filter {
        collections,
        dids,
        kinds: kinds(args, wrong)?,
        operations: distinct(&args.operation),
        max_message_bytes: args.max_message_size,
    })
}

/// The kinds, with what `--collection` and `--operation` imply: only commits have either, and
/// the server would send everyone's identity and account events beside them
/// (protocol/jetstream-v1.md §3).
fn kinds(args: &FilterArgs, wrong: &Wrong<'_>) -> Result<Vec<Kind>, UsageError> {
    let kinds = distinct(&args.kind);
    let implied_by = match (args.collection.is_empty(), args.operation.is_empty()) {
        (false, _) => "collection",
        (_, false) => "operation",
        _ => return Ok(kinds),
    };
    if kinds.is_empty() {
        return Ok(vec![Kind::Commit]);
    }
    if kinds.contains(&Kind::Commit) {
        return Ok(kinds);
    }
    let origin = wrong.origins.of(implied_by);
    Err(wrong.value(
        "kind",
        format!("without commit, {origin} could match nothing: add --kind commit, or leave one of the two out"),
    ))
}

/// The values in the order given, each once.
fn distinct<T: Copy + PartialEq>(values: &[T]) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(value) {
            distinct.push(*value);
        }
    }
    distinct
}

fn stop_rules(args: &OutputArgs, now_us: u64, wrong: &Wrong<'_>) -> Result<StopRules, UsageError> {
    let until = args.until.as_deref().map(|text| parse_time(text, now_us));
    Ok(StopRules {
        limit: args.limit,
        until: until.transpose().map_err(|error| wrong.value("until", error))?,
        exit_when_live: args.exit_when_live,
        timeout: args.timeout,
    })
}

fn buffer(args: &FlowArgs, wrong: &Wrong<'_>) -> Result<Buffer, UsageError> {
    let never_reached = |lag: u64| usize::try_from(lag).map_or(true, |lag| lag >= args.buffer);
    if let Some(lag) = args.max_lag
        && never_reached(lag)
    {
        return Err(wrong.value(
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
    // A stream of a few accounts can be quiet for days, so silence proves nothing there.
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
        // Ten years at most: `values::duration` refuses more.
        join: args.cursor.join,
        prefer_first: source.prefer_first,
        rewind_us: u64::try_from(args.cursor.rewind.as_micros()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
