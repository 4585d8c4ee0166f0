//! The events that only one of the two streams has so far, in the order in which they came.

use std::collections::{HashMap, VecDeque};

use crate::event::event_id::PassThroughBuildHasher;
use crate::position::TimeUs;

/// A queue of entries that is searched by dedup key. A matched entry leaves the map at once, and
/// the queue when it reaches the front.
#[derive(Debug)]
pub(super) struct Pending<T> {
    queue: VecDeque<Option<Entry<T>>>,
    /// The number of the entry with this key, counted from the first entry ever.
    known: HashMap<u64, u64, PassThroughBuildHasher>,
    /// The number of the entry at the front of the queue.
    first: u64,
}

/// An event that waits.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) identity: u64,
    /// The clock of its stream when it came.
    pub(super) clock: TimeUs,
    pub(super) value: T,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), known: HashMap::default(), first: 0 }
    }
}

impl<T> Pending<T> {
    /// Appends an entry, unless its key is there.
    pub(super) fn push(&mut self, identity: u64, clock: TimeUs, value: T) {
        let number = self.first + self.queue.len() as u64;
        if let std::collections::hash_map::Entry::Vacant(place) = self.known.entry(identity) {
            place.insert(number);
            self.queue.push_back(Some(Entry { identity, clock, value }));
        }
    }

    /// Removes the entry with this key, and returns its clock and value.
    pub(super) fn remove(&mut self, identity: u64) -> Option<(TimeUs, T)> {
        let number = self.known.remove(&identity)?;
        let place = usize::try_from(number - self.first).ok()?;
        let entry = self.queue.get_mut(place)?.take();
        self.drop_matched();
        entry.map(|entry| (entry.clock, entry.value))
    }

    /// Returns the value of the entry with this key.
    pub(super) fn get_mut(&mut self, identity: u64) -> Option<&mut T> {
        let number = *self.known.get(&identity)?;
        let place = usize::try_from(number - self.first).ok()?;
        self.queue.get_mut(place)?.as_mut().map(|entry| &mut entry.value)
    }

    /// Removes the oldest entry if its clock is at or before `until`.
    pub(super) fn pop_until(&mut self, until: TimeUs) -> Option<Entry<T>> {
        let front = self.queue.front()?.as_ref()?;
        if front.clock > until {
            return None;
        }
        self.pop()
    }

    /// Removes the oldest entry.
    pub(super) fn pop(&mut self) -> Option<Entry<T>> {
        let entry = self.queue.pop_front()??;
        self.first += 1;
        self.known.remove(&entry.identity);
        self.drop_matched();
        Some(entry)
    }

    /// Removes the entries that `keeps` refuses.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&Entry<T>) -> bool) {
        for place in &mut self.queue {
            if let Some(entry) = place.take_if(|entry| !keeps(entry)) {
                self.known.remove(&entry.identity);
            }
        }
        self.drop_matched();
    }

    /// Drops the matched entries at the front: the front entry always waits.
    fn drop_matched(&mut self) {
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.first += 1;
        }
        if self.queue.is_empty() && self.queue.capacity() > SPARE_ENTRIES {
            self.queue.shrink_to(SPARE_ENTRIES);
            self.known.shrink_to(SPARE_ENTRIES);
        }
    }

    pub(super) fn clear(&mut self) {
        self.first += self.queue.len() as u64;
        self.queue.clear();
        self.known.clear();
    }

    /// Returns the number of entries that wait.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the number of places in the queue, matched entries included.
    pub(super) fn places(&self) -> usize {
        self.queue.len()
    }
}

/// The number of entries whose memory is kept when none waits.
const SPARE_ENTRIES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_leave_in_order_and_matched_ones_at_once() {
        let mut pending = Pending::default();
        for i in 1..=5 {
            pending.push(i, TimeUs(i * 10), i);
        }
        pending.push(2, TimeUs(99), 99);
        assert_eq!(pending.get_mut(3), Some(&mut 3));
        assert_eq!(pending.remove(3), Some((TimeUs(30), 3)));
        assert_eq!(pending.remove(3), None);
        assert_eq!(pending.remove(1), Some((TimeUs(10), 1)));
        assert_eq!((pending.len(), pending.places()), (3, 4));
        assert_eq!(pending.pop_until(TimeUs(19)).map(|entry| entry.value), None);
        assert_eq!(pending.pop_until(TimeUs(20)).map(|entry| entry.value), Some(2));
        assert_eq!(pending.remove(5), Some((TimeUs(50), 5)));
        assert_eq!(pending.pop_until(TimeUs(99)).map(|entry| entry.value), Some(4));
        assert!(pending.pop().is_none());
        assert_eq!((pending.len(), pending.places()), (0, 0));
        pending.push(7, TimeUs(1), 7);
        assert_eq!(pending.remove(7), Some((TimeUs(1), 7)));
        for i in 1..=5 {
            pending.push(i, TimeUs(i), i);
        }
        pending.retain(|entry| entry.value.is_multiple_of(2));
        assert_eq!((pending.len(), pending.places()), (2, 4));
        assert_eq!(pending.remove(3), None);
        assert_eq!(pending.pop().map(|entry| entry.value), Some(2));
    }
}
