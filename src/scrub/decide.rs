//! Decides which events to remove, from all entries in their sorted order.

use super::entry::{ELSEWHERE, Entry, Fact, Fields, Place};
use super::order::{Markers, Moment};
use super::report::Removed;

/// What to remove beside deleted records and accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Keep what was replaced later.
    pub keep_history: bool,
    /// Remove accounts whose latest status is inactive.
    pub inactive: bool,
    /// Keep records that precede a repair of their repository.
    pub ignore_syncs: bool,
}

/// Why an event is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its account was deleted later.
    AccountDeleted,
    /// The latest status of its account is inactive.
    AccountInactive,
    /// Its record was deleted later.
    RecordDeleted,
    /// Its repository was repaired later, and the record may no longer exist.
    Repaired,
    /// Its record was replaced later.
    Replaced,
}

/// Reads entries in their order, and decides about each.
#[derive(Debug, Default)]
pub struct Decider {
    rules: Rules,
    account: Account,
    record: Record,
    /// What was removed so far.
    pub removed: Removed,
}

/// What the entries of the current account say.
#[derive(Debug, Default)]
struct Account {
    did: Option<u64>,
    deletions: Markers,
    repairs: Markers,
    /// The newest rev of a repair.
    repaired_rev: u64,
    /// The moment of the latest status, and whether the account was active then.
    latest: Option<(Moment, bool)>,
    is_counted: bool,
}

/// What the entries of the current record say, from the newest rev on.
#[derive(Debug, Default)]
struct Record {
    hash: u64,
    is_deleted: bool,
    /// The newest rev that created or replaced it.
    newest_rev: Option<u64>,
    /// The newest of these that stays.
    newest_kept_rev: Option<u64>,
    is_counted: bool,
}

impl Decider {
    /// Returns a decider that knows no entry yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Reads the next entry. Returns the place of the event and the reason if it is to be removed.
    pub fn decide(&mut self, entry: Entry) -> Option<(Place, Reason)> {
        let event = Fields::unpack(entry);
        if self.account.did != Some(event.did) {
            self.account = Account { did: Some(event.did), ..Account::default() };
            self.record = Record::default();
        }
        let reason = match event.fact {
            Fact::Put => self.put(&event),
            Fact::Delete => {
                self.begin_record(&event);
                self.record.is_deleted = true;
                None
            }
            Fact::Other => self.of_account(&event),
            _ => {
                self.account.read(&event);
                None
            }
        };
        let reason = reason.filter(|_| event.place.file() != ELSEWHERE)?;
        self.count(&event, reason);
        Some((event.place, reason))
    }

    /// Begins a record, unless the event is of the current one.
    fn begin_record(&mut self, event: &Fields) {
        if self.record.hash != event.record {
            self.record = Record { hash: event.record, ..Record::default() };
        }
    }

    fn put(&mut self, event: &Fields) -> Option<Reason> {
        self.begin_record(event);
        let reason = self.reason_of_put(event);
        self.record.newest_rev.get_or_insert(event.rev);
        if reason.is_none() {
            self.record.newest_kept_rev.get_or_insert(event.rev);
        }
        reason
    }

    fn reason_of_put(&self, event: &Fields) -> Option<Reason> {
        if let Some(reason) = self.of_account(event) {
            return Some(reason);
        }
        // A delete of the same rev is later in the recordings: entries of one rev are in the order
        // of their places, the last one first.
        if self.record.is_deleted {
            return Some(Reason::RecordDeleted);
        }
        let is_newer = |rev: Option<u64>| rev.is_some_and(|rev| rev > event.rev);
        let is_repaired =
            self.account.repaired_rev > event.rev || self.account.repairs.are_after(event.moment());
        // After a repair the server sends the records that still exist again.
        let is_history = self.rules.keep_history && is_newer(self.record.newest_kept_rev);
        if is_repaired && !self.rules.ignore_syncs && !is_history {
            return Some(Reason::Repaired);
        }
        let is_replaced = is_newer(self.record.newest_rev) && !self.rules.keep_history;
        is_replaced.then_some(Reason::Replaced)
    }

    /// Returns why an event is removed because of its account.
    fn of_account(&self, event: &Fields) -> Option<Reason> {
        let is_inactive = self.account.latest.is_some_and(|(_, is_active)| !is_active);
        match () {
            () if self.account.deletions.are_after(event.moment()) => Some(Reason::AccountDeleted),
            () if is_inactive && self.rules.inactive => Some(Reason::AccountInactive),
            () => None,
        }
    }

    fn count(&mut self, event: &Fields, reason: Reason) {
        self.removed.count(reason);
        let is_of_account = matches!(reason, Reason::AccountDeleted | Reason::AccountInactive);
        if is_of_account && !std::mem::replace(&mut self.account.is_counted, true) {
            self.removed.accounts += 1;
        }
        if event.fact == Fact::Put && !std::mem::replace(&mut self.record.is_counted, true) {
            self.removed.uris += 1;
        }
    }
}

impl Account {
    /// Reads an entry about the account itself.
    fn read(&mut self, event: &Fields) {
        let moment = event.moment();
        let is_active = match event.fact {
            Fact::Sync => {
                self.repaired_rev = self.repaired_rev.max(event.rev);
                return;
            }
            Fact::SyncWithoutRev => return self.repairs.add(0, moment),
            Fact::AccountDeleted => {
                self.deletions.add(event.rev, moment);
                false
            }
            fact => fact == Fact::AccountActive,
        };
        if self.latest.is_none_or(|(latest, _)| latest < moment) {
            self.latest = Some((moment, is_active));
        }
    }
}
