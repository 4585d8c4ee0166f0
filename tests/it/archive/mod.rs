//! The archive's format: the golden files decode to what they hold, what is written reads back,
//! and no damage ever becomes a wrong event.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod golden;
mod inspect;
mod records;
mod rows;
