//! The axes and edges of plots.

use super::*;
use crate::position::TimeUs;

/// 2026-07-04T23:50:00Z
const START: u64 = 1_783_209_000_000_000;
const SECOND: u64 = 1_000_000;

fn grid(from_s: u64, to_s: u64, minutes: u64, counts: &[u64]) -> Grid {
    let series = |name: &str| Series {
        name: Some(name.to_owned()),
        events: counts.iter().sum(),
        counts: counts.to_vec(),
    };
    Grid {
        start: TimeUs(START),
        from: TimeUs(START + from_s * SECOND),
        to: TimeUs(START + to_s * SECOND),
        minutes,
        series: vec![series("app.bsky.feed.post"), series("identity")],
        left_out: 0,
    }
}

fn time_labels(grid: &Grid) -> String {
    let axis = time_axis(grid);
    let label = axis.labels();
    axis.ticks.iter().map(|tick| label(*tick)).collect::<Vec<_>>().join(" ")
}

#[test]
fn time_labels_are_whole_minutes_and_all_different() {
    let labels = |to_s: u64| time_labels(&grid(0, to_s, 1, &[1]));
    assert_eq!(labels(3), "23:50 23:51");
    assert_eq!(labels(60), "23:50 23:51");
    assert_eq!(labels(125), "23:50 23:51 23:52 23:53");
    assert_eq!(labels(10 * 60), "23:50 23:52 23:54 23:56 23:58 00:00");
    assert_eq!(labels(16 * 60), "23:50 23:52 23:54 23:56 23:58 00:00 00:02 00:04 00:06");
    assert_eq!(labels(3600), "23:50 00:00 00:10 00:20 00:30 00:40 00:50");
    assert_eq!(labels(86_400), "00:00 03:00 06:00 09:00 12:00 15:00 18:00 21:00");
    let two_days = labels(2 * 86_400);
    assert!(two_days.starts_with("07-05 00:00 07-05 12:00 07-06 00:00"), "{two_days}");
    assert!(labels(30 * 86_400).starts_with("2026-07-06 2026-07-11"), "{}", labels(30 * 86_400));
    for days in [1, 3, 10, 100, 1_000, 10_000, 1_000_000] {
        let labels = labels(days * 86_400);
        let mut each: Vec<&str> = labels.split(' ').filter(|word| word.contains('-')).collect();
        let all = each.len();
        each.dedup();
        assert!(days == 1 || (2..=9).contains(&all) || labels.contains(':'), "{labels}");
        assert!(labels.contains(':') || each.len() == all, "{labels}");
    }
}

#[test]
fn count_labels_are_round_and_all_different() {
    let labels = |highest: f64, minutes| {
        let axis = count_axis(highest, minutes);
        assert!(axis.end >= highest);
        let label = axis.labels();
        axis.ticks.iter().map(|tick| label(*tick)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(labels(0.0, 1), "0 1");
    assert_eq!(labels(3.0, 1), "0 1 2 3");
    assert_eq!(labels(3.0, 60), "0 1 2 3");
    assert_eq!(labels(1.0, 60), "0.0 0.2 0.4 0.6 0.8 1.0");
    assert_eq!(labels(1.0, 60), "0.0 0.2 0.4 0.6 0.8 1.0");
    assert_eq!(labels(0.02, 60), "0.000 0.005 0.010 0.015 0.020");
    assert_eq!(labels(48_000.0, 1), "0 10,000 20,000 30,000 40,000 50,000");
}

#[test]
fn columns_at_the_edges_show_the_rate_of_the_time_that_they_cover() {
    // From 23:50:30 to 23:52:10, with one event a second.
    let spans = spans(&grid(30, 130, 1, &[30, 60, 10]));
    let edges = stacked(&grid(30, 130, 1, &[30, 60, 10]), &spans);
    let shown: Vec<f64> = edges[0].iter().map(|rate| rate.round()).collect();
    assert_eq!(shown, [60.0, 60.0, 60.0]);
    assert!((spans[0].0 - 0.5).abs() < 1e-9 && (spans[2].1 - 130.0 / 60.0).abs() < 1e-9);
    // A moment is taken for five seconds.
    assert_eq!(
        stacked(&grid(7, 7, 1, &[1]), &super::spans(&grid(7, 7, 1, &[1])))[0][0].round(),
        12.0
    );
}

#[test]
fn long_names_are_shortened_and_beside_the_plot() {
    let mut grid = grid(0, 60, 1, &[3]);
    grid.series[0].name = Some(format!("com.{}.a", "verylong".repeat(30)));
    let picture = svg(&grid, &"t".repeat(500), &"s".repeat(500)).unwrap();
    let texts = picture.split("<text ").skip(1);
    let texts: Vec<&str> =
        texts.filter_map(|text| text.split_once('>')?.1.split('<').next()).collect();
    let longest = texts.iter().map(|text| text.trim().chars().count()).max();
    assert_eq!(longest, Some(MAX_TITLE_CHARS), "{texts:?}");
    assert!(texts.iter().any(|text| text.trim() == "identity"), "{texts:?}");
}
