//! Which of many like messages are logged: often at first and ever more seldom, since a server
//! gone mad must not flood the log.

/// Remembers when the next one is due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seldom {
    /// The count at which the next one is told of, even where it is no power of two.
    next: u64,
}

impl Seldom {
    /// Whether to tell of the latest one, which makes `total` of them. Counts may be passed over.
    pub fn is_due(&mut self, total: u64) -> bool {
        let is_due = total.is_power_of_two() || total >= self.next;
        if is_due {
            self.next = total.saturating_mul(2);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ever_fewer_are_told() {
        let mut seldom = Seldom::default();
        let told: Vec<u64> = (1..40).filter(|total| seldom.is_due(*total)).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32]);
        let mut seldom = Seldom::default();
        let told: Vec<u64> = (1..40).map(|n| n * 3).filter(|n| seldom.is_due(*n)).collect();
        assert_eq!(told, [3, 6, 12, 24, 48, 96]);
    }
}
