//! Databases that can't be written for a while, or at all.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rusqlite::Connection;

use super::fixture::Fixture;
use crate::support::disk::Disk;
use crate::support::tail::tail_command;

#[test]
fn a_run_waits_for_a_program_that_has_locked_the_database() {
    let fixture = Fixture::new(3_000);
    fixture.run_ok(&["--limit", "500"]);
    let other = Connection::open(fixture.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // The run opens the database, which needs no lock, and waits for five seconds at each commit.
    let run = fixture.follow(&["--checkpoint-every", "10ms"]);
    assert_eq!(fixture.committed(&fixture.database()), 500);
    other.execute_batch("ROLLBACK").unwrap();
    fixture.wait_for(3_000);
    run.signal("TERM");
    assert_eq!(run.wait().code(), 0);
    fixture.assert_is_complete();
}

#[test]
fn a_reader_does_not_stop_the_writer_and_sees_one_state() {
    let fixture = Fixture::new(6_000);
    fixture.run_ok(&["--limit", "1000"]);
    let reader = Connection::open(fixture.database()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = || -> i64 {
        reader.query_row("SELECT count(*) FROM records", [], |row| row.get(0)).unwrap()
    };
    let before = count();
    fixture.run_ok(&[]);
    assert_eq!(count(), before);
    reader.execute_batch("COMMIT").unwrap();
    fixture.assert_is_complete();
}

/// Returns a disk of this size, and a database on it as a path and as a destination; `None` where no
/// disk can be made.
fn database_on_a_disk(fixture: &Fixture, size: &str) -> Option<(Disk, PathBuf, String)> {
    let at = fixture.scratch.path("disk");
    fs::create_dir(&at).unwrap();
    let disk = Disk::new(at.clone(), size)?;
    let path = at.join("out.db");
    let to = format!("sqlite:{}", path.display());
    Some((disk, path, to))
}

#[test]
fn a_full_disk_ends_the_run_and_the_next_one_continues() {
    let fixture = Fixture::new(6_000);
    let Some((disk, path, to)) = database_on_a_disk(&fixture, "1M") else { return };
    let run = fixture.run(&["--to", &to, "--drain-timeout", "0s"]);
    assert_eq!(run.code(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("its disk is full; free some space"), "{}", run.stderr);
    disk.remount("size=64M");
    fixture.run_ok(&["--to", &to]);
    assert_eq!(fixture.committed(&path), 6_000);
    fixture.assert_is_fold(&path);
}

#[test]
fn a_read_only_database_is_refused() {
    let fixture = Fixture::new(100);
    let Some((disk, _, to)) = database_on_a_disk(&fixture, "4M") else { return };
    fixture.run_ok(&["--to", &to]);
    disk.remount("ro");
    let run = fixture.run(&["--to", &to]);
    assert_eq!(run.code(), 1, "{}", run.stderr);
    assert!(run.stderr.to_lowercase().contains("read-only"), "{}", run.stderr);
}

/// Starts a run, and returns it with the rest of its stderr after a line with these words.
fn run_until_it_says(
    fixture: &Fixture,
    flags: &[&str],
    words: &str,
) -> (Child, impl Iterator<Item = String>) {
    let mut flags = fixture.flags(flags);
    if let Some(at) = flags.iter().position(|flag| flag == "--cursor") {
        // The start of the other runs.
        let from = flags.iter().position(|flag| flag == "--from").unwrap();
        assert!(from < at);
        flags.drain(from..from + 2);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let mut command = tail_command(&fixture.scratch.path(""), &flags);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let found = lines.any(|line| line.contains(words));
    assert!(found, "{words:?} was not said");
    (child, lines)
}

#[test]
fn the_last_commit_waits_for_room_on_the_disk() {
    let fixture = Fixture::new(6_000);
    let Some((disk, path, to)) = database_on_a_disk(&fixture, "1M") else { return };
    // Only the commit after the last event is due.
    let flags = ["--to", &to, "--limit", "5900", "--checkpoint-every", "1h"];
    let words = "its disk is full; free some space; the events wait, and the run tries again";
    let (mut child, mut rest) = run_until_it_says(&fixture, &flags, words);
    disk.remount("size=64M");
    assert!(rest.any(|line| line.contains("the database takes events again")));
    let rest: Vec<String> = rest.collect();
    assert!(child.wait().unwrap().success(), "{rest:#?}");
    assert_eq!(fixture.committed(&path), 5_900);
    fixture.assert_is_fold(&path);
}

#[test]
fn the_start_of_a_run_waits_for_a_program_that_has_locked_the_database() {
    let fixture = Fixture::new(1_000);
    fixture.run_ok(&["--limit", "500"]);
    let other = Connection::open(fixture.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let words = "has been locked by another program for too long";
    let (mut child, rest) = run_until_it_says(&fixture, &["--cursor", "oldest"], words);
    other.execute_batch("ROLLBACK").unwrap();
    let rest: Vec<String> = rest.collect();
    assert!(child.wait().unwrap().success(), "{rest:#?}");
    fixture.assert_is_complete();
}
