//! The serving certificate: read from two files, or from the Secret that the servers fill themselves, and read again when
//! it changes.
//!
//! New connections get the new certificate; running ones are left alone. What cannot be used (a key of another
//! certificate, half of a file) is logged and the certificate in use stays.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    client::verify_server_name,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::self_signed::{SelfSigned, SelfSignedError, Served};
use crate::{api::names::SERVING, cluster::error::in_one_line};

/// Where the serving certificate and its key are.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    /// PEM, leaf first.
    pub certificate: PathBuf,
    /// PEM, unencrypted.
    pub key: PathBuf,
}

/// Where the serving certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// Someone puts it there.
    Files(CertificateFiles),
    /// The servers make it.
    SelfSigned(Box<SelfSigned>),
}

impl From<CertificateFiles> for CertificateSource {
    fn from(files: CertificateFiles) -> Self {
        Self::Files(files)
    }
}

impl CertificateSource {
    async fn read(&self) -> Result<Content, TlsError> {
        match self {
            Self::Files(files) => Content::read(files).await,
            Self::SelfSigned(own) => {
                let Served { certificate, key } = own.current().await?;
                let key = Zeroizing::new(key.expose().as_bytes().to_vec());
                Ok(Content { certificate: certificate.into_bytes(), key })
            }
        }
    }

    /// What the certificate and its key are called.
    fn places(&self) -> (PathBuf, PathBuf) {
        match self {
            Self::Files(files) => (files.certificate.clone(), files.key.clone()),
            Self::SelfSigned(_) => (format!("Secret {SERVING}").into(), format!("Secret {SERVING}").into()),
        }
    }
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
        /// What was looked for. What the parser says is left out: it shows bytes of the file.
        what: &'static str,
    },
    /// The key cannot be used, or belongs to another certificate.
    #[error("the key in {} does not belong to the certificate, or cannot be used", path.display())]
    Pair {
        /// The key's file.
        path: PathBuf,
    },
    /// The servers could not make one.
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// No protocol version is left to speak.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The serving certificate in use, and where newer ones are found.
#[derive(Debug)]
pub struct ServingCertificate {
    source: CertificateSource,
    current: Arc<InUse>,
    provider: Arc<CryptoProvider>,
    /// Digest of what was last read, usable or not, so that one mistake is logged once. None: unreadable.
    last_seen: Option<[u8; 32]>,
}

/// The certificate that a new connection gets.
#[derive(Debug)]
struct InUse(ArcSwap<CertifiedKey>);

/// The names of the certificate in use.
#[derive(Clone, Debug)]
pub struct OwnNames(Arc<InUse>);

impl OwnNames {
    /// Whether clients that ask for this host accept the certificate in use for it, by its names.
    #[must_use]
    pub fn hold(&self, host: &str) -> bool {
        let current = self.0.0.load();
        let leaf = current.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        let name = ServerName::try_from(host).ok();
        leaf.zip(name).is_some_and(|(leaf, name)| verify_server_name(&leaf, &name).is_ok())
    }
}

impl ResolvesServerCert for InUse {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Certificate and key as they are now.
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

    fn certified_key(&self, source: &CertificateSource, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let (certificate, key_place) = source.places();
        let no_certificate = || TlsError::Parse { path: certificate.clone(), what: "certificate" };
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| TlsError::Parse {
            path: key_place.clone(),
            what: "private key (encrypted keys cannot be used)",
        })?;
        CertifiedKey::from_der(chain, key, provider).map_err(|_| TlsError::Pair { path: key_place.clone() })
    }
}

impl ServingCertificate {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub async fn load(source: impl Into<CertificateSource>) -> Result<Self, TlsError> {
        let source = source.into();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let content = source.read().await?;
        let certified = content.certified_key(&source, &provider)?;
        let current = Arc::new(InUse(ArcSwap::from_pointee(certified)));
        Ok(Self { last_seen: Some(content.digest()), source, current, provider })
    }

    /// The names by which clients may know this server, always those of the certificate in use at the moment.
    #[must_use]
    pub fn names(&self) -> OwnNames {
        OwnNames(Arc::clone(&self.current))
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

    /// Looks at it every `interval`, for ever. Polling also sees the symbolic links that a mounted Secret swaps.
    pub async fn keep_fresh(mut self, interval: Duration) {
        let mut ticks = tokio::time::interval(interval);
        loop {
            ticks.tick().await;
            self.refresh().await;
        }
    }

    async fn refresh(&mut self) {
        let content = match self.source.read().await {
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
        match content.certified_key(&self.source, &self.provider) {
            Ok(certified) => {
                self.current.0.store(Arc::new(certified));
                info!(from = %self.source.places().0.display(), "serving certificate replaced");
            }
            Err(error) => {
                warn!(error = in_one_line(&error), "new serving certificate cannot be used; the one in use stays");
            }
        }
    }
}
