//! The witness: a second server with the same filters, whose events show what the server in use
//! leaves out (`--witness`).
//!
//! - The reader of the witness (`pipeline::witness_reader`) is a second [`Reader`], with a channel
//!   of its own. It takes part in no hand-off: the writer takes its batches when it has time.
//! - [`WitnessSide`] belongs to the writer. It deduplicates the witness's stream, as the
//!   dedup stage does for the server in use, so that a reconnect of either repeats nothing.
//! - [`Matcher`] compares the two streams by their dedup keys. An event of one stream is missing
//!   in the other one when that one's clock has passed the event by the window. Both clocks are
//!   those of the dedup stages, which no single event moves.
//! - `loss` decides when the server in use lacks so much that the run leaves it.
//! - `filter_change` says what is compared while the two streams have different filters.
//! - `silence` says how far a server has come that is connected and has nothing to send.
//!
//! Nothing of this is saved. The dedup keys and the rewind margin, which the window enlarges, are
//! enough for the next run: see `docs/internals/witness.md`.
//!
//! [`Reader`]: super::reader::Reader

mod commit_rank;
mod compare;
mod counts;
mod filter_change;
mod hold;
mod leave;
mod link;
mod loss;
mod matcher;
mod missing;
mod names;
mod pending;
mod serve;
mod silence;
mod stream;
mod successors;
mod waiting;

pub use hold::Step;
pub use leave::Leave;
pub use link::WitnessLink;
pub use matcher::Matcher;
pub use serve::{MainStream, Missing, WitnessConfig, WitnessSide};
pub use stream::{WitnessStream, observe};
