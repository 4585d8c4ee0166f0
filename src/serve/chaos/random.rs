//! Chance that can be played again: a pure function of the seed, the fault, the connection
//! and the event. There is no state, so that one fault more does not move the others.

use super::fault::Fault;
use super::spec::ChaosSpec;

/// In place of a connection's number, for what is the same on every connection.
const EVERY_CONNECTION: u64 = u64::MAX;

/// A draw: numbers to decide the details of a fault with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Draw(u64);

impl Draw {
    /// The luck of a number alone.
    pub(super) fn of(number: u64) -> Self {
        Self(mix(number ^ 0x5eed_5eed_5eed_5eed))
    }

    /// A number below `limit`; 0 where `limit` is 0. Another `which` is another draw.
    pub(in crate::serve) fn below(self, which: u64, limit: u64) -> u64 {
        mix(self.0 ^ mix(which)).checked_rem(limit).unwrap_or(0)
    }
}

/// Whether a fault happens at an event of a connection, and with which luck.
pub(super) fn injects(spec: &ChaosSpec, fault: Fault, connection: u64, event: u64) -> Option<Draw> {
    let odds = spec.odds(fault)?;
    let roll = mix(mix(mix(mix(spec.seed) ^ (fault as u64)) ^ connection) ^ event);
    roll.is_multiple_of(odds.one_in).then(|| Draw(mix(roll)))
}

/// As [`strikes`], the same on every connection.
pub(super) fn injects_everywhere(spec: &ChaosSpec, fault: Fault, event: u64) -> Option<Draw> {
    injects(spec, fault, EVERY_CONNECTION, event)
}

/// Spreads every bit over all bits (the finaliser of the generator known as splitmix64).
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
