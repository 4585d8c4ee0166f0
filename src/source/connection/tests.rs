//! Tests a connection over an in-memory transport.

use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::event::format::EventFormat;
use crate::position::{Seq, TimeUs};
use crate::source::decoding::Decompressor;
use crate::source::v1::decoder::V1Decoder;
use crate::source::v2::decoder::V2Decoder;

const LEGACY: &[u8] = br#"{"did":"did:plc:a","time_us":1700000000000000,"kind":"account"}"#;

/// Returns an unmasked frame with a short payload, as a server sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first, u8::try_from(payload.len()).unwrap()];
    frame.extend_from_slice(payload);
    frame
}

/// Returns a v1 connection, and the server's end of it.
fn connect(requested: RequestedCursor, leftover: Vec<u8>) -> (EventConnection, DuplexStream) {
    let decoder = V1Decoder::new(Decompressor::new(None, 100), Arc::default());
    connect_with(Decoder::V1(decoder), requested, leftover)
}

fn connect_with(
    decoder: Decoder,
    requested: RequestedCursor,
    leftover: Vec<u8>,
) -> (EventConnection, DuplexStream) {
    let (client, server) = tokio::io::duplex(1 << 16);
    let upgraded =
        Upgraded { stream: Transport::new(client), leftover, response_headers: HeaderMap::new() };
    let metrics = Arc::new(Metrics::default());
    let params = ConnectionParams {
        label: "h.example".into(),
        filter_fingerprint: 1,
        requested,
        number: 1,
        max_message_bytes: if matches!(decoder, Decoder::V1(_)) { 100 } else { 1000 },
    };
    (EventConnection::new(upgraded, decoder, params, metrics), server)
}

#[tokio::test]
async fn lines_come_from_the_handshake_and_from_the_network_in_order() {
    let requested = RequestedCursor::Instant(TimeUs(5));
    let (mut connection, mut server) = connect(requested, frame(0x81, LEGACY));
    let mut batch = Batch::with_capacity(1 << 16);
    assert_eq!(connection.kind(), None);
    server.write_all(&frame(0x81, b"{broken")).await.unwrap();
    server.write_all(&frame(0x81, LEGACY)).await.unwrap();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    while batch.len() < 3 {
        connection.fill(&mut batch, 100, 1 << 16).await.unwrap();
        lines = batch.lines().map(<[u8]>::to_vec).collect();
    }
    assert_eq!(lines, [LEGACY, b"{broken", LEGACY]);
    assert_eq!((connection.events(), connection.kind()), (3, Some(ServerKind::Legacy)));
    let info = connection.info();
    assert_eq!((info.requested, info.origin.kind), (requested, ServerKind::Legacy));
}

#[tokio::test]
async fn a_sequence_number_is_refused_by_the_first_event_of_a_legacy_server() {
    let (mut connection, _server) = connect(RequestedCursor::Seq(Seq(7)), frame(0x81, LEGACY));
    let mut batch = Batch::default();
    let ended = connection.fill(&mut batch, 100, 1 << 16).await;
    assert!(matches!(ended, Err(StreamError::NoSequence)), "{ended:?}");
    assert!(batch.is_empty());
}

#[tokio::test]
async fn pings_are_answered_and_a_close_frame_ends_the_stream() {
    let first = [frame(0x89, b"hi"), frame(0x8a, b""), frame(0x81, LEGACY)].concat();
    let (mut connection, mut server) = connect(RequestedCursor::Live, first);
    let mut batch = Batch::default();
    assert_eq!(connection.fill(&mut batch, 100, 1 << 16).await.unwrap(), Fill::WouldBlock);
    assert_eq!((connection.messages(), connection.pongs(), connection.events()), (3, 1, 1));
    let mut pong = [0; 8];
    server.read_exact(&mut pong).await.unwrap();
    // A masked pong (RFC 6455 §5.2) with the payload of the ping.
    assert_eq!(pong[..2], [0x8a, 0x82]);
    assert_eq!([pong[6] ^ pong[2], pong[7] ^ pong[3]], *b"hi");
    server.write_all(&frame(0x88, b"\x03\xe9bye")).await.unwrap();
    let ended = connection.fill(&mut Batch::default(), 100, 1 << 16).await.unwrap_err();
    assert_eq!(ended.to_string(), "the server closed the connection with code 1001: bye");
    assert!(!ended.is_abrupt());
}

#[tokio::test]
async fn a_message_over_the_limit_counts_as_an_event_and_costs_no_other() {
    let long = [vec![0x81, 126, 0, 200], vec![b'x'; 200]].concat();
    let first = [long, frame(0x81, LEGACY)].concat();
    let (mut connection, server) = connect(RequestedCursor::Live, first);
    drop(server);
    let mut batch = Batch::default();
    let ended = connection.fill(&mut batch, 100, 1 << 16).await.unwrap_err();
    assert!(ended.is_abrupt(), "{ended}");
    assert!(batch.lines().eq([LEGACY]));
    assert_eq!((connection.events(), connection.metrics.malformed.get()), (2, 1));
}

#[tokio::test]
async fn events_of_v2_stay_encoded_and_other_messages_do_not() {
    let event = |seq: u64| {
        format!(
            r#"{{"$type":"message","payload":{{"$type":"network.bsky.jetstream.subscribeEvents#account","account":{{"active":true}},"did":"did:plc:a","seq":{seq},"time":"2026-07-04T14:38:08.390226Z"}}}}"#
        )
    };
    let info = r#"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#info","name":"N"}}"#;
    let error = r#"{"$type":"error","error":"InternalError","message":"m"}"#;
    let long_frame =
        |text: &str| [&[0x81, 126, 0, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let decoder = V2Decoder::new(EventFormat::V1, Decompressor::new(None, 1000), Arc::default());
    let requested = RequestedCursor::Live;
    let first = long_frame(&event(1));
    let (mut connection, mut server) = connect_with(Decoder::V2(decoder), requested, first);
    connection.set_deferring(true);
    let mut batch = Batch::with_capacity(1 << 16);
    assert_eq!(connection.fill(&mut batch, 100, 1 << 16).await.unwrap(), Fill::WouldBlock);
    assert!(batch.header(0).is_some() && !batch.is_encoded());
    let rest = [&event(2), info, &event(3), "{broken", error, &event(4)];
    server.write_all(&rest.map(long_frame).concat()).await.unwrap();
    let mut batch = Batch::with_capacity(1 << 16);
    let ended = connection.fill(&mut batch, 100, 1 << 16).await.unwrap_err();
    assert!(matches!(ended, StreamError::ServerClose(_)), "{ended}");
    assert!(batch.is_encoded());
    assert!(batch.lines().eq([event(2).as_bytes(), event(3).as_bytes()]));
    assert_eq!(connection.events(), 4);
}
