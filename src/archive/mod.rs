//! The file format of Jetstream v2's archive: sealed segments, their blocks and rows.
//!
//! The module does no I/O of its own. `source::archive` fetches segments and selects rows.
//! Source: protocol/jetstream-v2-archive.md §4 (segments), §5 (blocks) and §6 (rows as events).
//!
//! ```text
//! segment ──frame──▶ block ──▶ row ──▶ line      (reading)
//! line ──▶ write::convert ──▶ row ──▶ write      (writing)
//! ```

pub mod block;
pub mod cbor;
pub mod cid;
pub mod entry;
pub mod error;
mod fields;
mod json;
pub mod line;
pub mod name;
pub mod row;
pub mod segment;
pub mod transcode;
pub mod write;
