//! The counts of `skytail stats` (recordings) and `skytail top` (live events), and how they are
//! shown.

mod recordings;
mod top;
