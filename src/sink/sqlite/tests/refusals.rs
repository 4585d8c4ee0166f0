//! Files that are no database of ours, and commits that fail.

use std::fs;

use rusqlite::Connection;

use super::{Event, rows, settings, write};
use crate::sink::sqlite::Database;
use crate::sink::sqlite::error::DatabaseError;
use crate::sink::sqlite::log::LogLimits;
use crate::sink::sqlite::schema;

fn refusal(path: &std::path::Path) -> DatabaseError {
    let before = fs::read(path).unwrap();
    let error = Database::open(&settings(path)).unwrap_err();
    assert_eq!(fs::read(path).unwrap(), before, "{error}");
    error
}

#[test]
fn a_file_that_is_no_database_of_this_version_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::write(path("diary"), "not a database, but long enough to be one".repeat(30)).unwrap();
    assert!(matches!(refusal(&path("diary")), DatabaseError::NotSqlite { .. }));

    let foreign = Connection::open(path("foreign")).unwrap();
    foreign.execute_batch("CREATE TABLE a (b)").unwrap();
    drop(foreign);
    assert!(matches!(refusal(&path("foreign")), DatabaseError::Foreign { .. }));

    let state = Connection::open(path("state.db")).unwrap();
    state.pragma_update(None, "application_id", i32::from_be_bytes(*b"Skyt")).unwrap();
    state.execute_batch("CREATE TABLE a (b)").unwrap();
    drop(state);
    assert!(refusal(&path("state.db")).to_string().contains("is the state file of skytail"));

    drop(Database::open(&settings(&path("newer"))).unwrap());
    let newer = Connection::open(path("newer")).unwrap();
    newer.pragma_update(None, "user_version", schema::VERSION + 1).unwrap();
    drop(newer);
    assert!(matches!(refusal(&path("newer")), DatabaseError::Newer { .. }));
}

#[test]
fn a_damaged_database_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut database = Database::open(&settings(&path)).unwrap();
    let put = |i: u32| Event::Put {
        did: format!("did:plc:{i}"),
        key: "k".to_owned(),
        rev: "3mptbypluud2a".to_owned(),
        update: false,
        text: "x".repeat(500),
    };
    let lines: Vec<String> = (0..200).map(|i| put(i).line(1_783_000_000_000_000, 1)).collect();
    write(&mut database, &lines);
    drop(database);
    let mut bytes = fs::read(&path).unwrap();
    let length = bytes.len();
    bytes[4096 * 3..length - 4096].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let error = Database::open(&settings(&path)).unwrap_err();
    assert!(matches!(error, DatabaseError::Damaged { .. }), "{error}");
}

#[test]
fn a_database_for_another_stream_or_with_other_options_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    drop(Database::open(&settings(&path)).unwrap());
    let mut other = settings(&path);
    other.stream = "app.bsky.feed.post".to_owned();
    let error = Database::open(&other).unwrap_err().to_string();
    assert!(
        error.contains("made for \"all\", and this run is for \"app.bsky.feed.post\""),
        "{error}"
    );
    other.accepts_stream = true;
    drop(Database::open(&other).unwrap());
    let made = "SELECT value FROM skytail_meta WHERE key = 'filters'";
    assert_eq!(rows(&path, made), ["all"], "nothing was read again yet");
    write(&mut Database::open(&other).unwrap(), &[]);
    other.accepts_stream = false;
    drop(Database::open(&other).unwrap());
    other.options.jsonb = true;
    let error = Database::open(&other).unwrap_err().to_string();
    assert!(
        error.contains("made with \"json=text\", and this run is with \"json=jsonb\""),
        "{error}"
    );
}

#[test]
fn a_commit_that_fails_leaves_the_tables_and_is_tried_again_with_the_same_lines() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut database = Database::open(&settings(&path)).unwrap();
    database.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let identity =
        Event::Identity { did: "did:plc:a".to_owned(), handle: "a.test".to_owned(), at: 5 };
    let mut batch = crate::event::batch::Batch::with_capacity(100);
    batch.push(identity.line(1_783_000_000_000_000, 1).as_bytes());
    database.write(&crate::sink::WriteRequest {
        lines: &batch.into(),
        shape: crate::event::format::EventFormat::V1,
        written_bytes: 0,
        period_starts: &[],
        originals: None,
    });
    let error = database.commit(None).unwrap_err();
    assert!(matches!(error, DatabaseError::Busy { .. }) && error.is_transient(), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    database.commit(None).unwrap();
    assert_eq!(rows(&path, "SELECT handle FROM accounts"), ["a.test"]);
}

fn identity_at(second: u64) -> String {
    let (did, handle) = ("did:plc:a".to_owned(), format!("h{second}.test"));
    let at = 1_783_000_000_000_000 + second * 1_000_000;
    Event::Identity { did, handle, at }.line(at, second)
}

#[test]
fn a_reader_that_keeps_the_log_stops_the_writer_only_at_the_limit() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut database = Database::open(&settings(&path)).unwrap();
    database.connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    database.log_limits = LogLimits { copy: 8_192, warn: 100_000, most: 200_000 };
    let log = home.path().join("a.db-wal");
    let log_bytes = || fs::metadata(&log).unwrap().len();
    // Without a reader the log is emptied again and again.
    for second in 1..60 {
        write(&mut database, &[identity_at(second)]);
        assert!(log_bytes() < 100_000, "{}", log_bytes());
    }
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM accounts").unwrap();
    let refused = (60..1_000).find_map(|second| {
        let mut batch = crate::event::batch::Batch::with_capacity(100);
        batch.push(identity_at(second).as_bytes());
        let lines = batch.into();
        database.write(&crate::sink::WriteRequest {
            lines: &lines,
            shape: crate::event::format::EventFormat::V1,
            written_bytes: 0,
            period_starts: &[],
            originals: None,
        });
        database.commit(None).err()
    });
    let refused = refused.expect("the log does not grow without bound");
    assert!(matches!(refused, DatabaseError::LogTooLong { .. }) && refused.is_transient());
    assert!(log_bytes() < 300_000, "{}", log_bytes());
    let seen: String = reader.query_row("SELECT handle FROM accounts", [], |r| r.get(0)).unwrap();
    assert_eq!(seen, "h59.test", "the reader sees the state at which it began");
    reader.execute_batch("COMMIT").unwrap();
    database.commit(None).unwrap();
    assert!(log_bytes() < 100_000, "{}", log_bytes());
    let newest = rows(&path, "SELECT handle FROM accounts");
    assert_ne!(newest, ["h59.test"]);
}

#[test]
fn a_database_that_was_removed_is_not_written_any_more() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut database = Database::open(&settings(&path)).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(database.commit(None).unwrap_err(), DatabaseError::Gone { .. }));
}
