//! Conditions of the kinds: what they may say, and how a list of them is read.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::words::{ConditionReason, ConditionType};

/// The value of a condition, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It is so.
    True(ConditionReason),
    /// It is not so.
    False(ConditionReason),
    /// It is not known whether it is so.
    Unknown(ConditionReason),
}

impl ConditionStatus {
    /// `True`, `False` or `Unknown`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::True(_) => "True",
            Self::False(_) => "False",
            Self::Unknown(_) => "Unknown",
        }
    }

    /// Why.
    #[must_use]
    pub const fn reason(self) -> ConditionReason {
        match self {
            Self::True(reason) | Self::False(reason) | Self::Unknown(reason) => reason,
        }
    }
}

/// The condition of this type.
#[must_use]
pub fn find(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// The condition of this type, while it is True.
#[must_use]
pub fn find_true(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    find(conditions, kind).filter(|condition| condition.status == "True")
}

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
