//! Condition types and reasons: a closed set, each explained in docs/troubleshooting.md.

/// `Certificate`: every environment can be delivered.
pub const READY: &str = "Ready";
/// `DownloadRequest`: nobody's agreement is missing.
pub const APPROVED: &str = "Approved";
/// `DownloadRequest`: a token that can be used now exists.
pub const TOKEN_ISSUED: &str = "TokenIssued";
/// `DownloadRequest`: the outcome is known and final.
pub const FINISHED: &str = "Finished";
/// `DownloadRequest`: it cannot go on until somebody mends something.
pub const STALLED: &str = "Stalled";

/// Reasons of conditions.
#[expect(missing_docs, reason = "each is one CamelCase word that docs/troubleshooting.md explains")]
pub mod reason {
    // Ready
    pub const USABLE: &str = "Usable";
    pub const UNUSABLE: &str = "Unusable";
    // Approved
    pub const NOT_REQUIRED: &str = "NotRequired";
    pub const BY_PEOPLE: &str = "ByPeople";
    pub const AWAITING_APPROVAL: &str = "AwaitingApproval";
    pub const REVIEW_CHANGED: &str = "ReviewChanged";
    pub const REFUSED: &str = "Refused";
    pub const WAITING_FOR_CERTIFICATE: &str = "WaitingForCertificate";
    // TokenIssued
    pub const MINTED: &str = "Minted";
    pub const NOT_YET: &str = "NotYet";
    pub const AWAITING_CLAIM: &str = "AwaitingClaim";
    pub const TOKEN_EXPIRED: &str = "TokenExpired";
    pub const REPLACED: &str = "Replaced";
    pub const GUARD_FAILED: &str = "GuardFailed";
    pub const NO_EXTERNAL_URL: &str = "NoExternalURL";
    pub const CLOSED: &str = "Closed";
    // Finished (and, for Denied, Approved too)
    pub const OPEN: &str = "Open";
    pub const DELIVERED: &str = "Delivered";
    pub const ABORTED: &str = "Aborted";
    pub const UNKNOWN: &str = "Unknown";
    pub const DENIED: &str = "Denied";
    pub const EXPIRED: &str = "Expired";
    pub const REVOKED: &str = "Revoked";
    pub const FAILED: &str = "Failed";
    // Stalled
    pub const MATERIAL_UNUSABLE: &str = "MaterialUnusable";
    pub const SECRET_NAME_TAKEN: &str = "SecretNameTaken";
    pub const TOKEN_READER_NAME_TAKEN: &str = "TokenReaderNameTaken";
    pub const API_FORBIDDEN: &str = "APIForbidden";
    pub const NOT_STALLED: &str = "NotStalled";
}
