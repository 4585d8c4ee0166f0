//! The rules that read a commit's record: `--lang` and `--grep`.

use memchr::memmem;

use crate::event::format::EventFormat;
use crate::event::header::{Header, Kind, Operation};
use crate::event::record;

use super::{Filter, Languages};

impl Filter {
    /// Returns whether the rules for records accept an event. They restrict commits only, and no
    /// commit without a record, such as a delete, passes one.
    ///
    /// `line` is the event's line in `format`, and `header` its header. Most lines are decided by
    /// a search for a few bytes; the others are scanned, and no syntax tree is built.
    #[must_use]
    pub fn wants_record(&self, header: &Header<'_>, line: &[u8], format: EventFormat) -> bool {
        if !self.reads_records() || header.kind != Kind::Commit {
            return true;
        }
        let is_delete =
            header.commit.as_ref().is_some_and(|commit| commit.operation == Operation::Delete);
        if is_delete
            || (!self.languages.is_empty() && !Languages::may_match(line))
            || self.grep.as_ref().is_some_and(|grep| !grep.may_match(line))
        {
            return false;
        }
        let Some(record) = record::find(line, format) else { return false };
        (self.languages.is_empty() || self.languages.match_record(record))
            && self.grep.as_ref().is_none_or(|grep| grep.matches_record(record))
    }

    /// Returns whether a rule reads the records of commits.
    #[must_use]
    pub fn reads_records(&self) -> bool {
        !self.languages.is_empty() || self.grep.is_some()
    }
}

/// Returns whether a line may write letters as `\u` escapes.
pub(super) fn has_unicode_escape(line: &[u8]) -> bool {
    memmem::find(line, b"\\u").is_some()
}

#[cfg(test)]
#[path = "record_rules/tests.rs"]
mod tests;
