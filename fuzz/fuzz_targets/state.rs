//! The state file: arbitrary bytes in it, and arbitrary values in its rows. Reading it returns
//! valid values or an error, and what was loaded can be saved and loads the same.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use skytail::checkpoint::CursorValue;
use skytail::checkpoint::store::{ManualCursor, SavedCursor, Store};
use skytail::position::{Seq, TimeUs};
use skytail_fuzz::Input;

/// The columns of `consumers` after the name.
const COLUMNS: [&str; 17] = [
    "stream",
    "updated_at_us",
    "server",
    "server_kind",
    "newest_time_us",
    "newest_seq",
    "rewind_time_us",
    "rewind_seq",
    "latest_time_us",
    "identities",
    "set_time_us",
    "set_seq",
    "set_server",
    "previous_server",
    "previous_time_us",
    "previous_seq",
    "previous_updated_at_us",
];

/// The columns of `outputs` after the consumer.
const OUTPUT_COLUMNS: [&str; 9] = [
    "path",
    "ordinal",
    "pattern",
    "rotation",
    "state",
    "length_bytes",
    "tail_hash",
    "period_start_us",
    "number",
];

fn home() -> &'static Path {
    static HOME: OnceLock<tempfile::TempDir> = OnceLock::new();
    HOME.get_or_init(|| {
        // In memory if possible: a disk would set the pace.
        let shm = Path::new("/dev/shm");
        let made = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
        made.expect("a directory")
    })
    .path()
}

/// Returns the bytes of a valid file with one position and one cursor set by hand.
fn template() -> &'static [u8] {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let path = home().join("template.db");
        let mut store = Store::open(&path).expect("a new file");
        let by_hand = ManualCursor { at: CursorValue::Seq(Seq(7)), server: Some("a.example".into()) };
        store.set("hand", &by_hand, TimeUs(1)).expect("room");
        drop(store);
        let connection = Connection::open(&path).expect("the file");
        let sql = "INSERT INTO consumers (name, updated_at_us, server, server_kind, newest_time_us,
            rewind_time_us, latest_time_us, identities) VALUES ('tail', 1, 'a', 'legacy', 3, 2, 3,
            x'0102030405060708')";
        connection.execute_batch(sql).expect("room");
        let sql = "INSERT INTO outputs VALUES
            ('tail', '/a/x-1.ndjson', 1, '/a/x-{n}.ndjson', 'size', 'open', 5, 7, NULL, 1)";
        connection.execute_batch(sql).expect("room");
        connection.execute_batch("PRAGMA journal_mode = delete").expect("alone");
        drop(connection);
        fs::read(&path).expect("the file")
    })
}

fn fresh(bytes: &[u8]) -> PathBuf {
    let path = home().join("state.db");
    for end in ["-wal", "-shm", "-journal"] {
        let _ = fs::remove_file(home().join(format!("state.db{end}")));
    }
    fs::write(&path, bytes).expect("room");
    path
}

fn value(input: &mut Input<'_>) -> Value {
    let length = |input: &mut Input<'_>| usize::from(input.byte() % 24);
    match input.byte() % 8 {
        0 | 1 => Value::Null,
        2 => Value::Integer(input.number().cast_signed()),
        3 => Value::Integer(i64::from(input.byte())),
        4 => Value::Text(["legacy", "v2", "a.example", ""][usize::from(input.byte() % 4)].into()),
        5 => Value::Blob((0..length(input)).map(|_| input.byte()).collect()),
        6 => Value::Text((0..length(input)).map(|_| char::from(input.byte())).collect()),
        _ => Value::Integer(Seq::LIMIT.cast_signed() - 2 + i64::from(input.byte() % 4)),
    }
}

/// Writes a row; a value that its column refuses becomes text or a blob by force.
fn damage(path: &Path, input: &mut Input<'_>) {
    let connection = Connection::open(path).expect("a sound file");
    let column = COLUMNS[usize::from(input.byte()) % COLUMNS.len()];
    let row = if input.byte() % 2 == 0 { "tail" } else { "hand" };
    let sql = format!("UPDATE consumers SET {column} = ?1 WHERE name = '{row}'");
    let _ = connection.execute(&sql, [value(input)]);
    if input.byte() % 4 == 0 {
        // Text that is not UTF-8: SQLite accepts it.
        let sql = format!("UPDATE consumers SET {column} = CAST(?1 AS TEXT) WHERE name = '{row}'");
        let _ = connection.execute(&sql, [Value::Blob((0..4).map(|_| input.byte()).collect())]);
    }
    if input.byte() % 4 == 0 {
        let sql = "INSERT INTO gaps VALUES ('tail', ?1, ?2, ?3, ?4, ?5, CAST(?6 AS TEXT))";
        let values: Vec<Value> = (0..6).map(|_| value(input)).collect();
        let _ = connection.execute(sql, params_from_iter(values));
    }
    if input.byte() % 4 == 0 {
        let column = OUTPUT_COLUMNS[usize::from(input.byte()) % OUTPUT_COLUMNS.len()];
        let sql = format!("UPDATE outputs SET {column} = ?1");
        let _ = connection.execute(&sql, [value(input)]);
    }
    if input.byte() % 8 == 0 {
        let text: String = (0..16).map(|_| char::from(input.byte())).collect();
        let _ = connection.execute("UPDATE meta SET value = ?1", [text]);
    }
}

fn look_at(path: &Path) {
    let Ok(Some(store)) = Store::open_existing(path) else { return };
    let listed = store.list();
    for name in ["tail", "hand", "other"] {
        let loaded = store.load(name);
        if let Ok(Some(SavedCursor::Manual(ManualCursor { at, .. }))) = &loaded {
            match at {
                CursorValue::Time(time) => assert!(time.0 >= Seq::LIMIT),
                CursorValue::Seq(seq) => assert!((1..Seq::LIMIT).contains(&seq.0)),
            }
        }
        if let (Ok(entries), Ok(Some(loaded))) = (&listed, &loaded) {
            let found = entries.iter().flatten().find(|entry| entry.name == name);
            assert!(found.is_none_or(|entry| entry.cursor.as_ref() == Some(loaded)));
        }
        let _ = store.entry(name);
        let _ = store.gaps(name, 100);
        let _ = store.outputs(name);
    }
    let _ = store.names();
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let path = match input.byte() % 4 {
        0 => fresh(input.0),
        1 => {
            // A valid file with some bytes changed, and perhaps cut.
            let mut bytes = template().to_vec();
            for _ in 0..1 + input.byte() % 8 {
                let at = (input.number() as usize) % bytes.len();
                bytes[at] = input.byte();
            }
            if input.byte() % 8 == 0 {
                bytes.truncate((input.number() as usize) % bytes.len());
            }
            fresh(&bytes)
        }
        _ => {
            let path = fresh(template());
            for _ in 0..1 + input.byte() % 4 {
                damage(&path, &mut input);
            }
            path
        }
    };
    look_at(&path);
    if let Ok(mut store) = Store::open(&path) {
        let by_hand = ManualCursor { at: CursorValue::Seq(Seq(9)), server: None };
        if store.set("tail", &by_hand, TimeUs(5)).is_ok() {
            if let Ok(found) = store.load("tail") {
                assert_eq!(found, Some(SavedCursor::Manual(by_hand)));
            }
            let _ = store.remove("tail");
        }
    }
});
