//! The front of the house: flags, files and environment become plain settings, a command
//! runs, and its outcome becomes an exit code. Nothing below this room knows clap.

mod archive_settings;
mod attend;
mod broker_settings;
pub mod completions;
mod config_file;
mod consumer_name;
pub mod cursors;
mod demo;
mod departure;
pub mod dictionary;
pub mod exit;
pub mod global;
mod help;
mod hints;
pub mod inspect;
mod layers;
mod limits;
pub mod man;
mod open_output;
pub mod origin;
mod output_settings;
mod render_settings;
mod report;
mod resolve;
mod run_tail;
pub mod serve;
mod start_settings;
mod state;
pub mod stats;
pub mod tail;
mod tail_settings;
pub mod top;
pub mod values;
mod version;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use etcetera::BaseStrategy as _;

use crate::display::log;
use crate::settings::{ColorMode, DisplaySettings, LogFormat, ProgressMode};
use exit::{Exit, UsageError};
use layers::{ParseError, Surroundings};

/// Tail the AT Protocol firehose through Jetstream. Try: skytail tail --demo
#[derive(Debug, Parser)]
#[command(name = "skytail", version = version::short(), long_version = version::long())]
#[command(max_term_width = help::WIDTH)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(help_template = help::FRONT)]
pub struct Cli {
    #[command(flatten)]
    global: global::GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print events as they happen, or from where you stopped
    Tail(Box<tail::TailArgs>),
    /// Watch what happens now: rates, collections, accounts
    Top(Box<top::TopArgs>),
    /// Look at and edit the saved cursors
    Cursors(cursors::CursorsArgs),
    /// Serve a recording as a Jetstream server
    Serve(Box<serve::ServeArgs>),
    /// Count what a recording holds
    Stats(stats::StatsArgs),
    /// Look into a segment of the archive
    Inspect(inspect::InspectArgs),
    /// Install the zstd dictionary of Jetstream v1
    Dictionary(dictionary::DictionaryArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print or write the man pages
    Man(man::ManArgs),
}

/// Runs the program with the given arguments (the first is its name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let surroundings = Surroundings {
        variable: &|name| std::env::var_os(name),
        default_config: default_config_path(),
    };
    let (cli, origins) = match layers::parse(&args, &surroundings) {
        Ok(parsed) => parsed,
        Err(ParseError::Arguments(error)) => {
            // Fails where the reader of the help has gone: nobody is left to be told.
            let _ = error.print();
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return exit.into();
        }
        Err(ParseError::Surroundings(error)) => return complain(&error.into()).into(),
    };
    if let Some(why) = origins.ignored_file().filter(|_| !cli.global.quiet) {
        let is_json = cli.global.log_format == LogFormat::Json;
        let warning = format!("{why}; going on without them: name other settings with --config");
        exit::say(log::warning_line(&warning, is_json).trim_end());
    }
    dispatch(cli, &origins).unwrap_or_else(|error| complain(&error)).into()
}

fn dispatch(cli: Cli, origins: &origin::Origins) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Tail(args) => {
            let display = display_settings(&cli.global, args.display.progress, origins);
            let is_terminal = std::io::stdout().is_terminal();
            let settings = tail_settings::tail_settings(&args, origins, now_us(), is_terminal)?;
            run_tail::run_tail(settings, display)
        }
        Command::Top(args) => {
            let display = display_settings(&cli.global, ProgressMode::Never, origins);
            top::run(&args, top::settings(&args, origins, now_us())?, &display)
        }
        Command::Cursors(args) => cursors::run(&args, cli.global.quiet, now_us()),
        Command::Serve(args) => serve::run(*args),
        Command::Stats(args) => stats::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Dictionary(args) => dictionary::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// Says on stderr what went wrong.
fn complain(error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.is::<UsageError>()) {
        let words = exit::in_words(error);
        exit::say(&format!("error: {words}\n\nFor more information, try '--help'."));
        return Exit::Usage;
    }
    exit::say(&format!("skytail: error: {}", exit::in_words(error)));
    Exit::Failed
}

/// What a run shows. `NO_COLOR` (set to anything but nothing) turns `auto` into `never`; a
/// `--color` that somebody gave is stronger.
fn display_settings(
    global: &global::GlobalArgs,
    progress: ProgressMode,
    origins: &origin::Origins,
) -> DisplaySettings {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = match global.color {
        ColorMode::Auto if no_color && !origins.is_given("color") => ColorMode::Never,
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

/// `skytail/config.toml` under the platform's directory for settings; `None` where the system
/// does not say whose home this is.
fn default_config_path() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    Some(base.config_dir().join("skytail").join("config.toml"))
}

/// The present in Unix microseconds; 0 on a clock before 1970.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX))
}
