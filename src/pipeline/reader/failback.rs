//! `--prefer-first`: while another server is read, whether the first one is well again.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::event::batch::Batch;
use crate::source::RequestedCursor;
use crate::source::client::ConnectRequest;
use crate::source::endpoint::Endpoint;

use super::super::channel::BATCH_BYTES;
use super::Reader;

/// The longest pause between two looks at the first server.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Time for the first server to send an event, or to answer a ping where streams may be
/// quiet.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How far the first server's newest event may lie behind the output, in microseconds.
const MAY_LAG_US: u64 = 10_000_000;

impl Reader {
    /// Waits until the first server has been well for as long as `--prefer-first` asks. For
    /// ever where nobody asks, or where the first server is the one being read.
    pub(super) async fn primary_recovered(&self, reading: usize) {
        let (Some(first), Some(long)) = (self.endpoints.first(), self.limits.prefer_first) else {
            return std::future::pending().await;
        };
        if reading == 0 {
            return std::future::pending().await;
        }
        let mut well_since = None;
        loop {
            sleep((long / 2).min(LOOK_EVERY)).await;
            if !self.probe(first).await {
                well_since = None;
                continue;
            }
            let since = *well_since.get_or_insert_with(Instant::now);
            if since.elapsed() + long / 2 >= long {
                return;
            }
        }
    }

    /// One look: it takes a live connection and either sends an event that is not old, or,
    /// where a stream may be quiet, answers a ping.
    async fn probe(&self, first: &Endpoint) -> bool {
        let wish = ConnectRequest {
            endpoint: first,
            cursor: RequestedCursor::Live,
            uncompressed: true,
            number: 0,
            requires_seq: false,
        };
        let Ok(mut stream) = self.client.connect(wish).await else { return false };
        let may_be_quiet = self.limits.stall_timeout.is_none();
        let mut batch = Batch::default();
        let first_event = async {
            stream.ping();
            while batch.is_empty() && stream.fill(&mut batch, 1, BATCH_BYTES).await.is_ok() {}
        };
        let answered = timeout(ANSWER_WITHIN, first_event).await.is_ok();
        let shape = stream.info().shape;
        let is_well = match batch.lines().next().map(|line| shape.parse(line)) {
            Some(Ok(header)) => self.is_recent(header.time_us),
            Some(Err(_)) => false,
            None => !answered && may_be_quiet && stream.pongs() > 0,
        };
        stream.close(Instant::now() + super::CLOSE_TIMEOUT).await;
        is_well
    }

    fn is_recent(&self, time_us: u64) -> bool {
        let feedback = self.feedback.get();
        feedback.is_none_or(|feedback| time_us >= feedback.latest_time.minus_us(MAY_LAG_US).0)
    }
}
