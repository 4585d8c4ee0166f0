//! Checks the flags of a scrub before it reads anything.

use std::path::{Path, PathBuf};

use super::{ScrubArgs, host};
use crate::checkpoint::default_state_path;
use crate::cli::config::value_source::ValueSources;
use crate::cli::exit::UsageError;
use crate::paths::new_file;
use crate::settings::TailSettings;
use crate::sqlite;

/// Returns the settings of `--markers-host`, if it is given.
///
/// # Errors
/// [`UsageError`] for any flag that would fail later.
pub fn check(
    args: &ScrubArgs,
    sources: &ValueSources,
    now_us: u64,
) -> Result<Option<TailSettings>, UsageError> {
    if args.files.iter().any(|path| path.as_os_str() == "-") {
        return Err(UsageError(
            "-: scrub replaces files, and can't replace stdin: name the files; to scrub lines, write them to a file first"
                .to_owned(),
        ));
    }
    if let Some(directory) = &args.temp {
        new_file::check_usable(directory).map_err(|error| sources.usage_error("temp", error))?;
    }
    let needs_host = args.markers_host.is_some();
    let has_files = args.api_key_file.is_some() || args.ca_file.is_some();
    let host = (needs_host || has_files).then(|| host::settings(args, sources, now_us));
    Ok(host.transpose()?.filter(|_| needs_host))
}

/// Returns the state file, if there is one.
///
/// # Errors
/// [`UsageError`] if the user named another file.
pub fn state(args: &ScrubArgs) -> Result<Option<PathBuf>, UsageError> {
    const REMEDY: &str =
        "name the state file of the runs that wrote the recordings, or leave --state out";
    let Some(path) = &args.state else {
        return Ok(default_state_path().ok().filter(|path| path.exists()));
    };
    let problem = match is_sqlite(path) {
        Ok(true) => return Ok(Some(path.clone())),
        Ok(false) => "is no state file".to_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        Err(error) => format!("can't be read ({error})"),
    };
    Err(UsageError(format!("--state: {} {problem}: {REMEDY}", path.display())))
}

/// Returns whether a file begins as a SQLite database. An empty file is one without tables.
fn is_sqlite(path: &Path) -> std::io::Result<bool> {
    let head = sqlite::read_head(path)?;
    Ok(head.is_empty() || head == sqlite::MAGIC)
}
