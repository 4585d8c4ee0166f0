//! Names, TCP and TLS: which certificates are accepted, and the error for each fault.

use std::time::Duration;

use skytail::source::endpoint;
use skytail::source::net::proxy::Proxies;
use skytail::source::net::tls::{ExtraRoots, TlsContext, TlsProblem};
use skytail::source::net::{DialProblem, Phase, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{
    dial_error, dial_tls, far_deadline, peer, tls_file, tls_problem, trusting_no_authority,
    trusting_the_test_authority,
};

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_have_different_errors() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let error = dial_error(&format!("127.0.0.1:{port}"), &Proxies::none()).await;
    assert!(matches!(error.problem, DialProblem::Refused), "{error:?}");
    assert_eq!(error.peer, format!("127.0.0.1:{port}"));
    assert!(!error.is_permanent());
    let error = dial_error("no-such-host.invalid", &Proxies::none()).await;
    assert!(matches!(error.problem, DialProblem::UnknownHost(_)), "{error:?}");
    assert!(error.to_string().starts_with("no-such-host.invalid:443: "), "{error}");
}

#[tokio::test]
async fn a_trusted_certificate_opens_a_stream() {
    let mut stream = dial_tls("good.pem", &trusting_the_test_authority()).await.unwrap();
    stream.write_u8(7).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 7);
}

#[tokio::test]
async fn a_bad_certificate_is_reported_with_its_fault() {
    let trusting = trusting_the_test_authority();
    let expired = tls_problem(dial_tls("expired.pem", &trusting).await);
    assert_eq!(expired, TlsProblem::Expired);
    let unknown = tls_problem(dial_tls("good.pem", &trusting_no_authority()).await);
    assert_eq!(unknown, TlsProblem::UnknownIssuer);
    let other = tls_problem(dial_tls("other.pem", &trusting).await);
    let text = other.to_string();
    assert!(text.contains("is for other.example, not for localhost:"), "{text}");
}

#[tokio::test]
async fn a_plain_server_at_a_wss_url_is_reported_as_such() {
    let (address, _served) = peer(|mut stream| async move {
        stream.write_all(b"HTTP/1.1 400 Bad UpgradeRequest\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let endpoint = endpoint::parse(&format!("wss://localhost:{}", address.port())).unwrap();
    let outcome = dial(&endpoint, &Proxies::none(), &trusting_no_authority(), far_deadline()).await;
    let try_instead = format!("ws://localhost:{}", address.port());
    assert_eq!(tls_problem(outcome), TlsProblem::NotTls { try_instead });
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
    let error =
        dial(&endpoint, &Proxies::none(), &trusting_no_authority(), soon).await.unwrap_err();
    let DialProblem::TimedOut(timing) = error.problem else { panic!("{error:?}") };
    assert_eq!(timing.phase, Phase::Tls);
    end.send(()).unwrap();
    served.await.unwrap();
}

/// Sends `first`, then echoes.

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_through_its_file() {
    for certificate in ["self-signed.pem", "self-signed-cn.pem"] {
        let refused = tls_problem(dial_tls(certificate, &trusting_no_authority()).await);
        assert_eq!(refused, TlsProblem::SelfSigned);
        assert!(refused.to_string().contains("--ca-file FILE"), "{refused}");
        let trusting = TlsContext::platform_with(ExtraRoots::read(&tls_file(certificate)).unwrap());
        let mut stream = dial_tls(certificate, &trusting).await.unwrap();
        stream.write_u8(7).await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }
    // The same key and name, and another certificate.
    let other =
        TlsContext::platform_with(ExtraRoots::read(&tls_file("self-signed-cn.pem")).unwrap());
    let refused = tls_problem(dial_tls("self-signed.pem", &other).await);
    assert_eq!(refused, TlsProblem::SelfSigned);
}

#[tokio::test]
async fn an_authority_is_trusted_through_its_file_and_other_checks_remain() {
    let trusting = TlsContext::platform_with(ExtraRoots::read(&tls_file("ca.pem")).unwrap());
    dial_tls("good.pem", &trusting).await.unwrap();
    assert_eq!(tls_problem(dial_tls("expired.pem", &trusting).await), TlsProblem::Expired);
    let other = tls_problem(dial_tls("other.pem", &trusting).await);
    assert!(matches!(other, TlsProblem::WrongName { .. }), "{other:?}");
    let pinned = TlsContext::platform_with(ExtraRoots::read(&tls_file("expired.pem")).unwrap());
    assert_eq!(tls_problem(dial_tls("expired.pem", &pinned).await), TlsProblem::Expired);
}

#[test]
fn a_file_without_certificates_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let good = std::fs::read_to_string(tls_file("ca.pem")).unwrap();
    let key = std::fs::read_to_string(tls_file("leaf.key.pem")).unwrap();
    for (text, words) in [
        ("", "no certificate in PEM"),
        (&*key, "no certificate in PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "damaged certificate (number 1)",
        ),
        (&*format!("{good}-----BEGIN CERTIFICATE-----\n!"), "damaged certificate (number 2)"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = ExtraRoots::read(&path).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("ca.pem"), "{error}");
    }
    std::fs::write(&path, format!("{key}{good}")).unwrap();
    assert!(ExtraRoots::read(&path).is_ok());
    let error = ExtraRoots::read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("can't read"), "{error}");
}

/// A plain server that sends nothing before it has read a whole request, and then closes or waits.
async fn plain_server(closes: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    if closes && byte == 0x16 {
                        return;
                    }
                    head.push(byte);
                }
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_plain_server_that_waits_or_closes_is_reported_long_before_the_deadline() {
    for closes in [false, true] {
        let port = plain_server(closes).await.port();
        let endpoint = endpoint::parse(&format!("wss://localhost:{port}/base")).unwrap();
        let outcome =
            dial(&endpoint, &Proxies::none(), &trusting_no_authority(), far_deadline()).await;
        let try_instead = format!("ws://localhost:{port}/base");
        assert_eq!(tls_problem(outcome), TlsProblem::NotTls { try_instead });
    }
}

#[tokio::test]
async fn the_zone_of_an_address_selects_the_interface_and_is_not_sent() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        // This machine has no IPv6.
        return;
    };
    let port = listener.local_addr().unwrap().port();
    let error = dial_error("[fe80::1%25nosuch0]:1", &Proxies::none()).await;
    assert!(
        matches!(error.problem, DialProblem::NoInterface(ref name) if name == "nosuch0"),
        "{error:?}"
    );
    assert_eq!(error.peer, "[fe80::1%nosuch0]:1");
    // Interface 1 is loopback if there is a number 1.
    let endpoint = endpoint::parse(&format!("ws://[::1%251]:{port}")).unwrap();
    assert_eq!(endpoint.authority(), format!("[::1]:{port}"));
    dial(&endpoint, &Proxies::none(), &trusting_no_authority(), far_deadline()).await.unwrap();
}
