//! The recording as another server instance would send it: another clock, other seqs, and accounts
//! interleaved slightly differently (protocol/jetstream-v1.md §8). Pure.

use std::collections::HashMap;

use super::random::Draw;

/// Maximum delay with which an instance sees an event, in microseconds. Events of different
/// accounts are reordered within this time.
const JITTER_US: u64 = 20_000;
/// Maximum error of an instance's clock, in microseconds.
const CLOCK_ERROR_US: i64 = 1_000_000;
/// Range of first seqs: all have the same number of digits, so that lines keep their length.
const SEQS: std::ops::Range<u64> = 100_000_000..900_000_000;

/// One event in an instance's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct InstanceEvent {
    /// Its index in the recording.
    pub event: usize,
    /// The time at which this instance saw it, by its own clock.
    pub time_us: u64,
}

/// Returns the difference between this instance's clock and the recording's, in microseconds.
pub(in crate::serve) fn clock_error_us(instance: u64) -> i64 {
    let range = 2 * CLOCK_ERROR_US.unsigned_abs() + 1;
    Draw::of(instance).below(0, range).cast_signed() - CLOCK_ERROR_US
}

/// Returns the first seq that this instance assigns.
pub(in crate::serve) fn first_seq(instance: u64) -> u64 {
    SEQS.start + Draw::of(instance).below(1, SEQS.end - SEQS.start)
}

/// Reorders a recording as this instance would have received it. `events` are times
/// (non-decreasing) and accounts. The order within an account is kept, and events that share a time
/// (the operations of one commit) still share one.
pub(in crate::serve) fn reorder_for_instance<'a>(
    instance: u64,
    events: impl Iterator<Item = (u64, &'a str)>,
) -> Vec<InstanceEvent> {
    let draw = Draw::of(instance);
    // Per account: the last event's time in the recording and on this instance.
    let mut last: HashMap<&str, (u64, u64)> = HashMap::new();
    let mut received: Vec<InstanceEvent> = Vec::new();
    for (event, (recorded_us, account)) in events.enumerate() {
        let received_us = recorded_us + draw.below(2 + event as u64, JITTER_US);
        let time_us = match last.get(account) {
            Some(&(last_recorded_us, instance_us)) if last_recorded_us == recorded_us => {
                instance_us
            }
            Some(&(_, instance_us)) => received_us.max(instance_us),
            None => received_us,
        };
        last.insert(account, (recorded_us, time_us));
        received.push(InstanceEvent { event, time_us });
    }
    received.sort_by_key(|t| t.time_us);
    let clock_error_us = clock_error_us(instance);
    for event in &mut received {
        event.time_us = event.time_us.saturating_add_signed(clock_error_us).max(1);
    }
    received
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_783_175_888_000_000;
    const ACCOUNTS: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn recorded(event: usize) -> (u64, &'static str) {
        // Every seventh event has a sibling that shares its time.
        let place = event - usize::from(event % 7 == 6);
        (T + place as u64 * 1_000, ACCOUNTS[place % 5])
    }

    fn received(instance: u64) -> Vec<InstanceEvent> {
        reorder_for_instance(instance, (0..1_000).map(recorded))
    }

    #[test]
    fn instances_send_the_same_events_in_other_orders_with_other_times() {
        let (one, two) = (received(1), received(2));
        assert_eq!(one, received(1));
        let order =
            |received: &[InstanceEvent]| received.iter().map(|t| t.event).collect::<Vec<_>>();
        assert_ne!(order(&one), order(&two));
        let mut sorted = order(&one);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1_000).collect::<Vec<_>>());
        assert_ne!(clock_error_us(1), clock_error_us(2));
        assert_ne!(first_seq(1), first_seq(2));
    }

    #[test]
    fn times_increase_and_are_near_the_recorded_ones() {
        for instance in 0..20 {
            let received = received(instance);
            assert!(received.is_sorted_by_key(|t| t.time_us));
            let error = clock_error_us(instance);
            assert!(error.abs() <= CLOCK_ERROR_US);
            for t in received {
                let late = t.time_us.saturating_add_signed(-error) - recorded(t.event).0;
                assert!(late < JITTER_US, "{late}");
            }
        }
    }

    #[test]
    fn within_an_account_the_order_stays_and_siblings_share_their_time() {
        let received = received(3);
        for account in ACCOUNTS {
            let of = |t: &&InstanceEvent| recorded(t.event).1 == account;
            assert!(received.iter().filter(of).is_sorted_by_key(|t| t.event));
        }
        let time = |event| received.iter().find(|t| t.event == event).unwrap().time_us;
        assert!((0..100).all(|i| time(i * 7 + 5) == time(i * 7 + 6)));
    }
}
