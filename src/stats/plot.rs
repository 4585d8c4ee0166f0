//! Plots events per minute as SVG, with one stacked area per series. Pure: counts in, text out.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::buckets::{Grid, Series};
use crate::filter::syntax::is_nsid;

/// Size of the plot in pixels.
const SIZE: (u32, u32) = (1000, 500);
/// Maximum number of columns.
pub const COLUMNS: u64 = 500;

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

/// Draws a plot with this title.
///
/// # Errors
/// [`PlotError`] if the drawing library fails, which no input should cause.
pub fn svg(grid: &Grid, title: &str) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area, grid, title).map_err(|error| PlotError(error.to_string()))?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(area: &Area<'a>, grid: &Grid, title: &str) -> Result<(), Failure<'a>> {
    area.fill(&WHITE)?;
    let sums = stacked(grid);
    let columns = grid.series.first().map_or(0, |series| series.counts.len());
    let highest = sums.last().into_iter().flatten().copied().fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 22))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..columns as f64, 0.0..(highest * 1.05).max(1.0))?;
    let label = |column: &f64| time_label(grid, columns, *column);
    let y_label = |rate: &f64| {
        if highest < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(10)
        .label_style(("sans-serif", 15))
        .x_label_formatter(&label)
        .y_label_formatter(&y_label)
        .y_desc("events a minute")
        .draw()?;
    let bottom = vec![0.0; columns];
    let lower = std::iter::once(&bottom).chain(&sums);
    for (i, ((series, upper), lower)) in grid.series.iter().zip(&sums).zip(lower).enumerate() {
        let colour = match &series.name {
            Some(_) => *COLOURS.get(i % MAX_SERIES).unwrap_or(&REST),
            None => REST,
        };
        chart
            .draw_series(std::iter::once(Polygon::new(outline(lower, upper), colour.filled())))?
            .label(legend(series))
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(("sans-serif", 15))
        .background_style(WHITE.mix(0.8))
        .border_style(REST)
        .draw()?;
    area.present()
}

/// Returns the upper edge of each series by column, in events per minute.
fn stacked(grid: &Grid) -> Vec<Vec<f64>> {
    let mut sums: Vec<Vec<f64>> = Vec::new();
    for series in &grid.series {
        let below = sums.last();
        let edge = series.counts.iter().enumerate().map(|(column, count)| {
            let base = below.and_then(|below| below.get(column)).copied().unwrap_or(0.0);
            base + *count as f64 / grid.minutes as f64
        });
        let edge = edge.collect();
        sums.push(edge);
    }
    sums
}

/// Returns the outline of an area with steps, because a column is a time span: along the upper edge
/// and back along the lower one.
fn outline(lower: &[f64], upper: &[f64]) -> Vec<(f64, f64)> {
    let steps = |edge: &[f64]| -> Vec<(f64, f64)> {
        let ends = edge.iter().enumerate();
        ends.flat_map(|(i, y)| [(i as f64, *y), ((i + 1) as f64, *y)]).collect()
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

/// Returns the time at the left edge of a column, in UTC.
fn time_label(grid: &Grid, columns: usize, column: f64) -> String {
    let minutes = (column * grid.minutes as f64) as i64;
    let span_minutes = columns as u64 * grid.minutes;
    let start = i64::try_from(grid.start.0 / 60_000_000).unwrap_or(0);
    let second = start.saturating_add(minutes).saturating_mul(60);
    let format = match span_minutes {
        0..2880 => "%H:%M",
        2880..100_000 => "%m-%d %H:%M",
        _ => "%Y-%m-%d",
    };
    jiff::Timestamp::from_second(second)
        .map_or_else(|_| String::new(), |t| t.strftime(format).to_string())
}
