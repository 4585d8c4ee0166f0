//! Tests the parsing of `--host`.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(input: &str, tls: bool, host: &str, port: u16, base: &str, label: &str) {
    let e = parse(input).unwrap();
    assert_eq!(
        (e.tls, e.host.as_str(), e.port, e.base_path.as_str(), &*e.label),
        (tls, host, port, base, label),
        "{input}"
    );
    let again = parse(&e.label).unwrap();
    let bare = Endpoint { credentials: None, protocol: None, ..e };
    assert_eq!(again, bare, "{input}: its label parses to another server");
}

#[test]
fn bare_hosts_mean_tls_except_on_loopback() {
    check("jetstream.example", true, "jetstream.example", 443, "", "jetstream.example");
    check("Jetstream.Example:8443", true, "jetstream.example", 8443, "", "jetstream.example:8443");
    check("example.com:80", true, "example.com", 80, "", "example.com:80");
    check("localhost", false, "localhost", 6008, "", "localhost:6008");
    check("a.localhost", false, "a.localhost", 6008, "", "a.localhost:6008");
    check("127.0.0.2", false, "127.0.0.2", 6008, "", "127.0.0.2:6008");
    check("localhost:443", false, "localhost", 443, "", "localhost:443");
    check("localhost:80", false, "localhost", 80, "", "localhost:80");
    check("[::1]:6009", false, "::1", 6009, "", "[::1]:6009");
    check("::1", false, "::1", 6008, "", "[::1]:6008");
    check("[2001:db8::1]", true, "2001:db8::1", 443, "", "[2001:db8::1]");
}

#[test]
fn a_scheme_selects_tls_and_port() {
    check("ws://example.com", false, "example.com", 80, "", "ws://example.com");
    check("http://example.com:6008", false, "example.com", 6008, "", "ws://example.com:6008");
    check("wss://localhost", true, "localhost", 443, "", "wss://localhost");
    check("HTTPS://localhost:80", true, "localhost", 80, "", "wss://localhost:80");
    check("ws://localhost", false, "localhost", 80, "", "localhost:80");
}

#[test]
fn subscribe_is_removed_and_other_paths_are_kept() {
    check("wss://h.example/subscribe", true, "h.example", 443, "", "h.example");
    check("h.example/subscribe/", true, "h.example", 443, "", "h.example");
    check("h.example/a/b/subscribe", true, "h.example", 443, "/a/b", "h.example/a/b");
    check("h.example/subscribe/subscribe", true, "h.example", 443, "", "h.example");
    check("h.example/x://y", true, "h.example", 443, "/x://y", "h.example/x://y");
    check("h.example/resubscribe", true, "h.example", 443, "/resubscribe", "h.example/resubscribe");
}

#[test]
fn the_path_of_a_stream_selects_the_protocol() {
    for (input, protocol, base) in [
        ("h.example", None, ""),
        ("wss://h.example/subscribe", Some(Protocol::V1), ""),
        ("h.example/base/subscribe/", Some(Protocol::V1), "/base"),
        ("h.example/xrpc/network.bsky.jetstream.subscribeEvents", Some(Protocol::V2), ""),
        ("https://h.example/base/xrpc/", Some(Protocol::V2), "/base"),
        ("h.example/xrpc/other", None, "/xrpc/other"),
        ("h.example/subscribe/xrpc", Some(Protocol::V2), ""),
    ] {
        let endpoint = parse(input).unwrap();
        assert_eq!((endpoint.protocol, &*endpoint.base_path), (protocol, base), "{input}");
    }
}

#[test]
fn credentials_are_kept_and_never_shown() {
    let e = parse("wss://al:s%3Acret@h.example").unwrap();
    assert_eq!(&*e.label, "h.example");
    // "al:s:cret"
    assert_eq!(e.credentials.as_ref().unwrap().basic(), "Basic YWw6czpjcmV0");
    assert!(!format!("{e:?}").contains("cret"));
    assert!(!e.request_uri("/subscribe", "").contains("cret"));
    for bad in [
        "wss://al:secret@h.example?x=1",
        "al:secret@h.example:x",
        "ws://al:secret@",
        "al:secret@h ost",
        "wss://al:sec?secret@h.example",
        "wss://al:sec#secret@h.example",
        "wss://al:pass/secret@h.example",
        "wss://h.example/subscribe?token=secret",
        "wss://h.example/?token=a@secret",
        "h.example:x?secret",
        "h.example#secret",
    ] {
        let text = parse(bad).unwrap_err().to_string();
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn invalid_values_are_refused_with_the_reason() {
    for (bad, part) in [
        ("", "empty"),
        ("ftp://h.example", "\"ftp\""),
        ("h.example?cursor=1", "--cursor"),
        ("h.example#x", "fragment"),
        ("h.example:0", "port 0"),
        ("h.example:99999", "port"),
        ("h example", "white space"),
        ("https://", "host"),
        ("ws:h.example", "port"),
        ("h.example:8x", "port"),
    ] {
        let text = parse(bad).unwrap_err().to_string();
        assert!(text.contains(part), "{bad}: {text}");
    }
    assert!(parse(&"a".repeat(300)).is_err());
}

#[test]
fn request_uris_and_authorities_keep_brackets_and_ports() {
    let e = parse("[::1]:6008/base").unwrap();
    assert_eq!(e.authority(), "[::1]:6008");
    assert_eq!(e.request_uri("/subscribe", "a=b"), "ws://[::1]:6008/base/subscribe?a=b");
    let e = parse("h.example").unwrap();
    assert_eq!(e.request_uri("/subscribe", ""), "wss://h.example/subscribe");
}

proptest! {
    #[test]
    fn random_text_never_panics_and_labels_are_stable(text in prop_oneof![
        any::<String>(),
        "(ws|wss|http|https|x)?(://)?([a-z]{1,3}(:[a-z]*)?@)?[a-z0-9.:\\[\\]%-]{0,16}(:[0-9]{0,6})?(/[ -~]{0,10})?(/subscribe/?|/xrpc(/network.bsky.jetstream.subscribeEvents)?)?",
    ]) {
        if let Ok(endpoint) = parse(&text) {
            let again = parse(&endpoint.label);
            prop_assert_eq!(again, Ok(Endpoint { credentials: None, protocol: None, ..endpoint }));
        }
    }
}

#[test]
fn a_password_with_a_slash_is_not_a_path() {
    for input in
        ["wss://me:12/s3cret@h.example", "me:12/s3cret@h.example", "h.example/a@s3cret@h.example"]
    {
        let error = parse(input).unwrap_err().to_string();
        assert!(error.contains("%2F") && !error.contains("s3cret"), "{error}");
    }
    assert!(parse("h.example/a%40b").is_ok());
}
