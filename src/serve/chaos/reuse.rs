//! A v2 server that crashes and assigns its last seqs again: which events have which seqs before
//! and after each crash. Pure.
//!
//! A *slot* is a position in the log and determines a seq; an *event* is a line of the recording.
//! Each crash happens in the middle of a window of slots, so that some clients have received the
//! window's first slots. Afterwards the window's events have the same seqs in another order; the
//! order within an account is kept. A client that resumes after the last seq that it received then
//! misses the events that moved to the front.

use std::collections::{HashMap, VecDeque};

use super::fault::Fault;
use super::random::{Draw, injects_everywhere};
use super::spec::ChaosSpec;

/// Maximum number of slots in a window.
const WINDOW: u64 = 20;
/// Maximum number of reorderings to try until an event moves to the front.
const ATTEMPTS: u64 = 32;

/// All crashes of one round of the recording.
#[derive(Debug)]
pub(in crate::serve) struct SeqReuse {
    windows: Vec<Window>,
    /// Events per round.
    len: u64,
}

#[derive(Debug)]
struct Window {
    start: u64,
    /// The crash follows directly after this slot was sent for the first time.
    crash: u64,
    /// For each slot of the window, the event that it holds afterwards; both are relative to
    /// `start`.
    order: Vec<usize>,
}

impl SeqReuse {
    /// Creates the crashes for a recording of `len` events; `account` returns an event's account.
    pub(super) fn new(spec: &ChaosSpec, len: u64, account: impl Fn(u64) -> String) -> Self {
        let mut windows = Vec::new();
        let mut free_from = 0;
        for slot in 0..len {
            let Some(draw) = injects_everywhere(spec, Fault::Reuse, slot) else { continue };
            let before = WINDOW / 4 + draw.below(0, WINDOW / 2);
            let start = slot.saturating_sub(before).max(free_from);
            let end = (start + WINDOW).min(len);
            // Each crash has its own window; without room for a window there is no crash.
            if slot < free_from || slot + 1 >= end {
                continue;
            }
            let accounts: Vec<String> = (start..end).map(&account).collect();
            let seen = (slot - start) as usize;
            windows.push(Window { start, crash: slot, order: reorder(&accounts, seen, draw) });
            free_from = end;
        }
        Self { windows, len }
    }

    /// Returns the event in a slot after this many crashes.
    pub(in crate::serve) fn event(&self, slot: u64, crashes: u64) -> u64 {
        let (round, index) = (slot / self.len, slot % self.len);
        let after = self.windows.partition_point(|w| w.start <= index);
        let Some(window) = after.checked_sub(1).and_then(|i| self.windows.get(i)) else {
            return slot;
        };
        let happened = crashes >= round * self.windows.len() as u64 + after as u64;
        match window.order.get((index - window.start) as usize) {
            Some(&event) if happened => round * self.len + window.start + event as u64,
            _ => slot,
        }
    }

    /// Returns how many crashes have happened once a slot was sent.
    pub(in crate::serve) fn crashes_by(&self, slot: u64) -> u64 {
        let (round, index) = (slot / self.len, slot % self.len);
        let within = self.windows.partition_point(|w| w.crash <= index);
        round * self.windows.len() as u64 + within as u64
    }
}

/// Returns another order of the events with these accounts. At least one event moves from after
/// index `seen` to before it, if an attempt finds such an order.
fn reorder(accounts: &[String], seen: usize, draw: Draw) -> Vec<usize> {
    let moved = |order: &[usize]| order.iter().take(seen + 1).any(|&event| event > seen);
    let mut orders = (0..ATTEMPTS).map(|attempt| shuffle(accounts, draw, attempt));
    let first = orders.next().unwrap_or_default();
    if moved(&first) { first } else { orders.find(|o| moved(o)).unwrap_or(first) }
}

/// Shuffles the accounts and assigns each its events in their original order.
fn shuffle(accounts: &[String], draw: Draw, attempt: u64) -> Vec<usize> {
    let mut places: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let mut events: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (event, account) in places.iter().enumerate() {
        events.entry(account).or_default().push_back(event);
    }
    for i in (1..places.len()).rev() {
        let which = (attempt + 1) * WINDOW + i as u64;
        places.swap(i, draw.below(which, i as u64 + 1) as usize);
    }
    places.into_iter().filter_map(|account| events.get_mut(account)?.pop_front()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: u64 = 1_000;

    fn account(event: u64) -> String {
        format!("account {}", event % 3)
    }

    fn reuse(seed: u64) -> SeqReuse {
        let spec = format!("seed={seed},reuse=50").parse().unwrap();
        SeqReuse::new(&spec, EVENTS, account)
    }

    #[test]
    fn the_same_seed_crashes_at_the_same_slots() {
        let crashes =
            |reuse: &SeqReuse| (0..EVENTS).map(|s| reuse.crashes_by(s)).collect::<Vec<_>>();
        assert_eq!(crashes(&reuse(1)), crashes(&reuse(1)));
        assert_ne!(crashes(&reuse(1)), crashes(&reuse(2)));
        assert!((5..30).contains(&reuse(1).crashes_by(EVENTS - 1)));
    }

    #[test]
    fn a_window_is_unchanged_before_its_crash() {
        let reuse = reuse(3);
        for slot in 0..EVENTS {
            assert_eq!(reuse.event(slot, 0), slot);
        }
    }

    #[test]
    fn a_crash_permutes_its_window_and_keeps_the_order_within_accounts() {
        for seed in 0..20 {
            let reuse = reuse(seed);
            let all = reuse.crashes_by(EVENTS - 1);
            let events: Vec<u64> = (0..EVENTS).map(|s| reuse.event(s, all)).collect();
            let mut sorted = events.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..EVENTS).collect::<Vec<_>>());
            for one in 0..3 {
                assert!(events.iter().filter(|&e| e % 3 == one).is_sorted());
            }
            assert!(events.iter().zip(0..).all(|(&e, slot)| e.abs_diff(slot) < WINDOW));
        }
    }

    #[test]
    fn a_client_that_resumes_after_its_last_seq_misses_an_event() {
        let reuse = reuse(4);
        let mut before = 0;
        for slot in 0..EVENTS {
            let crashes = reuse.crashes_by(slot);
            if crashes > before {
                let missed = (0..=slot).any(|s| reuse.event(s, crashes) > slot);
                assert!(missed, "crash at {slot}");
            }
            before = crashes;
        }
    }

    #[test]
    fn each_round_has_its_own_crashes() {
        let reuse = reuse(5);
        let all = reuse.crashes_by(EVENTS - 1);
        let slot = (0..EVENTS).find(|&s| reuse.event(s, all) != s).unwrap();
        assert_eq!(reuse.event(EVENTS + slot, all), EVENTS + slot);
        assert_eq!(reuse.crashes_by(2 * EVENTS - 1), 2 * all);
        assert_eq!(reuse.event(EVENTS + slot, 2 * all), EVENTS + reuse.event(slot, all));
    }
}
