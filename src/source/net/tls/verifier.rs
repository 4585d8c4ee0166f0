//! Verifies a server's certificate: by the trusted roots, or because the certificate itself is
//! among the trusted ones, as curl does.
//!
//! `openssl req -x509` marks a self-signed certificate as that of an authority, and webpki refuses
//! an authority's certificate for a server. A certificate that the user named by file needs no
//! authority. Its name and its dates are checked all the same, and the server must hold its key.

use std::net::IpAddr;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::certificate::CertificateFields;

/// Accepts a certificate that is pinned, or that a trusted root has signed.
#[derive(Debug)]
pub(super) struct PinnedOrRoots {
    roots: RootCertStore,
    pinned: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedOrRoots {
    pub fn new(
        roots: RootCertStore,
        pinned: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Self {
        Self { roots, pinned, algorithms }
    }
}

impl ServerCertVerifier for PinnedOrRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            check_pinned(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Checks the dates and the name of a pinned certificate.
fn check_pinned(
    certificate: &CertificateDer<'_>,
    server_name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let fields = CertificateFields::parse(certificate).ok_or(CertificateError::BadEncoding)?;
    let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now_s < fields.not_before_s {
        return Err(CertificateError::NotValidYet.into());
    }
    if now_s > fields.not_after_s {
        return Err(CertificateError::Expired.into());
    }
    if fields.has_alternative_names {
        return verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name);
    }
    // Without -addext, `openssl req -x509` writes no alternative name. Then the common name
    // counts, as in OpenSSL.
    let presented = fields.common_name.unwrap_or_default();
    let is_match = match server_name {
        ServerName::DnsName(name) => matches_host(&presented, name.as_ref()),
        ServerName::IpAddress(address) => {
            let expected = IpAddr::from(*address);
            presented.parse::<IpAddr>().is_ok_and(|presented| presented == expected)
        }
        _ => false,
    };
    if is_match {
        return Ok(());
    }
    let expected = server_name.to_owned();
    Err(CertificateError::NotValidForNameContext { expected, presented: vec![presented] }.into())
}

/// Returns whether a common name matches a host. It may begin with `*.`, for one label.
fn matches_host(pattern: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(parent), Some((_, rest))) => rest.contains('.') && parent.eq_ignore_ascii_case(rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    fn check(file: &str, name: &'static str, now_s: u64) -> Result<(), Error> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(file);
        let certificate = CertificateDer::from_pem_file(path).unwrap();
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_s));
        check_pinned(&certificate, &ServerName::try_from(name).unwrap(), now)
    }

    fn fault(file: &str, name: &'static str, now_s: u64) -> CertificateError {
        match check(file, name, now_s).unwrap_err() {
            Error::InvalidCertificate(fault) => fault,
            other => panic!("{other:?}"),
        }
    }

    const NOW_S: u64 = 1_800_000_000;

    #[test]
    fn a_pinned_certificate_needs_the_right_name_and_dates() {
        for (file, name) in [
            ("self-signed.pem", "localhost"),
            ("self-signed.pem", "127.0.0.1"),
            ("self-signed-cn.pem", "localhost"),
            ("self-signed-cn.pem", "LocalHost"),
        ] {
            check(file, name, NOW_S).unwrap_or_else(|e| panic!("{file} {name}: {e}"));
        }
        for (file, name) in [
            ("self-signed.pem", "other.example"),
            ("self-signed.pem", "127.0.0.2"),
            // The common name is localhost.
            ("self-signed-cn.pem", "other.example"),
            ("self-signed-cn.pem", "127.0.0.1"),
        ] {
            let fault = fault(file, name, NOW_S);
            assert!(matches!(fault, CertificateError::NotValidForNameContext { .. }), "{fault:?}");
        }
        assert_eq!(fault("self-signed.pem", "localhost", 0), CertificateError::NotValidYet);
        assert_eq!(fault("self-signed.pem", "localhost", u64::MAX), CertificateError::Expired);
    }

    #[test]
    fn a_wildcard_matches_one_label() {
        assert!(
            matches_host("*.b.example", "a.b.example") && matches_host("B.example", "b.example")
        );
        for host in ["b.example", "x.a.b.example", "ab.example", ".b.example.x"] {
            assert!(!matches_host("*.b.example", host), "{host}");
        }
        assert!(!matches_host("*.example", "b.example"), "a top-level domain has no owner");
        assert!(!matches_host("", "b.example"));
    }
}
