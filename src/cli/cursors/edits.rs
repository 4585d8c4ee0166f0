//! `skytail cursors set`, `reset` and `rm`.

use std::path::Path;
use std::sync::Arc;

use super::{Context, Exit, UsageError, consumer_name, unknown, view};
use crate::checkpoint::lease::{self, Lease};
use crate::checkpoint::store::{ManualCursor, Store};
use crate::cli::values::cursor::parse_cursor_value;
use crate::source::endpoint;

/// The end of `cursors reset --help`.
pub const RESET_HELP: &str = "\
The next run with --cursor auto starts at its --from, or live. The name keeps
its gaps and output files; `skytail cursors restore` brings the position back.";

/// Saves a cursor that the user chose.
pub fn set(
    path: &Path,
    name: &str,
    value: &str,
    server: Option<&str>,
    context: Context,
) -> anyhow::Result<Exit> {
    let usage = |message: String| anyhow::Error::from(UsageError(message));
    consumer_name::check(name).map_err(|error| usage(error.to_string()))?;
    let at = parse_cursor_value(value, context.now.0).map_err(|error| usage(error.to_string()))?;
    let server: Option<Arc<str>> = match server.map(endpoint::parse) {
        Some(Ok(endpoint)) => Some(endpoint.label),
        Some(Err(error)) => return Err(usage(format!("--server: {error}"))),
        None => None,
    };
    let mut store = Store::open(path)?;
    let _lease = super::lease(path, name)?;
    let cursor = ManualCursor { at, server };
    store.set(name, &cursor, context.now)?;
    context
        .eprint(&format!("{name} starts at {} with --cursor auto", view::describe_manual(&cursor)));
    Ok(Exit::Done)
}

/// Forgets the positions of all names, or of none of them.
pub fn reset(path: &Path, names: &[String], context: Context) -> anyhow::Result<Exit> {
    let (mut store, leases) = acquire(path, names)?;
    for (name, _lease) in &leases {
        store.reset(name, context.now)?;
        context.eprint(&format!(
            "forgot the position of {name:?}: --cursor auto starts at --from, or live; `skytail cursors restore {name} 1` undoes this"
        ));
    }
    Ok(Exit::Done)
}

/// Removes all names, or none of them.
pub fn rm(path: &Path, names: &[String], context: Context) -> anyhow::Result<Exit> {
    let (mut store, leases) = acquire(path, names)?;
    for (name, lease) in leases {
        store.remove(&name)?;
        lease.remove();
        context.eprint(&format!("forgot {name:?}"));
    }
    lease::remove_unused(path, || store.names().ok());
    Ok(Exit::Done)
}

/// Returns the state file, and the names, each once, with their leases. Fails if nothing is saved
/// under one of the names, or if a run uses it.
fn acquire(path: &Path, names: &[String]) -> anyhow::Result<(Store, Vec<(String, Lease)>)> {
    let known = Store::open_existing(path)?.map(|store| store.names()).transpose()?;
    let known = known.unwrap_or_default();
    let missing: Vec<&str> =
        names.iter().filter(|name| !known.contains(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(unknown(&missing, &known, path));
    }
    // A name that is given twice needs one lease.
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    let store = Store::open(path)?;
    let leases = names.into_iter().map(|name| {
        let lease = super::lease(path, &name)?;
        Ok((name, lease))
    });
    Ok((store, leases.collect::<anyhow::Result<_>>()?))
}
