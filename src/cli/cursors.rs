//! `skytail cursors`.

use super::exit::Exit;

/// The flags of `skytail cursors`.
#[derive(Debug, clap::Args)]
pub struct CursorsArgs {}

/// Runs the command.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run(args: CursorsArgs) -> anyhow::Result<Exit> {
    let _ = args;
    anyhow::bail!("not written yet")
}
