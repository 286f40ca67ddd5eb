//! Certificates: authorities and what they issue, for tests; and the keys and certificates of one control plane. These
//! are its CA, the API server's serving certificate, client certificates, and the key that signs `ServiceAccount` tokens,
//! made anew for each control plane.

use std::{
    io,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use crate::private_file;

/// Why keys or certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    #[error("make the certificate of {subject}")]
    Sign {
        subject: String,
        #[source]
        source: rcgen::Error,
    },
    #[error("write {}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A private key with its certificate, both PEM.
pub struct KeyAndCertificate {
    /// The private key, PKCS#8.
    pub key_pem: String,
    /// The certificate alone.
    pub certificate_pem: String,
}

/// An authority with its key.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// Parameters of a certificate with this common name and nothing else.
#[must_use]
pub fn named(common_name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = subject(common_name, None);
    parameters
}

/// An authority that signs itself.
///
/// # Errors
/// If the certificate cannot be made.
pub fn root(common_name: &str) -> Result<Authority, rcgen::Error> {
    CertifiedIssuer::self_signed(of_authority(common_name), KeyPair::generate()?)
}

/// An authority below another.
///
/// # Errors
/// If the certificate cannot be made.
pub fn intermediate(common_name: &str, above: &Authority) -> Result<Authority, rcgen::Error> {
    CertifiedIssuer::signed_by(of_authority(common_name), KeyPair::generate()?, above)
}

/// A new key, with a certificate of these parameters.
///
/// # Errors
/// If the certificate cannot be made.
pub fn issue(
    parameters: &CertificateParams,
    authority: &Issuer<'_, KeyPair>,
) -> Result<KeyAndCertificate, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, authority)?;
    Ok(KeyAndCertificate { key_pem: key.serialize_pem(), certificate_pem: certificate.pem() })
}

fn of_authority(common_name: &str) -> CertificateParams {
    let mut parameters = named(common_name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

/// Where the files of the control plane lie.
pub(crate) struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// The files below `directory`; [`Pki::create`] makes them.
    pub(crate) fn at(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    fn ca_key(&self) -> PathBuf {
        self.directory.join("ca.key")
    }

    pub(crate) fn serving_certificate(&self) -> PathBuf {
        self.directory.join("apiserver.crt")
    }

    pub(crate) fn serving_key(&self) -> PathBuf {
        self.directory.join("apiserver.key")
    }

    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.directory.join("service-account.key")
    }

    pub(crate) fn service_account_public_key(&self) -> PathBuf {
        self.directory.join("service-account.pub")
    }

    /// Makes and writes everything that the three programs need; returns the CA certificate as PEM.
    pub(crate) fn create(&self) -> Result<String, PkiError> {
        let sign = |source| PkiError::Sign { subject: "the API server".to_owned(), source };
        let ca = root("certcourier test control plane").map_err(sign)?;

        let names = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut serving = CertificateParams::new(names.map(str::to_owned)).map_err(sign)?;
        serving.distinguished_name = subject("kube-apiserver", None);
        serving.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let serving = issue(&serving, &ca).map_err(sign)?;
        let service_account = KeyPair::generate().map_err(sign)?;

        for (path, content) in [
            (self.ca(), ca.pem()),
            (self.ca_key(), ca.key().serialize_pem()),
            (self.serving_certificate(), serving.certificate_pem),
            (self.serving_key(), serving.key_pem),
            (self.service_account_key(), service_account.serialize_pem()),
            (self.service_account_public_key(), service_account.public_key_pem()),
        ] {
            private_file::write(&path, content.as_bytes()).map_err(|source| PkiError::Write { path, source })?;
        }
        Ok(ca.pem())
    }

    /// A client certificate: Kubernetes takes the common name for the user and the organization for the group (rcgen
    /// writes one organization per certificate).
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Result<KeyAndCertificate, PkiError> {
        let read = |path: PathBuf| {
            std::fs::read_to_string(&path).map_err(|source| PkiError::Read { path: path.clone(), source })
        };
        let sign = |source| PkiError::Sign { subject: user.to_owned(), source };
        let ca_key = KeyPair::from_pem(&read(self.ca_key())?).map_err(sign)?;
        let ca = Issuer::from_ca_cert_pem(&read(self.ca())?, ca_key).map_err(sign)?;
        let mut client = CertificateParams::default();
        client.distinguished_name = subject(user, group);
        client.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        issue(&client, &ca).map_err(sign)
    }
}

fn subject(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}
