//! Proxies from the environment: which one is used, and that every connection uses it.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{listener, read_head, stream_events, tail};
use crate::support::events;
use crate::support::run::Run;

/// A server that only the proxy can reach: the name does not exist.
const HOST: &str = "ws://server.invalid:6008";

/// An HTTP proxy that is also the server behind it, and the number of its connections.
fn http_proxy() -> (SocketAddr, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let address = listener(move |mut stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        let head = read_head(&mut stream)?;
        assert!(head.starts_with("CONNECT "), "{head}");
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        stream_events(stream)
    });
    (address, count)
}

/// Like [`http_proxy`], with SOCKS5.
fn socks_proxy() -> SocketAddr {
    listener(|mut stream| {
        stream.read_exact(&mut [0; 3])?;
        stream.write_all(&[5, 0])?;
        let mut request = [0; 21];
        stream.read_exact(&mut request)?;
        assert_eq!(&request, b"\x05\x01\x00\x03\x0eserver.invalid\x17\x78");
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        stream_events(stream)
    })
}

fn run(host: &str, variables: &[(&str, &str)]) -> Run {
    variables.iter().fold(tail(host), |tail, (name, value)| tail.env(name, value)).run()
}

#[test]
fn the_scheme_of_a_proxy_may_have_any_case_and_form() {
    let (address, _) = http_proxy();
    for value in [
        format!("http://{address}"),
        format!("HTTP://{address}/"),
        format!("{address}"),
        format!(" {address} "),
    ] {
        run(HOST, &[("ALL_PROXY", &value)]).ends_with(0).prints(events(3, true));
    }
    let address = socks_proxy();
    for scheme in ["socks", "SOCKS5H", "socks5h"] {
        let value = format!("{scheme}://{address}");
        run(HOST, &[("http_proxy", &value)]).ends_with(0).prints(events(3, true));
    }
}

#[test]
fn an_unusable_setting_is_an_error_and_no_direct_connection() {
    // Another address of this machine than those that never use a proxy.
    for (name, value) in [
        ("ALL_PROXY", "foo://127.0.0.1:1"),
        ("all_proxy", "socks4://127.0.0.1:1"),
        ("HTTP_PROXY", "http:/127.0.0.1:1"),
        ("http_proxy", "http://127.0.0.1:99999"),
        ("ALL_PROXY", "http://127.0.0.1 :1"),
        ("ALL_PROXY", " "),
        ("ALL_PROXY", "://"),
        ("ALL_PROXY", "http://me:s3cret@127.0.0.1:x"),
    ] {
        let run = run(HOST, &[(name, value)]);
        run.ends_with(2).says(&[name, "names no proxy that can be used"]);
        run.never_says("server.invalid").never_says("s3cret");
    }
}

#[test]
fn an_unneeded_proxy_setting_is_ignored() {
    let address = listener(stream_events);
    let variables = [("ALL_PROXY", "foo://127.0.0.1:1")];
    run(&format!("ws://{address}"), &variables).ends_with(0).prints(events(3, true));
    // The variable for the other scheme.
    let (address, _) = http_proxy();
    let plain = format!("http://{address}");
    run(HOST, &[("HTTPS_PROXY", "foo://a"), ("HTTP_PROXY", &plain)]).ends_with(0);
}

#[test]
fn no_proxy_is_read_as_curl_reads_it() {
    let (address, count) = http_proxy();
    let proxy = format!("http://{address}");
    for (host, list) in [
        ("ws://server.invalid:6008", "server.invalid"),
        ("ws://server.invalid:6008", "other, .INVALID."),
        ("ws://server.invalid:6008", "*.invalid"),
        ("ws://server.invalid:6008", "server.invalid:6008"),
        ("ws://server.invalid.:6008", "server.invalid"),
        ("ws://server.invalid:6008", "a b *"),
    ] {
        for variable in ["NO_PROXY", "no_proxy"] {
            let run = run(host, &[("ALL_PROXY", &proxy), (variable, list)]);
            run.ends_with(3).says(&["server.invalid", "can't be resolved"]);
        }
        let empty = run(host, &[("ALL_PROXY", &proxy), ("NO_PROXY", ""), ("no_proxy", list)]);
        empty.ends_with(3).says(&["can't be resolved"]);
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    for list in
        ["server.invalid:443", "erver.invalid", "*.server.invalid", "10.0.0.0/8", "inv*", ""]
    {
        run(HOST, &[("ALL_PROXY", &proxy), ("NO_PROXY", list)]).ends_with(0);
    }
}

#[test]
fn messages_name_the_variable_that_was_used() {
    let refusing = listener(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    });
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for name in ["ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
        let run_refused = run(HOST, &[(name, &format!("http://{refusing}"))]);
        let check = format!("check {name}");
        run_refused.ends_with(3).says(&["HTTP 403", &check]).never_says("HTTPS_PROXY");
        let from = format!("proxy {closed} (from {name}): connection refused");
        run(HOST, &[(name, &format!("http://{closed}"))]).ends_with(3).says(&[&from]);
    }
}

#[test]
fn an_https_proxy_that_speaks_plain_text_is_named_with_its_variable() {
    let (address, _) = http_proxy();
    let answering = listener(|mut stream| {
        stream.read_exact(&mut [0])?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let advice = format!("use http://{answering} in HTTP_PROXY");
    run(HOST, &[("HTTP_PROXY", &format!("https://{answering}"))]).ends_with(3).says(&[&advice]);
    run(HOST, &[("HTTP_PROXY", &format!("http://{address}"))]).ends_with(0);
    // A plain server behind the proxy.
    let advice = "use ws://server.invalid:6008";
    let host = "wss://server.invalid:6008";
    let relay = listener(|mut stream| {
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        stream.read_exact(&mut [0])?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    run(host, &[("ALL_PROXY", &format!("http://{relay}"))]).ends_with(3).says(&[advice]);
}

#[test]
fn a_handle_is_not_sent_to_dns_if_a_proxy_resolves_names() {
    let did = "did:plc:z72i7hdynmk6r22z27h6tvur";
    // The host of the handle, behind the proxy. It has no TLS, so the test ends there.
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let address = listener(move |mut stream| {
        stream.read_exact(&mut [0; 3])?;
        stream.write_all(&[5, 0])?;
        let mut request = [0; 5];
        stream.read_exact(&mut request)?;
        assert_eq!(request, [5, 1, 0, 3, 17]);
        let mut name = [0; 17];
        stream.read_exact(&mut name)?;
        assert_eq!(&name, b"alice.bsky.social");
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    for value in [format!("socks5h://{address}"), format!("socks://{address}"), "foo://a".into()] {
        let run = tail("ws://127.0.0.1:1")
            .flags(&["--did", "alice.bsky.social", "--did", did])
            .env("ALL_PROXY", &value)
            .run();
        run.says(&["DNS was not asked, because ALL_PROXY names a proxy", "--dns-server"]);
    }
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[test]
fn every_other_request_uses_the_same_settings() {
    let home = crate::support::Scratch::new();
    let skytail = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_skytail"));
        crate::support::isolate_environment(&mut command, &home.path("."));
        command.args(args).env("ALL_PROXY", "foo://127.0.0.1:1");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // A dictionary, a handle's host, and the archive.
    let (code, log) = skytail(&["dictionary", "install", "https://server.invalid/x"]);
    assert!(code == Some(1) && log.contains("ALL_PROXY names no proxy"), "{log}");
    let dns = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dns_server = dns.local_addr().unwrap().to_string();
    let args = ["tail", "--host", "127.0.0.1:1", "--did", "a.example", "--dns-server", &dns_server];
    let (_, log) = skytail(&[&args[..], &["--connect-timeout", "200ms"]].concat());
    assert!(log.contains("ALL_PROXY names no proxy"), "{log}");
    let (code, log) = skytail(&["top", "--once", "--window", "1s", "--host", "server.invalid"]);
    assert!(code == Some(2) && log.contains("ALL_PROXY names no proxy"), "{log}");
    let archive = ["tail", "--host", "server.invalid", "--cursor", "oldest", "--archive", "auto"];
    let (code, log) = skytail(&archive);
    assert!(code == Some(2) && log.contains("ALL_PROXY names no proxy"), "{log}");
}
