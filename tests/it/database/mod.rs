//! `--to sqlite:FILE`: the tables equal a fold of the events in memory, whatever happens to the run.

mod columns;
mod export;
pub mod fixture;
mod guide;
mod kills;
mod readers;
mod refusals;
mod sources;
mod trouble;
