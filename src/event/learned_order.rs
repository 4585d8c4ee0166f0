//! Reads an event by the order of members of an earlier one.
//!
//! A server writes all its events in one order. After [`members`](super::members) has read an event
//! in an order that is not the usual one, this module notes the texts between the values, so that
//! names of later events are compared whole and in place, and no member is looked up. Measured
//! (docs/internals/performance.md): half of what another order costs beside the usual one.
//!
//! A match proves that the event has the same members in the same order: all bytes outside of the
//! noted values are equal, and each value has the type of the earlier one. For anything else the
//! reader returns `None`, and the event is read by the names of its members.

use super::header_spans::FieldSpan;
use super::members::{Found, SLOTS, SlotSet, ValueType, slot};
use super::walk::Walk;

/// The longest text between two values.
const TEXT_BYTES: usize = 32;

/// The longest text before the first value, and after the last one.
const END_BYTES: usize = 96;

/// Events in no known order until one is learned again. If no event came in the order since it was
/// learned, the number grows by this factor: learning takes as long as reading ten events.
const WAIT: u32 = 16;

/// The most events until an order is learned again.
const MAX_WAIT: u32 = 1 << 16;

/// Such events in a row that end the use of a learned order: the order may differ from event to event.
const TRUST: u32 = 4;

/// The order of the members of one event.
#[derive(Clone, Debug, Default)]
pub(super) struct LearnedOrder {
    /// The text before the first value.
    head: EndText,
    steps: [Step; SLOTS],
    count: usize,
    /// The text after the last value.
    tail: EndText,
    /// Events that were not read by the order since it was learned.
    misses: u32,
    /// The number of such events after which it is learned again.
    wait: u32,
    /// So many such events in a row, and the order is not tried any more.
    trust: u32,
}

/// One value, and the text before it. The text of the first value is the head.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    text: Text,
    slot: usize,
    value: ValueType,
    /// Whether other events may lack the member.
    is_optional: bool,
}

/// A text that is compared at once.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    bytes: [u8; TEXT_BYTES],
    /// All ones for each byte of the text.
    mask: [u8; TEXT_BYTES],
    length: usize,
}

/// A text of up to [`END_BYTES`] bytes.
#[derive(Clone, Copy, Debug)]
struct EndText {
    bytes: [u8; END_BYTES],
    length: usize,
}

impl Default for EndText {
    fn default() -> Self {
        Self { bytes: [0; END_BYTES], length: 0 }
    }
}

impl EndText {
    fn of(text: &[u8]) -> Option<Self> {
        let mut of = Self { length: text.len(), ..Self::default() };
        of.bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(of)
    }

    #[inline(always)]
    fn get(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Text {
    fn of(text: &[u8]) -> Option<Self> {
        let mut of = Self { length: text.len(), ..Self::default() };
        of.bytes.get_mut(..text.len())?.copy_from_slice(text);
        of.mask.get_mut(..text.len())?.fill(u8::MAX);
        Some(of)
    }

    #[inline(always)]
    fn begins(&self, text: &[u8]) -> bool {
        let Some(start) = text.first_chunk::<TEXT_BYTES>() else {
            return self.bytes.get(..self.length).is_some_and(|own| text.starts_with(own));
        };
        let (start, bytes, mask) =
            (start.as_chunks::<8>().0, self.bytes.as_chunks::<8>().0, self.mask.as_chunks::<8>().0);
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let differ = |((text, own), mask)| (word(text) ^ word(own)) & word(mask);
        start.iter().zip(bytes).zip(mask).map(differ).fold(0, |all, differ| all | differ) == 0
    }
}

impl LearnedOrder {
    /// Passes the whole line, and returns the values. The text of the line up to the first value,
    /// and the one after the last value, are those of the learned line.
    #[inline(always)]
    pub(super) fn read(&mut self, walk: &mut Walk<'_, '_>) -> Option<Found> {
        let (head, tail) = (self.head.get(), self.tail.get());
        if self.trust == 0 || !walk.line().starts_with(head) {
            return None;
        }
        walk.advance(head.len());
        let mut found = Found::default();
        let mut is_first = true;
        for step in self.steps.get(..self.count)? {
            if !std::mem::take(&mut is_first) {
                if !step.text.begins(walk.rest()) {
                    if step.is_optional {
                        continue;
                    }
                    return None;
                }
                walk.advance(step.text.length);
            }
            found.take_typed(walk, step.slot, step.value)?;
        }
        if walk.rest() != tail {
            return None;
        }
        (self.trust, self.wait) = (TRUST, WAIT);
        Some(found)
    }

    /// Notes an event that was read by the names of its members. Returns whether its order is to be
    /// learned: not that of each event, because the order may differ from event to event, and never
    /// that of a delete, which lacks members.
    #[inline(always)]
    pub(super) fn is_due(&mut self, found: &Found) -> bool {
        const RECORD: usize = slot("record");
        if !found.has(RECORD) {
            return false;
        }
        self.misses += 1;
        self.trust = self.trust.saturating_sub(1);
        self.misses > self.wait
    }

    /// Learns the order of an event whose values are all in `found`.
    #[cold]
    #[inline(never)]
    pub(super) fn learn(&mut self, line: &[u8], found: &Found) {
        let wait = (self.wait * WAIT).clamp(WAIT, MAX_WAIT);
        *self = Self { wait, ..Self::of(line, found).unwrap_or_default() };
    }

    fn of(line: &[u8], found: &Found) -> Option<Self> {
        // A delete has neither.
        const OPTIONAL: SlotSet = SlotSet::of(&["record", "cid"]);
        let mut order = Self::default();
        let mut values: Vec<(usize, FieldSpan, ValueType)> = found.values().collect();
        values.sort_unstable_by_key(|(_, place, _)| place.start());
        let mut end = 0;
        for (slot, place, value) in values {
            // The text before a string ends with its quote, and that before an object with the
            // bracket: the text then proves the type.
            let start = place.start() + usize::from(value == ValueType::Nested);
            let text = line.get(end..start)?;
            let text = match order.count {
                0 => {
                    order.head = EndText::of(text)?;
                    Text::default()
                }
                _ => Text::of(text)?,
            };
            let is_optional = OPTIONAL.has(slot);
            *order.steps.get_mut(order.count)? = Step { text, slot, value, is_optional };
            order.count += 1;
            let quote = usize::from(value == ValueType::String);
            end = place.start() + place.plain_length() + quote;
        }
        order.tail = EndText::of(line.get(end..)?)?;
        order.trust = TRUST;
        Some(order)
    }
}
