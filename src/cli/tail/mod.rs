//! `skytail tail`: its flags, the settings that they mean together, and the run itself. `top`
//! uses the same settings and the same start.

pub mod archive_args;
pub mod archive_settings;
pub mod args;
pub mod backfill_new;
mod broker_settings;
pub mod consumer_name;
mod database_settings;
pub mod demo;
mod departure;
pub mod filter_files;
mod filter_hints;
mod filter_settings;
mod filter_since;
mod filter_watch;
pub mod last;
mod legacy_names;
pub mod local_filter_args;
mod markers;
mod observers;
mod open_database;
mod open_output;
mod output_name;
pub mod output_settings;
pub mod render_settings;
mod report;
pub mod resolve_handles;
pub mod run;
pub mod session;
pub mod settings;
mod start_settings;
pub mod startup;
mod stripe_settings;
pub mod witness_settings;
