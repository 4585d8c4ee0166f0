//! Formats a plan as a page for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::Plan;
use crate::display::printable::printable;
use crate::display::units::{bytes, count, duration};
use crate::position::TimeUs;

#[derive(Serialize)]
struct PlanJson<'a> {
    server: &'a str,
    segments: u64,
    listed_segments: u64,
    blocks: u64,
    blocks_are_estimated: bool,
    bytes: u64,
    bytes_are_estimated: bool,
    events_at_most: u64,
    after_seq: u64,
    last_seq: u64,
    oldest_us: Option<u64>,
    newest_us: Option<u64>,
    measured_bytes: Option<u64>,
    measured_s: Option<f64>,
    estimated_s: Option<f64>,
}

/// Returns one JSON object and a line feed.
pub fn json(plan: &Plan) -> serde_json::Result<String> {
    let Plan { server, estimate, rate } = plan;
    let json = PlanJson {
        server,
        segments: estimate.segments,
        listed_segments: estimate.listed_segments,
        blocks: estimate.blocks,
        blocks_are_estimated: estimate.blocks_are_estimated,
        bytes: estimate.bytes,
        bytes_are_estimated: estimate.bytes_are_estimated,
        events_at_most: estimate.events,
        after_seq: estimate.after_seq,
        last_seq: estimate.last_seq,
        oldest_us: estimate.times.map(|(oldest, _)| oldest.0),
        newest_us: estimate.times.map(|(_, newest)| newest.0),
        measured_bytes: rate.map(|rate| rate.bytes),
        measured_s: rate.map(|rate| rate.elapsed.as_secs_f64()),
        estimated_s: rate
            .and_then(|rate| rate.time_for(estimate.bytes))
            .map(|time| time.as_secs_f64()),
    };
    serde_json::to_string(&json).map(|text| text + "\n")
}

/// Returns the page, at most 80 columns wide.
pub fn text(plan: &Plan) -> String {
    let Plan { server, estimate, rate } = plan;
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String can't fail.
        let _ = writeln!(page, "{name:<10} {value}");
    };
    let about = |is_estimated: bool| if is_estimated { "~" } else { "" };
    line("server", printable(server.as_bytes(), 60));
    let (segments, all) = (count(estimate.segments), count(estimate.listed_segments));
    line("segments", format!("{segments} of {all}"));
    let blocks = count(estimate.blocks);
    line("blocks", format!("{}{blocks}", about(estimate.blocks_are_estimated)));
    let size = bytes(estimate.bytes);
    line("download", format!("{}{size}", about(estimate.bytes_are_estimated)));
    line("events", format!("at most {}", count(estimate.events)));
    match estimate.times {
        Some((oldest, newest)) => {
            let seconds = |time: TimeUs| time.to_seconds().to_string();
            line("times", format!("{} to {}", seconds(oldest), seconds(newest)));
        }
        None => line("times", "no segment is planned".into()),
    }
    if let Some(rate) = rate {
        let time = rate.time_for(estimate.bytes).map_or("unknown".into(), duration);
        let per_second = rate.bytes as f64 / rate.elapsed.as_secs_f64().max(1e-9);
        let (speed, sample) = (bytes(per_second as u64), bytes(rate.bytes));
        line("time", format!("~{time} at {speed}/s (measured with {sample})"));
    }
    page
}
