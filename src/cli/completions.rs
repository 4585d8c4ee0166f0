//! `skytail completions`: scripts generated from the flags. `skytail completions --all --dir
//! completions` writes the scripts in `completions/`; a test fails if they are out of date.

mod values;

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use clap::{CommandFactory, ValueHint};
use clap_complete::{Generator, Shell};

use super::Cli;
use super::config::value_source::ValueSources;
use super::exit::Exit;
use super::stdout::print;
use super::tail::consumer_name;
use crate::checkpoint::default_state_path;
use crate::checkpoint::store::Store;

/// The collections that `-c` completes. Any other is accepted, too.
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
    #[arg(value_enum, required_unless_present_any = ["all", "values"])]
    shell: Option<Shell>,

    /// Write the scripts of all shells into --dir
    #[arg(long, requires = "dir", conflicts_with = "shell")]
    all: bool,

    /// Write to a file in DIR instead of stdout
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,

    /// Print what the scripts offer: names (of saved cursors),
    /// profiles, or starts (values of --cursor)
    #[arg(long, value_enum, hide_possible_values = true, value_name = "WHICH")]
    #[arg(conflicts_with_all = ["all", "dir", "shell"])]
    values: Option<Values>,

    /// File of saved cursors, for --values [default: as for tail]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    state: Option<PathBuf>,
}

/// The values that a script asks the program for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Values {
    Names,
    Profiles,
    Starts,
}

/// The values of `--cursor` that are words.
const STARTS: [&str; 5] = ["live", "auto", "oldest", "today", "yesterday"];

/// Runs `skytail completions`.
///
/// # Errors
/// If the scripts can't be written.
pub fn run(args: &CompletionsArgs, sources: &ValueSources) -> anyhow::Result<Exit> {
    if let Some(values) = args.values {
        let lines = match values {
            Values::Names => names(args.state.as_deref()),
            Values::Profiles => sources.profiles().to_vec(),
            Values::Starts => STARTS.map(str::to_owned).to_vec(),
        };
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        return print(lines.as_bytes());
    }
    let shells = if args.all { &SHELLS[..] } else { args.shell.as_slice() };
    if let Some(dir) = &args.dir {
        create(dir)?;
        for &shell in shells {
            let path = dir.join(shell.file_name("skytail"));
            std::fs::write(path, script(shell)?).with_context(|| cant_write(dir))?;
        }
        return Ok(Exit::Done);
    }
    let scripts: anyhow::Result<Vec<String>> = shells.iter().map(|&shell| script(shell)).collect();
    print(scripts?.concat().as_bytes())
}

/// Returns the names of the saved cursors that a shell can complete. A state file that can't be read
/// has none: a script can't show an error.
fn names(state: Option<&Path>) -> Vec<String> {
    let path = state.map(Path::to_owned).or_else(|| default_state_path().ok());
    let store = path.and_then(|path| Store::open_existing(&path).ok().flatten());
    let names = store.and_then(|store| store.names().ok()).unwrap_or_default();
    // A name of another program may hold a line feed.
    names.into_iter().filter(|name| consumer_name::check(name).is_ok()).collect()
}

/// Returns the script for a shell.
fn script(shell: Shell) -> anyhow::Result<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_to_complete(), "skytail", &mut script);
    let script = String::from_utf8(script).context("the script is not UTF-8")?;
    let script = COMMON_COLLECTIONS
        .iter()
        .filter_map(|name| name.strip_suffix('*'))
        .fold(script, |script, prefix| escape_star(shell, &script, prefix));
    Ok(values::add(shell, script))
}

/// Escapes the star of `app.bsky.feed.*`: zsh and fish would expand it as a file name pattern, find
/// no such file, and offer nothing.
fn escape_star(shell: Shell, script: &str, prefix: &str) -> String {
    match shell {
        Shell::Zsh => script
            .replace(&format!(" {prefix}* "), &format!(" {prefix}\\* "))
            .replace(&format!(" {prefix}*)"), &format!(" {prefix}\\*)")),
        Shell::Fish => script.replace(&format!("\n{prefix}*\\t"), &format!("\n{prefix}\\*\\t")),
        _ => script.to_owned(),
    }
}

/// Returns the command line for completion scripts. It lists the common collections; in the real
/// command line such a list would reject all others.
fn command_to_complete() -> clap::Command {
    let common = |command: clap::Command| {
        command.mut_arg("collection", |arg| {
            arg.value_parser(PossibleValuesParser::new(COMMON_COLLECTIONS))
        })
    };
    Cli::command()
        .mut_subcommand("tail", common)
        .mut_subcommand("top", common)
        .mut_subcommand("plan", common)
}

/// Creates the directory for generated files.
pub(super) fn create(dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| cant_write(dir))
}

pub(super) fn cant_write(dir: &Path) -> String {
    format!("can't write into {}: check --dir, or leave it out to print to stdout", dir.display())
}
