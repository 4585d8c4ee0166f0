use super::*;

#[test]
fn what_is_no_state_file_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let text = home.path().join("notes.txt");
    fs::write(&text, "dear diary, ".repeat(100)).unwrap();
    assert_snapshot!(error_text(Store::open(&text), &home), @"HOME/notes.txt is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is");
    assert_snapshot!(error_text(Store::open_existing(&text), &home), @"HOME/notes.txt is not a SQLite database: move it away, or name another state file with --state FILE; it was left as it is");
    assert_eq!(fs::read_to_string(&text).unwrap(), "dear diary, ".repeat(100));

    let other = home.path().join("mail.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE mail (id)").unwrap();
    let before = fs::read(&other).unwrap();
    assert_snapshot!(error_text(Store::open(&other), &home), @"HOME/mail.db is the database of another program: name another state file with --state FILE; it was left as it is");
    assert_eq!(fs::read(&other).unwrap(), before);

    assert_snapshot!(error_text(Store::open(home.path()), &home), @"can't open the state file HOME: is a directory; name another with --state FILE");
    assert_snapshot!(error_text(Store::open(&text.join("state.db")), &home), @"can't open the state file HOME/notes.txt/state.db: not a directory; name another with --state FILE");
}

#[test]
fn a_file_from_a_newer_skytail_is_refused_with_both_versions() {
    let (home, path) = home();
    let store = Store::open(&path).unwrap();
    store.connection.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    assert_snapshot!(error_text(Store::open(&path), &home), @"the state file HOME/a/b/state.db has format 99, from a newer skytail; this one knows formats up to 9: update skytail, or name another file with --state FILE");
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
    let refusal = error_text(Store::open(&path), &home);
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
    assert_snapshot!(error_text(store.save("posts", &big, TimeUs(6)), &home), @"can't save to the state file HOME/a/b/state.db: its disk is full; free some space, or name another file with --state FILE");
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
        let text = error_text(store.entry("bad"), &home);
        let (start, end) = ("the saved cursor \"bad\" in HOME/a/b/state.db is damaged: ", ";");
        let text = text.strip_prefix(start).unwrap_or(&text);
        all.push(format!("{edit}: {}", text.split_once(end).unwrap().0));
        let list = store.list().unwrap();
        assert!(list[0].is_err() && list[1].is_ok(), "{list:?}");
        store.save("bad", &checkpoint(1_000), TimeUs(5)).unwrap();
    }
    assert_snapshot!(all.join("\n"), @r#"
        server = NULL: column server is empty, and no cursor was set by hand
        set_time_us = 5, server = NULL: column set_time_us is 5, too early for a cursor
        set_seq = 0, server = NULL: column set_seq is 0, which is not a sequence number
        set_seq = 1, set_time_us = 1000000000000000: column set_seq has a value, although set_time_us has one
        set_seq = 1: column server has a value, although a cursor was set by hand
        server_kind = 'v9': column server_kind is "v9", neither legacy nor v2
        server_kind = NULL: column server_kind is empty
        newest_time_us = NULL: column newest_time_us is empty
        latest_time_us = NULL: column latest_time_us is empty
        identities = NULL: column identities is empty
        identities = x'0102': column identities has 2 bytes, not a multiple of 8
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
        let refusal = error_text(Store::open(&path), &home);
        assert!(refusal.contains("HOME/a/b/state.db"), "{edit}: {refusal}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

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
