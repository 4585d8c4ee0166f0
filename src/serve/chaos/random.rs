//! Reproducible randomness: a pure function of seed, fault, connection and event. Because there is
//! no state, adding a fault to a specification does not move the others.

use super::fault::Fault;
use super::spec::ChaosSpec;

/// Replaces the connection's number for faults that all connections share.
const EVERY_CONNECTION: u64 = u64::MAX;

/// A random draw, from which the details of a fault are derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Draw(u64);

impl Draw {
    /// Returns the draw that belongs to a number.
    pub(super) fn of(number: u64) -> Self {
        Self(mix(number ^ 0x5eed_5eed_5eed_5eed))
    }

    /// Returns a number below `limit`; 0 if `limit` is 0. Each `which` gives an independent number.
    pub(in crate::serve) fn below(self, which: u64, limit: u64) -> u64 {
        mix(self.0 ^ mix(which)).checked_rem(limit).unwrap_or(0)
    }
}

/// Returns a draw if this fault happens at this event of this connection.
pub(super) fn injects(spec: &ChaosSpec, fault: Fault, connection: u64, event: u64) -> Option<Draw> {
    let odds = spec.odds(fault)?;
    let roll = mix(mix(mix(mix(spec.seed) ^ (fault as u64)) ^ connection) ^ event);
    roll.is_multiple_of(odds.one_in).then(|| Draw(mix(roll)))
}

/// As [`injects`], but the same on every connection.
pub(super) fn injects_everywhere(spec: &ChaosSpec, fault: Fault, event: u64) -> Option<Draw> {
    injects(spec, fault, EVERY_CONNECTION, event)
}

/// Mixes all bits of a number (the finaliser of splitmix64).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(spec: &str, connection: u64) -> usize {
        let spec: ChaosSpec = spec.parse().unwrap();
        (0..10_000).filter(|&e| injects(&spec, Fault::Close, connection, e).is_some()).count()
    }

    #[test]
    fn a_fault_happens_about_once_in_n() {
        assert_eq!(count("close=1", 0), 10_000);
        assert_eq!(count("drop=1", 0), 0);
        for connection in 0..10 {
            let times = count("close=100", connection);
            assert!((60..150).contains(&times), "{times}");
        }
    }

    #[test]
    fn seed_fault_connection_and_event_all_matter() {
        let at = |spec: &str, fault, connection| -> Vec<u64> {
            let spec: ChaosSpec = spec.parse().unwrap();
            (0..2_000).filter(|&e| injects(&spec, fault, connection, e).is_some()).collect()
        };
        let all = [
            at("seed=1,close=50", Fault::Close, 0),
            at("seed=2,close=50", Fault::Close, 0),
            at("seed=1,close=50", Fault::Close, 1),
            at("seed=1,drop=50", Fault::Drop, 0),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one));
        }
        assert_eq!(at("seed=1,close=50", Fault::Close, 0), all[0]);
    }
}
