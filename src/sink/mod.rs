//! Where lines go. A sink knows nothing of WebSockets, nor of the state file: what must be
//! remembered before it begins a file, it asks its caller to remember.

pub mod broker;
pub mod file;
pub mod output_record;
pub mod stdout;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::event::batch::Lines;
use crate::event::shape::Shape;
use crate::position::turns::Turn;

use broker::Broker;
use broker::error::BrokerError;
use file::FileSink;
use file::open::OpenFileError;
use output_record::OutputRecord;
use stdout::Stdout;

/// Where the lines of a run go: an enum, so that a line costs no call through a pointer.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Stdout(Stdout),
    /// A file, or a row of them.
    File(Box<FileSink>),
    /// A message broker.
    Broker(Box<Broker>),
    /// Somebody in this process.
    Tap(Box<dyn Tap>),
}

/// Somebody in this process who looks at lines and keeps none: asked once a batch, so that a
/// line costs no call through a pointer.
pub trait Tap: fmt::Debug + Send {
    /// Looks at all lines, and waits for nobody but for a moment.
    fn observe(&mut self, lines: &Lines);
}

/// Proof that a sink accepted what it says it did: what a checkpoint is made from. Only sinks
/// make it. Whoever commits the checkpoint first syncs the files in it.
#[derive(Debug)]
pub struct Delivered {
    outputs: Vec<Output>,
}

/// A file as it is at a checkpoint.
#[derive(Clone, Debug)]
pub struct Output {
    /// The file, where it is still to be synced.
    file: Option<Arc<File>>,
    /// What is to be remembered of it.
    record: OutputRecord,
}

/// Remembers, for good, that a file begins; asked before its first byte is written.
pub type PersistOutput<'a> = dyn FnMut(&OutputRecord) -> Result<(), String> + 'a;

/// Why a sink did not take a batch.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Whoever reads the output has gone.
    #[error("the output was closed")]
    Closed,
    /// The time to write was over.
    #[error("the output took nothing more in time")]
    TimedOut,
    /// The output failed.
    #[error("can't write to standard output: {0}")]
    Failed(#[source] io::Error),
    /// A file failed.
    #[error("can't write to {}: {cause}; {}, and go on with --cursor auto", path.display(), remedy(cause))]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// Somebody else changed a file while we wrote it.
    #[error("{} {what} by another program while it was written: keep other programs away from it (for files that end by themselves use --rotate)", path.display())]
    ChangedByOthers {
        /// The file.
        path: PathBuf,
        /// What happened to it.
        what: &'static str,
    },
    /// The next file can't be had.
    #[error("the next file can't be begun: {0}")]
    NextFile(#[source] OpenFileError),
    /// The next file can't be remembered.
    #[error("can't begin {}, since that can't be remembered: {cause}", path.display())]
    FileNotSaved {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A broker took no more, and will not.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Where the run begins can't be remembered.
    #[error("no file can be begun, since where the run begins can't be remembered: {0}")]
    StartNotSaved(String),
    /// What was written did not reach the disk. Whoever saves has said why.
    #[error("{0}")]
    Unsynced(String),
}

/// A batch that was not taken whole.
#[derive(Debug)]
pub struct PartialWrite {
    /// How many bytes of it were taken all the same.
    pub accepted_bytes: usize,
    /// Why no more.
    pub error: SinkError,
}

impl Sink {
    /// Writes all `lines`, which have one `shape`, but for their first `written_bytes`. `turns`
    /// says where their times pass into a new period; `deadline` names the moment to give up, and
    /// is asked again and again.
    ///
    /// # Errors
    /// [`PartialWrite`], with the number of bytes that count as written.
    pub fn write(
        &mut self,
        lines: &Lines,
        shape: Shape,
        written_bytes: usize,
        turns: &[Turn],
        deadline: impl Fn() -> Option<Instant>,
        persist: &mut PersistOutput<'_>,
    ) -> Result<(), PartialWrite> {
        match self {
            Self::Stdout(stdout) => {
                stdout.write_all(rest(lines, written_bytes), deadline).map_err(|refused| {
                    let accepted_bytes = written_bytes + refused.accepted_bytes;
                    PartialWrite { accepted_bytes, ..refused }
                })
            }
            // What goes wrong here ends in cutting the file back to the last checkpoint.
            Self::File(file) => file
                .write(lines, turns, persist)
                .map_err(|error| PartialWrite { accepted_bytes: 0, error }),
            // What it got all the same, the next run finds there.
            Self::Broker(broker) => broker
                .write(lines, shape, deadline, persist)
                .map_err(|error| PartialWrite { accepted_bytes: 0, error }),
            Self::Tap(tap) => {
                tap.observe(lines);
                Ok(())
            }
        }
    }

    /// Writes as much of `lines` as is taken without waiting, and says how many bytes.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub fn write_ready(&mut self, lines: &Lines) -> Result<usize, PartialWrite> {
        match self {
            Self::Stdout(stdout) => stdout.write_ready(lines.bytes()),
            Self::File(_) | Self::Broker(_) => Ok(0),
            Self::Tap(tap) => {
                tap.observe(lines);
                Ok(lines.bytes().len())
            }
        }
    }

    /// Whether [`Sink::write_ready`] writes at all: a file may have to wait for its
    /// disk, and a broker for room.
    #[must_use]
    pub fn is_non_blocking(&self) -> bool {
        match self {
            Self::Stdout(stdout) => stdout.is_non_blocking(),
            Self::File(_) | Self::Broker(_) => false,
            Self::Tap(_) => true,
        }
    }

    /// Proof of everything that was written so far, for a checkpoint. Waits until a broker has
    /// acknowledged it, or until `deadline`.
    ///
    /// # Errors
    /// [`SinkError`] where a file can't be brought into a state that a checkpoint may name, or a
    /// broker did not acknowledge everything.
    pub fn checkpoint(
        &mut self,
        deadline: impl Fn() -> Option<Instant>,
    ) -> Result<Delivered, SinkError> {
        match self {
            Self::Stdout(_) | Self::Tap(_) => Ok(Delivered { outputs: Vec::new() }),
            Self::File(file) => Ok(Delivered { outputs: file.checkpoint()? }),
            Self::Broker(broker) => Ok(Delivered { outputs: broker.checkpoint(deadline)? }),
        }
    }

    /// The same with a head in front of the first line of each file that holds nothing yet.
    #[must_use]
    pub fn with_header(self, header: Vec<u8>) -> Self {
        match self {
            Self::File(files) => Self::File(Box::new(files.with_header(header))),
            other => other,
        }
    }

    /// Whether what was written counts only once it is settled. What standard output took, it
    /// has taken.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        matches!(self, Self::File(_) | Self::Broker(_))
    }

    /// Whether the reader of a pipe has gone, without writing to it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Stdout(stdout) => stdout.is_closed(),
            Self::File(_) | Self::Broker(_) | Self::Tap(_) => false,
        }
    }

    /// What the pipe that is written to holds at most, in bytes; 0 where there is none.
    #[must_use]
    pub fn pipe_bytes(&self) -> usize {
        match self {
            Self::Stdout(stdout) => stdout.pipe_bytes(),
            Self::File(_) | Self::Broker(_) | Self::Tap(_) => 0,
        }
    }

    /// The bytes in that pipe that were not read.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        match self {
            Self::Stdout(stdout) => stdout.unread_bytes(),
            Self::File(_) | Self::Broker(_) | Self::Tap(_) => 0,
        }
    }

    /// The files of this sink, if it has any.
    pub fn files(&mut self) -> Option<&mut FileSink> {
        match self {
            Self::Stdout(_) | Self::Broker(_) | Self::Tap(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

impl Delivered {
    /// The files that changed since the last proof.
    #[must_use]
    pub fn into_outputs(self) -> Vec<Output> {
        self.outputs
    }
}

impl Output {
    /// What is to be remembered.
    #[must_use]
    pub fn record(&self) -> &OutputRecord {
        &self.record
    }

    /// Brings the file to the disk.
    ///
    /// # Errors
    /// As the system reports. What was written may then be lost, though a second try may
    /// work: the system tells such an error only once.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    #[cfg(test)]
    pub(crate) fn for_test(record: OutputRecord, file: Option<Arc<File>>) -> Self {
        Self { file, record }
    }
}

impl SinkError {
    fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

fn rest(lines: &Lines, written_bytes: usize) -> &[u8] {
    lines.bytes().get(written_bytes..).unwrap_or_default()
}

/// Returns what to do about `cause`, as the end of a sentence; empty if only the system knows.
fn remedy_after(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or name a file on another disk"
        }
        _ => "",
    }
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
        io::ErrorKind::FileTooLarge => "raise the limit on file sizes (ulimit -f), or use --rotate",
        _ => "check the disk",
    }
}
