//! Which identities came before, among the last few million.

use std::collections::HashSet;

use crate::event::identity::AsItIs;

/// Identities of one generation. As many as a table of 2^22 places takes without growing, which
/// is 38 MB.
const GENERATION: usize = (1 << 22) / 8 * 7;

/// The events before each one that it is compared with, at least.
pub const WINDOW_EVENTS: usize = GENERATION;

/// Two generations of identities: the present one and the one before. When the present one is
/// full it becomes the one before, so that memory stays at two tables (76 MB), and each event
/// is compared with [`WINDOW_EVENTS`] others at least.
#[derive(Debug)]
pub struct DuplicateDetector {
    current: Identities,
    previous: Identities,
    generation: usize,
    has_forgotten: bool,
}

type Identities = HashSet<u64, AsItIs>;

impl Default for DuplicateDetector {
    /// Nothing was seen.
    fn default() -> Self {
        Self::with_generation(GENERATION)
    }
}

impl DuplicateDetector {
    fn with_generation(generation: usize) -> Self {
        let (current, previous) = Default::default();
        Self { current, previous, generation, has_forgotten: false }
    }

    /// Whether this identity came before; from now on it has.
    pub fn check_and_insert(&mut self, identity: u64) -> bool {
        if self.previous.contains(&identity) || !self.current.insert(identity) {
            return true;
        }
        if self.current.len() >= self.generation {
            self.has_forgotten |= !self.previous.is_empty();
            std::mem::swap(&mut self.current, &mut self.previous);
            self.current.clear();
        }
        false
    }

    /// Whether every event was compared with all before it.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.has_forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_within_the_window_are_found_and_memory_is_bounded() {
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
