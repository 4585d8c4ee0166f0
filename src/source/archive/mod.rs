//! The archive of a v2 server as a source: downloads everything older than the lookback window
//! in sealed segments, and returns it as lines in the order of seqs.
//!
//! ```text
//! plan ─▶ segment (index) ─▶ client (ranges, blocks) ─▶ decode (rows → lines) ─▶ backfill
//!                            api_key, retry, http_pool   on blocking threads      (in order)
//! ```
//!
//! Source: protocol/jetstream-v2-archive.md ("§" is a section of it). The reader decides when
//! to read the archive, and when the live stream takes over.
//!
//! Memory does not depend on the size of the archive. With a parallelism of N it is at most:
//!
//! - 2 N block ranges of segments, each of blocks that are together no larger than 1 MiB, or one
//!   larger block (up to 64 MiB, far more than real ones);
//! - N blocks being decoded, but no more than processors (at least two), each with its decompressed
//!   body (a few MB; at most 64 MiB) and 9 batches of lines (256 KiB each, or one longer line);
//! - 40 spare batches of lines, 256 KiB each;
//! - the footers of two segments at a time (a few MB; at most 64 MiB), and block indices of 52
//!   bytes per block while blocks of that segment are in progress;
//! - one page of the plan: 100,000 entries of some 150 bytes, at most 64 MiB as received;
//! - N + 2 HTTP connections, each with a read buffer of at most 64 KiB.

pub mod api_key;
pub mod backfill;
pub mod bounds;
mod budget;
pub mod client;
pub mod decode;
pub mod error;
pub mod estimate;
mod http_pool;
pub mod plan;
mod retry;
pub mod segment;
pub mod segment_list;
mod workers;

use std::time::Duration;

use crate::event::batch::Batch;
use crate::position::gap::Gap;
use crate::position::{EventPosition, TimeUs};
use crate::source::net::DialError;

use error::ArchiveFetchError;
use plan::PlanError;
use segment::RemoteSegmentError;
use segment_list::ListError;

/// Where a backfill starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackfillStart {
    /// After this seq; 0 is the start of the archive.
    After(u64),
    /// With the first event that was witnessed at or after this instant.
    Since(TimeUs),
}

impl std::fmt::Display for BackfillStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::After(0) => f.write_str("its oldest event"),
            Self::After(seq) => write!(f, "the event after seq {seq}"),
            Self::Since(instant) => write!(f, "{instant}"),
        }
    }
}

/// The next result of a backfill. Its fields apply in their order here.
#[derive(Debug, Default)]
pub struct BackfillStep {
    /// Events before the lines that can't be read.
    pub gap: Option<Gap>,
    /// Lines.
    pub batch: Batch,
    /// All events up to this position were in the lines so far. Its time is the latest witness
    /// time of any row; 0 before the first row.
    pub through: Option<EventPosition>,
}

/// Why a backfill stops before its end.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// A segment of the plan no longer exists. A new plan continues from here.
    #[error("{0}")]
    Stale(RemoteSegmentError),
    /// The plan is unusable.
    #[error("{0}")]
    Plan(#[from] PlanError),
    /// A request failed.
    #[error("{what}: {source}")]
    Fetch {
        /// What was requested.
        what: String,
        /// Why it failed.
        source: ArchiveFetchError,
    },
    /// The run has downloaded `--archive-max-bytes`, so the backfill stopped at the end of a block.
    #[error("the run has downloaded --archive-max-bytes")]
    BudgetSpent,
    /// A stripe of a history whose end the archive does not have yet.
    #[error(
        "the archive has no sealed segment with the time of --until{}, so it can't be divided yet: write an earlier --until, or wait until the server has sealed that time", newest_known(*.0)
    )]
    Unsealed(TimeUs),
    /// A task of skytail itself panicked.
    #[error("a thread that decodes the archive failed unexpectedly; this is a bug in skytail")]
    TaskFailed,
}

impl BackfillError {
    /// Returns the HTTP status if the server refused a request for good.
    #[must_use]
    pub fn refused_status(&self) -> Option<u16> {
        match self {
            Self::Fetch { source, .. } => source.refused_status(),
            _ => None,
        }
    }

    /// Returns the error of dialling, if there was no connection.
    #[must_use]
    pub fn dial_error(&self) -> Option<&DialError> {
        match self {
            Self::Fetch { source, .. } => source.dial_error(),
            _ => None,
        }
    }

    /// Returns whether a retry may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Fetch { source, .. } if source.is_transient())
    }

    /// Returns how long the server asks to be left alone, if it refused a request with 429; 0 if
    /// it did not say how long.
    #[must_use]
    pub fn throttled_for(&self) -> Option<Duration> {
        match self {
            Self::Fetch { source: ArchiveFetchError::Busy { status: 429, asked, .. }, .. } => {
                Some(asked.unwrap_or_default())
            }
            _ => None,
        }
    }

    /// Returns how long the server asks the client to wait, capped.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Fetch { source, .. } => source.retry_after(),
            _ => None,
        }
    }

    fn from_list(what: &str, error: ListError) -> Self {
        match error {
            ListError::Fetch(source) => Self::Fetch { what: what.to_owned(), source },
            ListError::Plan(error) => Self::Plan(error),
        }
    }
}

fn newest_known(newest: TimeUs) -> String {
    match newest {
        TimeUs(0) => String::new(),
        newest => format!(" (its newest sealed event is of {newest})"),
    }
}

impl From<RemoteSegmentError> for BackfillError {
    fn from(error: RemoteSegmentError) -> Self {
        match error {
            RemoteSegmentError::Fetch { name, source } => Self::Fetch { what: name, source },
            other => Self::Stale(other),
        }
    }
}
