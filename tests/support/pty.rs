//! A pseudo-terminal for a test: it shows what a program prints, and hangs up when it is dropped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, dead_code)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(not(target_os = "linux"))]
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{PATIENCE, Scratch, isolate_environment, requires};

/// Both ends of a terminal. Dropping it hangs the terminal up.
pub struct Pty {
    master: File,
    slave: Option<OwnedFd>,
    shown: Vec<u8>,
}

impl Pty {
    /// Opens a terminal of 80 by 24.
    pub fn open() -> Self {
        Self::sized(80, 24)
    }

    /// Opens a terminal with this number of columns and lines.
    pub fn sized(columns: u16, lines: u16) -> Self {
        let (master, slave) = open_pair();
        let size = Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).expect("set the size");
        Self { master, slave: Some(slave), shown: Vec::new() }
    }

    /// Returns the terminal's end for a program.
    pub fn stdio(&self) -> Stdio {
        let slave = self.slave.as_ref().expect("not started yet");
        Stdio::from(slave.try_clone().expect("duplicate a file"))
    }

    /// Closes this process's copy of the program's end, so that [`Pty::read_to_end`] finishes.
    pub fn started(&mut self) {
        self.slave = None;
    }

    /// Types keys.
    pub fn type_keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("type");
    }

    /// Reads until `is_enough` accepts all output so far, or to the end.
    pub fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        loop {
            let shown = String::from_utf8_lossy(&self.shown).into_owned();
            if is_enough(&shown) {
                return shown;
            }
            assert!(self.is_readable(PATIENCE), "nothing new for {PATIENCE:?} after {shown:?}");
            if !self.read_part() {
                return shown;
            }
        }
    }

    /// As [`Pty::read_until`], for a program that draws only the cells that changed, so that a text
    /// may never come as a whole: has it draw the whole screen with Ctrl-L, twice a second.
    pub fn redraw_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        let half_second = Duration::from_millis(500);
        let (deadline, mut next) = (Instant::now() + PATIENCE, Instant::now());
        loop {
            let shown = String::from_utf8_lossy(&self.shown).into_owned();
            if is_enough(&shown) {
                return shown;
            }
            assert!(Instant::now() < deadline, "not shown within {PATIENCE:?}: {shown:?}");
            if Instant::now() >= next {
                self.type_keys("\u{c}");
                next = Instant::now() + half_second;
            }
            if self.is_readable(half_second) && !self.read_part() {
                return shown;
            }
        }
    }

    /// Reads what is there. Returns whether the end was not reached.
    fn read_part(&mut self) -> bool {
        let mut part = [0; 4096];
        // When the last program has closed its end, reading fails with EIO.
        match self.master.read(&mut part) {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                self.shown.extend_from_slice(&part[..n]);
                true
            }
        }
    }

    /// Waits until there is output or the end, at most `patience`.
    fn is_readable(&self, patience: Duration) -> bool {
        let timeout = Timespec::try_from(patience).expect("a short time");
        poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&timeout)).expect("poll") > 0
    }

    /// Reads until all programs have closed their end.
    pub fn read_to_end(&mut self) -> String {
        self.read_until(|_| false)
    }
}

/// Opens both ends with close-on-exec set. A process that inherited one, for example the child of
/// another test, would keep the terminal from hanging up.
#[cfg(target_os = "linux")]
fn open_pair() -> (File, OwnedFd) {
    use nix::fcntl::OFlag;
    use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("open a terminal");
    grantpt(&master).expect("grant the terminal");
    unlockpt(&master).expect("unlock the terminal");
    let name = ptsname_r(&master).expect("the name of the terminal");
    let slave = File::options()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(name)
        .expect("open the terminal's end");
    let master = rustix::io::fcntl_dupfd_cloexec(&master, 3).expect("duplicate a file");
    (File::from(master), OwnedFd::from(slave))
}

#[cfg(not(target_os = "linux"))]
fn open_pair() -> (File, OwnedFd) {
    let ends = nix::pty::openpty(None, None).expect("open a terminal");
    for end in [&ends.master, &ends.slave] {
        fcntl_setfd(end, FdFlags::CLOEXEC).expect("close on exec");
    }
    (File::from(ends.master), ends.slave)
}

/// Runs a command in a controlling terminal of 80 by 24 and returns what it prints, or `None` if
/// this machine has no `script` command.
pub fn in_a_terminal(shell: &str) -> Option<String> {
    let home = Scratch::new();
    let mut script = Command::new("script");
    isolate_environment(&mut script, &home.path("."));
    script.args(["-q", "-e", "-c", shell, "/dev/null"]).env("TERM", "xterm");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = requires("script", script.spawn().ok())?;
    // The input stays open until the end, because `script` ends the session at the end of its
    // input.
    let input = child.stdin.take();
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "{shell} did not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
