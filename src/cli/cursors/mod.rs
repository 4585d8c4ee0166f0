//! `skytail cursors`: lists, shows and changes the saved cursors. `view` formats them; `checkpoint`
//! stores them.

mod edits;
mod restore;
mod tables;
mod transfer;
mod view;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::ValueHint;

use crate::checkpoint::default_state_path;
use crate::checkpoint::lease::{Lease, LeaseError};
use crate::checkpoint::store::Store;
use crate::cli::exit::{self, Exit, UsageError};
use crate::cli::stdout::{print, terminal_columns};
use crate::cli::tail::consumer_name;
use crate::position::TimeUs;

/// Most gaps that `show` prints.
const MAX_GAPS: u32 = 100;
/// Most outputs that `show` prints.
const MAX_OUTPUTS: u32 = 100;
/// Most names that are suggested for an unknown one.
const MAX_SUGGESTIONS: usize = 5;
/// The similarity (Jaro-Winkler, 0 to 1) from which on a name is suggested.
const MIN_SIMILARITY: f64 = 0.75;

/// The flags of `skytail cursors`, which alone lists the cursors.
#[derive(Debug, clap::Args)]
pub struct CursorsArgs {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
    /// File of saved cursors [default: skytail/state.db in the
    /// directory for state]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    state: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the saved cursors
    #[command(after_help = view::LIST_KEYS)]
    List {
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show everything that is saved under a name
    #[command(after_help = view::SHOW_KEYS)]
    Show {
        /// Name of the saved cursor
        name: String,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
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
    },
    /// List the earlier positions of a name, or restore one
    #[command(after_help = restore::RESTORE_HELP)]
    Restore {
        /// Name of the saved cursor
        name: String,
        /// Number of the earlier position in the list
        #[arg(value_name = "N")]
        number: Option<usize>,
    },
    /// Print everything that is saved under names, for `import`
    #[command(after_help = transfer::EXPORT_HELP)]
    Export {
        /// Names of saved cursors
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
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
    },
    /// Forget the position of names, and keep the names
    #[command(after_help = edits::RESET_HELP)]
    Reset {
        /// Names of saved cursors
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove saved cursors
    #[command(visible_alias = "delete", alias = "remove")]
    Rm {
        /// Names of saved cursors
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

impl CursorsArgs {
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
    let path = &args.path()?;
    let Some(command) = &args.command else { return list(path, args.json, context) };
    match command {
        Command::List { json } => list(path, *json || args.json, context),
        Command::Show { name, json } => show(path, name, *json || args.json, context),
        Command::Set { name, value, server } => {
            edits::set(path, name, value, server.as_deref(), context)
        }
        Command::Restore { name, number } => restore::restore(path, name, *number, context),
        Command::Export { names } => transfer::export(path, names),
        Command::Import { input, force } => transfer::import(path, input, *force, context),
        Command::Backup { to, force } => transfer::backup(path, to, *force, context),
        Command::Reset { names } => edits::reset(path, names, context),
        Command::Rm { names } => edits::rm(path, names, context),
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
