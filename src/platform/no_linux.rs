//! The functions of `linux.rs` on other systems of the Unix family, such as macOS.

use std::fs::File;
use std::io;
use std::os::unix::net::SocketAddr;

/// Returns `None`: writes to a pipe or terminal block, and a stop waits for them.
pub(super) fn reopen_stdout() -> Option<File> {
    None
}

/// Does nothing: the size of a pipe can't be set.
pub(super) fn widen_pipe(_file: &File) {}

/// Returns 0: the end that is written to does not report its size.
pub fn pipe_bytes(_file: &File) -> usize {
    0
}

/// Returns `None`: there is no `/proc`.
pub fn memory() -> Option<(u64, u64)> {
    None
}

/// Returns `None`: there is no `/proc`.
pub fn open_fds() -> Option<u64> {
    None
}

/// Returns an error: there are no abstract sockets.
pub(super) fn abstract_address(_name: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, "only Linux has sockets without a path"))
}
