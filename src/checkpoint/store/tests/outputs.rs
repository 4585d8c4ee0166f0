use super::*;

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
    store.persist_output("posts", &a).unwrap();
    store.persist_output("posts", &b).unwrap();
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
    store.persist_output("posts", &output("/a", OutputState::Open, 9)).unwrap();
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
fn files_finished_long_ago_are_forgotten_in_the_step_that_saves_a_position() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    let name = |i: usize| format!("/{i}");
    let kept_clean = output("/clean", OutputState::Clean, 9);
    store.persist_output("posts", &kept_clean).unwrap();
    let filled = store.in_transaction(|connection| {
        (0..1_500).try_for_each(|i| {
            crate::checkpoint::store::outputs::put(
                connection,
                "posts",
                &output(&name(i), OutputState::Done, 5),
                true,
            )
        })
    });
    filled.unwrap();
    let others = output("/0", OutputState::Done, 5);
    store.persist_output("likes", &others).unwrap();
    store.persist_output("posts", &output("/open", OutputState::Open, 0)).unwrap();
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
