//! Which event a connection gets next: from the log at its own pace, or from the legacy
//! server's outgoing queue. Decides about events; encoding and sockets are `connection`'s.

use tokio::time::Instant;

use super::Shared;
use super::cutover::{Full, Log, Outbox};
use super::request::From;
use super::timeline::Timeline;
use super::wanted::Wanted;
use crate::position::ServerKind;

/// Events looked at in one go before others get their turn: a sparse filter must not hold up
/// the whole server.
const SCAN_EVENTS: u64 = 4_096;

/// Where a connection's events come from.
#[derive(Debug)]
pub(super) enum Feed {
    /// Reads the log (every server at rate `max`, and v2 always).
    Log { next: u64 },
    /// The legacy server's queue at a paced rate.
    Queue { outbox: Outbox, replayed: u64, since: Instant },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this event.
    Send(u64),
    /// Nothing yet, but ask again at once.
    Again,
    /// Nothing before this instant.
    WaitUntil(Instant),
    /// Nothing will ever come.
    End,
    /// Cut the connection without a word.
    Cut,
}

struct Filtered<'a> {
    timeline: &'a Timeline,
    wanted: &'a Wanted,
}

impl Log for Filtered<'_> {
    fn time_us(&self, event: u64) -> u64 {
        self.timeline.stamps.latest_us(event)
    }

    fn wants(&self, event: u64) -> bool {
        self.wanted.lets_through(&self.timeline.stamps.recorded_line(event))
    }
}

impl Feed {
    pub(super) fn new(from: From, shared: &Shared, now: Instant) -> Self {
        let timeline = &shared.timeline;
        let tip = timeline.tip(now);
        let next = match from {
            From::Live => timeline.live(now),
            From::Tip => tip,
            From::Event(event) => event,
        };
        if shared.kind() == ServerKind::V2 || !timeline.is_paced() {
            return Self::Log { next };
        }
        let limit = shared.limits.legacy_queue_events;
        let outbox = match from {
            From::Event(event) => Outbox::replaying(event, tip, limit),
            From::Live | From::Tip => Outbox::live(tip, limit),
        };
        Self::Queue { outbox, replayed: 0, since: now }
    }

    pub(super) fn step(&mut self, wanted: &Wanted, shared: &Shared, now: Instant) -> Step {
        let timeline = &shared.timeline;
        match self {
            Self::Log { next } => step_log(next, &Filtered { timeline, wanted }, now),
            Self::Queue { outbox, replayed, since } => {
                let elapsed = now.saturating_duration_since(*since).as_secs_f64();
                let per_second = f64::from(shared.limits.legacy_replay_per_second);
                let allowed = (elapsed * per_second) as u64 + 1;
                let budget = allowed.saturating_sub(*replayed).min(SCAN_EVENTS);
                let log = Filtered { timeline, wanted };
                let (looked_at, step) = step_queue(outbox, &log, budget, now);
                *replayed += looked_at;
                step
            }
        }
    }
}

fn step_log(next: &mut u64, log: &Filtered<'_>, now: Instant) -> Step {
    let tip = log.timeline.tip(now);
    for _ in 0..SCAN_EVENTS {
        if *next >= tip {
            return until(log.timeline, *next);
        }
        let event = *next;
        *next += 1;
        if log.wants(event) {
            return Step::Send(event);
        }
    }
    Step::Again
}

fn step_queue(outbox: &mut Outbox, log: &Filtered<'_>, budget: u64, now: Instant) -> (u64, Step) {
    if let Some(event) = outbox.pop() {
        return (0, Step::Send(event));
    }
    let timeline = log.timeline;
    let tip = timeline.tip(now);
    if outbox.fan_out(log, tip) == Err(Full) {
        return (0, Step::Cut);
    }
    let looked_at = outbox.replay(log, tip, timeline.clock_us(now), budget);
    let step = match outbox.pop() {
        Some(event) => Step::Send(event),
        None if outbox.is_live() => until(timeline, tip),
        // The throttle counts in much less than a timer's grain.
        None => Step::WaitUntil(now + std::time::Duration::from_millis(1)),
    };
    (looked_at, step)
}

fn until(timeline: &Timeline, event: u64) -> Step {
    match timeline.due(event) {
        Some(due) => Step::WaitUntil(due),
        None => Step::End,
    }
}
