//! Detects repeated event ids within a window of some million events.

use std::collections::HashSet;

use crate::event::event_id::PassThroughBuildHasher;

/// Event ids per generation: as many as a table with 2^22 slots holds without growing (38 MB).
const GENERATION: usize = (1 << 22) / 8 * 7;

/// Minimum number of preceding events that each event is compared with.
pub const WINDOW_EVENTS: usize = GENERATION;

/// Two generations of event ids. When the current one is full, it replaces the previous one, so
/// that memory stays at two tables (76 MB) and each event is compared with at least
/// [`WINDOW_EVENTS`] others.
#[derive(Debug)]
pub struct DuplicateDetector {
    current: EventIds,
    previous: EventIds,
    generation: usize,
    has_forgotten: bool,
}

type EventIds = HashSet<u64, PassThroughBuildHasher>;

impl Default for DuplicateDetector {
    /// Creates an empty detector.
    fn default() -> Self {
        Self::with_generation(GENERATION)
    }
}

impl DuplicateDetector {
    fn with_generation(generation: usize) -> Self {
        let (current, previous) = Default::default();
        Self { current, previous, generation, has_forgotten: false }
    }

    /// Records an event id; returns whether it is a duplicate.
    pub fn check_and_insert(&mut self, event_id: u64) -> bool {
        if self.previous.contains(&event_id) || !self.current.insert(event_id) {
            return true;
        }
        if self.current.len() >= self.generation {
            self.has_forgotten |= !self.previous.is_empty();
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
        }
        false
    }

    /// Returns whether every event was compared with all events before it.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.has_forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_within_the_window_are_found_and_memory_is_bounded() {
        let mut detector = DuplicateDetector::with_generation(100);
        assert!(
            !detector.check_and_insert(0) && detector.check_and_insert(0) && detector.is_exact()
        );
        for n in 1..1000 {
            assert!(!detector.check_and_insert(n), "{n}");
            let back = n.min(99);
            assert!(detector.check_and_insert(n - back), "{n} less {back}");
        }
        assert!(!detector.is_exact());
        assert!(!detector.check_and_insert(0));
        assert!(detector.current.len() + detector.previous.len() <= 200);
    }
}
