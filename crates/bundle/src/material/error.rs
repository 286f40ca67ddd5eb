//! What can be wrong with material, each with what to do about it. Never says anything about the
//! content of a key.

use std::fmt;

use super::misfit::Misfit;
use super::reason::MaterialReason;

/// One of the three files that material is made of, named as in a Secret of type `kubernetes.io/tls`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The leaf and its chain.
    Certificate,
    /// The private key of the leaf.
    PrivateKey,
    /// The certificates of the authority.
    Ca,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Part::Certificate => "the certificate file (tls.crt)",
            Part::PrivateKey => "the private key file (tls.key)",
            Part::Ca => "the CA file (ca.crt)",
        })
    }
}

/// Why material cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialError {
    /// A part is larger than [`super::Limits::bytes_per_part`].
    #[error(
        "{part} is larger than {limit_bytes} bytes, and no more is read: keep only the PEM blocks that belong to this certificate"
    )]
    TooLarge {
        /// Which part.
        part: Part,
        /// How much of it was handed in, perhaps not all.
        bytes: usize,
        /// The largest size that is read.
        limit_bytes: usize,
    },
    /// A part holds more certificates than [`super::Limits::certificates_per_part`].
    #[error("{part} has {count} certificates, at most {limit} are read: keep only the chain of this certificate")]
    TooManyCertificates {
        /// Which part.
        part: Part,
        /// How many it holds.
        count: usize,
        /// How many are read.
        limit: usize,
    },
    /// A part has no `CERTIFICATE` block at all.
    #[error("no certificate found in {part}: {found}")]
    NoCertificate {
        /// Which part.
        part: Part,
        /// What it looks like instead, and what to do.
        found: Misfit,
    },
    /// One certificate of a part cannot be read.
    #[error("certificate {number} in {part} {error}")]
    BadCertificate {
        /// Which part.
        part: Part,
        /// Its place, from 1.
        number: usize,
        /// What is wrong with it.
        error: CertificateError,
    },
    /// The private key cannot be read.
    #[error(transparent)]
    BadPrivateKey(#[from] PrivateKeyError),
}

impl MaterialError {
    /// Which part it is about.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::TooLarge { part, .. }
            | Self::TooManyCertificates { part, .. }
            | Self::NoCertificate { part, .. }
            | Self::BadCertificate { part, .. } => *part,
            Self::BadPrivateKey(_) => Part::PrivateKey,
        }
    }

    /// A short constant for conditions, metrics and tests.
    #[must_use]
    pub fn reason(&self) -> MaterialReason {
        match self {
            Self::TooLarge { .. } => MaterialReason::TooLarge,
            Self::TooManyCertificates { .. } => MaterialReason::TooManyCertificates,
            Self::NoCertificate { .. } => MaterialReason::NoCertificate,
            Self::BadCertificate { .. } => MaterialReason::BadCertificate,
            Self::BadPrivateKey(error) => error.reason(),
        }
    }
}

/// What is wrong with one certificate. Reads on after "certificate 2 in …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no `BEGIN` line, or not on a line of its own.
    #[error(
        "cannot be read, because its BEGIN line is damaged, missing or not alone on its line: it must be `-----BEGIN CERTIFICATE-----` and nothing else; store the file again"
    )]
    BeginDamaged,
    /// There is no `END` line.
    #[error("is cut off, its END line is missing or damaged: store the whole file again")]
    CutOff,
    /// There is nothing between the two lines.
    #[error("is empty, there is nothing between its BEGIN and END lines: store the whole file again")]
    Empty,
    /// An authority with OpenSSL's own settings of what it is trusted for.
    #[error(
        "is a TRUSTED CERTIFICATE with settings that only OpenSSL reads: store the plain certificate, which `openssl x509 -in FILE` prints"
    )]
    TrustSettings,
    /// The block is not a certificate but an envelope of several.
    #[error(
        "is in a `{label}` block, which few programs read: store the plain certificates, which `{}` prints",
        if label == "CMS" { "sed 's/ CMS-/ PKCS7-/' FILE | openssl pkcs7 -print_certs" } else { "openssl pkcs7 -print_certs -in FILE" }
    )]
    Envelope {
        /// The kind of the block.
        label: String,
    },
    /// A certificate under another label.
    #[error(
        "is in a `{label}` block, which other programs skip: store it between `-----BEGIN CERTIFICATE-----` and `-----END CERTIFICATE-----`, as `openssl x509` prints it"
    )]
    Label {
        /// The kind of the block.
        label: String,
    },
    /// The block is not base64.
    #[error("is not valid base64: store the file again, unchanged")]
    NotBase64,
    /// The bytes are not a certificate.
    #[error("is not an X.509 certificate: look at it with `openssl x509 -text`, and store it again")]
    NotX509,
    /// Something follows the certificate inside its block.
    #[error("is followed by other bytes in its block: write it again with `openssl x509`")]
    TrailingBytes,
}

/// Why a private key cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// No block in the file is a private key.
    #[error(
        "no private key found in the private key file (tls.key): store the key as PEM, beginning with `-----BEGIN PRIVATE KEY-----`"
    )]
    Missing,
    /// The file is something else than PEM.
    #[error("no private key found in the private key file (tls.key): {}", .0.of_key())]
    NotPem(Misfit),
    /// There is no `BEGIN` line, or not on a line of its own.
    #[error(
        "the private key (tls.key) cannot be read, because its BEGIN line is damaged, missing or not alone on its line: store the whole file again"
    )]
    BeginDamaged,
    /// There is more than one.
    #[error("the private key file (tls.key) has several private keys: keep only that of the leaf certificate")]
    Several,
    /// The key is under a passphrase.
    #[error(
        "the private key (tls.key) is encrypted: store it without passphrase, `openssl pkey -in tls.key` removes it"
    )]
    Encrypted,
    /// There is no `END` line.
    #[error("the private key (tls.key) is cut off, its END line is missing or damaged: store the whole file again")]
    CutOff,
    /// The block is not base64.
    #[error("the private key (tls.key) is not valid base64: store the file again, unchanged")]
    NotBase64,
    /// The bytes are not a key of the kind that the label says.
    #[error("the private key (tls.key) cannot be read: look at it with `openssl pkey -check`, and store it again")]
    Malformed,
    /// A kind of file that is not read here.
    #[error(
        "the private key (tls.key) is in a format that is not supported: convert it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    UnsupportedFormat,
    /// An algorithm that TLS has given up.
    #[error(
        "the private key (tls.key) is a DSA key, which TLS no longer accepts: make a new key with `openssl genpkey` and have the certificate issued for it"
    )]
    Dsa,
    /// An RSA key of more than two primes.
    #[error(
        "the private key (tls.key) is an RSA key of more than two primes, which is not supported: make a new key with `openssl genpkey` and have the certificate issued for it"
    )]
    SeveralPrimes,
    /// A key in OpenSSH's own format.
    #[error("the private key (tls.key) is in OpenSSH format: convert a copy with `ssh-keygen -p -m PKCS8`")]
    OpenSsh,
    /// An elliptic curve key that names no curve, or spells one out.
    #[error(
        "the private key (tls.key) does not name its curve: create it again on P-256, P-384 or P-521 with `openssl \
         genpkey`"
    )]
    UnnamedCurve,
}

impl PrivateKeyError {
    /// A short constant for conditions, metrics and tests.
    #[must_use]
    pub fn reason(self) -> MaterialReason {
        match self {
            Self::Missing | Self::NotPem(_) => MaterialReason::NoPrivateKey,
            Self::Several => MaterialReason::SeveralPrivateKeys,
            Self::Encrypted => MaterialReason::EncryptedPrivateKey,
            Self::BeginDamaged | Self::CutOff | Self::NotBase64 | Self::Malformed => MaterialReason::BadPrivateKey,
            Self::UnsupportedFormat | Self::Dsa | Self::SeveralPrimes | Self::OpenSsh | Self::UnnamedCurve => {
                MaterialReason::UnsupportedPrivateKey
            }
        }
    }
}

/// Why the certificates of `tls.crt` are not one chain. The leaf can still be handed out alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the chain in tls.crt is broken: certificate {number} (`{subject}`) does not link to the leaf, whose chain ends \
     where `{missing_issuer}` is expected: add the certificate that is missing, or remove the one that does not belong"
)]
pub struct ChainError {
    /// The subject of the certificate that does not link.
    pub subject: String,
    /// Its place in `tls.crt`, from 1.
    pub number: usize,
    /// The issuer at which the chain from the leaf ends.
    pub missing_issuer: String,
}
