//! Servers and proxies that differ a little from the usual ones, over real sockets: what the
//! standards allow works, and errors name what does not.

mod answers;
mod logs;
mod no_network;
mod proxies;
mod tls;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::support::PATIENCE;
use crate::support::run::Tail;
use crate::support::scripted::texts;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A listener that passes each connection to `serve` in a thread, until the test's process ends.
fn listener(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> SocketAddr {
    listener_at("127.0.0.1:0", serve).unwrap()
}

fn listener_at(
    address: &str,
    serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// Reads a head, up to its empty line.
fn read_head(stream: &mut impl Read) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Returns the value of a header.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Accepts a WebSocket as most servers do, and sends three events.
fn stream_events(mut stream: impl Read + Write) -> io::Result<()> {
    let head = read_head(&mut stream)?;
    let key = header(&head, "sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes())?;
    stream.write_all(&texts(crate::support::events(3, true)))?;
    stream.flush()?;
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

/// A run that ends after three events, and gives up at the first failure. Its connect timeout is
/// longer than a test waits, so each error must be detected at once.
fn tail(host: &str) -> Tail {
    Tail::of_host(host).flags(&["-n", "3", "--max-retries", "0", "--connect-timeout", "5m"])
}
