//! The keys of the window in the order in which they were inserted, and a table that finds the place
//! of a key.
//!
//! A key costs 8 bytes in the ring and about as many in the table, which holds no keys: an entry has
//! some bits of its key and the place in the ring, where the key is compared. A *bucket* is one line
//! of the cache, and all of it is searched at once. So a look-up, the insertion after it and a removal
//! touch one line each. A hash map of the standard library took 4.5 MiB in place of 1 MiB, and two lines
//! for each of them (docs/internals/performance.md).
//!
//! The first bits of a key choose its bucket. An attacker can't fill one: keys depend on a secret.
//! What does not fit into its bucket goes to a map.

use std::collections::{HashMap, VecDeque};

use wide::u32x8;

use super::MAX_EVENTS;
use crate::event::event_id::PassThroughBuildHasher;

/// Entries of a bucket.
const ENTRIES: usize = 16;

/// Most keys per bucket, on average, before the table grows.
const KEYS_PER_BUCKET: usize = ENTRIES / 2;

/// Buckets of the largest table: with twice [`MAX_EVENTS`] keys, one bucket of 250 is full.
const MAX_BUCKETS: usize = 2 * MAX_EVENTS as usize / KEYS_PER_BUCKET;

/// The number of low bits of an entry that hold those of its key's number.
const PLACE_BITS: u32 = 20;
/// Most keys in the table. Others are in the map.
const MAX_PLACES: usize = 1 << PLACE_BITS;
/// The bits of an entry that hold the number.
const PLACE: u32 = (1 << PLACE_BITS) - 1;
/// The bit of an entry that is in use.
const USED: u32 = 1 << 31;
/// The bits between those: the last ones of the key.
const TAG: u32 = !(USED | PLACE);

/// The keys, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    ring: VecDeque<u64>,
    /// The number of keys that were removed at the front. Each key has a number: that of the keys
    /// which were ever inserted before it.
    evicted: u64,
    /// The table; its length is 0 or a power of two.
    buckets: Vec<Bucket>,
    /// The numbers of the keys for which the table had no room.
    overflow: HashMap<u64, u64, PassThroughBuildHasher>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
struct Bucket([u32; ENTRIES]);

impl Bucket {
    /// Returns a bit for each entry that equals `wanted` in the bits of `mask`.
    #[inline(always)]
    fn matches(&self, wanted: u32, mask: u32) -> u32 {
        let (wanted, mask) = (u32x8::splat(wanted), u32x8::splat(mask));
        let mut found = 0;
        for (half, entries) in self.0.as_chunks::<8>().0.iter().enumerate() {
            let equal = (u32x8::new(*entries) & mask).simd_eq(wanted);
            found |= equal.to_bitmask() << (8 * half);
        }
        found
    }

    /// Replaces the first entry `from`; returns whether there is one.
    #[inline(always)]
    fn replace(&mut self, from: u32, to: u32) -> bool {
        let place = self.matches(from, u32::MAX).trailing_zeros() as usize;
        let entry = self.0.get_mut(place);
        let is_found = entry.is_some();
        entry.into_iter().for_each(|entry| *entry = to);
        is_found
    }
}

/// Returns the entry of a key with this number.
#[inline(always)]
fn entry(key: u64, number: u64) -> u32 {
    USED | (key >> 33) as u32 & TAG | number as u32 & PLACE
}

/// Makes room for one more number in a ring. A large one grows by an eighth of the window and is not
/// doubled.
#[inline(always)]
pub(super) fn make_room(ring: &mut VecDeque<u64>) {
    if ring.len() == ring.capacity() && ring.len() as u64 >= MAX_EVENTS / 2 {
        ring.reserve_exact(MAX_EVENTS as usize / 8);
    }
}

impl Keys {
    /// Returns the number of keys.
    pub(super) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Returns the number of keys that were removed at the front.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Returns the number of keys that were ever inserted and not removed at the back.
    pub(super) fn inserted(&self) -> u64 {
        self.evicted + self.ring.len() as u64
    }

    /// Returns the key at this place, counted from the oldest one.
    pub(super) fn get(&self, place: usize) -> Option<u64> {
        self.ring.get(place).copied()
    }

    /// Returns the keys from this place on.
    pub(super) fn from(&self, place: usize) -> impl Iterator<Item = u64> {
        self.ring.iter().skip(place).copied()
    }

    /// Returns the number of a key: that of the keys inserted before it.
    #[inline(always)]
    pub(super) fn number(&self, key: u64) -> Option<u64> {
        if let Some(bucket) = self.bucket(key).and_then(|at| self.buckets.get(at)) {
            let mut found = bucket.matches(entry(key, 0), !PLACE);
            while let Some(entry) = bucket.0.get(found.trailing_zeros() as usize) {
                let place = entry.wrapping_sub(self.evicted as u32) & PLACE;
                if self.ring.get(place as usize) == Some(&key) {
                    return Some(self.evicted + u64::from(place));
                }
                found &= found - 1;
            }
        }
        if self.overflow.is_empty() { None } else { self.overflow.get(&key).copied() }
    }

    /// Appends a key that is not there.
    #[inline(always)]
    pub(super) fn push_back(&mut self, key: u64) {
        debug_assert!(self.number(key).is_none(), "each key has one number");
        let is_full = self.ring.len() >= self.buckets.len() * KEYS_PER_BUCKET;
        if is_full && self.buckets.len() < MAX_BUCKETS {
            self.grow();
        }
        make_room(&mut self.ring);
        let number = self.inserted();
        self.ring.push_back(key);
        self.add(key, number);
    }

    pub(super) fn pop_front(&mut self) {
        if let Some(key) = self.ring.pop_front() {
            self.forget(key, self.evicted);
            self.evicted += 1;
        }
    }

    pub(super) fn pop_back(&mut self) {
        if let Some(key) = self.ring.pop_back() {
            self.forget(key, self.inserted());
        }
    }

    /// Removes all keys. The next one gets the number that the oldest one had.
    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.buckets.clear();
        self.overflow.clear();
    }

    #[inline(always)]
    fn bucket(&self, key: u64) -> Option<usize> {
        Some(key as usize & self.buckets.len().checked_sub(1)?)
    }

    #[inline(always)]
    fn add(&mut self, key: u64, number: u64) {
        let at = self.bucket(key).filter(|_| number - self.evicted < MAX_PLACES as u64);
        let bucket = at.and_then(|at| self.buckets.get_mut(at));
        if !bucket.is_some_and(|bucket| bucket.replace(0, entry(key, number))) {
            self.overflow.insert(key, number);
        }
    }

    #[inline(always)]
    fn forget(&mut self, key: u64, number: u64) {
        // First, because the table may have a number that ends in the same bits.
        if !self.overflow.is_empty() && self.overflow.remove(&key).is_some() {
            return;
        }
        if let Some(bucket) = self.bucket(key).and_then(|at| self.buckets.get_mut(at)) {
            bucket.replace(entry(key, number), 0);
        }
    }

    /// Doubles the table, and adds all keys again.
    #[cold]
    fn grow(&mut self) {
        self.buckets = vec![Bucket::default(); (self.buckets.len() * 2).max(1)];
        self.overflow.clear();
        for place in 0..self.ring.len() {
            if let Some(&key) = self.ring.get(place) {
                self.add(key, self.evicted + place as u64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns whether the key is new.
    fn insert(keys: &mut Keys, key: u64) -> bool {
        let is_new = keys.number(key).is_none();
        if is_new {
            keys.push_back(key);
        }
        is_new
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        PopFront,
        PopBack,
        Clear,
    }

    /// Keys of few buckets and few tags, so that buckets overflow.
    fn all_keys() -> Vec<u64> {
        (0..90).map(|i| (i % 2) | (i / 2 % 3) << 62 | (i / 6) << 24).collect()
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = prop::sample::select(all_keys());
        let step = prop_oneof![
            8 => key.prop_map(Step::Insert),
            3 => Just(Step::PopFront),
            1 => Just(Step::PopBack),
        ];
        prop::collection::vec(prop_oneof![99 => step, 1 => Just(Step::Clear)], 0..400)
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_a_search_of_the_ring(steps in steps(), start in 0..3_u64) {
            // Numbers that the bits of an entry can't hold.
            let evicted = start * ((1 << 32) - 100);
            let mut keys = Keys { evicted, ..Keys::default() };
            let (mut model, mut evicted) = (VecDeque::new(), evicted);
            for step in steps {
                match step {
                    Step::Insert(key) => {
                        let is_new = !model.contains(&key);
                        prop_assert_eq!(insert(&mut keys, key), is_new);
                        is_new.then(|| model.push_back(key));
                    }
                    Step::PopFront => {
                        keys.pop_front();
                        evicted += u64::from(model.pop_front().is_some());
                    }
                    Step::PopBack => {
                        keys.pop_back();
                        model.pop_back();
                    }
                    Step::Clear => {
                        keys.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(keys.evicted(), evicted);
                prop_assert!(keys.from(0).eq(model.iter().copied()));
                for key in all_keys() {
                    let place = model.iter().position(|known| *known == key);
                    prop_assert_eq!(keys.number(key), place.map(|place| evicted + place as u64));
                }
            }
        }
    }

    #[test]
    fn memory_follows_the_number_of_keys_and_is_bounded() {
        let mut keys = Keys::default();
        let key = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for i in 0..2 * MAX_EVENTS {
            assert!(insert(&mut keys, key(i)));
            assert!(keys.buckets.len() * KEYS_PER_BUCKET <= 2 * keys.len().max(KEYS_PER_BUCKET));
        }
        assert_eq!(size_of_val(&*keys.buckets), 1 << 20);
        for i in 0..2 * MAX_EVENTS {
            assert_eq!(keys.number(key(i)), Some(i));
        }
        assert!(keys.overflow.len() < MAX_BUCKETS / 50);
        (0..2 * MAX_EVENTS).for_each(|_| keys.pop_front());
        assert!(keys.buckets.iter().all(|bucket| *bucket == Bucket::default()));
        assert!(keys.overflow.is_empty() && keys.len() == 0);
    }

    #[test]
    fn a_number_that_an_entry_cannot_hold_is_in_the_map() {
        let mut keys = Keys::default();
        insert(&mut keys, 7);
        keys.add(7, MAX_PLACES as u64);
        assert_eq!(keys.overflow.get(&7), Some(&(MAX_PLACES as u64)));
        keys.forget(7, MAX_PLACES as u64);
        assert_eq!((keys.number(7), keys.overflow.len()), (Some(0), 0));
    }
}
