//! All tests of the built binary and of the library's interface that `cargo test` runs by default.
//! They are one binary, because each binary links the whole library. One module per guarantee.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/v2_model.rs"]
mod v2_model;

mod archive;
#[cfg(unix)]
mod broker;
mod cli;
mod clock;
#[cfg(unix)]
mod completion;
mod cursors;
#[cfg(unix)]
mod database;
mod dial;
mod dictionary;
#[cfg(unix)]
mod documents;
mod filter_files;
mod guesses;
mod handles;
mod help;
mod history;
mod hostile;
mod invariants;
mod join;
mod last;
mod markers;
#[cfg(unix)]
mod operate;
#[cfg(unix)]
mod output;
#[cfg(unix)]
mod parquet;
mod peers;
mod platforms;
mod protocol;
mod record_filters;
mod resume;
#[cfg(unix)]
mod scrub;
mod secrets;
mod serve;
#[cfg(unix)]
mod state;
mod stats;
mod structure;
mod upgrade;
mod v2_messages;
mod witness;
