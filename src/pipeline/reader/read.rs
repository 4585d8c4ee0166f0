//! Reads one connection into the channel, and monitors it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::batch::Batch;
use crate::pipeline::channel::{BATCH_BYTES, Item};
use crate::pipeline::when_woken::WhenWoken;
use crate::position::TimeUs;
use crate::source::ConnectionInfo;
use crate::source::connection::{EventConnection, Fill};
use crate::source::liveness::{Action, Liveness};

use super::idle::{IDLE_AFTER, Scan};
use super::lag::LagDetector;
use super::replay_limit::ReplayLimit;
use super::retry::RetryState;
use super::work_budget::WorkBudget;
use super::{Disconnect, Reader};

/// A longer wait for the writer restarts the liveness timers, because the server could not send
/// during the wait.
const BLOCKED_AFTER: Duration = Duration::from_millis(100);

/// What is checked on each tick of a connection.
#[derive(Debug)]
struct Watch {
    lag: LagDetector,
    scan: Scan,
    replay_limit: Option<ReplayLimit>,
    /// The live stream's first event, if a join has received one.
    tip: Option<TimeUs>,
}

impl Reader {
    /// Reads one connection until it or the run ends, or up to the replay limit.
    pub(super) async fn read(
        &self,
        stream: &mut EventConnection,
        replay_limit: Option<ReplayLimit>,
        retry: &RetryState,
    ) -> Result<(), Disconnect> {
        let mut alive = Liveness::new(self.limits_here(retry), Instant::now());
        let ended = self.read_until(&mut alive, stream, replay_limit, retry).await;
        if let Some(endpoint) = retry.endpoint() {
            endpoint.silence.learn(&alive);
        }
        ended
    }

    async fn read_until(
        &self,
        alive: &mut Liveness,
        stream: &mut EventConnection,
        replay_limit: Option<ReplayLimit>,
        retry: &RetryState,
    ) -> Result<(), Disconnect> {
        self.set_deferring(stream, replay_limit);
        let limits = self.limits_here(retry);
        let scan = Scan::new(stream, Instant::now());
        let mut watch = Watch { lag: LagDetector::default(), scan, replay_limit, tip: retry.tip };
        let mut stopped = pin!(self.stop.requested());
        let mut stopped = WhenWoken::new(stopped.as_mut());
        let mut reason_to_leave = pin!(self.reason_to_leave(stream.number(), retry));
        let mut reason_to_leave = WhenWoken::new(reason_to_leave.as_mut());
        let (protocol, pace) = (Some(stream.protocol()), &retry.filter_pace);
        let mut filter_step = pin!(self.filter_step(protocol, pace));
        let mut filter_step = WhenWoken::new(filter_step.as_mut());
        let mut is_clamped = false;
        let mut tick = tokio::time::interval(Liveness::interval(&limits).min(IDLE_AFTER / 3));
        let mut work = WorkBudget::new();
        let mut batch = self.sender.empty_batch();
        loop {
            let filled = tokio::select! {
                biased;
                () = &mut stopped => Err(Disconnect::Stopped),
                // Before the read: a server that sends without a pause would use up the task's
                // budget each time, and no timer would be checked.
                _ = tick.tick() => {
                    self.on_tick(alive, stream, &mut watch)?;
                    self.switch_if_caught_up(&mut watch.scan, alive, stream).await?;
                    continue;
                }
                reason = &mut reason_to_leave => return Err(reason),
                step = &mut filter_step => {
                    self.take_filter_step(step, stream, pace)?;
                    filter_step.set(self.filter_step(protocol, pace));
                    continue;
                }
                filled = stream.fill(&mut batch, self.batch_events, BATCH_BYTES) => {
                    filled.map_err(Disconnect::from)
                }
            };
            if stream.is_clamped() && !std::mem::replace(&mut is_clamped, true) {
                self.on_cursor_clamped(stream, retry)?;
            }
            batch = self.pass_on(batch, stream, &mut watch, alive).await?;
            let (Fill::Full | Fill::WouldBlock) = filled?;
            work.yield_if_spent().await;
        }
    }

    /// Passes on what the connection has brought, up to the replay limit; returns an empty batch.
    async fn pass_on(
        &self,
        mut batch: Batch,
        stream: &mut EventConnection,
        watch: &mut Watch,
        alive: &mut Liveness,
    ) -> Result<Batch, Disconnect> {
        let Watch { scan, replay_limit, .. } = watch;
        if replay_limit.is_some() || stream.is_filtered() {
            scan.note(stream, &mut batch);
        }
        let reached = replay_limit.is_some_and(|limit| limit.cut(&mut batch, stream.kind()));
        self.remove_unfiltered(stream, scan, &mut batch);
        if !batch.is_empty() {
            batch = self.forward(batch, stream.info(), alive).await?;
        }
        if reached {
            let limit = replay_limit.and_then(ReplayLimit::limit);
            let limit = limit.filter(|limit| scan.has_reached(*limit));
            return Err(limit.map_or(Disconnect::ReplayLimit, Disconnect::ScannedTo));
        }
        Ok(batch)
    }

    /// Lets the writer decode events, unless the reader looks at their lines before.
    fn set_deferring(&self, stream: &mut EventConnection, replay_limit: Option<ReplayLimit>) {
        let reads_lines = replay_limit.is_some() || stream.is_filtered() || self.is_switching();
        stream.set_deferring(!reads_lines);
    }

    /// Waits until a connection that works must end all the same.
    async fn reason_to_leave(&self, connection: u64, retry: &RetryState) -> Disconnect {
        tokio::select! {
            biased;
            () = self.feedback.numbers_rejected(connection) => Disconnect::Renumbered,
            rate = self.archive_is_faster(retry) => Disconnect::ArchiveFaster(rate),
            reason = self.lacks_events(retry) => reason,
            () = self.primary_recovered(retry) => Disconnect::PrimaryRecovered,
            () = self.switch_wanted(retry) => Disconnect::FilterChanged,
        }
    }

    fn on_tick(
        &self,
        alive: &mut Liveness,
        stream: &mut EventConnection,
        watch: &mut Watch,
    ) -> Result<(), Disconnect> {
        match alive.check(Instant::now(), stream.messages(), stream.events()) {
            Action::Wait => {}
            Action::Ping => stream.ping(),
            Action::GiveUp(dead) => return Err(dead.into()),
        }
        let stall_limit = alive.stall_limit().unwrap_or_default();
        self.metrics.stall_limit_ms.set(stall_limit.as_millis() as u64);
        let early = self.feedback.early();
        if watch.lag.observe(Instant::now(), early) {
            self.on_lag(stream, early)?;
        }
        let Watch { scan, replay_limit, tip, .. } = watch;
        self.check_idle(scan, alive, stream, *replay_limit, *tip).map_or(Ok(()), Err)
    }

    /// Leaves a server that lags behind the output for another one. Waits for it if it is the
    /// only one: what it sends until it has caught up was written before.
    fn on_lag(&self, stream: &EventConnection, newest: Option<TimeUs>) -> Result<(), Disconnect> {
        let newest = newest.unwrap_or_default();
        if self.endpoints.len() > 1 {
            return Err(Disconnect::Lagging(newest));
        }
        tracing::warn!(
            server = %stream.info().origin.server,
            "the server lags behind what was printed last: its newest event is of {newest}; nothing of it is printed until it has caught up"
        );
        Ok(())
    }

    /// Passes a batch on to the writer, inline if that is possible; returns an empty batch.
    pub(super) async fn forward(
        &self,
        batch: Batch,
        connection: Arc<ConnectionInfo>,
        alive: &mut Liveness,
    ) -> Result<Batch, Disconnect> {
        let Some(batch) = self.route_switched(batch, &connection).await? else {
            return Ok(self.sender.empty_batch());
        };
        let bytes = batch.buffered_bytes();
        let writer = self.writer.as_ref();
        if let Some(inline) =
            writer.and_then(|writer| writer.try_inline(self.sender.handoff(), bytes))
        {
            let written = inline.write(Item::lines(batch, connection));
            return Ok(self.sender.reuse(written));
        }
        let waiting = Instant::now();
        tokio::select! {
            biased;
            ready = self.sender.ready(&batch) => ready?,
            // The next run reads this batch again.
            () = self.stop.requested() => return Err(Disconnect::Stopped),
        }
        if waiting.elapsed() > BLOCKED_AFTER {
            alive.reset_timers(Instant::now());
        }
        self.sender.send(Item::lines(batch, connection))?;
        Ok(self.sender.empty_batch())
    }
}
