//! What `--output`, `--rotate` and `--append` mean together. Looks at names only; whether a
//! file may be written is found out by `open_output`.

use std::path::Path;

use super::exit::UsageError;
use super::origin::Origins;
use super::tail::OutputArgs;
use crate::settings::OutputSettings;
use crate::sink::naming::Naming;

/// The files to write; `None` for standard output.
///
/// # Errors
/// [`UsageError`], naming the flag, the value and the remedy.
pub fn output_settings(
    args: &OutputArgs,
    origins: &Origins,
) -> Result<Option<OutputSettings>, UsageError> {
    let wrong =
        |long, told: &dyn std::fmt::Display| UsageError(format!("{}: {told}", origins.of(long)));
    let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) else {
        let needless = [("rotate", args.rotate.is_some()), ("append", args.append)];
        return match needless.iter().find(|(_, is_given)| *is_given) {
            Some((long, _)) if args.to.is_some() => {
                Err(wrong(long, &"a broker has no files: leave this out"))
            }
            Some((long, _)) => Err(wrong(
                long,
                &"stdout is no file: name one with --output FILE, or leave this out",
            )),
            None => Ok(None),
        };
    };
    let naming = Naming::new(path, args.rotate).map_err(|error| wrong("output", &error))?;
    Ok(Some(OutputSettings { naming, append: args.append }))
}
