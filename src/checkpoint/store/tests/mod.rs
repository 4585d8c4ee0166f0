mod additions;
mod damage;
mod gaps;
mod migration;
mod outputs;
mod rewrites;

use std::fs;

use insta::assert_snapshot;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::checkpoint::schema;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind};
use crate::sink::Output;
use crate::sink::output_record::{FileEnd, OutputRecord, OutputState};

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/state.db");
    (home, path)
}

/// Returns the message without the temporary directory.
fn error_text<T: std::fmt::Debug>(result: Result<T, StoreError>, home: &TempDir) -> String {
    result.unwrap_err().to_string().replace(home.path().to_str().unwrap(), "HOME")
}

fn resume(time: u64) -> Resume {
    let mark = |time, seq| EventPosition { time: TimeUs(time), seq: Some(Seq(seq)) };
    Resume {
        position: Position {
            origin: Origin {
                server: "example.com".into(),
                kind: ServerKind::V2,
                filter_fingerprint: u64::MAX,
            },
            newest: mark(time, 77),
            rewind_to: mark(time - 5, 70),
            max_time: TimeUs(time + 1),
        },
        identities: vec![1, u64::MAX, 3],
    }
}

fn checkpoint(time: u64) -> Checkpoint {
    Checkpoint { resume: resume(time), filter: None, outputs: vec![], additions: None }
}

fn by_hand(us: u64) -> ManualCursor {
    ManualCursor { at: CursorValue::Time(TimeUs(us)), server: None }
}

#[test]
fn what_is_saved_is_loaded_by_the_next_process() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    store.save("posts", &checkpoint(2_000), TimeUs(6)).unwrap();
    let secrets = store.identity_secrets("posts").unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(resume(2_000)))));
    assert_eq!(store.load("other"), Ok(None));
    assert_eq!(store.identity_secrets("posts"), Ok(secrets));
    assert_eq!(store.entry("posts").unwrap().unwrap().saved_at, TimeUs(6));
}

#[test]
fn every_file_has_a_key_of_its_own() {
    let ((_a, a), (_b, b)) = (home(), home());
    let key = |path| Store::open(path).unwrap().identity_secrets("posts").unwrap().key;
    assert_ne!(key(&a), key(&b));
    assert_eq!(key(&a), key(&a));
}

#[test]
fn a_killed_process_loses_no_commit() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    // What a kill leaves: the files as they are, and no goodbye.
    std::mem::forget(store);
    assert!(Store::open(&path).unwrap().load("posts").unwrap().is_some());
}

#[test]
fn a_cursor_set_by_hand_waits_for_its_tail_and_remembers_what_it_replaced() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    let seq = ManualCursor { at: CursorValue::Seq(Seq(12)), server: Some("example.com".into()) };
    for set in [by_hand(Seq::LIMIT), seq] {
        store.set("posts", &set, TimeUs(9)).unwrap();
        let entry = store.entry("posts").unwrap().unwrap();
        assert_eq!(entry.cursor, Some(SavedCursor::Manual(set)));
        let newest = resume(1_000).position.newest;
        let previous =
            PreviousCursor { server: "example.com".to_owned(), newest, saved_at: TimeUs(5) };
        assert_eq!(entry.previous, Some(previous));
    }
    store.save("posts", &checkpoint(2_000), TimeUs(10)).unwrap();
    let entry = store.entry("posts").unwrap().unwrap();
    assert_eq!(entry.cursor, Some(SavedCursor::Position(resume(2_000))));
    assert_eq!(entry.previous.unwrap().newest.time, TimeUs(1_000));
}

#[test]
fn a_run_that_starts_elsewhere_remembers_what_it_replaced() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.keep_earlier("posts", TimeUs(6)).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    assert_eq!(store.entry("posts").unwrap().unwrap().previous, None);
    store.keep_earlier("posts", TimeUs(6)).unwrap();
    store.save("posts", &checkpoint(2_000), TimeUs(6)).unwrap();
    let previous = store.entry("posts").unwrap().unwrap().previous.unwrap();
    assert_eq!((previous.newest.time, previous.saved_at), (TimeUs(1_000), TimeUs(5)));
}

#[test]
fn looking_makes_no_file_and_changes_none() {
    let (home, path) = home();
    assert!(Store::open_existing(&path).unwrap().is_none());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    assert!(Store::open_existing(&path).unwrap().is_none());
    assert_eq!(fs::read(&path).unwrap(), b"");
    let mut tail = Store::open(&path).unwrap();
    tail.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    let mut store = Store::open_existing(&path).unwrap().unwrap();
    assert_eq!(store.names(), Ok(vec!["posts".to_owned()]));
    assert!(store.remove("posts").is_err());
    tail.save("posts", &checkpoint(2_000), TimeUs(5)).unwrap();
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(resume(2_000)))));
}

#[cfg(unix)]
#[test]
fn files_and_directories_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path().join("a")), 0o700);
    assert_eq!(mode(&home.path().join("a/b")), 0o700);
    let files: Vec<_> = fs::read_dir(home.path().join("a/b")).unwrap().flatten().collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
    }
}

#[test]
fn many_connections_may_fill_the_same_file_at_once() {
    let (_home, path) = home();
    // The file is there already: see `open::create` for why threads may not race to make it.
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    let openers: Vec<_> = (0..8)
        .map(|i| {
            let path = path.clone();
            std::thread::spawn(move || {
                let mut store = Store::open(&path)?;
                store.save(&format!("consumer {i}"), &checkpoint(1_000), TimeUs(5))?;
                store.identity_secrets("posts")
            })
        })
        .collect();
    let seeds: Vec<_> = openers.into_iter().map(|t| t.join().unwrap().unwrap()).collect();
    assert!(seeds.iter().all(|seed| *seed == seeds[0]), "{seeds:?}");
    let store = Store::open(&path).unwrap();
    assert_eq!(store.names().unwrap().len(), 8);
    assert_eq!(schema::version(&store.connection), Ok(schema::VERSION));
}

fn any_mark() -> impl Strategy<Value = EventPosition> {
    (any::<u64>(), any::<Option<u64>>())
        .prop_map(|(time, seq)| EventPosition { time: TimeUs(time), seq: seq.map(Seq) })
}

fn any_resume() -> impl Strategy<Value = Resume> {
    let kind = prop_oneof![Just(ServerKind::Legacy), Just(ServerKind::V2)];
    let marks = (any_mark(), any_mark(), any::<u64>());
    (".*", kind, marks, prop::collection::vec(any::<u64>(), 0..50)).prop_map(
        |(server, kind, (newest, rewind_to, latest), identities)| Resume {
            position: Position {
                origin: Origin { server: server.into(), kind, filter_fingerprint: 1 },
                newest,
                rewind_to,
                max_time: TimeUs(latest),
            },
            identities,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_position_under_any_name_comes_back(name in ".*", resume in any_resume(), now in any::<u64>()) {
        let (_home, path) = home();
        let mut store = Store::open(&path).unwrap();
        store.save(&name, &Checkpoint { resume: resume.clone(), filter: None, outputs: vec![], additions: None }, TimeUs(now)).unwrap();
        prop_assert_eq!(store.load(&name), Ok(Some(SavedCursor::Position(resume))));
        prop_assert_eq!(store.entry(&name).unwrap().unwrap().saved_at, TimeUs(now));
    }
}
