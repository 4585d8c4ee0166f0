//! What `docs/guide/sqlite.md` says of a database, with maps in memory: it shares no code with the
//! program. Tombstones never end here, so a recording must be shorter than their horizon.
#![allow(clippy::unwrap_used, clippy::expect_used, dead_code)]

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

/// DID, collection and record key.
type Place = (String, String, String);

#[derive(Clone, Debug, Default, PartialEq)]
struct Account {
    is_inactive: bool,
    status: Option<String>,
    handle: Option<String>,
    at: i64,
    handle_at: i64,
}

/// The tables.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    records: BTreeMap<Place, (String, Value)>,
    graves: BTreeMap<Place, String>,
    accounts: BTreeMap<String, Account>,
    floors: BTreeMap<String, String>,
}

impl Fold {
    /// Returns the tables after these lines of a v1 stream, in order.
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut fold = Self::default();
        lines.into_iter().for_each(|line| fold.apply(line));
        fold
    }

    /// Applies one line.
    pub fn apply(&mut self, line: &str) {
        let event: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let did = text(&event["did"]).unwrap();
        let received = event["time_us"].as_i64().unwrap();
        let at = |body: &Value| {
            let time = body["time"].as_str().and_then(|time| time.parse::<jiff::Timestamp>().ok());
            time.map_or(received, |time| time.as_microsecond())
        };
        match event["kind"].as_str().unwrap() {
            "commit" => self.apply_commit(did, &event["commit"]),
            "identity" => {
                let body = &event["identity"];
                let Some(handle) = text(&body["handle"]) else { return };
                let account = self.accounts.entry(did).or_default();
                if account.handle_at <= at(body) {
                    (account.handle, account.handle_at) = (Some(handle), at(body));
                }
            }
            "account" => {
                let body = &event["account"];
                let account = self.accounts.entry(did.clone()).or_default();
                if account.at >= at(body) {
                    return;
                }
                account.at = at(body);
                account.is_inactive = body["active"] == false;
                account.status = text(&body["status"]);
                if account.is_inactive && body["status"] == "deleted" {
                    let newest = self.newest_rev(&did) + "+";
                    self.raise_floor(did, newest.max(tid(at(body))));
                }
            }
            "sync" => {
                let rev = text(&event["sync"]["rev"]).unwrap();
                if !self.is_before_floor(&did, &rev) {
                    self.accounts.entry(did.clone()).or_default();
                    self.raise_floor(did, rev);
                }
            }
            _ => {}
        }
    }

    fn apply_commit(&mut self, did: String, commit: &Value) {
        let part = |name: &str| commit[name].as_str().unwrap().to_owned();
        let rev = part("rev");
        if self.is_before_floor(&did, &rev) {
            return;
        }
        let place = (did, part("collection"), part("rkey"));
        let is_late = self.records.get(&place).is_some_and(|(there, _)| *there > rev);
        if part("operation") == "delete" {
            if !is_late {
                self.records.remove(&place);
                let grave = self.graves.entry(place).or_default();
                *grave = rev.max(grave.clone());
            }
            return;
        }
        if self.graves.get(&place).is_some_and(|grave| *grave >= rev) {
            return;
        }
        self.graves.remove(&place);
        if !is_late {
            self.records.insert(place, (rev, commit["record"].clone()));
        }
    }

    fn newest_rev(&self, did: &str) -> String {
        let records = self.records.iter().map(|(place, (rev, _))| (place, rev));
        let all = records.chain(&self.graves).filter(|(place, _)| place.0 == did);
        all.map(|(_, rev)| rev.clone()).max().unwrap_or_default()
    }

    fn is_before_floor(&self, did: &str, rev: &str) -> bool {
        self.floors.get(did).is_some_and(|floor| rev < floor.as_str())
    }

    fn raise_floor(&mut self, did: String, floor: String) {
        if self.floors.get(&did).is_none_or(|known| *known < floor) {
            self.records.retain(|place, (rev, _)| place.0 != did || *rev >= floor);
            self.graves.retain(|place, rev| place.0 != did || *rev >= floor);
            self.floors.insert(did, floor);
        }
    }

    /// Returns the tables as text, in a fixed order.
    pub fn dump(&self) -> Vec<String> {
        let records = self.records.iter().map(|((did, collection, rkey), (rev, record))| {
            format!("record {did} {collection} {rkey} {rev} {record}")
        });
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let accounts = self.accounts.iter().map(|(did, account)| {
            let Account { is_inactive, status, handle, .. } = account;
            format!("account {did} {} {} {}", !is_inactive, shown(status), shown(handle))
        });
        records.chain(accounts).collect()
    }
}

/// Returns the first revision at this time.
fn tid(us: i64) -> String {
    let mut number = us.unsigned_abs() * 1024;
    let mut digits = [0; 13];
    for digit in digits.iter_mut().rev() {
        *digit = b"234567abcdefghijklmnopqrstuvwxyz"[(number % 32) as usize];
        number /= 32;
    }
    String::from_utf8(digits.to_vec()).unwrap()
}

/// Returns the tables of a database as [`Fold::dump`] does.
pub fn dump(path: &Path) -> Vec<String> {
    let database = Connection::open(path).unwrap();
    let all = |sql: &str| -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut dump = Vec::new();
    let sql =
        "SELECT json_array(did || ' ' || collection || ' ' || rkey || ' ' || rev, json(record))
      FROM records ORDER BY did, collection, rkey";
    for row in all(sql) {
        let row: Value = serde_json::from_str(&row).unwrap();
        dump.push(format!("record {} {}", row[0].as_str().unwrap(), row[1]));
    }
    dump.extend(all("SELECT 'account ' || did || ' ' || iif(active, 'true', 'false') || ' ' ||
      coalesce(status, '-') || ' ' || coalesce(handle, '-') FROM accounts ORDER BY did"));
    dump
}

/// Returns the seqs before and after each gap of the archive that a database has recorded.
pub fn archive_gaps(path: &Path) -> Vec<(u64, u64)> {
    let database = Connection::open(path).unwrap();
    let sql = "SELECT from_seq, to_seq FROM skytail_gaps WHERE reason LIKE 'the archive: %'";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let seqs = |(from, to): (i64, i64)| (from.unsigned_abs(), to.unsigned_abs());
    rows.unwrap().map(|row| seqs(row.unwrap())).collect()
}

/// Fails with the first difference between a database and the fold.
#[track_caller]
pub fn assert_equal(path: &Path, fold: &Fold) {
    let (found, expected) = (dump(path), fold.dump());
    let same = found.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    assert!(
        found == expected,
        "{} rows in place of {}; after {same} equal ones {:?} in place of {:?}",
        found.len(),
        expected.len(),
        found.get(same),
        expected.get(same),
    );
}

/// Returns `count` events of a few hundred accounts, received `step_us` apart from `from_us` on and
/// numbered from `first_seq` on. Every account is consistent: its revisions and times only grow. With
/// `syncs` some repositories are repaired, and some of their records restored.
pub fn events(count: u64, from_us: u64, step_us: u64, first_seq: u64, syncs: bool) -> Vec<String> {
    seeded_events(0x9e37_79b9_7f4a_7c15, count, from_us, step_us, first_seq, syncs)
}

/// Returns events as [`events`] does, with random values of this seed, which is not 0.
pub fn seeded_events(
    seed: u64,
    count: u64,
    from_us: u64,
    step_us: u64,
    first_seq: u64,
    syncs: bool,
) -> Vec<String> {
    let mut random = seed;
    let mut next = move |n: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % n
    };
    let line = |i: u64| {
        let (time, seq) = (from_us + i * step_us, first_seq + i);
        let did = format!("did:plc:{:024}", next(300));
        let rev = tid(time.cast_signed());
        let iso = jiff::Timestamp::from_microsecond(time.cast_signed()).unwrap();
        let head = format!(r#"{{"did":"{did}","time_us":{time},"cursor":{seq},"kind":"#);
        let (collection, rkey) = (["a.b.post", "a.b.like"][next(2) as usize], next(20));
        match next(100) {
            0 => {
                let state = [
                    r#"false,"status":"deleted""#,
                    r#"false,"status":"deactivated""#,
                    "true",
                    "true",
                ][next(4) as usize];
                format!(
                    r#"{head}"account","account":{{"active":{state},"did":"{did}","seq":{seq},"time":"{iso}"}}}}"#
                )
            }
            1 => format!(
                r#"{head}"identity","identity":{{"did":"{did}","handle":"h{i}.test","seq":{seq},"time":"{iso}"}}}}"#
            ),
            2 | 3 if syncs => format!(
                r#"{head}"sync","sync":{{"blocks":{{"$bytes":""}},"did":"{did}","rev":"{rev}","seq":{seq},"time":"{iso}"}}}}"#
            ),
            2..=20 => format!(
                r#"{head}"commit","commit":{{"rev":"{rev}","operation":"delete","collection":"{collection}","rkey":"{rkey}"}}}}"#
            ),
            n => {
                let operation = if n < 40 { "update" } else { "create" };
                let text = "text ".repeat(next(60) as usize);
                format!(
                    r#"{head}"commit","commit":{{"rev":"{rev}","operation":"{operation}","collection":"{collection}","rkey":"{rkey}","record":{{"n":{i},"text":"{text}"}},"cid":"c{i}"}}}}"#
                )
            }
        }
    };
    (0..count).map(line).collect()
}
