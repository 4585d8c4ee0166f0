//! Checks limits of the system before a run begins, because libraries panic when they exceed
//! them.

use anyhow::bail;

/// File descriptors that a run needs in addition to those that it inherits: for the state file, two
/// connections, a DNS lookup, metrics and an output file. tokio panics if none is left for its
/// signal pipe.
const REQUIRED: usize = 32;
/// A lower soft limit is raised to this, as far as the hard limit allows.
#[cfg(unix)]
const WANTED: u64 = 256;

/// Checks that enough files can be opened.
///
/// # Errors
/// If the limit on open files, of this process or of the system, leaves fewer than [`REQUIRED`].
#[cfg(unix)]
pub fn check_open_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < WANTED) {
        limit.current = Some(limit.maximum.map_or(WANTED, |most| most.min(WANTED)));
        // If the system refuses, the check below applies to the old limit.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    // A pipe needs no path, so this works in any root directory.
    let pipes: Result<Vec<_>, _> = (0..REQUIRED / 2).map(|_| rustix::pipe::pipe()).collect();
    match pipes {
        Ok(_) => Ok(()),
        Err(cause) => {
            let limit = getrlimit(Resource::Nofile).current;
            let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
            bail!(
                "too few files can be opened: {cause}; the limit is {limit} (ulimit -n), and skytail needs {REQUIRED} more than it inherits: raise it, for example with ulimit -n {WANTED}"
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
