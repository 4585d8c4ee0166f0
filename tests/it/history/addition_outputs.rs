//! `--backfill-new` and where the lines go, how much may be downloaded, and an archive that fails.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

use super::additions::{Case, EVEN, ODD, reload};
use crate::history::assert_same;
use crate::support::{FIRST_US, PATIENCE, fold};

/// Calls `is_there` until it returns true.
#[track_caller]
fn wait_until(what: &str, is_there: impl Fn() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Returns the first column of a query, as text; nothing if there is no such table yet.
fn query(path: &Path, sql: &str) -> Vec<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let rows = Connection::open_with_flags(path, flags).and_then(|database| {
        let mut statement = database.prepare(&format!("SELECT CAST(a AS TEXT) FROM ({sql})"))?;
        statement.query_map([], |row| row.get(0))?.collect()
    });
    rows.unwrap_or_default()
}

#[test]
fn a_parquet_file_has_the_history_of_an_added_account() {
    let case = Case::new(3_250, &[]);
    case.list(&[EVEN]);
    let out = case.fixture.scratch.path("out.parquet");
    let all = [EVEN, ODD].map(|sort| case.of(sort, &case.fixture.recorded));
    let total = (all[0].len() + all[1].len()).to_string();
    let flags = ["--cursor", "oldest", "-n", &*total];
    let run = case.start_to("-d", &["-o", out.to_str().unwrap()], &flags);
    let lines = case.fixture.scratch.path("out.parquet.open.ndjson.zst");
    wait_until("a file", || fs::metadata(&lines).is_ok_and(|file| file.len() > 0));
    case.list(&[EVEN, ODD]);
    reload(&run);
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let scratch = &case.fixture.scratch;
    let (found, _) = crate::parquet::run(scratch, &["convert", "out.parquet", "-o", "-"], 0);
    let found = crate::parquet::values(&found);
    for (sort, all) in [EVEN, ODD].iter().zip(all) {
        let found = found.iter().filter(|event| event["did"] == *sort);
        assert!(found.eq(&crate::parquet::values(&all.join("\n"))), "{sort}");
    }
}

// Guards INV-12.
#[test]
fn a_database_keeps_the_history_of_an_addition_with_its_rows_whatever_becomes_of_the_state_file() {
    let case = Case::new(6_250, &[]);
    case.list(&[EVEN]);
    let path = case.fixture.scratch.path("out.db");
    let to = format!("sqlite:{}?history", path.display());
    let rows = |did: &str| {
        query(&path, &format!("SELECT event AS a FROM events WHERE did = '{did}' ORDER BY id"))
    };
    let [even, odd] = [EVEN, ODD].map(|sort| case.of(sort, &case.fixture.recorded));
    let mut run = case.start_to("-d", &["--to", &to], &["--cursor", "oldest"]);
    wait_until("the stream", || rows(EVEN).len() == even.len());
    run.stop();
    assert_eq!(run.wait().code(), 0);
    case.list(&[EVEN, ODD]);
    for _ in 0..3 {
        let before = rows(ODD).len();
        let run = case.start_to("-d", &["--to", &to], &["--buffer", "100"]);
        wait_until("history", || rows(ODD).len() > before.min(odd.len() - 1));
        run.signal("KILL");
        run.wait();
    }
    // The database alone is moved to another machine.
    fs::remove_file(case.fixture.scratch.path("state.db")).unwrap();
    let mut run = case.start_to("-d", &["--to", &to], &[]);
    // What this run has saved: the killed ones may have read all of the history.
    let live = "SELECT count(*) AS a FROM filter_entries WHERE addition IS NULL";
    let state = case.fixture.scratch.path("state.db");
    wait_until("the history", || rows(ODD).len() >= odd.len() && query(&state, live) == ["2"]);
    run.stop();
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    assert_same(&rows(ODD), &odd);
    assert_same(&rows(EVEN), &even);
}

#[test]
fn a_history_is_no_change_of_the_server_of_a_database() {
    let recorded = fold::events(3_250, FIRST_US, 5_000, 100, true);
    let case = Case::with_events(&recorded, &[]);
    let did_of = |line: &String| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["did"].as_str().unwrap().to_owned()
    };
    // Accounts with a sync: a change of server makes them incomplete.
    let synced = || recorded.iter().filter(|line| line.contains(r#""kind":"sync""#)).map(did_of);
    let first = synced().next().unwrap();
    let other = synced().find(|did| *did != first).unwrap();
    case.list(&[&first]);
    let path = case.fixture.scratch.path("out.db");
    let to = format!("sqlite:{}?history", path.display());
    let rows =
        |did: &str| query(&path, &format!("SELECT id AS a FROM events WHERE did = '{did}'")).len();
    let recorded =
        |did: &str| case.of(&format!(r#"{{"did":"{did}""#), &case.fixture.recorded).len();
    let mut run = case.start_to("-d", &["--to", &to], &["--cursor", "oldest"]);
    wait_until("the stream", || rows(&first) == recorded(&first));
    case.list(&[&first, &other]);
    reload(&run);
    wait_until("the history", || rows(&other) == recorded(&other));
    run.stop();
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let gaps = query(&path, "SELECT reason AS a FROM skytail_gaps");
    assert!(gaps.is_empty(), "{gaps:?}");
}

#[test]
fn histories_share_the_budget_of_a_run_and_the_next_run_continues() {
    let case = Case::new(6_250, &[]);
    case.list(&[EVEN]);
    case.run_to("-d", &["--cursor", "oldest"], &[EVEN]);
    case.list(&[EVEN, ODD]);
    for _ in 0..2 {
        let before = case.printed().len();
        let ended = case.start("-d", &["--archive-max-bytes", "20KiB"]).wait();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("stopped at --archive-max-bytes"), "{}", ended.stderr);
        assert!(case.printed().len() > before, "{}", ended.stderr);
        case.wait_for_waiting(1);
    }
    case.run_to("-d", &[], &[ODD]);
    case.assert_complete(&[EVEN, ODD]);
}

#[test]
fn an_archive_that_always_fails_is_tried_as_often_as_max_retries_says() {
    let case = Case::new(3_250, &["--chaos", "seed=1,page=1,stuck=1"]);
    case.list(&[EVEN]);
    let mut run = case.start("-d", &["--cursor", "100", "--max-retries", "2"]);
    case.wait_for_last(&mut run, &[EVEN]);
    case.list(&[EVEN, ODD]);
    reload(&run);
    case.wait_for_waiting(1);
    case.wait_for_waiting(0);
    run.stop();
    let ended = run.wait();
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let tries = ended.stderr.matches("trying again in").count();
    assert_eq!(tries, 2, "{}", ended.stderr);
    for words in ["the history of 1 added account is not read: ", "1 gap"] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}
