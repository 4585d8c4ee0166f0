//! The flags of the filters that no server knows, as clap parses them.

use clap::{ArgAction, ValueHint};

use crate::cli::values::sample::parse_sample;
use crate::filter::SampleBy;

/// The end of the group "Filters": skytail applies these filters itself.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct LocalFilterArgs {
    /// No records of this collection, or of a prefix. Servers
    /// send them, and skytail drops them. @FILE has one a line,
    /// and tail reads it again when it changes
    /// [default: drop none]
    #[arg(long, value_name = "NSID", action = ArgAction::Append, value_delimiter = ',')]
    #[arg(value_hint = ValueHint::Other)]
    pub exclude: Vec<String>,

    /// Only records in this language: de is also de-AT. Deletes
    /// have none. Implies --kind commit, as -c does
    /// [default: all]
    #[arg(long, value_name = "TAG", action = ArgAction::Append, value_delimiter = ',')]
    #[arg(value_hint = ValueHint::Other)]
    pub lang: Vec<String>,

    /// Only records with a string that matches REGEX; (?i) at
    /// its start ignores case. Implies --kind commit
    /// [default: all]
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub grep: Option<String>,

    /// Only one in N (1/100): the same ones on every server, a
    /// record's create, update and delete together
    /// [default: all]
    #[arg(long, value_name = "1/N", value_parser = parse_sample)]
    pub sample: Option<u64>,

    /// What to sample: record, or did (whole accounts)
    /// [default: record]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "WHAT")]
    pub sample_by: Option<SampleBy>,
}
