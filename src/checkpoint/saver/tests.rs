use std::path::PathBuf;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::checkpoint::store::SavedCursor;
use crate::position::{Mark, Origin, Position, Resume, ServerKind};

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("state.db");
    (home, path)
}

fn checkpoint(time: u64) -> Checkpoint {
    let mark = Mark { time: TimeUs(time), seq: None };
    let origin = Origin { server: "example.com".into(), kind: ServerKind::Legacy };
    let position = Position { origin, newest: mark, rewind_to: mark, latest_time: mark.time };
    Checkpoint { resume: Resume { position, identities: vec![] }, outputs: vec![] }
}

fn saved(path: &std::path::Path) -> u64 {
    match Store::open(path).unwrap().load("posts").unwrap() {
        Some(SavedCursor::Position(resume)) => resume.position.newest.time.0,
        other => panic!("{other:?}"),
    }
}

/// A saver whose changes of health arrive on a channel.
fn saver(path: &std::path::Path) -> (Saver, mpsc::Receiver<Result<(), StoreError>>) {
    let (told, changes) = mpsc::channel();
    let store = Store::open(path).unwrap();
    let on_change = move |health: Health<'_>| {
        let _ = told.send(match health {
            Health::Failing(error) => Err(error.clone()),
            Health::Recovered => Ok(()),
        });
    };
    (Saver::spawn(store, "posts".to_owned(), on_change).unwrap(), changes)
}

/// Makes every save fail until it is undone: a trigger that raises, as a constraint would.
fn break_it(path: &std::path::Path) {
    let sql =
        "CREATE TRIGGER broken BEFORE INSERT ON consumers BEGIN SELECT raise(ABORT, 'broken'); END";
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn mend(path: &std::path::Path) {
    rusqlite::Connection::open(path).unwrap().execute_batch("DROP TRIGGER broken").unwrap();
}

#[test]
fn the_newest_checkpoint_is_saved_when_it_finishes() {
    let (_home, path) = home();
    let (saver, changes) = saver(&path);
    for time in 1..=1_000 {
        saver.save(checkpoint(time));
    }
    assert_eq!(saver.finish(), Ok(()));
    assert_eq!(saved(&path), 1_000);
    assert_eq!(changes.iter().count(), 0);
}

#[test]
fn dropping_it_saves_too() {
    let (_home, path) = home();
    let (saver, _changes) = saver(&path);
    saver.save(checkpoint(7));
    drop(saver);
    assert_eq!(saved(&path), 7);
}

#[test]
fn a_failing_save_is_told_once_and_so_is_its_end() {
    let (_home, path) = home();
    let (saver, changes) = saver(&path);
    break_it(&path);
    for time in 1..=3 {
        saver.save(checkpoint(time));
    }
    let first = changes.recv().unwrap().unwrap_err();
    assert!(first.to_string().contains("broken"), "{first}");
    saver.save(checkpoint(4));
    assert_eq!(saver.health(), Some(first));
    mend(&path);
    saver.save(checkpoint(5));
    assert_eq!(changes.recv(), Ok(Ok(())));
    assert_eq!(saver.health(), None);
    assert_eq!(saver.finish(), Ok(()));
    assert_eq!(saved(&path), 5);
    assert_eq!(changes.iter().count(), 0);
}

#[test]
fn what_failed_is_tried_again_at_the_end() {
    let (_home, path) = home();
    let (saver, changes) = saver(&path);
    break_it(&path);
    saver.save(checkpoint(1));
    changes.recv().unwrap().unwrap_err();
    mend(&path);
    assert_eq!(saver.finish(), Ok(()));
    assert_eq!(saved(&path), 1);
    assert_eq!(changes.iter().collect::<Vec<_>>(), [Ok(())]);
}

#[test]
fn finishing_returns_the_error_of_what_could_not_be_saved() {
    let (_home, path) = home();
    let (saver, changes) = saver(&path);
    break_it(&path);
    saver.save(checkpoint(1));
    let refusal = saver.finish().unwrap_err();
    assert!(refusal.to_string().contains("broken"), "{refusal}");
    assert_eq!(changes.iter().collect::<Vec<_>>(), [Err(refusal)]);
}

#[test]
fn a_thread_that_died_is_no_success() {
    let (_home, path) = home();
    let store = Store::open(&path).unwrap();
    break_it(&path);
    let saver = Saver::spawn(store, "posts".to_owned(), |_| panic!("a careless caller")).unwrap();
    saver.save(checkpoint(1));
    assert_eq!(saver.finish(), Err(StoreError::Lost));
}
