//! The settings of a server: what to serve, how fast, with which limits and which faults.

use std::net::SocketAddr;
use std::time::Duration;

use super::archive::ApiKey;
use super::chaos::ChaosSpec;
use super::rate::Rate;
use super::timeline::DEFAULT_SEGMENT_EVENTS;
use crate::compression;
use crate::position::ServerKind;

/// Default number of events in an archive block: ten blocks per segment.
pub const DEFAULT_BLOCK_EVENTS: usize = 1_000;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct ServeSettings {
    /// Address to listen on; port 0 lets the system choose a port.
    pub listen: SocketAddr,
    /// Server to imitate. `None`: v2 if the recording's first event has a `cursor`, otherwise
    /// legacy.
    pub kind: Option<ServerKind>,
    /// Playback speed.
    pub rate: Rate,
    /// Whether the recording starts again at its end. An event of a later round has a later time, a
    /// higher seq and, unless `keeps_event_ids` is set, another event id.
    pub looping: bool,
    /// Whether the events of later rounds have the event ids of the first round.
    pub keeps_event_ids: bool,
    /// Whether to shift all times so that the playhead is at the present (at rate `max`: the last
    /// event).
    pub restamp: bool,
    /// Number of events before the playhead when the first client connects; ignored at rate `max`.
    pub history_events: u64,
    /// Dictionary of `/subscribe`, for clients that request compression.
    pub zstd: ZstdDictionary,
    /// Dictionary of the v2 stream, which the server also hands out.
    pub v2_zstd: ZstdDictionary,
    /// Number of events that the streams can replay, rounded up to whole segments; 0: none, `None`:
    /// all.
    pub retention_events: Option<u64>,
    /// Events per segment of the log. Time cursors are exact except in the newest segment, and the
    /// archive holds all segments except that one.
    pub segment_events: u64,
    /// Events per archive block.
    pub block_events: usize,
    /// Whether the archive removes superseded events.
    pub compacts: bool,
    /// Key that archive clients must send; `None`: no key is required.
    pub api_key: Option<ApiKey>,
    /// Behaviour at the end of the recording.
    pub at_end: AtEnd,
    /// Timeouts and rate limits.
    pub limits: ServerLimits,
    /// Faults to inject.
    pub chaos: Option<ChaosSpec>,
}

/// The source of a zstd dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZstdDictionary {
    /// The given dictionary.
    Given(compression::dictionary::Dictionary),
    /// A dictionary that is trained on the recording when the first client requests it.
    Trained,
}

impl ZstdDictionary {
    pub(super) fn given(self) -> Option<compression::dictionary::Dictionary> {
        match self {
            Self::Given(dictionary) => Some(dictionary),
            Self::Trained => None,
        }
    }
}

/// What a connection does at the end of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// Stays open and sends nothing.
    #[default]
    Idle,
    /// Closes with 1000 `end of recording`.
    Close,
}

/// Intervals and limits of the servers (protocol/jetstream-v1.md §4.2 and §9). Tests scale them
/// down.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Time between two pings.
    pub ping_every: Duration,
    /// Timeout for a pong; v2 only.
    pub pong_within: Duration,
    /// Timeout for a write on v2.
    pub v2_write_timeout: Duration,
    /// Timeout for a write on legacy.
    pub legacy_write_timeout: Duration,
    /// Capacity of a connection's outgoing queue in events, on legacy at a paced rate.
    pub legacy_queue_events: usize,
    /// Events per second that a replay scans before filtering, on legacy at a paced rate.
    pub legacy_replay_per_second: u32,
    /// Events per second sent to one connection, on legacy at a paced rate; `None`: unlimited.
    pub legacy_send_per_second: Option<u32>,
    /// Events per second sent to one connection, on v2; `None`: unlimited.
    pub v2_send_per_second: Option<u32>,
    /// Whether the three legacy limits also apply at rate `max`.
    pub legacy_limits_at_max: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(30),
            pong_within: Duration::from_secs(5),
            v2_write_timeout: Duration::from_secs(5),
            legacy_write_timeout: Duration::from_secs(10),
            legacy_queue_events: 50_000,
            legacy_replay_per_second: 50_000,
            legacy_send_per_second: None,
            v2_send_per_second: None,
            legacy_limits_at_max: false,
        }
    }
}

impl ServerLimits {
    pub(super) fn write_timeout(&self, kind: ServerKind) -> Duration {
        match kind {
            ServerKind::V2 => self.v2_write_timeout,
            ServerKind::Legacy => self.legacy_write_timeout,
        }
    }
}

impl Default for ServeSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 6008)),
            kind: None,
            rate: Rate::Max,
            looping: false,
            keeps_event_ids: false,
            restamp: false,
            history_events: 0,
            zstd: ZstdDictionary::Trained,
            v2_zstd: ZstdDictionary::Trained,
            retention_events: None,
            segment_events: DEFAULT_SEGMENT_EVENTS,
            block_events: DEFAULT_BLOCK_EVENTS,
            compacts: false,
            api_key: None,
            at_end: AtEnd::default(),
            limits: ServerLimits::default(),
            chaos: None,
        }
    }
}
