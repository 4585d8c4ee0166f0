//! The filter's fingerprint, which a state file stores with each position.

use xxhash_rust::xxh3::xxh3_64;

use super::{Filter, Grep};
use crate::event::header::{Kind, Operation};

impl Filter {
    /// Returns a number that differs for filters that want different events; never 0.
    ///
    /// State files hold this number. Another number for the same filter makes the next resume of
    /// every consumer less exact, so the hashed text is written out here, word by word, and does
    /// not depend on the names of types.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut dids: Vec<&String> = self.dids.iter().collect();
        dids.sort();
        let mut kinds: Vec<&str> = self.kinds.iter().copied().map(kind_word).collect();
        kinds.sort_unstable();
        let mut operations: Vec<&str> =
            self.operations.iter().copied().map(operation_word).collect();
        operations.sort_unstable();
        // The text is that of a tuple of lists: `(["a"], [], ["Commit"], [], Some(100))`.
        let parts = (self.collections.patterns(), dids, kinds, operations, self.max_message_bytes);
        let mut text = format!("{parts:?}");
        // Without one of the rules that 0.1.0 did not have, the text is that of 0.1.0.
        if self.has_rules_of_its_own() {
            let grep = self.grep.as_ref().map(Grep::text);
            let sample = self.sample.as_ref().map(ToString::to_string);
            let more = (self.excluded.patterns(), self.languages.ranges(), grep, sample);
            text.push_str(&format!("{more:?}"));
        }
        if self.markers.is_on() {
            text.push_str("markers");
        }
        xxh3_64(text.as_bytes()).max(1)
    }
}

/// Returns the word of a kind in the hashed text.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Commit => "Commit",
        Kind::Identity => "Identity",
        Kind::Account => "Account",
        Kind::Sync => "Sync",
        Kind::Other => "Other",
    }
}

/// Returns the word of an operation in the hashed text.
fn operation_word(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "Create",
        Operation::Update => "Update",
        Operation::Delete => "Delete",
        Operation::Other => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Markers, Sample, SampleBy};

    #[test]
    fn a_fingerprint_depends_on_the_values_and_not_on_their_order() {
        let kinds = |kinds: &[Kind]| Filter { kinds: kinds.to_vec(), ..Filter::default() };
        let print = |filter: &Filter| filter.fingerprint();
        let both = kinds(&[Kind::Commit, Kind::Account]);
        assert_eq!(print(&both), print(&kinds(&[Kind::Account, Kind::Commit])));
        assert_ne!(print(&both), print(&kinds(&[Kind::Commit])));
        assert_ne!(print(&both), print(&Filter::default()));
    }

    /// The values were computed outside of this program from the text that 0.1.0 hashes.
    #[test]
    fn fingerprints_are_those_of_the_state_files_of_0_1_0() {
        assert_eq!(Filter::default().fingerprint(), 17_956_086_024_437_440_847);
        let mut filter = Filter {
            dids: ["did:plc:b", "did:plc:a"].map(String::from).into(),
            kinds: vec![Kind::Commit, Kind::Account],
            operations: vec![Operation::Delete, Operation::Create],
            max_message_bytes: Some(100),
            ..Filter::default()
        };
        filter.collections.add("app.bsky.graph.*").unwrap();
        filter.collections.add("app.bsky.feed.post").unwrap();
        assert_eq!(filter.fingerprint(), 134_307_407_106_794_474);
        use {Kind::*, Operation as O};
        let words = Filter {
            kinds: vec![Commit, Identity, Account, Sync, Other],
            operations: vec![O::Create, O::Update, O::Delete, O::Other],
            ..Filter::default()
        };
        assert_eq!(words.fingerprint(), 15_009_195_829_551_780_346);
    }

    #[test]
    fn markers_change_the_fingerprint_whoever_asks_for_them() {
        let of = |markers| Filter { markers, ..Filter::default() }.fingerprint();
        assert_eq!(of(Markers::Asked), of(Markers::ForOutput));
        assert_ne!(of(Markers::Asked), of(Markers::Off));
    }

    /// State files hold these numbers, so they must never change. The values were computed outside
    /// of this program.
    #[test]
    fn fingerprints_of_rules_that_no_server_knows_are_golden() {
        let mut all = Filter {
            grep: Some(Grep::new("a|\"b\"").unwrap()),
            sample: Sample::new(100, SampleBy::Did),
            ..Filter::default()
        };
        all.excluded.add("app.bsky.feed.like").unwrap();
        all.excluded.add("a.b.*").unwrap();
        all.languages.add("pt-BR").unwrap();
        all.languages.add("de").unwrap();
        let excluded = Filter { excluded: all.excluded.clone(), ..Filter::default() };
        let languages = Filter { languages: all.languages.clone(), ..Filter::default() };
        let grep = Filter { grep: all.grep.clone(), ..Filter::default() };
        let sample = |by| Filter { sample: Sample::new(100, by), ..Filter::default() };
        let (records, accounts) = (sample(SampleBy::Record), sample(SampleBy::Did));
        let numbers = [all, excluded, languages, grep, records, accounts].map(|f| f.fingerprint());
        assert_eq!(
            numbers,
            [
                11_135_422_636_579_498_407,
                3_005_385_714_566_530_292,
                1_675_264_055_128_940_809,
                4_730_906_825_763_602_861,
                14_036_522_816_442_945_810,
                6_985_347_946_739_179_818,
            ]
        );
    }
}
