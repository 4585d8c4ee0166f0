//! Limits of the system that are checked before a run begins, because libraries panic when they
//! meet them.

use anyhow::bail;

/// File descriptors that a run needs beside those that it inherits, with room for the state
/// file, two connections, a name that is looked up, metrics and an output file. tokio panics when it has none left
/// for its signal pipe.
const NEEDED: usize = 32;
/// The soft limit below which this process raises its own, as far as the hard limit allows.
#[cfg(unix)]
const COMFORTABLE: u64 = 256;

/// Checks that enough files can be opened.
///
/// # Errors
/// When the limit on open files, of this process or of the system, leaves fewer than [`NEEDED`].
#[cfg(unix)]
pub fn check_open_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < COMFORTABLE) {
        limit.current = Some(limit.maximum.map_or(COMFORTABLE, |most| most.min(COMFORTABLE)));
        // When the system refuses, the old limit holds, and is checked next.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    // A pipe needs no path, so this works in any root directory.
    let pipes: Result<Vec<_>, _> = (0..NEEDED / 2).map(|_| rustix::pipe::pipe()).collect();
    match pipes {
        Ok(_) => Ok(()),
        Err(cause) => {
            let limit = getrlimit(Resource::Nofile).current;
            let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
            bail!(
                "too few files can be opened: {cause}; the limit is {limit} (ulimit -n), and skytail needs {NEEDED} beside those that it inherits: raise it, for example with ulimit -n {COMFORTABLE}"
            )
        }
    }
}

/// Checks nothing: this system has no such limit.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn check_open_files() -> anyhow::Result<()> {
    Ok(())
}
