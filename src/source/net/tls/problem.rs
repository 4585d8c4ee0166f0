//! Why a TLS handshake failed, and the remedy. The TLS library's messages contain names of its
//! types, which are translated here.

use std::io;

use tokio_rustls::rustls::{CertificateError, Error as RustlsError};

use crate::display::printable::one_line;

/// The most characters of a peer's names, or of a library error, that are shown.
const MAX_SHOWN_CHARS: usize = 200;

/// Why a TLS handshake failed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The certificate's validity has ended.
    #[error(
        "its certificate has expired: check this machine's clock, or inform the operator of the server"
    )]
    Expired,
    /// The certificate's validity has not begun.
    #[error("its certificate is not valid yet: check this machine's clock")]
    NotValidYet,
    /// No trusted authority has signed the certificate.
    #[error(
        "its certificate is signed by an authority that this machine does not trust: for a company's proxy or a private authority, give that authority's certificate (PEM) with --ca-file FILE, or set SSL_CERT_FILE"
    )]
    UnknownIssuer,
    /// The certificate is self-signed, or that of an authority.
    #[error(
        "its certificate is self-signed, and this machine does not trust it: to trust exactly this certificate, give it (PEM) with --ca-file FILE"
    )]
    SelfSigned,
    /// The signature of the certificate or of the handshake is wrong.
    #[error(
        "the signature on its certificate does not match the trusted authority of that name: if the authority was renewed, give its new certificate (PEM) with --ca-file FILE"
    )]
    BadSignature,
    /// The certificate is for another host.
    #[error("its certificate is for {presented}, not for {host}: check the host's spelling")]
    WrongName {
        /// The names in the certificate, printable.
        presented: String,
        /// The host that the client dialled.
        host: String,
    },
    /// Another fault of the certificate.
    #[error("its certificate is refused ({0})")]
    Certificate(String),
    /// The peer does not speak TLS.
    #[error("it does not speak TLS on this port: for a plain-text server use {try_instead}")]
    NotTls {
        /// The URL of the same server with the right scheme.
        try_instead: String,
    },
    /// The connection ended during the handshake.
    #[error("the connection ended during the TLS handshake ({0})")]
    Interrupted(String),
    /// Another failure.
    #[error("TLS failed: {0}")]
    Other(String),
}

impl TlsProblem {
    pub(super) fn from_io(error: &io::Error, host: &str) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>()) {
            Some(RustlsError::InvalidCertificate(problem)) => Self::from_certificate(problem, host),
            Some(RustlsError::InvalidMessage(_)) => {
                // The caller, who knows the port, replaces this URL.
                Self::NotTls { try_instead: format!("ws://{host}") }
            }
            Some(RustlsError::AlertReceived(alert)) => {
                let alert = spaced(&format!("{alert:?}"));
                Self::Other(format!("the server ended the handshake with the alert {alert:?}"))
            }
            Some(RustlsError::PeerIncompatible(reason)) => {
                let reason = spaced(&format!("{reason:?}"));
                Self::Other(format!("the server and skytail have no settings in common ({reason})"))
            }
            Some(RustlsError::General(words)) => Self::Other(shown(words)),
            Some(other) => Self::Other(spaced(&format!("{other:?}"))),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Interrupted("the server closed it".to_owned())
            }
            None => Self::Interrupted(shown(&error.to_string())),
        }
    }

    fn from_certificate(problem: &CertificateError, host: &str) -> Self {
        let wrong_name = |presented: String| {
            let host = host.to_owned();
            let nothing = "no name at all".to_owned();
            Self::WrongName {
                presented: if presented.is_empty() { nothing } else { presented },
                host,
            }
        };
        match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::NotValidForName => wrong_name("another name".to_owned()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
                wrong_name(shown(&names.join(", ")))
            }
            CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
                Self::SelfSigned
            }
            CertificateError::Other(other) => Self::Certificate(spaced(&other.0.to_string())),
            other => Self::Certificate(spaced(&format!("{other:?}"))),
        }
    }
}

fn shown(text: &str) -> String {
    one_line(text.as_bytes(), MAX_SHOWN_CHARS)
}

/// Strips the type that the library puts around a name: `DnsName("localhost")`.
fn bare_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

/// Splits the identifier at the start of a `Debug` text into words: `UnsupportedCertVersion { x: 1
/// }` becomes `unsupported cert version`.
pub(super) fn spaced(debug: &str) -> String {
    let name = debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut words = String::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
        before = c;
    }
    if words.is_empty() { "an unknown reason".to_owned() } else { shown(&words) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio_rustls::rustls::pki_types::ServerName;
    use tokio_rustls::rustls::{AlertDescription, OtherError, PeerIncompatible, PeerMisbehaved};

    fn words_of(error: RustlsError) -> String {
        TlsProblem::from_io(&io::Error::other(error), "h.example").to_string()
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Inner(&'static str);

    #[test]
    fn no_message_names_a_type() {
        let other = |name| CertificateError::Other(OtherError(Arc::new(Inner(name))));
        let name = ServerName::try_from("h.example").unwrap().to_owned();
        let presented =
            vec!["DnsName(\"localhost\")".to_owned(), "IpAddress(127.0.0.1)".to_owned()];
        for (error, words) in [
            (other("CaUsedAsEndEntity").into(), "--ca-file"),
            (CertificateError::UnknownIssuer.into(), "--ca-file"),
            (CertificateError::BadSignature.into(), "--ca-file"),
            (other("UnsupportedCertVersion").into(), "(unsupported cert version)"),
            (CertificateError::BadEncoding.into(), "(bad encoding)"),
            (
                CertificateError::NotValidForNameContext { expected: name, presented }.into(),
                "for localhost, 127.0.0.1, not for h.example",
            ),
            (
                RustlsError::AlertReceived(AlertDescription::HandshakeFailure),
                "\"handshake failure\"",
            ),
            (
                RustlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
                "support tls12 or13",
            ),
            (
                RustlsError::PeerMisbehaved(PeerMisbehaved::IllegalMiddleboxChangeCipherSpec),
                "peer misbehaved",
            ),
            (RustlsError::DecryptError, "decrypt error"),
            (RustlsError::General("some words".to_owned()), "some words"),
        ] {
            let error: RustlsError = error;
            let said = words_of(error);
            assert!(said.contains(words), "{said}");
            // No identifier of two words is left.
            let is_type = |word: &str| word.chars().skip(1).any(|c| c.is_ascii_uppercase());
            let types: Vec<&str> = said
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| {
                    is_type(word) && !["TLS", "PEM", "SSL", "CERT", "FILE"].contains(word)
                })
                .collect();
            assert!(types.is_empty(), "{types:?} in {said}");
        }
    }
}
