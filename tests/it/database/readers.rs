//! The commands of the README and of `docs/guide/sqlite.md` that other programs run. Each test needs
//! that program.

use std::process::Command;

use crate::support::{Scratch, isolate_environment, requires};

/// Returns the lines of a document that begin with a command.
fn command_lines(document: &str, program: &str) -> Vec<String> {
    let text = crate::documents::read(document);
    let lines = text.lines().filter(|line| line.starts_with(&format!("{program} ")));
    lines.map(str::to_owned).collect()
}

/// Returns a directory with a database `posts.db` of posts.
fn posts() -> Scratch {
    let scratch = Scratch::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_skytail"));
    isolate_environment(&mut command, &scratch.path("."));
    command.args(["tail", "--demo", "-n", "300", "-q", "--to", "sqlite:posts.db"]);
    assert!(command.current_dir(scratch.path(".")).status().unwrap().success());
    scratch
}

/// Returns what a shell prints for a command.
#[track_caller]
fn shell(scratch: &Scratch, line: &str) -> String {
    let mut command = Command::new("sh");
    let output = command.args(["-c", line]).current_dir(scratch.path(".")).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn works(line: &str) -> Option<()> {
    let output = Command::new("sh").args(["-c", line]).output();
    output.is_ok_and(|output| output.status.success()).then_some(())
}

#[test]
fn the_sqlite3_shell_runs_the_query_of_the_readme_and_the_guide() {
    // The operator ->> came with 3.38.
    let found = works(r#"sqlite3 :memory: "select '{}' ->> 'a'""#);
    let Some(()) = requires("the sqlite3 shell, from 3.38 on", found) else { return };
    let scratch = posts();
    for document in ["README.md", "docs/guide/sqlite.md"] {
        let lines = command_lines(document, "sqlite3");
        assert_eq!(lines.len(), 1, "{document}");
        assert!(shell(&scratch, &lines[0]).lines().count() >= 10, "{document}");
    }
}

#[test]
fn datasette_serves_the_database() {
    let Some(()) = requires("datasette", works("datasette --version")) else { return };
    let scratch = posts();
    let lines = command_lines("docs/guide/sqlite.md", "datasette");
    assert_eq!(lines.len(), 1);
    let page = shell(&scratch, &format!("{} --get '/posts/live_records.json?_size=5'", lines[0]));
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["rows"].as_array().unwrap().len(), 5, "{page}");
}

#[test]
fn duckdb_reads_the_database() {
    // It downloads its extension for SQLite.
    let found = works("timeout 20 duckdb -c 'install sqlite; load sqlite'");
    let what = "duckdb on the command line, with its extension sqlite";
    let Some(()) = requires(what, found) else { return };
    let lines = command_lines("docs/guide/sqlite.md", "duckdb");
    assert_eq!(lines.len(), 1);
    assert!(shell(&posts(), &lines[0]).contains("app.bsky.feed.post"));
}
