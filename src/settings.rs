//! The validated settings of a run. `cli` makes them and `pipeline` reads them. They depend on
//! neither flags nor files, and each value is valid.

mod consumer;
mod witness;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::display::summary::UnsavedReason;
use crate::event::format::EventFormat;
use crate::filter::Filter;
use crate::position::{Seq, TimeUs};
use crate::render::RenderConfig;
use crate::sink::broker::BrokerSettings;
use crate::sink::file::naming::Naming;
use crate::sink::file::parquet::ParquetSettings;
use crate::sink::sqlite::DatabaseSettings;
use crate::source::archive::BackfillStart;
use crate::source::archive::api_key::ApiKey;
use crate::source::archive::bounds::Stripe;
use crate::source::endpoint::Endpoint;
use crate::source::handle::Handle;
pub use crate::source::negotiation::ProtocolPreference;
use crate::source::net::tls::ExtraRoots;
pub use consumer::{Consumer, ListNames};
pub use witness::{MissingEvents, Witness};

/// One run of `skytail tail`.
#[derive(Clone, Debug)]
pub struct TailSettings {
    /// The servers in order of preference; never empty (ignored with `demo`).
    pub endpoints: Vec<Endpoint>,
    /// Whether to tail the built-in demo server instead.
    pub demo: bool,
    /// `--protocol`.
    pub protocol: ProtocolPreference,
    /// The shape of v2 events.
    pub shape: EventFormat,
    /// The events to write.
    pub filter: Filter,
    /// Where the run starts.
    pub cursor: CursorMode,
    /// The newest events to print before the start; `cursor` is `Live` then.
    pub last: Option<Last>,
    /// Where `auto` starts if nothing is saved; never `Auto` or `Seq`.
    pub from: CursorMode,
    /// The name that the position is saved under.
    pub consumer: Consumer,
    /// The state file; `None` to save nothing.
    pub state: Option<PathBuf>,
    /// Why the run saves nothing, if so.
    pub unsaved: Option<UnsavedReason>,
    /// How often to save the position.
    pub checkpoint: CheckpointEvery,
    /// The files to write; `None` for standard output and brokers.
    pub output: Option<OutputSettings>,
    /// The broker or database to write to; excludes `output`.
    pub to: Option<To>,
    /// How to render events; `None` to write them unchanged.
    pub render: Option<Render>,
    /// The conditions that end the run.
    pub stop: StopRules,
    /// The queue between reader and writer.
    pub buffer: Buffer,
    /// Whether to receive zstd.
    pub compression: Compression,
    /// Whether to check the whole JSON grammar of events, and not only their structure.
    pub strict: bool,
    /// Limits of connections and of attempts to connect.
    pub connection: Connection,
    /// `--ca-file`: certificates to trust in addition to those of the platform.
    pub ca_file: ExtraRoots,
    /// How to read history from the archive.
    pub archive: Archive,
    /// The second server to compare with; it is the last one of `endpoints`.
    pub witness: Option<Witness>,
    /// Whether what the lists of accounts and collections gain gets its history.
    pub backfill_new: bool,
    /// What to do when events are missing.
    pub on_gap: OnGap,
    /// How long to write received events after a stop.
    pub drain_timeout: Duration,
    /// Handles whose DIDs are to be added to the filter before it is used.
    pub handles: Option<Handles>,
    /// The address that serves metrics over HTTP; `None` for no server.
    pub metrics_listen: Option<SocketAddr>,
}

/// `--to`.
#[derive(Clone, Debug)]
pub enum To {
    /// A message broker.
    Broker(BrokerSettings),
    /// A SQLite database.
    Database(Box<DatabaseSettings>),
}

impl To {
    /// Returns the database, if it is one.
    #[must_use]
    pub fn database(&self) -> Option<&DatabaseSettings> {
        match self {
            Self::Broker(_) => None,
            Self::Database(database) => Some(database),
        }
    }
}

/// The handles among the values of `--did`, and how to resolve them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handles {
    /// The handles; never empty.
    pub names: Vec<Handle>,
    /// `--dns-server`.
    pub dns_server: Option<SocketAddr>,
}

/// `--archive`, `--archive-parallelism`, `--archive-max-bytes` and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// When to read it.
    pub mode: ArchiveMode,
    /// Most parallel downloads, and most blocks decoded in parallel; at least 1.
    pub parallelism: usize,
    /// The API key to send.
    pub key: Option<ApiKey>,
    /// Most bytes that the run downloads from archives; `None` for no limit.
    pub max_bytes: Option<u64>,
    /// The stripe to read, and the start of the history that it is a part of.
    pub stripe: Option<(Stripe, BackfillStart)>,
}

/// `--archive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveMode {
    /// If the live stream can't serve what is asked for, and the server has one.
    Auto,
    /// Also in place of a long replay of the live stream, if the archive is faster. Its server may
    /// have removed superseded events.
    Prefer,
    /// Never.
    Off,
}

/// `--output`, `--rotate` and `--append`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// The names of the files, and when the next one begins.
    pub naming: Naming,
    /// Whether to append to a file that skytail did not write.
    pub append: bool,
    /// Why a file that the state file does not know must not have this name.
    pub objection: Option<String>,
    /// What Parquet files have beside the events; other files ignore it.
    pub parquet: ParquetSettings,
}

/// `--jq`, `--format` and the flags that belong to them.
#[derive(Clone, Debug)]
pub struct Render {
    /// How to render events.
    pub config: RenderConfig,
    /// What to do with an event that can't be rendered.
    pub on_error: RenderErrors,
}

/// `--jq-errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderErrors {
    /// Skip the event, and count it.
    Skip,
    /// Stop before the event.
    Fail,
}

/// `--cursor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorMode {
    /// From now on.
    Live,
    /// Where this consumer stopped; `--from` if nothing is saved.
    Auto,
    /// From the oldest event the server holds.
    Oldest,
    /// From a time.
    Time(TimeUs),
    /// From a sequence number; v2 servers only.
    Seq(Seq),
}

/// `--last` and `--last-within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// The number of events; 1 to 100,000.
    pub count: usize,
    /// How far back they may lie.
    pub within: LastWithin,
}

/// `--last-within`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastWithin {
    /// As far as the server replays.
    Lookback,
    /// This many microseconds.
    Us(u64),
    /// As far as the archive reaches.
    All,
}

/// `--checkpoint-every` and `--checkpoint-events`: the first that is reached applies.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointEvery {
    /// Longest time between two saves while events flow.
    pub interval: Duration,
    /// Most events between two saves; `None` for no limit.
    pub events: Option<u64>,
}

/// The conditions that end a run without a signal.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopRules {
    /// After this many lines.
    pub limit: Option<u64>,
    /// At the first event at or after this time.
    pub until: Option<TimeUs>,
    /// When the replay has caught up with the live stream.
    pub exit_when_live: bool,
    /// After this long.
    pub timeout: Option<Duration>,
}

/// The bounds of the queue between reader and writer.
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// Most events; at least 1.
    pub events: usize,
    /// Most bytes; at least 1. A larger message passes alone through an empty queue.
    pub bytes: usize,
    /// What to do when either limit is reached.
    pub when_full: WhenFull,
    /// Warn when more than this many events stay queued.
    pub max_lag_events: Option<u64>,
}

impl Buffer {
    /// Returns the maximum number of events in a batch; at least 1. A small buffer still has room
    /// for several batches, so that neither side waits until the other has processed all of it.
    #[must_use]
    pub fn batch_events(&self) -> usize {
        (self.events / 4).max(1)
    }
}

/// `--when-full`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Stop reading the socket.
    Block,
    /// Drop new events.
    DropNewest,
    /// Drop the events that wait longest.
    DropOldest,
}

/// `--compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Whether to request zstd.
    pub mode: CompressMode,
    /// `--zstd-dictionary`.
    pub dictionary: Option<PathBuf>,
}

/// The keywords of `--compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressMode {
    /// zstd if a dictionary is available.
    Auto,
    /// zstd, or fail.
    On,
    /// Plain text.
    Off,
}

/// Limits of one connection and of attempts to connect.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Timeout of DNS, TCP, proxy, TLS and the WebSocket handshake together.
    pub connect_timeout: Duration,
    /// Idle time after which a ping is sent.
    pub ping_after: Duration,
    /// Timeout for any byte after that ping.
    pub pong_timeout: Duration,
    /// Time without an event after which a connection counts as dead; `None` for never.
    pub stall_timeout: Option<Duration>,
    /// Failed attempts in a row, over all servers, after which skytail gives up.
    pub max_retries: MaxRetries,
    /// Largest message accepted, in bytes, after decompression.
    pub max_message_bytes: usize,
    /// Dedup overlap: how far a new connection rewinds, in microseconds of event time.
    pub rewind_us: u64,
    /// Cutover from the replay of a legacy server to its live stream.
    pub join: JoinMode,
    /// Failback: how long the first server must work before skytail returns to it; `None` to stay
    /// with the current server.
    pub prefer_first: Option<Duration>,
}

/// `--on-gap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// Warn, record the gap in the state file, and continue.
    Warn,
    /// Report and record the gap, and stop before it.
    Fail,
}

/// `--join`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinMode {
    /// With a live connection during the replay, for servers that would lose events otherwise.
    Auto,
    /// On one connection, on which the server switches.
    Single,
}

/// What a run shows on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplaySettings {
    /// `-q`: errors only, no summary, no progress.
    pub quiet: bool,
    /// How often `-v` was given: 0 for warnings and notices, 1 for more, 2 for everything.
    pub verbosity: u8,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// Whether to use colours; takes `NO_COLOR` into account.
    pub color: ColorMode,
    /// Whether to show progress.
    pub progress: ProgressMode,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColorMode {
    /// If stderr is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// If stderr is a terminal that does not also show the events.
    Auto,
    /// Even if stdout is the same terminal, or stderr is not a terminal.
    Always,
    /// Never.
    Never,
}

/// `--max-retries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxRetries {
    /// Give up after 8 failed retries before the first event, and never after it.
    OnceConnected,
    /// Never give up.
    Unlimited,
    /// Give up after this many failed retries in a row.
    Limit(u32),
}
