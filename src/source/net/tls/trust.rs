//! Loads the trusted certificates: those of the platform, and those that the user adds.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::problem::TlsProblem;

/// The largest `--ca-file`, in bytes. All authorities of a system take 250 kB.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Certificates to trust in addition to those of the platform. Each is trusted as an authority,
/// and as a server's own certificate.
#[derive(Clone, Default)]
pub struct ExtraRoots {
    certificates: Arc<[CertificateDer<'static>]>,
}

impl std::fmt::Debug for ExtraRoots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExtraRoots").field("certificates", &self.certificates.len()).finish()
    }
}

/// Why the certificates of a file could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CaFileError {
    /// The file can't be read.
    #[error("can't read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// The file is too large.
    #[error("{} is larger than 4 MiB: name a file with the certificates alone", .0.display())]
    TooLarge(PathBuf),
    /// The file holds no certificate, or not in PEM.
    #[error(
        "{} holds no certificate in PEM: a certificate begins with -----BEGIN CERTIFICATE-----; convert one in DER with `openssl x509 -inform der`",
        .0.display()
    )]
    Empty(PathBuf),
    /// A certificate is truncated or malformed.
    #[error("{} holds a damaged certificate (number {number})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The number of the certificate, from 1.
        number: usize,
    },
}

impl ExtraRoots {
    /// Reads the certificates in a PEM file. Skips anything else in it, such as a key.
    ///
    /// # Errors
    /// [`CaFileError`].
    pub fn read(path: &Path) -> Result<Self, CaFileError> {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(|error| CaFileError::Read { path: path.to_owned(), error })?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(CaFileError::TooLarge(path.to_owned()));
        }
        let mut certificates = Vec::new();
        for (i, certificate) in CertificateDer::pem_slice_iter(&bytes).enumerate() {
            let number = i + 1;
            let damaged = || CaFileError::Damaged { path: path.to_owned(), number };
            let certificate = certificate.map_err(|_| damaged())?;
            if super::certificate::CertificateFields::parse(&certificate).is_none() {
                return Err(damaged());
            }
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(CaFileError::Empty(path.to_owned()));
        }
        Ok(Self { certificates: certificates.into() })
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

/// The certificates that the platform trusts.
pub(super) struct Platform {
    /// The certificates; empty in a bare container.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Whether the user chose them with `SSL_CERT_FILE` or `SSL_CERT_DIR`.
    pub is_from_user: bool,
}

/// Loads the certificates that the platform trusts. Honours `SSL_CERT_FILE` and `SSL_CERT_DIR`.
///
/// # Errors
/// [`TlsProblem::Other`] when `SSL_CERT_FILE` or `SSL_CERT_DIR` is set and holds no usable
/// certificate: a fallback would trust what the user meant to exclude.
pub(super) fn platform() -> Result<Platform, TlsProblem> {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a trusted certificate was left out");
    }
    let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
    let chosen = variables.into_iter().find(|name| std::env::var_os(name).is_some());
    match chosen {
        Some(name) if native.certs.is_empty() => Err(TlsProblem::Other(format!(
            "{name} is set, but no certificate could be read from there: correct or unset it"
        ))),
        _ => Ok(Platform { certificates: native.certs, is_from_user: chosen.is_some() }),
    }
}
