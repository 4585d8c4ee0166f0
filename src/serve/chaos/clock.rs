//! The times that a server with clock faults shows: repeated, stepped back, imported, absurd. Pure.
//!
//! A shown time is never later than the true one, so that a client that resumes from a shown time
//! starts early enough. `absurd` is the exception: a client must not trust it. A client does trust
//! two events that agree, so that no two absurd times are closer than `ABSURD_APART` events.

use super::fault::Fault;
use super::random::injects_everywhere;
use super::spec::ChaosSpec;

/// Number of events for which a stepped clock stays back.
const STEP_EVENTS: usize = 20;
/// Minimum number of events from one absurd time to the next.
const ABSURD_APART: usize = 16;
const YEAR_US: u64 = 365 * 86_400 * 1_000_000;
/// Maximum age of an imported event in years; the minimum is 1.
const IMPORTED_YEARS: u64 = 10;

/// The year 9999, in Unix microseconds.
const YEAR_9999_US: u64 = 253_402_300_799_000_000;
/// Maximum distance of a future time that is not obviously absurd.
const DAY_US: u64 = 86_400 * 1_000_000;

/// Returns the shown times for these true times.
pub(in crate::serve) fn shown_times(spec: &ChaosSpec, times_us: &[u64]) -> Vec<u64> {
    let step = spec.odds(Fault::Step).map_or(0, |o| o.duration.as_micros());
    let step_us = u64::try_from(step).unwrap_or(u64::MAX);
    let mut back_until = 0;
    let mut shown: Vec<u64> = Vec::with_capacity(times_us.len());
    let mut absurd_from = 0;
    for (i, &time_us) in times_us.iter().enumerate() {
        let event = i as u64;
        if injects_everywhere(spec, Fault::Step, event).is_some() {
            back_until = i + STEP_EVENTS;
        }
        let mut back_us = if i < back_until { step_us } else { 0 };
        if let Some(draw) = injects_everywhere(spec, Fault::Imported, event) {
            back_us += YEAR_US + draw.below(0, (IMPORTED_YEARS - 1) * YEAR_US);
        }
        let mut time_us = time_us.saturating_sub(back_us).max(1);
        if let (Some(_), Some(&before_us)) =
            (injects_everywhere(spec, Fault::Same, event), shown.last())
        {
            time_us = time_us.min(before_us);
        }
        let absurd = injects_everywhere(spec, Fault::Absurd, event).filter(|_| i >= absurd_from);
        if let Some(draw) = absurd {
            absurd_from = i + ABSURD_APART;
            time_us = match draw.below(0, 2) {
                0 => YEAR_9999_US,
                _ => time_us + 60_000_000 + draw.below(1, DAY_US),
            };
        } else if i == 0 && spec.odds(Fault::Absurd).is_some() {
            absurd_from = ABSURD_APART;
            time_us = YEAR_9999_US;
        }
        shown.push(time_us);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_783_175_888_000_000;

    fn shown(spec: &str) -> Vec<u64> {
        let times: Vec<u64> = (0..1_000).map(|i| T + i * 1_000).collect();
        let shown = shown_times(&spec.parse().unwrap(), &times);
        assert!(shown.iter().zip(&times).all(|(shown, true_us)| shown <= true_us));
        shown
    }

    #[test]
    fn without_such_faults_times_are_true() {
        assert_eq!(shown("close=1")[7], T + 7_000);
    }

    #[test]
    fn a_step_sets_the_clock_back_for_twenty_events() {
        let shown = shown("step=100:5s");
        let first = shown.windows(2).position(|w| w[1] < w[0]).unwrap() + 1;
        let back = &shown[first..first + STEP_EVENTS];
        let off = |i: usize| T + (first + i) as u64 * 1_000 - 5_000_000;
        assert!(back.iter().enumerate().all(|(i, &time_us)| time_us == off(i)));
    }

    #[test]
    fn the_first_event_and_some_others_are_far_ahead() {
        let times: Vec<u64> = (0..1_000).map(|i| T + i * 1_000).collect();
        let shown = shown_times(&"absurd=50".parse().unwrap(), &times);
        assert_eq!(shown[0], YEAR_9999_US);
        let far = shown.iter().zip(&times).filter(|(shown, t)| **shown > **t + 59_000_000);
        assert!((5..60).contains(&far.count()));
        assert!(shown.iter().zip(&times).all(|(shown, t)| shown >= t));
    }

    #[test]
    fn some_events_share_a_time_and_some_are_years_older() {
        let same = shown("same=10");
        assert!(same.windows(2).filter(|w| w[0] == w[1]).count() > 50);
        assert!(same.is_sorted());
        let imported = shown("imported=10");
        let old = imported.iter().filter(|&&time_us| time_us < T - YEAR_US / 2);
        assert!((50..200).contains(&old.count()));
    }
}
