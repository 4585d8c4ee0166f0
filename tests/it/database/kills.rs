//! Rows, position and dedup keys are committed together.

use std::fs;

use super::fixture::{Fixture, query};

// Guards INV-3.
#[test]
fn the_tables_equal_the_fold_after_many_kills() {
    let fixture = Fixture::new(20_000);
    let mut kills = 0;
    for round in 0..10_u64 {
        let run = fixture.start(&["--checkpoint-every", "10ms"]);
        fixture.wait_for((round * 1_500 + 1).min(19_000));
        run.signal("KILL");
        kills += u32::from(run.wait().code() == -1);
        fixture.assert_is_fold(&fixture.database());
    }
    assert!(kills >= 5, "{kills} kills");
    fixture.run_ok(&[]);
    fixture.assert_is_complete();
}

#[test]
fn a_run_killed_before_its_first_commit_starts_again_at_its_start() {
    let fixture = Fixture::new(5_000);
    let run = fixture.start(&["--checkpoint-every", "1h", "--timeout", "1h"]);
    let start = "SELECT coalesce(start_seq, start_time_us) FROM skytail_position";
    let patience = std::time::Instant::now() + crate::support::PATIENCE;
    while !fixture.database().exists()
        || rusqlite::Connection::open(fixture.database())
            .and_then(|db| db.query_row(start, [], |row| row.get::<_, i64>(0)))
            .is_err()
    {
        // A fast run may have ended.
        if fixture.committed(&fixture.database()) > 0 {
            break;
        }
        assert!(std::time::Instant::now() < patience, "no start was saved");
    }
    run.signal("KILL");
    run.wait();
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
