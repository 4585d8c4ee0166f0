//! Proxies: what the client sends to them, what they answer, and when none is used.

use skytail::source::endpoint;
use skytail::source::net::proxy::Proxies;
use skytail::source::net::{DialProblem, dial};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    acceptor, dial_error, far_deadline, header, peer, plain, request_head, trusting_no_authority,
    trusting_the_test_authority,
};

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
    let mut stream =
        dial(&endpoint, &proxies, &trusting_no_authority(), far_deadline()).await.unwrap();
    echoes(&mut stream, 9).await;
    served.await.unwrap();
}

#[tokio::test]
async fn a_proxys_refusal_is_reported_with_its_status() {
    let (address, _served) = peer(|mut stream| async move {
        request_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
    })
    .await;
    let error =
        dial_error("server.invalid", &Proxies::fixed(&format!("http://{address}"), "")).await;
    let text = error.to_string();
    assert!(text.starts_with(&format!("proxy {address} (from the proxy): ")), "{text}");
    assert!(text.contains("server.invalid:443 (HTTP 407 Proxy Authentication Required)"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_not_a_proxy_is_reported_as_such() {
    for bytes in [&b"hello\r\n"[..], b"", b"HTTP/1.1 200 OK\r\n\r\nearly"] {
        let (address, _served) = peer(move |mut stream| async move {
            request_head(&mut stream).await;
            stream.write_all(bytes).await.unwrap();
        })
        .await;
        let error =
            dial_error("server.invalid", &Proxies::fixed(&format!("http://{address}"), "")).await;
        assert!(matches!(error.problem, DialProblem::Proxy { .. }), "{error:?}");
    }
    let error = dial_error("server.invalid", &Proxies::fixed("socks4://127.0.0.1:1", "")).await;
    assert!(error.is_permanent());
    assert!(error.to_string().contains("is a socks4 proxy, which is not supported"), "{error}");
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
    let mut stream =
        dial(&endpoint, &proxies, &trusting_no_authority(), far_deadline()).await.unwrap();
    echoes(&mut stream, 3).await;
    served.await.unwrap();
}

#[tokio::test]
async fn no_proxy_and_loopback_are_dialled_directly() {
    // Nothing listens on port 1: a connection through this proxy would be refused.
    let proxies = Proxies::fixed("http://127.0.0.1:1", "invalid");
    let error = dial_error("server.invalid", &proxies).await;
    assert_eq!(error.peer, "server.invalid:443");
    let error = dial_error("server.example", &proxies).await;
    assert_eq!(error.peer, "proxy 127.0.0.1:1 (from the proxy)");
    let (address, _served) = peer(|_| async {}).await;
    let endpoint = plain(address);
    dial(&endpoint, &proxies, &trusting_no_authority(), far_deadline()).await.unwrap();
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
    let mut stream = dial(&endpoint, &proxies, &tls, far_deadline()).await.unwrap();
    echoes(&mut stream, 5).await;
    served.await.unwrap();
}

#[tokio::test]
async fn a_socks_proxy_receives_user_and_password_and_its_refusal_is_reported() {
    let (address, served) = peer(|mut stream| async move {
        let mut hello = [0; 4];
        stream.read_exact(&mut hello).await.unwrap();
        assert_eq!(hello, [5, 2, 0, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = [0; 11];
        stream.read_exact(&mut login).await.unwrap();
        assert_eq!(&login, b"\x01\x02al\x06secret");
        stream.write_all(&[1, 1]).await.unwrap();
    })
    .await;
    let proxies = Proxies::fixed(&format!("socks5h://al:secret@{address}"), "");
    let error = dial_error("server.invalid", &proxies).await;
    served.await.unwrap();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!(
            "proxy {address} (from the proxy): no tunnel to server.invalid:443: "
        )),
        "{text}"
    );
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn the_reason_of_a_socks_proxy_is_reported() {
    for (answers, words) in [
        (&[&b"\x05\xff"[..]][..], "USER:PASSWORD"),
        (&[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"], "the host refused"),
        (&[b"\x05\x00", b"\x05\x02\x00\x01\0\0\0\0\0\0"], "its rules don't allow"),
        (&[b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"], "does not define"),
        (&[b"\x05\x00", b"\x05\x00\x00\x07"], "does not speak SOCKS5"),
        (&[b"HTTP/1.1 400 Bad UpgradeRequest\r\n\r\n"], "does not speak SOCKS5"),
        (&[b"\x05"], "it closed the connection"),
    ] {
        let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
        let (address, _served) = peer(|mut stream| async move {
            for answer in answers {
                let mut request = [0; 300];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
            }
        })
        .await;
        let proxies = Proxies::fixed(&format!("SOCKS://{address}"), "");
        let text = dial_error("server.invalid", &proxies).await.to_string();
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn an_ip_address_is_sent_to_a_socks_proxy_as_an_address() {
    for (host, wanted) in [
        ("192.0.2.1:443", &b"\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb"[..]),
        (
            "[2001:db8::1]:443",
            b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x01\xbb",
        ),
    ] {
        let (address, served) = peer(move |mut stream| async move {
            stream.read_exact(&mut [0; 3]).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            let mut request = vec![0; wanted.len()];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(request, wanted);
            let reply = b"\x05\x00\x00\x03\x04host\x00\x01";
            stream.write_all(reply).await.unwrap();
            stream.write_all(b"!").await.unwrap();
        })
        .await;
        let proxies = Proxies::fixed(&format!("socks5h://{address}"), "");
        let endpoint = endpoint::parse(&format!("ws://{host}")).unwrap();
        let mut stream =
            dial(&endpoint, &proxies, &trusting_no_authority(), far_deadline()).await.unwrap();
        // No byte of the tunnel was read as a part of the reply.
        assert_eq!(stream.read_u8().await.unwrap(), b'!');
        served.await.unwrap();
    }
}

#[tokio::test]
async fn an_http_proxy_may_send_interim_responses() {
    let (address, _served) = peer(|mut stream| async move {
        request_head(&mut stream).await;
        let answers = b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        stream.write_all(answers).await.unwrap();
        let byte = stream.read_u8().await.unwrap();
        stream.write_u8(byte).await.unwrap();
    })
    .await;
    let proxies = Proxies::fixed(&address.to_string(), "");
    let endpoint = endpoint::parse("ws://server.invalid").unwrap();
    let mut stream =
        dial(&endpoint, &proxies, &trusting_no_authority(), far_deadline()).await.unwrap();
    echoes(&mut stream, 4).await;
}
