//! Formats the report of a scrub.

use serde::Serialize;

use crate::display::table::Table;
use crate::display::units::{bytes, count, counted};
use crate::scrub::report::{FileReport, Outcome, Report};

/// The report as JSON. The names are part of the interface.
#[derive(Serialize)]
struct Json<'a> {
    dry_run: bool,
    files: Vec<File<'a>>,
    events: u64,
    markers: u64,
    removed: Events,
    uris: u64,
    accounts: u64,
    bytes_before: u64,
    bytes_after: Option<u64>,
}

#[derive(Serialize)]
struct File<'a> {
    path: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    events: u64,
    removed: u64,
    malformed: u64,
    bytes_before: u64,
    bytes_after: Option<u64>,
}

#[derive(Serialize)]
struct Events {
    events: u64,
    deleted: u64,
    replaced: u64,
    of_deleted_accounts: u64,
    of_inactive_accounts: u64,
    repaired: u64,
}

/// Returns the report as one JSON object.
///
/// # Errors
/// None in practice: numbers and strings always have a JSON form.
pub fn json(report: &Report, is_dry_run: bool) -> anyhow::Result<String> {
    let found = report.found;
    // A dry run makes no file whose length could be known.
    let after = |bytes: u64| (!is_dry_run).then_some(bytes);
    let json = Json {
        dry_run: is_dry_run,
        files: report.files.iter().map(|file| json_file(file, is_dry_run)).collect(),
        events: report.events(),
        markers: report.markers,
        removed: Events {
            events: report.removed(),
            deleted: found.deleted,
            replaced: found.replaced,
            of_deleted_accounts: found.of_deleted_accounts,
            of_inactive_accounts: found.of_inactive_accounts,
            repaired: found.repaired,
        },
        uris: found.uris,
        accounts: found.accounts,
        bytes_before: report.bytes_before(),
        bytes_after: after(report.bytes_after()),
    };
    Ok(serde_json::to_string(&json)? + "\n")
}

fn json_file(file: &FileReport, is_dry_run: bool) -> File<'_> {
    let (outcome, reason) = match &file.outcome {
        Outcome::Clean => ("clean", None),
        Outcome::Scrubbed if is_dry_run => ("would_be_scrubbed", None),
        Outcome::Scrubbed => ("scrubbed", None),
        Outcome::Left(reason) => ("left", Some(&**reason)),
    };
    let is_unknown = is_dry_run && file.outcome == Outcome::Scrubbed;
    File {
        path: file.path.display().to_string(),
        outcome,
        reason,
        events: file.events,
        removed: file.removed,
        malformed: file.malformed.map_or(0, |(lines, _)| lines),
        bytes_before: file.bytes_before,
        bytes_after: (!is_unknown).then_some(file.bytes_after),
    }
}

/// Returns the report for people: a row for each file that is not clean, and the sums.
pub fn text(report: &Report, is_dry_run: bool) -> String {
    let mut table = Table::new(["FILE", "EVENTS", "REMOVED", "BYTES"]);
    let listed = report.files.iter().filter(|file| file.outcome != Outcome::Clean);
    let mut rows = 0;
    for file in listed {
        rows += 1;
        let (removed, length) = match file.outcome {
            Outcome::Left(_) => (format!("0 of {}", count(file.removed)), bytes(file.bytes_before)),
            _ if is_dry_run => (count(file.removed), bytes(file.bytes_before)),
            _ => (
                count(file.removed),
                format!("{} -> {}", bytes(file.bytes_before), bytes(file.bytes_after)),
            ),
        };
        table.row([file.path.display().to_string(), count(file.events), removed, length]);
    }
    let mut text = if rows > 0 { table.to_string() } else { String::new() };
    text.push_str(&sums(report, is_dry_run));
    text
}

/// Returns what was removed from how much, and why, in lines of at most 80 columns.
fn sums(report: &Report, is_dry_run: bool) -> String {
    let found = report.found;
    let verb = if is_dry_run { "would remove" } else { "removed" };
    let mut lines = vec![format!(
        "{verb} {} of {} in {}",
        count(report.removed()),
        counted(report.events(), "event"),
        counted(report.files.len() as u64, "file"),
    )];
    if report.markers > 0 {
        lines.push(format!("read {} from elsewhere", counted(report.markers, "marker")));
    }
    let reasons = [
        (found.deleted, "of deleted records"),
        (found.replaced, "replaced later"),
        (found.of_deleted_accounts, "of deleted accounts"),
        (found.of_inactive_accounts, "of inactive accounts"),
        (found.repaired, "older than a repair of their repository"),
    ];
    let reasons = reasons.into_iter().filter(|(events, _)| *events > 0);
    lines.extend(reasons.map(|(events, what)| format!("found {} {what}", count(events))));
    if found.uris + found.accounts > 0 {
        let (uris, accounts) = (counted(found.uris, "URI"), counted(found.accounts, "account"));
        lines.push(format!("found {uris} and {accounts} in all"));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::report::Removed;

    #[test]
    fn the_sums_of_a_large_archive_fit_a_terminal() {
        const MOST: u64 = 1_000_000_000_000;
        let found = Removed {
            deleted: MOST,
            replaced: MOST,
            of_deleted_accounts: MOST,
            of_inactive_accounts: MOST,
            repaired: MOST,
            uris: MOST,
            accounts: MOST,
        };
        let file = FileReport {
            path: "a".into(),
            outcome: Outcome::Scrubbed,
            events: MOST,
            removed: MOST,
            bytes_before: MOST,
            bytes_after: MOST,
            malformed: None,
            is_written: false,
        };
        let report = Report { files: vec![file], found, markers: MOST };
        for line in sums(&report, true).lines() {
            assert!(line.len() <= 80, "{line}");
        }
        assert_eq!(sums(&Report::default(), false), "removed 0 of 0 events in 0 files\n");
    }
}
