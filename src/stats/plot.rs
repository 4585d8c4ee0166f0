//! Plots events per minute as SVG, with one stacked area per series and the legend beside it. Pure:
//! counts in, text out.

mod axis;

use plotters::coord::Shift;
use plotters::prelude::*;

use self::axis::{count_axis, time_axis};
use super::buckets::{Grid, Series};
use crate::display::table::shortened;
use crate::filter::syntax::is_nsid;

/// Size of the picture in pixels.
const SIZE: (u32, u32) = (1200, 520);
/// Height of the title, of two lines.
const TITLE_HEIGHT: u32 = 62;
/// Width of the legend.
const LEGEND_WIDTH: u32 = 310;
/// Longest name in the legend and longest title, in characters: what fits their widths in any
/// usual font.
const MAX_LEGEND_CHARS: usize = 34;
const MAX_TITLE_CHARS: usize = 95;
/// Height of a line of the legend.
const LEGEND_LINE: i32 = 22;
/// Maximum number of columns.
pub const COLUMNS: u64 = 500;
/// The least time that a column is assumed to cover, in minutes. The first and the last column may
/// cover a moment only, and a rate over a moment means nothing.
const MIN_COVERED: f64 = 5.0 / 60.0;
/// A minute in microseconds.
const MINUTE_US: f64 = 60e6;

/// Colours that people with colour vision deficiencies can distinguish (Okabe and Ito), and grey
/// for the rest.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(240, 228, 66),
    RGBColor(90, 60, 160),
];
const REST: RGBColor = RGBColor(170, 170, 170);

/// Maximum number of series with their own colour.
pub const MAX_SERIES: usize = COLOURS.len();

/// The plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the plot can't be drawn: {0}")]
pub struct PlotError(String);

/// Draws a plot with this title and the line below it.
///
/// # Errors
/// [`PlotError`] if the drawing library fails, which no input should cause.
pub fn svg(grid: &Grid, title: &str, subtitle: &str) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area, grid, (title, subtitle)).map_err(|error| PlotError(error.to_string()))?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    area: &Area<'a>,
    grid: &Grid,
    (title, subtitle): (&str, &str),
) -> Result<(), Failure<'a>> {
    area.fill(&WHITE)?;
    let (head, body) = area.split_vertically(TITLE_HEIGHT);
    let shortened = |text| shortened(text, MAX_TITLE_CHARS);
    head.draw(&Text::new(shortened(title), (14, 12), ("sans-serif", 22)))?;
    head.draw(&Text::new(shortened(subtitle), (14, 40), ("sans-serif", 15)))?;
    let (plot, legend) = body.split_horizontally(SIZE.0 - LEGEND_WIDTH);
    draw_areas(&plot, grid)?;
    draw_legend(&legend, grid)?;
    area.present()
}

fn draw_areas<'a>(area: &Area<'a>, grid: &Grid) -> Result<(), Failure<'a>> {
    let spans = spans(grid);
    let sums = stacked(grid, &spans);
    let highest = sums.last().into_iter().flatten().copied().fold(0.0, f64::max);
    let (times, counts) = (time_axis(grid), count_axis(highest, grid.minutes));
    let (time_label, count_label) = (times.labels(), counts.labels());
    let mut chart = ChartBuilder::on(area)
        .margin_left(14)
        .margin_right(44)
        .margin_bottom(12)
        .margin_top(4)
        .x_label_area_size(32)
        .y_label_area_size(92)
        .build_cartesian_2d(times, counts)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .label_style(("sans-serif", 15))
        .x_label_formatter(&|minute| time_label(*minute))
        .y_label_formatter(&|rate| count_label(*rate))
        .y_desc("events a minute")
        .draw()?;
    let bottom = vec![0.0; spans.len()];
    let lower = std::iter::once(&bottom).chain(&sums);
    for (i, (upper, lower)) in sums.iter().zip(lower).enumerate() {
        let area = Polygon::new(outline(&spans, lower, upper), colour(grid, i).filled());
        chart.draw_series(std::iter::once(area))?;
    }
    Ok(())
}

/// Draws the names of the series, in the order in which their areas lie on each other.
fn draw_legend<'a>(area: &Area<'a>, grid: &Grid) -> Result<(), Failure<'a>> {
    for (line, (i, series)) in grid.series.iter().enumerate().rev().enumerate() {
        let y = 8 + LEGEND_LINE * i32::try_from(line).unwrap_or(i32::MAX / LEGEND_LINE - 1);
        area.draw(&Rectangle::new([(0, y), (13, y + 13)], colour(grid, i).filled()))?;
        let name = shortened(&legend(series), MAX_LEGEND_CHARS);
        area.draw(&Text::new(name, (21, y), ("sans-serif", 15)))?;
    }
    Ok(())
}

fn colour(grid: &Grid, series: usize) -> RGBColor {
    match grid.series.get(series).and_then(|series| series.name.as_ref()) {
        Some(_) => *COLOURS.get(series % MAX_SERIES).unwrap_or(&REST),
        None => REST,
    }
}

/// Returns the time that each column covers, in minutes since the grid's start. Only between the
/// first and the last event is it known that none is missing.
fn spans(grid: &Grid) -> Vec<(f64, f64)> {
    let minute = |us: u64| us.saturating_sub(grid.start.0) as f64 / MINUTE_US;
    let (from, to) = (minute(grid.from.0), minute(grid.to.0));
    let columns = grid.series.first().map_or(0, |series| series.counts.len());
    let span = |column: usize| {
        let start = column as f64 * grid.minutes as f64;
        let left = start.max(from);
        (left, (start + grid.minutes as f64).min(to).max(left + MIN_COVERED))
    };
    (0..columns).map(span).collect()
}

/// Returns the upper edge of each series by column, in events per minute.
fn stacked(grid: &Grid, spans: &[(f64, f64)]) -> Vec<Vec<f64>> {
    let mut sums: Vec<Vec<f64>> = Vec::new();
    for series in &grid.series {
        let below = sums.last();
        let edge = series.counts.iter().zip(spans).enumerate().map(|(column, (count, span))| {
            let base = below.and_then(|below| below.get(column)).copied().unwrap_or(0.0);
            base + *count as f64 / (span.1 - span.0)
        });
        let edge = edge.collect();
        sums.push(edge);
    }
    sums
}

/// Returns the outline of an area with steps, because a column is a time span: along the upper edge
/// and back along the lower one.
fn outline(spans: &[(f64, f64)], lower: &[f64], upper: &[f64]) -> Vec<(f64, f64)> {
    let steps = |edge: &[f64]| -> Vec<(f64, f64)> {
        let ends = spans.iter().zip(edge);
        ends.flat_map(|((from, to), y)| [(*from, *y), (*to, *y)]).collect()
    };
    let mut points = steps(upper);
    points.extend(steps(lower).into_iter().rev());
    points
}

fn legend(series: &Series) -> String {
    match &series.name {
        None => "other".to_owned(),
        // Other names come from the network and could imitate something else.
        Some(name) if is_nsid(name) || name.bytes().all(|b| b.is_ascii_lowercase()) => name.clone(),
        Some(_) => "(no NSID)".to_owned(),
    }
}

#[cfg(test)]
mod tests;
