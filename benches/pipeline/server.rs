//! The server: one connection, one handshake, and bytes as fast as the client reads them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::load::{Load, Protocol};

/// Bytes written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Listens on a free port.
pub fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen on this machine");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Accepts the next connection that requests this protocol, and answers its handshake.
pub fn accept(listener: &TcpListener, protocol: Protocol) -> Option<TcpStream> {
    let (mut stream, _) = listener.accept().ok()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    if protocol == Protocol::V1 && head.starts_with("GET /xrpc/") {
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        return accept(listener, protocol);
    }
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
    })?;
    let accept = derive_accept_key(key.as_bytes());
    let echo = match protocol {
        Protocol::V1 => "",
        Protocol::V2 => "Sec-WebSocket-Protocol: xrpc.v1.json\r\n",
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         {echo}Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Sends all frames `times` times to the next connection, then a close frame.
pub fn flood<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    listener: TcpListener,
    load: &'scope Load,
    times: usize,
) {
    scope.spawn(move || {
        let Some(mut stream) = accept(&listener, load.protocol) else { return };
        for _ in 0..times {
            for chunk in load.frames.chunks(CHUNK_BYTES) {
                // A program that has what it wants closes the connection.
                if stream.write_all(chunk).is_err() {
                    return;
                }
            }
        }
        let _ = stream.write_all(&[0x88, 2, 3, 0xe8]);
        let _ = stream.read(&mut [0; 64]);
    });
}

/// Sends one frame at a time, evenly spaced, and records when.
pub fn pace(
    listener: TcpListener,
    frames: Vec<Vec<u8>>,
    every: Duration,
) -> JoinHandle<Vec<Instant>> {
    std::thread::spawn(move || {
        let mut sent = Vec::with_capacity(frames.len());
        let Some(mut stream) = accept(&listener, Protocol::V1) else { return sent };
        // Gives the program time to get ready.
        std::thread::sleep(Duration::from_millis(300));
        let mut due = Instant::now();
        for frame in &frames {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            sent.push(Instant::now());
            if stream.write_all(frame).is_err() {
                break;
            }
            due += every;
        }
        let _ = stream.read(&mut [0; 64]);
        sent
    })
}
