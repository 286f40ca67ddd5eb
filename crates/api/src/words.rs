//! The words that objects, Events and the guard's record hold: closed lists, each word explained in
//! docs/troubleshooting.md. A test compares the page with these lists, in both directions.

use std::fmt;

pub use certcourier_bundle::MaterialReason;
use certcourier_bundle::words;

words! {
    /// Type of a condition, in the order in which a status lists them.
    pub enum ConditionType {
        /// `Certificate`: every environment can be delivered.
        Ready,
        /// `DownloadRequest`: no approval is missing.
        Approved,
        /// `DownloadRequest`: a token that can be used now exists.
        TokenIssued,
        /// `DownloadRequest`: the outcome is known and final.
        Finished,
        /// `DownloadRequest`: it cannot go on until someone fixes something.
        Stalled,
    }
}

words! {
    /// Reason of a condition.
    #[expect(missing_docs, reason = "each is one CamelCase word that docs/troubleshooting.md explains")]
    pub enum ConditionReason {
        // Ready
        Usable,
        Unusable,
        // Approved
        NotRequired,
        ByPeople,
        AwaitingApproval,
        ReviewChanged,
        Refused,
        WaitingForCertificate,
        // TokenIssued
        Minted,
        NotYet,
        AwaitingClaim,
        TokenExpired,
        Replaced,
        GuardFailed,
        NoExternalUrl = "NoExternalURL",
        Closed,
        // Finished (and, for Denied, Approved too)
        Open,
        Delivered,
        Aborted,
        Unknown,
        Denied,
        Expired,
        Revoked,
        Failed,
        // Stalled
        MaterialUnusable,
        SecretNameTaken,
        TokenReadableByOthers,
        ApiForbidden = "APIForbidden",
        NotStalled,
    }
}

words! {
    /// Why policy or rights refuse a file.
    #[expect(missing_docs, reason = "each is one CamelCase word that docs/troubleshooting.md explains")]
    pub enum RefusalReason {
        KeyExportDisabled,
        CaKeyExportDisabled = "CAKeyExportDisabled",
        FormatNotAllowed,
        NoFormatInCommon,
        UnattendedKeyDenied,
        DeadlineRequired,
        DeadlineTooFar,
        DeadlinePassed,
        TokenTtlTooLong = "TokenTTLTooLong",
        LegacyNotAllowed,
        ReasonRequired,
        PassphraseTooShort,
        AccessRefused,
        PassphraseSecretRefused,
    }
}

/// Why the material of a request cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MaterialProblem {
    /// There is no such Certificate.
    CertificateNotFound,
    /// The Certificate has no such environment.
    UnknownEnvironment,
    /// The operator is not allowed to read the Secret.
    ApiForbidden,
    /// There is no such Secret.
    SecretMissing,
    /// The Secret is of a type that is never read.
    WrongType,
    /// The Secret lacks a part, or it is empty.
    KeyMissing,
    /// What is in the Secret is unusable, or unfit for the format.
    Content(MaterialReason),
}

impl MaterialProblem {
    /// Those of the Secret and the cluster around it; each of the rest is a [`MaterialReason`].
    pub const OF_CLUSTER: [Self; 6] = [
        Self::CertificateNotFound,
        Self::UnknownEnvironment,
        Self::ApiForbidden,
        Self::SecretMissing,
        Self::WrongType,
        Self::KeyMissing,
    ];

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CertificateNotFound => "CertificateNotFound",
            Self::UnknownEnvironment => "UnknownEnvironment",
            Self::ApiForbidden => ConditionReason::ApiForbidden.name(),
            Self::SecretMissing => "SecretMissing",
            Self::WrongType => "WrongType",
            Self::KeyMissing => "KeyMissing",
            Self::Content(reason) => reason.name(),
        }
    }

    /// Whether it can be put right in the Certificate or around it, and not in what the Secret holds: troubleshooting
    /// has those in the table of requests.
    #[must_use]
    pub const fn is_of_request(self) -> bool {
        matches!(self, Self::CertificateNotFound | Self::UnknownEnvironment | Self::ApiForbidden)
    }
}

impl fmt::Display for MaterialProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Why a Failed request failed: `status.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureReason {
    /// A policy or right has changed since the request was accepted.
    PolicyRefused,
    /// The admission policies changed after a request for a key was created, so it may be forged.
    EpochChanged,
    /// The requester has as many open requests as they may.
    TooManyOpenRequests,
    /// Policy or rights refused it from the start.
    Refused(RefusalReason),
    /// Its material cannot be delivered.
    Material(MaterialProblem),
}

impl FailureReason {
    /// Every one.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::PolicyRefused, Self::EpochChanged, Self::TooManyOpenRequests]
            .into_iter()
            .chain(RefusalReason::ALL.map(Self::Refused))
            .chain(MaterialProblem::OF_CLUSTER.map(Self::Material))
            .chain(MaterialReason::ALL.map(|reason| Self::Material(MaterialProblem::Content(reason))))
    }

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PolicyRefused => "PolicyRefused",
            Self::EpochChanged => "EpochChanged",
            Self::TooManyOpenRequests => "TooManyOpenRequests",
            Self::Refused(reason) => reason.name(),
            Self::Material(problem) => problem.name(),
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

words! {
    /// What stops a request until someone fixes it: reason of condition Stalled, and of the Event that says so.
    pub enum StallReason {
        /// The Secret holds nothing that can be delivered.
        MaterialUnusable,
        /// Something else has the name of the token's Secret.
        SecretNameTaken,
        /// Others could read the token.
        TokenReadableByOthers,
        /// The operator lacks a right.
        ApiForbidden = "APIForbidden",
    }
}

impl StallReason {
    /// The reason of condition Stalled.
    #[must_use]
    pub const fn condition(self) -> ConditionReason {
        match self {
            Self::MaterialUnusable => ConditionReason::MaterialUnusable,
            Self::SecretNameTaken => ConditionReason::SecretNameTaken,
            Self::TokenReadableByOthers => ConditionReason::TokenReadableByOthers,
            Self::ApiForbidden => ConditionReason::ApiForbidden,
        }
    }

    /// The reason of the Event.
    #[must_use]
    pub const fn event(self) -> EventReason {
        match self {
            Self::MaterialUnusable => EventReason::MaterialUnusable,
            Self::SecretNameTaken => EventReason::SecretNameTaken,
            Self::TokenReadableByOthers => EventReason::TokenReadableByOthers,
            Self::ApiForbidden => EventReason::ApiForbidden,
        }
    }
}

words! {
    /// Reason of an Event.
    #[expect(missing_docs, reason = "each is one CamelCase word that docs/troubleshooting.md explains")]
    pub enum EventReason {
        // On a Certificate
        Usable,
        Unusable,
        CertDownloaded,
        CertDownloadAborted,
        CertExported,
        // On a DownloadRequest
        ApprovalRequested,
        ApprovalGranted,
        ApprovalLapsed,
        Approved,
        ReviewChanged,
        TokenIssued,
        TokenExpired,
        NoMoreTokens,
        TokenReused,
        Consumed,
        Denied,
        Expired,
        Revoked,
        Failed,
        MaterialUnusable,
        SecretNameTaken,
        TokenReadableByOthers,
        ApiForbidden = "APIForbidden",
        // On ConfigMap certcourier-guard
        GuardIntact,
        GuardBroken,
        GuardMutators,
    }
}

words! {
    /// What the guard found, as its record says it.
    pub enum GuardState {
        /// The admission policies are in force.
        Intact,
        /// They are not, or nothing proves that they are.
        Broken,
    }
}

words! {
    /// Why the guard is Broken.
    #[expect(missing_docs, reason = "each is one CamelCase word that docs/troubleshooting.md explains")]
    pub enum GuardReason {
        Missing,
        Changed,
        NotDenying,
        CrdChanged,
        Mutator,
        NotRefused,
        ForeignRefusal,
        NoAnswer,
        NotLooked,
        Unidentified,
        NeverProbed,
        Unreadable,
        Stale,
        OtherEpoch,
        Unvouched,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_word_of_two_lists_is_written_the_same_in_both() {
        for stall in StallReason::ALL {
            assert_eq!(stall.condition().name(), stall.name());
            assert_eq!(stall.event().name(), stall.name());
        }
    }

    #[test]
    fn every_failure_has_a_word_of_its_own() {
        let names: BTreeSet<&str> = FailureReason::all().map(FailureReason::name).collect();
        assert_eq!(names.len(), FailureReason::all().count());
    }
}
