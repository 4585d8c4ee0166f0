use super::*;

/// Makes a file of schema 5 with a position, a file, and a Kafka topic of two partitions, as the
/// releases with that schema wrote them.
fn file_of_schema_5(path: &std::path::Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut connection = Connection::open(path).unwrap();
    schema::migrate_to(&mut connection, 5).unwrap();
    connection
        .execute_batch(
            "INSERT INTO consumers (name, updated_at_us, server, server_kind, newest_time_us,
               newest_seq, rewind_time_us, rewind_seq, latest_time_us, identities, stream)
             VALUES ('posts', 5, 'example.com', 'v2', 1000, 77, 995, 70, 1001,
               x'0100000000000000ffffffffffffffff0300000000000000', -1);
             INSERT INTO outputs (consumer, path, ordinal, pattern, rotation, state, length_bytes,
               tail_hash, period_start_us, number)
             VALUES ('posts', 'kafka://h:9092/t#0', 1, 'kafka://h:9092/t', NULL, 'open', 12, 0, NULL, 0),
               ('posts', '/a', 2, '/%F', 'daily', 'open', 5, -1, 7, 3),
               ('posts', 'kafka://h:9092/t#1', 3, 'kafka://h:9092/t', NULL, 'open', -2, 0, NULL, 1),
               ('likes', 'nats://n:4222/s#0', 1, 'nats://n:4222/s', NULL, 'clean', 9, 0, NULL, 0);",
        )
        .unwrap();
}

/// Returns what a store of schema 5 read from [`file_of_schema_5`].
fn outputs_of_schema_5() -> Vec<OutputRecord> {
    vec![
        OutputRecord::partition("kafka://h:9092/t", 0, 12),
        OutputRecord {
            path: "/a".into(),
            pattern: "/%F".to_owned(),
            rotation: Some("daily".to_owned()),
            state: OutputState::Open,
            length_bytes: 5,
            tail_hash: u64::MAX,
            period_start: Some(TimeUs(7)),
            number: 3,
        },
        OutputRecord::partition("kafka://h:9092/t", 1, u64::MAX - 1),
    ]
}

fn count(store: &Store, table: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_file_of_version_2_gets_the_new_tables_and_keeps_its_cursors() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    store
        .connection
        .execute_batch(
            "DROP TABLE outputs; ALTER TABLE gaps DROP COLUMN count; DROP TABLE earlier_positions;
             DROP TABLE broker_offsets; DROP TABLE rewrites; DROP TABLE filter_entries;
             DROP TABLE filter_additions; ALTER TABLE consumers DROP COLUMN is_asked_for;
             ALTER TABLE consumers DROP COLUMN filter_fingerprint;
             ALTER TABLE consumers DROP COLUMN filter_since_server;
             ALTER TABLE consumers DROP COLUMN filter_since_kind;
             ALTER TABLE consumers DROP COLUMN filter_since_time_us;
             ALTER TABLE consumers DROP COLUMN filter_since_seq;
             PRAGMA user_version = 2",
        )
        .unwrap();
    drop(store);
    let store = Store::open_existing(&path).unwrap().unwrap();
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(resume(1_000)))));
    assert_eq!(store.outputs("posts"), Ok(vec![]));
}

#[test]
fn broker_offsets_of_version_5_move_to_their_own_table_and_resume_exactly() {
    let (_home, path) = home();
    file_of_schema_5(&path);
    let mut store = Store::open(&path).unwrap();
    assert_eq!(schema::version(&store.connection), Ok(schema::VERSION));
    assert_eq!(store.load("posts"), Ok(Some(SavedCursor::Position(resume(1_000)))));
    assert_eq!(store.outputs("posts"), Ok(outputs_of_schema_5()));
    let likes = OutputRecord::partition("nats://n:4222/s", 0, 9);
    let likes = OutputRecord { state: OutputState::Clean, ..likes };
    assert_eq!(store.outputs("likes"), Ok(vec![likes]));
    assert_eq!((count(&store, "outputs"), count(&store, "broker_offsets")), (1, 3));
    // The next checkpoint moves an offset in place.
    let mut next = checkpoint(2_000);
    next.outputs = vec![Output::for_test(OutputRecord::partition("kafka://h:9092/t", 0, 20), None)];
    store.save("posts", &next, TimeUs(6)).unwrap();
    store.close_outputs("posts").unwrap();
    let mut expected = outputs_of_schema_5();
    expected[0].length_bytes = 20;
    expected.iter_mut().for_each(|output| output.state = OutputState::Clean);
    assert_eq!(store.outputs("posts"), Ok(expected));
    assert_eq!((count(&store, "outputs"), count(&store, "broker_offsets")), (1, 3));
    store.remove("posts").unwrap();
    assert_eq!((count(&store, "outputs"), count(&store, "broker_offsets")), (0, 1));
}

#[test]
fn an_offset_of_something_that_is_no_broker_is_damaged() {
    let (home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.persist_output("posts", &OutputRecord::partition("nats://n:4222/s", 0, 9)).unwrap();
    store.connection.execute("UPDATE broker_offsets SET target = '/etc/hosts'", []).unwrap();
    let error = error_text(store.outputs("posts"), &home);
    assert!(error.contains("column target is \"/etc/hosts\""), "{error}");
}
