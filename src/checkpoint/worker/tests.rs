use std::path::PathBuf;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;
use crate::checkpoint::store::SavedCursor;
use crate::position::{EventPosition, Origin, Position, Resume, ServerKind};
use crate::sink::Output;
use crate::sink::output_record::OutputState;

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("state.db");
    (home, path)
}

fn checkpoint(time: u64) -> Checkpoint {
    let mark = EventPosition { time: TimeUs(time), seq: None };
    let origin =
        Origin { server: "example.com".into(), kind: ServerKind::Legacy, filter_fingerprint: 1 };
    let position = Position { origin, newest: mark, rewind_to: mark, max_time: mark.time };
    Checkpoint {
        resume: Resume { position, identities: vec![] },
        filter: None,
        outputs: vec![],
        additions: None,
    }
}

fn saved(path: &std::path::Path) -> u64 {
    match Store::open(path).unwrap().load("posts").unwrap() {
        Some(SavedCursor::Position(resume)) => resume.position.newest.time.0,
        other => panic!("{other:?}"),
    }
}

/// A checkpoint worker whose changes of health arrive on a channel.
fn checkpoint_worker(
    path: &std::path::Path,
) -> (CheckpointWorker, mpsc::Receiver<Result<(), StoreError>>) {
    let (report, changes) = mpsc::channel();
    let store = Store::open(path).unwrap();
    let on_change = move |health: SaveHealth<'_>| {
        let _ = report.send(match health {
            SaveHealth::Failing(error) => Err(error.clone()),
            SaveHealth::Recovered => Ok(()),
        });
    };
    (CheckpointWorker::spawn(store, "posts".to_owned(), on_change).unwrap(), changes)
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
    let (checkpoint_worker, changes) = checkpoint_worker(&path);
    for time in 1..=1_000 {
        checkpoint_worker.save(checkpoint(time));
    }
    assert_eq!(checkpoint_worker.finish(), Ok(()));
    assert_eq!(saved(&path), 1_000);
    assert_eq!(changes.iter().count(), 0);
}

#[test]
fn dropping_it_saves_too() {
    let (_home, path) = home();
    let (checkpoint_worker, _changes) = checkpoint_worker(&path);
    checkpoint_worker.save(checkpoint(7));
    drop(checkpoint_worker);
    assert_eq!(saved(&path), 7);
}

#[test]
fn a_failing_save_is_told_once_and_so_is_its_end() {
    let (_home, path) = home();
    let (checkpoint_worker, changes) = checkpoint_worker(&path);
    break_it(&path);
    for time in 1..=3 {
        checkpoint_worker.save(checkpoint(time));
    }
    let first = changes.recv().unwrap().unwrap_err();
    assert!(first.to_string().contains("broken"), "{first}");
    checkpoint_worker.save(checkpoint(4));
    assert_eq!(checkpoint_worker.health(), Some(first));
    mend(&path);
    checkpoint_worker.save(checkpoint(5));
    assert_eq!(changes.recv(), Ok(Ok(())));
    assert_eq!(checkpoint_worker.health(), None);
    assert_eq!(checkpoint_worker.finish(), Ok(()));
    assert_eq!(saved(&path), 5);
    assert_eq!(changes.iter().count(), 0);
}

#[test]
fn what_failed_is_tried_again_at_the_end() {
    let (_home, path) = home();
    let (checkpoint_worker, changes) = checkpoint_worker(&path);
    break_it(&path);
    checkpoint_worker.save(checkpoint(1));
    changes.recv().unwrap().unwrap_err();
    mend(&path);
    assert_eq!(checkpoint_worker.finish(), Ok(()));
    assert_eq!(saved(&path), 1);
    assert_eq!(changes.iter().collect::<Vec<_>>(), [Ok(())]);
}

#[test]
fn finishing_returns_the_error_of_what_could_not_be_saved() {
    let (_home, path) = home();
    let (checkpoint_worker, changes) = checkpoint_worker(&path);
    break_it(&path);
    checkpoint_worker.save(checkpoint(1));
    let refusal = checkpoint_worker.finish().unwrap_err();
    assert!(refusal.to_string().contains("broken"), "{refusal}");
    assert_eq!(changes.iter().collect::<Vec<_>>(), [Err(refusal)]);
}

#[test]
fn a_thread_that_died_is_no_success() {
    let (_home, path) = home();
    let store = Store::open(&path).unwrap();
    break_it(&path);
    let checkpoint_worker =
        CheckpointWorker::spawn(store, "posts".to_owned(), |_| panic!("a careless caller"))
            .unwrap();
    checkpoint_worker.save(checkpoint(1));
    assert_eq!(checkpoint_worker.finish(), Err(StoreError::Lost));
}

fn output(path: &str, length_bytes: u64, file: Option<Arc<std::fs::File>>) -> Output {
    let record = OutputRecord {
        path: path.into(),
        pattern: path.to_owned(),
        rotation: None,
        state: OutputState::Open,
        length_bytes,
        tail_hash: 0,
        period_start: None,
        number: 0,
    };
    Output::for_test(record, file)
}

fn with(time: u64, outputs: Vec<Output>) -> Checkpoint {
    Checkpoint { outputs, ..checkpoint(time) }
}

fn lengths(path: &std::path::Path) -> Vec<(String, u64, OutputState)> {
    let outputs = Store::open(path).unwrap().outputs("posts").unwrap();
    let row = |o: OutputRecord| (o.path.display().to_string(), o.length_bytes, o.state);
    outputs.into_iter().map(row).collect()
}

#[test]
fn a_checkpoint_that_is_replaced_keeps_what_it_says_of_other_files() {
    let (_home, path) = home();
    let (checkpoint_worker, changes) = checkpoint_worker(&path);
    break_it(&path);
    checkpoint_worker.save(with(1, vec![output("/a", 1, None), output("/b", 2, None)]));
    changes.recv().unwrap().unwrap_err();
    checkpoint_worker.save(with(2, vec![output("/b", 5, None)]));
    mend(&path);
    checkpoint_worker.mark_clean();
    assert_eq!(checkpoint_worker.finish(), Ok(()));
    assert_eq!(saved(&path), 2);
    let clean = OutputState::Clean;
    assert_eq!(lengths(&path), [("/a".to_owned(), 1, clean), ("/b".to_owned(), 5, clean)]);
}

#[test]
fn a_file_that_begins_is_remembered_before_the_call_returns() {
    let (_home, path) = home();
    let (checkpoint_worker, _changes) = checkpoint_worker(&path);
    checkpoint_worker.save(checkpoint(1));
    checkpoint_worker.persist_output(output("/a", 0, None).record()).unwrap();
    assert_eq!(saved(&path), 1);
    assert_eq!(lengths(&path), [("/a".to_owned(), 0, OutputState::Open)]);
}

/// `/dev/full` and its like can't be synced, as a broken disk can't.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_saved_any_more_when_a_file_could_not_be_synced() {
    let (_home, path) = home();
    let (checkpoint_worker, changes) = checkpoint_worker(&path);
    let device = Arc::new(std::fs::File::open("/dev/null").unwrap());
    checkpoint_worker.save(with(1, vec![output("/a", 9, Some(device))]));
    let error = changes.recv().unwrap().unwrap_err();
    assert!(error.to_string().starts_with("can't sync /a to the disk"), "{error}");
    checkpoint_worker.save(checkpoint(2));
    assert_eq!(checkpoint_worker.output_error(), Some(error.clone()));
    checkpoint_worker.mark_clean();
    assert_eq!(checkpoint_worker.finish(), Err(error));
    assert_eq!(Store::open(&path).unwrap().load("posts"), Ok(None));
    assert_eq!(lengths(&path), []);
}
