//! The axes of the plot: whole minutes in UTC, and counts in round numbers. Each label is at its
//! exact value, and no two have the same text.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

use super::super::buckets::Grid;
use crate::display::units::count;

/// Minutes between two labels, in order: parts of an hour, of a day, days, weeks and years.
const STEPS: [u64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 7_200, 14_400, 43_200, 86_400,
    172_800, 525_600, 5_256_000,
];
/// The most labels of the time axis after the first, if they are times of day.
const MAX_TIMES: u64 = 8;
/// The same if they have a date, which is longer.
const MAX_DATES: u64 = 6;
/// About as many labels has the axis of counts.
const COUNTS: f64 = 6.0;
/// Minutes of a day.
const DAY: u64 = 1_440;
/// A minute in microseconds.
const MINUTE_US: u64 = 60_000_000;

/// A linear axis from 0, with labels at the given values.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The value at its end.
    pub end: f64,
    /// The values with a label.
    pub ticks: Vec<f64>,
    scale: Scale,
}

#[derive(Clone, Copy, Debug)]
enum Scale {
    /// Minutes since a minute after 1970, as a time.
    Time { start: u64, format: &'static str },
    /// Counts with this number of decimal places.
    Count(usize),
}

impl Axis {
    /// Returns what formats labels.
    pub fn labels(&self) -> impl Fn(f64) -> String + use<> {
        let scale = self.scale;
        move |value| match scale {
            Scale::Time { start, format } => time_label(start, value, format),
            Scale::Count(0) => count(value.round() as u64),
            Scale::Count(places) => format!("{value:.places$}"),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * value / self.end).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        0.0..self.end
    }
}

impl ValueFormatter<f64> for Axis {
    fn format(value: &f64) -> String {
        value.to_string()
    }
}

/// Returns the axis of times, in minutes since the grid's start. It ends with the minute of the
/// latest event.
pub fn time_axis(grid: &Grid) -> Axis {
    let start = grid.start.0 / MINUTE_US;
    let span = grid.to.0.saturating_sub(grid.start.0).div_ceil(MINUTE_US).max(1);
    let most = if span <= DAY { MAX_TIMES } else { MAX_DATES };
    let step = STEPS.into_iter().find(|step| span / step <= most);
    let step = step.unwrap_or_else(|| span.div_ceil(most));
    let first = start.next_multiple_of(step);
    let ticks = (0..=MAX_TIMES).map(|i| (first + i * step).saturating_sub(start));
    let format = match (step, span) {
        (DAY.., _) => "%Y-%m-%d",
        (_, 0..=DAY) => "%H:%M",
        _ => "%m-%d %H:%M",
    };
    let ticks = ticks.filter(|minute| *minute <= span).map(|minute| minute as f64).collect();
    Axis { end: span as f64, ticks, scale: Scale::Time { start, format } }
}

/// Returns the axis of events a minute, with room above the highest. With columns of one minute,
/// counts are whole.
pub fn count_axis(highest: f64, minutes: u64) -> Axis {
    let end = (highest * 1.05).max(if minutes == 1 { 1.0 } else { 1e-6 });
    let rough = end / COUNTS;
    let unit = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * unit).find(|step| *step >= rough);
    let step = step.unwrap_or(unit).max(if minutes == 1 { 1.0 } else { 0.0 });
    let places = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let ticks = (0..=10).map(|n| f64::from(n) * step).take_while(|tick| *tick <= end).collect();
    Axis { end, ticks, scale: Scale::Count(places) }
}

fn time_label(start: u64, minute: f64, format: &str) -> String {
    let second = (start as i64).saturating_add(minute.round() as i64).saturating_mul(60);
    jiff::Timestamp::from_second(second)
        .map_or_else(|_| String::new(), |t| t.strftime(format).to_string())
}
