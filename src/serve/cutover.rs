//! How the legacy server goes from replay to live, with the losses that this has: the rules
//! 1 to 4 of protocol/jetstream-v1.md §4.2, so that a client's lossless join can be proven
//! against them. It is *meant* to lose and reorder events; do not repair it.
//!
//! Pure: events are numbers, the log and the clock are passed in. Sockets, filters and
//! encoding are elsewhere.

use std::collections::VecDeque;

/// Rule 1: live events are withheld until the newest queued event is this near to them.
const WITHHOLD_US: u64 = 1_000_000;
/// Rule 3: a pass whose last event is this near to the last event emitted live is the last
/// one.
const SWITCH_US: u64 = 500_000;

/// What the cutover needs to know of the log.
pub(super) trait EventLog {
    /// `time_us` of an event.
    fn time_us(&self, event: u64) -> u64;
    /// Whether this connection's filters let it through.
    fn wants(&self, event: u64) -> bool;
}

/// The outgoing queue of one connection, and who fills it.
#[derive(Debug)]
pub(super) struct Outbox {
    queue: VecDeque<u64>,
    limit: usize,
    /// The newest event ever queued; only what passed the filters counts.
    newest: Option<u64>,
    /// Events below this were offered by the fan-out.
    fanned_out: u64,
    /// The pass under way; `None` when live.
    pass: Option<ReplayPass>,
}

#[derive(Clone, Copy, Debug)]
struct ReplayPass {
    next: u64,
    /// The log's end when the pass began: its snapshot.
    end: u64,
}

/// The queue is full: the connection is cut without a close frame (rule 4, and §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

impl Outbox {
    /// A live connection at `tip`.
    pub(super) fn live(tip: u64, limit: usize) -> Self {
        Self { queue: VecDeque::new(), limit, newest: None, fanned_out: tip, pass: None }
    }

    /// A connection that replays from `from` while the log goes on from `tip`.
    pub(super) fn replaying(from: u64, tip: u64, limit: usize) -> Self {
        let pass = Some(ReplayPass { next: from, end: tip });
        Self { pass, ..Self::live(tip, limit) }
    }

    /// Whether the switch to live has happened.
    pub(super) fn is_live(&self) -> bool {
        self.pass.is_none()
    }

    /// The next event to send.
    pub(super) fn pop(&mut self) -> Option<u64> {
        self.queue.pop_front()
    }

    /// The fan-out: offers what happened since the last time, up to `tip`. A pass under way
    /// does not wait for it, nor it for the pass.
    pub(super) fn fan_out(&mut self, log: &impl EventLog, tip: u64) -> Result<(), QueueFull> {
        while self.fanned_out < tip {
            let event = self.fanned_out;
            self.fanned_out += 1;
            // Rule 1. Of a connection to which nothing was queued yet, nothing is known but
            // that it is far behind.
            let newest_us = self.newest.map_or(0, |e| log.time_us(e));
            let too_far_behind = newest_us.saturating_add(WITHHOLD_US) < log.time_us(event);
            if self.pass.is_some() && too_far_behind {
                continue;
            }
            if !log.wants(event) || self.is_old(event) {
                continue;
            }
            // Rule 4 where a pass is under way, §9's slow reader where none is.
            if self.queue.len() >= self.limit {
                return Err(QueueFull);
            }
            self.push(event);
        }
        Ok(())
    }

    /// The replay: looks at up to `budget` events and returns how many it took. Blocks on a
    /// full queue, unlike the fan-out.
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
            // Rule 2: a live event that overtook the replay makes all of it old.
            if log.wants(event) && !self.is_old(event) {
                self.push(event);
            }
        }
        looked_at
    }

    /// Rule 2's test. Compared by place in the log, which on a strictly increasing recording
    /// is the same as by time, and loses nothing more on one that is not.
    fn is_old(&self, event: u64) -> bool {
        self.newest.is_some_and(|newest| event <= newest)
    }

    fn push(&mut self, event: u64) {
        self.queue.push_back(event);
        self.newest = Some(event);
    }
}

/// Rule 3: what follows a pass that has reached its snapshot; `None` for live. What happened
/// after the snapshot was withheld by rule 1 and is never sent, if the connection is too far
/// behind by then. Before anything was emitted (`emitted_us` 0), every pass is the last one.
fn next_pass(
    log: &impl EventLog,
    done: ReplayPass,
    tip: u64,
    emitted_us: u64,
) -> Option<ReplayPass> {
    let last = done.end.checked_sub(1)?;
    let near = log.time_us(last).saturating_add(SWITCH_US) >= emitted_us;
    // A recording may be silent for longer than the network ever is; passes over nothing
    // would then go on for ever.
    let nothing_new = tip <= done.end;
    (!near && !nothing_new).then_some(ReplayPass { next: last, end: tip })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events 10 ms apart; wanted is every `every`th.
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
    fn live_events_pass_in_order() {
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
    fn rule_4_a_full_queue_cuts_the_fan_out_and_only_halts_the_replay() {
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
    fn a_replay_of_nothing_is_live_at_once() {
        let log = Even { every: 1 };
        let mut outbox = Outbox::replaying(0, 0, 10);
        assert_eq!(outbox.replay(&log, 0, 0, 10), 0);
        assert!(outbox.is_live());
    }
}
