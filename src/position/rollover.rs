//! Finds the lines of a batch that start a new period of a rotated output. The latest event time
//! so far decides, so that a clock that steps back, or an imported older event, never returns to
//! a period that is over.

use super::TimeUs;

/// The first line of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodStart {
    /// The line's index in its batch.
    pub line: usize,
    /// The latest event time up to and including this line.
    pub time: TimeUs,
}

/// Finds the period starts of one batch after the other.
#[derive(Debug)]
pub struct RolloverTracker {
    /// `None` if the output is not rotated by time.
    period_us: Option<u64>,
    latest: TimeUs,
    /// The number of the period of the last line; `None` before the first.
    period: Option<u64>,
    lines: usize,
    list: Vec<PeriodStart>,
}

impl RolloverTracker {
    /// Creates a tracker for periods of `period_us`, after a run whose latest event time was
    /// `latest`. Without a period it finds no starts.
    #[must_use]
    pub fn new(period_us: Option<u64>, latest: TimeUs) -> Self {
        let period_us = period_us.filter(|us| *us > 0);
        Self { period_us, latest, period: None, lines: 0, list: Vec::new() }
    }

    /// Starts a new batch: its lines count from 0.
    pub fn begin_batch(&mut self) {
        self.lines = 0;
        self.list.clear();
    }

    /// Adds the next line that stays in the batch. The first line of a run always starts a period.
    #[inline(always)]
    pub fn note(&mut self, time: TimeUs) {
        let Some(period_us) = self.period_us else { return };
        self.latest = self.latest.max(time);
        let period = Some(self.latest.0 / period_us);
        if self.period != period {
            self.period = period;
            self.list.push(PeriodStart { line: self.lines, time: self.latest });
        }
        self.lines += 1;
    }

    /// Returns the period starts of the batch, in the order of its lines.
    #[must_use]
    pub fn list(&self) -> &[PeriodStart] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollovers(period_us: u64, latest: u64, times: &[u64]) -> Vec<(usize, u64)> {
        let mut rollovers = RolloverTracker::new(Some(period_us), TimeUs(latest));
        times.iter().for_each(|time| rollovers.note(TimeUs(*time)));
        rollovers.list().iter().map(|start| (start.line, start.time.0)).collect()
    }

    #[test]
    fn only_a_later_period_is_a_start() {
        assert_eq!(rollovers(10, 0, &[5, 9, 10, 3, 19, 35, 20]), [(0, 5), (2, 10), (5, 35)]);
    }

    #[test]
    fn a_run_never_returns_to_a_period_of_an_earlier_run() {
        assert_eq!(rollovers(10, 27, &[5, 29, 30]), [(0, 27), (2, 30)]);
    }

    #[test]
    fn batches_count_their_own_lines() {
        let mut rollovers = RolloverTracker::new(Some(10), TimeUs(0));
        rollovers.note(TimeUs(1));
        rollovers.begin_batch();
        rollovers.note(TimeUs(2));
        rollovers.note(TimeUs(12));
        assert_eq!(rollovers.list(), [PeriodStart { line: 1, time: TimeUs(12) }]);
    }

    #[test]
    fn without_a_period_there_are_no_starts() {
        let mut rollovers = RolloverTracker::new(None, TimeUs(0));
        rollovers.note(TimeUs(1));
        assert_eq!(rollovers.list(), []);
    }
}
