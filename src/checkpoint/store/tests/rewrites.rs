use super::*;
use crate::sink::file::open::end_of;

/// Makes a file, a store whose consumer `c` owns it, and its end.
fn owned(home: &Path) -> (std::path::PathBuf, Store, FileEnd) {
    let path = home.join("a.ndjson");
    fs::write(&path, "old old\n").unwrap();
    let end = end_of(&fs::File::open(&path).unwrap()).unwrap();
    let mut store = Store::open(&home.join("state.db")).unwrap();
    let record = OutputRecord {
        path: path.clone(),
        pattern: "/a".to_owned(),
        rotation: None,
        state: OutputState::Clean,
        length_bytes: end.length_bytes,
        tail_hash: end.tail_hash,
        period_start: None,
        number: 0,
    };
    store.persist_output("c", &record).unwrap();
    store.persist_output("d", &OutputRecord { length_bytes: 3, ..record }).unwrap();
    (path, store, end)
}

fn ends(store: &Store, path: &Path) -> Vec<u64> {
    store.owners(path).unwrap().iter().map(|(_, record)| record.length_bytes).collect()
}

fn pending(store: &Store) -> u32 {
    store.connection.query_row("SELECT count(*) FROM rewrites", [], |row| row.get(0)).unwrap()
}

#[test]
fn after_a_crash_the_file_decides_which_version_the_rows_describe() {
    let home = tempfile::tempdir().unwrap();
    let (path, mut store, old) = owned(home.path());
    let copy = home.path().join("copy");
    fs::write(&copy, "new\n").unwrap();
    let new = end_of(&fs::File::open(&copy).unwrap()).unwrap();
    // Killed before the rename.
    store.begin_rewrite(&path, old, new).unwrap();
    store.settle_rewrites().unwrap();
    assert_eq!((ends(&store, &path), pending(&store)), (vec![8, 3], 0));
    // Killed after it.
    store.begin_rewrite(&path, old, new).unwrap();
    fs::rename(&copy, &path).unwrap();
    let locked = fs::File::open(&path).unwrap();
    locked.lock().unwrap();
    store.settle_rewrites().unwrap();
    assert_eq!((ends(&store, &path), pending(&store)), (vec![8, 3], 1), "the scrub still runs");
    locked.unlock().unwrap();
    store.settle_rewrites().unwrap();
    assert_eq!((ends(&store, &path), pending(&store)), (vec![4, 3], 0));
    // The file is gone.
    store.begin_rewrite(&path, new, old).unwrap();
    fs::remove_file(&path).unwrap();
    store.settle_rewrites().unwrap();
    assert_eq!((ends(&store, &path), pending(&store)), (vec![4, 3], 0));
}
