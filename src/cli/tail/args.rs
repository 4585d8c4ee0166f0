//! The flags of `skytail tail`, as clap parses them. The module `settings` checks them and turns
//! them into settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ValueHint};

use super::archive_args::{ArchiveArgs, ArchiveBoundsArgs};
use super::last::args::LastArgs;
use super::local_filter_args::LocalFilterArgs;
use super::markers::MarkerArgs;
use super::render_settings::RenderArgs;
use super::witness_settings::WitnessArgs;
use crate::cli::help;
use crate::cli::values::OrNever;
use crate::cli::values::address::{parse_dns_server, parse_listen_address};
use crate::cli::values::count::{parse_positive, parse_queue_events, parse_retries};
use crate::cli::values::duration::{
    parse_duration, parse_duration_or_never, parse_positive_duration,
};
use crate::cli::values::rotate::parse_rotate;
use crate::cli::values::size::{parse_memory_size, parse_message_size};
use crate::event::format::EventFormat;
use crate::event::header::{Kind, Operation};
use crate::settings::{CompressMode, JoinMode, OnGap, ProgressMode, ProtocolPreference, WhenFull};
use crate::sink::file::rotation::Rotate;

/// The flags of `skytail tail`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = help::TAIL_EXAMPLES)]
pub struct TailArgs {
    #[command(flatten)]
    pub filters: FilterArgs,
    #[command(flatten)]
    pub markers: MarkerArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub witness: WitnessArgs,
    #[command(flatten)]
    pub cursor: CursorArgs,
    #[command(flatten)]
    pub archive: ArchiveArgs,
    #[command(flatten)]
    pub archive_bounds: ArchiveBoundsArgs,
    #[command(flatten)]
    pub render: RenderArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub flow: FlowArgs,
    #[command(flatten)]
    pub display: DisplayArgs,
    #[command(flatten)]
    pub operation: OperationArgs,
}

/// The group "Source".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Server to read; repeat it for servers to fall back
    /// on [default: Bluesky's public servers]
    #[arg(long, value_name = "HOST", action = ArgAction::Append, value_delimiter = ',')]
    #[arg(value_hint = ValueHint::Hostname, conflicts_with = "demo")]
    pub host: Vec<String>,

    /// Return to the first --host once it has worked for DUR
    /// (1m if no =DUR is given)
    #[arg(
        long,
        value_name = "DUR",
        value_parser = parse_positive_duration,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "1m"
    )]
    pub prefer_first: Option<Duration>,

    /// Read made-up events from a server inside skytail
    #[arg(long)]
    pub demo: bool,

    /// Protocol: v1, v2, or auto, which is v2 if the server
    /// speaks it
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHICH",
        default_value = "auto"
    )]
    pub protocol: ProtocolPreference,

    /// Use zstd: on, off, or auto, which is on if a dictionary is
    /// available (v2 servers send one, v1 needs `skytail
    /// dictionary install`) and the server is another machine
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub compress: CompressMode,

    /// zstd dictionary to use instead of the installed one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub zstd_dictionary: Option<PathBuf>,

    /// Also trust the certificates in FILE (PEM): of an
    /// authority, or of one server
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,

    /// Give up a connection attempt after this
    #[arg(long, value_name = "DUR", value_parser = parse_positive_duration, default_value = "10s")]
    pub connect_timeout: Duration,

    /// Ping a silent server after this
    #[arg(long, value_name = "DUR", value_parser = parse_positive_duration, default_value = "15s")]
    pub ping_after: Duration,

    /// Time for the server to answer a ping
    #[arg(long, value_name = "DUR", value_parser = parse_positive_duration, default_value = "10s")]
    pub pong_timeout: Duration,

    /// Reconnect after this long without an event, or never
    /// [default: 60s; with --did never]
    #[arg(long, value_name = "DUR", value_parser = parse_duration_or_never)]
    pub stall_timeout: Option<OrNever<Duration>>,

    /// Failed retries in a row before skytail gives up, or
    /// unlimited [default: unlimited; 8 before the first event]
    #[arg(long, value_name = "N", value_parser = parse_retries)]
    pub max_retries: Option<OrNever<u32>>,

    /// DNS server that resolves handles [default: the system's]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = parse_dns_server)]
    pub dns_server: Option<SocketAddr>,

    /// Largest message accepted
    #[arg(long, value_name = "SIZE", value_parser = parse_memory_size, default_value = "16MiB")]
    pub max_frame_size: usize,
}

/// The group "Filters".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Only records of this collection, or of a prefix
    /// (app.bsky.feed.*). Implies --kind commit: for more kinds
    /// add --kind commit,identity. @FILE has one a line, and tail
    /// reads it again when it changes [default: all]
    #[arg(short, long, value_name = "NSID", action = ArgAction::Append, value_delimiter = ',')]
    #[arg(value_hint = ValueHint::Other)]
    pub collection: Vec<String>,

    /// Only events of this account: its DID, or its handle
    /// (alice.bsky.social), resolved at the start. @FILE has one a
    /// line, and tail reads it again when it changes; top reads
    /// all files once [default: all]
    #[arg(short, long, alias = "handle", value_name = "DID", action = ArgAction::Append, value_delimiter = ',')]
    pub did: Vec<String>,

    /// Only this kind: commit, identity, account or sync (v2
    /// only) [default: all]
    #[arg(short, long, value_enum, hide_possible_values = true, value_name = "KIND", action = ArgAction::Append, value_delimiter = ',')]
    pub kind: Vec<Kind>,

    /// Only this operation: create, update or delete. Implies
    /// --kind commit, as -c does [default: all]
    #[arg(long, alias = "op", value_enum, hide_possible_values = true, value_name = "OP", action = ArgAction::Append, value_delimiter = ',')]
    pub operation: Vec<Operation>,

    /// Only events of up to N bytes of JSON (64k) [default: all]
    #[arg(long, value_name = "N", value_parser = parse_message_size)]
    pub max_message_size: Option<u32>,

    #[command(flatten)]
    pub local: LocalFilterArgs,
}

/// The group "Cursor".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cursor")]
pub struct CursorArgs {
    /// Where to start: live, auto (where this consumer stopped),
    /// oldest, a time, an age (15m), or an integer cursor
    /// [default: live; with -o, --to, --consumer, --from auto]
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    pub cursor: Option<String>,

    /// Start at TIME: 10m (ago), yesterday, 2026-11-23T10:00:00Z;
    /// the same as --cursor TIME
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "cursor")]
    pub since: Option<String>,

    #[command(flatten)]
    pub last: LastArgs,

    /// Where auto starts if nothing is saved: oldest, a time, or
    /// an age (15m) [default: live]
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    pub from: Option<String>,

    /// Name of the saved cursor [default: from filters and
    /// output]
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,

    /// File of saved cursors [default: skytail/state.db in the
    /// directory for state]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "no_checkpoint")]
    pub state: Option<PathBuf>,

    /// Do not save a cursor
    #[arg(long)]
    pub no_checkpoint: bool,

    /// Save the cursor this often
    /// [default: 1s; with .zst output 10s]
    #[arg(long, value_name = "DUR", value_parser = parse_positive_duration)]
    pub checkpoint_every: Option<Duration>,

    /// Also save it after N events [default: no limit]
    #[arg(long, value_name = "N", value_parser = parse_positive)]
    pub checkpoint_events: Option<u64>,

    /// Cutover from the replay to the live stream of a legacy
    /// server: auto (loses nothing), or single (on one connection:
    /// the server may lose events)
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "HOW",
        default_value = "auto"
    )]
    pub join: JoinMode,

    /// When events are missing: warn, or fail (exit code 4)
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHAT",
        default_value = "warn"
    )]
    pub on_gap: OnGap,

    /// Dedup overlap: replay this much on each connection, and
    /// drop the duplicates
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "5s")]
    pub rewind: Duration,
}

/// The group "Output".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Append each event to FILE exactly once; .zst files are
    /// compressed, .parquet files tables [default: - for stdout]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Begin a new file hourly, daily, or after SIZE; strftime
    /// fields in FILE are event times (log-%FT%H.ndjson)
    #[arg(long, value_name = "WHEN", value_parser = parse_rotate)]
    pub rotate: Option<Rotate>,

    /// Append to FILE even if skytail did not write it
    #[arg(long)]
    pub append: bool,

    /// Keep the newest state of each record in a database,
    /// sqlite:FILE; or publish each event exactly once to
    /// nats://HOST/SUBJECT or kafka://HOST/TOPIC (cargo features
    /// nats and kafka)
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub to: Option<String>,

    /// File of "key = value" lines for --to, such as password
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub to_config: Option<PathBuf>,

    /// Stop after N events [default: no limit]
    #[arg(short = 'n', long, aliases = ["count", "max"], value_name = "N", value_parser = parse_positive)]
    pub limit: Option<u64>,

    /// Stop when event times reach TIME: 10m (ago), +10m, or as
    /// for --since [default: never]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,

    /// Stop when the replay has reached the present
    #[arg(short, long)]
    pub exit_when_live: bool,

    /// Continue at the live stream, which is the default
    #[arg(short, long, conflicts_with = "exit_when_live")]
    pub follow: bool,

    /// Stop after this long [default: never]
    #[arg(long, aliases = ["for", "duration"], value_name = "DUR", value_parser = parse_positive_duration)]
    pub timeout: Option<Duration>,

    /// Time to write received events after a stop
    #[arg(long, value_name = "DUR", value_parser = parse_duration, default_value = "5s")]
    pub drain_timeout: Duration,

    /// JSON format of v2 events: v1, or native
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "SHAPE",
        default_value = "v1"
    )]
    pub shape: EventFormat,

    /// Check the whole JSON grammar of each event
    #[arg(long)]
    pub strict: bool,
}

/// The group "Flow".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Flow")]
pub struct FlowArgs {
    /// Most events that wait for the output
    #[arg(long, value_name = "EVENTS", value_parser = parse_queue_events, default_value = "100000")]
    pub buffer: usize,

    /// Most bytes that wait for the output
    #[arg(long, value_name = "SIZE", value_parser = parse_memory_size, default_value = "2MiB")]
    pub buffer_bytes: usize,

    /// When the buffer is full: block (lossless), drop-newest or
    /// drop-oldest
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHAT",
        default_value = "block"
    )]
    pub when_full: WhenFull,

    /// Queue warning threshold: warn while more events than this
    /// wait [default: no warning]
    #[arg(long, value_name = "EVENTS", value_parser = parse_positive)]
    pub max_lag: Option<u64>,
}

/// The group "Display".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Display")]
pub struct DisplayArgs {
    /// Progress: auto, always or never
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub progress: ProgressMode,
}

/// The group "Operation".
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Operation")]
pub struct OperationArgs {
    /// Serve /metrics (for Prometheus) and /healthz over HTTP; a
    /// port alone listens on 127.0.0.1 [default: no server]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen_address)]
    pub metrics_listen: Option<SocketAddr>,
}
