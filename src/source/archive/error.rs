//! Why bytes of the archive can't be had, and whether asking again may help.

use std::io;
use std::time::Duration;

use crate::source::net::DialError;

/// Why there is no answer, or none to use.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No byte stream.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// No answer.
    #[error("no answer ({0})")]
    Io(#[from] io::Error),
    /// The answer ended too early.
    #[error("the answer was cut off after {0} bytes")]
    CutOff(usize),
    /// Not now: 429, or the server's own trouble.
    #[error("HTTP {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The server's words, printable.
        said: String,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
    /// Never.
    #[error("HTTP {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's words, printable.
        said: String,
        /// The name of its error, where it has one.
        name: Option<String>,
    },
    /// More than is accepted.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// An answer that answers something else.
    #[error("{0}")]
    Strange(&'static str),
}

impl FetchError {
    /// Whether the same request may be answered later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Dial(error) => !error.is_permanent(),
            Self::Io(_) | Self::CutOff(_) | Self::Busy { .. } => true,
            Self::Refused { .. } | Self::TooLarge(_) | Self::Strange(_) => false,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait, .. } => *wait,
            _ => None,
        }
    }

    /// The status of a refusal.
    #[must_use]
    pub fn refused_with(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server's own error has this name.
    #[must_use]
    pub fn is_named(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { name: Some(name), .. } if name == wanted)
    }
}

/// Why a range can't be had.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The file was rewritten: what was read of it belongs to nothing any more.
    #[error("the file was rewritten while it was read")]
    Changed,
    /// The server sends the whole file, whatever is asked for.
    #[error("the server does not send parts of a file")]
    NotHonoured,
    /// No bytes.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}
