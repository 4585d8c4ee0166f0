//! Pings, slow readers and stopping (§9), on a server in this process with smaller intervals and
//! limits.

use std::net::SocketAddr;
use std::time::Duration;

use skytail::position::ServerKind;
use skytail::serve::{Rate, Recording, ServeSettings, ServerLimits, bind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{PATIENCE, events};

/// A frame without payload, from a server.
const PING: [u8; 2] = [0x89, 0x00];
/// A frame without payload, from a client, masked with zeros.
const MASKED_PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

struct RunningServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn serve(kind: ServerKind, settings: ServeSettings) -> RunningServer {
    let recording = events(100, kind == ServerKind::V2).join("\n").into_bytes();
    let recording = Recording::from_bytes(recording, "test").unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = ServeSettings { listen, kind: Some(kind), ..settings };
    let server = bind(settings, recording).await.unwrap();
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let run = async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        server.run(stopped).await.unwrap();
    };
    RunningServer { address, stop, task: tokio::spawn(run) }
}

impl RunningServer {
    /// A WebSocket whose frames the test reads itself.
    async fn connect(&self, query: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET /subscribe?{query} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(in_time(stream.read_u8()).await.unwrap());
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        stream
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        in_time(self.task).await.unwrap();
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("timed out")
}

fn fast_pings() -> ServeSettings {
    let limits = ServerLimits {
        ping_every: Duration::from_millis(50),
        // Long enough for a busy machine, and shorter than the twenty pings of a test.
        pong_within: Duration::from_millis(500),
        ..ServerLimits::default()
    };
    ServeSettings { limits, ..ServeSettings::default() }
}

async fn next_ping(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut frame = [0; 2];
    in_time(stream.read_exact(&mut frame)).await?;
    assert_eq!(frame, PING);
    Ok(())
}

#[tokio::test]
async fn v2_drops_a_client_that_ignores_pings() {
    let server = serve(ServerKind::V2, fast_pings()).await;
    let mut stream = server.connect("requireHello=true").await;
    let mut rest = Vec::new();
    in_time(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.is_empty() && rest.chunks(2).all(|frame| frame == PING), "{rest:?}");
    server.stop().await;
}

#[tokio::test]
async fn v2_keeps_a_client_that_answers_pings_and_legacy_keeps_both() {
    for (kind, answers) in [(ServerKind::V2, true), (ServerKind::Legacy, false)] {
        let server = serve(kind, fast_pings()).await;
        let mut stream = server.connect("requireHello=true").await;
        for _ in 0..20 {
            next_ping(&mut stream).await.unwrap();
            if answers {
                stream.write_all(&MASKED_PONG).await.unwrap();
            }
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_after_the_write_timeout() {
    for kind in [ServerKind::V2, ServerKind::Legacy] {
        let limits = ServerLimits {
            v2_write_timeout: Duration::from_millis(50),
            legacy_write_timeout: Duration::from_millis(50),
            ..ServerLimits::default()
        };
        let settings = ServeSettings { limits, looping: true, ..ServeSettings::default() };
        let server = serve(kind, settings).await;
        let mut stream = server.connect("").await;
        // Writing fails as soon as the other side has closed.
        let until_dropped = async {
            while stream.write_all(&MASKED_PONG).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        in_time(until_dropped).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn legacy_disconnects_a_live_client_whose_queue_is_full() {
    let limits = ServerLimits { legacy_queue_events: 50, ..ServerLimits::default() };
    let settings =
        ServeSettings { limits, looping: true, rate: Rate::PerSecond(1e8), ..Default::default() };
    let server = serve(ServerKind::Legacy, settings).await;
    let mut stream = server.connect("").await;
    let mut rest = Vec::new();
    // Whatever came before, the stream ends without a close frame.
    let _ = in_time(stream.read_to_end(&mut rest)).await;
    assert!(!rest.windows(4).any(|w| w[0] == 0x88 && w[2..4] == 1000_u16.to_be_bytes()));
    server.stop().await;
}

#[tokio::test]
async fn run_returns_only_after_every_connection_has_ended() {
    let settings = ServeSettings { looping: true, ..ServeSettings::default() };
    let server = serve(ServerKind::V2, settings).await;
    // One that streams and is never read, one that waits, one that has sent nothing.
    let streaming = server.connect("").await;
    let mut waiting = server.connect("requireHello=true").await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let address = server.address;
    server.stop().await;
    let mut goodbye = Vec::new();
    in_time(waiting.read_to_end(&mut goodbye)).await.unwrap();
    assert_eq!(goodbye, b"\x88\x16\x03\xe9server shutting down");
    assert_eq!(in_time(silent.read(&mut [0])).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
    drop(streaming);
}
