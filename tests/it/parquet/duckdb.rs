//! DuckDB reads the files. The tests need its Python package.

use std::process::Command;

use crate::parquet::run;
use crate::support::{Scratch, events, requires};

/// Returns the output of a Python program that has `duckdb`.
fn python(scratch: &Scratch, program: &str) -> Option<String> {
    let has_it = Command::new("python3").args(["-c", "import duckdb"]).output();
    let found = has_it.is_ok_and(|output| output.status.success()).then_some(());
    requires("python3 with the package duckdb", found)?;
    let output = Command::new("python3")
        .args(["-c", program])
        .current_dir(scratch.path("."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn duckdb_finds_each_event_with_its_values() {
    let scratch = Scratch::new();
    scratch.recording(&events(1_000, true));
    let fields = "commit.record.text,commit.rkey:int";
    let args = ["convert", "recording.ndjson", "-o", "a.parquet", "--fields", fields];
    run(&scratch, &args, 0);
    let program = r#"
import duckdb, json
rows = duckdb.sql("""select ordinal, seq, epoch_us(time_us), did, collection, record->>'$.text',
  "commit.record.text", "commit.rkey", handle from 'a.parquet' order by ordinal""").fetchall()
lines = [json.loads(line) for line in open('recording.ndjson')]
assert len(rows) == len(lines) == 1000
for i, (row, line) in enumerate(zip(rows, lines)):
    commit = line.get('commit', {})
    text = commit.get('record', {}).get('text')
    handle = line.get('identity', {}).get('handle')
    expected = (i, line['cursor'], line['time_us'], line['did'], commit.get('collection'), text,
        text, None, handle)
    assert row == expected, (row, expected)
one = duckdb.sql("select count(*) from 'a.parquet' where did = 'did:plc:tenth'").fetchall()[0]
print(one[0], duckdb.sql("select count(*) from parquet_metadata('a.parquet')").fetchall()[0][0])
"#;
    let Some(found) = python(&scratch, program) else { return };
    assert_eq!(found.trim(), "100 17");
}
