//! The command line: turns flags, a configuration file and environment variables into plain
//! settings, runs a command, and turns its result into an exit code. No other module knows clap.

mod completions;
mod config;
mod convert;
mod cursors;
mod dictionary;
mod exit;
mod global;
mod guesses;
mod help;
mod inspect;
mod interrupt;
mod layout;
mod limits;
mod man;
mod plan;
mod reference;
mod replaced;
mod scrub;
mod serve;
mod stats;
mod stdout;
mod tail;
mod top;
#[doc(hidden)] // For fuzzing.
pub mod values;
mod version;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{CommandFactory as _, Parser, Subcommand};
use etcetera::BaseStrategy as _;

use crate::display::log;
use crate::settings::{ColorMode, DisplaySettings, LogFormat, ProgressMode};
use config::layers::{self, ConfigEnv, ParseError};
use config::value_source::ValueSources;
use config::variables;
use exit::{Exit, UsageError};

/// Tail the AT Protocol firehose through Jetstream. Try: skytail tail --demo
#[derive(Debug, Parser)]
#[command(name = "skytail", version = version::short(), long_version = version::long())]
#[command(max_term_width = help::MAX_WIDTH)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(help_template = help::MAIN_TEMPLATE)]
struct Cli {
    #[command(flatten)]
    global: global::GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print events as they happen, or from where you stopped
    Tail(Box<tail::args::TailArgs>),
    /// Watch what happens now: rates, collections, accounts
    Top(Box<top::TopArgs>),
    /// Show what a run would download from the archive
    Plan(Box<plan::PlanArgs>),
    /// List, show and edit the saved cursors
    Cursors(cursors::CursorsArgs),
    /// Serve a recording as a Jetstream server
    Serve(Box<serve::ServeArgs>),
    /// Count the events of a recording
    Stats(stats::StatsArgs),
    /// Convert recordings to Parquet, and back
    Convert(convert::ConvertArgs),
    /// Remove deleted records and accounts from recordings
    Scrub(Box<scrub::ScrubArgs>),
    /// Show the contents of an archive segment
    Inspect(inspect::InspectArgs),
    /// Install the zstd dictionary of Jetstream v1
    Dictionary(dictionary::DictionaryArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print or write the man pages
    Man(man::ManArgs),
}

/// Runs the program with the given arguments, of which the first is the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = guesses::rewrite(args.into_iter().collect());
    let env =
        ConfigEnv { variable: &|name| std::env::var_os(name), default_file: default_config_path() };
    let (cli, sources) = match layers::parse(&args, &env) {
        Ok(parsed) => parsed,
        Err(ParseError::Arguments(error)) => {
            let error = guesses::improve(error, &args, &Cli::command());
            // Fails if stdout or stderr is closed; then there is no other place to report it.
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return exit.into();
        }
        Err(ParseError::Config(error)) => return print_error(&error.into()).into(),
    };
    if !cli.global.quiet {
        print_warnings(&sources, cli.global.log_format == LogFormat::Json);
    }
    dispatch(cli, &sources).unwrap_or_else(|error| print_error(&error)).into()
}

/// Checks a command line without running it: its flags, their values, and which of them exclude
/// each other.
///
/// # Errors
/// The message that a user would see.
#[doc(hidden)] // For the tests of the documents.
pub fn check(args: Vec<OsString>) -> Result<(), String> {
    let cli = match Cli::try_parse_from(guesses::rewrite(args)) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return Err(error.to_string()),
        Err(_) => return Ok(()),
    };
    let sources = ValueSources::default();
    let checked = match &cli.command {
        Command::Tail(args) => {
            tail::settings::tail_settings(args, &sources, now_us(), false).map(|_| ())
        }
        Command::Top(args) => top::settings(args, &sources, now_us()).map(|_| ()),
        Command::Plan(args) => {
            tail::settings::tail_settings(&args.tail, &sources, now_us(), false).map(|_| ())
        }
        _ => Ok(()),
    };
    checked.map_err(|error| error.to_string())
}

/// Prints what is wrong with the configuration and does not stop the command.
fn print_warnings(sources: &ValueSources, is_json: bool) {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut warnings = variables::misspelled(names, &Cli::command());
    if let Some(reason) = sources.ignored_file() {
        let remedy = "continuing without this file: name another with --config";
        warnings.push(format!("{reason}; {remedy}"));
    }
    for warning in warnings {
        exit::eprint(log::warning_line(&warning, is_json).trim_end());
    }
}

fn dispatch(cli: Cli, sources: &ValueSources) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Tail(args) => {
            let display = display_settings(&cli.global, args.display.progress, sources);
            let is_terminal = std::io::stdout().is_terminal();
            let settings = tail::settings::tail_settings(&args, sources, now_us(), is_terminal)?;
            let files = tail::filter_files::FilterFiles::of(&args);
            tail::run::run_tail(settings, display, files)
        }
        Command::Top(args) => {
            let display = display_settings(&cli.global, ProgressMode::Never, sources);
            top::run(&args, top::settings(&args, sources, now_us())?, &display)
        }
        Command::Plan(args) => {
            let display = display_settings(&cli.global, ProgressMode::Never, sources);
            let settings = tail::settings::tail_settings(&args.tail, sources, now_us(), false)?;
            plan::run(&args, settings, &display, sources)
        }
        Command::Cursors(args) => cursors::run(&args, cli.global.quiet, now_us()),
        Command::Serve(args) => serve::run(*args),
        Command::Stats(args) => stats::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Scrub(args) => {
            let display = display_settings(&cli.global, ProgressMode::Auto, sources);
            scrub::run(&args, sources, &display, now_us())
        }
        Command::Inspect(args) => inspect::run(&args),
        Command::Dictionary(args) => dictionary::run(args),
        Command::Completions(args) => completions::run(&args, sources),
        Command::Man(args) => man::run(&args),
    }
}

/// Prints an error to stderr, and returns the exit code for it.
fn print_error(error: &anyhow::Error) -> Exit {
    let message = exit::format_chain(error);
    if error.chain().any(|cause| cause.is::<UsageError>()) {
        exit::eprint(&format!("error: {message}\n\nFor more information, try '--help'."));
        return Exit::Usage;
    }
    exit::eprint(&format!("skytail: error: {message}"));
    Exit::Failed
}

/// Returns what a run shows. A non-empty `NO_COLOR` turns `auto` into `never`, unless the user
/// gave `--color`, which takes precedence.
fn display_settings(
    global: &global::GlobalArgs,
    progress: ProgressMode,
    sources: &ValueSources,
) -> DisplaySettings {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = match global.color {
        ColorMode::Auto if no_color && !sources.is_given("color") => ColorMode::Never,
        color => color,
    };
    DisplaySettings {
        quiet: global.quiet,
        verbosity: global.verbose,
        log_format: global.log_format,
        color,
        progress,
    }
}

/// Returns `skytail/config.toml` in the platform's configuration directory; `None` if the system
/// reports no home directory.
fn default_config_path() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.config_dir().join("skytail").join("config.toml"))
}

/// Returns the present in Unix microseconds; 0 if the clock is before 1970.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
