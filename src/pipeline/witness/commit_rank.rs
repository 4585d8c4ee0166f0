//! The places of events within their commit. A commit's events have one rev, so that the rev does not
//! say in which order they are. Pure.

use crate::event::header::Header;

/// Numbers the events of each commit, which follow each other in a stream.
#[derive(Debug, Default)]
pub(super) struct CommitRank {
    did: String,
    rev: String,
    next: u32,
}

impl CommitRank {
    /// Returns how many events of this one's commit have come directly before it.
    pub(super) fn of(&self, header: &Header<'_>) -> u32 {
        if self.is_of(header) { self.next } else { 0 }
    }

    /// Notes an event.
    pub(super) fn note(&mut self, header: &Header<'_>) {
        if self.is_of(header) {
            self.next = self.next.saturating_add(1);
            return;
        }
        self.did.clear();
        self.rev.clear();
        if let Some(commit) = &header.commit {
            self.did.push_str(&header.did);
            self.rev.push_str(&commit.rev);
        }
        self.next = 1;
    }

    fn is_of(&self, header: &Header<'_>) -> bool {
        let rev = header.commit.as_ref().map_or("", |commit| &*commit.rev);
        !rev.is_empty() && *self.rev == *rev && *self.did == *header.did
    }
}
