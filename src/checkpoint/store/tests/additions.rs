use std::sync::Arc;

use super::*;
use crate::filter::additions::{Additions, AdditionsCheckpoint, Lists, Reached};

fn state(dids: &[&str]) -> Additions {
    let lists = |collections: &[&str], dids: &[&str]| Lists {
        collections: collections.iter().map(|nsid| (*nsid).to_owned()).collect(),
        dids: dids.iter().map(|did| format!("did:plc:{did}")).collect(),
    };
    let mut state = Additions::all_live(lists(&["x.y.z"], &["a"]));
    state.update(lists(&["x.y.z", "p.*"], dids), None);
    state
}

fn reached(seq: u64) -> Reached {
    Reached { server: "example.com".to_owned(), seq }
}

#[test]
fn lists_are_saved_with_a_checkpoint_and_continue_where_their_history_was_read() {
    let (_home, path) = home();
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.additions("posts"), Ok(None));
    let begun = Arc::new(state(&["a", "b", "c"]));
    store.save_additions("posts", &begun).unwrap();
    assert_eq!(store.additions("posts"), Ok(Some((*begun).clone())));
    let mut next = checkpoint(1_000);
    next.additions =
        Some(AdditionsCheckpoint { state: Arc::clone(&begun), reached: Some((1, reached(70))) });
    store.save("posts", &next, TimeUs(6)).unwrap();
    let mut expected = (*begun).clone();
    expected.pending[0].reached = Some(reached(70));
    assert_eq!(store.additions("posts"), Ok(Some(expected.clone())));
    expected.finish(1);
    next.additions = Some(AdditionsCheckpoint { state: Arc::new(expected.clone()), reached: None });
    store.save("posts", &next, TimeUs(7)).unwrap();
    assert_eq!(store.additions("posts"), Ok(Some(expected)));
    assert_eq!(store.additions("likes"), Ok(None));
    assert_eq!(store.forget_additions("posts"), Ok(2));
    assert_eq!(store.additions("posts"), Ok(None));
}

#[test]
fn an_export_carries_the_lists() {
    let (home, path) = home();
    let mut store = Store::open(&path).unwrap();
    store.save("posts", &checkpoint(1_000), TimeUs(5)).unwrap();
    let mut begun = state(&["a", "b"]);
    begun.pending[1].reached = Some(reached(9));
    store.save_additions("posts", &Arc::new(begun.clone())).unwrap();
    let export = store.export("posts").unwrap().unwrap();
    let mut other = Store::open(&home.path().join("other.db")).unwrap();
    other.import(&[export], false).unwrap();
    assert_eq!(other.additions("posts"), Ok(Some(begun)));
}

#[test]
fn damaged_lists_are_refused_with_their_column() {
    let damage = [
        ("UPDATE filter_entries SET list = 'x'", "list"),
        (
            "UPDATE filter_entries SET value = 'no did' WHERE list = 'did' AND addition NOT NULL",
            "value",
        ),
        ("UPDATE filter_entries SET addition = 1 WHERE addition NOT NULL", "addition"),
        ("UPDATE filter_additions SET server = 's', seq = -1", "seq"),
    ];
    for (sql, column) in damage {
        let (home, path) = home();
        let mut store = Store::open(&path).unwrap();
        store.save_additions("posts", &Arc::new(state(&["a", "b"]))).unwrap();
        store.connection.execute(sql, []).unwrap();
        let error = error_text(store.additions("posts"), &home);
        assert!(error.contains(&format!("column {column}")), "{sql}: {error}");
    }
}
