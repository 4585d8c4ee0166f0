//! A size histogram with exact sums, and quantiles within a sixteenth.

/// Histogram steps per power of two.
const STEPS: u32 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// A histogram of sizes in bytes.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Number of sizes.
    pub count: u64,
    /// Sum of all sizes.
    pub sum_bytes: u64,
    /// Largest size.
    pub max_bytes: u64,
    steps: Vec<u64>,
}

impl Sizes {
    /// Adds a size.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.sum_bytes = self.sum_bytes.saturating_add(bytes);
        self.max_bytes = self.max_bytes.max(bytes);
        let step = step(bytes);
        if self.steps.len() <= step {
            self.steps.resize(step + 1, 0);
        }
        if let Some(count) = self.steps.get_mut(step) {
            *count += 1;
        }
    }

    /// Returns the mean; 0 if the histogram is empty.
    #[must_use]
    pub fn mean_bytes(&self) -> u64 {
        self.sum_bytes.checked_div(self.count).unwrap_or(0)
    }

    /// Returns a size that `per_cent` percent of the sizes do not exceed, at most a sixteenth too
    /// high.
    #[must_use]
    pub fn quantile_bytes(&self, per_cent: u64) -> u64 {
        let wanted = (u128::from(self.count) * u128::from(per_cent)).div_ceil(100);
        let mut below = 0;
        for (step, count) in self.steps.iter().enumerate() {
            below += u128::from(*count);
            if below >= wanted {
                return end_of(step).min(self.max_bytes);
            }
        }
        self.max_bytes
    }
}

/// Returns the step of a size. Sizes below 32 have their own steps; larger ones share 16 steps per
/// power of two.
fn step(bytes: u64) -> usize {
    let power = bytes.max(1).ilog2();
    if power <= STEP_BITS {
        return bytes as usize;
    }
    let shift = power - STEP_BITS;
    (u64::from(shift * STEPS) + (bytes >> shift)) as usize
}

/// Returns the largest size in a step.
fn end_of(step: usize) -> u64 {
    let step = step as u64;
    let steps = u64::from(STEPS);
    if step < 2 * steps {
        return step;
    }
    let shift = step / steps - 1;
    ((step - shift * steps + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_quantiles_of_a_hundred_sizes() {
        let mut sizes = Sizes::default();
        (1..=100).for_each(|n| sizes.add(n * 10));
        assert_eq!((sizes.count, sizes.sum_bytes, sizes.max_bytes), (100, 50_500, 1000));
        assert_eq!(sizes.mean_bytes(), 505);
        assert_eq!(sizes.quantile_bytes(50), 511);
        assert_eq!(sizes.quantile_bytes(100), 1000);
        assert_eq!(Sizes::default().quantile_bytes(50), 0);
    }

    proptest! {
        #[test]
        fn a_step_ends_at_most_a_sixteenth_above_its_sizes(bytes in 0u64..1 << 40) {
            let end = end_of(step(bytes));
            prop_assert!(end >= bytes && end - bytes <= bytes / 16, "{}", end);
            prop_assert!(step(end) == step(bytes) && step(end + 1) == step(bytes) + 1);
        }
    }
}
