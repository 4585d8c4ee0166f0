//! The one line at the end of a run.

use std::time::Duration;

use super::units::{bytes, count, counted, duration, rate};

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Lines written.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Connections beyond the first.
    pub reconnects: u64,
    /// Events dropped by `--when-full`.
    pub dropped: u64,
    /// Events that had been written already.
    pub duplicates: u64,
    /// Events skipped as malformed.
    pub malformed: u64,
    /// The position that was saved, and under which name.
    pub saved: Option<String>,
    /// Why it ended, as in "stopped by Ctrl-C".
    pub reason: String,
}

impl Summary {
    /// The line, without a line feed.
    #[must_use]
    pub fn line(&self) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let per_second = if seconds > 0.0 { self.events as f64 / seconds } else { 0.0 };
        let mut parts = vec![format!(
            "skytail: {}, {} in {} ({})",
            counted(self.events, "event"),
            bytes(self.bytes),
            duration(self.elapsed),
            rate(per_second),
        )];
        let extras = [
            (self.reconnects, "reconnects"),
            (self.dropped, "dropped"),
            (self.duplicates, "duplicates removed"),
            (self.malformed, "malformed skipped"),
        ];
        let extras = extras.iter().filter(|(n, _)| *n > 0);
        let extras: Vec<String> = extras.map(|(n, what)| format!("{} {what}", count(*n))).collect();
        if !extras.is_empty() {
            parts.push(extras.join(", "));
        }
        parts.push(self.saved.clone().unwrap_or_else(|| "no position saved".into()));
        parts.push(format!("stopped {}", self.reason));
        parts.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_matters_and_leaves_out_zeros() {
        let plain = Summary {
            events: 12_345,
            bytes: 6_815_744,
            elapsed: Duration::from_secs(62),
            saved: Some("saved seq 98765 as \"all\"".into()),
            reason: "by Ctrl-C".into(),
            ..Summary::default()
        };
        insta::assert_snapshot!(plain.line(), @r#"skytail: 12,345 events, 6.5 MiB in 1m02s (199/s); saved seq 98765 as "all"; stopped by Ctrl-C"#);
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
