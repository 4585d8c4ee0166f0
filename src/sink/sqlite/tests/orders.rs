//! Golden tests: each status of an account, and each order of five events.

use super::{Event, rows, settings, write};
use crate::sink::sqlite::Database;

const BASE_US: u64 = 1_783_000_000_000_000;
const MINUTE_US: u64 = 60_000_000;
const DID: &str = "did:plc:a";

/// Returns a revision of this minute that is later than any that a deletion one minute before makes.
fn rev(minute: usize) -> String {
    super::super::marker::first_rev_at(BASE_US + minute as u64 * MINUTE_US)
}

fn put(minute: usize, text: &str) -> Event {
    let (did, key, text) = (DID.to_owned(), "k".to_owned(), text.to_owned());
    Event::Put { did, key, rev: rev(minute), update: false, text }
}

fn account(active: bool, status: Option<&str>, minute: usize) -> Event {
    let at = BASE_US + minute as u64 * MINUTE_US;
    Event::Account { did: DID.to_owned(), active, status: status.map(str::to_owned), at }
}

/// Writes each event in a commit of its own, and returns rows, rows to show, and the account.
fn outcome(events: &[Event]) -> String {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut database = Database::open(&settings(&path)).unwrap();
    let late = BASE_US + 1_000 * MINUTE_US;
    for (i, event) in events.iter().enumerate() {
        write(&mut database, &[event.line(late + i as u64, i as u64 + 1)]);
    }
    let one = |sql: &str| rows(&path, sql).join(",");
    format!(
        "records [{}] live [{}] account [{}]",
        one("SELECT cid FROM records"),
        one("SELECT cid FROM live_records"),
        one("SELECT active, status FROM accounts"),
    )
}

#[test]
fn each_status_of_the_specification_has_its_outcome() {
    let statuses = [
        (true, None),
        (false, None),
        (false, Some("takendown")),
        (false, Some("suspended")),
        (false, Some("deleted")),
        (false, Some("deactivated")),
        (false, Some("desynchronized")),
        (true, Some("desynchronized")),
        (false, Some("throttled")),
        (true, Some("throttled")),
        (false, Some("a-later-status")),
    ];
    let mut found = String::new();
    for (active, status) in statuses {
        let events = [put(1, "x"), account(active, status, 2)];
        found += &format!("{active} {}: {}\n", status.unwrap_or("-"), outcome(&events));
        let again = [put(1, "x"), account(active, status, 2), account(true, None, 3)];
        found += &format!("  and then active: {}\n", outcome(&again));
    }
    insta::assert_snapshot!(found);
}

/// Returns all orders of the numbers below `n`.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..n {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..n).filter(|i| !order.contains(i)).map(|i| [&order[..], &[i]].concat()).collect()
        };
        all = all.iter().flat_map(|order| -> Vec<Vec<usize>> { longer(order) }).collect();
    }
    all
}

const NAMES: [&str; 5] = ["delete", "deactivate", "reactivate", "sync", "create"];

/// Returns the event that happens in this minute.
fn happens(name: usize, minute: usize) -> Event {
    match name {
        0 => Event::Delete { did: DID.to_owned(), key: "k".to_owned(), rev: rev(minute) },
        1 => account(false, Some("deactivated"), minute),
        2 => account(true, None, minute),
        3 => Event::Sync { did: DID.to_owned(), rev: rev(minute) },
        _ => put(minute, "new"),
    }
}

#[test]
fn each_order_of_five_events_has_its_outcome() {
    let mut found = String::new();
    for order in orders(5) {
        let mut events = vec![put(1, "old")];
        events.extend(order.iter().zip(2..).map(|(name, minute)| happens(*name, minute)));
        let names: Vec<&str> = order.iter().map(|name| NAMES[*name]).collect();
        found += &format!("{}: {}\n", names.join(", "), outcome(&events));
    }
    insta::assert_snapshot!(found);
}

#[test]
fn events_that_arrive_in_another_order_than_they_happened_have_the_same_outcome() {
    let expected = "records [cid-new] live [cid-new] account [1|-]";
    for order in orders(5) {
        let mut events = vec![put(1, "old")];
        events.extend(order.iter().map(|name| happens(*name, *name + 2)));
        assert_eq!(outcome(&events), expected, "{order:?}");
    }
}

#[test]
fn a_late_create_does_not_bring_a_deleted_account_back() {
    let deleted = account(false, Some("deleted"), 5);
    let found = outcome(&[deleted.clone(), put(4, "late")]);
    assert_eq!(found, "records [] live [] account [0|deleted]");
    // The account returns, and its new records count.
    let found = outcome(&[deleted, put(4, "late"), account(true, None, 7), put(8, "new")]);
    assert_eq!(found, "records [cid-new] live [cid-new] account [1|-]");
}

#[test]
fn the_records_that_a_server_restores_fill_in_after_a_sync() {
    let sync = Event::Sync { did: DID.to_owned(), rev: rev(5) };
    let found = outcome(&[put(1, "old"), sync.clone(), put(5, "restored")]);
    assert_eq!(found, "records [cid-restored] live [cid-restored] account [1|-]");
    let found = outcome(&[put(1, "old"), sync, put(4, "late")]);
    assert_eq!(found, "records [] live [] account [1|-]");
}
