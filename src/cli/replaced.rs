//! Files that a command writes as a whole: it replaces an earlier one of its own kind, and no other.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::exit::UsageError;

/// Refuses a path at which a regular file has other contents than those that `flag` writes: the
/// user may have typed a recording there. `start` is how the right contents begin, `kind` what they
/// are.
///
/// # Errors
/// The file must not be replaced, or can't be read.
pub fn check_replaced(path: &Path, flag: &str, start: &[u8], kind: &str) -> Result<(), UsageError> {
    if !path.metadata().is_ok_and(|found| found.is_file() && found.len() > 0) {
        return Ok(());
    }
    let mut found = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(start.len() as u64).read_to_end(&mut found).map(|_| ()));
    let problem = match read {
        Ok(()) if found == start => return Ok(()),
        Ok(()) => format!("the file exists and is not {kind}"),
        Err(error) => format!("the file exists and can't be read ({error})"),
    };
    let path = path.display();
    Err(UsageError(format!("{flag}: {path}: {problem}: name another file, or remove this one")))
}
