//! The archive of a v2 server as a source: everything older than the live window, downloaded
//! in sealed segments and handed on as lines in the order of their seqs.
//!
//! ```text
//! plan ─▶ segment (index) ─▶ fetch (ranges, blocks) ─▶ decode (rows → lines) ─▶ sweep (in order)
//!                              with key and tries        on threads
//! ```
//!
//! Source: protocol/jetstream-v2-archive.md ("§" is a section of it). When to come here, and
//! where the live stream takes over, is the reader's business.
//!
//! Memory does not depend on the size of the history. With a parallelism of N it is at most:
//!
//! - 2 N pieces of segments, each of some blocks together no larger than 4 MiB, or one larger
//!   block (up to 64 MiB, which no real one comes near);
//! - N blocks being decoded, each with what it decompresses to (some MB; at most 64 MiB) and 17
//!   batches of lines (256 KiB each, or one longer line);
//! - the footers of two segments at a time (some MB; at most 64 MiB), and block indices of 52
//!   bytes a block for as long as blocks of that segment are on their way;
//! - one page of the plan: 100,000 entries of some 150 bytes, at most 64 MiB as it comes.

pub mod decode;
pub mod error;
pub mod fetch;
pub mod key;
pub mod list;
pub mod plan;
pub mod segment;
pub mod sweep;
mod tries;
mod work;

use std::time::Duration;

use crate::event::batch::Batch;
use crate::position::gap::Gap;
use crate::position::{EventPosition, TimeUs};

use error::FetchError;
use list::ListError;
use plan::PlanError;
use segment::Trouble;

/// Where a sweep begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Behind this seq; 0 for the whole archive.
    After(u64),
    /// With the first event that was witnessed at or after this instant.
    Since(TimeUs),
}

impl std::fmt::Display for Beginning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::After(0) => f.write_str("its oldest event"),
            Self::After(seq) => write!(f, "the event after seq {seq}"),
            Self::Since(instant) => write!(f, "{instant}"),
        }
    }
}

/// What a sweep brings next. In this order: events that can't be had, lines, and how far
/// everything was dealt with then.
#[derive(Debug, Default)]
pub struct Step {
    /// Events that can't be had, in front of the lines.
    pub gap: Option<Gap>,
    /// Lines.
    pub batch: Batch,
    /// Whatever is wanted up to here was in the lines so far. Its time is the latest that any
    /// row showed; 0 before the first.
    pub through: Option<EventPosition>,
}

/// Why a sweep ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A segment of the plan is no more: go on with a new plan.
    #[error("{0}")]
    Stale(Trouble),
    /// The plan can't be used.
    #[error("{0}")]
    Plan(#[from] PlanError),
    /// Something can't be had.
    #[error("{what}: {source}")]
    Fetch {
        /// What was asked for.
        what: String,
        /// Why.
        source: FetchError,
    },
    /// A part of skytail itself failed.
    #[error("a thread that decodes the archive failed unexpectedly; this is a bug in skytail")]
    Broken,
}

impl SweepError {
    /// The status of a refusal, where that is what it is.
    #[must_use]
    pub fn refused_with(&self) -> Option<u16> {
        match self {
            Self::Fetch { source, .. } => source.refused_with(),
            _ => None,
        }
    }

    /// Whether the same may be had later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Fetch { source, .. } if source.is_passing())
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Fetch { source, .. } => source.wait(),
            _ => None,
        }
    }

    fn of_list(what: &str, error: ListError) -> Self {
        match error {
            ListError::Fetch(source) => Self::Fetch { what: what.to_owned(), source },
            ListError::Plan(error) => Self::Plan(error),
        }
    }
}

impl From<Trouble> for SweepError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fetch { name, source } => Self::Fetch { what: name, source },
            other => Self::Stale(other),
        }
    }
}
