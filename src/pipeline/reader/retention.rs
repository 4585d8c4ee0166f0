//! What lies beyond a server's live window: it was asked for events that it no longer holds,
//! and said so (v2 only; v1 moves a cursor in silence, and `continuity` finds that out).
//!
//! Where the server has an archive, that has these events (`history`). Where it has none, the
//! stream goes on from the oldest event that the server holds, and the writer reports the gap
//! at its first event (`pipeline::continuity`).

use crate::position::Seq;
use crate::source::RequestedCursor;
use crate::source::archive::Beginning;
use crate::source::client::ConnectError;
use crate::source::connection::EventConnection;

use super::retry::RetryState;
use super::{Disconnect, Reader};

impl Reader {
    /// A connection was refused since the sequence number it asked for is older than what the
    /// server holds (`CursorTooOld`, protocol/jetstream-v2.md §5).
    pub(super) fn on_cursor_too_old(&self, refusal: &ConnectError, retry: &mut RetryState) {
        let RequestedCursor::Seq(seq) = retry.asked else { return };
        let endpoint = self.endpoints.get(retry.endpoint);
        if endpoint.is_some_and(|endpoint| self.may_have_archive(endpoint, retry)) {
            tracing::info!("{refusal}; reading the archive from there");
            retry.past = Some(Beginning::After(seq.0.saturating_sub(1)));
            return;
        }
        retry.too_old = Some(seq);
        tracing::warn!("{refusal}; going on from the oldest event that the server holds");
    }

    /// A connection began later than the instant it asked for (`OutdatedCursor`, §4). Called
    /// before its first line is handed on; an error ends it there.
    pub(super) fn on_cursor_clamped(
        &self,
        stream: &EventConnection,
        retry: &RetryState,
    ) -> Result<(), Disconnect> {
        let connection = stream.info();
        let RequestedCursor::Instant(instant) = connection.requested else { return Ok(()) };
        let endpoint = self.endpoints.get(retry.endpoint);
        if endpoint.is_some_and(|endpoint| self.may_have_archive(endpoint, retry)) {
            return Err(Disconnect::CursorExpired(instant));
        }
        let server = &connection.origin.server;
        tracing::warn!(
            %server,
            "the server begins later than {instant}, with the oldest event that it holds live"
        );
        Ok(())
    }
}

impl RetryState {
    /// What to ask instead of a sequence number that was refused as too old. A number that the
    /// position has moved on from is asked for again.
    pub(super) fn within_retention(&self, asked: RequestedCursor) -> RequestedCursor {
        match asked {
            RequestedCursor::Seq(seq) if self.is_too_old(seq) => {
                RequestedCursor::OldestInsteadOf(seq)
            }
            // Seqs count from 1: what the archive has from there on is missing.
            RequestedCursor::Oldest if self.is_left_out() => {
                RequestedCursor::OldestInsteadOf(Seq(1))
            }
            other => other,
        }
    }

    /// Returns whether the present server has an archive of which something could not be read.
    fn is_left_out(&self) -> bool {
        self.left_out.get(self.endpoint).copied().unwrap_or(false)
    }

    fn is_too_old(&self, seq: Seq) -> bool {
        self.too_old == Some(seq)
    }
}
