//! The settings of `--output`, `--rotate` and `--append`. This checks only names; `open_output`
//! finds out whether a file may be written.

use std::path::Path;

use super::args::OutputArgs;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::settings::OutputSettings;
use crate::sink::file::naming::Naming;

/// Returns the files to write; `None` for standard output and brokers.
///
/// # Errors
/// [`UsageError`] with the flag, the value and the remedy.
pub fn output_settings(
    args: &OutputArgs,
    sources: &ValueSources,
) -> Result<Option<OutputSettings>, UsageError> {
    let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) else {
        let needs_file = [("rotate", args.rotate.is_some()), ("append", args.append)];
        return match needs_file.iter().find(|(_, is_given)| *is_given) {
            Some((long, _)) if args.to.is_some() => {
                Err(sources.usage_error(long, "what --to names is no such file: leave this out"))
            }
            Some((long, _)) => Err(sources.usage_error(
                long,
                "stdout is not a file: name one with --output FILE, or leave this out",
            )),
            None => Ok(None),
        };
    };
    let naming =
        Naming::new(path, args.rotate).map_err(|error| sources.usage_error("output", error))?;
    Ok(Some(OutputSettings { naming, append: args.append, objection: None }))
}
