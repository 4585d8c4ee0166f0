//! How much of what a v1 server scans it sends: what its filters let through, or, for a
//! moment, all. A replay behind a sparse filter is silent while the server scans, and answers
//! pings meanwhile; the next event that it scans without filters says how far it has come
//! (protocol/jetstream-v1.md §6, §12).

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::Stream;
use crate::source::v1::request::WIDEN;

/// What the server was asked to filter.
#[derive(Debug, Default)]
pub(super) struct Breadth {
    /// The filters as a message; `None` if the server filters nothing.
    narrow: Option<String>,
    is_wide: bool,
    was_wide: bool,
}

impl Stream {
    /// Notes the message that restores the filters of this connection.
    pub(in crate::source) fn narrow_by(&mut self, narrow: Option<String>) {
        self.breadth.narrow = narrow;
    }

    /// Returns whether the server leaves out events and can be asked not to.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.breadth.narrow.is_some()
    }

    /// Returns whether the server was asked for every event and not yet for fewer again.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.breadth.is_wide
    }

    /// Returns whether the server was ever asked for every event: what it queued then may
    /// still come.
    #[must_use]
    pub fn was_wide(&self) -> bool {
        self.breadth.was_wide
    }

    /// Asks for every event.
    pub fn widen(&mut self) {
        if !self.is_wide() && self.is_filtered() && self.update(WIDEN.to_owned()) {
            (self.breadth.is_wide, self.breadth.was_wide) = (true, true);
        }
    }

    /// Asks for the events of the filters again.
    pub fn narrow(&mut self) {
        if self.is_wide()
            && let Some(narrow) = self.breadth.narrow.clone()
            && self.update(narrow)
        {
            self.breadth.is_wide = false;
        }
    }

    fn update(&mut self, message: String) -> bool {
        self.enqueue(Frame::message(message, OpCode::Data(Data::Text), true))
    }
}
