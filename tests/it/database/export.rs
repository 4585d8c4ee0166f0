//! A database as a recording, for `skytail stats` and `skytail serve`.

use std::process::Command;

use super::fixture::{Fixture, query};
use crate::support::fold::{Fold, dump};
use crate::support::tail::tail;
use crate::support::{ServeProcess, isolate_environment};

#[test]
fn stats_counts_the_rows_of_a_database() {
    let fixture = Fixture::new(3_000);
    fixture.run_ok(&[]);
    let mut stats = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut stats, &fixture.scratch.path(""));
    let output = stats.args(["stats", "--json"]).arg(fixture.database()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let counted: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = "SELECT (SELECT count(*) FROM records)
      + (SELECT count(*) FROM accounts WHERE active = 0 AND time_us > 0)";
    assert_eq!(counted["events"].to_string(), query(&fixture.database(), rows)[0], "{counted}");
}

#[test]
fn a_served_database_fills_another_one_with_the_same_records() {
    let fixture = Fixture::new(3_000);
    fixture.run_ok(&[]);
    let server = ServeProcess::start(&fixture.database(), &[]);
    let (host, copy) = (server.address.to_string(), fixture.scratch.path("copy.db"));
    let to = format!("sqlite:{}", copy.display());
    let flags = ["--host", &*host, "--from", "oldest", "-e", "--to", &*to];
    let run = tail(&fixture.scratch.path(""), &flags);
    assert_eq!(run.code(), 0, "{}", run.stderr);
    let of = |path: &std::path::Path| {
        let rows = dump(path).into_iter().filter(|row| row.starts_with("record"));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(of(&copy), of(&fixture.database()));
    let expected = Fold::of(fixture.recorded.iter().map(String::as_str)).dump();
    assert!(expected.iter().filter(|row| row.starts_with("record")).count() == of(&copy).len());
}
