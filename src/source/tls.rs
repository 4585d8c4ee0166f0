//! TLS for outgoing connections: which roots are trusted, and what a failed handshake means in
//! words. Dials nothing by itself.

use std::io;
use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as RustlsError, RootCertStore};

use super::transport::Transport;
use crate::display::printable::one_line;

/// The trusted roots and the settings of TLS: built once, at the first use, since reading the
/// platform's certificates takes longer than all the rest of a start.
pub struct TlsContext {
    connector: OnceLock<TlsConnector>,
}

impl std::fmt::Debug for TlsContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsContext")
    }
}

impl TlsContext {
    /// Trusts what the platform trusts, or Mozilla's roots where the platform has none, as in a
    /// bare container. Reads nothing before it is used.
    #[must_use]
    pub fn platform() -> Self {
        Self { connector: OnceLock::new() }
    }

    fn connector(&self) -> Result<TlsConnector, TlsProblem> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let connector = Self::load()?;
        Ok(self.connector.get_or_init(|| connector).clone())
    }

    fn load() -> Result<TlsConnector, TlsProblem> {
        let mut roots = RootCertStore::empty();
        let (added, ignored) = roots.add_parsable_certificates(platform_certificates()?);
        tracing::debug!(added, ignored, "platform certificates");
        if roots.is_empty() {
            tracing::debug!("the platform trusts no certificates: using the built-in roots");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        connector(roots)
    }

    /// Trusts exactly these roots.
    ///
    /// # Errors
    /// [`TlsProblem::Other`] when the TLS library can't be set up, which no input causes.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, TlsProblem> {
        Ok(Self { connector: OnceLock::from(connector(roots)?) })
    }

    /// Runs the handshake with a server that must prove to be `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: Transport,
    ) -> Result<TlsStream<Transport>, TlsProblem> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TlsProblem::Other(format!("{host:?} can't be the name in a certificate"))
        })?;
        self.connector()?.connect(name, stream).await.map_err(|e| TlsProblem::from_io(&e))
    }
}

fn connector(roots: RootCertStore) -> Result<TlsConnector, TlsProblem> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsProblem::Other(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A WebSocket begins as HTTP/1.1: h2 must not be chosen.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The certificates the platform trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured. Empty
/// where the platform has none.
///
/// # Errors
/// [`TlsProblem::Other`] when `SSL_CERT_FILE` or `SSL_CERT_DIR` is set and holds no usable
/// certificate: falling back would trust what the user meant to exclude.
pub fn platform_certificates() -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a trusted certificate was left out");
    }
    if native.certs.is_empty() {
        let asked = ["SSL_CERT_FILE", "SSL_CERT_DIR"]
            .into_iter()
            .find(|name| std::env::var_os(name).is_some());
        if let Some(name) = asked {
            return Err(TlsProblem::Other(format!(
                "{name} is set, but no certificate could be read from there: correct or unset it"
            )));
        }
    }
    Ok(native.certs)
}

/// Why a TLS handshake failed, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The certificate's time is over.
    #[error(
        "its certificate has expired: check this machine's clock, or tell whoever runs the server"
    )]
    Expired,
    /// The certificate's time is yet to come.
    #[error("its certificate is not valid yet: check this machine's clock")]
    NotValidYet,
    /// Nobody who is trusted has signed.
    #[error(
        "its certificate is signed by nobody this machine trusts: behind a company proxy, or with a private authority, set SSL_CERT_FILE to its certificate (PEM)"
    )]
    UnknownIssuer,
    /// A certificate of somebody else.
    #[error("its certificate is for another name{0}: check the host's spelling")]
    WrongName(String),
    /// Any other objection to the certificate.
    #[error("its certificate is refused: {0}")]
    Certificate(String),
    /// No TLS on the other side.
    #[error("it does not speak TLS: for a plain-text server write ws://HOST:PORT")]
    NotTls,
    /// The connection ended in the middle.
    #[error("the connection ended during the TLS handshake ({0})")]
    Cut(String),
    /// Everything else.
    #[error("TLS failed: {0}")]
    Other(String),
}

impl TlsProblem {
    fn from_io(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>()) {
            Some(RustlsError::InvalidCertificate(problem)) => Self::from_certificate(problem),
            Some(RustlsError::InvalidMessage(_)) => Self::NotTls,
            Some(other) => Self::Other(other.to_string()),
            None => Self::Cut(error.to_string()),
        }
    }

    fn from_certificate(problem: &CertificateError) -> Self {
        match problem {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotValidYet
            }
            CertificateError::UnknownIssuer => Self::UnknownIssuer,
            CertificateError::NotValidForName => Self::WrongName(String::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = one_line(presented.join(", ").as_bytes(), 200);
                Self::WrongName(format!(" ({names})"))
            }
            other => Self::Certificate(other.to_string()),
        }
    }
}
