//! What a run was asked to do, in plain validated values. Made by `cli`, read by `pipeline`;
//! it knows neither flags nor files, and holds no state that could not be run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::event::shape::Shape;
use crate::filter::Filter;
use crate::position::{Seq, TimeUs};
use crate::render::Plan;
use crate::sink::broker::BrokerSettings;
use crate::sink::naming::Naming;
use crate::source::archive::key::ApiKey;
use crate::source::endpoint::Endpoint;
use crate::source::handle::Handle;
pub use crate::source::negotiation::ProtocolPreference;
use crate::source::net::tls::ExtraRoots;

/// One run of `skytail tail`.
#[derive(Clone, Debug)]
pub struct TailSettings {
    /// The servers, in order of preference; never empty (ignored with `demo`).
    pub endpoints: Vec<Endpoint>,
    /// Tail the built-in demo server instead.
    pub demo: bool,
    /// Which protocol to speak.
    pub protocol: ProtocolPreference,
    /// The shape of v2 events.
    pub shape: Shape,
    /// What to print.
    pub filter: Filter,
    /// Where to start.
    pub cursor: CursorMode,
    /// Where `auto` starts if nothing is saved: never `Auto` or a seq.
    pub from: CursorMode,
    /// The key of the saved cursor.
    pub consumer: Consumer,
    /// The state file; `None` to save nothing.
    pub state: Option<PathBuf>,
    /// Why nothing is saved, if so.
    pub unsaved: Option<Unsaved>,
    /// How often to save.
    pub checkpoint: CheckpointEvery,
    /// The files to write; `None` for standard output, or a broker.
    pub output: Option<OutputSettings>,
    /// The broker to publish to, if any; there are no files then.
    pub to: Option<BrokerSettings>,
    /// What to make of events; `None` to write them as they are.
    pub render: Option<Render>,
    /// When to stop.
    pub stop: StopRules,
    /// The queue between reader and writer.
    pub buffer: Buffer,
    /// zstd or not.
    pub compression: Compression,
    /// Whether the whole JSON grammar is checked, not only the structure.
    pub strict: bool,
    /// Connection rules.
    pub connection: Connection,
    /// `--ca-file`: the certificates that are trusted besides those of the platform.
    pub ca_file: ExtraRoots,
    /// What lies before a server's live window.
    pub archive: Archive,
    /// What to do where events are missing.
    pub on_gap: OnGap,
    /// How long a stop may take to write what was already received.
    pub drain_timeout: Duration,
    /// Handles that stand for accounts of the filter, and are to be resolved before it is used.
    pub handles: Option<Handles>,
    /// Where to tell the counters over HTTP; `None` for nowhere.
    pub metrics_listen: Option<SocketAddr>,
}

/// The handles among what `--did` names, and how to resolve them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handles {
    /// The handles; never none.
    pub names: Vec<Handle>,
    /// `--dns-server`.
    pub dns_server: Option<SocketAddr>,
}

/// The name of a saved cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The name.
    pub name: String,
    /// Whether the user chose it.
    pub is_chosen: bool,
    /// The name that 0.1.0 gave to the same filters and servers.
    pub former: String,
}

/// Why a run saves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsaved {
    /// `--no-checkpoint`.
    NoCheckpoint,
    /// Standard output is a terminal, and the user did not ask to save.
    Terminal,
    /// The user did not ask to save, and a position is saved that a run was asked to save.
    Kept,
}

/// `--archive`, `--archive-parallelism` and the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Whether to read it where the start needs it and the server has it.
    pub is_wanted: bool,
    /// Downloads, and blocks being decoded, at once; at least 1.
    pub parallelism: usize,
    /// What to show there.
    pub key: Option<ApiKey>,
}

/// `--archive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveMode {
    /// Where the start needs it and the server has it.
    Auto,
    /// Never.
    Off,
}

/// `--output`, `--rotate` and `--append`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSettings {
    /// The names of the files, and when one follows the other.
    pub naming: Naming,
    /// Whether to go on behind the end of a file that somebody else wrote.
    pub append: bool,
}

/// `--jq`, `--format` and what belongs to them.
#[derive(Clone, Debug)]
pub struct Render {
    /// What to make of events.
    pub plan: Plan,
    /// What to do where one can't be rendered.
    pub on_error: RenderErrors,
}

/// `--jq-errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenderErrors {
    /// Leave the event out, and count it.
    Skip,
    /// Stop in front of it.
    Fail,
}

/// `--cursor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorMode {
    /// From now on.
    Live,
    /// Where this consumer stopped; from now on where it never ran.
    Auto,
    /// From the oldest event the server holds.
    Oldest,
    /// From an instant.
    Time(TimeUs),
    /// From a sequence number; v2 servers only.
    Seq(Seq),
}

/// `--checkpoint-every` and `--checkpoint-events`: whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointEvery {
    /// Longest time between two saves while events flow.
    pub interval: Duration,
    /// Most events between two saves; `None` for no such limit.
    pub events: Option<u64>,
}

/// The conditions that end a run by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopRules {
    /// After this many lines.
    pub limit: Option<u64>,
    /// At the first event at or after this instant.
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
    /// Most bytes; at least 1. One larger message passes alone through an empty queue.
    pub bytes: usize,
    /// What to do when either is reached.
    pub when_full: WhenFull,
    /// Warn when more than this many events stay queued.
    pub max_lag_events: Option<u64>,
}

impl Buffer {
    /// Most events of a batch; at least 1.
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
    /// Drop what comes in.
    DropNewest,
    /// Drop what waits longest.
    DropOldest,
}

/// `--compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Whether to ask for it.
    pub mode: CompressMode,
    /// `--zstd-dictionary`.
    pub dictionary: Option<PathBuf>,
}

/// The three words of `--compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressMode {
    /// zstd where the dictionary is installed.
    Auto,
    /// zstd or failure.
    On,
    /// Plain text.
    Off,
}

/// Limits of one connection and of the attempts to have one.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Time for DNS, TCP, proxy, TLS and the WebSocket handshake together.
    pub connect_timeout: Duration,
    /// Silence after which a ping is sent.
    pub ping_after: Duration,
    /// Time for any byte to come back after that ping.
    pub pong_timeout: Duration,
    /// Time without an event after which a stream that can't be quiet counts as dead; `None`
    /// for never.
    pub stall_timeout: Option<Duration>,
    /// Failed attempts in a row, over all servers, after which to give up.
    pub max_retries: MaxRetries,
    /// Largest message accepted, in bytes, after decompression.
    pub max_message_bytes: usize,
    /// How far to rewind on a new connection, in microseconds of event time.
    pub rewind_us: u64,
    /// How a replay from a legacy server meets the live stream.
    pub join: JoinMode,
    /// How long the first server must have been well again before it is preferred to the one
    /// that took over; `None` to stay with that one.
    pub prefer_first: Option<Duration>,
}

/// `--on-gap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGap {
    /// Say so, note it in the state file, and go on.
    Warn,
    /// Say so, note it, and stop in front of it.
    Fail,
}

/// `--join`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinMode {
    /// With a live connection beside the replay, on servers that lose events otherwise.
    Auto,
    /// On one connection, as the server does it.
    Single,
}

/// What a run shows to people, on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisplaySettings {
    /// `-q`: errors only, no summary, no progress.
    pub quiet: bool,
    /// How often `-v` was given: 0 for warnings and notices, 1 for more, 2 for everything.
    pub verbosity: u8,
    /// The form of log lines.
    pub log_format: LogFormat,
    /// Whether to colour. `NO_COLOR` is already part of it.
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
    /// Where stderr is a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// Where a person would see it.
    Auto,
    /// Even where stdout is the same terminal, or stderr none.
    Always,
    /// Never.
    Never,
}

/// `--max-retries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxRetries {
    /// Never give up once a connection has worked, and soon before that.
    OnceConnected,
    /// Never give up.
    Unlimited,
    /// Give up after this many failed retries in a row.
    Limit(u32),
}
