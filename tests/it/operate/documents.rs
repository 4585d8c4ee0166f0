//! `docs/operations`: its metrics exist, its unit file starts a command that exists, its log lines
//! are in the source.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::documents::{block, read};
use crate::operate::scrape::samples;
use crate::operate::{get_until, serve, start_monitored};

/// Returns the names of metrics in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_part(c));
    let is_metric = |word: &&str| word.starts_with("skytail_") || word.starts_with("process_");
    words.filter(is_metric).map(str::to_owned).collect()
}

/// Returns the names of the program's metrics.
fn exported_metrics() -> BTreeSet<String> {
    let (_scratch, server) = serve(10);
    let tail = start_monitored(&server, &["--witness", "127.0.0.1:1"]);
    let page = get_until(tail.metrics_address(), "/metrics", |page| {
        page.body.contains("skytail_missing_events_total{")
    });
    let names = samples(&page.body);
    names.keys().map(|series| series.split('{').next().unwrap().to_owned()).collect()
}

#[test]
fn the_dashboard_parses_and_each_of_its_metrics_exists() {
    let dashboard = read("docs/operations/grafana/skytail.json");
    let json: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let panels = json["panels"].as_array().unwrap();
    assert!(panels.len() >= 6);
    let exported = exported_metrics();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().unwrap();
        let expressions = targets.iter().map(|target| target["expr"].as_str().unwrap());
        for expression in expressions {
            let names = metrics_in(expression);
            assert!(!names.is_empty(), "{title}: {expression}");
            let missing: Vec<&String> = names.difference(&exported).collect();
            assert!(missing.is_empty(), "{title}: the program has no {missing:?}");
        }
        assert!(panel["gridPos"]["w"].as_u64().unwrap() <= 24, "{title}");
    }
}

#[test]
fn the_table_of_metrics_is_complete() {
    let text = read("docs/operations/metrics-and-alerts.md");
    let rows: String = text.lines().filter(|line| line.starts_with("| `skytail_")).collect();
    let of_skytail = |names: BTreeSet<String>| -> BTreeSet<String> {
        names.into_iter().filter(|name| name.starts_with("skytail_")).collect()
    };
    assert_eq!(of_skytail(metrics_in(&rows)), of_skytail(exported_metrics()));
}

#[test]
fn each_alert_uses_a_metric_that_exists() {
    let exported = exported_metrics();
    let names = metrics_in(&block("docs/operations/metrics-and-alerts.md", "yaml", "alert:"));
    assert!(names.len() >= 3 && names.is_subset(&exported), "{names:?}");
}

#[test]
fn the_unit_file_starts_a_command_that_exists() {
    let unit = block("docs/operations/systemd.md", "ini", "[Service]");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/skytail.service");
    assert_eq!(std::fs::read_to_string(file).unwrap(), unit);
    for line in unit.lines().filter(|l| !l.is_empty() && !l.starts_with(['#', '[', ' '])) {
        assert!(line.contains('='), "{line}");
    }
    for setting in ["Type=notify", "WatchdogSec=", "DynamicUser=yes", "ProtectSystem=strict"] {
        assert!(unit.contains(setting), "{setting}");
    }
    let start = unit.replace("\\\n", " ");
    let start = start.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let mut words = start.split_whitespace();
    assert!(words.next().unwrap().ends_with("/skytail"));
    // `%` begins a specifier of systemd; `%%` is a percent sign.
    let flags: Vec<String> = words.map(|word| word.replace("%%", "%")).collect();
    let long = flags.iter().filter(|flag| flag.starts_with("--"));
    let help = Command::new(env!("CARGO_BIN_EXE_skytail")).args(["tail", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for flag in long {
        assert!(help.contains(flag.as_str()), "{flag}");
    }
}

#[test]
fn each_log_line_to_be_alerted_on_is_in_the_program() {
    let text = read("docs/operations/log-messages.md");
    let (_, part) = text.split_once("| Words of the log line |").unwrap();
    let rows = part.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let source = source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut count = 0;
    for row in rows {
        let words = row.split('`').nth(1).unwrap();
        assert!(source.contains(words), "{words:?} is in no source file");
        count += 1;
    }
    assert!(count >= 8, "{count} lines");
}

/// Returns all source text below a directory.
fn source(directory: &Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            text.push_str(&self::source(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}
