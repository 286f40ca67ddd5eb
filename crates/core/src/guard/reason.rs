//! Everything that may be wrong with the guard. A closed list; each sentence says what to do.

use super::Kind;
use crate::api::words::GuardReason;

/// So much of what someone else said is repeated.
const LONGEST_QUOTE: usize = 300;

/// Why the policies are not proven to be in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// An object is not there.
    #[error("there is no {kind} `{name}`; apply again what `certcourier manifests` prints")]
    Missing {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// An object is not what it should be.
    #[error(
        "{kind} `{name}` is not what this version of certcourier applies for its namespace and users; delete it \
         (applying over it keeps what was added by hand) and apply again what `certcourier manifests` prints for the \
         --namespace, --server-user and --controller-user that the programs have; the API server's audit log shows who \
         changed it"
    )]
    Changed {
        /// What it is.
        kind: Kind,
        /// Its name.
        name: String,
    },
    /// A binding only warns or audits.
    #[error(
        "{binding} `{name}` refuses nothing: its validationActions lack Deny; apply again what `certcourier manifests` prints",
        binding = Kind::Binding
    )]
    NotDenying {
        /// Its name.
        name: String,
    },
    /// A CRD is not what it should be.
    #[error(
        "{kind} `{name}` is not what this version of certcourier needs: {difference}; restore it with `certcourier \
         crds | kubectl replace -f -` of this version, or finish the upgrade; the API server's audit log shows who \
         changed it",
        kind = Kind::Crd
    )]
    CrdChanged {
        /// Its name.
        name: String,
        /// The first difference.
        difference: String,
    },
    /// Something else can change requests and votes during admission, and the operator was told to bear with none.
    #[error(
        "{mutator} can change requests and votes during admission, and the controller runs with \
         --guard-mutators=refuse; exclude group certcourier.io from it or delete it, and find out who created it"
    )]
    Mutator {
        /// What it is, and what it may change.
        mutator: String,
    },
    /// The API server let a probe through.
    #[error(
        "the API server accepts what policy `{policy}` must refuse; if this lasts for more than a few seconds, check \
         whether its admission plugin ValidatingAdmissionPolicy is switched off"
    )]
    NotRefused {
        /// The policy.
        policy: String,
    },
    /// Something else refused a probe, so that nothing is known of the policy.
    #[error(
        "the probe of policy `{policy}` was refused by something else, which proves nothing: {said}; exempt the \
         operator's namespace and user from that, and check that its roles are those of `certcourier manifests`"
    )]
    ForeignRefusal {
        /// The policy.
        policy: String,
        /// What the API server said.
        said: String,
    },
    /// The API server did not say.
    #[error("the API server did not respond as expected: {cause}; this is retried")]
    NoAnswer {
        /// What was asked, and what came of it.
        cause: String,
    },
    /// No one has looked yet.
    #[error("the controller has not checked the admission policies yet; it does so when it leads")]
    NotLooked,
    /// The operator's own user name cannot be used in a policy.
    #[error("{said}")]
    Unidentified {
        /// Which one, and what to write.
        said: String,
    },
    /// There is no record.
    #[error(
        "the admission policies have not been probed: there is no ConfigMap `{name}` in the operator's namespace; \
         start the controller, and give both programs the same --namespace",
        name = crate::api::names::GUARD
    )]
    NeverProbed,
    /// The record cannot be read.
    #[error(
        "ConfigMap `{name}` holds no record of a probe that this version understands; the controller writes a new one",
        name = crate::api::names::GUARD
    )]
    Unreadable,
    /// The record is too old.
    #[error(
        "the last probe of the admission policies is {age_seconds} s old; see whether a controller runs and leads \
         (kubectl get leases)"
    )]
    Stale {
        /// How old.
        age_seconds: i64,
    },
    /// The record is about other objects than those that are there now.
    #[error(
        "the admission policies, the CRDs or what else can change requests have changed and have not been probed \
         since; the controller does that within seconds"
    )]
    OtherEpoch,
    /// The record was written while someone else may have been able to write it.
    #[error(
        "the policy that protects the guard's record was written after it, so anyone could have forged it; the \
         controller writes a new one within seconds"
    )]
    Unvouched,
    /// The controller found something.
    #[error("{message}")]
    Reported {
        /// Its reason.
        reason: String,
        /// The sentence that goes with it.
        message: String,
    },
}

impl Reason {
    /// The reason as the record has it: the controller's own, where this is what it reported.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Reported { reason, .. } => reason,
            own => own.kind().map_or("", GuardReason::name),
        }
    }

    /// Which one it is; none for what the controller reported, which may be of another version.
    #[must_use]
    pub const fn kind(&self) -> Option<GuardReason> {
        Some(match self {
            Self::Missing { .. } => GuardReason::Missing,
            Self::Changed { .. } => GuardReason::Changed,
            Self::NotDenying { .. } => GuardReason::NotDenying,
            Self::CrdChanged { .. } => GuardReason::CrdChanged,
            Self::Mutator { .. } => GuardReason::Mutator,
            Self::NotRefused { .. } => GuardReason::NotRefused,
            Self::ForeignRefusal { .. } => GuardReason::ForeignRefusal,
            Self::NoAnswer { .. } => GuardReason::NoAnswer,
            Self::NotLooked => GuardReason::NotLooked,
            Self::Unidentified { .. } => GuardReason::Unidentified,
            Self::NeverProbed => GuardReason::NeverProbed,
            Self::Unreadable => GuardReason::Unreadable,
            Self::Stale { .. } => GuardReason::Stale,
            Self::OtherEpoch => GuardReason::OtherEpoch,
            Self::Unvouched => GuardReason::Unvouched,
            Self::Reported { .. } => return None,
        })
    }
}

/// The beginning of what someone else said.
pub(super) fn quoted(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_QUOTE)].to_owned()
}
