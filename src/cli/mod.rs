//! The front of the house: flags, files and environment become plain settings, a command
//! runs, and its outcome becomes an exit code. Nothing below this room knows clap.

pub mod completions;
pub mod cursors;
pub mod dictionary;
pub mod exit;
pub mod serve;
pub mod tail;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;

/// Tail the AT Protocol firehose through Jetstream.
#[derive(Debug, Parser)]
#[command(name = "skytail", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print events as they happen, or from where you stopped
    Tail(Box<tail::TailArgs>),
    /// Look at and edit the saved cursors
    Cursors(cursors::CursorsArgs),
    /// Serve a recording as a Jetstream server
    Serve(serve::ServeArgs),
    /// Install the zstd dictionary of Jetstream v1
    Dictionary(dictionary::DictionaryArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print or write the man pages
    Man(completions::ManArgs),
}

/// Runs the program with the given arguments (the first is its name).
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { 2 } else { 0 });
        }
    };
    let outcome = match cli.command {
        Command::Tail(args) => tail::run(*args),
        Command::Cursors(args) => cursors::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Dictionary(args) => dictionary::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => completions::run_man(args),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("skytail: error: {error:#}");
            Exit::Failed.into()
        }
    }
}
