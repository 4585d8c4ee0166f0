//! Parquet files: what is converted equals what was recorded, for skytail's own reader, for the
//! crate `parquet`, and for DuckDB if it is installed.

mod convert;
mod duckdb;
mod recipes;
mod refusals;
mod tail;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Scratch, isolate_environment};

/// Returns a command of the program that runs in the directory of the test.
pub fn skytail(scratch: &Scratch, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &scratch.path("."));
    command.args(args).current_dir(scratch.path("."));
    command
}

/// Returns stdout and stderr of a run that must end with `code`.
#[track_caller]
pub fn run(scratch: &Scratch, args: &[&str], code: i32) -> (String, String) {
    let output: Output = skytail(scratch, args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Returns the values of lines of JSON.
pub fn values(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
