//! The four kinds of `certcourier.io/v1alpha1`, as data and nothing else.
//!
//! The doc comment of a field is what `kubectl explain` prints; it gives the meaning, the default, what leaving the
//! field out means, and the bounds. Rules about these objects live in `policy` and `lifecycle`; the rules that the API
//! server itself enforces (CEL) are here, on the field that they are about.

#![deny(missing_docs)]
#![expect(
    clippy::doc_markdown,
    reason = "`kubectl explain` prints these comments, where Kubernetes' own words are plain"
)]

mod certificate;
mod common;
pub mod condition;
mod crds;
pub mod csv;
pub mod http;
mod key;
pub mod name;
mod policy;
mod receipt;
pub mod redact;
mod request;
pub mod text;
mod validity;
pub mod words;

pub use certcourier_bundle::words;
pub use certcourier_bundle::{Format, PemOrder, Pkcs12Profile, UnknownFormat};
pub use certificate::{
    Certificate, CertificateSpec, CertificateStatus, Environment, EnvironmentStatus, SecretKeys, SecretReference,
};
pub use common::{Approver, CertificateReference, DateTime, Decision, Duration, DurationError, Requester};
pub use crds::crds;
pub use key::ObjectKey;
pub use policy::{
    ApprovalRules, ApprovalScope, CERTIFICATE_PATTERN, CertificatePolicy, CertificatePolicySpec, ENVIRONMENT_PATTERN,
    FinishedRequestTtl, KeyExport, PassphraseRules, Pkcs12Rules, TokenRules, UnattendedKeyFormats, UnattendedRules,
};
pub use receipt::{
    Artifact, ConsumedBy, DownloadReceipt, DownloadReceiptSpec, DownloadReceiptStatus, Outcome, ReceiptReference,
    RequestReference,
};
pub use request::{
    Approval, ApprovalCount, Delivery, DownloadRequest, DownloadRequestSpec, DownloadRequestStatus,
    PassphraseReference, PemRequest, Phase, Pkcs12Request, PreviousToken, Review, Token, TokenEnd,
};
pub use validity::ValidityTime;

/// The API group of every kind.
pub const GROUP: &str = "certcourier.io";
/// The only version.
pub const VERSION: &str = "v1alpha1";

/// Names of annotations, labels and objects that people and programs meet.
pub mod names {
    /// The CRDs of the four kinds.
    pub const CRDS: [&str; 4] = [
        "certificates.certcourier.io",
        "certificatepolicies.certcourier.io",
        "downloadrequests.certcourier.io",
        "downloadreceipts.certcourier.io",
    ];
    /// The header by which the plugin says that refusals are for its own reader, in flags and commands.
    pub const DOOR_HEADER: &str = "certcourier-door";
    /// Its value.
    pub const DOOR_PLUGIN: &str = "plugin";
    /// Annotation on a `DownloadRequest`: a new value asks for a new token (delivery Secret).
    pub const MINT: &str = "certcourier.io/mint";
    /// Annotation on a `DownloadRequest`: why it is revoked. Once set it stays.
    pub const REVOKE: &str = "certcourier.io/revoke";
    /// Annotation on a `DownloadRequest`: the user name of the person who set [`REVOKE`], in the same write.
    pub const REVOKED_BY: &str = "certcourier.io/revoked-by";
    /// Label on a token Secret and on its Role and RoleBinding; its value is the token's generation.
    pub const TOKEN: &str = "certcourier.io/token";
    /// Label on requests that the HTTP API made; they are removed when they are finished.
    pub const CREATED_BY: &str = "certcourier.io/created-by";
    /// Value of [`CREATED_BY`] for the HTTP API.
    pub const CREATED_BY_API: &str = "api";
    /// Label that every admission policy refuses: the guard proves by it that the policies are alive.
    pub const GUARD_PROBE: &str = "certcourier.io/guard-probe";
    /// Label that keeps token Secrets out of Velero's backups.
    pub const VELERO_EXCLUDE: &str = "velero.io/exclude-from-backup";
    /// Name of the guard's ConfigMap, and of the `DownloadRequest` that it probes the status policy on: both in the
    /// operator's own namespace. Elsewhere it is a name like any other.
    pub const GUARD: &str = "certcourier-guard";
    /// Name of the ConfigMap in the operator's namespace that says where the server is: keys `url`, `service`, and `ca.crt`
    /// or `caConfigMap`.
    pub const SERVER: &str = "certcourier-server";
    /// Name of the server's Service in the operator's namespace.
    pub const SERVICE: &str = "certcourier";
    /// Name of the Secret that holds the certificate which the servers make for themselves (`--tls-self-signed`).
    pub const SERVING: &str = "certcourier-serving";
    /// Name of the ConfigMap with the public part of it: the CA by which clients know the servers.
    pub const SERVING_CA: &str = "certcourier-serving-ca";
    /// Name of the Secret that holds the key by which the servers seal sessions of the web page.
    pub const SESSION: &str = "certcourier-session";
    /// Key of [`SERVING_CA`], and of every Secret that holds a CA.
    pub const CA_KEY: &str = "ca.crt";
    /// What a token Secret is called, behind the request's name.
    pub const TOKEN_SECRET_SUFFIX: &str = "-download-token";
    /// What the Role and RoleBinding are called that let a requester read a token Secret, before a random part.
    pub const TOKEN_READER_PREFIX: &str = "certcourier-token-";
    /// Random bytes in the name of such a Role.
    pub const TOKEN_READER_BYTES: usize = 16;
    /// The longest name of a `DownloadRequest`, so that the names made from it stay within 253 characters.
    pub const MAX_REQUEST_NAME: usize = 200;
    /// So many characters the groups that a vote records have together.
    pub const MAX_VOTE_GROUPS: usize = 8192;

    /// Whether this is the request that the guard probes on: nothing is ever decided or delivered on it.
    #[must_use]
    pub fn is_guard_probe(request: &super::DownloadRequest, operator_namespace: &str) -> bool {
        request.metadata.name.as_deref() == Some(GUARD)
            && request.metadata.namespace.as_deref() == Some(operator_namespace)
    }

    /// The name of a request's token Secret.
    #[must_use]
    pub fn token_secret(request: &str) -> String {
        format!("{request}{TOKEN_SECRET_SUFFIX}")
    }

    /// The name that one mint gives its Role and RoleBinding. It is random, because a RoleBinding may refer to a Role that
    /// does not exist yet: a user who could predict the name would receive the token.
    #[must_use]
    pub fn token_reader(random: &[u8; TOKEN_READER_BYTES]) -> String {
        format!("{TOKEN_READER_PREFIX}{}", certcourier_bundle::hex::encode(random))
    }

    /// Whether a name is one that [`token_reader`] makes.
    #[must_use]
    pub fn is_token_reader(name: &str) -> bool {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        name.strip_prefix(TOKEN_READER_PREFIX)
            .is_some_and(|random| random.len() == 2 * TOKEN_READER_BYTES && random.bytes().all(hex))
    }
}
