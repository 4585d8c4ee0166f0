//! Checks limits of the system before a run begins, because libraries panic when they exceed
//! them.

use anyhow::bail;

use crate::platform;

/// File descriptors that a run needs in addition to those that it inherits: for the state file, two
/// connections, a DNS lookup, metrics and an output file. tokio panics if none is left for its
/// signal pipe.
const REQUIRED: usize = 32;
/// A lower soft limit is raised to this, as far as the hard limit allows.
const WANTED: u64 = 256;

/// Checks that enough files can be opened.
///
/// # Errors
/// If the limit on open files, of this process or of the system, leaves fewer than [`REQUIRED`].
pub fn check_open_files() -> anyhow::Result<()> {
    platform::raise_open_file_limit(WANTED);
    let Err(cause) = platform::try_open_files(REQUIRED) else { return Ok(()) };
    let limit = platform::open_file_limit();
    let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
    bail!(
        "too few files can be opened: {cause}; the limit is {limit} (ulimit -n), and skytail needs {REQUIRED} more than it inherits: raise it, for example with ulimit -n {WANTED}"
    )
}
