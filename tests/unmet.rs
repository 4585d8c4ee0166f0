//! No test: prints which tests of this run, and which commands of the documents, did not run, and
//! what they need. Cargo runs the test
//! targets in the order of their names, so this is the last.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;

fn main() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("unmet");
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut lines: Vec<String> = entries
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .map(|line| line.trim().to_owned())
        .collect();
    lines.sort();
    if !lines.is_empty() {
        println!(
            "\n{} tests or commands of the documents did not run or ran in part, because this is \
             missing:",
            lines.len()
        );
        lines.iter().for_each(|line| println!("  {line}"));
    }
}
