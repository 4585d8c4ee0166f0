//! The lossless join: how a replay from a legacy server meets its live stream without the
//! losses that the server has there (protocol/jetstream-v1.md §4.2).
//!
//! First a live connection, whose first event tells where the server's tip is. If that is far
//! away, the replay goes first, up to some seconds before it, and all begins again. If it is
//! near, the live connection's lines are kept; then, three seconds later, comes the replay,
//! taken up to the first event of the live one. In that range the replay is always more than a
//! second behind the tip, so none of the lossy rules apply. Then what was kept, then on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::{Instant as TokioInstant, sleep_until, timeout_at};

use crate::event::batch::Batch;
use crate::event::header;
use crate::metrics::now_us;
use crate::position::{ServerKind, TimeUs};
use crate::settings::JoinMode;
use crate::source::RequestedCursor;
use crate::source::connection::EventConnection;
use crate::source::endpoint::Endpoint;
use crate::source::liveness::{Action, Liveness};
use crate::source::protocol::Protocol;

use super::super::channel::BATCH_BYTES;
use super::idle::{IDLE_AFTER, Scan};
use super::replay_limit::ReplayLimit;
use super::retry::RetryState;
use super::{CLOSE_TIMEOUT, Disconnect, Reader};

/// How long to wait for the live connection's first event; with a sparse filter none comes.
const FIRST_EVENT: Duration = Duration::from_secs(3);

/// How long after the live connection's first event the replay may begin.
const HEAD_START: Duration = Duration::from_secs(3);

/// How far our clock may be behind the server's, where no event tells its time. The replay is
/// taken so much beyond the moment at which the live connection was opened: what happened in
/// front of that moment nobody else brings, and what it brings twice is recognised. It begins
/// six seconds later, so that all this is still more than a second behind the tip.
const CLOCK_MARGIN_US: u64 = 2_000_000;

/// Most bytes of the live stream that are kept while the replay catches up: two minutes of the
/// whole firehose, and half a minute at 5,000 events a second, since both connections share
/// what a legacy server sends to one address.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// What the live connection has brought and nobody has taken yet.
#[derive(Debug, Default)]
struct LiveBuffer {
    batches: VecDeque<Batch>,
    bytes: usize,
}

impl LiveBuffer {
    fn push(&mut self, batch: Batch) -> Result<(), Disconnect> {
        self.bytes += batch.held_bytes();
        self.batches.push_back(batch);
        if self.bytes > MAX_KEPT_BYTES { Err(Disconnect::JoinTooLong) } else { Ok(()) }
    }
}

impl Reader {
    /// Whether a replay from `asked` must be joined with the live stream: only on a server
    /// that is known to be a legacy one.
    pub(super) fn needs_join(&self, asked: RequestedCursor, retry: &RetryState) -> bool {
        self.may_need_join(asked)
            && retry.known_kind().is_some_and(ServerKind::replay_may_lose_events)
    }

    /// Whether `asked` is a replay that must be joined if the server is a legacy one.
    pub(super) fn may_need_join(&self, asked: RequestedCursor) -> bool {
        let replays = matches!(asked, RequestedCursor::Instant(_) | RequestedCursor::Oldest);
        // mutant: never-joins
        replays && self.limits.join == JoinMode::Auto
    }

    /// Joins a replay from `asked` with the live stream, and goes on with that.
    pub(super) async fn join(
        &self,
        endpoint: &Endpoint,
        asked: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut live = self.connect(endpoint, RequestedCursor::Live, retry).await?;
        let ended = match live.protocol() {
            Protocol::V1 => self.join_with(&mut live, endpoint, asked, retry).await,
            // Whoever speaks v2 loses nothing there, and is asked again as what it is.
            Protocol::V2 => Err(Disconnect::ReplayLimit),
        };
        self.on_disconnect(&mut live, retry, ended.as_ref().err()).await;
        ended
    }

    async fn join_with(
        &self,
        live: &mut EventConnection,
        endpoint: &Endpoint,
        asked: RequestedCursor,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut kept = LiveBuffer::default();
        let (replay_limit, tip) = self.first_event(live, &mut kept).await?;
        retry.tip = tip;
        if live.kind().is_some_and(|kind| !kind.replay_may_lose_events()) {
            // The server changed its kind behind its name; there is nothing to join.
            return Err(Disconnect::ReplayLimit);
        }
        if live.kind().is_some() && replay_limit.is_before(asked) {
            // Its live stream lies behind the replay (a recording, a server that lags): there
            // is no tip to meet.
            return self.replay_alone(endpoint, asked, None, retry).await;
        }
        // Where the last such replay brought nothing in front of the horizon, all there is
        // lies near enough.
        // One that was cut was too slow to be joined.
        let is_far = retry.replay_cut || !replay_limit.is_near(asked);
        if is_far && retry.empty_replay.take() != Some(asked) {
            live.close(TokioInstant::now() + CLOSE_TIMEOUT).await;
            let replay_limit = Some(replay_limit.with_margin());
            let ended = self.replay_alone(endpoint, asked, replay_limit, retry).await;
            retry.empty_replay = matches!(ended, Err(Disconnect::ReplayLimit)).then_some(asked);
            return ended;
        }
        self.keep_until(live, &mut kept, TokioInstant::now() + HEAD_START).await?;
        let mut replay = self.connect(endpoint, asked, retry).await?;
        let replayed = self.replay_beside(&mut replay, replay_limit, live, &mut kept).await;
        self.on_disconnect(&mut replay, retry, replayed.as_ref().err()).await;
        replayed?;
        tracing::debug!(kept_bytes = kept.bytes, "the replay has met the live stream");
        let mut alive = Liveness::new(self.liveness_limits(), Instant::now());
        for batch in kept.batches {
            self.forward(batch, live.info(), &mut alive).await?;
        }
        self.read(live, None, retry).await
    }

    /// Reads a replay on a connection of its own, up to the horizon if there is one.
    pub(super) async fn replay_alone(
        &self,
        endpoint: &Endpoint,
        asked: RequestedCursor,
        replay_limit: Option<ReplayLimit>,
        retry: &mut RetryState,
    ) -> Result<(), Disconnect> {
        let mut replay = self.connect(endpoint, asked, retry).await?;
        let ended = self.read(&mut replay, replay_limit, retry).await;
        self.on_disconnect(&mut replay, retry, ended.as_ref().err()).await;
        ended
    }

    /// Waits for the live connection's first event, whose time is where the replay ends. A
    /// sparse filter is lifted until then: only the server knows where its tip is.
    async fn first_event(
        &self,
        live: &mut EventConnection,
        kept: &mut LiveBuffer,
    ) -> Result<(ReplayLimit, Option<TimeUs>), Disconnect> {
        let opened = TimeUs(now_us());
        let deadline = TokioInstant::now() + FIRST_EVENT;
        let mut scan = Scan::new(live, Instant::now());
        let mut first = None;
        live.lift_filter();
        while live.kind().is_none() {
            let mut batch = self.sender.empty_batch();
            let filled = tokio::select! {
                filled = timeout_at(deadline, live.fill(&mut batch, self.batch_events, BATCH_BYTES)) => filled,
                () = self.stop.requested() => return Err(Disconnect::Stopped),
            };
            let Ok(filled) = filled else { break };
            filled?;
            first =
                batch.lines().find_map(|line| header::parse(line).ok()).map(|h| TimeUs(h.time_us));
            self.strip(live, &mut scan, &mut batch);
            kept.push(batch)?;
        }
        live.restore_filter();
        Ok((ReplayLimit::at(first.unwrap_or_else(|| opened.plus_us(CLOCK_MARGIN_US))), first))
    }

    async fn keep_until(
        &self,
        live: &mut EventConnection,
        kept: &mut LiveBuffer,
        deadline: TokioInstant,
    ) -> Result<(), Disconnect> {
        let mut pause = std::pin::pin!(sleep_until(deadline));
        let mut scan = Scan::new(live, Instant::now());
        loop {
            let mut batch = self.sender.empty_batch();
            tokio::select! {
                () = &mut pause => return Ok(()),
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                filled = live.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    filled?;
                    self.strip(live, &mut scan, &mut batch);
                    kept.push(batch)?;
                }
            }
        }
    }

    /// Reads the replay up to the horizon, or until it has nothing more, while the live
    /// stream is kept.
    async fn replay_beside(
        &self,
        replay: &mut EventConnection,
        replay_limit: ReplayLimit,
        live: &mut EventConnection,
        kept: &mut LiveBuffer,
    ) -> Result<(), Disconnect> {
        let limits = self.liveness_limits();
        let mut alive = Liveness::new(limits, Instant::now());
        let mut scan = Scan::new(replay, Instant::now());
        let mut tick = tokio::time::interval(Liveness::interval(&limits).min(IDLE_AFTER / 3));
        let (mut batch, mut beside) = (self.sender.empty_batch(), self.sender.empty_batch());
        loop {
            tokio::select! {
                () = self.stop.requested() => return Err(Disconnect::Stopped),
                filled = replay.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    scan.note(replay, &batch);
                    let reached = replay_limit.cut(&mut batch, Some(ServerKind::Legacy));
                    self.strip(replay, &mut scan, &mut batch);
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
                    self.strip(live, &mut scan, &mut beside);
                    kept.push(std::mem::replace(&mut beside, self.sender.empty_batch()))?;
                }
                _ = tick.tick() => {
                    match alive.check(Instant::now(), replay.messages(), replay.events()) {
                        Action::Wait => {}
                        Action::Ping => replay.ping(),
                        Action::GiveUp(dead) => return Err(dead.into()),
                    }
                    let limit = replay_limit.limit().unwrap_or_default();
                    if scan.is_caught_up(&alive, replay, Instant::now(), limit) {
                        return Ok(());
                    }
                }
            }
        }
    }
}
