//! Removes deleted records and accounts from recordings: `skytail scrub`.
//!
//! Three steps, in bounded memory for archives of any size:
//!
//! 1. [`scan`] reads each file once, and turns each event into an [`entry::Entry`] of 40 bytes, which
//!    a [`sorter::Sorter`] sorts by account and record, on disk if there are many.
//! 2. [`decide`] reads them in that order, so that it sees all events of a record together, and
//!    passes on the places of those to remove, which a second sorter sorts by file and line.
//! 3. [`rewrite`] copies each file that has such a place without these lines, and [`replace`] puts
//!    the copy in the place of the file.
//!
//! `docs/guide/deletes.md` has the rules for users.

pub mod decide;
pub mod entry;
pub mod input;
pub mod order;
pub mod replace;
pub mod report;
pub mod rewrite;
pub mod run;
pub mod scan;
pub mod sorter;

#[cfg(test)]
mod tests;
