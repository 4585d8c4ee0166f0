//! What differs between operating systems: the only module that asks which one it is built for.
//!
//! Each system has a file with the same functions. `docs/internals/platforms.md` lists what a
//! system lacks, and what a user notices of that. A function for something that a system lacks
//! returns the answer that makes its caller careful or silent, as its comment says.

use std::fs::File;

#[cfg(all(unix, not(target_os = "linux")))]
#[path = "no_linux.rs"]
mod linux;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

#[cfg(not(any(unix, windows)))]
compile_error!("src/platform has no file for this system: write one like src/platform/windows.rs");

/// Distinguishes two files of one system: on Unix the device and the inode.
pub type FileId = (u64, u64);

/// A signal that a run obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT; on Windows Ctrl-C and Ctrl-Break.
    Interrupt,
    /// SIGTERM and SIGHUP; on Windows the window is closed, the user logs off, or the system shuts
    /// down.
    Terminate,
    /// SIGXCPU; never on Windows.
    CpuTime,
    /// SIGUSR1; never on Windows.
    Status,
    /// SIGUSR2; never on Windows.
    Reload,
}

/// Standard output as the system describes it.
#[derive(Debug)]
pub struct StandardOutput {
    /// Another handle of it.
    pub file: File,
    /// Whether it is a pipe, and the system reports whether its reader has gone.
    pub is_pipe: bool,
    /// Whether it is a terminal.
    pub is_terminal: bool,
    /// Whether a write returns at once when the reader takes nothing.
    pub is_non_blocking: bool,
}
