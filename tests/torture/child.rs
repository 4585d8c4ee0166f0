//! The process of the program under test, and the end that it gets.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::oracle::{Oracle, Verdict, Violation};
use super::process_run::{RunOutcome, StopKind};
use super::profile::failed;
use crate::support::PATIENCE;

/// Long enough for a pipe to fill up, and for the program to save what it should not.
const UNREAD: Duration = Duration::from_millis(250);

/// A process of the program, and the thread that reads its output. Killed on drop.
pub struct Running {
    pub child: Child,
    pub chunks: Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    /// Asks that thread to close the output behind the chunk in its hand.
    closes: Arc<AtomicBool>,
    copy: std::fs::File,
    /// Which life of the profile it is.
    number: usize,
}

impl Running {
    pub fn start(mut command: Command, copy: &Path, number: usize) -> Self {
        let mut child = command.spawn().expect("start skytail tail");
        let stdout = child.stdout.take().expect("piped");
        // One chunk on its way: whoever takes none lets the pipe fill up.
        let (sender, chunks) = sync_channel(1);
        let closes = Arc::new(AtomicBool::new(false));
        let is_closing = Arc::clone(&closes);
        let forward = move |mut stdout: ChildStdout| {
            let mut chunk = vec![0; 16 * 1024];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                if sender.send(chunk[..read].to_vec()).is_err() || is_closing.load(Relaxed) {
                    return;
                }
            }
        };
        let reader = Some(std::thread::spawn(move || forward(stdout)));
        let copy = std::fs::File::create(copy).expect("make a file");
        Self { child, chunks, reader, closes, copy, number }
    }

    /// Asks for a clean stop with two signals within milliseconds, as `timeout` of coreutils and
    /// a terminal that closes do. It must be one stop.
    fn request_stop(&self) {
        let again = [Signal::TERM, Signal::HUP, Signal::INT];
        for signal in [Signal::TERM, again[self.number % again.len()]] {
            // A process that has ended, and is not waited for, takes no harm.
            let _ = kill_process(Pid::from_child(&self.child), signal);
            std::thread::sleep(Duration::from_millis(self.number as u64 % 4));
        }
    }

    pub fn take(&mut self, chunk: &[u8], oracle: &mut Oracle<'_>) -> Result<(), Verdict> {
        self.copy.write_all(chunk).expect("keep a copy");
        oracle.feed(chunk)
    }

    pub fn end(mut self, end: StopKind, oracle: &mut Oracle<'_>) -> Result<RunOutcome, Verdict> {
        let had_ended = self.child.try_wait().expect("wait").is_some();
        if matches!(end, StopKind::KillUnread | StopKind::TermUnread | StopKind::CloseReader) {
            std::thread::sleep(UNREAD);
        }
        match end {
            StopKind::Kill | StopKind::KillUnread => self.child.kill().expect("kill"),
            StopKind::Term | StopKind::TermUnread => self.request_stop(),
            StopKind::CloseReader => self.closes.store(true, Relaxed),
        }
        if end == StopKind::TermUnread {
            self.wait()?;
        }
        let patience = Instant::now() + PATIENCE;
        let mut must_request = end == StopKind::CloseReader;
        loop {
            let left = patience.saturating_duration_since(Instant::now());
            let left = if must_request { left.min(UNREAD) } else { left };
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => self.take(&chunk, oracle)?,
                Err(RecvTimeoutError::Disconnected) => break,
                // Where nothing comes, nothing is left unread.
                Err(RecvTimeoutError::Timeout) if must_request => {
                    must_request = false;
                    self.request_stop();
                }
                Err(RecvTimeoutError::Timeout) => return Err(failed("does not end".to_owned())),
            }
        }
        let status = self.wait()?;
        match (status.code(), had_ended && end.is_kill()) {
            (Some(0), false) => Ok(RunOutcome { was_killed: false, was_clean: true }),
            // By SIGKILL, or by a SIGTERM that came before it was listened for.
            (None, _) => Ok(RunOutcome { was_killed: end.is_kill(), was_clean: false }),
            (Some(130), _) => {
                let message = "left at once, although one stop was asked for".to_owned();
                Err(Verdict { violation: Violation::ExitedEarly, message, missing: None })
            }
            (code, _) => Err(failed(format!("ended with {code:?}"))),
        }
    }

    fn wait(&mut self) -> Result<std::process::ExitStatus, Verdict> {
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(3));
        }
        Err(failed("does not end".to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The pipe is closed now; a chunk on its way is given up with the channel.
        while self.chunks.recv().is_ok() {}
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
