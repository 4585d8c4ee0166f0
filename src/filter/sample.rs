//! The sample of `--sample`: the same part of the network on every server and in every run.

use std::fmt;

use sha2::{Digest, Sha256};

/// What is in a sample, or not, as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleBy {
    /// A record: its create, updates and delete. Events without a record are sampled by account.
    #[default]
    Record,
    /// An account: all of its events.
    Did,
}

/// A sample of one in N.
///
/// The sample is a public function of names: the SHA-256 of `at://DID/COLLECTION/RKEY` (or of the
/// DID alone), whose first eight bytes, read as a big-endian number, are at most (2^64 - 1) / N. So
/// a sample of 1/100 is a part of the sample of 1/10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    one_in: u64,
    by: SampleBy,
}

impl Sample {
    /// Largest N.
    pub const MAX: u64 = 1_000_000_000;

    /// Returns a sample of one in `one_in`; `None` unless that is between 1 and [`Sample::MAX`].
    #[must_use]
    pub fn new(one_in: u64, by: SampleBy) -> Option<Self> {
        (1..=Self::MAX).contains(&one_in).then_some(Self { one_in, by })
    }

    /// Returns N.
    #[must_use]
    pub fn one_in(&self) -> u64 {
        self.one_in
    }

    /// Returns whether an event of this account is in the sample. `record` holds the collection
    /// and the record key of a commit.
    #[must_use]
    pub fn includes(&self, did: &str, record: Option<(&str, &str)>) -> bool {
        let hash = match record.filter(|_| self.by == SampleBy::Record) {
            None => Sha256::digest(did.as_bytes()),
            Some((collection, rkey)) => {
                let mut hasher = Sha256::new();
                for part in ["at://", did, "/", collection, "/", rkey] {
                    hasher.update(part.as_bytes());
                }
                hasher.finalize()
            }
        };
        let first = hash.first_chunk().copied().unwrap_or_default();
        u64::from_be_bytes(first) <= u64::MAX / self.one_in
    }
}

impl fmt::Display for Sample {
    /// `1/100`, or `1/100:did` for a sample of accounts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.one_in)?;
        if self.by == SampleBy::Did { f.write_str(":did") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posts(one_in: u64) -> Vec<u32> {
        let sample = Sample::new(one_in, SampleBy::Record).unwrap();
        let is_in =
            |n: &u32| sample.includes("did:plc:a", Some(("app.bsky.feed.like", &n.to_string())));
        (0..300).filter(is_in).collect()
    }

    /// The values were computed outside of this program. Consumers rely on them: a sample must be
    /// the same in every version.
    #[test]
    fn the_sample_of_records_is_golden() {
        assert_eq!(
            posts(10),
            [
                51, 54, 57, 63, 66, 70, 74, 92, 103, 105, 111, 123, 126, 128, 135, 144, 161, 166,
                172, 178, 180, 199, 201, 216, 238, 254, 268, 270, 273, 282, 287, 292
            ]
        );
        assert_eq!(posts(1).len(), 300);
        let fewer = posts(40);
        assert!(!fewer.is_empty() && fewer.iter().all(|n| posts(10).contains(n)), "{fewer:?}");
    }

    #[test]
    fn the_sample_of_accounts_is_golden_and_events_without_a_record_are_in_it() {
        let golden = [
            2, 32, 38, 45, 46, 60, 66, 68, 73, 78, 84, 89, 111, 120, 122, 127, 129, 131, 134, 138,
            146, 147, 151, 154, 173, 197, 218, 221, 223, 231, 239, 267, 271, 280, 281, 288,
        ];
        for (by, record) in
            [(SampleBy::Did, Some(("a.b.c", "k"))), (SampleBy::Did, None), (SampleBy::Record, None)]
        {
            let sample = Sample::new(10, by).unwrap();
            let is_in = |n: &u32| sample.includes(&format!("did:plc:{n}"), record);
            assert_eq!((0..300).filter(is_in).collect::<Vec<u32>>(), golden);
        }
    }

    #[test]
    fn the_share_is_one_in_n_and_n_has_bounds() {
        let sample = Sample::new(50, SampleBy::Record).unwrap();
        let is_in = |n: &u32| sample.includes("did:plc:b", Some(("c.d.e", &n.to_string())));
        let share = (0..100_000).filter(is_in).count();
        assert!((1_800..2_200).contains(&share), "{share}");
        assert_eq!(Sample::new(0, SampleBy::Did), None);
        assert_eq!(Sample::new(Sample::MAX + 1, SampleBy::Did), None);
    }
}
