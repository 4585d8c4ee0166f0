//! Which entries of the lists of a filter are live, and which wait for their history
//! (`--backfill-new`). Pure.
//!
//! A list file that gains accounts or collections does not change the filter of the live stream at
//! once. The new entries are an [`Addition`]: their history is read beside the live stream, and
//! when it is complete, the filter changes. Removals and all other rules apply at once.

mod side_filter;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use super::{Collections, Filter};
pub use side_filter::SideFilter;

/// One of the lists that can grow while a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// `--collection`.
    Collections,
    /// `--did`.
    Dids,
}

impl List {
    /// Returns the word in the state file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collections => "collection",
            Self::Dids => "did",
        }
    }

    /// Returns the list with this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Collections, Self::Dids].into_iter().find(|list| list.as_str() == word)
    }

    /// Checks an entry that was saved.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(self, value: &str) -> Result<(), String> {
        let checked = match self {
            Self::Collections => Collections::default().add(value),
            Self::Dids => super::check_did(value),
        };
        checked.map_err(|error| error.to_string())
    }
}

/// The entries of both lists. An empty list does not restrict anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// NSIDs and patterns.
    pub collections: BTreeSet<String>,
    /// DIDs.
    pub dids: BTreeSet<String>,
}

impl Lists {
    /// Returns the lists of a filter.
    #[must_use]
    pub fn of(filter: &Filter) -> Self {
        Self {
            collections: filter.collections.patterns().into_iter().collect(),
            dids: filter.dids.iter().cloned().collect(),
        }
    }

    /// Returns one of the lists.
    #[must_use]
    pub fn get(&self, list: List) -> &BTreeSet<String> {
        match list {
            List::Collections => &self.collections,
            List::Dids => &self.dids,
        }
    }

    /// Returns one of the lists, to change it.
    pub fn get_mut(&mut self, list: List) -> &mut BTreeSet<String> {
        match list {
            List::Collections => &mut self.collections,
            List::Dids => &mut self.dids,
        }
    }

    /// Returns `filter` with these lists.
    fn apply_to(&self, filter: &Filter) -> Filter {
        let dids: HashSet<String> = self.dids.iter().cloned().collect();
        Filter { collections: collections(&self.collections), dids, ..filter.clone() }
    }
}

fn collections(patterns: &BTreeSet<String>) -> Collections {
    let mut collections = Collections::default();
    for pattern in patterns {
        // They were valid when they were read.
        let _ = collections.add(pattern);
    }
    collections
}

/// How far the history of an addition was read: everything up to a sequence number of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The label of the server.
    pub server: String,
    /// The sequence number.
    pub seq: u64,
}

/// Entries of one list that wait for their history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    /// Identifies it among those of its consumer.
    pub number: u32,
    /// The list that it extends.
    pub list: List,
    /// The entries; never empty.
    pub values: BTreeSet<String>,
    /// How far their history was read; `None` before the first checkpoint with a part of it.
    pub reached: Option<Reached>,
}

/// The state of the lists at a checkpoint.
#[derive(Clone, Debug)]
pub struct AdditionsCheckpoint {
    /// The lists.
    pub state: Arc<Additions>,
    /// How far the history of the addition with this number is delivered.
    pub reached: Option<(u32, Reached)>,
}

/// The state of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// The entries of the live filter.
    pub live: Lists,
    /// The entries that wait, in the order in which their history is read. At most three: the one
    /// that is being read, and one of each list.
    pub pending: VecDeque<Addition>,
    /// The lists that the user wants, as of the last [`Additions::update`].
    wanted: Lists,
    /// The number of the next addition. A number is not used twice in a run.
    next_number: u32,
}

impl Additions {
    /// Returns the state in which everything is live.
    #[must_use]
    pub fn all_live(lists: Lists) -> Self {
        Self { wanted: lists.clone(), live: lists, pending: VecDeque::new(), next_number: 1 }
    }

    /// Returns a state that was saved.
    #[must_use]
    pub fn restored(live: Lists, pending: VecDeque<Addition>) -> Self {
        let mut wanted = live.clone();
        for addition in &pending {
            wanted.get_mut(addition.list).extend(addition.values.iter().cloned());
        }
        let last = pending.iter().map(|addition| addition.number).max().unwrap_or(0);
        Self { live, pending, wanted, next_number: last.saturating_add(1) }
    }

    /// Returns the state that these entries make: each with the number of the addition that it waits
    /// in, if it does.
    ///
    /// # Errors
    /// The number of an addition that has entries of both lists.
    pub fn from_entries(
        entries: impl IntoIterator<Item = (List, String, Option<u32>)>,
        reached: impl IntoIterator<Item = (u32, Reached)>,
    ) -> Result<Self, u32> {
        let (mut live, mut pending) = (Lists::default(), VecDeque::<Addition>::new());
        for (list, value, number) in entries {
            let Some(number) = number else {
                live.get_mut(list).insert(value);
                continue;
            };
            match pending.iter_mut().find(|addition| addition.number == number) {
                Some(addition) if addition.list != list => return Err(number),
                Some(addition) => {
                    addition.values.insert(value);
                }
                None => {
                    let values = [value].into();
                    pending.push_back(Addition { number, list, values, reached: None });
                }
            }
        }
        for (number, reached) in reached {
            if let Some(addition) = pending.iter_mut().find(|addition| addition.number == number) {
                addition.reached = Some(reached);
            }
        }
        pending.make_contiguous().sort_by_key(|addition| addition.number);
        Ok(Self::restored(live, pending))
    }

    /// Returns all entries, in an order that depends on the state only.
    pub fn entries(&self) -> impl Iterator<Item = (List, &str, Option<u32>)> {
        let lists = [List::Collections, List::Dids].into_iter();
        let live =
            lists.flat_map(|list| self.live.get(list).iter().map(move |v| (list, &**v, None)));
        let waiting = self.pending.iter().flat_map(|Addition { number, list, values, .. }| {
            values.iter().map(|value| (*list, &**value, Some(*number)))
        });
        live.chain(waiting)
    }

    /// Follows a change of the lists. Removed entries leave the live lists and the additions; new
    /// entries become a part of the last addition that was not begun, or an addition of their own.
    /// `begun` is the number of the addition that is being read.
    pub fn update(&mut self, wanted: Lists, begun: Option<u32>) {
        self.wanted = wanted;
        for list in [List::Collections, List::Dids] {
            self.remove_unwanted(list);
            self.add_new(list, begun);
        }
    }

    fn remove_unwanted(&mut self, list: List) {
        let wanted = self.wanted.get(list);
        let live = self.live.get_mut(list);
        // To or from no restriction: there is no list that could be extended.
        if wanted.is_empty() || live.is_empty() {
            live.clone_from(wanted);
            self.pending.retain(|addition| addition.list != list);
            return;
        }
        for addition in self.pending.iter_mut().filter(|addition| addition.list == list) {
            addition.values.retain(|value| wanted.contains(value));
        }
        self.pending.retain(|addition| !addition.values.is_empty());
        let kept: BTreeSet<String> = live.intersection(wanted).cloned().collect();
        // Without an entry the list would restrict nothing. So the last entries stay until an
        // addition takes their place.
        if !kept.is_empty() {
            *live = kept;
        }
    }

    fn add_new(&mut self, list: List, begun: Option<u32>) {
        let known = |value: &&String| {
            self.live.get(list).contains(*value)
                || self
                    .pending
                    .iter()
                    .any(|addition| addition.list == list && addition.values.contains(*value))
        };
        let mut new: BTreeSet<String> =
            self.wanted.get(list).iter().filter(|value| !known(value)).cloned().collect();
        if list == List::Collections {
            let live = collections(&self.live.collections);
            let (covered, rest) = new.into_iter().partition(|pattern| live.covers(&one(pattern)));
            self.live.collections.extend::<BTreeSet<String>>(covered);
            new = rest;
        }
        if new.is_empty() {
            return;
        }
        let is_open = |addition: &&mut Addition| {
            addition.list == list && Some(addition.number) != begun && addition.reached.is_none()
        };
        match self.pending.iter_mut().find(is_open) {
            Some(addition) => addition.values.extend(new),
            None => {
                let number = self.next_number;
                self.next_number = number.saturating_add(1);
                self.pending.push_back(Addition { number, list, values: new, reached: None });
            }
        }
    }

    /// Makes the entries of an addition live.
    pub fn finish(&mut self, number: u32) {
        let Some(index) = self.pending.iter().position(|addition| addition.number == number) else {
            return;
        };
        if let Some(Addition { list, values, .. }) = self.pending.remove(index) {
            self.live.get_mut(list).extend(values);
            self.remove_unwanted(list);
        }
    }

    /// Returns the addition whose history is to be read next, or is being read.
    #[must_use]
    pub fn next(&self) -> Option<&Addition> {
        self.pending.front()
    }

    /// Returns the filter of the live stream: `wanted` with the live lists.
    #[must_use]
    pub fn live_filter(&self, wanted: &Filter) -> Filter {
        self.live.apply_to(wanted)
    }

    /// Returns the filter of the history of an addition: what the live filter takes with the
    /// addition, and does not take without it.
    #[must_use]
    pub fn side_filter(&self, wanted: &Filter, addition: &Addition) -> SideFilter {
        let mut lists = self.live.clone();
        lists.get_mut(addition.list).clone_from(&addition.values);
        SideFilter::new(lists.apply_to(wanted), self.live_filter(wanted), addition.list)
    }
}

fn one(pattern: &str) -> Collections {
    collections(&BTreeSet::from([pattern.to_owned()]))
}
