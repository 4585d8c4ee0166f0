//! Waits until the stream has come as far as the history of an addition.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::position::Position;
use crate::source::archive::backfill::Backfill;
use crate::source::archive::bounds::BackfillLimits;
use crate::source::archive::{BackfillError, BackfillStart};

use super::super::Reader;
use super::LOOK_EVERY;
use super::history::Usage;

/// The wait before the archive is first asked whether it has anything of the stream. It doubles with
/// each look, up to [`LONGEST_WAIT`]: a stream that is on its way has passed the end of the history
/// by then.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How the stream and the end of a history lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// The stream has passed the end of the history.
    Passed,
    /// The stream has no event up to the end of the history.
    Quiet,
    /// The stream has passed it in the archive, where the history continues.
    Archived,
}

impl Reader {
    /// Waits until the stream of `server` has passed the seq `end`, or has nothing up to there.
    pub(super) async fn wait_for_stream(&self, server: &Arc<str>, end: u64) -> Meeting {
        let (mut wait, mut waited) = (FIRST_WAIT, Duration::ZERO);
        loop {
            let position = self.feedback.get();
            let position = position.filter(|position| position.origin.server == *server);
            let newest = position.as_ref().and_then(|position| position.newest.seq);
            match (position, newest) {
                // Another server, or one without numbers: the switch finds that out.
                (None, _) | (_, None) => return Meeting::Passed,
                (Some(position), Some(seq)) if seq.0 >= end => {
                    let is_later = seq.0 > end && self.is_archived(&position);
                    return if is_later { Meeting::Archived } else { Meeting::Passed };
                }
                (_, Some(seq)) if waited >= wait => {
                    if self.is_quiet_up_to(server, seq.0, end).await.unwrap_or(false) {
                        return Meeting::Quiet;
                    }
                    (wait, waited) = ((wait * 2).min(LONGEST_WAIT), Duration::ZERO);
                }
                _ => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }

    /// Returns whether a position is the end of a backfill, and no event of the stream.
    fn is_archived(&self, position: &Position) -> bool {
        position.origin.filter_fingerprint == self.client.archive_fingerprint()
    }

    /// Returns whether the archive has no event of the stream after the seq `after`, up to `end`.
    async fn is_quiet_up_to(
        &self,
        server: &Arc<str>,
        after: u64,
        end: u64,
    ) -> Result<bool, BackfillError> {
        let Some(endpoint) = self.endpoints.iter().find(|endpoint| endpoint.label == *server)
        else {
            return Ok(false);
        };
        let metrics = Arc::new(Metrics::default());
        let (key, filter) = (self.archive.key.clone(), (*self.client.filter()).clone());
        let client = self.client.side_archive(endpoint, key, Arc::clone(&metrics));
        let (start, limits) = (BackfillStart::After(after), BackfillLimits::default());
        let shape = self.client.shape;
        let starting = Backfill::start(Arc::new(client), start, filter, shape, &limits);
        let result = match starting.await {
            Ok(mut backfill) => {
                let has_none = has_no_event(&mut backfill).await;
                let has_reached = metrics.backfill.at_seq.get() >= end;
                backfill.end().await;
                has_none.map(|has_none| has_none && has_reached)
            }
            Err(error) => Err(error),
        };
        Usage::new(&metrics).settle(&self.metrics);
        result
    }
}

/// Returns whether a backfill ends without an event and without a gap. Reads no further than to the
/// first of either.
async fn has_no_event(backfill: &mut Backfill) -> Result<bool, BackfillError> {
    while let Some(step) = backfill.next().await? {
        if step.gap.is_some() || !step.batch.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}
