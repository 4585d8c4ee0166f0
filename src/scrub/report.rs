//! What a scrub found and did, as plain data.

use std::path::PathBuf;

use super::decide::Reason;

/// The counts of what is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Events of records that were deleted later.
    pub deleted: u64,
    /// Events of records that were replaced later.
    pub replaced: u64,
    /// Events of accounts that were deleted later.
    pub of_deleted_accounts: u64,
    /// Events of accounts that are inactive.
    pub of_inactive_accounts: u64,
    /// Events that a repair of their repository made obsolete.
    pub repaired: u64,
    /// The URIs of these events, each once.
    pub uris: u64,
    /// The deleted or inactive accounts of which an event is removed.
    pub accounts: u64,
}

impl Removed {
    /// Counts an event.
    pub fn count(&mut self, reason: Reason) {
        let counter = match reason {
            Reason::AccountDeleted => &mut self.of_deleted_accounts,
            Reason::AccountInactive => &mut self.of_inactive_accounts,
            Reason::RecordDeleted => &mut self.deleted,
            Reason::Repaired => &mut self.repaired,
            Reason::Replaced => &mut self.replaced,
        };
        *counter += 1;
    }
}

/// What happened to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has nothing to remove.
    Clean,
    /// It was rewritten, or with `--dry-run` would be.
    Scrubbed,
    /// It is as it was, although it may hold what should be removed. Holds the reason.
    Left(String),
}

/// The report on one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// The file as it was named.
    pub path: PathBuf,
    /// What happened to it.
    pub outcome: Outcome,
    /// Its events.
    pub events: u64,
    /// How many of them are removed, or with [`Outcome::Left`] should be.
    pub removed: u64,
    /// Its length before, in bytes.
    pub bytes_before: u64,
    /// Its length now.
    pub bytes_after: u64,
    /// The lines that are no events, and the first of them, counted from 1.
    pub malformed: Option<(u64, u64)>,
    /// Whether a program writes it.
    pub is_written: bool,
}

/// The report on a whole run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The files, in the order in which they were named.
    pub files: Vec<FileReport>,
    /// What was found to remove in all files.
    pub found: Removed,
    /// Events that were read from elsewhere, for their deletes.
    pub markers: u64,
}

impl Report {
    /// Returns the events of all files.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.files.iter().map(|file| file.events).sum()
    }

    /// Returns the events that were removed, or with `--dry-run` would be.
    #[must_use]
    pub fn removed(&self) -> u64 {
        let scrubbed = self.files.iter().filter(|file| file.outcome == Outcome::Scrubbed);
        scrubbed.map(|file| file.removed).sum()
    }

    /// Returns the lengths of all files before.
    #[must_use]
    pub fn bytes_before(&self) -> u64 {
        self.files.iter().map(|file| file.bytes_before).sum()
    }

    /// Returns the lengths of all files now.
    #[must_use]
    pub fn bytes_after(&self) -> u64 {
        self.files.iter().map(|file| file.bytes_after).sum()
    }

    /// Returns whether a file was left although it should be clean, or can't be checked.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let is_left = |file: &FileReport| matches!(file.outcome, Outcome::Left(_));
        self.files.iter().any(|file| is_left(file) || file.malformed.is_some())
    }
}
