//! Numbers for the names of collections, so that an entry of the matcher needs two bytes for one.

use std::collections::HashMap;

use crate::event::header::Kind;
use crate::event::header_spans::HeaderSpans;

/// Most names. The network had about 500 collections in use in 2026; a stranger can invent more,
/// and those share one number.
const MAX_NAMES: usize = 1_024;

/// The longest name that gets a number, in bytes: what the AT Protocol allows for an NSID.
const MAX_NAME_BYTES: usize = 317;

/// The name of all collections without a number.
pub(super) const OTHER: &str = "other";

/// The number of a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NameId(u16);

/// The names so far.
#[derive(Debug)]
pub(super) struct Names {
    ids: HashMap<Box<str>, NameId>,
    names: Vec<Box<str>>,
}

impl Default for Names {
    fn default() -> Self {
        Self { ids: HashMap::new(), names: vec![OTHER.into()] }
    }
}

impl Names {
    /// Returns the number of an event's collection, or of its kind if it is no commit.
    pub(super) fn of_event(&mut self, header: &HeaderSpans, line: &[u8]) -> NameId {
        let header = header.header(line);
        match (&header.commit, header.kind) {
            (Some(commit), _) => self.of(&commit.collection),
            (None, Kind::Other) => NameId(0),
            (None, kind) => self.of(kind.word()),
        }
    }

    fn of(&mut self, name: &str) -> NameId {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        // Letters, digits, dots and hyphens, as an NSID has them: the name is printed as it is.
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        let is_sound =
            !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(is_plain);
        if !is_sound || self.names.len() >= MAX_NAMES {
            return NameId(0);
        }
        let id = NameId(self.names.len() as u16);
        self.names.push(name.into());
        self.ids.insert(name.into(), id);
        id
    }

    /// Returns the name of a number.
    pub(super) fn name(&self, id: NameId) -> &str {
        self.names.get(usize::from(id.0)).map_or(OTHER, |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_strangers_invent_are_bounded_and_printable() {
        let mut names = Names::default();
        let post = names.of("app.bsky.feed.post");
        assert_eq!(
            (names.of("app.bsky.feed.post"), names.name(post)),
            (post, "app.bsky.feed.post")
        );
        for bad in ["", "a\"} 1\nb", "\u{1b}[2J", &"a".repeat(MAX_NAME_BYTES + 1)] {
            let id = names.of(bad);
            assert_eq!(names.name(id), OTHER);
        }
        for i in 0..2 * MAX_NAMES {
            names.of(&format!("a.b{i}"));
        }
        assert_eq!(names.names.len(), MAX_NAMES);
        assert_eq!(names.of("later.name"), NameId(0));
    }
}
