//! Compares the events of the witness with those of the server in use.

use std::sync::Arc;

use crate::event::header_spans::{HeaderSpans, IdentityScope};

use super::matcher::{Outcome, Successor, WitnessEvent};
use super::serve::{MainStream, WitnessSide};
use super::stream::PassedLines;

impl WitnessSide {
    /// Compares the lines of a batch of the witness.
    pub(super) fn compare(&mut self, taken: &PassedLines, main: &MainStream<'_>) {
        if let (Some(filter), Some(stream)) = (&taken.filter, &self.stream) {
            self.changes.on_witness(filter, stream.processor.latest());
        }
        let shape = taken.connection.shape;
        for (i, (line, passed)) in taken.lines.iter().zip(&taken.passed).enumerate() {
            let header = taken.lines.header(i);
            let Some(scope) = header.map(|header| header.identity_scope()) else { continue };
            if scope == IdentityScope::Server {
                continue;
            }
            let is_compared = |header| self.changes.compares(passed.clock, header, line, shape);
            if !header.as_ref().is_some_and(is_compared) {
                self.matcher.remove_expected(passed.identity);
                continue;
            }
            let is_relayed = scope == IdentityScope::Relay;
            let rank = header.map_or(0, |header| self.rank(&header, line));
            let names = &mut self.names;
            let event = || WitnessEvent {
                rank,
                successor: None,
                line: line.into(),
                header,
                connection: Arc::clone(&taken.connection),
                name: header.map_or_else(Default::default, |header| names.of_event(&header, line)),
                counts: passed.counts,
                is_relayed,
            };
            let outcome = self.matcher.on_witness(*passed, main.knows(passed.identity), event);
            if outcome == Outcome::Matched && is_relayed {
                self.matcher.matched_relayed();
            }
            if let Some(header) = header {
                // It follows an event of its commit directly.
                let is_of_commit = rank > 0;
                let successor = Successor { identity: passed.identity, is_of_commit };
                self.note_order(&header, line, successor);
            }
        }
    }

    /// Returns the place of an event of the witness in its commit, if the output waits.
    fn rank(&mut self, header: &HeaderSpans, line: &[u8]) -> u32 {
        if self.hold.is_none() {
            return 0;
        }
        let header = header.header(line);
        let rank = self.ranks.of(&header);
        self.ranks.note(&header);
        rank
    }

    /// Notes the order of each account, if the output waits.
    fn note_order(&mut self, header: &HeaderSpans, line: &[u8], successor: Successor) {
        let Some(hold) = &mut self.hold else { return };
        let did = header.did(line);
        if let Some(before) = self.successors.note(&did, successor.identity) {
            self.matcher.note_successor(before, successor);
            hold.note_successor(&did, before, successor);
        }
    }
}
