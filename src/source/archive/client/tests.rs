use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::source::endpoint;

/// What a scripted server does after an answer.
#[derive(Clone, Copy, PartialEq)]
enum After {
    /// Waits for the next request.
    Keep,
    /// Closes the connection, without having said so.
    Close,
    /// Reads the next request, and closes the connection without an answer to it.
    CloseOnRequest,
}

/// The requests that a scripted server received, and the number of its connections.
#[derive(Default)]
struct Received {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

impl Received {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"}") {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    // A body may follow its head in a packet of its own.
    let text = String::from_utf8(request).unwrap();
    if !text.starts_with("POST") || text.ends_with('}') {
        return Some(text);
    }
    let mut body = vec![0; 2];
    stream.read_exact(&mut body).await.ok()?;
    Some(text + std::str::from_utf8(&body).unwrap())
}

/// A client, and a server that sends the answers of a script one after the other.
async fn scripted(script: Vec<(String, After)>) -> (ArchiveClient, Arc<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(Received::default());
    let log = Arc::clone(&received);
    tokio::spawn(async move {
        let mut script = script.into_iter();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            log.connections.fetch_add(1, Ordering::SeqCst);
            while let Some(request) = read_request(&mut stream).await {
                let Some((answer, after)) = script.next() else { return };
                log.requests.lock().unwrap().push(request);
                stream.write_all(answer.as_bytes()).await.unwrap();
                if after == After::CloseOnRequest {
                    read_request(&mut stream).await;
                }
                if after != After::Keep {
                    break;
                }
            }
        }
    });
    let client = ArchiveClient::new(ArchiveClientConfig {
        endpoint: endpoint::parse(&format!("ws://{address}/base")).unwrap(),
        proxies: Arc::new(Proxies::none()),
        tls: Arc::new(TlsContext::platform()),
        key: Some(ApiKey::new("s3cret").unwrap()),
        connect_timeout: Duration::from_secs(10),
        metrics: Arc::default(),
    });
    (client, received)
}

/// As [`scripted`], with one answer per connection.
async fn server(answers: Vec<String>) -> (ArchiveClient, Arc<Received>) {
    scripted(answers.into_iter().map(|answer| (answer, After::Close)).collect()).await
}

#[tokio::test]
async fn requests_one_after_another_share_a_connection() {
    let part = |start: u64| {
        let answer = answer("206 Partial Content", &part(start, "\"a\""), "01");
        (answer, After::Keep)
    };
    let (client, received) = scripted((0..40).map(|n| part(n * 2)).collect()).await;
    for n in 0..40 {
        let range = n * 2..n * 2 + 2;
        let bytes = client.fetch_range("getSegment?name=x", range, "\"a\"").await.unwrap();
        assert_eq!(bytes, b"01");
    }
    assert_eq!((received.connections(), received.requests().len()), (1, 40));
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closes_costs_no_attempt() {
    for after in [After::Close, After::CloseOnRequest] {
        let script = (0..10).map(|_| (answer("200 OK", "", "{}"), after)).collect();
        let (client, received) = scripted(script).await;
        for _ in 0..10 {
            // Without a retry: a failed attempt would be an error.
            let response = client.request("listSegments", &[], None, 100).await.unwrap();
            assert_eq!(response.body, b"{}");
        }
        assert_eq!((received.connections(), received.requests().len()), (10, 10));
    }
}

#[tokio::test]
async fn a_connection_with_an_unread_rest_is_not_used_again() {
    let long = (answer("200 OK", "", "0123456789"), After::Keep);
    let short = (answer("200 OK", "", "{}"), After::Keep);
    let (client, received) = scripted(vec![long, short]).await;
    let first = client.request("listSegments", &[], None, 4).await.unwrap();
    assert_eq!((&*first.body, first.is_complete), (&b"0123"[..], false));
    assert_eq!(client.request("listSegments", &[], None, 100).await.unwrap().body, b"{}");
    assert_eq!(received.connections(), 2);
}

#[tokio::test]
async fn a_head_without_an_end_is_refused() {
    let endless = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(200_000));
    let (client, _) = scripted(vec![(endless, After::Keep)]).await;
    let error = client.request("listSegments", &[], None, 4).await.unwrap_err();
    assert!(error.to_string().contains("no end within 65536 bytes"), "{error}");
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

/// An answer that ends early.
fn cut(status: &str, headers: &str, body: &str, whole: usize) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {whole}\r\n{headers}\r\n{body}")
}

fn part(start: u64, etag: &str) -> String {
    format!("Content-Range: bytes {start}-9/20\r\nETag: {etag}\r\n")
}

const SOON: &str = "Retry-After: 0\r\n";

#[tokio::test]
async fn a_range_continues_at_the_byte_reached() {
    let (client, received) = server(vec![
        answer("429 Too Many Requests", SOON, "{}"),
        cut("206 Partial Content", &part(2, "\"a\""), "234", 8),
        answer("503 Service Unavailable", SOON, ""),
        answer("206 Partial Content", &part(5, "\"a\""), "56789"),
    ])
    .await;
    let bytes = client.fetch_range("getSegment?name=x", 2..10, "\"a\"").await.unwrap();
    assert_eq!(bytes, b"23456789");
    let requests = received.requests();
    assert!(
        requests[0]
            .starts_with("GET /base/xrpc/network.bsky.jetstream.getSegment?name=x HTTP/1.1\r\n")
    );
    let ranges: Vec<&str> = requests
        .iter()
        .filter_map(|request| request.lines().find(|l| l.starts_with("Range")))
        .collect();
    assert_eq!(
        ranges,
        ["Range: bytes=2-9", "Range: bytes=2-9", "Range: bytes=5-9", "Range: bytes=5-9"]
    );
    assert!(requests.iter().all(|request| request.contains("If-Range: \"a\"\r\n")));
    assert!(requests.iter().all(|request| request.contains("Authorization: Bearer s3cret\r\n")));
}

#[tokio::test]
async fn a_rewritten_file_differs_from_a_server_without_ranges() {
    for (given, is_changed) in [
        (answer("200 OK", "ETag: \"b\"\r\n", "0123456789"), true),
        (answer("200 OK", "ETag: \"a\"\r\n", "0123456789"), false),
        (answer("200 OK", "", "0123456789"), true),
        (answer("206 Partial Content", &part(2, "\"b\""), "23456789"), true),
        (answer("206 Partial Content", &part(2, "W/\"a\""), "23456789"), true),
        (answer("206 Partial Content", &part(3, "\"a\""), "23456789"), true),
        (answer("416 Range Not Satisfiable", "", ""), true),
        (answer("412 Precondition Failed", "", ""), true),
    ] {
        let (client, _) = server(vec![given.clone()]).await;
        let error = client.fetch_range("getSegment?name=x", 2..10, "\"a\"").await.unwrap_err();
        assert_eq!(matches!(error, RangeError::Changed), is_changed, "{given}");
        assert_eq!(matches!(error, RangeError::RangeIgnored), !is_changed, "{given}");
    }
}

#[tokio::test]
async fn a_file_is_joined_from_one_version_only() {
    let (client, _) = server(vec![
        cut("200 OK", "ETag: \"a\"\r\n", "0123", 10),
        cut("206 Partial Content", &part(4, "\"a\""), "45", 6),
        // Rewritten: the whole of the new version.
        cut("200 OK", "ETag: \"b\"\r\n", "abcd", 6),
        answer("206 Partial Content", &part(4, "\"b\""), "ef"),
    ])
    .await;
    assert_eq!(client.fetch_file("getBlock?x", 100).await.unwrap(), b"abcdef");
}

#[tokio::test]
async fn a_refused_or_too_large_file_is_not_requested_again() {
    let (client, _) = server(vec![answer("200 OK", "", "0123456789")]).await;
    assert!(matches!(
        client.fetch_file("getBlock?x", 9).await,
        Err(ArchiveFetchError::TooLarge(9))
    ));
    let (client, _) = server(vec![answer("200 OK", "", "0123456789")]).await;
    assert!(matches!(
        client.fetch_all("planSnapshot", Some(b"{}"), 9).await,
        Err(ArchiveFetchError::TooLarge(9))
    ));
    for (status, body, said) in [
        (
            "403 Forbidden",
            r#"{"error":"Forbidden","message":"no \u001b[31m"}"#,
            "HTTP 403: Forbidden: no [31m",
        ),
        ("501 Not Implemented", "", "HTTP 501"),
        ("302 Found", "", "HTTP 302: a redirect, which is not followed"),
    ] {
        let (client, received) =
            server(vec![answer(status, "Location: http://127.0.0.1:1/\r\n", body)]).await;
        let error = client.fetch_all("planSnapshot", Some(b"{}"), 100).await.unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(error.refused_status().is_some() && !error.is_transient());
        let requests = received.requests();
        assert!(requests[0].starts_with("POST /base/xrpc/network.bsky.jetstream.planSnapshot "));
        assert!(requests[0].ends_with("\r\n\r\n{}"));
    }
}

#[tokio::test]
async fn the_prefix_shows_whether_ranges_are_available() {
    let (client, _) = server(vec![answer("206 Partial Content", &part(0, "\"a\""), "01")]).await;
    let prefix = client.fetch_prefix("getSegment?name=x", 2).await.unwrap();
    assert_eq!((prefix.bytes.as_slice(), prefix.version), (&b"01"[..], Some(("\"a\"".into(), 20))));
    let (client, _) = server(vec![answer("200 OK", "ETag: \"a\"\r\n", "0123456789")]).await;
    let prefix = client.fetch_prefix("getSegment?name=x", 2).await.unwrap();
    assert_eq!((prefix.bytes.as_slice(), prefix.version), (&b"01"[..], None));
}
