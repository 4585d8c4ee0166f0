//! The filter of the history of what a list gained.

use crate::event::format::EventFormat;
use crate::event::header::{Header, Kind};
use crate::filter::{Filter, Taken};

use super::List;

/// Takes what a filter takes with an addition, and does not take without it.
#[derive(Clone, Debug)]
pub struct SideFilter {
    /// The live filter with the addition in place of the list that it extends.
    added: Filter,
    live: Filter,
}

impl SideFilter {
    pub(super) fn new(mut added: Filter, live: Filter, list: List) -> Self {
        // A new collection brings commits only, so that the archive need not plan for the rest.
        if list == List::Collections && added.wants_commits() {
            added.kinds = vec![Kind::Commit];
        }
        Self { added, live }
    }

    /// Returns the filter for requests to servers. It may take a few events more.
    #[must_use]
    pub fn request(&self) -> &Filter {
        &self.added
    }

    /// Returns why the history has an event; `None` if it does not belong there.
    #[must_use]
    pub fn take(&self, header: &Header<'_>, line: &[u8], format: EventFormat) -> Option<Taken> {
        let taken = self.added.take(header, line, format)?;
        self.live.take(header, line, format).is_none().then_some(taken)
    }
}
