//! Decides when the server in use lacks so many events that the run leaves it for the witness
//! (`--witness-leave`). Pure.
//!
//! The events of both streams are counted in periods of one window. A period is judged when both
//! streams have passed its end by the window: then it is known what each server lacks.

use std::collections::VecDeque;

use crate::position::TimeUs;

/// Fewer missing events than this prove nothing.
const MIN_MISSING: u64 = 10;

/// The server in use lacks this many times as many events as the witness, or it is not left.
const MIN_RATIO: u64 = 2;

/// Windows after a change of server in which the run does not leave the next one. Each change
/// doubles them, up to [`MAX_REST`], so that two servers that lack events are not changed for ever.
const MIN_REST: u64 = 10;
const MAX_REST: u64 = 1_280;

/// Most periods that wait to be judged. A witness that is further behind judges no older one.
const MAX_PERIODS: usize = 32;

/// The events of one period.
#[derive(Clone, Copy, Debug)]
struct Period {
    /// Its number: its start, in windows.
    number: u64,
    /// Events that the server in use sent.
    sent: u64,
    /// Events that only the witness sent.
    missing: u64,
    /// Events that only the server in use sent.
    unwitnessed: u64,
}

/// How far the comparison has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// How far each stream has come.
    pub(super) main: TimeUs,
    pub(super) witness: TimeUs,
    /// From when on everything is compared; `None` before that is known.
    pub(super) compared_from: Option<TimeUs>,
}

/// Why a server is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) missing: u64,
    /// All events of the period.
    pub(super) events: u64,
    /// The start of the period.
    pub(super) from: TimeUs,
    /// The end of what was compared before it, if there is a stretch between the two.
    pub(super) uncompared_from: Option<TimeUs>,
}

/// Watches the share of the events that the server in use lacks.
#[derive(Debug)]
pub(super) struct LossWatch {
    window_us: u64,
    /// The share from which on a server is left, in events of a million.
    limit_ppm: u32,
    periods: VecDeque<Period>,
    /// Up to when the server in use was compared, or began; `None` if an earlier run compared it.
    known_until: Option<TimeUs>,
    /// No server is left before.
    rest_until: TimeUs,
    /// Windows to wait after the next change.
    rest: u64,
}

impl LossWatch {
    pub(super) fn new(window_us: u64, limit_ppm: u32) -> Self {
        Self {
            window_us: window_us.max(1),
            limit_ppm,
            periods: VecDeque::new(),
            known_until: None,
            rest_until: TimeUs(0),
            rest: MIN_REST,
        }
    }

    /// Notes the first event of the server in use in this run.
    pub(super) fn begin(&mut self, at: TimeUs) {
        self.known_until = Some(at);
    }

    pub(super) fn add_sent(&mut self, clock: TimeUs) {
        self.count(clock, |period| period.sent += 1);
    }

    pub(super) fn add_missing(&mut self, clock: TimeUs) {
        self.count(clock, |period| period.missing += 1);
    }

    pub(super) fn add_unwitnessed(&mut self, clock: TimeUs) {
        self.count(clock, |period| period.unwitnessed += 1);
    }

    /// Counts an event of the period at `clock`, unless that was judged.
    fn count(&mut self, clock: TimeUs, add: impl FnOnce(&mut Period)) {
        let number = clock.0 / self.window_us;
        let place = self.periods.partition_point(|period| period.number < number);
        if self.periods.get(place).is_none_or(|period| period.number != number) {
            let period = Period { number, sent: 0, missing: 0, unwitnessed: 0 };
            self.periods.insert(place, period);
        }
        self.periods.get_mut(place).map(add);
        if self.periods.len() > MAX_PERIODS {
            self.periods.pop_front();
        }
    }

    /// Forgets what was counted: another server is in use from now on.
    pub(super) fn change_server(&mut self, at: TimeUs) {
        self.periods.clear();
        self.known_until = Some(at);
    }

    /// Judges the periods that both streams have passed. Returns the loss for which the server in
    /// use has to be left.
    pub(super) fn check(&mut self, progress: Progress) -> Option<Loss> {
        let passed = progress.main.min(progress.witness).minus_us(self.window_us).0;
        while let Some(period) = self.periods.front().copied()
            && (period.number + 1).saturating_mul(self.window_us) <= passed
        {
            self.periods.pop_front();
            let from = TimeUs(period.number * self.window_us);
            if progress.compared_from.is_none_or(|compared_from| from < compared_from) {
                continue;
            }
            let before = self.known_until.filter(|until| *until < from);
            self.known_until = Some(from.plus_us(self.window_us));
            if !self.is_lossy(&period) || progress.main < self.rest_until {
                continue;
            }
            let rest_us = self.rest.saturating_mul(self.window_us);
            self.rest_until = progress.main.plus_us(rest_us);
            self.rest = (self.rest * 2).min(MAX_REST);
            let Period { missing, sent, .. } = period;
            return Some(Loss { missing, events: sent + missing, from, uncompared_from: before });
        }
        None
    }

    fn is_lossy(&self, period: &Period) -> bool {
        let Period { sent, missing, unwitnessed, .. } = *period;
        let share_of = u128::from(sent + missing) * u128::from(self.limit_ppm);
        missing >= MIN_MISSING
            && u128::from(missing) * 1_000_000 >= share_of
            && missing >= unwitnessed.saturating_mul(MIN_RATIO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: u64 = 10;

    /// Passes periods of a hundred events that the server in use sent, in which these numbers are
    /// missing and unwitnessed. Returns the numbers of those for which it is left.
    fn left(percent: u32, periods: &[(u64, u64)]) -> Vec<u64> {
        let mut watch = LossWatch::new(WINDOW, percent * 10_000);
        let mut left = Vec::new();
        for (number, (missing, unwitnessed)) in (0..).zip(periods) {
            let clock = TimeUs(number * WINDOW + 3);
            (0..100).for_each(|_| watch.add_sent(clock));
            (0..*missing).for_each(|_| watch.add_missing(clock));
            (0..*unwitnessed).for_each(|_| watch.add_unwitnessed(clock));
            let loss = watch.check(progress((number + 2) * WINDOW));
            left.extend(loss.map(|loss| loss.from.0 / WINDOW));
        }
        left
    }

    fn progress(at: u64) -> Progress {
        Progress { main: TimeUs(at), witness: TimeUs(at), compared_from: Some(TimeUs(0)) }
    }

    #[test]
    fn a_server_is_left_from_the_limit_on() {
        assert_eq!(left(20, &[(24, 0), (24, 0), (25, 0)]), [2]);
        assert_eq!(left(1, &[(9, 0), (9, 0), (10, 0)]), [2]);
        assert_eq!(left(100, &[(99, 0)]), [0; 0]);
    }

    #[test]
    fn a_witness_that_is_hardly_better_is_no_reason() {
        assert_eq!(left(1, &[(20, 11), (20, 10)]), [1]);
    }

    #[test]
    fn each_change_doubles_the_rest_before_the_next() {
        assert_eq!(left(1, &[(50, 0); 40]), [0, 10, 30]);
    }

    #[test]
    fn only_what_both_streams_have_passed_and_was_compared_is_judged() {
        let mut watch = LossWatch::new(WINDOW, 10_000);
        watch.begin(TimeUs(5));
        (0..60).for_each(|i| watch.add_missing(TimeUs(i)));
        let mut check = |main, witness, from| {
            let (main, witness, from) = (TimeUs(main), TimeUs(witness), TimeUs(from));
            watch.check(Progress { main, witness, compared_from: Some(from) })
        };
        assert_eq!(check(99, 19, 15), None);
        assert_eq!(check(19, 99, 15), None);
        assert_eq!(check(39, 99, 15), None);
        // The first two periods are not compared as a whole: what they lack is not known.
        let uncompared_from = Some(TimeUs(5));
        let loss = Loss { missing: 10, events: 10, from: TimeUs(20), uncompared_from };
        assert_eq!(check(40, 40, 15), Some(loss));
    }

    #[test]
    fn a_stretch_that_follows_a_compared_one_is_no_gap() {
        let mut watch = LossWatch::new(WINDOW, 500_000);
        watch.begin(TimeUs(0));
        (0..10).for_each(|_| watch.add_sent(TimeUs(3)));
        assert_eq!(watch.check(progress(20)), None);
        (0..10).for_each(|_| watch.add_missing(TimeUs(13)));
        let loss = watch.check(progress(30)).expect("a reason to leave");
        assert_eq!(loss.uncompared_from, None);
        watch.change_server(TimeUs(30));
        assert_eq!(watch.periods.len(), 0);
    }

    #[test]
    fn periods_that_are_not_judged_are_bounded() {
        let mut watch = LossWatch::new(WINDOW, 10_000);
        (0..1_000).for_each(|i| watch.add_missing(TimeUs(i * WINDOW)));
        watch.add_missing(TimeUs(3));
        assert_eq!(watch.periods.len(), MAX_PERIODS);
    }
}
