//! `skytail tail`: its flags, as clap sees them. What they mean together is decided in
//! [`super::tail_settings`].

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ValueHint};

use super::exit::Exit;
use super::origin::Origins;
use super::values::OrNever;
use super::values::count::{parse_positive, parse_queue_events, parse_retries};
use super::values::duration::{parse_duration, parse_duration_or_never, parse_positive_duration};
use super::values::size::{parse_memory_size, parse_message_size};
use super::{help, run_tail, tail_settings};
use crate::event::header::{Kind, Operation};
use crate::settings::{CompressMode, DisplaySettings, ProgressMode, WhenFull};

/// The flags of `skytail tail`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = help::TAIL_EXAMPLES)]
pub struct TailArgs {
    /// Where events come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Which events are printed.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// Where to start, and what is remembered.
    #[command(flatten)]
    pub cursor: CursorArgs,
    /// When to stop.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Buffers and limits.
    #[command(flatten)]
    pub flow: FlowArgs,
    /// What people see.
    #[command(flatten)]
    pub display: DisplayArgs,
}

/// The group "Source".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Server to read; repeat for more to fall back on
    /// [default: Bluesky's public servers]
    #[arg(long, value_name = "HOST", action = ArgAction::Append, value_delimiter = ',')]
    #[arg(value_hint = ValueHint::Hostname, conflicts_with = "demo")]
    pub host: Vec<String>,

    /// Read made-up events from a built-in server; needs no network
    #[arg(long)]
    pub demo: bool,

    /// Ask for zstd; auto does where the dictionary is installed
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub compress: CompressMode,

    /// Dictionary to use instead of the installed one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub zstd_dictionary: Option<PathBuf>,

    /// Time to have a connection: DNS, TCP, TLS and WebSocket
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, default_value = "10s")]
    pub connect_timeout: Duration,

    /// Ping the server after this much silence
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, default_value = "15s")]
    pub ping_after: Duration,

    /// Reconnect if no byte comes this long after a ping
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, default_value = "10s")]
    pub pong_timeout: Duration,

    /// Reconnect if no event comes for this long, or never
    /// [default: 60s, with --did never]
    #[arg(long, value_name = "TIME", value_parser = parse_duration_or_never)]
    pub stall_timeout: Option<OrNever<Duration>>,

    /// Retries in a row before giving up
    #[arg(long, value_name = "N", value_parser = parse_retries, default_value = "unlimited")]
    pub max_retries: OrNever<u32>,

    /// Refuse larger messages from the server
    #[arg(long, value_name = "SIZE", value_parser = parse_memory_size, default_value = "16MiB")]
    pub max_frame_size: usize,
}

/// The group "Filters".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only records of this type: app.bsky.feed.post,
    /// app.bsky.feed.*, or @FILE. Implies --kind commit
    /// unless --kind says more [default: all]
    #[arg(short, long, value_name = "NSID", action = ArgAction::Append, value_delimiter = ',')]
    #[arg(value_hint = ValueHint::Other)]
    pub collection: Vec<String>,

    /// Only events of this account, or of those in @FILE [default: all]
    #[arg(short, long, value_name = "DID", action = ArgAction::Append, value_delimiter = ',')]
    pub did: Vec<String>,

    /// Only events of this kind [default: all]
    #[arg(short, long, value_enum, value_name = "KIND", action = ArgAction::Append, value_delimiter = ',')]
    pub kind: Vec<Kind>,

    /// Only records created, updated or deleted; implies --kind
    /// commit as -c does [default: all]
    #[arg(long, value_enum, value_name = "OP", action = ArgAction::Append, value_delimiter = ',')]
    pub operation: Vec<Operation>,

    /// Leave out events with more JSON than this [default: none]
    #[arg(long, value_name = "SIZE", value_parser = parse_message_size)]
    pub max_message_size: Option<u32>,
}

/// The group "Cursor".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cursor")]
pub struct CursorArgs {
    /// Where to start: live, auto (where this consumer stopped),
    /// oldest, a time, an age (-15m), or an integer cursor
    #[arg(long, value_name = "CURSOR", default_value = "live", allow_hyphen_values = true)]
    pub cursor: String,

    /// Name to save the cursor under [default: from the filters]
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,

    /// File that holds saved cursors [default: skytail/state.db
    /// in the state directory]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "no_checkpoint")]
    pub state: Option<PathBuf>,

    /// Save no cursor
    #[arg(long)]
    pub no_checkpoint: bool,

    /// Save the cursor this often
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration, default_value = "1s")]
    pub checkpoint_every: Duration,

    /// Also save it after this many events [default: no such limit]
    #[arg(long, value_name = "N", value_parser = parse_positive)]
    pub checkpoint_events: Option<u64>,

    /// Replay this much on a new connection; duplicates are removed
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5s")]
    pub rewind: Duration,
}

/// The group "Output".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Stop after this many events [default: no limit]
    #[arg(short = 'n', long, value_name = "N", value_parser = parse_positive)]
    pub limit: Option<u64>,

    /// Stop at the first event from this time on [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,

    /// Stop when the replay has caught up with the present
    #[arg(long)]
    pub exit_when_live: bool,

    /// Stop after running this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_positive_duration)]
    pub timeout: Option<Duration>,

    /// Time to print what was received, when stopping
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5s")]
    pub drain_timeout: Duration,

    /// Check the whole JSON grammar of each event
    #[arg(long)]
    pub strict: bool,
}

/// The group "Flow".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Flow")]
pub struct FlowArgs {
    /// Most events that wait to be printed
    #[arg(long, value_name = "EVENTS", value_parser = parse_queue_events, default_value = "100000")]
    pub buffer: usize,

    /// Most bytes that wait to be printed
    #[arg(long, value_name = "SIZE", value_parser = parse_memory_size, default_value = "8MiB")]
    pub buffer_bytes: usize,

    /// What to do when either is reached; block loses nothing
    #[arg(long, value_enum, value_name = "WHAT", default_value = "block")]
    pub when_full: WhenFull,

    /// Warn when more events than this keep waiting [default: no warning]
    #[arg(long, value_name = "EVENTS", value_parser = parse_positive)]
    pub max_lag: Option<u64>,
}

/// The group "Display".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Display")]
pub struct DisplayArgs {
    /// When to show progress on stderr
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub progress: ProgressMode,
}

/// Runs the command. `now_us` is the present in Unix microseconds, from which ages count.
///
/// # Errors
/// A [`super::exit::UsageError`] where the flags make no sense together, and whatever the
/// run ends with.
pub fn run(
    args: &TailArgs,
    display: DisplaySettings,
    origins: &Origins,
    now_us: u64,
) -> anyhow::Result<Exit> {
    let settings = tail_settings::tail_settings(args, origins, now_us)?;
    run_tail::run_tail(settings, display)
}
