//! The lossless join (cutover): how a replay from a legacy server meets its live stream without
//! the losses that the server has there (protocol/jetstream-v1.md §4.2).
//!
//! 1. A live connection shows the server's tip with its first event.
//! 2. If the tip is far away, a replay runs alone up to some seconds before it, and the join
//!    starts over.
//! 3. If it is near, the live connection's lines are buffered. Three seconds later a replay
//!    reads up to the live connection's first event. There it is always more than a second
//!    older than the tip, so none of the lossy rules apply.
//! 4. The buffered lines follow, then the live connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::{Instant as TokioInstant, sleep_until, timeout_at};

use crate::event::batch::Batch;
use crate::metrics::now_us;
use crate::position::{ServerKind, TimeUs};
use crate::settings::JoinMode;
use crate::source::RequestedCursor;
use crate::source::connection::EventConnection;
use crate::source::endpoint::Endpoint;
use crate::source::liveness::{Action, Liveness};
use crate::source::protocol::Protocol;

use super::super::channel::BATCH_BYTES;
use super::idle::{IDLE_AFTER, PLAUSIBLE_AHEAD_US, Scan};
use super::replay_limit::{FirstTime, ReplayLimit};
use super::retry::RetryState;
use super::work_budget::WorkBudget;
use super::{CLOSE_TIMEOUT, Disconnect, Reader};

/// How long to wait for the live connection's first event. With a sparse filter none comes.
const FIRST_EVENT_TIMEOUT: Duration = Duration::from_secs(3);

/// The time between the live connection's first event and the start of the replay.
const HEAD_START: Duration = Duration::from_secs(3);

/// How far this machine's clock may be behind the server's if no event shows the server's time, in
/// microseconds. The replay goes that far past the moment at which the live connection was
/// opened: only the replay has what happened before that moment, and what both have is
/// deduplicated. The replay starts six seconds later, so all this is still more than a second
/// older than the tip.
const CLOCK_MARGIN_US: u64 = 2_000_000;

/// Most bytes of the live stream that are buffered while the replay catches up: two minutes of
/// the whole firehose, and half a minute at 5,000 events a second, because both connections
/// share what a legacy server sends to one address.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// Lines of the live connection that wait for the end of the replay.
#[derive(Debug, Default)]
struct LiveBuffer {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl LiveBuffer {
    fn push(&mut self, batch: Batch) -> Result<(), Disconnect> {
        self.bytes += batch.buffered_bytes();
        self.batches.push_back(batch);
        if self.bytes > MAX_KEPT_BYTES { Err(Disconnect::JoinTooLong) } else { Ok(()) }
    }
}

impl Reader {
    /// Returns whether a replay must be joined with the live stream: only on a server that is
    /// known to be a legacy one.
    pub(super) fn needs_join(&self, requested: RequestedCursor, retry: &RetryState) -> bool {
        self.may_need_join(requested)
            && retry.known_kind().is_some_and(ServerKind::replay_may_lose_events)
    }

    /// Returns whether this is a replay that must be joined if the server is a legacy one.
    pub(super) fn may_need_join(&self, requested: RequestedCursor) -> bool {
        let replays = matches!(requested, RequestedCursor::Instant(_) | RequestedCursor::Oldest);
        // mutant: never-joins
        replays && self.limits.join == JoinMode::Auto
    }

    /// Joins a replay with the live stream, and continues with that.
    pub(super) async fn join(
        &self,
        endpoint: &Endpoint,
        requested: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut live = self.connect(endpoint, RequestedCursor::Live, retry).await?;
        let ended = match live.protocol() {
            Protocol::V1 => self.join_with(&mut live, endpoint, requested, retry).await,
            // A v2 server loses nothing in a replay, and is asked again without a join.
            Protocol::V2 => Err(Disconnect::ReplayLimit),
        };
        self.on_disconnect(&mut live, retry, ended.as_ref().err()).await;
        ended
    }

    async fn join_with(
        &self,
        live: &mut EventConnection,
        endpoint: &Endpoint,
        requested: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut kept = LiveBuffer::default();
        let (limit, tip) = self.first_event(live, &mut kept).await?;
        // The live stream is older than the start of the replay: a recording, or a server that lags.
        let is_older = live.kind().is_some() && limit.is_before(requested);
        // Such a stream shows no tip that could prove the end of the replay.
        retry.tip = tip.filter(|_| !is_older);
        if live.kind().is_some_and(|kind| !kind.replay_may_lose_events()) {
            // Another kind of server has the same name now; there is nothing to join.
            return Err(Disconnect::ReplayLimit);
        }
        if is_older {
            // There is no tip to meet.
            return self.replay_alone(endpoint, requested, None, retry).await;
        }
        // A replay that was dropped was too slow to be joined.
        let is_far = retry.replay_cut || !limit.is_near(requested);
        // If the last such replay had no event before its limit, everything left is near enough.
        if is_far && retry.empty_replay.take() != Some(requested) {
            live.close(TokioInstant::now() + CLOSE_TIMEOUT).await;
            let limit = Some(limit.with_margin());
            let ended = self.replay_alone(endpoint, requested, limit, retry).await;
            retry.empty_replay = matches!(ended, Err(Disconnect::ReplayLimit)).then_some(requested);
            return ended;
        }
        self.buffer_until(live, &mut kept, TokioInstant::now() + HEAD_START).await?;
        let mut replay = self.connect(endpoint, requested, retry).await?;
        let replayed = self.replay_beside(&mut replay, limit, live, &mut kept).await;
        self.on_disconnect(&mut replay, retry, replayed.as_ref().err()).await;
        replayed?;
        tracing::debug!(kept_bytes = kept.bytes, "the replay has met the live stream");
        let mut alive = Liveness::new(self.liveness_limits(), Instant::now());
        for batch in kept.batches {
            self.forward(batch, live.info(), &mut alive).await?;
        }
        self.read(live, None, retry).await
    }

    /// Reads a replay on a connection of its own, up to the limit if there is one.
    pub(super) async fn replay_alone(
        &self,
        endpoint: &Endpoint,
        requested: RequestedCursor,
        limit: Option<ReplayLimit>,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut replay = self.connect(endpoint, requested, retry).await?;
        let ended = self.read(&mut replay, limit, retry).await;
        self.on_disconnect(&mut replay, retry, ended.as_ref().err()).await;
        ended
    }

    /// Waits for the live connection's first event, whose time is the limit of the replay. A
    /// sparse filter is lifted until then: only the server knows where its tip is. An absurd time
    /// shows nothing: the next event does.
    async fn first_event(
        &self,
        live: &mut EventConnection,
        kept: &mut LiveBuffer,
    ) -> Result<(ReplayLimit, Option<TimeUs>), Disconnect> {
        let opened = TimeUs(now_us());
        let deadline = TokioInstant::now() + FIRST_EVENT_TIMEOUT;
        let mut scan = Scan::new(live, Instant::now());
        let mut first = FirstTime::default();
        let is_known = |live: &EventConnection, first: FirstTime| {
            live.kind().is_some_and(|kind| first.is_plausible() || !kind.replay_may_lose_events())
        };
        live.lift_filter();
        while !is_known(live, first) && TokioInstant::now() < deadline {
            let mut batch = self.sender.empty_batch();
            let filling = live.fill(&mut batch, self.batch_events, BATCH_BYTES);
            let filled = tokio::select! {
                filled = timeout_at(deadline, filling) => filled,
                () = self.stop.requested() => return Err(Disconnect::Stopped),
            };
            let Ok(filled) = filled else { break };
            filled?;
            first.note(&mut batch, TimeUs(now_us()).plus_us(PLAUSIBLE_AHEAD_US));
            self.remove_unfiltered(live, &mut scan, &mut batch);
            kept.push(batch)?;
        }
        live.restore_filter();
        let first = first.get();
        Ok((ReplayLimit::at(first.unwrap_or_else(|| opened.plus_us(CLOCK_MARGIN_US))), first))
    }

    async fn buffer_until(
        &self,
        live: &mut EventConnection,
        kept: &mut LiveBuffer,
        deadline: TokioInstant,
    ) -> Result<(), Disconnect> {
        let mut pause = std::pin::pin!(sleep_until(deadline));
        let mut scan = Scan::new(live, Instant::now());
        let mut work = WorkBudget::new();
        loop {
            let mut batch = self.sender.empty_batch();
            tokio::select! {
                () = &mut pause => return Ok(()),
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                filled = live.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    filled?;
                    self.remove_unfiltered(live, &mut scan, &mut batch);
                    kept.push(batch)?;
                }
            }
            work.yield_if_spent().await;
        }
    }

    /// Reads the replay up to the limit, or until it has nothing more. Buffers the live stream at
    /// the same time.
    async fn replay_beside(
        &self,
        replay: &mut EventConnection,
        limit: ReplayLimit,
        live: &mut EventConnection,
        kept: &mut LiveBuffer,
    ) -> Result<(), Disconnect> {
        let limits = self.liveness_limits();
        let mut alive = Liveness::new(limits, Instant::now());
        let mut scan = Scan::new(replay, Instant::now());
        let mut tick = tokio::time::interval(Liveness::interval(&limits).min(IDLE_AFTER / 3));
        let mut work = WorkBudget::new();
        let (mut batch, mut beside) = (self.sender.empty_batch(), self.sender.empty_batch());
        loop {
            tokio::select! {
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                filled = replay.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    scan.note(replay, &mut batch);
                    let reached = limit.cut(&mut batch, Some(ServerKind::Legacy));
                    self.remove_unfiltered(replay, &mut scan, &mut batch);
                    if !batch.is_empty() {
                        batch = self.forward(batch, replay.info(), &mut alive).await?;
                    }
                    if reached {
                        return Ok(());
                    }
                    filled?;
                }
                filled = live.fill(&mut beside, self.batch_events, BATCH_BYTES) => {
                    filled?;
                    self.remove_unfiltered(live, &mut scan, &mut beside);
                    kept.push(std::mem::replace(&mut beside, self.sender.empty_batch()))?;
                }
                _ = tick.tick() => {
                    match alive.check(Instant::now(), replay.messages(), replay.events()) {
                        Action::Wait => {}
                        Action::Ping => replay.ping(),
                        Action::GiveUp(dead) => return Err(dead.into()),
                    }
                    let limit = limit.limit().unwrap_or_default();
                    if scan.is_caught_up(&alive, replay, Instant::now(), limit) {
                        return Ok(());
                    }
                }
            }
            work.yield_if_spent().await;
        }
    }
}
