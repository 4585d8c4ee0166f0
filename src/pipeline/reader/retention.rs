//! What to do when a v2 server says that it no longer holds the requested events. v1 moves a
//! cursor silently, and the writer finds that out (`pipeline::gap_detector`).
//!
//! If the server has an archive, it holds these events (`backfill`). If not, the stream
//! continues from the oldest event that the server holds, and the writer reports the gap at its
//! first event.

use crate::position::Seq;
use crate::source::RequestedCursor;
use crate::source::archive::BackfillStart;
use crate::source::connection::EventConnection;

use super::retry::RetryState;
use super::{Disconnect, Reader};

impl Reader {
    fn has_archive(&self, retry: &RetryState) -> bool {
        let endpoint = self.endpoints.get(retry.current);
        endpoint.is_some_and(|endpoint| self.may_have_archive(endpoint, retry))
    }

    /// Handles a sequence number that the server refused as older than what it holds
    /// (`CursorTooOld`, protocol/jetstream-v2.md §5).
    pub(super) fn on_cursor_too_old(&self, refusal: &Disconnect, retry: &mut RetryState) {
        let RequestedCursor::Seq(seq) = retry.requested else { return };
        if self.has_archive(retry) {
            tracing::info!("{refusal}; reading the archive from there");
            retry.set_backfill(BackfillStart::After(seq.0.saturating_sub(1)), None);
            return;
        }
        retry.too_old = Some(seq);
        tracing::warn!("{refusal}; continuing from the oldest event that the server holds");
    }

    /// Handles a connection that started later than the time it asked for (`OutdatedCursor`,
    /// §4), before its first line is passed on. An error ends the connection.
    pub(super) fn on_cursor_clamped(
        &self,
        stream: &EventConnection,
        retry: &RetryState,
    ) -> Result<(), Disconnect> {
        let connection = stream.info();
        let RequestedCursor::Instant(instant) = connection.requested else { return Ok(()) };
        if self.has_archive(retry) {
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
    /// Returns what to ask for instead of a sequence number that was refused as too old. After
    /// the position has moved on, its sequence number is asked for again.
    pub(super) fn within_retention(&self, requested: RequestedCursor) -> RequestedCursor {
        match requested {
            RequestedCursor::Seq(seq) if self.too_old == Some(seq) => {
                RequestedCursor::OldestInsteadOf(seq)
            }
            // Seqs count from 1: what the archive has from there on is missing.
            RequestedCursor::Oldest
                if self.endpoint().is_some_and(|endpoint| endpoint.archive_skipped) =>
            {
                RequestedCursor::OldestInsteadOf(Seq(1))
            }
            other => other,
        }
    }
}
