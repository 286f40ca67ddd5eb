//! The admission policies that are in force where certcourier itself does not run: who asked, who approved, and who may
//! write the record, enforced by the API server on every path, kubectl and backups included.
//!
//! Builds the objects, as functions of who the operator is; applies none of them. Called by `manifests`, which prints
//! them, and by the guard, which compares the live ones with these.
//!
//! # Changing a policy
//! Every change of an expression, a match or a binding changes what the guard compares, and begins a new epoch. Raise
//! [`REVISION`] with each release that changes one; the test `a_changed_policy_has_a_new_digest` shows the digests.

mod cel;
mod certificates;
mod draft;
mod guard_state;
mod identity;
mod operator_secrets;
pub mod probe;
mod receipts;
mod requests;
mod stamp;
mod token_readers;
mod tokens;
mod votes;

use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use kube::ResourceExt as _;

pub use draft::spec_digest;
pub use identity::subject;
pub use identity::{Identity, IdentityError};
pub use stamp::stamp;

/// Which edition of the policies these are; in the annotation [`REVISION_ANNOTATION`] of each, before their digest.
pub const REVISION: u32 = 1;

/// Annotation on every policy and binding: `<revision>-<digest of its spec>`.
pub const REVISION_ANNOTATION: &str = "certcourier.io/revision";

/// The digest in place of what is under review when the guard probes [`name::VOTES`]; no real review has it.
pub const PROBE_DIGEST: &str = "guard-probe";

/// What every policy says of a guard probe, no matter who sends it.
pub const PROBE_MESSAGE: &str = "guard probe: always refused, on purpose";

/// How admission begins to say that a request is over, when someone votes. The HTTP API answers `request_closed`.
pub const REQUEST_CLOSED: &str = "the request is closed";

/// The same of a revocation that stays as it is.
pub const STAYS_REVOKED: &str = "a revoked request stays revoked";

/// Names of the policies; each binding has the name of its policy.
pub mod name {
    /// Creation and metadata of a `DownloadRequest`: who asks, and for what.
    pub const REQUESTS: &str = "downloadrequests.certcourier.io";
    /// Status of a `DownloadRequest`: the operator writes it, people vote.
    pub const VOTES: &str = "downloadrequests-status.certcourier.io";
    /// Receipts are written and deleted by the operator only.
    pub const RECEIPTS: &str = "downloadreceipts.certcourier.io";
    /// Secrets that hold a token.
    pub const TOKENS: &str = "tokens.certcourier.io";
    /// Which Roles and `RoleBinding`s the operator may make and delete.
    pub const TOKEN_READERS: &str = "token-readers.certcourier.io";
    /// Which Secrets the operator may make and delete.
    pub const OPERATOR_SECRETS: &str = "operator-secrets.certcourier.io";
    /// Which Secrets a Certificate may name.
    pub const CERTIFICATES: &str = "certificates.certcourier.io";
    /// The guard's own `ConfigMap`.
    pub const GUARD_STATE: &str = "guard-state.certcourier.io";
    /// The mutating policy that writes `spec.requestedBy` (Kubernetes 1.36 and later). Convenience: [`REQUESTS`] checks.
    pub const STAMP: &str = "downloadrequests-stamp.certcourier.io";

    /// Every validating policy, in the order in which they are printed.
    pub const ALL: [&str; 8] =
        [REQUESTS, VOTES, RECEIPTS, TOKENS, TOKEN_READERS, OPERATOR_SECRETS, CERTIFICATES, GUARD_STATE];
}

/// A validating policy or its binding.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// What is refused.
    Policy(Box<ValidatingAdmissionPolicy>),
    /// That it is refused, not only audited.
    Binding(Box<ValidatingAdmissionPolicyBinding>),
}

impl Object {
    /// Its metadata.name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Policy(policy) => policy.name_any(),
            Self::Binding(binding) => binding.name_any(),
        }
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Policy(_) => "ValidatingAdmissionPolicy",
            Self::Binding(_) => "ValidatingAdmissionPolicyBinding",
        }
    }

    /// [`spec_digest`] of its spec. Every field that the API server fills is filled here too, so that the live object
    /// has the same digest as long as no one changed it.
    #[must_use]
    pub fn digest(&self) -> String {
        match self {
            Self::Policy(policy) => spec_digest(&policy.spec),
            Self::Binding(binding) => spec_digest(&binding.spec),
        }
    }
}

/// The validating policies, each followed by its binding.
#[must_use]
pub fn objects(identity: &Identity) -> Vec<Object> {
    [
        requests::draft(identity),
        votes::draft(identity),
        receipts::draft(identity),
        tokens::draft(identity),
        token_readers::draft(identity),
        operator_secrets::draft(identity),
        certificates::draft(identity),
        guard_state::draft(identity),
    ]
    .into_iter()
    .flat_map(draft::Draft::into_objects)
    .collect()
}

/// What the policies may look like in a cluster that is being upgraded: as this revision has them, and as the one before
/// had them. Revision 1 has none before it; a release that raises [`REVISION`] adds the drafts of the last one here.
#[must_use]
pub fn editions(identity: &Identity) -> Vec<Vec<Object>> {
    vec![objects(identity)]
}

/// The name of the policy that refused, out of the API server's message; nothing when none of ours did.
#[must_use]
pub fn refused_by(message: &str) -> Option<&'static str> {
    // The words of another policy, which come behind its own name, may repeat a name of ours.
    let verdict = message.split_once("is forbidden: ").map_or(message, |(_, verdict)| verdict);
    let rest = verdict.strip_prefix("ValidatingAdmissionPolicy '")?;
    let (policy, _) = rest.split_once('\'')?;
    name::ALL.into_iter().find(|name| *name == policy)
}

#[cfg(test)]
mod tests;
