//! The flags of the group "Archive", as clap parses them.

use std::path::PathBuf;

use clap::ValueHint;

use crate::cli::values::size::parse_size;
use crate::cli::values::stripe::parse_stripe;
use crate::settings::ArchiveMode;
use crate::source::archive::bounds::Stripe;

/// The group "Archive".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveArgs {
    /// Read history from the archive of v2 servers: auto (if the
    /// cursor is older than the live stream), prefer (also if
    /// that is faster; omits superseded events), or off
    /// [default: auto]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "WHEN")]
    pub archive: Option<ArchiveMode>,

    /// Parallel downloads
    #[arg(long, value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=64))]
    pub archive_parallelism: u8,

    /// File that holds the API key of the archive; or set
    /// SKYTAIL_API_KEY [default: no key]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub api_key_file: Option<PathBuf>,
}

/// The end of the group "Archive": bounds of what a run reads.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Archive")]
pub struct ArchiveBoundsArgs {
    /// Stop before the archive has sent more than SIZE; the next
    /// run continues there [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub archive_max_bytes: Option<u64>,

    /// Read stripe I of N of the history between the start and
    /// --until, to divide it over N machines [default: all]
    #[arg(long, value_name = "I/N", value_parser = parse_stripe)]
    pub archive_stripe: Option<Stripe>,

    /// When -d @FILE or -c @FILE gains entries: read their history
    /// before their new events, beside the live stream
    #[arg(long)]
    pub backfill_new: bool,
}
