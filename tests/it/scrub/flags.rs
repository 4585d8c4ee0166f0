//! Flags and files that a scrub refuses, and what it says of those that it leaves out.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use super::{account, commit, names, read, scrub, write};
use crate::support::Scratch;

fn hit() -> Vec<String> {
    vec![commit("a", 1, "create", "x"), commit("a", 2, "delete", "x")]
}

#[test]
fn flags_are_checked_before_anything_is_read() {
    let scratch = Scratch::new();
    let path = write(&scratch, "a.ndjson", &hit());
    let at = |name: &str| scratch.path(name).to_str().unwrap().to_owned();
    for (flags, words) in [
        (["--temp".to_owned(), at("none")], "--temp: the directory"),
        (["--temp".to_owned(), at("a.ndjson")], "is not a directory"),
        (["--state".to_owned(), at("none.db")], "does not exist"),
        (
            ["--state".to_owned(), at("a.ndjson")],
            "is no state file: name the state file of the runs",
        ),
        (["--api-key-file".to_owned(), at("none")], "--api-key-file: can't read"),
        (["--ca-file".to_owned(), at("none")], "--ca-file: can't read"),
        (["--markers-host".to_owned(), "a b".to_owned()], "--markers-host: \"a b\""),
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        for more in [&[][..], &["--dry-run"]] {
            scrub(&scratch, &[&flags, more].concat(), &[&path]).ends_with(2).says(&[words]);
        }
    }
    scrub(&scratch, &[], &[Path::new("-")])
        .ends_with(2)
        .says(&["can't replace stdin: name the files"]);
    assert_eq!((read(&path), names(&scratch)), (hit(), vec!["a.ndjson".to_owned()]));
}

#[test]
fn a_missing_file_and_a_database_are_left_out_with_what_to_do() {
    let scratch = Scratch::new();
    let good = write(&scratch, "good.ndjson", &hit());
    let database = scratch.path("some.db");
    let connection = Connection::open(&database).unwrap();
    connection.execute_batch("CREATE TABLE a (b)").unwrap();
    let files = [&*scratch.path("missing.ndjson"), &database, &good];
    scrub(&scratch, &[], &files).ends_with(1).prints(&["removed 1 of 2 events in 3 files"]).says(
        &[
            "missing.ndjson was left as it was: there is no such file: check its name",
            "some.db was left as it was: it is a SQLite database, and no recording",
            "--markers-from FILE takes",
        ],
    );
    // The state file is neither a recording nor a database of events.
    let state = scratch.path("state.db");
    let flags = ["--state", state.to_str().unwrap()];
    fs::write(&state, "").unwrap();
    scrub(&scratch, &flags, &[&good]).ends_with(0);
    let flags = ["--markers-from", state.to_str().unwrap()];
    scrub(&scratch, &flags, &[&good])
        .ends_with(1)
        .says(&["it is the state file of skytail, and no recording"]);
}

#[test]
fn the_report_fits_a_terminal_and_a_file_that_is_being_written_is_named() {
    let scratch = Scratch::new();
    let lines = [
        commit("a", 1, "create", "x"),
        commit("a", 2, "delete", "x"),
        commit("b", 3, "create", "y"),
        commit("b", 4, "update", "y"),
        commit("c", 5, "create", "z"),
        account("c", 6, Some("deleted")),
        commit("d", 7, "create", "w"),
        account("d", 8, Some("suspended")),
    ];
    let path = write(&scratch, "a.ndjson", &lines);
    let ended = scrub(&scratch, &["--dry-run", "--inactive"], &[&path]).ends_with(0).prints(&[
        "would remove 4 of 8 events in 1 file\n",
        "found 1 of deleted records\n",
        "found 1 replaced later\n",
        "found 1 of deleted accounts\n",
        "found 1 of inactive accounts\n",
        "found 4 URIs and 2 accounts in all\n",
    ]);
    assert!(ended.stdout.lines().all(|line| line.len() <= 80), "{}", ended.stdout);
    // A run has just begun the file.
    let empty = write(&scratch, "empty.ndjson", &[]);
    let file = fs::File::open(&empty).unwrap();
    file.lock().unwrap();
    scrub(&scratch, &[], &[&empty]).ends_with(0).says(&["empty.ndjson is being written", "again"]);
}
