//! The legacy server's cutover from replay to live, including the losses that it causes: rules 1 to
//! 4 of protocol/jetstream-v1.md §4.2. A client's lossless join is tested against them, so this
//! code is *meant* to lose and reorder events; do not fix it.
//!
//! Pure: events are numbers, and the log and the clock are arguments. Sockets, filters and encoding
//! are elsewhere.

use std::collections::VecDeque;

/// Rule 1: live events are withheld until the newest queued event is within this distance of them.
const WITHHOLD_US: u64 = 1_000_000;
/// Rule 3: a pass is the last one if its last event is within this distance of the last event that
/// was emitted live.
const SWITCH_US: u64 = 500_000;

/// The properties of the log that the cutover needs.
pub(super) trait EventLog {
    /// Returns the `time_us` of an event.
    fn time_us(&self, event: u64) -> u64;
    /// Returns whether this connection's filter matches the event.
    fn wants(&self, event: u64) -> bool;
}

/// The outgoing queue of one connection, filled by the fan-out and the replay.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: VecDeque<u64>,
    limit: usize,
    /// The newest event ever queued, after filtering.
    newest: Option<u64>,
    /// The fan-out has offered all events below this number.
    fanned_out: u64,
    /// The current replay pass; `None` when live.
    pass: Option<ReplayPass>,
}

#[derive(Clone, Copy, Debug)]
struct ReplayPass {
    next: u64,
    /// The end of the log when the pass began: its snapshot.
    end: u64,
}

/// The queue is full: the connection is dropped without a close frame (rule 4, and §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

impl Outbox {
    /// Creates the outbox of a live connection at `tip`.
    pub(super) fn live(tip: u64, limit: usize) -> Self {
        Self { queue: VecDeque::new(), limit, newest: None, fanned_out: tip, pass: None }
    }

    /// Creates the outbox of a connection that replays from `from` while the log grows from `tip`.
    pub(super) fn replaying(from: u64, tip: u64, limit: usize) -> Self {
        let pass = Some(ReplayPass { next: from, end: tip });
        Self { pass, ..Self::live(tip, limit) }
    }

    /// Returns whether the cutover has happened.
    pub(super) fn is_live(&self) -> bool {
        self.pass.is_none()
    }

    /// Removes and returns the next event to send.
    pub(super) fn pop(&mut self) -> Option<u64> {
        self.queue.pop_front()
    }

    /// Runs the fan-out: offers the events since the last call, up to `tip`. The fan-out and a
    /// replay pass do not wait for each other.
    pub(super) fn fan_out(&mut self, log: &impl EventLog, tip: u64) -> Result<(), QueueFull> {
        while self.fanned_out < tip {
            let event = self.fanned_out;
            self.fanned_out += 1;
            // Rule 1. If no event was queued yet, the connection counts as far behind.
            let newest_us = self.newest.map_or(0, |e| log.time_us(e));
            let too_far_behind = newest_us.saturating_add(WITHHOLD_US) < log.time_us(event);
            if self.pass.is_some() && too_far_behind {
                continue;
            }
            if !log.wants(event) || self.is_old(event) {
                continue;
            }
            // Rule 4 during a replay pass, otherwise the slow-reader rule of §9.
            if self.queue.len() >= self.limit {
                return Err(QueueFull);
            }
            self.push(event);
        }
        Ok(())
    }

    /// Runs the replay: scans up to `budget` events and returns how many it scanned. Unlike the
    /// fan-out, it pauses when the queue is full.
    pub(super) fn replay(
        &mut self,
        log: &impl EventLog,
        tip: u64,
        emitted_us: u64,
        budget: u64,
    ) -> u64 {
        let mut looked_at = 0;
        while let Some(mut pass) = self.pass {
            if pass.next >= pass.end {
                self.pass = next_pass(log, pass, tip, emitted_us);
                continue;
            }
            if looked_at >= budget || self.queue.len() >= self.limit {
                break;
            }
            let event = pass.next;
            pass.next += 1;
            looked_at += 1;
            self.pass = Some(pass);
            // Rule 2: a live event that overtakes the replay makes the rest of the replay old.
            if log.wants(event) && !self.is_old(event) {
                self.push(event);
            }
        }
        looked_at
    }

    /// Rule 2's test. It compares positions in the log, which is the same as comparing times on a
    /// strictly increasing recording and loses no additional events on others.
    fn is_old(&self, event: u64) -> bool {
        self.newest.is_some_and(|newest| event <= newest)
    }

    fn push(&mut self, event: u64) {
        self.queue.push_back(event);
        self.newest = Some(event);
    }
}

/// Rule 3: returns the pass that follows one that has reached its snapshot; `None` to go live.
/// Events after the snapshot were withheld by rule 1 and are never sent if the connection is too
/// far behind at that time. Before anything was emitted (`emitted_us` 0), every pass is the last
/// one.
fn next_pass(
    log: &impl EventLog,
    done: ReplayPass,
    tip: u64,
    emitted_us: u64,
) -> Option<ReplayPass> {
    let last = done.end.checked_sub(1)?;
    let near = log.time_us(last).saturating_add(SWITCH_US) >= emitted_us;
    // A recording may be silent for longer than the network ever is; without this check, empty
    // passes would repeat for ever.
    let nothing_new = tip <= done.end;
    (!near && !nothing_new).then_some(ReplayPass { next: last, end: tip })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events 10 ms apart; the filter matches every `every`th event.
    struct Even {
        every: u64,
    }

    impl EventLog for Even {
        fn time_us(&self, event: u64) -> u64 {
            1_000_000_000 + event * 10_000
        }
        fn wants(&self, event: u64) -> bool {
            event.is_multiple_of(self.every)
        }
    }

    fn drain(outbox: &mut Outbox) -> Vec<u64> {
        std::iter::from_fn(|| outbox.pop()).collect()
    }

    #[test]
    fn live_events_are_sent_in_order() {
        let mut outbox = Outbox::live(10, 100);
        outbox.fan_out(&Even { every: 1 }, 13).unwrap();
        assert!(outbox.is_live());
        assert_eq!(drain(&mut outbox), [10, 11, 12]);
    }

    #[test]
    fn rule_1_withholds_live_events_from_a_connection_far_behind() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 1_000, 5_000);
        outbox.replay(&log, 1_000, log.time_us(1_000), 10);
        outbox.fan_out(&log, 1_005).unwrap();
        assert_eq!(drain(&mut outbox), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn rule_2_a_live_event_that_overtakes_drops_the_rest_of_the_replay() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 1_000, 5_000);
        outbox.replay(&log, 1_000, log.time_us(1_000), 950);
        outbox.fan_out(&log, 1_001).unwrap();
        outbox.replay(&log, 1_001, log.time_us(1_001), 5_000);
        let sent = drain(&mut outbox);
        assert_eq!(sent.len(), 951, "events 950 to 999 are lost");
        assert_eq!(sent.last(), Some(&1_000));
    }

    #[test]
    fn rule_3_a_sparse_filter_loses_what_happens_between_snapshot_and_switch() {
        let log = Even { every: 400 };
        let mut outbox = Outbox::replaying(0, 1_190, 5_000);
        outbox.replay(&log, 1_190, log.time_us(1_190), 1_000);
        outbox.fan_out(&log, 1_210).unwrap();
        outbox.replay(&log, 1_210, log.time_us(1_210), 1_000);
        assert!(outbox.is_live());
        outbox.fan_out(&log, 1_700).unwrap();
        assert_eq!(drain(&mut outbox), [0, 400, 800, 1_600], "1200 is lost");
    }

    #[test]
    fn a_pass_that_ends_too_early_is_followed_by_another() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 100, 5_000);
        outbox.replay(&log, 1_000, log.time_us(1_000), 5_000);
        assert!(outbox.is_live());
        assert_eq!(drain(&mut outbox), (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn rule_4_a_full_queue_drops_the_connection_and_only_pauses_the_replay() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 1_000, 960);
        outbox.replay(&log, 1_000, log.time_us(1_000), 5_000);
        assert!(!outbox.is_live());
        assert_eq!(outbox.fan_out(&log, 1_001), Err(QueueFull));
    }

    #[test]
    fn before_anything_was_emitted_every_pass_is_the_last() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 100, 5_000);
        outbox.replay(&log, 1_000, 0, 5_000);
        assert!(outbox.is_live());
        assert_eq!(drain(&mut outbox), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_replay_goes_live_at_once() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 0, 10);
        assert_eq!(outbox.replay(&log, 0, 0, 10), 0);
        assert!(outbox.is_live());
    }
}
