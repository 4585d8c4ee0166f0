//! TLS: which servers the program trusts, the errors for others, and the wrong scheme.

use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use tokio_rustls::rustls::{ServerConnection, StreamOwned};

use super::{listener, read_head, stream_events, tail};
use crate::support::events;
use crate::support::tls::{server_config, tls_file};

/// A stream over TLS with this certificate.
fn tls_server(certificate: &str) -> SocketAddr {
    let config = Arc::new(server_config(certificate));
    listener(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        let outcome = stream_events(&mut stream);
        // Sends the alert of a failed handshake, as real servers do.
        let _ = stream.conn.write_tls(&mut stream.sock);
        outcome
    })
}

fn url(address: SocketAddr) -> String {
    format!("wss://localhost:{}", address.port())
}

#[test]
fn a_self_signed_certificate_is_trusted_with_ca_file() {
    for certificate in ["self-signed.pem", "self-signed-cn.pem"] {
        let server = tls_server(certificate);
        let path = tls_file(certificate);
        let path = path.to_str().unwrap();
        let run = tail(&url(server)).flags(&["--ca-file", path]).run();
        run.ends_with(0).prints(events(3, true));
        tail(&url(server)).env("SKYTAIL_CA_FILE", path).run().ends_with(0);
        // As curl reads it.
        tail(&url(server)).env("SSL_CERT_FILE", path).run().ends_with(0);
        let run = tail(&url(server)).run();
        run.ends_with(3).says(&["self-signed", "--ca-file FILE"]);
        run.never_says("CaUsedAsEndEntity").never_says("Other(");
    }
}

#[test]
fn an_authority_is_trusted_with_ca_file_and_each_fault_has_a_message() {
    let ca = tls_file("ca.pem");
    let ca = ca.to_str().unwrap();
    tail(&url(tls_server("good.pem"))).flags(&["--ca-file", ca]).run().ends_with(0);
    let unknown = tail(&url(tls_server("good.pem"))).run();
    unknown.ends_with(3).says(&["authority that this machine does not trust", "--ca-file FILE"]);
    let expired = tail(&url(tls_server("expired.pem"))).flags(&["--ca-file", ca]).run();
    expired.ends_with(3).says(&["has expired"]);
    let other = tail(&url(tls_server("other.pem"))).flags(&["--ca-file", ca]).run();
    other.ends_with(3).says(&["is for other.example, not for localhost"]).never_says("DnsName");
}

#[test]
fn a_refusal_without_a_tls_close_is_still_final() {
    let config = Arc::new(server_config("self-signed.pem"));
    let address = listener(move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        read_head(&mut stream)?;
        stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\nnothing here")?;
        // The end of TCP without close_notify.
        stream.flush()
    });
    let path = tls_file("self-signed.pem");
    let run = tail(&url(address)).flags(&["--ca-file", path.to_str().unwrap()]).run();
    run.ends_with(1).says(&["HTTP 404: nothing here"]);
}

#[test]
fn a_bad_ca_file_is_refused_before_the_run_dials() {
    for (name, words) in [("leaf.key.pem", "no certificate in PEM"), ("absent.pem", "can't read")] {
        let path = tls_file(name);
        let run = tail("server.invalid").flags(&["--ca-file", path.to_str().unwrap()]).run();
        run.ends_with(2).says(&["--ca-file", name, words]).never_says("server.invalid");
    }
}

#[test]
fn plain_text_to_a_tls_port_suggests_the_other_scheme_at_once() {
    let port = tls_server("good.pem").port();
    let run = tail(&format!("ws://localhost:{port}")).run();
    run.ends_with(1).says(&[&format!("use wss://localhost:{port}")]);
    let nginx = listener(|mut stream| {
        read_head(&mut stream)?;
        let body = "<center>The plain HTTP request was sent to HTTPS port</center>";
        let length = body.len();
        let head = format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{body}").as_bytes())
    });
    let run = tail(&format!("ws://localhost:{}", nginx.port())).protocol("auto").run();
    run.ends_with(1).says(&[&format!("use wss://localhost:{}", nginx.port())]);
    // Some TLS servers close without an alert.
    let silent = listener(|mut stream| stream.read_exact(&mut [0]));
    let run = tail(&format!("ws://localhost:{}", silent.port())).run();
    run.ends_with(3).says(&[&format!("use wss://localhost:{}", silent.port())]);
}

#[test]
fn tls_to_a_plain_port_suggests_the_other_scheme_at_once() {
    // One that waits for the end of a request, and one that answers invalid input.
    let waiting = listener(stream_events);
    let answering = listener(|mut stream| {
        stream.read_exact(&mut [0])?;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    for address in [waiting, answering] {
        let run = tail(&url(address)).run();
        run.ends_with(3).says(&[&format!("use ws://localhost:{}", address.port())]);
    }
}
