//! The steps of a start that `tail` and `top` share.

use std::io::IsTerminal as _;
use std::sync::Arc;

use super::filter_hints;
use super::resolve_handles::resolve_handles;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::limits;
use crate::compression::cache::Cache;
use crate::compression::dictionary::{self, Dictionary, OFFICIAL_ID};
use crate::display::colour;
use crate::display::log::LogSettings;
use crate::position::StartPosition;
use crate::settings::{ColorMode, CompressMode, DisplaySettings, LogFormat, TailSettings};
use crate::source::endpoint::Endpoint;
use crate::source::handle::ResolveError;
use crate::source::net::proxy::Proxies;
use crate::source::protocol::Protocol;
use crate::source::v2::dictionaries::{Dictionaries, ZstdPolicy};

/// Checks what would otherwise fail in the middle of a run, warns of misspelled collections, and
/// replaces handles by DIDs. Returns the DIDs with their handles.
pub fn prepare(settings: &mut TailSettings) -> anyhow::Result<Vec<(String, String)>> {
    check_proxies(settings)?;
    limits::check_open_files()?;
    filter_hints::warn_of_misspelled(&settings.filter);
    resolve_handles(settings)
}

/// Refuses a proxy setting that can't be used, before any connection is made.
fn check_proxies(settings: &TailSettings) -> Result<(), UsageError> {
    let proxies = Proxies::from_env();
    let endpoints = if settings.demo { &[][..] } else { &settings.endpoints };
    for endpoint in endpoints {
        proxies.for_endpoint(endpoint).map_err(|error| UsageError(error.to_string()))?;
    }
    Ok(())
}

/// Returns the exit code of a run that failed before its pipeline started.
pub fn exit_for_error(error: &anyhow::Error) -> Exit {
    let unreachable = |error: &ResolveError| error.is_unreachable();
    if error.chain().any(|cause| cause.is::<UsageError>()) {
        Exit::Usage
    } else if error.chain().filter_map(|cause| cause.downcast_ref()).any(unreachable) {
        Exit::GaveUp
    } else {
        Exit::Failed
    }
}

/// Returns the settings of the log on stderr.
pub fn log_settings(display: &DisplaySettings) -> LogSettings {
    let is_terminal = std::io::stderr().is_terminal();
    let colour = has_colour(display, is_terminal);
    LogSettings {
        verbosity: if display.quiet { -1 } else { i8::try_from(display.verbosity).unwrap_or(2) },
        json: display.log_format == LogFormat::Json,
        colour,
        timestamps: !is_terminal,
        filter: std::env::var_os("SKYTAIL_LOG")
            .filter(|filter| !filter.is_empty())
            .map(|filter| filter.to_string_lossy().into_owned()),
    }
}

/// Returns whether output to a terminal, or to a file, is coloured.
pub fn has_colour(display: &DisplaySettings, is_terminal: bool) -> bool {
    colour::use_colour(colour::ColourEnv {
        requested: requested_colour(display.color),
        forced: std::env::var_os("CLICOLOR_FORCE").is_some_and(|v| !v.is_empty() && v != "0"),
        is_terminal,
        is_dumb: is_dumb_terminal(),
    })
}

/// Returns what `--color` says; `None` for `auto`.
pub fn requested_colour(color: ColorMode) -> Option<bool> {
    match color {
        ColorMode::Auto => None,
        ColorMode::Always => Some(true),
        ColorMode::Never => Some(false),
    }
}

/// Returns whether `TERM` says that the terminal knows no control sequences.
pub fn is_dumb_terminal() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Returns the time that a replay starts from, in Unix microseconds, if it is known.
pub fn replay_from_us(start: &StartPosition) -> Option<u64> {
    match start {
        StartPosition::Time(time) => Some(time.0),
        StartPosition::Resume(resume) => Some(resume.position.newest.time.0),
        StartPosition::Live | StartPosition::Oldest | StartPosition::Seq(_) => None,
    }
}

/// The zstd dictionaries of a process. Several runs share what one of them has fetched or warned of.
#[derive(Clone)]
pub struct FoundDictionaries {
    /// For v1 servers; `None` to request plain text.
    pub v1: Option<Dictionary>,
    /// The source of the dictionaries for v2 servers.
    pub v2: Arc<Dictionaries>,
}

/// Finds the zstd dictionaries.
pub fn find_dictionaries(settings: &TailSettings) -> anyhow::Result<FoundDictionaries> {
    let compression = &settings.compression;
    let path = compression.dictionary.as_deref();
    // Within one machine bandwidth costs nothing, and decompression costs time.
    let is_local = settings.endpoints.iter().all(Endpoint::is_loopback) && path.is_none();
    let demand = match compression.mode {
        CompressMode::Off => ZstdPolicy::Off,
        CompressMode::Auto if is_local => ZstdPolicy::Off,
        CompressMode::Auto => ZstdPolicy::Auto,
        CompressMode::On => ZstdPolicy::Required,
    };
    let found = match demand {
        ZstdPolicy::Off => None,
        ZstdPolicy::Auto | ZstdPolicy::Required => match dictionary::find(path) {
            Ok(found) => found,
            // A dictionary that the user named must be usable.
            Err(error) if path.is_some() || demand == ZstdPolicy::Required => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!("{error}; receiving uncompressed from v1 servers");
                None
            }
        },
    };
    let is_v1 = |endpoint| settings.protocol.pinned(endpoint) == Some(Protocol::V1);
    if found.is_none() && demand == ZstdPolicy::Required && settings.endpoints.iter().all(is_v1) {
        anyhow::bail!(
            "--compress on: no zstd dictionary is installed: install it with `skytail dictionary install`, or name one with --zstd-dictionary FILE"
        );
    }
    let is_for_v2 = |dictionary: &Dictionary| path.is_some() && dictionary.id != OFFICIAL_ID;
    let given = found.clone().filter(is_for_v2);
    let named = found.as_ref().filter(|_| path.is_some()).map(|dictionary| dictionary.id);
    let v2 = Dictionaries::new(demand, given, Cache::of_user()).with_given_id(named);
    Ok(FoundDictionaries { v1: found, v2: Arc::new(v2) })
}
