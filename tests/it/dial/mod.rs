//! From a host name to a WebSocket, against peers that send only the bytes written down here:
//! errors report the peer's answer, and no byte of the stream is lost.

mod handshake;
mod proxy;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::support::tls::{server_config, tls_file};
use skytail::source::endpoint::{self, Endpoint};
use skytail::source::net::proxy::Proxies;
use skytail::source::net::tls::{TlsContext, TlsProblem};
use skytail::source::net::transport::Transport;
use skytail::source::net::{DialError, DialProblem, dial};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

fn far_deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn trusting_the_test_authority() -> TlsContext {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(tls_file("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    TlsContext::with_roots(roots).unwrap()
}

fn trusting_no_authority() -> TlsContext {
    TlsContext::with_roots(RootCertStore::empty()).unwrap()
}

/// Listens on loopback; `script` serves one connection.
async fn peer<F, Fut>(script: F) -> (SocketAddr, JoinHandle<()>)
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await;
    });
    (address, served)
}

fn plain(address: SocketAddr) -> Endpoint {
    endpoint::parse(&format!("ws://{address}")).unwrap()
}

async fn request_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn switching(request: &str) -> String {
    let accept = derive_accept_key(header(request, "sec-websocket-key").unwrap().as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Kind: test\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

async fn dial_error(endpoint: &str, proxies: &Proxies) -> DialError {
    let endpoint = endpoint::parse(endpoint).unwrap();
    dial(&endpoint, proxies, &trusting_no_authority(), far_deadline()).await.unwrap_err()
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let mut config = server_config(certificate);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Starts a TLS server with this certificate that echoes one byte.
async fn tls_peer(certificate: &str) -> (SocketAddr, JoinHandle<()>) {
    let acceptor = acceptor(certificate);
    peer(|stream| async move {
        if let Ok(mut stream) = acceptor.accept(stream).await {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let byte = stream.read_u8().await.unwrap();
            stream.write_u8(byte).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    })
    .await
}

async fn dial_tls(certificate: &str, tls: &TlsContext) -> Result<Transport, DialError> {
    let (address, _served) = tls_peer(certificate).await;
    let endpoint = endpoint::parse(&format!("wss://localhost:{}", address.port())).unwrap();
    dial(&endpoint, &Proxies::none(), tls, far_deadline()).await
}

fn tls_problem(outcome: Result<Transport, DialError>) -> TlsProblem {
    match outcome.unwrap_err() {
        DialError { problem: DialProblem::Tls(problem), .. } => problem,
        other => panic!("{other:?}"),
    }
}
