//! The summary line at the end of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::units::{bytes, count, counted, duration, rate};

/// The figures of a finished run.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Summary {
    /// Lines written.
    pub events: u64,
    /// Events that the servers sent.
    pub received: u64,
    /// Received events that the filters excluded.
    #[serde(skip)]
    pub filtered: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Duration of the run.
    #[serde(rename = "elapsed_s", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Bytes downloaded from archives.
    #[serde(skip_serializing_if = "is_zero")]
    pub archive_bytes: u64,
    /// Connections after the first.
    pub reconnects: u64,
    /// Events dropped by `--when-full`.
    pub dropped: u64,
    /// Events that had been written before.
    pub duplicates: u64,
    /// Events skipped as malformed.
    pub malformed: u64,
    /// Events skipped because `--jq` raised an error on them.
    #[serde(skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Number of outputs written, if the events are rendered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<u64>,
    /// Events skipped because their types are unknown to this version.
    pub unknown: u64,
    /// Gaps in the stream: places where events were not available.
    pub gaps: u64,
    /// What the comparison with the witness showed, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<WitnessSummary>,
    /// The file that was written, or the last of several and their number; `None` for stdout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The protocol of the last connection, `v1` or `v2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// The saved position; `None` if none was saved.
    pub saved: Option<Saved>,
    /// The reason why the run does not save a position, if it does not.
    #[serde(skip)]
    pub unsaved: Option<UnsavedReason>,
    /// Whether the run has everything that its flags ask for.
    pub complete: bool,
    /// The reason for the end, as one stable word for programs.
    pub reason: &'static str,
    /// The same for people, for example "by Ctrl-C".
    #[serde(skip)]
    pub reason_text: &'static str,
}

/// What the comparison with a second server showed (`--witness`).
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct WitnessSummary {
    /// Events that only the witness sent and that were printed.
    pub printed: u64,
    /// How often the server in use was left for the witness.
    pub left: u64,
    /// Events that each server did not send, and the other one did.
    pub missing: BTreeMap<String, u64>,
}

impl WitnessSummary {
    /// Returns the words for the summary line; empty if nothing is missing.
    fn words(&self) -> String {
        let missing = self.missing.iter().filter(|(_, count)| **count > 0);
        let missing = missing.map(|(server, n)| format!("{} missing on {server}", count(*n)));
        let mut words: Vec<String> = missing.collect();
        if self.printed > 0 {
            words.push(format!("{} printed from the witness", count(self.printed)));
        }
        if self.left > 0 {
            words.push(format!("{} of the server because of it", counted(self.left, "change")));
        }
        words.join(", ")
    }
}

/// Why a run saves no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsavedReason {
    /// `--no-checkpoint`.
    NoCheckpoint,
    /// Standard output is a terminal, and the user did not ask to save.
    Terminal,
    /// `--last`.
    Last,
    /// The user did not ask to save, and an earlier run was asked to save the position that is
    /// saved.
    Kept,
}

/// A saved position.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Saved {
    /// The consumer's name.
    pub consumer: String,
    /// The server that the position belongs to, printable.
    pub server: String,
    /// The sequence number of the newest event, if the server has sequence numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The time of the newest event, in Unix microseconds.
    pub time_us: u64,
    /// The same in RFC 3339, to the second.
    pub time: String,
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { consumer, server, time, .. } = self;
        match self.seq {
            Some(seq) => write!(f, "saved seq {seq} of {server} ({time}) as {consumer:?}"),
            None => write!(f, "saved {time} of {server} as {consumer:?}"),
        }
    }
}

impl Summary {
    /// Returns the summary as text, without a line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let per_second = if seconds > 0.0 { self.events as f64 / seconds } else { 0.0 };
        let to = self.output.as_ref().map(|output| format!(" to {output}")).unwrap_or_default();
        let outputs = self.outputs.filter(|outputs| *outputs != self.events);
        let outputs = outputs.map(|n| format!(" with {}", counted(n, "output")));
        let outputs = outputs.unwrap_or_default();
        let mut parts = vec![format!(
            "skytail: {}{outputs}, {} in {} ({}){to}",
            counted(self.events, "event"),
            bytes(self.bytes),
            duration(self.elapsed),
            rate(per_second),
        )];
        // The number of received events matters only if filters, or nothing, explain the
        // difference.
        let shows_received = self.filtered > 0 || self.events == 0;
        let extras = [
            (u64::from(shows_received), format!("{} received", count(self.received))),
            (self.archive_bytes, format!("{} from the archive", bytes(self.archive_bytes))),
            (self.reconnects, counted(self.reconnects, "reconnect")),
            (self.dropped, format!("{} dropped", count(self.dropped))),
            (self.duplicates, format!("{} removed", counted(self.duplicates, "duplicate"))),
            (self.gaps, counted(self.gaps, "gap")),
            (self.malformed, format!("{} malformed skipped", count(self.malformed))),
            (self.failed, skipped_for_errors(self.failed)),
            (self.unknown, format!("{} of unknown types skipped", count(self.unknown))),
        ];
        let extras = extras.into_iter().filter(|(n, _)| *n > 0);
        let mut extras: Vec<String> = extras.map(|(_, words)| words).collect();
        let witness = self.witness.as_ref().map(WitnessSummary::words);
        extras.extend(witness.filter(|words| !words.is_empty()));
        if !extras.is_empty() {
            parts.push(extras.join(", "));
        }
        let saved = self.saved.as_ref().map(ToString::to_string);
        parts.push(saved.unwrap_or_else(|| unsaved(self.unsaved).to_owned()));
        parts.push(format!("stopped {}", self.reason_text));
        parts.join("; ")
    }

    /// Returns the summary as one JSON object: `ts`, `level` and `message` as in every log line,
    /// and the fields of this struct, with `elapsed` as `elapsed_s`.
    #[must_use]
    pub fn json(&self, now: jiff::Timestamp) -> String {
        let mut object = serde_json::json!({
            "ts": format!("{now:.3}"), "level": "info", "message": "summary",
        });
        if let (Some(all), Ok(serde_json::Value::Object(fields))) =
            (object.as_object_mut(), serde_json::to_value(self))
        {
            all.extend(fields);
        }
        object.to_string()
    }
}

fn unsaved(why: Option<UnsavedReason>) -> &'static str {
    match why {
        Some(UnsavedReason::Terminal) => {
            "nothing saved (stdout is a terminal; --cursor auto saves)"
        }
        Some(UnsavedReason::Kept) => "nothing saved (the position of --cursor auto is kept)",
        Some(UnsavedReason::Last) => "nothing saved (--last saves no position)",
        Some(UnsavedReason::NoCheckpoint) | None => "no position saved",
    }
}

fn skipped_for_errors(n: u64) -> String {
    let whose = if n == 1 { "its error" } else { "their errors" };
    format!("{} skipped for {whose}", count(n))
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn seconds<S: serde::Serializer>(d: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(d.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_figures_and_omits_zeros() {
        let plain = Summary {
            events: 12_345,
            bytes: 6_815_744,
            elapsed: Duration::from_secs(62),
            saved: Some(Saved {
                consumer: "all".into(),
                server: "h.example".into(),
                seq: Some(98765),
                time_us: 1_783_175_888_186_668,
                time: "2026-07-04T14:38:08Z".into(),
            }),
            reason: "interrupt",
            reason_text: "by Ctrl-C",
            ..Summary::default()
        };
        insta::assert_snapshot!(plain.line(), @r#"skytail: 12,345 events, 6.5 MiB in 1m02s (199/s); saved seq 98765 of h.example (2026-07-04T14:38:08Z) as "all"; stopped by Ctrl-C"#);
        insta::assert_snapshot!(plain.json(jiff::Timestamp::UNIX_EPOCH), @r#"{"bytes":6815744,"complete":false,"dropped":0,"duplicates":0,"elapsed_s":62.0,"events":12345,"gaps":0,"level":"info","malformed":0,"message":"summary","reason":"interrupt","received":0,"reconnects":0,"saved":{"consumer":"all","seq":98765,"server":"h.example","time":"2026-07-04T14:38:08Z","time_us":1783175888186668},"ts":"1970-01-01T00:00:00.000Z","unknown":0}"#);
        let filed = Summary { output: Some("posts.ndjson".into()), ..plain.clone() };
        assert!(filed.line().contains(" (199/s) to posts.ndjson; saved"), "{}", filed.line());
        let filtered = Summary { received: 20_000, filtered: 7_655, ..plain.clone() };
        assert!(
            filtered.line().contains(" (199/s); 20,000 received; saved"),
            "{}",
            filtered.line()
        );
        let none = Summary { events: 0, bytes: 0, received: 345, ..plain.clone() };
        assert!(
            none.line().contains("0 events, 0 B in 1m02s (0/s); 345 received;"),
            "{}",
            none.line()
        );
        let busy = Summary {
            events: 1,
            reconnects: 2,
            dropped: 5,
            duplicates: 3,
            malformed: 1000,
            saved: None,
            ..plain
        };
        insta::assert_snapshot!(busy.line(), @"skytail: 1 event, 6.5 MiB in 1m02s (0/s); 2 reconnects, 5 dropped, 3 duplicates removed, 1,000 malformed skipped; no position saved; stopped by Ctrl-C");
    }
}
