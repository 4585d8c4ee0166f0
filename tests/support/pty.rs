//! A pseudo-terminal for a test: what a program shows on it, and its hang-up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, dead_code)]

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use rustix::io::{FdFlags, fcntl_setfd};

use super::{PATIENCE, Scratch, at_home};

/// Both ends of a terminal of 80 by 24. It hangs up when this is dropped.
pub struct Pty {
    master: File,
    slave: Option<OwnedFd>,
    shown: Vec<u8>,
}

impl Pty {
    /// Opens one.
    pub fn open() -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).expect("open a terminal");
        // A program that inherits the master would keep the terminal from hanging up.
        for end in [&ends.master, &ends.slave] {
            fcntl_setfd(end, FdFlags::CLOEXEC).expect("close on exec");
        }
        Self { master: File::from(ends.master), slave: Some(ends.slave), shown: Vec::new() }
    }

    /// The terminal's end, for a program.
    pub fn stdio(&self) -> Stdio {
        let slave = self.slave.as_ref().expect("not started yet");
        Stdio::from(slave.try_clone().expect("duplicate a file"))
    }

    /// Keeps the programs' ends only, so that [`Pty::read_to_end`] has an end.
    pub fn started(&mut self) {
        self.slave = None;
    }

    /// Reads until `is_enough` says so of all that was shown, or to the end.
    pub fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        let mut part = [0; 4096];
        loop {
            let shown = String::from_utf8_lossy(&self.shown).into_owned();
            if is_enough(&shown) {
                return shown;
            }
            // When the last program has closed its end, reading fails with EIO.
            match self.master.read(&mut part) {
                Ok(0) | Err(_) => return shown,
                Ok(n) => self.shown.extend_from_slice(&part[..n]),
            }
        }
    }

    /// Reads until all programs have closed it.
    pub fn read_to_end(&mut self) -> String {
        self.read_until(|_| false)
    }
}

/// Runs a command in a terminal of 80 by 24 that controls it, and returns what it showed; `None`
/// when there is no `script` to make such a terminal with.
pub fn in_a_terminal(shell: &str) -> Option<String> {
    let home = Scratch::new();
    let mut script = Command::new("script");
    at_home(&mut script, &home.path("."));
    script.args(["-q", "-e", "-c", shell, "/dev/null"]).env("TERM", "xterm");
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = script.spawn() else {
        println!("skipped: there is no script here");
        return None;
    };
    // Open until the end: script takes the end of its input for that of the session.
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
