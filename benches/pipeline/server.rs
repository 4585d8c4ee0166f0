//! The server: one stream, one handshake, and bytes as fast as the client reads them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
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

/// A connection to a program, with or without TLS.
pub trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// Accepts the next connection that requests a stream of this load, and answers its handshake.
fn accept(listener: &TcpListener, load: &Load) -> Option<Box<dyn Stream>> {
    loop {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nodelay(true).ok()?;
        let mut stream: Box<dyn Stream> = match &load.tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).ok()?;
                Box::new(StreamOwned::new(connection, stream))
            }
            None => Box::new(stream),
        };
        let head = read_head(&mut stream)?;
        if let Some(answer) = answer_to_other(&head, load) {
            let _ = stream.write_all(&answer);
            continue;
        }
        let key = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim().to_owned())
        })?;
        let accept = derive_accept_key(key.as_bytes());
        let echo = match load.protocol {
            Protocol::V1 => "",
            Protocol::V2 => "Sec-WebSocket-Protocol: xrpc.v1.json\r\n",
        };
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             {echo}Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).ok()?;
        return Some(stream);
    }
}

/// Reads the head of a request.
pub fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Returns the response to a request that is not for the stream; `None` for the others.
fn answer_to_other(head: &str, load: &Load) -> Option<Vec<u8>> {
    let target = head.split(' ').nth(1)?;
    let dictionary = load.dictionary.as_ref().filter(|_| target.contains("getZstdDictionary"));
    if let Some(dictionary) = dictionary {
        let id = zstd::zstd_safe::get_dict_id_from_dict(dictionary)?;
        let bytes = dictionary.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Zstd-Dictionary-Id: {id}\r\nContent-Length: {bytes}\r\n\
             Connection: close\r\n\r\n"
        );
        return Some([head.as_bytes(), dictionary].concat());
    }
    let is_other = target.contains("getZstdDictionary")
        || (load.protocol == Protocol::V1 && target.starts_with("/xrpc/"));
    is_other.then(|| {
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    })
}

/// Sends all frames `times` times to the next connection, then a close frame.
pub fn flood<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    listener: TcpListener,
    load: &'scope Load,
    times: usize,
) {
    scope.spawn(move || {
        let Some(mut stream) = accept(&listener, load) else { return };
        for _ in 0..times {
            for chunk in load.frames.chunks(CHUNK_BYTES) {
                // A program that has what it wants closes the connection.
                if stream.write_all(chunk).is_err() {
                    return;
                }
            }
        }
        let _ = stream.write_all(&[0x88, 2, 3, 0xe8]);
        let _ = stream.flush();
        let _ = stream.read(&mut [0; 64]);
    });
}

/// Returns the configuration of a server with the certificate of the tests.
pub fn tls_config() -> Arc<ServerConfig> {
    let chain = vec![CertificateDer::from_pem_file(tls_file("good.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(tls_file("leaf.key.pem")).expect("a key");
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).expect("a fitting key"))
}

/// Returns the path of a file in `tests/tls`.
pub fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

/// Sends one frame at a time, evenly spaced, and records when.
pub fn pace(
    listener: TcpListener,
    frames: Vec<Vec<u8>>,
    every: Duration,
) -> JoinHandle<Vec<Instant>> {
    std::thread::spawn(move || {
        let mut sent = Vec::with_capacity(frames.len());
        let Some(mut stream) = accept(&listener, &Load::none(0)) else { return sent };
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
