//! `skytail serve`.

use super::exit::Exit;

/// The flags of `skytail serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {}

/// Runs the command.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run(args: ServeArgs) -> anyhow::Result<Exit> {
    let _ = args;
    anyhow::bail!("not written yet")
}
