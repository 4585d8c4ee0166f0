//! What a run has learned about one server.

use crate::position::ServerKind;

use super::archive_choice::ArchiveChoice;
use super::silence::SilenceHistory;

/// The state of one endpoint of the list. It lives as long as the run.
#[derive(Debug, Default)]
pub(super) struct EndpointState {
    /// The kind of server, once an event or the protocol has shown it.
    pub(super) kind: Option<ServerKind>,
    /// The server refuses each attempt in the same way, so it is not tried again.
    pub(super) refuses: bool,
    /// The position has a sequence number of this server, and the server has none any more.
    pub(super) lacks_seq: bool,
    /// The server accepted the v2 request and then did not send v2.
    pub(super) is_not_v2: bool,
    /// The server was left because it lacks events.
    pub(super) lacks_events: bool,
    /// The archive can't be used.
    pub(super) archive_unusable: bool,
    /// There is an archive, and something in it could not be read: a gap.
    pub(super) archive_skipped: bool,
    /// The archive was read to its end.
    pub(super) backfilled: bool,
    /// How the archive compares with the live stream.
    pub(super) choice: ArchiveChoice,
    /// How long the server's stream may be silent.
    pub(super) silence: SilenceHistory,
}
