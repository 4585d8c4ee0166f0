//! Failback (`--prefer-first`): while another server is read, checks whether the first one works
//! again.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::event::batch::Batch;
use crate::source::RequestedCursor;
use crate::source::client::ConnectRequest;
use crate::source::endpoint::Endpoint;

use super::super::channel::BATCH_BYTES;
use super::Reader;
use super::retry::RetryState;

/// The longest pause between two probes of the first server.
const MAX_PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Time for the first server to send an event, or to answer a ping if streams may be silent.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much older than the output the first server's newest event may be, in microseconds.
const MAX_LAG_US: u64 = 10_000_000;

impl Reader {
    /// Continues on the first server.
    pub(super) fn on_recovery(&self, retry: &mut RetryState) {
        retry.current = 0;
        let primary = self.endpoints.first().map_or("", |endpoint| &endpoint.label);
        tracing::warn!("{primary} is well again: going back to it");
    }

    /// Waits until the first server has worked for as long as `--prefer-first` asks. Never
    /// returns without that flag, or if the first server is the one being read or lacks events.
    pub(super) async fn primary_recovered(&self, retry: &RetryState) {
        let (Some(primary), Some(period)) = (self.endpoints.first(), self.limits.prefer_first)
        else {
            return std::future::pending().await;
        };
        if retry.current == 0 || retry.avoids_first() {
            return std::future::pending().await;
        }
        let mut well_since = None;
        loop {
            sleep((period / 2).min(MAX_PROBE_INTERVAL)).await;
            if !self.probe(primary).await {
                well_since = None;
                continue;
            }
            let since = *well_since.get_or_insert_with(Instant::now);
            if since.elapsed() + period / 2 >= period {
                return;
            }
        }
    }

    /// Returns whether the server accepts a live connection and sends a recent event, or answers
    /// a ping if streams may be silent.
    async fn probe(&self, primary: &Endpoint) -> bool {
        let request = ConnectRequest {
            endpoint: primary,
            cursor: RequestedCursor::Live,
            uncompressed: true,
            number: 0,
            requires_seq: false,
        };
        let Ok(mut stream) = self.client.connect(request).await else { return false };
        let may_be_silent = self.limits.stall_timeout.is_none();
        let mut batch = Batch::default();
        let first_event = async {
            stream.ping();
            while batch.is_empty() && stream.fill(&mut batch, 1, BATCH_BYTES).await.is_ok() {}
        };
        let answered = timeout(PROBE_TIMEOUT, first_event).await.is_ok();
        let shape = stream.info().shape;
        let is_well = match (batch.is_empty(), batch.header_or_parse(0, shape)) {
            (false, Some(header)) => self.is_recent(header.time_us),
            (false, None) => false,
            (true, _) => !answered && may_be_silent && stream.pongs() > 0,
        };
        stream.close(Instant::now() + super::CLOSE_TIMEOUT).await;
        is_well
    }

    fn is_recent(&self, time_us: u64) -> bool {
        let position = self.feedback.get();
        position.is_none_or(|position| time_us >= position.max_time.minus_us(MAX_LAG_US).0)
    }
}
