//! Counts events by minute and series (a collection, or a kind without collections) in bounded
//! memory: when there are too many cells, small series are merged and buckets get wider.

use std::collections::{BTreeMap, HashMap};

use crate::position::TimeUs;

/// A minute in microseconds.
const MINUTE_US: u64 = 60_000_000;
/// Maximum number of distinct series.
const MAX_SERIES: usize = 4_096;
/// Maximum number of cells, of about 40 bytes each.
const MAX_CELLS: usize = 400_000;
/// Number of series that stay distinct when cells are merged.
const KEPT_SERIES: usize = 64;
/// Maximum length of a series name, in bytes.
const MAX_NAME_BYTES: usize = 317;
/// The series of all events without their own series.
const OTHER: u32 = 0;

/// Event counts by bucket and series.
#[derive(Debug)]
pub struct Buckets {
    /// Minutes per bucket: a power of two, greater than 1 if the recording is too long.
    pub minutes: u64,
    cells: HashMap<(u64, u32), u64>,
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    most_cells: usize,
    accepts_new_series: bool,
    /// The times of the earliest and the latest event.
    times: Option<(TimeUs, TimeUs)>,
}

/// One area of the plot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Name; `None` for all other events together.
    pub name: Option<String>,
    /// Total number of events.
    pub events: u64,
    /// Events by column, starting at [`Grid::start`].
    pub counts: Vec<u64>,
}

/// The data of a plot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Start of the first column, a whole minute.
    pub start: TimeUs,
    /// Time of the earliest event, within the first column.
    pub from: TimeUs,
    /// Time of the latest event, within the last column.
    pub to: TimeUs,
    /// Minutes per column.
    pub minutes: u64,
    /// The series in descending order of size, then the remaining events.
    pub series: Vec<Series>,
    /// Number of events that were left out because their times are outliers.
    pub left_out: u64,
}

impl Default for Buckets {
    fn default() -> Self {
        Self::with_most_cells(MAX_CELLS)
    }
}

impl Buckets {
    fn with_most_cells(most_cells: usize) -> Self {
        Self {
            minutes: 1,
            cells: HashMap::new(),
            numbers: HashMap::new(),
            names: vec![String::new()],
            most_cells,
            accepts_new_series: true,
            times: None,
        }
    }

    /// Counts an event.
    pub fn add(&mut self, time: TimeUs, series: &str) {
        let number = self.number(series);
        let (from, to) = self.times.unwrap_or((time, time));
        self.times = Some((from.min(time), to.max(time)));
        *self.cells.entry((time.0 / MINUTE_US / self.minutes, number)).or_default() += 1;
        if self.cells.len() > self.most_cells {
            self.shrink();
        }
    }

    fn number(&mut self, series: &str) -> u32 {
        if let Some(number) = self.numbers.get(series) {
            return *number;
        }
        let is_full = !self.accepts_new_series || self.names.len() > MAX_SERIES;
        let Some(number) = u32::try_from(self.names.len()).ok().filter(|_| !is_full) else {
            return OTHER;
        };
        if series.len() > MAX_NAME_BYTES {
            return OTHER;
        }
        self.names.push(series.to_owned());
        self.numbers.insert(series.to_owned(), number);
        number
    }

    /// Returns the number of events by series.
    fn sums(&self) -> BTreeMap<u32, u64> {
        let mut sums = BTreeMap::new();
        for ((_, series), count) in &self.cells {
            *sums.entry(*series).or_default() += count;
        }
        sums
    }

    /// Returns the largest series in descending order, without [`OTHER`].
    fn largest(&self, limit: usize) -> Vec<(u32, u64)> {
        let mut sums: Vec<(u32, u64)> =
            self.sums().into_iter().filter(|(series, _)| *series != OTHER).collect();
        sums.sort_by_key(|(series, sum)| (std::cmp::Reverse(*sum), *series));
        sums.truncate(limit);
        sums
    }

    /// Merges cells until at most half of the maximum are left.
    fn shrink(&mut self) {
        if self.accepts_new_series {
            self.accepts_new_series = false;
            let kept: Vec<u32> = self.largest(KEPT_SERIES).iter().map(|(n, _)| *n).collect();
            self.numbers.retain(|_, number| kept.contains(number));
            self.merge(|bucket, series| {
                (bucket, if kept.contains(&series) { series } else { OTHER })
            });
        }
        while self.cells.len() > self.most_cells / 2 && self.minutes < 1 << 40 {
            self.minutes *= 2;
            self.merge(|bucket, series| (bucket / 2, series));
        }
    }

    fn merge(&mut self, place: impl Fn(u64, u32) -> (u64, u32)) {
        let mut merged = HashMap::new();
        for ((bucket, series), count) in self.cells.drain() {
            *merged.entry(place(bucket, series)).or_default() += count;
        }
        self.cells = merged;
    }

    /// Returns the `top` largest series and the rest, in at most `columns` columns. `None` if there
    /// are no events.
    #[must_use]
    pub fn grid(&self, top: usize, columns: u64) -> Option<Grid> {
        let mut by_bucket: BTreeMap<u64, u64> = BTreeMap::new();
        for ((bucket, _), count) in &self.cells {
            *by_bucket.entry(*bucket).or_default() += count;
        }
        let left_out = self.trim(&mut by_bucket);
        let (first, last) = (*by_bucket.keys().next()?, *by_bucket.keys().next_back()?);
        let group = (last - first + 1).div_ceil(columns.max(1));
        let length = usize::try_from((last - first) / group + 1).ok()?;
        let largest = self.largest(top);
        let new = |name: Option<String>| Series { name, events: 0, counts: vec![0; length] };
        let name_of = |number: u32| self.names.get(number as usize).cloned();
        let mut series: Vec<Series> = largest.iter().map(|(n, _)| new(name_of(*n))).collect();
        series.push(new(None));
        let rest = series.len() - 1;
        for ((bucket, number), count) in &self.cells {
            if !(first..=last).contains(bucket) {
                continue;
            }
            let row = largest.iter().position(|(n, _)| n == number).unwrap_or(rest);
            let column = usize::try_from((bucket - first) / group).ok()?;
            if let Some(row) = series.get_mut(row) {
                row.events += count;
                if let Some(cell) = row.counts.get_mut(column) {
                    *cell += count;
                }
            }
        }
        series.retain(|series| series.events > 0);
        let at =
            |bucket: u64| TimeUs(bucket.saturating_mul(self.minutes).saturating_mul(MINUTE_US));
        let (start, end) = (at(first), at(last.saturating_add(1)));
        // Events that were left out are not within these bounds.
        let (from, to) = self.times.unwrap_or((start, end));
        let (from, to) = (from.max(start), to.min(end));
        Some(Grid {
            start,
            from,
            to,
            minutes: self.minutes.saturating_mul(group),
            series,
            left_out,
        })
    }

    /// Removes the few events at both ends that are far from all others: a single absurd time would
    /// squeeze all other events into one column.
    fn trim(&self, by_bucket: &mut BTreeMap<u64, u64>) -> u64 {
        let all: u64 = by_bucket.values().sum();
        let max_removed = all / 1000;
        let far = (1440 / self.minutes).max(2);
        let mut left_out = 0;
        for from_end in [false, true] {
            let keys: Vec<u64> = by_bucket.keys().copied().collect();
            let keys: Vec<u64> = if from_end { keys.into_iter().rev().collect() } else { keys };
            let mut cut = 0;
            let mut removed = left_out;
            for (i, pair) in keys.windows(2).enumerate() {
                let [a, b] = pair else { continue };
                removed += by_bucket.get(a).copied().unwrap_or(0);
                if removed > max_removed {
                    break;
                }
                if a.abs_diff(*b) > far {
                    (cut, left_out) = (i + 1, removed);
                }
            }
            for key in keys.iter().take(cut) {
                by_bucket.remove(key);
            }
        }
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 1440;

    fn minute(n: u64) -> TimeUs {
        TimeUs(n * MINUTE_US + 1)
    }

    #[test]
    fn a_grid_has_the_largest_series_and_the_rest() {
        let mut buckets = Buckets::default();
        for (at, series, count) in
            [(10, "a", 3), (10, "b", 1), (12, "a", 2), (12, "c", 2), (11, "d", 1)]
        {
            (0..count).for_each(|_| buckets.add(minute(at), series));
        }
        let grid = buckets.grid(2, 100).unwrap();
        assert_eq!((grid.start.0, grid.minutes), (10 * MINUTE_US, 1));
        assert_eq!((grid.from, grid.to), (minute(10), minute(12)));
        let row = |name: Option<&str>, events, counts: &[u64]| Series {
            name: name.map(str::to_owned),
            events,
            counts: counts.to_vec(),
        };
        let rows = [
            row(Some("a"), 5, &[3, 0, 2]),
            row(Some("c"), 2, &[0, 0, 2]),
            row(None, 2, &[1, 1, 0]),
        ];
        assert_eq!(grid.series, rows);
        let narrow = buckets.grid(1, 2).unwrap();
        assert_eq!(narrow.minutes, 2);
        assert_eq!(narrow.series[0].counts, [3, 2]);
        assert!(Buckets::default().grid(3, 100).is_none());
    }

    #[test]
    fn outlying_times_are_left_out_and_counted() {
        let mut buckets = Buckets::default();
        (0..5000).for_each(|n| buckets.add(minute(100 * DAY + n / 100), "a"));
        buckets.add(minute(0), "a");
        buckets.add(minute(9000 * DAY), "b");
        let grid = buckets.grid(2, 100).unwrap();
        assert_eq!((grid.left_out, grid.minutes, grid.series.len()), (2, 1, 1));
        assert_eq!(grid.series[0].counts.len(), 50);
        assert_eq!((grid.from, grid.to.0), (grid.start, grid.start.0 + 50 * MINUTE_US));
    }

    #[test]
    fn too_many_cells_are_merged_without_losing_events() {
        let mut buckets = Buckets::with_most_cells(1000);
        for n in 0..20_000u64 {
            buckets.add(minute(n), if n % 2 == 0 { "even" } else { "odd" });
            buckets.add(minute(n), &format!("series {n}"));
            assert!(buckets.cells.len() <= 1000);
        }
        assert!(buckets.minutes > 1);
        let grid = buckets.grid(2, 600).unwrap();
        assert_eq!(grid.series.iter().map(|series| series.events).sum::<u64>(), 40_000);
        assert_eq!(grid.series[0].events, 10_000);
    }
}
