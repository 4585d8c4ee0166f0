use std::sync::Arc;

use super::*;
use crate::compression::inflate::InflateError;
use crate::position::Seq;
use crate::source::client::ConnectError;
use crate::source::http::error_body::XrpcError;
use crate::source::websocket::handshake::HandshakeError;
use Learned as L;
use NextAction::{BackOff, ConnectNow, GiveUp};

const MINUTE: Duration = Duration::from_secs(60);

/// A legacy or v2 server that resumes by time, one of several.
const FACTS: Facts = Facts {
    needs_seq: false,
    requires_compression: false,
    may_use_v1: false,
    was_not_v2: false,
    requested: RequestedCursor::Instant(TimeUs(7)),
    may_be_too_slow: false,
    any_success: false,
    others_refuse: false,
};

fn stream(error: StreamError) -> Disconnect {
    Disconnect::Stream(error)
}

fn dictionary() -> Disconnect {
    stream(StreamError::Dictionary(InflateError::Dictionary { frame: 1, ours: 2 }))
}

fn handshake(source: HandshakeError) -> Disconnect {
    Disconnect::Connect(ConnectError::Handshake { server: Arc::from("wss://h.example"), source })
}

fn refused(permanent: bool) -> Disconnect {
    let body = String::new();
    let refused = HandshakeError::Refused {
        status: 403,
        body,
        xrpc: None,
        retry_after: None,
        permanent,
        is_cut: false,
    };
    handshake(refused)
}

fn subprotocol() -> Disconnect {
    let (picked, offered) = ("x".to_owned(), "y".to_owned());
    handshake(HandshakeError::Subprotocol { picked, offered })
}

fn too_old() -> Disconnect {
    let xrpc = XrpcError { name: "CursorTooOld".to_owned(), message: String::new() };
    let refused = HandshakeError::Refused {
        status: 400,
        body: String::new(),
        xrpc: Some(xrpc),
        retry_after: None,
        permanent: true,
        is_cut: false,
    };
    handshake(refused)
}

/// A disconnect, the change to [`FACTS`], and what follows.
type Row = (Disconnect, fn(&mut Facts), NextAction);

#[test]
fn each_disconnect_leads_to_its_action() {
    let closed = || stream(StreamError::Closed { code: Some(1000), reason: String::new() });
    let stalled = || Disconnect::Dead(LivenessFailure::Stalled(MINUTE));
    let table: [Row; 35] = [
        // Lost connections.
        (closed(), |_| {}, BackOff(L::ConnectionLost)),
        (closed(), |f| f.may_be_too_slow = true, BackOff(L::ConnectionLost)),
        (stream(StreamError::Ended), |_| {}, BackOff(L::ConnectionLost)),
        (stream(StreamError::Ended), |f| f.may_be_too_slow = true, BackOff(L::ReplayCut)),
        (Disconnect::JoinTooLong, |_| {}, BackOff(L::ConnectionLost)),
        (Disconnect::Stopped, |_| {}, BackOff(L::ConnectionLost)),
        (stalled(), |_| {}, BackOff(L::Stalled(MINUTE))),
        (Disconnect::Dead(LivenessFailure::NoPong(MINUTE)), |_| {}, BackOff(L::Nothing)),
        (Disconnect::Lagging(TimeUs(1)), |_| {}, BackOff(L::Lagging)),
        // Steps of a replay.
        (Disconnect::ReplayLimit, |_| {}, ConnectNow(L::ReplayComplete)),
        (Disconnect::ScannedTo(TimeUs(3)), |_| {}, ConnectNow(L::ScannedTo(TimeUs(3)))),
        (Disconnect::CursorExpired(TimeUs(3)), |_| {}, ConnectNow(L::CursorExpired(TimeUs(3)))),
        (Disconnect::Renumbered, |_| {}, ConnectNow(L::Renumbered)),
        (Disconnect::LacksEvents("w".into()), |_| {}, ConnectNow(L::LacksEvents)),
        (Disconnect::PrimaryRecovered, |_| {}, ConnectNow(L::PrimaryRecovered)),
        // Sequence numbers.
        (stream(StreamError::NoSequence), |_| {}, ConnectNow(L::LacksSeq)),
        (stream(StreamError::NoSequence), |f| f.needs_seq = true, GiveUp),
        (too_old(), |f| f.requested = RequestedCursor::Seq(Seq(9)), ConnectNow(L::CursorTooOld)),
        (too_old(), |_| {}, BackOff(L::Refuses)),
        (too_old(), |f| f.others_refuse = true, GiveUp),
        // Compression.
        (dictionary(), |_| {}, ConnectNow(L::UnknownDictionary)),
        (dictionary(), |f| f.requires_compression = true, GiveUp),
        // Refusals.
        (refused(false), |_| {}, BackOff(L::Nothing)),
        (refused(false), |f| f.others_refuse = true, BackOff(L::Nothing)),
        (refused(true), |_| {}, BackOff(L::Refuses)),
        (refused(true), |f| f.others_refuse = true, GiveUp),
        (refused(true), |f| f.any_success = true, BackOff(L::Refuses)),
        (subprotocol(), |_| {}, BackOff(L::Refuses)),
        (subprotocol(), |f| f.any_success = true, BackOff(L::Nothing)),
        // A v2 answer that is not v2.
        (stream(StreamError::NotV2), |f| f.may_use_v1 = true, ConnectNow(L::SpeaksV1)),
        (
            stream(StreamError::NotV2),
            |f| (f.may_use_v1, f.was_not_v2) = (true, true),
            BackOff(L::IsNotV2),
        ),
        (stream(StreamError::NotV2), |_| {}, BackOff(L::IsNotV2)),
        (stream(StreamError::NotV2), |f| f.was_not_v2 = true, BackOff(L::RefusesV2)),
        (
            stream(StreamError::NotV2),
            |f| (f.was_not_v2, f.any_success) = (true, true),
            BackOff(L::IsNotV2),
        ),
        (stream(StreamError::NotV2), |f| (f.was_not_v2, f.others_refuse) = (true, true), GiveUp),
    ];
    for (row, (disconnect, change, action)) in table.into_iter().enumerate() {
        let mut facts = FACTS;
        change(&mut facts);
        assert_eq!(next_action(&disconnect, &facts), action, "row {row}: {disconnect}, {facts:?}");
    }
}

#[test]
fn a_replay_moves_between_stream_and_archive_without_a_wait() {
    let slower = Disconnect::ArchiveSlower { archive: 1, live: 2 };
    for (disconnect, learned) in [
        (Disconnect::ArchiveFaster(7), L::ArchiveFaster(7)),
        (slower, L::StreamIsBetter),
        (Disconnect::ArchiveGap(String::new()), L::StreamIsBetter),
    ] {
        assert_eq!(next_action(&disconnect, &FACTS), ConnectNow(learned));
    }
}
