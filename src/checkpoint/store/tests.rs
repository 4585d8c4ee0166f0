use std::fs;

use insta::assert_snapshot;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::checkpoint::schema;
use crate::position::gap::Gap;
use crate::position::{EventPosition, Origin, Position, Resume, Seq, ServerKind};
use crate::sink::Output;
use crate::sink::record::{OutputRecord, OutputState};

fn home() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/state.db");
    (home, path)
}

/// The message without the temporary directory.
fn told<T: std::fmt::Debug>(result: Result<T, StoreError>, home: &TempDir) -> String {
    result.unwrap_err().to_string().replace(home.path().to_str().unwrap(), "HOME")
}

fn resume(time: u64) -> Resume {
    let mark = |time, seq| EventPosition { time: TimeUs(time), seq: Some(Seq(seq)) };
    Resume {
        position: Position {
            origin: Origin { server: "example.com".into(), kind: ServerKind::V2, stream: u64::MAX },
            newest: mark(time, 77),
            rewind_to: mark(time - 5, 70),
            max_time: TimeUs(time + 1),
        },
        identities: vec![1, u64::MAX, 3],
    }
}

fn checkpoint(time: u64) -> Checkpoint {
    Checkpoint { resume: resume(time), outputs: vec![] }
}

fn by_hand(us: u64) -> ByHand {
    ByHand { at: CursorValue::Time(TimeUs(us)), server: None }
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
    let seq = ByHand { at: CursorValue::Seq(Seq(12)), server: Some("example.com".into()) };
    for set in [by_hand(Seq::LIMIT), seq] {
        store.set("posts", &set, TimeUs(9)).unwrap();
        let entry = store.entry("posts").unwrap().unwrap();
        assert_eq!(entry.cursor, SavedCursor::ByHand(set));
        let newest = resume(1_000).position.newest;
        let previous = Previous { server: "example.com".to_owned(), newest, saved_at: TimeUs(5) };
        assert_eq!(entry.previous, Some(previous));
    }
    store.save("posts", &checkpoint(2_000), TimeUs(10)).unwrap();
    let entry = store.entry("posts").unwrap().unwrap();
    assert_eq!(entry.cursor, SavedCursor::Position(resume(2_000)));
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
fn removing_forgets_the_cursor_and_its_gaps() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    let gap = |us| Gap {
        seen_at: TimeUs(us),
        from_time: Some(TimeUs(us)),
        to_time: None,
        from_seq: None,
        to_seq: Some(Seq(4)),
        reason: "the server no longer holds it".to_owned(),
    };
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    store.record_gap("posts", &gap(1)).unwrap();
    store.record_gap("posts", &gap(2)).unwrap();
    // The same hole, met again after a kill.
    store.record_gap("posts", &Gap { seen_at: TimeUs(9), ..gap(2) }).unwrap();
    let one = |us| SavedGap { gap: gap(us), count: 1 };
    assert_eq!(store.gaps("posts", 10), Ok(vec![one(2), one(1)]));
    assert_eq!(store.gaps("posts", 1), Ok(vec![one(2)]));
    assert_eq!(store.remove("posts"), Ok(true));
    assert_eq!(store.remove("posts"), Ok(false));
    assert_eq!(store.gaps("posts", 10), Ok(vec![]));
    assert_eq!(store.names(), Ok(vec![]));
}

/// A gap between two sequence numbers and the instants of the same numbers.
fn seq_gap(from: u64, to: u64, reason: &str) -> Gap {
    Gap {
        seen_at: TimeUs(to),
        from_time: Some(TimeUs(from)),
        to_time: Some(TimeUs(to)),
        from_seq: Some(Seq(from)),
        to_seq: Some(Seq(to)),
        reason: reason.to_owned(),
    }
}

#[test]
fn gaps_that_touch_become_one_row() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    for i in 1..=5_000 {
        store.record_gap("posts", &seq_gap(i * 10, (i + 1) * 10, "a")).unwrap();
    }
    let merged = SavedGap { gap: seq_gap(10, 50_010, "a"), count: 5_000 };
    assert_eq!(store.gaps("posts", 10), Ok(vec![merged.clone()]));
    // A part of it that is met again after a kill.
    let again = Gap { seen_at: TimeUs(60_000), ..seq_gap(50_000, 50_010, "a") };
    store.record_gap("posts", &again).unwrap();
    assert_eq!(store.gaps("posts", 10), Ok(vec![merged]));
    for (from, to, reason) in [(50_010, 50_020, "b"), (50_030, 50_040, "b"), (5, 9, "b")] {
        store.record_gap("posts", &seq_gap(from, to, reason)).unwrap();
    }
    assert_eq!(store.gaps("posts", 10).unwrap().len(), 4);
}

#[test]
fn very_many_gaps_are_bounded_and_counted() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    for i in 1..=1_300 {
        let reason = if i % 2 == 0 { "even" } else { "odd" };
        store.record_gap("posts", &seq_gap(i * 10, i * 10 + 5, reason)).unwrap();
    }
    let gaps = store.gaps("posts", 9_999).unwrap();
    assert_eq!(gaps.len(), 1_000);
    assert_eq!(gaps[0], SavedGap { gap: seq_gap(13_000, 13_005, "even"), count: 1 });
    let oldest = SavedGap { gap: seq_gap(10, 3_015, "several reasons"), count: 301 };
    assert_eq!(gaps[999], oldest);
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
fn what_is_no_state_file_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("notes.txt");
    fs::write(&text, "dear diary, ".repeat(100)).unwrap();
    assert_snapshot!(told(Store::open(&text), &home), @"HOME/notes.txt is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is");
    assert_snapshot!(told(Store::open_existing(&text), &home), @"HOME/notes.txt is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is");
    assert_eq!(fs::read_to_string(&text).unwrap(), "dear diary, ".repeat(100));

    let other = home.path().join("mail.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE mail (id)").unwrap();
    let before = fs::read(&other).unwrap();
    assert_snapshot!(told(Store::open(&other), &home), @"HOME/mail.db is the database of another program: name another state file with --state FILE; it was left as it is");
    assert_eq!(fs::read(&other).unwrap(), before);

    assert_snapshot!(told(Store::open(home.path()), &home), @"can't open the state file HOME: is a directory; name another with --state FILE");
    assert_snapshot!(told(Store::open(&text.join("state.db")), &home), @"can't open the state file HOME/notes.txt/state.db: not a directory; name another with --state FILE");
}

#[test]
fn a_file_from_a_newer_skytail_is_refused_with_both_versions() {
    let (home, path) = home();
    let store = Store::open(&path).unwrap();
    store.connection.pragma_update(None, "user_version", 9).unwrap();
    drop(store);
    assert_snapshot!(told(Store::open(&path), &home), @"the state file HOME/a/b/state.db has format 9, from a newer skytail; this one knows formats up to 5: update skytail, or name another file with --state FILE");
    assert_eq!(Store::open_existing(&path).unwrap_err(), Store::open(&path).unwrap_err());
}

#[test]
fn a_damaged_file_is_refused_and_left_as_it_is() {
    let (home, path) = home();
    let mut store = Store::open(&path).unwrap();
    for i in 0..200 {
        store.save(&format!("consumer {i}"), &checkpoint(1_000), TimeUs(5)).unwrap();
    }
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    bytes.iter_mut().skip(5_000).step_by(3).for_each(|byte| *byte ^= 0x55);
    fs::write(&path, &bytes).unwrap();
    let refusal = told(Store::open(&path), &home);
    assert!(refusal.starts_with("the state file HOME/a/b/state.db is damaged ("), "{refusal}");
    assert!(refusal.contains("move it away"), "{refusal}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_full_disk_is_named_and_keeps_what_was_saved() {
    let (home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    let pages: i64 =
        store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let most = |store: &Store, pages: i64| {
        let set = |row: &Row<'_>| row.get::<_, i64>(0);
        store.connection.pragma_update_and_check(None, "max_page_count", pages, set).unwrap();
    };
    most(&store, pages);
    let mut big = checkpoint(2_000);
    big.resume.identities = vec![7; 10_000];
    assert_snapshot!(told(store.save("posts", &big, TimeUs(6)), &home), @"can't save to the state file HOME/a/b/state.db: its disk is full; free some space, or name another file with --state FILE");
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(resume(1_000)))));
    most(&store, 1_000_000);
    store.save("posts", &big, TimeUs(6)).unwrap();
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(big.resume))));
}

#[test]
fn a_damaged_row_names_consumer_and_column_and_hides_no_other() {
    let edits = [
        "server = NULL",
        "set_time_us = 5, server = NULL",
        "set_seq = 0, server = NULL",
        "set_seq = 1, set_time_us = 1000000000000000",
        "set_seq = 1",
        "server_kind = 'v9'",
        "server_kind = NULL",
        "newest_time_us = NULL",
        "latest_time_us = NULL",
        "identities = NULL",
        "identities = x'0102'",
        "identities = zeroblob(9000000)",
        "server = CAST(x'ff' AS TEXT)",
        "previous_server = 'x'",
    ];
    let mut all = Vec::new();
    for edit in edits {
        let (home, path) = home();
        let mut store = Store::open(&path).unwrap();
        store.save("bad", &checkpoint(1_000), TimeUs(5)).unwrap();
        store.save("good", &checkpoint(1_000), TimeUs(5)).unwrap();
        let sql = format!("UPDATE consumers SET {edit} WHERE name = 'bad'");
        store.connection.execute_batch(&sql).unwrap();
        let told = told(store.entry("bad"), &home);
        let (start, end) = ("the saved cursor \"bad\" in HOME/a/b/state.db is damaged: ", ";");
        let told = told.strip_prefix(start).unwrap_or(&told);
        all.push(format!("{edit}: {}", told.split_once(end).unwrap().0));
        let list = store.list().unwrap();
        assert!(list[0].is_err() && list[1].is_ok(), "{list:?}");
        store.save("bad", &checkpoint(1_000), TimeUs(5)).unwrap();
    }
    assert_snapshot!(all.join("\n"), @r#"
        server = NULL: column server is empty, and no cursor was set by hand
        set_time_us = 5, server = NULL: column set_time_us is 5, too early for a cursor
        set_seq = 0, server = NULL: column set_seq is 0, which is no sequence number
        set_seq = 1, set_time_us = 1000000000000000: column set_seq is filled beside set_time_us
        set_seq = 1: column server is filled beside a cursor set by hand
        server_kind = 'v9': column server_kind is "v9", neither legacy nor v2
        server_kind = NULL: column server_kind is empty
        newest_time_us = NULL: column newest_time_us is empty
        latest_time_us = NULL: column latest_time_us is empty
        identities = NULL: column identities is empty
        identities = x'0102': column identities has 2 bytes, no multiple of 8
        identities = zeroblob(9000000): column identities has 1125000 entries, over 1048576
        server = CAST(x'ff' AS TEXT): column server can't be read: invalid utf-8 sequence of 1 bytes from index 0
        previous_server = 'x': column previous_time_us is empty
        "#);
}

#[test]
fn a_file_without_its_seed_is_damaged() {
    for edit in
        ["DELETE FROM meta", "UPDATE meta SET value = '+123456789abcdef'", "DROP TABLE meta"]
    {
        let (home, path) = home();
        let store = Store::open(&path).unwrap();
        store.connection.execute_batch(edit).unwrap();
        drop(store);
        let refusal = told(Store::open(&path), &home);
        assert!(refusal.contains("HOME/a/b/state.db"), "{edit}: {refusal}");
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
                origin: Origin { server: server.into(), kind, stream: 1 },
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
        store.save(&name, &Checkpoint { resume: resume.clone(), outputs: vec![] }, TimeUs(now)).unwrap();
        prop_assert_eq!(store.load(&name), Ok(Some(SavedCursor::Position(resume))));
        prop_assert_eq!(store.entry(&name).unwrap().unwrap().saved_at, TimeUs(now));
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let (_home, path) = home();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(Store::open(&path).is_ok(), bytes.is_empty());
    }

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40)) {
        let (_home, path) = home();
        let mut store = Store::open(&path).unwrap();
        store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
        store.set("other", &by_hand(Seq::LIMIT), TimeUs(5)).unwrap();
        drop(store);
        let mut bytes = fs::read(&path).unwrap();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        fs::write(&path, &bytes).unwrap();
        if let Ok(Some(store)) = Store::open_existing(&path) {
            let _ = (store.list(), store.names(), store.load("posts"), store.gaps("posts", 9));
        }
        if let Ok(mut store) = Store::open(&path) {
            let _ = store.save("posts", &checkpoint(2_000), TimeUs(6));
        }
    }
}

fn output(path: &str, state: OutputState, length_bytes: u64) -> OutputRecord {
    OutputRecord {
        path: path.into(),
        pattern: "/%F".to_owned(),
        rotation: Some("daily".to_owned()),
        state,
        length_bytes,
        tail_hash: u64::MAX,
        period_start: Some(TimeUs(7)),
        number: 3,
    }
}

#[test]
fn a_position_is_saved_with_its_files_or_not_at_all() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    let (a, b) = (output("/a", OutputState::Open, 5), output("/b", OutputState::Open, 0));
    store.begin_output("posts", &a).unwrap();
    store.begin_output("posts", &b).unwrap();
    let done = output("/a", OutputState::Done, 9);
    let mut checkpoint = checkpoint(1_000);
    checkpoint.outputs = vec![Output::for_test(done.clone(), None)];
    let broken =
        "CREATE TRIGGER broken BEFORE INSERT ON consumers BEGIN SELECT raise(ABORT, ''); END";
    store.connection.execute_batch(broken).unwrap();
    store.save("posts", &checkpoint, TimeUs(5)).unwrap_err();
    assert_eq!(store.outputs("posts"), Ok(vec![a, b.clone()]));
    store.connection.execute_batch("DROP TRIGGER broken").unwrap();
    store.save("posts", &checkpoint, TimeUs(5)).unwrap();
    assert_eq!(store.outputs("posts"), Ok(vec![done.clone(), b.clone()]));
    // One that is begun again is the newest; only what is open ends cleanly.
    store.begin_output("posts", &output("/a", OutputState::Open, 9)).unwrap();
    store.put_output("posts", &output("/b", OutputState::Done, 0)).unwrap();
    store.close_outputs("posts").unwrap();
    let (b, a) = (output("/b", OutputState::Done, 0), output("/a", OutputState::Clean, 9));
    assert_eq!(store.outputs("posts"), Ok(vec![b.clone(), a.clone()]));
    assert_eq!(store.newest_outputs("posts", 1), Ok(vec![a]));
    assert_eq!(store.outputs("likes"), Ok(vec![]));
    store.remove("posts").unwrap();
    assert_eq!(store.outputs("posts"), Ok(vec![]));
}

#[test]
fn a_file_of_version_2_gets_the_new_table_and_keeps_its_cursors() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    store
        .connection
        .execute_batch(
            "DROP TABLE outputs; ALTER TABLE gaps DROP COLUMN count; DROP TABLE earlier_positions;
             ALTER TABLE consumers DROP COLUMN is_asked_for; PRAGMA user_version = 2",
        )
        .unwrap();
    drop(store);
    let store = Store::open_existing(&path).unwrap().unwrap();
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(resume(1_000)))));
    assert_eq!(store.outputs("posts"), Ok(vec![]));
}

#[test]
fn files_finished_long_ago_are_forgotten_in_the_step_that_saves_a_position() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    let name = |i: usize| format!("/{i}");
    let kept_clean = output("/clean", OutputState::Clean, 9);
    store.begin_output("posts", &kept_clean).unwrap();
    let filled = store.in_transaction(|connection| {
        (0..1_500).try_for_each(|i| {
            outputs::put(connection, "posts", &output(&name(i), OutputState::Done, 5), true)
        })
    });
    filled.unwrap();
    let others = output("/0", OutputState::Done, 5);
    store.begin_output("likes", &others).unwrap();
    store.begin_output("posts", &output("/open", OutputState::Open, 0)).unwrap();
    // Nothing was finished: nothing is looked for.
    let mut checkpoint = checkpoint(1_000);
    checkpoint.outputs = vec![Output::for_test(output("/open", OutputState::Open, 3), None)];
    store.save("posts", &checkpoint, TimeUs(5)).unwrap();
    assert_eq!(store.outputs("posts").unwrap().len(), 1_502);
    checkpoint.outputs = vec![Output::for_test(output("/1499", OutputState::Done, 6), None)];
    store.save("posts", &checkpoint, TimeUs(5)).unwrap();
    let left = store.outputs("posts").unwrap();
    assert_eq!(left[0], kept_clean);
    let left: Vec<String> =
        left[1..].iter().map(|record| record.path.display().to_string()).collect();
    let expected = (501..1_500).map(name).chain(["/open".to_owned()]);
    assert_eq!(left, expected.collect::<Vec<_>>());
    assert_eq!(store.outputs("likes"), Ok(vec![others]));
}
