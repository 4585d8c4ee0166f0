//! `skytail cursors`: lists, shows and changes the saved cursors. `view` formats them; `checkpoint`
//! stores them.

mod restore;
mod tables;
mod transfer;
mod view;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use clap::ValueHint;

use crate::checkpoint::default_state_path;
use crate::checkpoint::lease::{self, Lease, LeaseError};
use crate::checkpoint::store::{ManualCursor, Store};
use crate::cli::exit::{self, Exit, UsageError};
use crate::cli::stdout::{print, terminal_columns};
use crate::cli::tail::consumer_name;
use crate::cli::values::cursor::parse_cursor_value;
use crate::position::TimeUs;
use crate::source::endpoint;

/// Most gaps that `show` prints.
const MAX_GAPS: u32 = 100;
/// Most outputs that `show` prints.
const MAX_OUTPUTS: u32 = 100;
/// Most names that are suggested for an unknown one.
const MAX_SUGGESTIONS: usize = 5;
/// The similarity (Jaro-Winkler, 0 to 1) from which on a name is suggested.
const MIN_SIMILARITY: f64 = 0.75;

/// The flags of `skytail cursors`.
#[derive(Debug, clap::Args)]
pub struct CursorsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the saved cursors
    #[command(after_help = view::LIST_KEYS)]
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: StateFile,
    },
    /// Show everything that is saved under a name
    #[command(after_help = view::SHOW_KEYS)]
    Show {
        /// Name of the saved cursor
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: StateFile,
    },
    /// Set where the next `tail --cursor auto` starts
    Set {
        /// Name of the saved cursor
        name: String,
        /// A time (2026-11-23T10:00:00Z), an age (15m), Unix microseconds,
        /// or a sequence number (below 10^15)
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// Server of the sequence number [default: any]
        #[arg(long, value_name = "HOST", value_hint = ValueHint::Hostname)]
        server: Option<String>,
        #[command(flatten)]
        file: StateFile,
    },
    /// List the earlier positions of a name, or restore one
    #[command(after_help = restore::RESTORE_HELP)]
    Restore {
        /// Name of the saved cursor
        name: String,
        /// Number of the earlier position in the list
        #[arg(value_name = "N")]
        number: Option<usize>,
        #[command(flatten)]
        file: StateFile,
    },
    /// Print everything that is saved under names, for `import`
    #[command(after_help = transfer::EXPORT_HELP)]
    Export {
        /// Names of saved cursors
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        file: StateFile,
    },
    /// Import the output of `export` under the same names
    #[command(after_help = transfer::IMPORT_HELP)]
    Import {
        /// File with the output of `export` [default: stdin]
        #[arg(value_name = "FILE", default_value = "-", hide_default_value = true, value_hint = ValueHint::FilePath)]
        input: PathBuf,
        /// Replace what is saved under a name
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        file: StateFile,
    },
    /// Copy the whole state file, even while runs save to it
    #[command(after_help = transfer::BACKUP_HELP)]
    Backup {
        /// Path of the copy
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        to: PathBuf,
        /// Replace FILE if it exists
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        file: StateFile,
    },
    /// Remove saved cursors
    Rm {
        /// Names of saved cursors
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        file: StateFile,
    },
}

#[derive(Debug, clap::Args)]
struct StateFile {
    /// File of saved cursors [default: skytail/state.db in the
    /// directory for state]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    state: Option<PathBuf>,
}

impl StateFile {
    fn path(&self) -> anyhow::Result<PathBuf> {
        match &self.state {
            Some(path) if path.as_os_str().is_empty() => Err(UsageError(
                "--state: the path is empty: write the path of a file".to_owned(),
            )
            .into()),
            Some(path) => Ok(path.clone()),
            None => default_state_path().map_err(|error| {
                let message = format!("there is no default place for saved cursors ({error}): name one with --state FILE");
                UsageError(message).into()
            }),
        }
    }
}

/// The context of all subcommands.
#[derive(Clone, Copy)]
struct Context {
    quiet: bool,
    now: TimeUs,
}

impl Context {
    /// Prints a message to stderr, unless `-q` was given.
    fn eprint(self, text: &str) {
        if !self.quiet {
            exit::eprint(text);
        }
    }
}

/// Runs the command. `now_us` is the present in Unix microseconds.
///
/// # Errors
/// Any failure; the message is for the user.
pub fn run(args: &CursorsArgs, quiet: bool, now_us: u64) -> anyhow::Result<Exit> {
    let context = Context { quiet, now: TimeUs(now_us) };
    match &args.command {
        Command::List { json, file } => list(&file.path()?, *json, context),
        Command::Show { name, json, file } => show(&file.path()?, name, *json, context),
        Command::Set { name, value, server, file } => {
            set(&file.path()?, name, value, server.as_deref(), context)
        }
        Command::Restore { name, number, file } => {
            restore::restore(&file.path()?, name, *number, context)
        }
        Command::Export { names, file } => transfer::export(&file.path()?, names),
        Command::Import { input, force, file } => {
            transfer::import(&file.path()?, input, *force, context)
        }
        Command::Backup { to, force, file } => transfer::backup(&file.path()?, to, *force, context),
        Command::Rm { names, file } => rm(&file.path()?, names, context),
    }
}

fn list(path: &Path, json: bool, context: Context) -> anyhow::Result<Exit> {
    let store = Store::open_existing(path)?;
    let all = store.map(|store| store.list()).transpose()?.unwrap_or_default();
    if all.is_empty() {
        context.eprint(&format!("no saved cursors in {}", path.display()));
        return Ok(Exit::Done);
    }
    let mut entries = Vec::with_capacity(all.len());
    let mut outcome = Exit::Done;
    for entry in all {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(damaged) => {
                exit::eprint(&format!("skytail: error: {damaged}"));
                outcome = Exit::Failed;
            }
        }
    }
    let text = if json {
        view::json_lines(&entries)?
    } else if entries.is_empty() {
        String::new()
    } else {
        tables::list(&entries, context.now, terminal_columns())
    };
    print(text.as_bytes())?;
    Ok(outcome)
}

fn show(path: &Path, name: &str, json: bool, context: Context) -> anyhow::Result<Exit> {
    let Some(store) = Store::open_existing(path)? else { return Err(unknown(&[name], &[], path)) };
    let Some(entry) = store.entry(name)? else {
        return Err(unknown(&[name], &store.names()?, path));
    };
    let gaps = store.gaps(name, MAX_GAPS)?;
    let outputs = store.newest_outputs(name, MAX_OUTPUTS)?;
    let text = if json {
        view::json_object(&entry, &gaps, &outputs)?
    } else {
        view::details(&entry, &gaps, &outputs, path, context.now)
    };
    print(text.as_bytes())
}

fn set(
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
    let _lease = lease(path, name)?;
    let cursor = ManualCursor { at, server };
    store.set(name, &cursor, context.now)?;
    context
        .eprint(&format!("{name} starts at {} with --cursor auto", view::describe_manual(&cursor)));
    Ok(Exit::Done)
}

/// Removes all names, or none of them.
fn rm(path: &Path, names: &[String], context: Context) -> anyhow::Result<Exit> {
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
    let mut store = Store::open(path)?;
    let leases: anyhow::Result<Vec<Lease>> = names.iter().map(|name| lease(path, name)).collect();
    for (name, lease) in names.iter().zip(leases?) {
        store.remove(name)?;
        lease.remove();
        context.eprint(&format!("forgot {name:?}"));
    }
    lease::remove_unused(path, || store.names().ok());
    Ok(Exit::Done)
}

/// Acquires the lease, because a running tail would overwrite the change at once.
fn lease(path: &Path, name: &str) -> anyhow::Result<Lease> {
    Lease::acquire(path, name).map_err(|error| match error {
        LeaseError::Held { consumer, pid } => {
            let pid = pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default();
            anyhow!("consumer {consumer:?} is in use by skytail{pid}: stop it first, or it would overwrite the change")
        }
        other => other.into(),
    })
}

/// Returns the error about names under which nothing is saved, with suggestions.
fn unknown(names: &[&str], known: &[String], path: &Path) -> anyhow::Error {
    let list = |names: Vec<&str>| {
        names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
    };
    let suggestions = suggestions(names, known);
    let hint = match (suggestions.is_empty(), known.is_empty()) {
        (false, _) => format!("did you mean {}?", list(suggestions)),
        (true, false) => "see `skytail cursors list`".to_owned(),
        (true, true) => "nothing is saved there".to_owned(),
    };
    anyhow!("no cursor is saved as {} in {}: {hint}", list(names.to_vec()), path.display())
}

fn suggestions<'a>(names: &[&str], known: &'a [String]) -> Vec<&'a str> {
    let similarity = |candidate: &str| {
        let one = |name: &&str| {
            let is_part = !name.is_empty() && candidate.contains(*name);
            if is_part { 1.0 } else { strsim::jaro_winkler(name, candidate) }
        };
        names.iter().map(one).fold(0.0, f64::max)
    };
    let mut near: Vec<(f64, &str)> = known
        .iter()
        .filter(|candidate| !names.contains(&candidate.as_str()))
        .map(|candidate| (similarity(candidate), candidate.as_str()))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name).collect()
}
