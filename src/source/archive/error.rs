//! Why a request to the archive fails, and whether a retry may help.

use std::io;
use std::time::Duration;

use crate::display::units::duration;
use crate::source::net::DialError;

/// Why a request has no usable response.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFetchError {
    /// There is no connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection failed before the head of a response was complete.
    #[error("no answer ({0})")]
    Io(#[from] io::Error),
    /// The body ended early, after this many bytes.
    #[error("the answer was cut off after {0} bytes")]
    CutOff(usize),
    /// A retry may succeed: 429, 500, or 502 to 599.
    #[error("HTTP {status}{}{said}{}", if said.is_empty() { "" } else { ": " }, wait_asked(*.asked))]
    Busy {
        /// The HTTP status.
        status: u16,
        /// The server's message, printable.
        said: String,
        /// How long the client waits because the server asks it to.
        wait: Option<Duration>,
        /// How long the server asks the client to wait. A quota may ask for hours.
        asked: Option<Duration>,
    },
    /// A retry can't succeed.
    #[error("HTTP {status}{}{said}", if said.is_empty() { "" } else { ": " })]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The server's message, printable.
        said: String,
        /// The name of its XRPC error, if it sent one.
        name: Option<String>,
    },
    /// The body has more than this many bytes, the limit for its endpoint.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// The response does not fit the request.
    #[error("{0}")]
    Unexpected(&'static str),
}

/// Returns the wait that a server asks for, as the end of a message.
fn wait_asked(asked: Option<Duration>) -> String {
    let asked = asked.filter(|asked| !asked.is_zero());
    let text = asked.map(|asked| format!("; the server asks to wait {}", duration(asked)));
    text.unwrap_or_default()
}

impl ArchiveFetchError {
    /// Returns the error of dialling, if there was no connection.
    #[must_use]
    pub fn dial_error(&self) -> Option<&DialError> {
        match self {
            Self::Dial(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial(error) => !error.is_permanent(),
            Self::Io(_) | Self::CutOff(_) | Self::Busy { .. } => true,
            Self::Refused { .. } | Self::TooLarge(_) | Self::Unexpected(_) => false,
        }
    }

    /// Returns how long the server asks the client to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { wait, .. } => *wait,
            _ => None,
        }
    }

    /// Returns whether the server refused the request because there were too many.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::Busy { status: 429, .. })
    }

    /// Returns whether the server asks for a longer wait than `most`.
    #[must_use]
    pub fn asks_for_more_than(&self, most: Duration) -> bool {
        matches!(self, Self::Busy { asked: Some(asked), .. } if *asked > most)
    }

    /// Returns the HTTP status of a final refusal.
    #[must_use]
    pub fn refused_status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns whether the server's XRPC error has this name.
    #[must_use]
    pub fn has_name(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { name: Some(name), .. } if name == wanted)
    }
}

/// Why a range of a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum RangeError {
    /// The server rewrote the file, so the bytes read so far belong to no file any more.
    #[error("the file was rewritten while it was read")]
    Changed,
    /// The server ignores `Range` and sends the whole file.
    #[error("the server does not send parts of a file")]
    RangeIgnored,
    /// The request failed.
    #[error(transparent)]
    Fetch(#[from] ArchiveFetchError),
}
