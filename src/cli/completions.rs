//! `skytail completions` and `skytail man`: scripts and pages generated from the flags, and
//! never written by hand.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, ValueHint};
use clap_complete::Shell;

use super::Cli;
use super::exit::Exit;

/// The collections that `-c` completes; any other is accepted too.
const COMMON_COLLECTIONS: [&str; 17] = [
    "app.bsky.feed.post",
    "app.bsky.feed.like",
    "app.bsky.feed.repost",
    "app.bsky.feed.threadgate",
    "app.bsky.feed.postgate",
    "app.bsky.feed.generator",
    "app.bsky.graph.follow",
    "app.bsky.graph.block",
    "app.bsky.graph.list",
    "app.bsky.graph.listitem",
    "app.bsky.graph.starterpack",
    "app.bsky.graph.listblock",
    "app.bsky.actor.profile",
    "app.bsky.labeler.service",
    "chat.bsky.actor.declaration",
    "app.bsky.feed.*",
    "app.bsky.graph.*",
];

/// The shells, in the order of the files in `completions/`.
const SHELLS: [Shell; 5] = [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell, Shell::Elvish];

/// The flags of `skytail completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, required_unless_present = "all")]
    shell: Option<Shell>,

    /// Write the scripts of all shells into --dir
    #[arg(long, requires = "dir", conflicts_with = "shell")]
    all: bool,

    /// Write to a file in DIR instead of stdout
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// The flags of `skytail man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write a page for each command into DIR; without it, the main page goes to stdout
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Runs `skytail completions`.
///
/// # Errors
/// Where the scripts can't be written.
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let shells = if args.all { &SHELLS[..] } else { args.shell.as_slice() };
    let mut command = command_to_complete();
    if let Some(dir) = &args.dir {
        create(dir)?;
        for &shell in shells {
            clap_complete::generate_to(shell, &mut command, "skytail", dir)
                .with_context(|| cant_write(dir))?;
        }
        return Ok(Exit::Done);
    }
    let mut script = Vec::new();
    for &shell in shells {
        clap_complete::generate(shell, &mut command, "skytail", &mut script);
    }
    print(&script)
}

/// Runs `skytail man`.
///
/// # Errors
/// Where the pages can't be written.
pub fn run_man(args: &ManArgs) -> anyhow::Result<Exit> {
    // The version would make every release change every page, and the build differ.
    let command = Cli::command();
    if let Some(dir) = &args.dir {
        create(dir)?;
        clap_mangen::generate_to(command, dir).with_context(|| cant_write(dir))?;
        return Ok(Exit::Done);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    print(&page)
}

/// The command line as completion scripts see it: like the real one, but with the common
/// collections listed, which in the real one would refuse all others.
fn command_to_complete() -> clap::Command {
    Cli::command().mut_subcommand("tail", |tail| {
        tail.mut_arg("collection", |arg| {
            arg.value_parser(PossibleValuesParser::new(COMMON_COLLECTIONS))
        })
    })
}

/// Prints to stdout; that the reader has gone is no failure.
fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("can't write to stdout")
        }
        _ => Ok(Exit::Done),
    }
}

fn create(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| cant_write(dir))
}

fn cant_write(dir: &Path) -> String {
    format!("can't write into {}: check --dir, or leave it out to print to stdout", dir.display())
}
