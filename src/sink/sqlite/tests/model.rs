//! Random events in random order, in random commits, with restarts between them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{Event, rows, settings, write};
use crate::sink::sqlite::Database;

/// 2026-07-04, in microseconds.
const BASE_US: u64 = 1_783_000_000_000_000;
const DAY_US: u64 = 86_400_000_000;

/// A revision of the repository at this minute, as a TID.
fn rev(minute: u64) -> String {
    let mut number = (BASE_US + minute * 60_000_000) << 10;
    let mut digits = Vec::new();
    for _ in 0..13 {
        digits.push(b"234567abcdefghijklmnopqrstuvwxyz"[(number % 32) as usize]);
        number /= 32;
    }
    digits.reverse();
    String::from_utf8(digits).unwrap()
}

#[derive(Clone, Debug, PartialEq)]
struct Account {
    active: bool,
    status: Option<String>,
    handle: Option<String>,
    time: u64,
    handle_time: u64,
}

/// What the guide says of the tables, with maps.
#[derive(Default)]
struct Model {
    records: BTreeMap<(String, String), (String, String)>,
    graves: BTreeMap<(String, String), (String, u64)>,
    accounts: BTreeMap<String, Account>,
    /// Records of an earlier revision don't count.
    floors: BTreeMap<String, String>,
}

impl Model {
    fn apply(&mut self, event: &Event, now: u64, horizon: u64) {
        match event {
            Event::Put { did, key, rev, text, .. } => {
                let place = (did.clone(), key.clone());
                if self.is_before_floor(did, rev) {
                    return;
                }
                if let Some((dead, at)) = self.graves.get(&place) {
                    if dead >= rev && at + horizon >= now {
                        return;
                    }
                    self.graves.remove(&place);
                }
                let is_older = self.records.get(&place).is_some_and(|(there, _)| there > rev);
                if !is_older {
                    self.records.insert(place, (rev.clone(), text.clone()));
                }
            }
            Event::Delete { did, key, rev } => {
                let place = (did.clone(), key.clone());
                if self.is_before_floor(did, rev) {
                    return;
                }
                if self.records.get(&place).is_some_and(|(there, _)| there > rev) {
                    return;
                }
                self.records.remove(&place);
                let grave = self.graves.entry(place).or_insert_with(|| (rev.clone(), now));
                *grave = (grave.0.clone().max(rev.clone()), now);
            }
            Event::Account { did, active, status, at } => {
                let account = self.account(did);
                if account.time >= *at {
                    return;
                }
                (account.time, account.active) = (*at, *active);
                account.status.clone_from(status);
                if !active && status.as_deref() == Some("deleted") {
                    let of_records = self.records.iter().map(|((d, _), (rev, _))| (d, rev));
                    let of_graves = self.graves.iter().map(|((d, _), (rev, _))| (d, rev));
                    let all = of_records.chain(of_graves).filter(|(d, _)| *d == did);
                    let newest = all.map(|(_, rev)| rev.clone()).max().unwrap_or_default();
                    let minute = (at - BASE_US) / 60_000_000;
                    self.raise_floor(did, (newest + "+").max(rev(minute)));
                }
            }
            Event::Identity { did, handle, at } => {
                let account = self.account(did);
                if account.handle_time <= *at {
                    (account.handle, account.handle_time) = (Some(handle.clone()), *at);
                }
            }
            Event::Sync { did, rev } => {
                if !self.is_before_floor(did, rev) {
                    self.account(did);
                    self.raise_floor(did, rev.clone());
                }
            }
        }
    }

    fn account(&mut self, did: &str) -> &mut Account {
        self.accounts.entry(did.to_owned()).or_insert(Account {
            active: true,
            status: None,
            handle: None,
            time: 0,
            handle_time: 0,
        })
    }

    fn is_before_floor(&self, did: &str, rev: &str) -> bool {
        self.floors.get(did).is_some_and(|floor| rev < floor.as_str())
    }

    fn raise_floor(&mut self, did: &str, floor: String) {
        if self.floors.get(did).is_none_or(|known| *known < floor) {
            self.records.retain(|(d, _), (rev, _)| d != did || *rev >= floor);
            self.graves.retain(|(d, _), (rev, _)| d != did || *rev >= floor);
            self.floors.insert(did.to_owned(), floor);
        }
    }

    fn rows(&self) -> Vec<String> {
        let records = self.records.iter().map(|((did, key), (rev, text))| {
            format!(r#"{did}|{key}|{rev}|cid-{text}|{{"text":"{text}"}}"#)
        });
        records.collect()
    }

    fn account_rows(&self) -> Vec<String> {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let accounts = self.accounts.iter().map(|(did, account)| {
            let Account { active, status, handle, .. } = account;
            format!("{did}|{}|{}|{}", u8::from(*active), or(status), or(handle))
        });
        accounts.collect()
    }

    /// Returns the URIs that a reader may see.
    fn live(&self) -> Vec<String> {
        let is_live = |did: &String| self.accounts.get(did).is_none_or(|a| a.active);
        let live = self.records.keys().filter(|(did, _)| is_live(did));
        live.map(|(did, key)| format!("at://{did}/a.b.c/{key}")).collect()
    }
}

fn event() -> impl Strategy<Value = Event> {
    let did = prop_oneof![Just("did:plc:a"), Just("did:plc:b"), Just("did:web:c")];
    let key = prop_oneof![Just("k1"), Just("k2"), Just("k3")];
    let status = prop_oneof![
        Just((true, None)),
        Just((false, Some("deleted"))),
        Just((false, Some("deactivated"))),
        Just((false, Some("suspended"))),
        Just((false, None)),
        Just((true, Some("throttled"))),
    ];
    (did, key, 0..40_u64, any::<bool>(), status, 0..12_u8, "[a-c]").prop_map(
        |(did, key, minute, update, (active, status), kind, text)| {
            let (did, key, rev) = (did.to_owned(), key.to_owned(), rev(minute));
            let at = BASE_US + minute * 60_000_000;
            match kind {
                0..=4 => Event::Put { did, key, rev, update, text },
                5..=7 => Event::Delete { did, key, rev },
                8 | 9 => {
                    let status = status.map(str::to_owned);
                    Event::Account { did, active, status, at }
                }
                10 => Event::Identity { did, handle: format!("{text}.test"), at },
                _ => Event::Sync { did, rev },
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_tables_equal_a_fold_in_memory(
        events in prop::collection::vec((event(), 0..8_u8), 1..80),
        days_between in prop_oneof![Just(0_u64), Just(1)],
    ) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.db");
        let mut database = Database::open(&settings(&path)).unwrap();
        let (mut model, mut waiting) = (Model::default(), Vec::new());
        let mut now = BASE_US + DAY_US;
        for (i, (event, end)) in events.iter().enumerate() {
            // A clock that advances by small steps, as the stream's own does.
            now += 500_000 + if i % 40 == 39 { days_between * 500_000 } else { 0 };
            model.apply(event, now, 7 * DAY_US);
            waiting.push(event.line(now, i as u64 + 1));
            if *end < 2 {
                write(&mut database, &std::mem::take(&mut waiting));
            }
            if *end == 0 {
                drop(database);
                database = Database::open(&settings(&path)).unwrap();
            }
        }
        write(&mut database, &waiting);
        let found = rows(&path, "SELECT did, rkey, rev, cid, record FROM records ORDER BY 1, 2");
        prop_assert_eq!(found, model.rows());
        let found = rows(&path, "SELECT did, active, status, handle FROM accounts ORDER BY 1");
        prop_assert_eq!(found, model.account_rows());
        let found = rows(&path, "SELECT uri FROM live_records ORDER BY did, rkey");
        prop_assert_eq!(found, model.live());
        let graves: Vec<String> =
            model.graves.iter().map(|((did, key), (rev, _))| format!("{did}|{key}|{rev}")).collect();
        prop_assert_eq!(rows(&path, "SELECT did, rkey, rev FROM tombstones ORDER BY 1, 2"), graves);
    }
}

#[test]
fn a_tombstone_counts_for_its_horizon_of_event_time_and_is_then_deleted() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.db");
    let mut settings = settings(&path);
    settings.options.tombstones_us = 60_000_000;
    let mut database = Database::open(&settings).unwrap();
    let did = "did:plc:a".to_owned();
    let put = |minute| Event::Put {
        did: "did:plc:a".to_owned(),
        key: "k".to_owned(),
        rev: rev(minute),
        update: false,
        text: "x".to_owned(),
    };
    let delete = Event::Delete { did: did.clone(), key: "k".to_owned(), rev: rev(2) };
    let step = |second: u64| BASE_US + second * 1_000_000;
    let identity = |at| Event::Identity { did: did.clone(), handle: "a.test".to_owned(), at };
    write(&mut database, &[delete.line(step(1), 1)]);
    let until = |from: u64, to: u64| -> Vec<String> {
        (from..to).map(|second| identity(step(second)).line(step(second), second)).collect()
    };
    write(&mut database, &until(2, 60));
    write(&mut database, &[put(1).line(step(60), 60)]);
    assert_eq!(rows(&path, "SELECT count(*) FROM records"), ["0"]);
    write(&mut database, &until(61, 70));
    assert_eq!(rows(&path, "SELECT count(*) FROM tombstones"), ["0"]);
    write(&mut database, &[put(1).line(step(70), 70)]);
    assert_eq!(rows(&path, "SELECT count(*) FROM records"), ["1"]);
}
