//! The process of the program under test, and how it is stopped.

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

/// Long enough for a pipe to fill up, and for the program to save a position that it should not
/// save.
const UNREAD: Duration = Duration::from_millis(250);

/// A program that ends so long after the first signal may have taken the second one for one that a
/// person sent. On a machine under load neither this thread nor the program runs in time.
const SIGNALS_ARE_APART: Duration = Duration::from_millis(500);

/// A process of the program, and the thread that reads its output. Killed on drop.
pub struct Running {
    pub child: Child,
    pub chunks: Receiver<Vec<u8>>,
    reader: Option<JoinHandle<()>>,
    /// Asks the thread to close the output after the current chunk.
    closes: Arc<AtomicBool>,
    copy: std::fs::File,
    /// The number of the run within the round.
    number: usize,
    /// Whether the program may end cleanly without a request.
    ends_itself: bool,
    /// When the first of the two signals of a request was sent.
    requested_at: Option<Instant>,
}

impl Running {
    pub fn start(mut command: Command, copy: &Path, number: usize, ends_itself: bool) -> Self {
        let mut child = command.spawn().expect("start skytail tail");
        let stdout = child.stdout.take().expect("piped");
        // At most one chunk waits: a caller that receives none lets the pipe fill up.
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
        Self { child, chunks, reader, closes, copy, number, ends_itself, requested_at: None }
    }

    /// Requests one clean stop with two signals within milliseconds, as coreutils' `timeout` and a
    /// closing terminal do.
    fn request_stop(&mut self) {
        self.requested_at = Some(Instant::now());
        let again = [Signal::TERM, Signal::HUP, Signal::INT];
        for signal in [Signal::TERM, again[self.number % again.len()]] {
            // A signal to an ended process that has not been waited for has no effect.
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
                // If no output comes, none is left unread.
                Err(RecvTimeoutError::Timeout) if must_request => {
                    must_request = false;
                    self.request_stop();
                }
                Err(RecvTimeoutError::Timeout) => return Err(failed("does not end".to_owned())),
            }
        }
        let status = self.wait()?;
        let took = self.requested_at.map_or(Duration::ZERO, |at| at.elapsed());
        let is_surprise = had_ended && end.is_kill() && !self.ends_itself;
        match (status.code(), is_surprise) {
            (Some(0), false) => Ok(RunOutcome { was_killed: false, was_clean: true }),
            // By SIGKILL, or by a SIGTERM before the program had its handler.
            (None, _) => Ok(RunOutcome { was_killed: end.is_kill(), was_clean: false }),
            (Some(130), _) if took >= SIGNALS_ARE_APART => {
                Ok(RunOutcome { was_killed: true, was_clean: false })
            }
            (Some(130), _) => {
                let message = "ended at once after a single request to stop".to_owned();
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
        // The pipe is closed now; the receiver drops a chunk that still waits.
        while self.chunks.recv().is_ok() {}
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
