//! Condition types and reasons: a closed set, each explained in docs/troubleshooting.md.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `Certificate`: every environment can be delivered.
pub const READY: &str = "Ready";
/// `DownloadRequest`: no one's agreement is missing.
pub const APPROVED: &str = "Approved";
/// `DownloadRequest`: a token that can be used now exists.
pub const TOKEN_ISSUED: &str = "TokenIssued";
/// `DownloadRequest`: the outcome is known and final.
pub const FINISHED: &str = "Finished";
/// `DownloadRequest`: it cannot go on until something is fixed.
pub const STALLED: &str = "Stalled";

/// The longest message of a condition, in characters, as Kubernetes bounds it; the writer cuts it to this.
pub const MAX_MESSAGE_CHARS: usize = 32_768;

/// The schema of a list of conditions: as Kubernetes defines it, with bounds that every string needs and with words that
/// speak to a reader of `kubectl explain`.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One aspect of the object's state.",
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "description": "Name of the aspect, one CamelCase word. At most 64 characters.",
                    "type": "string", "minLength": 1, "maxLength": 64
                },
                "status": {
                    "description": "`True`, `False` or `Unknown`.",
                    "type": "string", "enum": ["True", "False", "Unknown"]
                },
                "reason": {
                    "description": "Why, one CamelCase word of a fixed list. At most 64 characters.",
                    "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z][A-Za-z0-9]*$"
                },
                "message": {
                    "description": "The message that goes with the reason: what to do. May be empty. At most 32,768 \
                      characters.",
                    "type": "string", "maxLength": MAX_MESSAGE_CHARS
                },
                "lastTransitionTime": {
                    "description": "When status last changed (RFC 3339).",
                    "type": "string", "format": "date-time"
                },
                "observedGeneration": {
                    "description": "The metadata.generation that this condition is about.",
                    "type": "integer", "format": "int64", "minimum": 0
                }
            }
        }
    })
}

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
    pub const TOKEN_READABLE_BY_OTHERS: &str = "TokenReadableByOthers";
    pub const API_FORBIDDEN: &str = "APIForbidden";
    pub const NOT_STALLED: &str = "NotStalled";
}
