//! When an idle stream means the end: for `--exit-when-live`, `--until` and the replay of a
//! join. v1 has no message for "the replay is over".
//!
//! Silence and a pong prove it only if the server filters nothing. A legacy server that scans
//! with a sparse filter sends nothing for minutes, and still answers pings, from another goroutine
//! (protocol/jetstream-v1.md §12). In that case the filters are lifted for a moment: the next event
//! that the server scans then shows how far it has come.

use std::time::{Duration, Instant};

use crate::event::batch::Batch;
use crate::event::format::EventFormat;
use crate::metrics::now_us;
use crate::pipeline::shutdown::StopReason;
use crate::position::{ServerKind, TimeUs};
use crate::source::RequestedCursor;
use crate::source::connection::EventConnection;
use crate::source::liveness::Liveness;
use crate::source::protocol::Protocol;

use super::replay_limit::ReplayLimit;
use super::{Disconnect, Reader};

/// How long a stream must be silent, except for the answer to a ping, before it counts as having
/// no more events.
pub(super) const IDLE_AFTER: Duration = Duration::from_secs(3);

/// How far ahead of this machine's clock an event may be and still show how far a scan has come,
/// in microseconds.
pub(super) const PLAUSIBLE_AHEAD_US: u64 = 60_000_000;

/// How far this machine's clock may be behind the server's, in microseconds.
const CLOCK_MARGIN_US: u64 = 2_000_000;

/// The seconds of the network's events that a legacy server scans in one second: 50,000 events a
/// second by default (protocol/jetstream-v1.md §12), and the network has brought up to 2,500.
const SCAN_SPEED: u64 = 20;

/// What a legacy server holds by default, in microseconds (protocol/jetstream-v1.md §11).
const RETENTION_US: u64 = 24 * 3_600 * 1_000_000;

/// What an idle stream means for the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnIdle {
    /// Nothing: more events may come.
    Wait,
    /// The replay is over, and so is the run.
    CaughtUp,
    /// The run is over once this time has passed.
    Until(TimeUs),
}

impl OnIdle {
    /// Returns why an idle stream ends the run now, if it does.
    pub(super) fn reason(self) -> Option<StopReason> {
        match self {
            Self::CaughtUp => Some(StopReason::CaughtUp),
            Self::Until(until) if now_us() > until.0 => Some(StopReason::Until),
            Self::Wait | Self::Until(_) => None,
        }
    }

    /// Returns the time of the earliest event that proves the end: the live stream's at `tip`,
    /// or an earlier one that alone ends the run.
    pub(super) fn tip_proof(self, tip: TimeUs) -> TimeUs {
        match self {
            Self::Until(until) => until.plus_us(CLOCK_MARGIN_US).min(tip),
            Self::Wait | Self::CaughtUp => tip,
        }
    }
}

/// How far a server has come in what it was asked for.
#[derive(Debug)]
pub(super) struct Scan {
    /// The number of events and of pongs when the server was asked whether there is more, and
    /// when that was.
    asked_at: Option<(u64, u64, Instant)>,
    /// This machine's clock when the connection was made.
    opened: TimeUs,
    /// The newest event's time, or the time that was asked for.
    reached: TimeUs,
    /// When `reached` changed.
    since: Instant,
    /// Whether the server has sent an event that only a lifted filter lets through.
    has_lifted: bool,
    is_warned: bool,
}

impl Scan {
    /// Returns a scan that begins `now`.
    pub(super) fn new(stream: &EventConnection, now: Instant) -> Self {
        let reached = match stream.info().requested {
            RequestedCursor::Instant(instant) => instant.minus_us(1),
            _ => TimeUs(0),
        };
        let opened = TimeUs(now_us());
        Self { asked_at: None, opened, reached, since: now, has_lifted: false, is_warned: false }
    }

    /// Returns the earliest time of an event that certainly happened after the connection was
    /// made.
    pub(super) fn tip(&self) -> TimeUs {
        self.opened.plus_us(CLOCK_MARGIN_US)
    }

    /// Returns whether an event at `instant` or later was received.
    pub(super) fn has_reached(&self, instant: TimeUs) -> bool {
        self.reached >= instant
    }

    /// Notes a batch, and restores the filters if they were lifted.
    pub(super) fn note(&mut self, stream: &mut EventConnection, batch: &mut Batch) {
        let Some(last) = batch.header_of_last(EventFormat::V1) else { return };
        stream.restore_filter();
        let is_plausible = last.time_us <= now_us().saturating_add(PLAUSIBLE_AHEAD_US);
        if is_plausible && last.time_us > self.reached.0 {
            (self.reached, self.since) = (TimeUs(last.time_us), Instant::now());
        }
    }

    /// Notes an event that the server's filters would have left out.
    pub(super) fn on_unfiltered_event(&mut self) {
        self.has_lifted = true;
    }

    /// Returns whether the server has nothing more for now. An event at `proof` or later also
    /// shows it.
    pub(super) fn is_caught_up(
        &mut self,
        alive: &Liveness,
        stream: &mut EventConnection,
        now: Instant,
        proof: TimeUs,
    ) -> bool {
        let may_scan_silently = may_scan_silently(stream);
        // mutant: trusts-a-pong
        if may_scan_silently && self.has_reached(proof) {
            return true;
        }
        match self.asked_at {
            Some((events, pongs, at)) if events == stream.events() => {
                if stream.pongs() <= pongs {
                    return false;
                }
                !may_scan_silently
                    || (now.duration_since(at) >= IDLE_AFTER && self.scan_must_be_over(now))
            }
            _ => {
                self.asked_at = None;
                if alive.idle_for(now) >= IDLE_AFTER {
                    self.asked_at = Some((stream.events(), stream.pongs(), now));
                    if may_scan_silently {
                        stream.lift_filter();
                    }
                    stream.ping();
                }
                false
            }
        }
    }

    /// Returns whether silence proves the end although filters were lifted: either this server
    /// is known to lift them, or it has had the time to scan everything.
    fn scan_must_be_over(&mut self, now: Instant) -> bool {
        let span_us = now_us().saturating_sub(self.reached.0).min(RETENTION_US);
        let needed = IDLE_AFTER + Duration::from_micros(span_us / SCAN_SPEED);
        let is_caught_up = self.has_lifted || now.duration_since(self.since) >= needed;
        if !is_caught_up && !std::mem::replace(&mut self.is_warned, true) {
            tracing::warn!(
                "the server sends nothing, and nothing proves that its replay has ended: it may still scan what the filters leave out; waiting up to {} s for its next event",
                needed.as_secs()
            );
        }
        is_caught_up
    }
}

impl Reader {
    /// Removes the lines that only lifted filters let through: none of them may become a
    /// position that the filtered stream does not have.
    pub(super) fn remove_unfiltered(
        &self,
        stream: &EventConnection,
        scan: &mut Scan,
        batch: &mut Batch,
    ) {
        if !stream.was_unfiltered() || batch.is_empty() {
            return;
        }
        let filter = self.client.filter();
        let most_bytes = filter.max_message_bytes.map_or(usize::MAX, |max| max as usize);
        let mut wanted = self.sender.empty_batch();
        for i in 0..batch.len() {
            let header = batch.header_or_parse(i, EventFormat::V1);
            let line = batch.line(i);
            match header {
                Some(header) if !filter.server_would_send(&header.header(line)) => {
                    scan.on_unfiltered_event();
                }
                Some(_) if line.len() > most_bytes => {}
                header => wanted.push_with(line, header),
            }
        }
        *batch = wanted;
    }

    /// Returns how an idle stream ends if it has nothing more up to the limit. Without a limit,
    /// or before it, the whole run may end.
    pub(super) fn check_idle(
        &self,
        scan: &mut Scan,
        alive: &Liveness,
        stream: &mut EventConnection,
        limit: Option<ReplayLimit>,
        tip: Option<TimeUs>,
    ) -> Option<Disconnect> {
        let now = Instant::now();
        let has_limit = limit.is_some();
        let limit = limit.and_then(ReplayLimit::limit);
        if let (Some(limit), true) = (limit, may_scan_silently(stream)) {
            let is_caught_up = scan.is_caught_up(alive, stream, now, self.on_idle.tip_proof(limit));
            if scan.has_reached(limit) {
                return Some(Disconnect::ScannedTo(limit));
            }
            if let (true, Some(reason)) = (is_caught_up, self.end_when_idle()) {
                self.stop.request(reason);
            }
            return None;
        }
        let reason = self.end_when_idle();
        // The first event of a server of unknown kind shows its kind.
        let needs_an_event = has_limit && may_scan_silently(stream);
        if reason.is_none() && !needs_an_event {
            return None;
        }
        let proof = self.on_idle.tip_proof(tip.unwrap_or(scan.tip()));
        if scan.is_caught_up(alive, stream, now, proof)
            && let Some(reason) = reason
        {
            self.stop.request(reason);
        }
        None
    }

    /// Returns why an idle stream ends the run now, if it does. A run that ends at the live tip
    /// reads the histories of `--backfill-new` first.
    fn end_when_idle(&self) -> Option<StopReason> {
        let waits = self.side.as_ref().is_some_and(|lists| lists.is_waiting());
        self.on_idle.reason().filter(|reason| *reason != StopReason::CaughtUp || !waits)
    }
}

/// Returns whether the server may be scanning without sending anything: during a filtered
/// replay, unless it is known to be a v2 server.
pub(super) fn may_scan_silently(stream: &EventConnection) -> bool {
    stream.protocol() == Protocol::V1
        && stream.is_filtered()
        && stream.kind() != Some(ServerKind::V2)
        && stream.info().requested != RequestedCursor::Live
}
