//! Why a connection ended.

use std::sync::Arc;

use crate::position::TimeUs;
use crate::source::archive::BackfillError;
use crate::source::client::ConnectError;
use crate::source::connection::StreamError;
use crate::source::liveness::LivenessFailure;

use super::super::channel::Closed;

/// Why one connection, or one attempt to make it, ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Disconnect {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Dead(#[from] LivenessFailure),
    /// The replay is so near to the live stream that only a join may continue it.
    #[error("the replay has reached the live stream")]
    ReplayLimit,
    /// A legacy server has scanned all events before this time.
    #[error("the replay was scanned up to {0}")]
    ScannedTo(TimeUs),
    /// The live stream brought more than may be kept while the replay catches up.
    #[error("the live stream brought too much while the replay caught up")]
    JoinTooLong,
    /// The server's sequence numbers contradict the position.
    #[error("the server has renumbered its events")]
    Renumbered,
    /// The server starts later than the requested time, and its archive may not.
    #[error("the live stream begins later than {0}")]
    CursorExpired(TimeUs),
    /// The archive is worth reading in place of the live replay, whose rate this is.
    #[error("the archive may be faster than a replay of {0} events a second")]
    ArchiveFaster(u64),
    /// The archive brought fewer seqs per second than the live replay before it.
    #[error("the archive brings {archive} events a second, and the live stream brought {live}")]
    ArchiveSlower { archive: u64, live: u64 },
    /// The archive, read in place of a live replay, lacks events that the live stream has.
    #[error("the archive can't be read completely ({0})")]
    ArchiveGap(String),
    /// The archive was read to its end.
    #[error("the archive was read to its end")]
    BackfillComplete,
    /// The archive was not read to its end.
    #[error("the archive: {0}")]
    Archive(#[from] BackfillError),
    /// The server lags behind the output, and there are others.
    #[error("the server lags behind: its newest event is {0}")]
    Lagging(TimeUs),
    /// The filter has changed, and the server must be asked again.
    #[error("the filter has changed")]
    FilterChanged,
    /// The server lacks events that this other one has (`--witness-leave`).
    #[error("the server lacks events that {0} has")]
    LacksEvents(Arc<str>),
    /// The first server works again, and `--prefer-first` is given.
    #[error("the first server is well again")]
    PrimaryRecovered,
    #[error("stopped")]
    Stopped,
}

impl Disconnect {
    /// Converts the error of an attempt to connect. A server without sequence numbers means the
    /// same before the connection is made and after.
    pub(super) fn from_connect(error: ConnectError) -> Self {
        match error {
            ConnectError::NoSequence { .. } => Self::Stream(StreamError::NoSequence),
            error => Self::Connect(error),
        }
    }
}

impl From<Closed> for Disconnect {
    fn from(_: Closed) -> Self {
        Self::Stopped
    }
}
