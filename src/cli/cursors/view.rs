//! Formats saved cursors as a table, as a page and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use crate::checkpoint::CursorValue;
use crate::checkpoint::store::{Entry, ManualCursor, SavedCursor, SavedGap};
use crate::display::table::escape_cell;
use crate::display::units::counted;
use crate::position::TimeUs;
use crate::sink::output_record::OutputRecord;

/// The keys of `list --json`, which are part of the interface.
pub const LIST_KEYS: &str = "\
Keys of --json (null where unknown; *_us are Unix microseconds):
  name, by_hand, server, server_kind (legacy or v2), cursor (for --cursor: seq
  if known, else time_us), time_us, seq, rewind_time_us, rewind_seq,
  latest_time_us, identities (a count), saved_at_us,
  previous {server, time_us, seq, saved_at_us}";

/// The keys of `show --json`, which are part of the interface.
pub const SHOW_KEYS: &str = "\
Keys of --json: those of `skytail cursors list --help`, and
  gaps [{seen_at_us, from_us, to_us, from_seq, to_seq, reason, count (of gaps
  that were merged)}],
  outputs [{path, length_bytes (next_message for a broker), state (open: being
  written, or the run was killed; done: a later file follows; clean)}], newest
  first";

#[derive(Serialize)]
struct EntryJson<'a> {
    name: &'a str,
    by_hand: bool,
    server: Option<&'a str>,
    server_kind: Option<&'static str>,
    cursor: Option<u64>,
    time_us: Option<u64>,
    seq: Option<u64>,
    rewind_time_us: Option<u64>,
    rewind_seq: Option<u64>,
    latest_time_us: Option<u64>,
    identities: usize,
    saved_at_us: u64,
    previous: Option<PreviousJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gaps: Option<Vec<GapJson<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<OutputJson>>,
}

#[derive(Serialize)]
struct OutputJson {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    length_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_message: Option<u64>,
    state: &'static str,
}

#[derive(Serialize)]
struct PreviousJson<'a> {
    server: &'a str,
    time_us: u64,
    seq: Option<u64>,
    saved_at_us: u64,
}

#[derive(Serialize)]
struct GapJson<'a> {
    seen_at_us: u64,
    from_us: Option<u64>,
    to_us: Option<u64>,
    from_seq: Option<u64>,
    to_seq: Option<u64>,
    reason: &'a str,
    count: u64,
}

/// Returns one JSON object a line.
pub fn json_lines(entries: &[Entry]) -> serde_json::Result<String> {
    entries.iter().map(|entry| line(&json(entry, None, None))).collect()
}

/// Returns one JSON object with the gaps and outputs.
pub fn json_object(
    entry: &Entry,
    gaps: &[SavedGap],
    outputs: &[OutputRecord],
) -> serde_json::Result<String> {
    line(&json(entry, Some(gaps), Some(outputs)))
}

fn line(json: &EntryJson<'_>) -> serde_json::Result<String> {
    serde_json::to_string(json).map(|text| text + "\n")
}

fn json<'a>(
    entry: &'a Entry,
    gaps: Option<&'a [SavedGap]>,
    outputs: Option<&[OutputRecord]>,
) -> EntryJson<'a> {
    let cursor = entry.cursor.as_ref();
    let (time, seq) = cursor.map(time_and_seq).unwrap_or_default();
    let resume = match cursor {
        Some(SavedCursor::Position(resume)) => Some(resume),
        Some(SavedCursor::Manual(_)) | None => None,
    };
    let position = resume.map(|resume| &resume.position);
    EntryJson {
        name: &entry.name,
        by_hand: matches!(cursor, Some(SavedCursor::Manual(_))),
        server: cursor.and_then(server),
        server_kind: position.map(|position| position.origin.kind.as_str()),
        cursor: cursor.map(number),
        time_us: time.map(|time| time.0),
        seq,
        rewind_time_us: position.map(|position| position.rewind_to.time.0),
        rewind_seq: position.and_then(|position| position.rewind_to.seq).map(|seq| seq.0),
        latest_time_us: position.map(|position| position.max_time.0),
        identities: resume.map_or(0, |resume| resume.identities.len()),
        saved_at_us: entry.saved_at.0,
        previous: entry.previous.as_ref().map(|previous| PreviousJson {
            server: &previous.server,
            time_us: previous.newest.time.0,
            seq: previous.newest.seq.map(|seq| seq.0),
            saved_at_us: previous.saved_at.0,
        }),
        gaps: gaps.map(|gaps| gaps.iter().map(gap_json).collect()),
        outputs: outputs.map(|outputs| outputs.iter().map(output_json).collect()),
    }
}

fn gap_json(saved: &SavedGap) -> GapJson<'_> {
    let SavedGap { gap, count } = saved;
    GapJson {
        seen_at_us: gap.seen_at.0,
        from_us: gap.from_time.map(|time| time.0),
        to_us: gap.to_time.map(|time| time.0),
        from_seq: gap.from_seq.map(|seq| seq.0),
        to_seq: gap.to_seq.map(|seq| seq.0),
        reason: &gap.reason,
        count: *count,
    }
}

fn output_json(output: &OutputRecord) -> OutputJson {
    OutputJson {
        path: output.path.to_string_lossy().into_owned(),
        length_bytes: (!output.is_broker()).then_some(output.length_bytes),
        next_message: output.is_broker().then_some(output.length_bytes),
        state: output.state.as_str(),
    }
}

/// Returns the page of `show`.
pub fn details(
    entry: &Entry,
    gaps: &[SavedGap],
    outputs: &[OutputRecord],
    path: &Path,
    now: TimeUs,
) -> String {
    let ago = |time: TimeUs| format!("{time} ({} ago)", span(time, now));
    let mut lines = vec![
        ("name", entry.name.clone()),
        ("state file", path.display().to_string()),
        ("saved", ago(entry.saved_at)),
    ];
    match &entry.cursor {
        None => lines.push(("position", "none: it was reset".to_owned())),
        Some(SavedCursor::Position(resume)) => {
            let position = &resume.position;
            let origin = &position.origin;
            lines.push(("server", format!("{} ({})", origin.server, origin.kind.as_str())));
            lines.push((
                "newest event",
                format!("{}, {} ago", position.newest, span(position.newest.time, now)),
            ));
            lines.push(("rewinds to", position.rewind_to.to_string()));
            lines.push(("latest time", position.max_time.to_string()));
            lines.push(("identities", resume.identities.len().to_string()));
        }
        Some(SavedCursor::Manual(by_hand)) => {
            lines.push(("set by hand", describe_manual(by_hand)));
        }
    }
    if let Some(previous) = &entry.previous {
        let (server, saved) = (&previous.server, ago(previous.saved_at));
        lines.push(("previous", format!("{} on {server}, saved {saved}", previous.newest)));
    }
    for output in outputs {
        let path = output.path.display();
        let text = match output.is_broker() {
            true => {
                let (next, state) = (output.length_bytes, output.state.as_str());
                format!("{path}, next message {next}, {state}")
            }
            false => {
                let length = counted(output.length_bytes, "byte");
                format!("{path}, {length}, {}", output.state.as_str())
            }
        };
        lines.push(("output", text));
    }
    for gap in gaps {
        lines.push(("gap", gap_text(gap)));
    }
    let mut page = String::new();
    for (label, text) in lines {
        // Writing to a string can't fail.
        let _ = writeln!(page, "{:14}{}", format!("{label}:"), escape_cell(&text));
    }
    page
}

fn gap_text(saved: &SavedGap) -> String {
    let SavedGap { gap, count } = saved;
    let merged =
        if *count > 1 { format!(" ({} in one)", counted(*count, "gap")) } else { String::new() };
    let missing = gap.missing_us().map(|us| format!(", {} missing", span(TimeUs(0), TimeUs(us))));
    let missing = missing.unwrap_or_default();
    format!("{gap}{missing}, seen {}: {}{merged}", gap.seen_at, gap.reason)
}

/// Describes a cursor that the user set.
pub fn describe_manual(cursor: &ManualCursor) -> String {
    let at = match cursor.at {
        CursorValue::Time(time) => time.to_string(),
        CursorValue::Seq(seq) => format!("seq {}", seq.0),
    };
    match &cursor.server {
        Some(server) => format!("{at} on {server}"),
        None => at,
    }
}

pub(super) fn server(cursor: &SavedCursor) -> Option<&str> {
    match cursor {
        SavedCursor::Position(resume) => Some(&resume.position.origin.server),
        SavedCursor::Manual(by_hand) => by_hand.server.as_deref(),
    }
}

pub(super) fn time_and_seq(cursor: &SavedCursor) -> (Option<TimeUs>, Option<u64>) {
    match cursor {
        SavedCursor::Position(resume) => {
            let newest = resume.position.newest;
            (Some(newest.time), newest.seq.map(|seq| seq.0))
        }
        SavedCursor::Manual(ManualCursor { at: CursorValue::Time(time), .. }) => {
            (Some(*time), None)
        }
        SavedCursor::Manual(ManualCursor { at: CursorValue::Seq(seq), .. }) => (None, Some(seq.0)),
    }
}

/// Returns the value for `--cursor`: the sequence number if the server has them, else the time.
pub fn number(cursor: &SavedCursor) -> u64 {
    let (time, seq) = time_and_seq(cursor);
    seq.or(time.map(|time| time.0)).unwrap_or_default()
}

/// Formats the time from `from` to `to` in its two largest units; `0s` if `from` is later, because
/// a server's clock may be ahead of ours.
pub(super) fn span(from: TimeUs, to: TimeUs) -> String {
    let seconds = to.0.saturating_sub(from.0) / 1_000_000;
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let mut shown = units
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect::<Vec<_>>();
    if shown.is_empty() {
        shown.push("0s".to_owned());
    }
    shown.join(" ")
}

#[cfg(test)]
pub(super) mod tests;
