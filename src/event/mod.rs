//! One event as bytes: its header fields, its event id, and the check of its line's structure,
//! in the line formats of both protocols.
//!
//! Pure functions over bytes. This module imports no other module of the crate.

pub mod batch;
pub mod columns;
mod digits;
pub mod error;
pub mod event_id;
mod fast_path;
pub mod format;
pub mod header;
pub mod header_spans;
mod header_types;
pub mod json_string;
mod learned_order;
pub mod lines;
mod members;
pub mod record;
mod scanner;
mod simd;
pub mod v2;
mod walk;
pub mod whitespace;
