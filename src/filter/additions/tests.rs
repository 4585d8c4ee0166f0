use super::*;
use crate::event::format::EventFormat;
use crate::event::header::parse;

fn lists(collections: &[&str], dids: &[&str]) -> Lists {
    let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Lists { collections: set(collections), dids: set(dids) }
}

fn dids(dids: &[&str]) -> Lists {
    lists(&[], dids)
}

fn pending(additions: &Additions) -> Vec<(u32, Vec<&str>)> {
    additions
        .pending
        .iter()
        .map(|a| (a.number, a.values.iter().map(String::as_str).collect()))
        .collect()
}

#[test]
fn new_entries_wait_and_removed_ones_leave_at_once() {
    let mut state = Additions::all_live(dids(&["a", "b"]));
    state.update(dids(&["b", "c", "d"]), None);
    assert_eq!(state.live, dids(&["b"]));
    assert_eq!(pending(&state), [(1, vec!["c", "d"])]);
    state.update(dids(&["b", "c"]), Some(1));
    assert_eq!(pending(&state), [(1, vec!["c"])], "a part of it was removed again");
    state.update(dids(&["b"]), Some(1));
    assert_eq!(pending(&state), []);
}

#[test]
fn what_comes_later_is_collected_behind_what_is_being_read() {
    let mut state = Additions::all_live(lists(&["x.y.z"], &["a"]));
    state.update(lists(&["x.y.z"], &["a", "b"]), None);
    state.update(lists(&["x.y.z"], &["a", "b", "c"]), Some(1));
    state.update(lists(&["x.y.z", "p.q.r"], &["a", "b", "c", "d"]), Some(1));
    state.update(lists(&["x.y.z", "p.q.r", "p.q.s"], &["a", "b", "c", "d"]), Some(1));
    assert_eq!(pending(&state), [(1, vec!["b"]), (2, vec!["c", "d"]), (3, vec!["p.q.r", "p.q.s"])]);
    state.finish(1);
    assert_eq!(state.live, lists(&["x.y.z"], &["a", "b"]));
    assert_eq!(state.next().map(|addition| addition.number), Some(2));
}

#[test]
fn a_list_never_becomes_empty_for_want_of_history() {
    let mut state = Additions::all_live(dids(&["a"]));
    state.update(dids(&["b"]), None);
    assert_eq!(state.live, dids(&["a"]), "no list would be every account");
    state.finish(1);
    assert_eq!(state.live, dids(&["b"]));
}

#[test]
fn a_list_that_begins_or_ends_to_restrict_applies_at_once() {
    let mut state = Additions::all_live(dids(&[]));
    state.update(dids(&["a"]), None);
    assert_eq!((&state.live, state.pending.len()), (&dids(&["a"]), 0));
    state.update(dids(&["a", "b"]), None);
    state.update(dids(&[]), None);
    assert_eq!((&state.live, state.pending.len()), (&dids(&[]), 0));
}

#[test]
fn a_collection_that_a_live_pattern_covers_needs_no_history() {
    let mut state = Additions::all_live(lists(&["x.*"], &[]));
    state.update(lists(&["x.*", "x.y.z", "p.*"], &[]), None);
    assert_eq!(state.live, lists(&["x.*", "x.y.z"], &[]));
    assert_eq!(pending(&state), [(1, vec!["p.*"])]);
}

#[test]
fn a_restored_state_continues() {
    let mut state = Additions::all_live(dids(&["a"]));
    state.update(dids(&["a", "b"]), None);
    let mut restored = Additions::restored(state.live.clone(), state.pending.clone());
    assert_eq!(restored, state);
    restored.update(dids(&["a", "b", "c"]), None);
    assert_eq!(pending(&restored), [(1, vec!["b", "c"])]);
}

const COMMIT: &str = r#"{"did":"DID","time_us":1,"kind":"commit","commit":{"rev":"r","operation":"create","collection":"NSID","rkey":"k"}}"#;

fn takes(filter: &SideFilter, did: &str, collection: Option<&str>) -> bool {
    let line = match collection {
        Some(nsid) => COMMIT.replace("DID", did).replace("NSID", nsid),
        None => format!(r#"{{"did":"{did}","time_us":1,"kind":"identity","identity":{{}}}}"#),
    };
    filter.take(&parse(line.as_bytes()).unwrap(), line.as_bytes(), EventFormat::V1).is_some()
}

#[test]
fn the_history_has_exactly_what_the_live_filter_will_take_and_does_not_take() {
    let mut state = Additions::all_live(lists(&["x.y.z"], &["a"]));
    state.update(lists(&["x.y.z", "p.q.r", "x.*"], &["a", "b"]), None);
    let wanted = Filter::default();
    let filter = |state: &Additions| state.side_filter(&wanted, state.next().unwrap());
    let collections = filter(&state);
    assert!(takes(&collections, "a", Some("p.q.r")) && takes(&collections, "a", Some("x.y.q")));
    assert!(!takes(&collections, "a", Some("x.y.z")), "live already");
    assert!(!takes(&collections, "a", None) && !takes(&collections, "b", Some("p.q.r")));
    state.finish(1);
    let accounts = filter(&state);
    assert!(takes(&accounts, "b", None) && takes(&accounts, "b", Some("p.q.r")));
    assert!(takes(&accounts, "b", Some("x.y.z")) && !takes(&accounts, "a", Some("p.q.r")));
    assert!(!takes(&accounts, "b", Some("k.l.m")));
    let request = accounts.request();
    assert_eq!(Lists::of(request), lists(&["p.q.r", "x.*", "x.y.z"], &["b"]));
}
