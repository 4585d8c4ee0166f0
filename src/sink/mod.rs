//! Where lines go: standard output, files, a message broker, a database, or a tap in this process. A sink has
//! no access to the network source or to the state file. What must be saved before it begins a
//! file, it passes to its caller ([`PersistOutput`]).

pub mod broker;
pub mod file;
pub mod output_record;
pub mod position_row;
pub mod sqlite;
pub mod stdout;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::event::batch::CompactBatch;
use crate::event::format::EventFormat;
use crate::position::rollover::PeriodStart;

use broker::Broker;
use broker::error::BrokerError;
use file::FileSink;
use file::open::OpenFileError;
use file::parquet::{ConvertError, Waiting};
use output_record::OutputRecord;
use sqlite::Database;
use sqlite::error::DatabaseError;
use stdout::Stdout;

/// The output of a run. An enum, so that a batch needs no dynamic dispatch.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Stdout(Stdout),
    /// One file, or one file after another.
    File(Box<FileSink>),
    /// A message broker.
    Broker(Box<Broker>),
    /// A SQLite database.
    Database(Box<Database>),
    /// A reader in this process that keeps no lines.
    Tap(Box<dyn Tap>),
}

/// Reads the lines of a run in this process, once per batch.
pub trait Tap: fmt::Debug + Send {
    /// Reads all lines. Blocks only for a moment.
    fn observe(&mut self, lines: &CompactBatch);
}

/// Lines to write.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    /// The batch.
    pub lines: &'a CompactBatch,
    /// The format of all its lines.
    pub shape: EventFormat,
    /// Leading bytes that an earlier, partial write already accepted. Only standard output
    /// accepts parts of a batch.
    pub written_bytes: usize,
    /// The lines at which a new period begins, in order.
    pub period_starts: &'a [PeriodStart],
    /// The events that `lines` were rendered from, and the index of the first one; `None` if the
    /// lines are the events themselves. Only a database needs them.
    pub originals: Option<(&'a CompactBatch, usize)>,
}

/// What a sink may ask of its caller during a write.
pub struct WriteContext<'a> {
    /// Returns when to give up, if ever. Asked repeatedly, because a stop can come during the
    /// write.
    pub deadline: &'a dyn Fn() -> Option<Instant>,
    /// Saves that an output begins.
    pub persist: &'a mut PersistOutput<'a>,
}

impl fmt::Debug for WriteContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteContext").finish_non_exhaustive()
    }
}

/// Proof that a sink has delivered everything written so far. Only sinks make one, and only from
/// one can a checkpoint be made. Before the checkpoint is committed, its files must be synced.
#[derive(Debug)]
pub struct Delivered {
    outputs: Vec<Output>,
}

/// An output as it is at a checkpoint.
#[derive(Clone, Debug)]
pub struct Output {
    /// The file, if it must be synced before the checkpoint is committed.
    file: Option<Arc<File>>,
    record: OutputRecord,
    /// The period to convert after the commit.
    waiting: Option<Waiting>,
}

/// Saves durably that an output begins. Called before the first byte is written to it.
pub type PersistOutput<'a> = dyn FnMut(&OutputRecord) -> Result<(), String> + 'a;

/// Why a sink did not accept everything.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The reader of standard output closed it.
    #[error("the output was closed")]
    Closed,
    /// The deadline passed.
    #[error("the output accepted nothing more in time")]
    TimedOut,
    /// Standard output failed.
    #[error("can't write to standard output: {0}")]
    Failed(#[source] io::Error),
    /// A write to a file failed.
    #[error("can't write to {}: {cause}; {}, and run it again with --cursor auto", path.display(), remedy(cause))]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        cause: io::Error,
    },
    /// Another program changed a file while this run wrote it.
    #[error("{} {what} by another program while it was written: keep other programs away from it (for files of limited size use --rotate)", path.display())]
    ChangedByOthers {
        /// The file.
        path: PathBuf,
        /// What happened: the middle of a sentence.
        what: &'static str,
    },
    /// The next file can't be opened.
    #[error("can't begin the next file: {0}")]
    NextFile(#[source] OpenFileError),
    /// The state file can't record the next file.
    #[error("can't begin {}, because the state file can't record it: {cause}", path.display())]
    FileNotSaved {
        /// The file.
        path: PathBuf,
        /// The error of the state file.
        cause: String,
    },
    /// A broker accepts no more, and a retry would not help.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A database can't be written.
    #[error("{0}; run skytail again to continue")]
    Database(#[from] DatabaseError),
    /// The state file can't record where the run begins.
    #[error("can't begin a file, because the state file can't record where the run begins: {0}")]
    StartNotSaved(String),
    /// A period could not be converted to Parquet.
    #[error("{0}; run it again to repeat the conversion: no event is lost")]
    NotConverted(#[source] ConvertError),
    /// A file could not be synced; the text is the error of the checkpoint worker.
    #[error("{0}")]
    Unsynced(String),
}

/// A batch that was not accepted as a whole.
#[derive(Debug)]
pub struct PartialWrite {
    /// Number of bytes at its start that were accepted.
    pub accepted_bytes: usize,
    /// Why the rest was not accepted.
    pub error: SinkError,
}

impl Sink {
    /// Writes all lines of `request` after its first `written_bytes`.
    ///
    /// # Errors
    /// [`PartialWrite`], with the number of bytes of the batch that count as written. For files
    /// that is 0, because the caller truncates them to the last checkpoint. For a broker it is 0,
    /// because the next run reads back what the broker has.
    pub fn write(
        &mut self,
        request: &WriteRequest<'_>,
        context: &mut WriteContext<'_>,
    ) -> Result<(), PartialWrite> {
        let none_accepted = |error| PartialWrite { accepted_bytes: 0, error };
        match self {
            Self::Stdout(stdout) => {
                let written_bytes = request.written_bytes;
                let rest = request.lines.bytes().get(written_bytes..).unwrap_or_default();
                stdout.write_all(rest, context.deadline).map_err(|partial| {
                    let accepted_bytes = written_bytes + partial.accepted_bytes;
                    PartialWrite { accepted_bytes, ..partial }
                })
            }
            Self::File(file) => file.write(request, context).map_err(none_accepted),
            Self::Broker(broker) => broker.write(request, context).map_err(none_accepted),
            Self::Database(database) => {
                database.write(request);
                Ok(())
            }
            Self::Tap(tap) => {
                tap.observe(request.lines);
                Ok(())
            }
        }
    }

    /// Writes as much of `lines` as the output accepts without blocking. Returns the number of
    /// bytes.
    ///
    /// # Errors
    /// As [`Sink::write`].
    pub fn write_ready(&mut self, lines: &CompactBatch) -> Result<usize, PartialWrite> {
        match self {
            Self::Stdout(stdout) => stdout.write_ready(lines.bytes()),
            Self::File(_) | Self::Broker(_) | Self::Database(_) => Ok(0),
            Self::Tap(tap) => {
                tap.observe(lines);
                Ok(lines.bytes().len())
            }
        }
    }

    /// Returns whether [`Sink::write_ready`] accepts anything. A file may block on its disk, and a
    /// broker until it has room.
    #[must_use]
    pub fn is_non_blocking(&self) -> bool {
        match self {
            Self::Stdout(stdout) => stdout.is_non_blocking(),
            Self::File(_) | Self::Broker(_) | Self::Database(_) => false,
            Self::Tap(_) => true,
        }
    }

    /// Returns proof that everything written so far is delivered. Blocks until a broker has
    /// acknowledged it, or until `deadline`.
    ///
    /// # Errors
    /// [`SinkError`] if a file can't be brought to a length that a checkpoint may record, or if a
    /// broker did not acknowledge everything.
    pub fn checkpoint(
        &mut self,
        deadline: impl Fn() -> Option<Instant>,
    ) -> Result<Delivered, SinkError> {
        match self {
            Self::Stdout(_) | Self::Tap(_) => Ok(Delivered { outputs: Vec::new() }),
            Self::File(file) => Ok(Delivered { outputs: file.checkpoint()? }),
            Self::Broker(broker) => Ok(Delivered { outputs: broker.checkpoint(deadline)? }),
            // Its rows are committed with the position. Only the writer has that.
            Self::Database(database) => Ok(database.commit(None)?),
        }
    }

    /// Returns whether a checkpoint should not wait until it is due.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        match self {
            Self::File(files) => files.wants_checkpoint(),
            Self::Stdout(_) | Self::Broker(_) | Self::Database(_) | Self::Tap(_) => false,
        }
    }

    /// Sets the bytes to write before the first line of each empty file. Other sinks ignore them.
    #[must_use]
    pub fn with_header(self, header: Vec<u8>) -> Self {
        match self {
            Self::File(files) => Self::File(Box::new(files.with_header(header))),
            other => other,
        }
    }

    /// Returns whether lines count as written only after [`Sink::checkpoint`]. Standard output
    /// cannot return what it has accepted.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        matches!(self, Self::File(_) | Self::Broker(_) | Self::Database(_))
    }

    /// Returns whether the reader has closed the pipe. Writes nothing.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self {
            Self::Stdout(stdout) => stdout.is_closed(),
            Self::File(_) | Self::Broker(_) | Self::Database(_) | Self::Tap(_) => false,
        }
    }

    /// Returns the capacity in bytes of the pipe that is written to; 0 if it is not a pipe.
    #[must_use]
    pub fn pipe_bytes(&self) -> usize {
        match self {
            Self::Stdout(stdout) => stdout.pipe_bytes(),
            _ => 0,
        }
    }

    /// Returns how many bytes in that pipe its reader has not read yet.
    #[must_use]
    pub fn unread_bytes(&self) -> usize {
        match self {
            Self::Stdout(stdout) => stdout.unread_bytes(),
            _ => 0,
        }
    }

    /// Returns the files of this sink, if it writes files.
    pub fn files(&mut self) -> Option<&mut FileSink> {
        match self {
            Self::File(file) => Some(file),
            _ => None,
        }
    }

    /// Returns the database of this sink, if it writes one.
    pub fn database(&mut self) -> Option<&mut Database> {
        match self {
            Self::Database(database) => Some(database),
            _ => None,
        }
    }
}

impl Delivered {
    /// Returns the proof of a database, which commits its rows with the position.
    fn of_database() -> Self {
        Self { outputs: Vec::new() }
    }

    /// Returns the outputs that changed since the last checkpoint.
    #[must_use]
    pub fn into_outputs(self) -> Vec<Output> {
        self.outputs
    }
}

impl Output {
    /// Returns what the state file records of it.
    #[must_use]
    pub fn record(&self) -> &OutputRecord {
        &self.record
    }

    /// Syncs the file to the disk.
    ///
    /// # Errors
    /// The error of the system. Bytes may then be lost even if a second try succeeds, because the
    /// system reports such an error only once.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.sync_data())
    }

    /// Reports that the state file has recorded it.
    pub fn committed(&self) {
        if let Some(waiting) = &self.waiting {
            waiting.convert();
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(record: OutputRecord, file: Option<Arc<File>>) -> Self {
        Self { file, record, waiting: None }
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

/// Returns what to do about `cause`, as the end of a sentence; empty if only the system knows.
pub(crate) fn remedy_after(cause: &io::Error) -> &'static str {
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
