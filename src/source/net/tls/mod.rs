//! TLS for outgoing connections: the trusted certificates and the handshake.

mod certificate;
mod problem;
mod trust;
mod verifier;

use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::transport::Transport;
pub use problem::TlsProblem;
pub use trust::{CaFileError, ExtraRoots};
use verifier::PinnedOrRoots;

/// The trusted roots and the TLS settings. It is built at the first use, because reading the
/// platform's certificates takes longer than the rest of a start.
pub struct TlsContext {
    extra: ExtraRoots,
    connector: OnceLock<TlsConnector>,
}

impl std::fmt::Debug for TlsContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsContext")
    }
}

impl TlsContext {
    /// Trusts `extra`, and what the platform trusts, or Mozilla's roots if the platform has none,
    /// as in a bare container. Reads nothing before its first use.
    #[must_use]
    pub fn platform_with(extra: ExtraRoots) -> Self {
        Self { extra, connector: OnceLock::new() }
    }

    fn connector(&self) -> Result<TlsConnector, TlsProblem> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let connector = self.load()?;
        Ok(self.connector.get_or_init(|| connector).clone())
    }

    fn load(&self) -> Result<TlsConnector, TlsProblem> {
        let mut roots = RootCertStore::empty();
        let platform = trust::platform()?;
        let (added, ignored) = roots.add_parsable_certificates(platform.certificates.clone());
        tracing::debug!(added, ignored, "platform certificates");
        if roots.is_empty() {
            tracing::debug!("the platform trusts no certificates: using the built-in roots");
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        let mut pinned = self.extra.certificates().to_vec();
        roots.add_parsable_certificates(pinned.clone());
        if platform.is_from_user {
            pinned.extend(platform.certificates);
        }
        connector(roots, pinned)
    }

    /// Performs the handshake with a server that must prove to be `host`.
    pub(super) async fn handshake(
        &self,
        host: &str,
        stream: Transport,
    ) -> Result<TlsStream<Transport>, TlsProblem> {
        // A zone is not part of a name (RFC 6874 §4).
        let host = host.split('%').next().unwrap_or_default();
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TlsProblem::Other(format!("{host:?} can't be the name in a certificate"))
        })?;
        self.connector()?.connect(name, stream).await.map_err(|e| TlsProblem::from_io(&e, host))
    }
}

/// For tests only.
#[doc(hidden)]
impl TlsContext {
    /// Trusts what the platform trusts.
    #[must_use]
    pub fn platform() -> Self {
        Self::platform_with(ExtraRoots::default())
    }

    /// Trusts only these roots.
    ///
    /// # Errors
    /// [`TlsProblem::Other`] when the TLS library can't be set up, which no input causes.
    pub fn with_roots(roots: RootCertStore) -> Result<Self, TlsProblem> {
        let connector = OnceLock::from(connector(roots, Vec::new())?);
        Ok(Self { extra: ExtraRoots::default(), connector })
    }
}

/// Returns a connector that trusts `roots`, and each of `pinned` as a server's own certificate.
fn connector(
    roots: RootCertStore,
    pinned: Vec<CertificateDer<'static>>,
) -> Result<TlsConnector, TlsProblem> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsProblem::Other(problem::spaced(&format!("{e:?}"))))?;
    let mut config = match pinned.is_empty() {
        true => builder.with_root_certificates(roots).with_no_client_auth(),
        false => {
            let verifier = PinnedOrRoots::new(roots, pinned, algorithms);
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
            builder.with_no_client_auth()
        }
    };
    // A WebSocket starts as HTTP/1.1, so the server must not choose h2.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
