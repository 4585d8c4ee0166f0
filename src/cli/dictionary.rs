//! `skytail dictionary`.

use super::exit::Exit;

/// The flags of `skytail dictionary`.
#[derive(Debug, clap::Args)]
pub struct DictionaryArgs {}

/// Runs the command.
///
/// # Errors
/// Says what went wrong, for a person.
pub fn run(args: DictionaryArgs) -> anyhow::Result<Exit> {
    let _ = args;
    anyhow::bail!("not written yet")
}
