//! The serving certificate: read from two files, and read again when they change.
//!
//! New connections get the new certificate; running ones are left alone. What cannot be used (a key of another
//! certificate, half of a file) is logged and the certificate in use stays.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::kube::error::in_one_line;

/// Where the serving certificate and its key are.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM, unencrypted.
    pub key: PathBuf,
}

/// Why the serving certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        #[source]
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{} holds no PEM {what}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        #[source]
        /// What the parser said.
        source: Option<rustls::pki_types::pem::Error>,
    },
    /// The key cannot be used, or belongs to another certificate.
    #[error("the key in {} does not belong to the certificate, or cannot be used", path.display())]
    Pair {
        /// The key's file.
        path: PathBuf,
        #[source]
        /// What rustls said.
        source: rustls::Error,
    },
    /// No protocol version is left to speak.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The serving certificate in use, and where newer ones are found.
#[derive(Debug)]
pub struct ServingCertificate {
    files: CertificateFiles,
    current: Arc<InUse>,
    provider: Arc<CryptoProvider>,
    /// Digest of what was last looked at, usable or not, so that one mistake is logged once. None: unreadable.
    last_seen: Option<[u8; 32]>,
}

/// The certificate that a new connection gets.
#[derive(Debug)]
struct InUse(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Both files as they are on disk.
struct Content {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Content {
    async fn read(files: &CertificateFiles) -> Result<Self, TlsError> {
        let read = async |path: &PathBuf| {
            tokio::fs::read(path).await.map_err(|source| TlsError::Read { path: path.clone(), source })
        };
        Ok(Self { certificate: read(&files.certificate).await?, key: Zeroizing::new(read(&files.key).await?) })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update((self.certificate.len() as u64).to_be_bytes());
        hasher.update(&self.certificate);
        hasher.update(&self.key);
        hasher.finalize().into()
    }

    fn certified_key(&self, files: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let no_certificate = |source| TlsError::Parse { path: files.certificate.clone(), what: "certificate", source };
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| no_certificate(Some(source)))?;
        if chain.is_empty() {
            return Err(no_certificate(None));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Parse {
            path: files.key.clone(),
            what: "private key (encrypted keys cannot be used)",
            source: Some(source),
        })?;
        CertifiedKey::from_der(chain, key, provider)
            .map_err(|source| TlsError::Pair { path: files.key.clone(), source })
    }
}

impl ServingCertificate {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub async fn load(files: CertificateFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let content = Content::read(&files).await?;
        let certified = content.certified_key(&files, &provider)?;
        let current = Arc::new(InUse(ArcSwap::from_pointee(certified)));
        Ok(Self { last_seen: Some(content.digest()), files, current, provider })
    }

    /// TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1, always with the certificate in use at the moment.
    ///
    /// # Errors
    /// [`TlsError::Setup`] if the provider knows no safe version, which would be a defect of the build.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Looks at the files every `interval`, for ever. Polling also sees the symbolic links that a mounted Secret swaps.
    pub async fn keep_fresh(mut self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        loop {
            ticks.tick().await;
            self.refresh().await;
        }
    }

    async fn refresh(&mut self) {
        let content = match Content::read(&self.files).await {
            Ok(content) => content,
            Err(error) => {
                if self.last_seen.take().is_some() {
                    warn!(error = in_one_line(&error), "serving certificate cannot be read; the one in use stays");
                }
                return;
            }
        };
        let seen = Some(content.digest());
        if seen == self.last_seen {
            return;
        }
        self.last_seen = seen;
        match content.certified_key(&self.files, &self.provider) {
            Ok(certified) => {
                self.current.0.store(Arc::new(certified));
                info!(file = %self.files.certificate.display(), "serving certificate replaced");
            }
            Err(error) => {
                warn!(error = in_one_line(&error), "new serving certificate cannot be used; the one in use stays");
            }
        }
    }
}
