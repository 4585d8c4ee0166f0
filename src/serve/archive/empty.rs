//! `--chaos empty=N`: empty segments between those that hold the log. Real servers seal one when a
//! rotation falls at the end of their bootstrap (protocol/jetstream-v2-archive.md §8).
//!
//! An empty segment comes before the first segment with events and after every N of them, so that
//! clients meet them at the beginning, in the middle and at the end of a list.
//!
//! A *log segment* is a segment's worth of events; its number counts segments with events only.

use crate::serve::ServerState;
use crate::serve::chaos::Chaos;

fn after(shared: &ServerState) -> Option<u64> {
    shared.chaos.as_ref().and_then(Chaos::empty_after)
}

/// Returns the total number of segments if this many log segments are sealed.
pub(super) fn with_empty(log_segments: u64, shared: &ServerState) -> u64 {
    after(shared).map_or(log_segments, |after| index_of(log_segments, after))
}

/// Returns the log segment that the segment `index` holds; `None` for an empty segment.
pub(super) fn log_segment(index: u64, shared: &ServerState) -> Option<u64> {
    match after(shared) {
        Some(after) => log_segment_of(index, after),
        None => Some(index),
    }
}

/// Returns the index of the segment that holds a log segment.
pub(super) fn index(log_segment: u64, shared: &ServerState) -> u64 {
    after(shared).map_or(log_segment, |after| index_of(log_segment, after))
}

fn log_segment_of(index: u64, after: u64) -> Option<u64> {
    let period = after.saturating_add(1);
    (!index.is_multiple_of(period)).then(|| index - index / period - 1)
}

fn index_of(log_segment: u64, after: u64) -> u64 {
    log_segment.saturating_add(log_segment / after.max(1)).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_segments_come_before_between_and_after_the_others() {
        let all = |after| (0..6).map(|i| log_segment_of(i, after)).collect::<Vec<_>>();
        assert_eq!(all(1), [None, Some(0), None, Some(1), None, Some(2)]);
        assert_eq!(all(2), [None, Some(0), Some(1), None, Some(2), Some(3)]);
    }

    proptest! {
        #[test]
        fn each_stretch_has_a_segment(log_segment in 0..1_000_000_u64, after in 1..100_u64) {
            prop_assert_eq!(log_segment_of(index_of(log_segment, after), after), Some(log_segment));
        }
    }
}
