//! One event as bytes: its header fields, its identity, and whether its line is sound, in the
//! shape of either protocol.
//!
//! Pure functions over bytes. This room knows no other.

pub mod batch;
mod blocks;
pub mod header;
pub mod identity;
pub mod malformed;
mod marks;
mod parts;
mod scan;
pub mod shape;
mod sheet;
pub mod space;
mod usual;
pub mod v2;
