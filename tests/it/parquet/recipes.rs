//! The recipes in Python of the guide.

use std::process::Command;

use crate::parquet::run;
use crate::support::{Scratch, requires};

/// Runs the block of the guide that imports this module.
fn recipe(module: &str) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/parquet.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let program = blocks.into_iter().find(|block| block.contains(&format!("import {module}")));
    let has_it = Command::new("python3").args(["-c", &format!("import {module}")]).output();
    let found = has_it.is_ok_and(|output| output.status.success()).then_some(());
    let Some(()) = requires(&format!("python3 with the package {module}"), found) else { return };
    let scratch = Scratch::new();
    let (events, _) = run(&scratch, &["tail", "--demo", "-n", "2000", "-q"], 0);
    std::fs::write(scratch.path("all.ndjson"), events).unwrap();
    run(&scratch, &["convert", "all.ndjson", "-o", "all.parquet"], 0);
    let output = Command::new("python3")
        .args(["-c", program.unwrap()])
        .current_dir(scratch.path("."))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.lines().count() > 8, "{printed}");
}

#[test]
fn the_recipe_for_duckdb_runs() {
    recipe("duckdb");
}

#[test]
fn the_recipe_for_polars_runs() {
    recipe("polars");
}
