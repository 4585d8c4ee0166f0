//! Lifts and restores the filters that a v1 server applies to a connection.
//!
//! With a sparse filter, a replay is silent while the server scans its store, although the server
//! answers pings. Without filters, the next event that it scans shows how far it has come
//! (protocol/jetstream-v1.md §6, §12).

use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::EventConnection;
use crate::source::v1::request::NO_FILTER_UPDATE;

/// The state of a connection's server-side filter.
#[derive(Debug, Default)]
pub(super) struct ServerFilter {
    /// The update message that restores the filter; `None` if the server filters nothing.
    update: Option<String>,
    is_lifted: bool,
    was_lifted: bool,
}

impl EventConnection {
    /// Sets the update message that restores the filter of this connection.
    pub(in crate::source) fn set_filter_update(&mut self, update: Option<String>) {
        self.server_filter.update = update;
    }

    /// Asks the server to apply another filter from now on. It does not say when it does.
    pub fn update_filter(&mut self, update: Option<String>) {
        self.server_filter.update = update;
        if !self.server_filter.is_lifted {
            let update = self.server_filter.update.clone();
            // If too much waits to be sent, the server keeps its filter, and sends more than is
            // wanted.
            self.enqueue_text(update.unwrap_or_else(|| NO_FILTER_UPDATE.to_owned()));
        }
    }

    /// Returns whether the server omits events and can be asked to send all.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.server_filter.update.is_some()
    }

    /// Returns whether the filter was ever lifted. Events that the server queued without the filter
    /// may arrive after it was restored.
    #[must_use]
    pub fn was_unfiltered(&self) -> bool {
        self.server_filter.was_lifted
    }

    /// Asks the server for every event.
    pub fn lift_filter(&mut self) {
        if !self.server_filter.is_lifted
            && self.is_filtered()
            && self.enqueue_text(NO_FILTER_UPDATE.to_owned())
        {
            (self.server_filter.is_lifted, self.server_filter.was_lifted) = (true, true);
        }
    }

    /// Asks the server to apply the filter again.
    pub fn restore_filter(&mut self) {
        if self.server_filter.is_lifted
            && let Some(update) = self.server_filter.update.clone()
            && self.enqueue_text(update)
        {
            self.server_filter.is_lifted = false;
        }
    }

    fn enqueue_text(&mut self, text: String) -> bool {
        self.enqueue(Frame::message(text, OpCode::Data(Data::Text), true))
    }
}
