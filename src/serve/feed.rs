//! Selects the next event of a connection: from the log at the connection's own pace, or from the
//! legacy server's outgoing queue. Encoding and I/O are in `connection`.

use std::time::Duration;

use tokio::time::Instant;

use super::ServerLimits;
use super::ServerState;
use super::chaos::Chaos;
use super::cutover::{EventLog, Outbox, QueueFull};
use super::step::Step;
use super::subscription::{EventFilter, StreamStart};
use super::timeline::Timeline;
use crate::position::ServerKind;

/// Events scanned before the task yields: a sparse filter must not block the whole server.
const SCAN_EVENTS: u64 = 4_096;
/// Interval of a throttled replay: the granularity of the timer.
const REPLAY_TICK: Duration = Duration::from_millis(1);

/// The source of a connection's events.
#[derive(Debug)]
pub(super) enum Feed {
    /// Reads the log (v2 always, and every server at rate `max`).
    Log(LogReader),
    /// The legacy server's queue at a paced rate.
    Queue(LegacyQueue),
}

/// The place of a connection in the log.
#[derive(Debug)]
pub(super) struct LogReader {
    next: u64,
    /// Events sent.
    sent: u64,
    since: Instant,
}

/// The legacy server's queue, and the progress of its producers.
#[derive(Debug)]
pub(super) struct LegacyQueue {
    outbox: Outbox,
    /// Events that the replay scanned, which is what its limit counts.
    replayed: u64,
    /// Events sent.
    sent: u64,
    since: Instant,
    /// The instant up to which fan-out and replay have run.
    advanced_until: Option<Instant>,
}

struct FilteredLog<'a> {
    timeline: &'a Timeline,
    wants: &'a EventFilter,
    chaos: Option<&'a Chaos>,
    crashes: u64,
}

impl EventLog for FilteredLog<'_> {
    fn time_us(&self, event: u64) -> u64 {
        self.timeline.stamps.max_time_us(event)
    }

    fn wants(&self, event: u64) -> bool {
        let event = self.chaos.map_or(event, |chaos| chaos.event(event, self.crashes));
        let stamps = &self.timeline.stamps;
        !stamps.is_missing(event)
            && self.wants.matches_event(&stamps.recorded_line(event), stamps.is_v2_only(event))
    }
}

impl Feed {
    pub(super) fn new(from: StreamStart, shared: &ServerState, now: Instant) -> Self {
        let timeline = &shared.timeline;
        let tip = timeline.tip(now);
        let next = match from {
            StreamStart::Live => timeline.live_start(now),
            StreamStart::Tip => tip,
            StreamStart::Event(event) => event,
        };
        let is_limited = timeline.is_paced() || shared.limits.legacy_limits_at_max;
        if shared.kind() == ServerKind::V2 || !is_limited {
            return Self::Log(LogReader { next, sent: 0, since: now });
        }
        let limit = shared.limits.legacy_queue_events;
        let outbox = match from {
            StreamStart::Event(event) => Outbox::replaying(event, tip, limit),
            StreamStart::Live | StreamStart::Tip => Outbox::live(tip, limit),
        };
        Self::Queue(LegacyQueue { outbox, replayed: 0, sent: 0, since: now, advanced_until: None })
    }

    /// Returns the connection's next step. Time only advances between calls, through `now`. The log
    /// is read in the state after `crashes` crashes (see `chaos`; usually none).
    pub(super) fn step(
        &mut self,
        wants: &EventFilter,
        shared: &ServerState,
        now: Instant,
        crashes: u64,
    ) -> Step {
        let chaos = shared.chaos.as_ref();
        let log = FilteredLog { timeline: &shared.timeline, wants, chaos, crashes };
        match self {
            Self::Log(reader) => reader.step(&log, &shared.limits, now),
            Self::Queue(queue) => queue.step(&log, &shared.limits, now),
        }
    }
}

impl LogReader {
    fn step(&mut self, log: &FilteredLog<'_>, limits: &ServerLimits, now: Instant) -> Step {
        if exceeds(limits.v2_send_per_second, self.sent, self.since, now) {
            return Step::WaitUntil(now + REPLAY_TICK);
        }
        let tip = log.timeline.tip(now);
        for _ in 0..SCAN_EVENTS {
            if self.next >= tip {
                return wait_for(log.timeline, self.next);
            }
            let event = self.next;
            self.next += 1;
            if log.wants(event) {
                self.sent += 1;
                return Step::Send(event);
            }
        }
        Step::Yield
    }
}

/// Returns whether a connection has sent more events since it began than its limit allows.
fn exceeds(per_second: Option<u32>, sent: u64, since: Instant, now: Instant) -> bool {
    let elapsed = now.saturating_duration_since(since).as_secs_f64();
    per_second.is_some_and(|rate| sent as f64 > elapsed * f64::from(rate))
}

impl LegacyQueue {
    fn step(&mut self, log: &FilteredLog<'_>, limits: &ServerLimits, now: Instant) -> Step {
        if self.advanced_until != Some(now) {
            self.advanced_until = Some(now);
            let per_second = f64::from(limits.legacy_replay_per_second);
            if self.advance(log, per_second, now) == Err(QueueFull) {
                return Step::Disconnect;
            }
        }
        if exceeds(limits.legacy_send_per_second, self.sent, self.since, now) {
            return Step::WaitUntil(now + REPLAY_TICK);
        }
        match self.outbox.pop() {
            Some(event) => {
                self.sent += 1;
                Step::Send(event)
            }
            None if self.outbox.is_live() => wait_for(log.timeline, log.timeline.tip(now)),
            None => Step::WaitUntil(now + REPLAY_TICK),
        }
    }

    /// Runs the fan-out and the replay up to `now`.
    fn advance(
        &mut self,
        log: &FilteredLog<'_>,
        per_second: f64,
        now: Instant,
    ) -> Result<(), QueueFull> {
        let tip = log.timeline.tip(now);
        self.outbox.fan_out(log, tip)?;
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        let allowed = (elapsed * per_second) as u64 + 1;
        let budget = allowed.saturating_sub(self.replayed).min(SCAN_EVENTS);
        let emitted_us = log.timeline.emitted_us(now);
        self.replayed += self.outbox.replay(log, tip, emitted_us, budget);
        Ok(())
    }
}

fn wait_for(timeline: &Timeline, event: u64) -> Step {
    match timeline.due_at(event) {
        Some(due) => Step::WaitUntil(due),
        None => Step::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::archive::{Archive, SegmentCache};
    use crate::serve::demo;
    use crate::serve::dictionary::Dictionaries;
    use crate::serve::filter::V1Filter;
    use crate::serve::stamps::Stamps;
    use crate::serve::{AtEnd, Rate};

    const EVENTS: u64 = 30_000;

    /// Returns a legacy server with about 11,000 events/s and a replay limit of 30,000/s, and an
    /// instant `played` after its start.
    fn server(played: Duration) -> (ServerState, Instant) {
        let recording = demo::recording(11, EVENTS as usize, 1_795_000_000_000_000);
        let stamps = Stamps::new(recording, ServerKind::Legacy).unwrap();
        let timeline = Timeline::new(stamps, Rate::Speed(20.0), false, false, 0);
        let limits = ServerLimits { legacy_replay_per_second: 30_000, ..ServerLimits::default() };
        let start = Instant::now();
        timeline.start(start, 0);
        let dictionaries = Dictionaries::default();
        let archive = Archive {
            block_events: 100,
            api_key: None,
            cache: SegmentCache::default(),
            compaction: None,
        };
        let at_end = AtEnd::Close;
        let shared = ServerState { timeline, limits, at_end, dictionaries, archive, chaos: None };
        (shared, start + played)
    }

    /// Returns all events that a connection gets; time advances by 1 ms per idle step.
    fn run(
        from: StreamStart,
        wants: &EventFilter,
        shared: &ServerState,
        start: Instant,
    ) -> Vec<u64> {
        let mut feed = Feed::new(from, shared, start);
        let (mut now, mut sent) = (start, Vec::new());
        loop {
            match feed.step(wants, shared, now, 0) {
                Step::Send(event) => sent.push(event),
                Step::Yield | Step::WaitUntil(_) => now += Duration::from_millis(1),
                Step::End => return sent,
                Step::Disconnect => panic!("cut after {} events", sent.len()),
            }
        }
    }

    fn posts() -> EventFilter {
        let collections = ["app.bsky.feed.post".to_owned()];
        EventFilter::V1(V1Filter::from_lists(&collections, &[], 0, ServerKind::Legacy).unwrap())
    }

    fn wanted_from(from: u64, wants: &EventFilter, shared: &ServerState) -> Vec<u64> {
        let log = FilteredLog { timeline: &shared.timeline, wants, chaos: None, crashes: 0 };
        (from..EVENTS).filter(|&e| log.wants(e)).collect()
    }

    #[test]
    fn a_legacy_connection_without_cursor_loses_nothing() {
        let (shared, now) = server(Duration::from_millis(700));
        let tip = shared.timeline.tip(now);
        assert!(tip > 1_000);
        for wants in [EventFilter::V1(V1Filter::default()), posts()] {
            let sent = run(StreamStart::Live, &wants, &shared, now);
            assert_eq!(sent, wanted_from(tip, &wants, &shared));
        }
    }

    #[test]
    fn a_legacy_replay_loses_events_at_the_cutover() {
        let (shared, now) = server(Duration::from_millis(700));
        for wants in [EventFilter::V1(V1Filter::default()), posts()] {
            let sent = run(StreamStart::Event(500), &wants, &shared, now);
            let all = wanted_from(500, &wants, &shared);
            assert!(sent.is_sorted() && sent.len() < all.len(), "{} {}", sent.len(), all.len());
            assert_eq!(sent.last(), all.last(), "live in the end");
        }
    }

    /// The lossless join of protocol/jetstream-v1.md §4.2 relies on this.
    #[test]
    fn a_legacy_replay_is_complete_up_to_one_second_before_the_tip_of_its_start() {
        let (shared, now) = server(Duration::from_millis(700));
        let tip_us = shared.timeline.stamps.max_time_us(shared.timeline.tip(now) - 1);
        let safe = |e: &u64| shared.timeline.stamps.max_time_us(*e) + 1_000_000 < tip_us;
        for wants in [EventFilter::V1(V1Filter::default()), posts()] {
            let sent = run(StreamStart::Event(500), &wants, &shared, now);
            let (sent, all) = (sent.into_iter(), wanted_from(500, &wants, &shared).into_iter());
            let all: Vec<u64> = all.filter(safe).collect();
            assert!(all.len() > 100);
            assert_eq!(sent.filter(safe).collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn a_v2_replay_loses_nothing() {
        let recording = demo::recording(11, EVENTS as usize, 1_795_000_000_000_000);
        let (mut shared, now) = server(Duration::from_millis(700));
        let stamps = Stamps::new(recording, ServerKind::V2).unwrap();
        shared.timeline = Timeline::new(stamps, Rate::Speed(20.0), false, false, 0);
        shared.timeline.start(now, 0);
        let now = now + Duration::from_millis(700);
        for wants in [EventFilter::V1(V1Filter::default()), posts()] {
            let sent = run(StreamStart::Event(500), &wants, &shared, now);
            assert_eq!(sent, wanted_from(500, &wants, &shared));
        }
    }
}
