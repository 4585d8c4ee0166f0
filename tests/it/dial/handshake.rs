//! The opening handshake: which answers are accepted, and the error for each other answer.

use std::time::Duration;

use skytail::source::endpoint;
use skytail::source::net::dial;
use skytail::source::net::proxy::Proxies;
use skytail::source::websocket::handshake::{
    HandshakeError, RedirectTarget, UpgradeRequest, Upgraded, upgrade,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{far_deadline, header, peer, plain, request_head, switching, trusting_no_authority};

async fn upgrade_with<F, Fut>(script: F) -> Result<Upgraded, HandshakeError>
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let (address, served) = peer(script).await;
    let endpoint = plain(address);
    let transport =
        dial(&endpoint, &Proxies::none(), &trusting_no_authority(), far_deadline()).await.unwrap();
    let request = UpgradeRequest {
        path: "/subscribe".to_owned(),
        query: "wantedCollections=app.bsky.feed.post".to_owned(),
        ..UpgradeRequest::default()
    };
    let outcome = upgrade(transport, &endpoint, &request, far_deadline()).await;
    if outcome.is_err() {
        served.await.unwrap();
    }
    outcome
}

/// Answers one request with these bytes and closes.
async fn answer_with(bytes: &'static [u8]) -> Result<Upgraded, HandshakeError> {
    upgrade_with(move |mut stream| async move {
        request_head(&mut stream).await;
        // The client may close before the end.
        let _ = stream.write_all(bytes).await;
    })
    .await
}

async fn remaining_bytes(upgraded: Upgraded) -> Vec<u8> {
    let Upgraded { mut stream, mut leftover, .. } = upgraded;
    stream.read_to_end(&mut leftover).await.unwrap();
    leftover
}

#[tokio::test]
async fn a_head_in_single_bytes_is_parsed_and_no_byte_after_it_is_lost() {
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
    assert_eq!(remaining_bytes(upgraded).await, b"frames");
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
    assert!(!upgraded.leftover.is_empty(), "no byte came after the head, so this tests nothing");
    assert_eq!(remaining_bytes(upgraded).await, expected);
}

#[tokio::test]
async fn the_request_identifies_client_and_filters() {
    let (head_sender, head_receiver) = tokio::sync::oneshot::channel();
    let (address, _served) = peer(|mut stream| async move {
        let head = request_head(&mut stream).await;
        stream.write_all(switching(&head).as_bytes()).await.unwrap();
        head_sender.send(head).unwrap();
    })
    .await;
    let endpoint = endpoint::parse(&format!("ws://al:secret@{address}/base/subscribe")).unwrap();
    let transport =
        dial(&endpoint, &Proxies::none(), &trusting_no_authority(), far_deadline()).await.unwrap();
    let request = UpgradeRequest {
        path: "/subscribe".to_owned(),
        query: "cursor=1&compress=true".to_owned(),
        headers: vec![("x-extra".parse().unwrap(), "yes".parse().unwrap())],
        ..UpgradeRequest::default()
    };
    upgrade(transport, &endpoint, &request, far_deadline()).await.unwrap();
    let head = head_receiver.await.unwrap();
    assert!(head.starts_with("GET /base/subscribe?cursor=1&compress=true HTTP/1.1\r\n"));
    assert_eq!(header(&head, "host"), Some(address.to_string().as_str()));
    assert_eq!(header(&head, "user-agent"), Some(concat!("skytail/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(header(&head, "authorization"), Some("Basic YWw6c2VjcmV0"));
    assert_eq!(header(&head, "x-extra"), Some("yes"));
    assert_eq!(header(&head, "sec-websocket-protocol"), None);
    assert_eq!(header(&head, "sec-websocket-extensions"), None);
}

#[tokio::test]
async fn refusals_quote_the_server() {
    let bad = answer_with(
        b"HTTP/1.1 400 Bad UpgradeRequest\r\nContent-Length: 26\r\n\r\nsubscribe: \x1b[1minvalid DID\nignored",
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
async fn redirects_are_reported_and_not_followed() {
    let error =
        answer_with(b"HTTP/1.1 302 Found\r\nLocation: https://other.example/x?secret\r\n\r\n")
            .await
            .unwrap_err();
    let target = RedirectTarget::Other("https://other.example".to_owned());
    assert!(
        matches!(error, HandshakeError::Redirected { status: 302, target: ref to, retry_after: None } if *to == target),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_redirect_to_the_same_host_does_not_suggest_it() {
    let error = upgrade_with(|mut stream| async move {
        let head = request_head(&mut stream).await;
        let host = header(&head, "host").unwrap().to_owned();
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{host}/subscribe/\r\nRetry-After: 5\r\n\r\n"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await
    .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));
    let text = error.to_string();
    assert!(
        text.contains("another path of the same server") && !text.contains("127.0.0.1"),
        "{text}"
    );
}

#[tokio::test]
async fn interim_responses_and_token_lists_are_accepted() {
    let upgraded = upgrade_with(|mut stream| async move {
        let head = switching(&request_head(&mut stream).await);
        let head = head
            .replace("Connection: Upgrade", "Connection: keep-alive\r\nconnection: foo, uPgRaDe");
        let head = head.replace("Upgrade: websocket", "upgrade:\tWebSocket ");
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
        stream.write_all(format!("{interim}{head}frames").as_bytes()).await.unwrap();
    })
    .await
    .unwrap();
    assert_eq!(upgraded.response_headers["x-kind"], "test");
    assert_eq!(remaining_bytes(upgraded).await, b"frames");
}

#[tokio::test]
async fn endless_interim_responses_are_cut_off() {
    let endless = upgrade_with(|mut stream| async move {
        request_head(&mut stream).await;
        // Ends when the client closes.
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {}
    });
    let error = endless.await.unwrap_err();
    assert!(error.to_string().contains("interim answers"), "{error}");
}

#[tokio::test]
async fn a_tls_server_at_a_ws_url_is_named_at_once() {
    let alert: &[u8] = b"\x15\x03\x03\x00\x02\x02\x46";
    let nginx = b"HTTP/1.1 400 Bad UpgradeRequest\r\n\r\n<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>";
    let go =
        b"HTTP/1.0 400 Bad UpgradeRequest\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    for bytes in [alert, nginx, go] {
        let error = answer_with(bytes).await.unwrap_err();
        assert!(matches!(error, HandshakeError::TlsPort { .. }), "{error:?}");
        assert!(error.is_permanent());
        assert!(error.to_string().contains("use wss://127.0.0.1:"), "{error}");
    }
    let error = answer_with(b"").await.unwrap_err().to_string();
    assert!(error.contains("without an answer") && error.contains("wss://127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn responses_that_are_not_a_handshake_are_refused() {
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
        // Ends when the client closes.
        while stream.write_all(b"X-Padding: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").await.is_ok() {}
    });
    let error = endless.await.unwrap_err();
    assert!(error.to_string().contains("no end within 65536 bytes"), "{error}");
}

#[tokio::test]
async fn an_early_eof_is_reported() {
    for bytes in [&b""[..], b"HTTP/1.1 101 Switching", b"HTT"] {
        let error = answer_with(bytes).await.unwrap_err();
        let is_cut =
            matches!(error, HandshakeError::Interrupted(_) | HandshakeError::NoResponse { .. });
        assert!(is_cut, "{error:?}");
        assert!(!error.is_permanent());
    }
}

#[tokio::test]
async fn a_silent_server_times_out_at_the_deadline() {
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let (address, served) = peer(|stream| async move {
        let _ = ended.await;
        drop(stream);
    })
    .await;
    let endpoint = plain(address);
    let transport =
        dial(&endpoint, &Proxies::none(), &trusting_no_authority(), far_deadline()).await.unwrap();
    let soon = Instant::now() + Duration::from_millis(50);
    let request = UpgradeRequest { path: "/".to_owned(), ..UpgradeRequest::default() };
    let error = upgrade(transport, &endpoint, &request, soon).await;
    assert!(matches!(error, Err(HandshakeError::TimedOut(_))));
    end.send(()).unwrap();
    served.await.unwrap();
}
