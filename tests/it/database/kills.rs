//! Rows, position and dedup keys are committed together.

use std::fs;

use super::fixture::{Fixture, query};

// Guards INV-3.
#[test]
fn the_tables_equal_the_fold_after_many_kills() {
    let fixture = Fixture::new(8_000);
    for round in 0..7_u64 {
        let run = fixture.follow(&["--checkpoint-every", "10ms"]);
        fixture.wait_for((round * 900 + 1).min(7_000));
        run.signal("KILL");
        assert_eq!(run.wait().code(), -1);
        fixture.assert_is_fold(&fixture.database());
    }
    fixture.run_ok(&[]);
    fixture.assert_is_complete();
}

#[test]
fn a_run_killed_before_its_first_commit_starts_again_at_its_start() {
    let fixture = Fixture::new(5_000);
    let run = fixture.follow(&["--checkpoint-every", "1h"]);
    let start = || {
        let sql = "SELECT coalesce(start_seq, start_time_us) FROM skytail_position";
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(fixture.database(), flags)?;
        database.query_row(sql, [], |row| row.get::<_, i64>(0))
    };
    let patience = std::time::Instant::now() + crate::support::PATIENCE;
    while start().is_err() {
        assert!(std::time::Instant::now() < patience, "no start was saved");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    run.signal("KILL");
    assert_eq!(run.wait().code(), -1);
    assert_eq!(fixture.committed(&fixture.database()), 0);
    fixture.run_ok(&[]);
    fixture.assert_is_complete();
}

// Guards INV-3.
#[test]
fn a_database_that_moves_takes_its_position_along() {
    let fixture = Fixture::new(4_000);
    let run = fixture.run_ok(&["--limit", "1500"]);
    assert!(run.stderr.contains("out.db"), "{}", run.stderr);
    fixture.assert_is_fold(&fixture.database());
    // Another directory, and another machine, whose state file is empty.
    let moved = fixture.scratch.path("moved");
    fs::create_dir(&moved).unwrap();
    let path = moved.join("other.db");
    fs::rename(fixture.database(), &path).unwrap();
    fs::remove_file(fixture.scratch.path("state.db")).unwrap();
    let to = format!("sqlite:{}", path.display());
    fixture.run_ok(&["--to", &to, "--limit", "1000"]);
    assert_eq!(fixture.committed(&path), 2_500);
    fixture.assert_is_fold(&path);
    // A new database at the old place has no position, whatever the state file says.
    fixture.run_ok(&["--to", &to]);
    fixture.run_ok(&[]);
    fixture.assert_is_complete();
    let gaps = query(&fixture.database(), "SELECT count(*) FROM skytail_gaps");
    assert_eq!(gaps, ["0"]);
}

#[test]
fn a_cursor_that_the_user_sets_replaces_the_position_and_changes_no_row() {
    let fixture = Fixture::new(2_000);
    fixture.run_ok(&["--consumer", "c"]);
    fixture.assert_is_complete();
    let mut set = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
    crate::support::isolate_environment(&mut set, &fixture.scratch.path(""));
    let state = fixture.scratch.path("state.db");
    let set = set.args(["cursors", "--state"]).arg(state);
    let set = set.args(["set", "c", "2026-01-01T00:00:00Z"]).output().unwrap();
    assert!(set.status.success(), "{set:?}");
    let again = fixture.run_ok(&["--consumer", "c"]);
    assert!(again.stderr.contains("2,000 events"), "{}", again.stderr);
    fixture.assert_is_complete();
}
