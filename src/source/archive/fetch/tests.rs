use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::source::endpoint;

/// A server that gives its answers one after the other, one a connection, and keeps what it
/// was asked.
async fn server(answers: Vec<String>) -> (Way, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            kept.lock().unwrap().push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let way = Way {
        endpoint: endpoint::parse(&format!("ws://{address}/base")).unwrap(),
        proxies: Arc::new(Proxies::none()),
        tls: Arc::new(TlsContext::platform()),
        key: Some(ApiKey::new("s3cret").unwrap()),
        connect_timeout: Duration::from_secs(10),
        metrics: Arc::default(),
    };
    (way, asked)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}

/// An answer that breaks off.
fn cut(status: &str, headers: &str, body: &str, whole: usize) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {whole}\r\n{headers}\r\n{body}")
}

fn part(start: u64, etag: &str) -> String {
    format!("Content-Range: bytes {start}-9/20\r\nETag: {etag}\r\n")
}

const SOON: &str = "Retry-After: 0\r\n";

#[tokio::test]
async fn a_range_goes_on_at_the_byte_reached() {
    let (way, asked) = server(vec![
        answer("429 Too Many Requests", SOON, "{}"),
        cut("206 Partial Content", &part(2, "\"a\""), "234", 8),
        answer("503 Service Unavailable", SOON, ""),
        answer("206 Partial Content", &part(5, "\"a\""), "56789"),
    ])
    .await;
    let bytes = way.range("getSegment?name=x", 2..10, "\"a\"").await.unwrap();
    assert_eq!(bytes, b"23456789");
    let asked = asked.lock().unwrap();
    assert!(
        asked[0]
            .starts_with("GET /base/xrpc/network.bsky.jetstream.getSegment?name=x HTTP/1.1\r\n")
    );
    let ranges: Vec<&str> = asked
        .iter()
        .filter_map(|request| request.lines().find(|l| l.starts_with("Range")))
        .collect();
    assert_eq!(
        ranges,
        ["Range: bytes=2-9", "Range: bytes=2-9", "Range: bytes=5-9", "Range: bytes=5-9"]
    );
    assert!(asked.iter().all(|request| request.contains("If-Range: \"a\"\r\n")));
    assert!(asked.iter().all(|request| request.contains("Authorization: Bearer s3cret\r\n")));
}

#[tokio::test]
async fn a_rewritten_file_is_told_from_a_server_without_ranges() {
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
        let (way, _) = server(vec![given.clone()]).await;
        let error = way.range("getSegment?name=x", 2..10, "\"a\"").await.unwrap_err();
        assert_eq!(matches!(error, RangeError::Changed), is_changed, "{given}");
        assert_eq!(matches!(error, RangeError::NotHonoured), !is_changed, "{given}");
    }
}

#[tokio::test]
async fn a_file_is_joined_from_one_generation_only() {
    let (way, _) = server(vec![
        cut("200 OK", "ETag: \"a\"\r\n", "0123", 10),
        cut("206 Partial Content", &part(4, "\"a\""), "45", 6),
        // Rewritten: the whole of another one.
        cut("200 OK", "ETag: \"b\"\r\n", "abcd", 6),
        answer("206 Partial Content", &part(4, "\"b\""), "ef"),
    ])
    .await;
    assert_eq!(way.file("getBlock?x", 100).await.unwrap(), b"abcdef");
}

#[tokio::test]
async fn what_is_too_large_or_refused_is_not_asked_for_again() {
    let (way, _) = server(vec![answer("200 OK", "", "0123456789")]).await;
    assert!(matches!(way.file("getBlock?x", 9).await, Err(FetchError::TooLarge(9))));
    let (way, _) = server(vec![answer("200 OK", "", "0123456789")]).await;
    assert!(matches!(
        way.whole("planSnapshot", Some(b"{}"), 9).await,
        Err(FetchError::TooLarge(9))
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
        let (way, asked) =
            server(vec![answer(status, "Location: http://127.0.0.1:1/\r\n", body)]).await;
        let error = way.whole("planSnapshot", Some(b"{}"), 100).await.unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(error.refused_with().is_some() && !error.is_passing());
        let asked = asked.lock().unwrap();
        assert!(asked[0].starts_with("POST /base/xrpc/network.bsky.jetstream.planSnapshot "));
        assert!(asked[0].ends_with("\r\n\r\n{}"));
    }
}

#[tokio::test]
async fn the_beginning_says_whether_parts_can_be_had() {
    let (way, _) = server(vec![answer("206 Partial Content", &part(0, "\"a\""), "01")]).await;
    let beginning = way.beginning("getSegment?name=x", 2).await.unwrap();
    assert_eq!(
        (beginning.bytes.as_slice(), beginning.whole),
        (&b"01"[..], Some(("\"a\"".into(), 20)))
    );
    let (way, _) = server(vec![answer("200 OK", "ETag: \"a\"\r\n", "0123456789")]).await;
    let beginning = way.beginning("getSegment?name=x", 2).await.unwrap();
    assert_eq!((beginning.bytes.as_slice(), beginning.whole), (&b"01"[..], None));
}
