//! Notes the values of the members that the parsers look for, in whatever order they come.
//!
//! A perfect hash of its name gives a member its *slot*, in which its value is noted. A branch for
//! each name would cost more: if the order differs from line to line, the processor predicts it wrongly
//! for most members (docs/internals/performance.md).

use super::header_spans::FieldSpan;
use super::walk::{Key, Walk, key_word};

/// The number of slots.
pub(super) const SLOTS: usize = 16;

/// Gives each of [`WANTED`] a slot of its own. It was found by trial; [`heads`] checks it.
const MULTIPLIER: u64 = 0x59bf_ad20_6af2_5225;

/// All names that a parser looks for. The parsers share one table; each knows which slots are its own.
const WANTED: [&str; 14] = [
    "$type",
    "cid",
    "collection",
    "commit",
    "cursor",
    "did",
    "kind",
    "operation",
    "record",
    "rev",
    "rkey",
    "seq",
    "time",
    "time_us",
];

/// The first eight bytes of the name of each slot, as [`key_word`] returns them.
static HEADS: [u64; SLOTS] = heads();

const fn heads() -> [u64; SLOTS] {
    // No name begins with a zero.
    let mut heads = [0; SLOTS];
    let mut i = 0;
    while i < WANTED.len() {
        let at = slot(WANTED[i]);
        assert!(heads[at] == 0, "two names have one slot");
        heads[at] = key_word(WANTED[i]);
        i += 1;
    }
    heads
}

/// Returns the slot of one of [`WANTED`].
pub(super) const fn slot(name: &str) -> usize {
    slot_of(key_word(name))
}

#[inline(always)]
const fn slot_of(head: u64) -> usize {
    (head.wrapping_mul(MULTIPLIER) >> (u64::BITS - SLOTS.trailing_zeros())) as usize
}

/// A set of slots.
#[derive(Clone, Copy, Default)]
pub(super) struct SlotSet(u32);

impl SlotSet {
    /// Returns the set of the slots of these names.
    pub(super) const fn of(names: &[&str]) -> Self {
        let (mut set, mut i) = (0, 0);
        while i < names.len() {
            set |= 1 << slot(names[i]);
            i += 1;
        }
        Self(set)
    }

    /// Returns whether the set has this slot.
    #[inline(always)]
    pub(super) fn has(self, slot: usize) -> bool {
        self.0 >> slot & 1 != 0
    }
}

/// Returns the slot of a member whose name begins like one of [`WANTED`]. Only names of less than
/// eight bytes are compared whole: see [`Found::check_name`].
#[inline(always)]
pub(super) fn find(key: Key) -> Option<usize> {
    let at = slot_of(key.word);
    (HEADS.get(at) == Some(&key.word)).then_some(at)
}

/// The type of a value, as far as it was noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ValueType {
    /// A string.
    #[default]
    String,
    /// An object or an array.
    Nested,
    /// An unsigned integer.
    Integer,
}

/// The values of the members of one object.
#[derive(Default)]
pub(super) struct Found {
    /// The place of each value, without the quotes of a string.
    places: [FieldSpan; SLOTS],
    seen: SlotSet,
    strings: SlotSet,
    integers: SlotSet,
    /// The number of members in slots, with those that came again.
    count: u32,
}

impl Found {
    /// Passes and notes the value of a member.
    #[inline(always)]
    pub(super) fn take(&mut self, walk: &mut Walk<'_, '_>, key: Key, slot: usize) -> Option<()> {
        let place = match walk.peek()? {
            b'"' => {
                self.strings.0 |= 1 << slot;
                walk.string_of(key)?
            }
            b'{' | b'[' => walk.raw()?,
            _ => {
                self.integers.0 |= 1 << slot;
                let start = walk.pos();
                walk.integer()?;
                FieldSpan::plain(start, walk.pos())
            }
        };
        self.see(slot);
        if let Some(to) = self.places.get_mut(slot) {
            *to = place;
        }
        Some(())
    }

    /// Passes and notes a value of a known type. What precedes the value was passed, with the quote of a
    /// string and the bracket of an object.
    #[inline(always)]
    pub(super) fn take_typed(
        &mut self,
        walk: &mut Walk<'_, '_>,
        slot: usize,
        value: ValueType,
    ) -> Option<()> {
        let place = match value {
            ValueType::String => {
                self.strings.0 |= 1 << slot;
                walk.string_body()?
            }
            ValueType::Nested => walk.nested_body()?,
            ValueType::Integer => {
                self.integers.0 |= 1 << slot;
                let start = walk.pos();
                walk.integer()?;
                FieldSpan::plain(start, walk.pos())
            }
        };
        self.see(slot);
        if let Some(to) = self.places.get_mut(slot) {
            *to = place;
        }
        Some(())
    }

    /// Returns whether all members are in slots of this set.
    #[inline(always)]
    pub(super) fn is_within(&self, slots: SlotSet) -> bool {
        self.seen.0 & !slots.0 == 0
    }

    /// Returns the values of this object, and those of an object in `slot` in place of that one. Both
    /// have no slot in common.
    pub(super) fn with(&self, inner: &Self, slot: usize) -> Self {
        let mut places = self.places;
        for (slot, to) in places.iter_mut().enumerate().filter(|(slot, _)| inner.has(*slot)) {
            *to = inner.place(slot);
        }
        Self {
            places,
            seen: SlotSet((self.seen.0 & !(1 << slot)) | inner.seen.0),
            strings: SlotSet(self.strings.0 | inner.strings.0),
            integers: SlotSet(self.integers.0 | inner.integers.0),
            count: self.count - 1 + inner.count,
        }
    }

    /// Returns the slot, the place and the type of each value.
    pub(super) fn values(&self) -> impl Iterator<Item = (usize, FieldSpan, ValueType)> {
        let seen = (0..SLOTS).filter(|slot| self.seen.has(*slot));
        seen.map(|slot| {
            let value = match (self.strings.has(slot), self.integers.has(slot)) {
                (true, _) => ValueType::String,
                (_, true) => ValueType::Integer,
                _ => ValueType::Nested,
            };
            (slot, self.place(slot), value)
        })
    }

    /// Notes that a value was seen that the parser keeps elsewhere.
    #[inline(always)]
    pub(super) fn see(&mut self, slot: usize) {
        self.seen.0 |= 1 << slot;
        self.count += 1;
    }

    /// Returns `None` if a member came twice, or if one of `strings` or of `integers` is a value of
    /// another type. The general parser knows what counts then.
    #[inline(always)]
    pub(super) fn check(&self, strings: SlotSet, integers: SlotSet) -> Option<()> {
        let others = (strings.0 & !self.strings.0) | (integers.0 & !self.integers.0);
        (self.seen.0 & others == 0 && self.seen.0.count_ones() == self.count).then_some(())
    }

    /// Returns `None` if the string in this slot has another name than `name`, which has eight bytes
    /// or more.
    #[inline(always)]
    pub(super) fn check_name<const N: usize>(
        &self,
        walk: &Walk<'_, '_>,
        slot: usize,
        name: &[u8; N],
    ) -> Option<()> {
        // Between the name and the value are a quote, a colon, and another quote.
        let end = self.place(slot).start().wrapping_sub(3);
        (!self.has(slot) || walk.ends_with(end, name)).then_some(())
    }

    /// Returns the place of a string without its quotes; an empty one if it did not come.
    #[inline(always)]
    pub(super) fn place(&self, slot: usize) -> FieldSpan {
        self.places.get(slot).copied().unwrap_or_default()
    }

    /// As [`Found::place`]; `None` if the member did not come.
    #[inline(always)]
    pub(super) fn place_if_seen(&self, slot: usize) -> Option<FieldSpan> {
        self.seen.has(slot).then(|| self.place(slot))
    }

    /// Returns the place of a value of any type, with the quotes of a string.
    #[inline(always)]
    pub(super) fn raw(&self, slot: usize) -> Option<FieldSpan> {
        let quotes = usize::from(self.strings.has(slot));
        self.place_if_seen(slot).map(|place| {
            let (start, end) = (place.start(), place.start() + place.plain_length());
            FieldSpan::plain(start - quotes, end + quotes)
        })
    }

    /// Returns the value of an integer; 0 if it did not come.
    #[inline(always)]
    pub(super) fn number(&self, walk: &Walk<'_, '_>, slot: usize) -> u64 {
        walk.number_at(self.place(slot))
    }

    /// Returns whether the member came.
    #[inline(always)]
    pub(super) fn has(&self, slot: usize) -> bool {
        self.seen.has(slot)
    }
}
