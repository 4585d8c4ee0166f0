//! `skytail completions`.

use super::exit::Exit;

/// The flags of `skytail completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {}

/// Runs the command.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run(args: CompletionsArgs) -> anyhow::Result<Exit> {
    let _ = args;
    anyhow::bail!("not written yet")
}

/// The flags of `skytail man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {}

/// Runs `skytail man`.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run_man(args: ManArgs) -> anyhow::Result<Exit> {
    let _ = args;
    anyhow::bail!("not written yet")
}
