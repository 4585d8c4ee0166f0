//! Decides what the reader does after a disconnect. A pure function, tested as a table; the
//! archive has its own rules (`backfill`).

use std::time::Duration;

use crate::position::TimeUs;
use crate::source::RequestedCursor;
use crate::source::connection::StreamError;
use crate::source::liveness::LivenessFailure;

use super::Disconnect;

/// What the decision depends on beside the disconnect.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// Only a sequence number says where to start: `--cursor SEQ`, and nothing is written yet.
    pub(super) needs_seq: bool,
    /// `--compress on`.
    pub(super) requires_compression: bool,
    /// v1 may be tried in place of v2.
    pub(super) may_use_v1: bool,
    /// The same server has failed to send v2 before.
    pub(super) was_not_v2: bool,
    /// Where the connection asked to start.
    pub(super) requested: RequestedCursor,
    /// The connection was a replay of a legacy server, which drops slow replays.
    pub(super) may_be_too_slow: bool,
    /// Some connection of the run brought an event.
    pub(super) any_success: bool,
    /// Every other server refuses for good.
    pub(super) others_refuse: bool,
}

/// What the reader does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextAction {
    /// Ends the run with the disconnect as its error.
    GiveUp,
    /// Connects again without a wait.
    ConnectNow(Learned),
    /// Connects again after a backoff. If the connection brought no event, the next server of
    /// the list is tried.
    BackOff(Learned),
}

/// What a disconnect says about the server or the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// Nothing: the attempt did not get as far as an event.
    Nothing,
    /// The connection was lost, but not because the replay was too slow.
    ConnectionLost,
    /// A legacy server dropped a replay.
    ReplayCut,
    /// The replay came as far as it may be trusted.
    ReplayComplete,
    /// A legacy server has scanned all events before this time.
    ScannedTo(TimeUs),
    /// No event came for this long.
    Stalled(Duration),
    /// The newest event is older than the output.
    Lagging,
    /// The server has no sequence numbers.
    LacksSeq,
    /// The sequence numbers contradict the position.
    Renumbered,
    /// The server speaks v1 only.
    SpeaksV1,
    /// The server did not send v2.
    IsNotV2,
    /// The server compresses with a dictionary that is not here.
    UnknownDictionary,
    /// The server refuses for good.
    Refuses,
    /// The server refuses for good, because it did not send v2.
    RefusesV2,
    /// The server refused the sequence number as older than what it holds.
    CursorTooOld,
    /// The stream starts later than this time, which the connection asked for.
    CursorExpired(TimeUs),
    /// The archive is worth reading in place of a live replay of this rate.
    ArchiveFaster(u64),
    /// The live stream is better than the archive that is read in its place.
    StreamIsBetter,
    /// The server lacks events that another one has.
    LacksEvents,
    /// The first server of the list works again.
    PrimaryRecovered,
    /// The filter has changed.
    FilterChanged,
}

/// Decides what to do after `disconnect`.
pub(super) fn next_action(disconnect: &Disconnect, facts: &Facts) -> NextAction {
    use NextAction::{BackOff, ConnectNow, GiveUp};

    match disconnect {
        Disconnect::Stream(StreamError::NoSequence) if facts.needs_seq => GiveUp,
        Disconnect::Stream(StreamError::NoSequence) => ConnectNow(Learned::LacksSeq),
        Disconnect::Stream(StreamError::NotV2) => after_no_v2(facts),
        Disconnect::Stream(StreamError::Dictionary(_)) if facts.requires_compression => GiveUp,
        Disconnect::Stream(StreamError::Dictionary(_)) => ConnectNow(Learned::UnknownDictionary),
        Disconnect::Stream(error) if error.is_abrupt() && facts.may_be_too_slow => {
            BackOff(Learned::ReplayCut)
        }
        Disconnect::Dead(LivenessFailure::Stalled(limit)) => BackOff(Learned::Stalled(*limit)),
        Disconnect::Dead(LivenessFailure::NoPong(_)) => BackOff(Learned::Nothing),
        Disconnect::ReplayLimit => ConnectNow(Learned::ReplayComplete),
        Disconnect::ScannedTo(limit) => ConnectNow(Learned::ScannedTo(*limit)),
        Disconnect::Renumbered => ConnectNow(Learned::Renumbered),
        Disconnect::LacksEvents(_) => ConnectNow(Learned::LacksEvents),
        Disconnect::PrimaryRecovered => ConnectNow(Learned::PrimaryRecovered),
        Disconnect::FilterChanged => ConnectNow(Learned::FilterChanged),
        Disconnect::ArchiveFaster(live_rate) => ConnectNow(Learned::ArchiveFaster(*live_rate)),
        Disconnect::ArchiveSlower { .. } | Disconnect::ArchiveGap(_) => {
            ConnectNow(Learned::StreamIsBetter)
        }
        Disconnect::CursorExpired(time) => ConnectNow(Learned::CursorExpired(*time)),
        Disconnect::Lagging(_) => BackOff(Learned::Lagging),
        Disconnect::Connect(error)
            if error.is_cursor_too_old() && matches!(facts.requested, RequestedCursor::Seq(_)) =>
        {
            ConnectNow(Learned::CursorTooOld)
        }
        Disconnect::Connect(error)
            if error.is_permanent() && !(error.is_unoffered_subprotocol() && facts.any_success) =>
        {
            if facts.others_refuse {
                GiveUp
            } else {
                BackOff(Learned::Refuses)
            }
        }
        Disconnect::Connect(_) => BackOff(Learned::Nothing),
        Disconnect::Stream(_)
        | Disconnect::JoinTooLong
        | Disconnect::BackfillComplete
        | Disconnect::Archive(_)
        | Disconnect::Stopped => BackOff(Learned::ConnectionLost),
    }
}

/// A server accepted the v2 request and sent something else.
fn after_no_v2(facts: &Facts) -> NextAction {
    use NextAction::{BackOff, ConnectNow, GiveUp};

    match (facts.may_use_v1, facts.was_not_v2) {
        (true, false) => ConnectNow(Learned::SpeaksV1),
        (true, true) => BackOff(Learned::IsNotV2),
        // One such message among others is a damaged one, also if it is a connection's first.
        (false, was_not_v2) if !was_not_v2 || facts.any_success => BackOff(Learned::IsNotV2),
        (false, _) if facts.others_refuse => GiveUp,
        (false, _) => BackOff(Learned::RefusesV2),
    }
}

#[cfg(test)]
mod tests;
