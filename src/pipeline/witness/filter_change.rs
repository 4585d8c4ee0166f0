//! A change of the filter while two servers are compared. Pure.
//!
//! The output changes its filter at its position, and the witness's stream at the place that it has
//! reached when its reader learns of that. The servers' times differ by up to the window. So from the
//! change on until one window after both places, an event that only one of the filters wants may be in one
//! stream and not in the other although both servers have it. Such events are not compared. What both
//! filters want is compared as ever.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::event::format::EventFormat;
use crate::event::header_spans::HeaderSpans;
use crate::filter::{Collections, Filter};
use crate::pipeline::dedup::PassedEvent;
use crate::position::TimeUs;

use super::matcher::{Subject, WitnessEvent};
use super::names::OTHER;
use super::serve::{MainStream, WitnessSide};

/// Most changes whose window is not over. A reader changes the filter at most once a second, so that
/// only a long window can have more.
const MAX_CHANGES: usize = 16;

/// A change whose window is not over.
#[derive(Debug)]
struct FilterChange {
    before: Arc<Filter>,
    after: Arc<Filter>,
    /// The clock of the server in use at the change.
    main_at: TimeUs,
    /// The clock of the witness's stream at its change; `None` before it.
    witness_at: Option<TimeUs>,
}

impl FilterChange {
    /// Returns the instant up to which the events of either stream may be before the change in the
    /// other one, if that is known.
    fn end(&self, window_us: u64) -> Option<TimeUs> {
        Some(self.main_at.max(self.witness_at?).plus_us(window_us))
    }
}

/// The changes of a run.
#[derive(Debug)]
pub(super) struct FilterChanges {
    window_us: u64,
    changes: VecDeque<FilterChange>,
}

impl FilterChanges {
    pub(super) fn new(window_us: u64) -> Self {
        Self { window_us, changes: VecDeque::new() }
    }

    /// Returns whether an event that came at `clock` is compared.
    pub(super) fn compares(
        &self,
        clock: TimeUs,
        header: &HeaderSpans,
        line: &[u8],
        shape: EventFormat,
    ) -> bool {
        if self.changes.is_empty() {
            return true;
        }
        let header = header.header(line);
        let is_open =
            |change: &&FilterChange| change.end(self.window_us).is_none_or(|end| clock <= end);
        self.changes.iter().filter(is_open).all(|FilterChange { before, after, .. }| {
            [before, after].iter().all(|filter| filter.take(&header, line, shape).is_some())
        })
    }

    /// Notes a change of the output. If too many are open, returns the instant up to which nothing is
    /// compared any more.
    pub(super) fn on_main(
        &mut self,
        before: Arc<Filter>,
        after: Arc<Filter>,
        main_at: TimeUs,
    ) -> Option<TimeUs> {
        let oldest = match self.changes.len() {
            0..MAX_CHANGES => None,
            _ => self.changes.pop_front(),
        };
        self.changes.push_back(FilterChange { before, after, main_at, witness_at: None });
        oldest.map(|oldest| oldest.main_at.max(oldest.witness_at.unwrap_or(main_at)))
    }

    /// Notes that the witness's stream has this filter from `at` on. It may have left out filters
    /// between two changes.
    pub(super) fn on_witness(&mut self, filter: &Arc<Filter>, at: TimeUs) {
        let is_it = |change: &FilterChange| Arc::ptr_eq(&change.after, filter);
        let Some(index) = self.changes.iter().rposition(is_it) else { return };
        for change in self.changes.iter_mut().take(index + 1) {
            change.witness_at.get_or_insert(at);
        }
    }

    /// Forgets the changes whose window is over in both streams.
    pub(super) fn settle(&mut self, main: TimeUs, witness: TimeUs) {
        let is_over = |change: &FilterChange| {
            change.end(self.window_us).is_some_and(|end| end < main.min(witness))
        };
        while self.changes.front().is_some_and(is_over) {
            self.changes.pop_front();
        }
    }
}

impl WitnessSide {
    /// Follows a change of the filter of the output, whose stream's clock is `main`, and passes it on
    /// to the reader of the witness.
    pub fn change_filter(&mut self, before: Arc<Filter>, after: Arc<Filter>, main: TimeUs) {
        let agreement = Disagreement::between(&before, &after);
        let names = &self.names;
        let is_wanted = |event: &WitnessEvent| {
            let takes = |header: HeaderSpans| {
                after
                    .take(&header.header(&event.line), &event.line, event.connection.shape)
                    .is_some()
            };
            event.header.is_some_and(takes)
        };
        let is_agreed =
            |subject: Subject| !agreement.concerns(subject.account, names.name(subject.name));
        self.matcher.change_filter(main, is_wanted, is_agreed);
        self.config.filters.send(Arc::clone(&after));
        if let Some(skipped) = self.changes.on_main(before, after, main) {
            self.matcher.skip_both_to(skipped);
        }
    }

    /// Returns whether a resumed run has not come as far as the run before. Until then the clock of
    /// the server in use is that of the saved position, and the server may still send what the filter
    /// did not want before that.
    pub(super) fn is_replaying(&mut self, main: &MainStream<'_>, reached: TimeUs) -> bool {
        if self.config.floor.is_none() {
            return false;
        }
        reached <= *self.resumed_at.get_or_insert(main.latest())
    }

    /// Notes events of the server in use that the filter did not want at their place.
    pub fn note_unwanted(&mut self, events: &[PassedEvent]) {
        for PassedEvent { identity, clock, .. } in events {
            if let Some(skipped) = self.matcher.on_unwanted(*identity, *clock) {
                self.warn_of_lag(skipped);
            }
        }
    }
}

/// Returns the number that stands for an account in the matcher.
pub(super) fn account_number(did: &str) -> u32 {
    // The low half of the hash.
    xxh3_64(did.as_bytes()) as u32
}

/// What two filters disagree about, for events of which only the account's number and the name of the
/// collection are known. The filters differ in their lists only.
#[derive(Debug)]
pub(super) struct Disagreement<'a> {
    accounts: HashSet<u32>,
    before: &'a Filter,
    after: &'a Filter,
}

impl<'a> Disagreement<'a> {
    pub(super) fn between(before: &'a Filter, after: &'a Filter) -> Self {
        let differing = before.dids.symmetric_difference(&after.dids);
        let accounts = differing.map(|did| account_number(did)).collect();
        Self { accounts, before, after }
    }

    /// Returns whether only one of the filters may want an event of this account and collection.
    /// `name` is the word of a kind if it is no commit.
    pub(super) fn concerns(&self, account: u32, name: &str) -> bool {
        let (before, after) = (self.before, self.after);
        let lists = |filter: &Filter| takes(&filter.collections, &filter.excluded, name);
        let is_unknown = name == OTHER
            && (before.collections != after.collections || before.excluded != after.excluded);
        before.dids.is_empty() != after.dids.is_empty()
            || self.accounts.contains(&account)
            || is_unknown
            || lists(before) != lists(after)
    }
}

/// Returns whether lists take the events of a collection.
fn takes(collections: &Collections, excluded: &Collections, name: &str) -> bool {
    collections.matches(name) && !excluded.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::batch::Batch;

    fn filter(dids: &[&str], collections: &[&str]) -> Arc<Filter> {
        let dids = dids.iter().map(|did| format!("did:plc:{did}")).collect();
        let mut filter = Filter { dids, ..Filter::default() };
        collections.iter().for_each(|name| filter.collections.add(name).unwrap());
        Arc::new(filter)
    }

    /// Returns whether an event of an account at this clock is compared.
    fn compares(changes: &FilterChanges, did: &str, clock: u64) -> bool {
        let mut batch = Batch::default();
        let line = format!(
            r#"{{"did":"did:plc:{did}","time_us":{clock},"kind":"commit","commit":{{"rev":"3mptbypluud2a","operation":"create","collection":"a.b.c","rkey":"1"}}}}"#
        );
        batch.push(line.as_bytes());
        let header = batch.header_or_parse(0, EventFormat::V1).unwrap();
        changes.compares(TimeUs(clock), &header, batch.line(0), EventFormat::V1)
    }

    #[test]
    fn only_what_both_filters_want_is_compared_until_the_window_is_over() {
        let mut changes = FilterChanges::new(100);
        let (before, after) = (filter(&["a", "b"], &[]), filter(&["b", "c"], &[]));
        assert_eq!(changes.on_main(before, Arc::clone(&after), TimeUs(1_000)), None);
        let compared = |changes: &FilterChanges, clock| {
            ["a", "b", "c"].map(|did| compares(changes, did, clock))
        };
        // The witness has not changed.
        assert_eq!(compared(&changes, 5_000), [false, true, false]);
        changes.on_witness(&filter(&["x"], &[]), TimeUs(1_100));
        assert_eq!(compared(&changes, 5_000), [false, true, false]);
        changes.on_witness(&after, TimeUs(1_200));
        assert_eq!(compared(&changes, 1_300), [false, true, false]);
        assert_eq!(compared(&changes, 1_301), [true, true, true]);
        changes.settle(TimeUs(5_000), TimeUs(1_300));
        assert_eq!(compared(&changes, 1_300), [false, true, false]);
        changes.settle(TimeUs(5_000), TimeUs(1_301));
        assert_eq!(compared(&changes, 1_300), [true, true, true]);
    }

    #[test]
    fn a_witness_that_leaves_filters_out_has_made_all_changes_up_to_its_own() {
        let mut changes = FilterChanges::new(100);
        let [a, b, c] = ["a", "b", "c"].map(|did| filter(&[did, "z"], &[]));
        changes.on_main(a, Arc::clone(&b), TimeUs(1_000));
        changes.on_main(b, Arc::clone(&c), TimeUs(1_010));
        changes.on_witness(&c, TimeUs(900));
        assert!(!compares(&changes, "b", 1_110) && compares(&changes, "z", 1_110));
        assert!(compares(&changes, "b", 1_111));
    }

    #[test]
    fn the_changes_are_bounded_and_the_comparison_pauses_for_what_is_forgotten() {
        let mut changes = FilterChanges::new(100);
        let same = filter(&["a"], &[]);
        for i in 0..MAX_CHANGES as u64 {
            assert_eq!(changes.on_main(same.clone(), same.clone(), TimeUs(i)), None);
        }
        assert_eq!(changes.on_main(same.clone(), same, TimeUs(70)), Some(TimeUs(70)));
        assert_eq!(changes.changes.len(), MAX_CHANGES);
    }

    #[test]
    fn filters_disagree_about_what_one_list_has() {
        let (before, after) = (filter(&["a", "b"], &["x.y.*"]), filter(&["b", "c"], &["x.y.z"]));
        let between = Disagreement::between(&before, &after);
        let concerns = |did: &str, name| between.concerns(account_number(did), name);
        assert!(concerns("did:plc:a", "x.y.z") && concerns("did:plc:c", "x.y.z"));
        assert!(!concerns("did:plc:b", "x.y.z") && concerns("did:plc:b", "x.y.w"));
        assert!(concerns("did:plc:b", OTHER) && !concerns("did:plc:b", "identity"));
    }
}
