//! Markers: the events without which deletes can't be honoured later.

use crate::event::format::EventFormat;
use crate::event::header::{Header, Kind, Operation};

use super::Filter;

/// Whether a run takes markers in addition to the events of its filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Markers {
    /// No.
    #[default]
    Off,
    /// Yes, because the output needs them. They are not part of the consumer's derived name.
    ForOutput,
    /// Yes, as `--markers` asks. They are part of the consumer's derived name.
    Asked,
}

impl Markers {
    /// Returns whether the run takes markers.
    #[must_use]
    pub fn is_on(self) -> bool {
        self != Self::Off
    }
}

/// Why a filter takes an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It matches the filter.
    Wanted,
    /// It is a marker, and does not match the filter.
    Marker,
}

impl Filter {
    /// Returns why the filter takes an event; `None` if it does not. `line` is the event's line in
    /// `format`, and `header` its header.
    #[must_use]
    pub fn take(&self, header: &Header<'_>, line: &[u8], format: EventFormat) -> Option<Taken> {
        if self.wants(header, line.len()) && self.wants_record(header, line, format) {
            return Some(Taken::Wanted);
        }
        let commit = header.commit.as_ref();
        let commit = commit.map(|commit| (commit.operation, &*commit.collection));
        self.is_marker(header.kind, &header.did, commit).then_some(Taken::Marker)
    }

    /// Returns whether the run takes an event of this account as a marker. Of all rules, only those
    /// for accounts and, for deletes, `collections` apply. `commit` holds the operation and the
    /// collection of a commit.
    #[must_use]
    pub(super) fn is_marker(
        &self,
        kind: Kind,
        did: &str,
        commit: Option<(Operation, &str)>,
    ) -> bool {
        let is_kind = match (kind, commit) {
            (Kind::Account | Kind::Sync, _) => true,
            (Kind::Commit, Some((Operation::Delete, collection))) => {
                self.wants_commits() && self.collections.matches(collection)
            }
            _ => false,
        };
        self.markers.is_on() && is_kind && (self.dids.is_empty() || self.dids.contains(did))
    }

    /// Returns whether the rule for kinds accepts commits.
    #[must_use]
    pub fn wants_commits(&self) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&Kind::Commit)
    }

    /// Returns the kinds to ask servers for; empty for all.
    #[must_use]
    pub fn requested_kinds(&self) -> Vec<Kind> {
        let mut kinds = self.kinds.clone();
        if self.markers.is_on() && !kinds.is_empty() {
            kinds.extend(
                [Kind::Account, Kind::Sync].iter().filter(|kind| !self.kinds.contains(kind)),
            );
        }
        kinds
    }

    /// Returns the longest event to ask servers for; `None` for no limit, because a server would
    /// also omit markers that are longer.
    #[must_use]
    pub fn requested_message_bytes(&self) -> Option<u32> {
        self.max_message_bytes.filter(|_| !self.markers.is_on())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Grep, Sample, SampleBy};

    fn line(kind: &str, body: &str) -> String {
        format!(r#"{{"did":"did:plc:a","time_us":1,"kind":"{kind}","{kind}":{{{body}}}}}"#)
    }

    fn commit(operation: &str, collection: &str) -> String {
        line(
            "commit",
            &format!(
                r#""rev":"r","operation":"{operation}","collection":"{collection}","rkey":"k","record":{{"text":"x"}}"#
            ),
        )
    }

    fn taken(filter: &Filter, line: &str) -> Option<Taken> {
        let header = EventFormat::V1.parse(line.as_bytes()).unwrap();
        filter.take(&header, line.as_bytes(), EventFormat::V1)
    }

    fn posts(markers: Markers) -> Filter {
        let mut filter = Filter { kinds: vec![Kind::Commit], markers, ..Filter::default() };
        filter.collections.add("a.b.post").unwrap();
        filter
    }

    #[test]
    fn markers_are_exempt_from_every_rule_but_accounts_and_collections() {
        let mut filter = Filter {
            operations: vec![Operation::Create],
            grep: Some(Grep::new("never").unwrap()),
            sample: Sample::new(Sample::MAX, SampleBy::Did),
            max_message_bytes: Some(1),
            ..posts(Markers::ForOutput)
        };
        filter.excluded.add("a.b.post").unwrap();
        filter.languages.add("de").unwrap();
        let markers = [line("account", ""), line("sync", ""), commit("delete", "a.b.post")];
        let others =
            [line("identity", ""), commit("delete", "a.b.like"), commit("create", "a.b.post")];
        markers
            .iter()
            .for_each(|line| assert_eq!(taken(&filter, line), Some(Taken::Marker), "{line}"));
        others.iter().for_each(|line| assert_eq!(taken(&filter, line), None, "{line}"));
        filter.dids.insert("did:plc:b".into());
        markers.iter().for_each(|line| assert_eq!(taken(&filter, line), None, "{line}"));
        filter.markers = Markers::Off;
        filter.dids.clear();
        markers.iter().for_each(|line| assert_eq!(taken(&filter, line), None, "{line}"));
    }

    #[test]
    fn what_matches_the_filter_is_not_a_marker() {
        let filter = posts(Markers::Asked);
        assert_eq!(taken(&filter, &commit("delete", "a.b.post")), Some(Taken::Wanted));
        assert_eq!(taken(&filter, &line("sync", "")), Some(Taken::Marker));
        let identities = Filter { kinds: vec![Kind::Identity], ..filter };
        assert_eq!(taken(&identities, &commit("delete", "a.b.post")), None);
        assert_eq!(taken(&identities, &line("account", "")), Some(Taken::Marker));
    }

    #[test]
    fn servers_are_asked_for_markers() {
        let sized = |markers| Filter { max_message_bytes: Some(9), ..posts(markers) };
        let with = sized(Markers::Asked);
        assert_eq!(with.requested_kinds(), [Kind::Commit, Kind::Account, Kind::Sync]);
        assert_eq!(with.requested_message_bytes(), None);
        let without = sized(Markers::Off);
        assert_eq!(without.requested_kinds(), [Kind::Commit]);
        assert_eq!(without.requested_message_bytes(), Some(9));
        assert_eq!(Filter { kinds: vec![], ..with }.requested_kinds(), []);
    }
}
