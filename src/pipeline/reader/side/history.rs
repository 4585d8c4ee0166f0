//! Reads the history of one addition from the archive of the server that the stream comes from.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::display::units::{bytes, counted, duration};
use crate::filter::additions::Addition;
use crate::metrics::Metrics;
use crate::pipeline::channel::Item;
use crate::pipeline::dedup::SideFeed;
use crate::pipeline::shutdown::StopReason;
use crate::position::ServerKind;
use crate::settings::{ArchiveMode, MaxRetries};
use crate::source::archive::backfill::Backfill;
use crate::source::archive::bounds::BackfillLimits;
use crate::source::archive::estimate::estimate;
use crate::source::archive::plan::PlanError;
use crate::source::archive::{BackfillError, BackfillStart, BackfillStep};
use crate::source::backoff::Backoff;
use crate::source::endpoint::Endpoint;

use super::super::Reader;
use super::{HistoryEnd, LOOK_EVERY, named};

/// Failed attempts in a row without progress, after which a history is given up unless
/// `--max-retries` says otherwise. With the longest waits of the backoff that is about five minutes.
const MAX_ATTEMPTS: u32 = 20;

/// How long the stream may come from another server than the one whose archive was begun.
const SERVER_PATIENCE: Duration = Duration::from_secs(600);

/// Most downloads at a time, so that the stream has the network and a core to itself.
const PARALLELISM: usize = 2;

/// A backfill that took longer is followed by another one: the server has sealed more by then, and
/// the stream may no longer hold what comes after the end of this one.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Why one attempt ended before the history was complete.
enum Interrupted {
    Failed(BackfillError),
    Cancelled,
    /// The run stops.
    Stopped,
}

impl From<BackfillError> for Interrupted {
    fn from(error: BackfillError) -> Self {
        Self::Failed(error)
    }
}

impl Reader {
    /// Reads the history of an addition up to the sealed tip.
    pub(super) async fn read_history(&self, addition: &Addition) -> HistoryEnd {
        let Some(lists) = &self.side else { return HistoryEnd::Cancelled };
        let number = addition.number;
        let endpoint = match lists.unless_removed(number, self.wait_for_server(addition)).await {
            None => return HistoryEnd::Cancelled,
            Some(Ok(endpoint)) => endpoint,
            Some(Err(end)) => return end,
        };
        let (mut backoff, mut rng) = (Backoff::new(), fastrand::Rng::new());
        let (mut failures, mut reached) = (0, self.side_start(addition));
        let logged = self.log_history_start(addition, endpoint, reached);
        if lists.unless_removed(number, logged).await.is_none() {
            return HistoryEnd::Cancelled;
        }
        loop {
            let round = Instant::now();
            let ended = self.read_archive(addition, endpoint, reached).await;
            let error = match ended {
                Ok(seq) if seq <= reached || round.elapsed() < FRESH_FOR => {
                    return HistoryEnd::Complete(Arc::clone(&endpoint.label), seq);
                }
                Ok(seq) => {
                    (failures, reached) = (0, seq);
                    continue;
                }
                Err(Interrupted::Cancelled) => return HistoryEnd::Cancelled,
                Err(Interrupted::Stopped) => return std::future::pending().await,
                Err(Interrupted::Failed(error)) => error,
            };
            let now = self.side_start(addition);
            if now > reached {
                (failures, reached) = (0, now);
                backoff.reset();
            }
            failures += 1;
            if !may_pass(&error) || failures > self.max_side_attempts() {
                return HistoryEnd::GivenUp(refusal(&error));
            }
            backoff.at_least(error.retry_after().unwrap_or_default());
            let wait = backoff.next(&mut rng);
            tracing::warn!(
                "the history of {}: {error}; trying again in {}",
                named(addition),
                duration(wait)
            );
            if lists.unless_removed(number, tokio::time::sleep(wait)).await.is_none() {
                return HistoryEnd::Cancelled;
            }
        }
    }

    fn max_side_attempts(&self) -> u32 {
        match self.limits.max_retries {
            MaxRetries::Limit(most) => most,
            MaxRetries::OnceConnected | MaxRetries::Unlimited => MAX_ATTEMPTS,
        }
    }

    /// Returns the seq after which the history of an addition continues.
    fn side_start(&self, addition: &Addition) -> u64 {
        let delivered =
            self.feedback.side_reached(addition.number).map_or(0, |reached| reached.seq.0);
        delivered.max(addition.reached.as_ref().map_or(0, |reached| reached.seq))
    }

    /// Waits until the stream comes from a server whose archive can be read, and reads none itself.
    async fn wait_for_server(&self, addition: &Addition) -> Result<&Endpoint, HistoryEnd> {
        let saved = || addition.reached.as_ref().map(|reached| Arc::from(&*reached.server));
        let begun = self.feedback.side_reached(addition.number).map(|reached| reached.server);
        let begun: Option<Arc<str>> = begun.or_else(saved);
        let mut waited = Duration::ZERO;
        loop {
            let position = self.feedback.get();
            let is_reading = self.metrics.backfill.is_on.get() == 1;
            if let Some(position) = position.filter(|_| !is_reading) {
                let (server, kind) = (&*position.origin.server, position.origin.kind);
                let endpoint = self.endpoints.iter().find(|endpoint| *endpoint.label == *server);
                if kind == ServerKind::Legacy || self.archive.mode == ArchiveMode::Off {
                    return Err(HistoryEnd::GivenUp(format!("{server} has no archive")));
                }
                match endpoint {
                    Some(endpoint) if begun.as_deref().is_none_or(|begun| *begun == *server) => {
                        return Ok(endpoint);
                    }
                    _ if waited >= SERVER_PATIENCE => {
                        let begun = begun.as_deref().unwrap_or_default();
                        return Err(HistoryEnd::GivenUp(format!(
                            "a part of it was read from {begun}, and the stream comes from {server}"
                        )));
                    }
                    _ => waited += LOOK_EVERY,
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads the archive once, after the seq `after`; returns the seq of its sealed tip.
    async fn read_archive(
        &self,
        addition: &Addition,
        endpoint: &Endpoint,
        after: u64,
    ) -> Result<u64, Interrupted> {
        let Some(lists) = &self.side else { return Err(Interrupted::Cancelled) };
        let mut changes = lists.subscribe();
        changes.borrow_and_update();
        let Some((_, filter)) = lists.current(addition.number) else {
            return Err(Interrupted::Cancelled);
        };
        let metrics = Arc::new(Metrics::default());
        let mut usage = Usage::new(&metrics);
        let limits = BackfillLimits {
            parallelism: self.archive.parallelism.min(PARALLELISM),
            max_bytes: self.bytes_left().await?,
            until: self.until,
            stripe: None,
        };
        let (key, start) = (self.archive.key.clone(), BackfillStart::After(after));
        let client = Arc::new(self.client.side_archive(endpoint, key, Arc::clone(&metrics)));
        let (request, shape) = (filter.request().clone(), self.client.shape);
        let starting = Backfill::start(client, start, request, shape, &limits);
        let started = lists.unless_removed(addition.number, starting).await;
        usage.settle(&self.metrics);
        let mut backfill = started.ok_or(Interrupted::Cancelled)??;
        self.metrics.side.to_seq.set(backfill.tip());
        let ended = self
            .forward_history_of(addition, endpoint, &mut backfill, &mut usage, &mut changes)
            .await;
        backfill.end().await;
        usage.settle(&self.metrics);
        if let Err(Interrupted::Failed(BackfillError::BudgetSpent)) = ended {
            self.stop.request(StopReason::ArchiveBudget);
            return Err(Interrupted::Stopped);
        }
        ended.map(|()| backfill_end(after, &metrics))
    }

    /// Passes one backfill on, step by step.
    async fn forward_history_of(
        &self,
        addition: &Addition,
        endpoint: &Endpoint,
        backfill: &mut Backfill,
        usage: &mut Usage<'_>,
        changes: &mut watch::Receiver<u64>,
    ) -> Result<(), Interrupted> {
        let server = Arc::clone(&endpoint.label);
        let connection = self.side_connection(Arc::clone(&server));
        let feed = || self.side_feed(addition.number, &server).ok_or(Interrupted::Cancelled);
        let mut current: Arc<SideFeed> = feed()?;
        loop {
            let step = {
                let mut next = pin!(backfill.next());
                loop {
                    tokio::select! {
                        biased;
                        // The lists live as long as the reader.
                        _ = changes.changed() => current = feed()?,
                        step = &mut next => break step?,
                    }
                }
            };
            usage.settle(&self.metrics);
            let Some(BackfillStep { gap, batch, through }) = step else { return Ok(()) };
            let seq = through.and_then(|through| through.seq);
            let lines = Item::lines(batch, Arc::clone(&connection));
            let item = Item { gap, through, side: Some(Arc::clone(&current)), ..lines };
            self.sender.send_side(item).await.map_err(|_| Interrupted::Stopped)?;
            seq.into_iter().for_each(|seq| self.metrics.side.at_seq.set(seq.0));
            if let Some(spare) = self.sender.take_spare() {
                backfill.recycle(spare);
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns how many bytes the run may still download from archives, and ends it if none are
    /// left.
    async fn bytes_left(&self) -> Result<Option<u64>, Interrupted> {
        let Some(most) = self.archive.max_bytes else { return Ok(None) };
        match most.saturating_sub(self.metrics.archive_bytes.get()) {
            0 => {
                self.stop.request(StopReason::ArchiveBudget);
                Err(Interrupted::Stopped)
            }
            left => Ok(Some(left)),
        }
    }

    /// Logs what `skytail plan` would say of the history.
    async fn log_history_start(&self, addition: &Addition, endpoint: &Endpoint, after: u64) {
        let current = self.side.as_ref().and_then(|lists| lists.current(addition.number));
        let Some((_, filter)) = current else { return };
        let (key, metrics) = (self.archive.key.clone(), Arc::clone(&self.metrics));
        let client = self.client.side_archive(endpoint, key, metrics).without_patience();
        let limits = BackfillLimits { until: self.until, ..BackfillLimits::default() };
        let start = BackfillStart::After(after);
        let size = match estimate(&client, start, filter.request(), &limits).await {
            Ok(estimate) => format!(
                ": up to {} and about {} to download",
                counted(estimate.events, "event"),
                bytes(estimate.bytes)
            ),
            Err(_) => String::new(),
        };
        let server = &endpoint.label;
        tracing::info!(%server, "reading the history of {} from the archive, beginning with {start}{size}", named(addition));
    }
}

/// Returns the seq at which a complete backfill ended.
fn backfill_end(after: u64, metrics: &Metrics) -> u64 {
    metrics.backfill.at_seq.get().max(after)
}

/// Returns whether another attempt may succeed.
fn may_pass(error: &BackfillError) -> bool {
    error.is_transient()
        || matches!(
            error,
            BackfillError::Stale(_) | BackfillError::Plan(PlanError::NoProgress { .. })
        )
}

fn refusal(error: &BackfillError) -> String {
    match error.refused_status() {
        Some(401 | 403) => format!(
            "the archive wants a key ({error}): give one with --api-key-file or SKYTAIL_API_KEY"
        ),
        Some(404 | 405 | 501) => format!("no archive here ({error})"),
        _ => format!("the archive: {error}"),
    }
}

/// What a side backfill has downloaded. It has counters of its own, because the run's are those of
/// the backfill of the stream; only the bytes count for both.
pub(super) struct Usage<'a> {
    metrics: &'a Metrics,
    archive_bytes: u64,
    wire_bytes: u64,
}

impl<'a> Usage<'a> {
    /// Returns the usage of a backfill that counts in `metrics` from now on.
    pub(super) fn new(metrics: &'a Metrics) -> Self {
        Self { metrics, archive_bytes: 0, wire_bytes: 0 }
    }

    /// Adds what was downloaded since the last call to the counters of the run.
    pub(super) fn settle(&mut self, run: &Metrics) {
        let (archive, wire) = (self.metrics.archive_bytes.get(), self.metrics.wire_bytes.get());
        run.archive_bytes.add(archive - std::mem::replace(&mut self.archive_bytes, archive));
        run.wire_bytes.add(wire - std::mem::replace(&mut self.wire_bytes, wire));
    }
}
