//! `skytail tail`.

use super::exit::Exit;

/// The flags of `skytail tail`.
#[derive(Debug, clap::Args)]
pub struct TailArgs {}

/// Runs the command.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run(args: TailArgs) -> anyhow::Result<Exit> {
    let _ = args;
    anyhow::bail!("not written yet")
}
