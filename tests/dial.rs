//! From a host name to a WebSocket, against peers that send only the bytes written down here:
//! what is answered is told, and no byte of the stream is lost.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skytail::source::dial::{DialError, DialProblem, Phase, dial};
use skytail::source::endpoint::{self, Endpoint};
use skytail::source::handshake::{HandshakeError, Request, Upgraded, upgrade};
use skytail::source::proxy::Proxies;
use skytail::source::tls::{TlsContext, TlsProblem};
use skytail::source::transport::Transport;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

fn ample() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn trusting_the_test_authority() -> TlsContext {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(file("ca.pem")).unwrap();
    roots.add(ca).unwrap();
    TlsContext::with_roots(roots).unwrap()
}

fn trusting_nobody() -> TlsContext {
    TlsContext::with_roots(RootCertStore::empty()).unwrap()
}

/// A listener on loopback; one connection is served by `script`.
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

async fn upgrade_with<F, Fut>(script: F) -> Result<Upgraded, HandshakeError>
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (address, served) = peer(script).await;
    let endpoint = plain(address);
    let transport = dial(&endpoint, &Proxies::none(), &trusting_nobody(), ample()).await.unwrap();
    let request = Request {
        path: "/subscribe".to_owned(),
        query: "wantedCollections=app.bsky.feed.post".to_owned(),
        ..Request::default()
    };
    let outcome = upgrade(transport, &endpoint, &request, ample()).await;
    if outcome.is_err() {
        served.await.unwrap();
    }
    outcome
}

/// Answers one request with these bytes and closes.
async fn answer_with(bytes: &'static [u8]) -> Result<Upgraded, HandshakeError> {
    upgrade_with(move |mut stream| async move {
        request_head(&mut stream).await;
        // The client may have heard enough before the end.
        let _ = stream.write_all(bytes).await;
    })
    .await
}

async fn everything(upgraded: Upgraded) -> Vec<u8> {
    let Upgraded { mut stream, mut leftover, .. } = upgraded;
    stream.read_to_end(&mut leftover).await.unwrap();
    leftover
}

#[tokio::test]
async fn a_head_in_single_bytes_is_understood_and_nothing_behind_it_is_lost() {
    let upgraded = upgrade_with(|mut stream| async move {
        stream.set_nodelay(true).unwrap();
        let head = switching(&request_head(&mut stream).await);
        for byte in head.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        stream.write_all(b"frames").await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(upgraded.response_headers["x-kind"], "test");
    assert_eq!(everything(upgraded).await, b"frames");
}

#[tokio::test]
async fn frames_in_the_segment_of_the_head_are_kept() {
    let frames: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    let expected = frames.clone();
    let upgraded = upgrade_with(|mut stream| async move {
        let mut all = switching(&request_head(&mut stream).await).into_bytes();
        all.extend_from_slice(&frames);
        stream.write_all(&all).await.unwrap();
    })
    .await
    .unwrap();
    assert!(!upgraded.leftover.is_empty(), "the case is not exercised");
    assert_eq!(everything(upgraded).await, expected);
}

#[tokio::test]
async fn the_request_says_who_asks_for_what() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let (address, _served) = peer(|mut stream| async move {
        let head = request_head(&mut stream).await;
        stream.write_all(switching(&head).as_bytes()).await.unwrap();
        tell.send(head).unwrap();
    })
    .await;
    let endpoint = endpoint::parse(&format!("ws://al:secret@{address}/base/subscribe")).unwrap();
    let transport = dial(&endpoint, &Proxies::none(), &trusting_nobody(), ample()).await.unwrap();
    let request = Request {
        path: "/subscribe".to_owned(),
        query: "cursor=1&compress=true".to_owned(),
        headers: vec![("x-extra".parse().unwrap(), "yes".parse().unwrap())],
        ..Request::default()
    };
    upgrade(transport, &endpoint, &request, ample()).await.unwrap();
    let head = told.await.unwrap();
    assert!(head.starts_with("GET /base/subscribe?cursor=1&compress=true HTTP/1.1\r\n"));
    assert_eq!(header(&head, "host"), Some(address.to_string().as_str()));
    assert_eq!(header(&head, "user-agent"), Some(concat!("skytail/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(header(&head, "authorization"), Some("Basic YWw6c2VjcmV0"));
    assert_eq!(header(&head, "x-extra"), Some("yes"));
    assert_eq!(header(&head, "sec-websocket-protocol"), None);
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
}

#[tokio::test]
async fn refusals_come_with_the_servers_words() {
    let bad = answer_with(
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 26\r\n\r\nsubscribe: \x1b[1minvalid DID\nignored",
    );
    let error = bad.await.unwrap_err();
    assert!(error.is_permanent());
    assert_eq!(error.to_string(), "the server answers HTTP 400: subscribe: [1minvalid DID");
    let busy = answer_with(
        b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\nservice not ready: bootstrap in progress\n",
    );
    let error = busy.await.unwrap_err();
    assert!(!error.is_permanent());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.to_string().ends_with("503: service not ready: bootstrap in progress"));
    for (bytes, permanent) in [
        (&b"HTTP/1.1 401 No\r\n\r\n"[..], true),
        (b"HTTP/1.1 403 No\r\n\r\n", true),
        (b"HTTP/1.1 404 No\r\n\r\n", true),
        (b"HTTP/1.1 429 No\r\n\r\n", false),
        (b"HTTP/1.1 426 No\r\n\r\n", false),
        (b"HTTP/1.1 200 OK\r\n\r\n", false),
        (b"HTTP/1.0 502 Bad Gateway\n\n", false),
    ] {
        let error = answer_with(bytes).await.unwrap_err();
        assert!(matches!(error, HandshakeError::Refused { .. }), "{error:?}");
        assert_eq!(error.is_permanent(), permanent, "{error}");
    }
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let error =
        answer_with(b"HTTP/1.1 302 Found\r\nLocation: https://other.example/x?secret\r\n\r\n")
            .await
            .unwrap_err();
    assert!(
        matches!(error, HandshakeError::Redirected { status: 302, ref location } if location == "https://other.example")
    );
}

#[tokio::test]
async fn answers_that_are_no_handshake_are_refused() {
    let garbage = answer_with(b"SSH-2.0-OpenSSH_9.6\r\n").await.unwrap_err();
    assert!(
        garbage.to_string().contains("not HTTP; it starts with \"SSH-2.0-OpenSSH_9.6\""),
        "{garbage}"
    );
    let wrong_key = answer_with(
        b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    );
    let error = wrong_key.await.unwrap_err();
    assert!(matches!(error, HandshakeError::Protocol(_)), "{error:?}");
    assert!(!error.is_permanent());
    let no_upgrade = answer_with(b"HTTP/1.1 101 X\r\n\r\n").await.unwrap_err();
    assert!(matches!(no_upgrade, HandshakeError::Protocol(_)));
    let not_a_head = answer_with(b"HTTP/1.1 \xff\xff\r\n\r\n").await.unwrap_err();
    assert!(matches!(not_a_head, HandshakeError::Protocol(_)), "{not_a_head:?}");
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let endless = upgrade_with(|mut stream| async move {
        request_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 101 X\r\n").await.unwrap();
        // Ends when the client hangs up.
        while stream.write_all(b"X-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await.is_ok() {}
    });
    let error = endless.await.unwrap_err();
    assert!(error.to_string().contains("no end within 65536 bytes"), "{error}");
}

#[tokio::test]
async fn an_early_end_is_told_as_one() {
    for bytes in [&b""[..], b"HTTP/1.1 101 Switching", b"HTT"] {
        let error = answer_with(bytes).await.unwrap_err();
        assert!(matches!(error, HandshakeError::Cut(_)), "{error:?}");
        assert!(!error.is_permanent());
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up_at_the_deadline() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (address, served) = peer(|stream| async move {
        let _ = ended.await;
        drop(stream);
    })
    .await;
    let endpoint = plain(address);
    let transport = dial(&endpoint, &Proxies::none(), &trusting_nobody(), ample()).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let request = Request { path: "/".to_owned(), ..Request::default() };
    let error = upgrade(transport, &endpoint, &request, soon).await;
    assert!(matches!(error, Err(HandshakeError::TimedOut)));
    end.send(()).unwrap();
    served.await.unwrap();
}

async fn fails(endpoint: &str, proxies: &Proxies) -> DialError {
    let endpoint = endpoint::parse(endpoint).unwrap();
    dial(&endpoint, proxies, &trusting_nobody(), ample()).await.unwrap_err()
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_told_apart() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = fails(&format!("127.0.0.1:{port}"), &Proxies::none()).await;
    assert!(matches!(error.problem, DialProblem::Refused), "{error:?}");
    assert_eq!(error.peer, format!("127.0.0.1:{port}"));
    assert!(!error.is_permanent());
    let error = fails("no-such-host.invalid", &Proxies::none()).await;
    assert!(matches!(error.problem, DialProblem::UnknownHost(_)), "{error:?}");
    assert!(error.to_string().starts_with("no-such-host.invalid:443: "), "{error}");
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(file(certificate)).unwrap()];
    let key = PrivateKeyDer::from_pem_file(file("leaf.key.pem")).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// A TLS server with this certificate that echoes one byte.
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
    dial(&endpoint, &Proxies::none(), tls, ample()).await
}

fn tls_problem(outcome: Result<Transport, DialError>) -> TlsProblem {
    match outcome.unwrap_err() {
        DialError { problem: DialProblem::Tls(problem), .. } => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_trusted_certificate_opens_a_stream() {
    let mut stream = dial_tls("good.pem", &trusting_the_test_authority()).await.unwrap();
    stream.write_u8(7).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 7);
}

#[tokio::test]
async fn a_bad_certificate_is_told_with_its_fault() {
    let trusting = trusting_the_test_authority();
    let expired = tls_problem(dial_tls("expired.pem", &trusting).await);
    assert_eq!(expired, TlsProblem::Expired);
    let unknown = tls_problem(dial_tls("good.pem", &trusting_nobody()).await);
    assert_eq!(unknown, TlsProblem::UnknownIssuer);
    let other = tls_problem(dial_tls("other.pem", &trusting).await);
    assert!(
        matches!(other, TlsProblem::WrongName(ref names) if names.contains("other.example")),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_plain_server_behind_wss_is_told_as_such() {
    let (address, _served) = peer(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let endpoint = endpoint::parse(&format!("wss://localhost:{}", address.port())).unwrap();
    let outcome = dial(&endpoint, &Proxies::none(), &trusting_nobody(), ample()).await;
    assert_eq!(tls_problem(outcome), TlsProblem::NotTls);
}

#[tokio::test]
async fn a_stalled_tls_handshake_ends_at_the_deadline() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (address, served) = peer(|stream| async move {
        let _ = ended.await;
        drop(stream);
    })
    .await;
    let endpoint = endpoint::parse(&format!("wss://localhost:{}", address.port())).unwrap();
    let soon = Instant::now() + Duration::from_millis(200);
    let error = dial(&endpoint, &Proxies::none(), &trusting_nobody(), soon).await.unwrap_err();
    assert!(matches!(error.problem, DialProblem::TimedOut(Phase::Tls)), "{error:?}");
    end.send(()).unwrap();
    served.await.unwrap();
}

/// Sends `first`, then whatever comes back.
async fn echoes(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), first: u8) {
    stream.write_u8(first).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), first);
}

#[tokio::test]
async fn an_http_proxy_is_asked_for_a_tunnel() {
    let (address, served) = peer(|mut stream| async move {
        let head = request_head(&mut stream).await;
        assert!(head.starts_with("CONNECT server.invalid:6008 HTTP/1.1\r\n"), "{head}");
        assert_eq!(header(&head, "proxy-authorization"), Some("Basic YWw6c2VjcmV0"));
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
    })
    .await;
    let proxies = Proxies::fixed(&format!("http://al:secret@{address}"), "");
    let endpoint = endpoint::parse("ws://server.invalid:6008").unwrap();
    let mut stream = dial(&endpoint, &proxies, &trusting_nobody(), ample()).await.unwrap();
    echoes(&mut stream, 9).await;
    served.await.unwrap();
}

#[tokio::test]
async fn a_proxys_refusal_is_told_with_its_status() {
    let (address, _served) = peer(|mut stream| async move {
        request_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
    })
    .await;
    let error = fails("server.invalid", &Proxies::fixed(&format!("http://{address}"), "")).await;
    let text = error.to_string();
    assert!(text.starts_with(&format!("proxy {address}: ")), "{text}");
    assert!(text.contains("server.invalid:443 (HTTP 407 Proxy Authentication Required)"), "{text}");
}

#[tokio::test]
async fn a_proxy_that_is_none_is_told_as_such() {
    for bytes in [&b"hello\r\n"[..], b"", b"HTTP/1.1 200 OK\r\n\r\nearly"] {
        let (address, _served) = peer(move |mut stream| async move {
            request_head(&mut stream).await;
            stream.write_all(bytes).await.unwrap();
        })
        .await;
        let error =
            fails("server.invalid", &Proxies::fixed(&format!("http://{address}"), "")).await;
        assert!(matches!(error.problem, DialProblem::Proxy { .. }), "{error:?}");
    }
    let error = fails("server.invalid", &Proxies::fixed("socks4://127.0.0.1:1", "")).await;
    assert!(error.to_string().contains("socks4 proxies are not supported"), "{error}");
}

#[tokio::test]
async fn a_socks_proxy_resolves_the_name_itself() {
    let (address, served) = peer(|mut stream| async move {
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello, [5, 1, 0]);
        stream.write_all(&[5, 0]).await.unwrap();
        let mut wanted = [0; 21];
        stream.read_exact(&mut wanted).await.unwrap();
        assert_eq!(&wanted, b"\x05\x01\x00\x03\x0eserver.invalid\x17\x78");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
    })
    .await;
    let endpoint = endpoint::parse("ws://server.invalid:6008").unwrap();
    let proxies = Proxies::fixed(&format!("socks5h://{address}"), "");
    let mut stream = dial(&endpoint, &proxies, &trusting_nobody(), ample()).await.unwrap();
    echoes(&mut stream, 3).await;
    served.await.unwrap();
}

#[tokio::test]
async fn no_proxy_and_loopback_are_dialled_directly() {
    // Nothing listens on port 1: a connection through this proxy would be refused there.
    let proxies = Proxies::fixed("http://127.0.0.1:1", "invalid");
    let error = fails("server.invalid", &proxies).await;
    assert_eq!(error.peer, "server.invalid:443");
    let error = fails("server.example", &proxies).await;
    assert_eq!(error.peer, "proxy 127.0.0.1:1");
    let (address, _served) = peer(|_| async {}).await;
    let endpoint = plain(address);
    dial(&endpoint, &proxies, &trusting_nobody(), ample()).await.unwrap();
}

#[tokio::test]
async fn tls_runs_inside_the_tunnel_of_an_https_proxy() {
    let (outer, inner) = (acceptor("good.pem"), acceptor("other.pem"));
    let (address, served) = peer(|stream| async move {
        let mut stream = outer.accept(stream).await.unwrap();
        let head = request_head(&mut stream).await;
        assert!(head.starts_with("CONNECT other.example:443 "), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut stream = inner.accept(stream).await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
        stream.flush().await.unwrap();
    })
    .await;
    let proxies = Proxies::fixed(&format!("https://localhost:{}", address.port()), "");
    let endpoint = endpoint::parse("other.example").unwrap();
    let tls = trusting_the_test_authority();
    let mut stream = dial(&endpoint, &proxies, &tls, ample()).await.unwrap();
    echoes(&mut stream, 5).await;
    served.await.unwrap();
}

#[tokio::test]
async fn a_socks_proxy_is_given_user_and_password_and_its_refusal_told() {
    let (address, served) = peer(|mut stream| async move {
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello, [5, 1, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 11];
        stream.read_exact(&mut login).await.unwrap();
        assert_eq!(&login, b"\x01\x02al\x06secret");
        stream.write_all(&[1, 1]).await.unwrap();
    })
    .await;
    let proxies = Proxies::fixed(&format!("socks5h://al:secret@{address}"), "");
    let error = fails("server.invalid", &proxies).await;
    served.await.unwrap();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("proxy {address}: no tunnel to server.invalid:443: ")),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}
