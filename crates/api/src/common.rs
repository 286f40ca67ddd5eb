//! What several kinds share: references, formats, people, durations, times.

use std::{borrow::Cow, fmt, str::FromStr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{KubeSchema, core::Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A point in time, as Kubernetes writes it (RFC 3339, whole seconds).
pub type DateTime = Time;

/// A length of time as people type it: hours, minutes and seconds, such as `90s`, `5m`, `1h30m`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

impl Duration {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The same length of time for the standard library.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        self.0
    }

    /// Its whole seconds, for arithmetic on timestamps.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

/// A duration that is not of the form `1h30m15s`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration: write hours, minutes and seconds, such as 90s, 5m or 1h30m")]
pub struct DurationError(String);

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || DurationError(text.chars().take(32).collect());
        let (mut rest, mut seconds, mut last) = (text, 0_u64, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
            let number: u64 = rest[..digits].parse().map_err(|_| refuse())?;
            let unit = match rest.as_bytes()[digits] {
                b'h' => 3600,
                b'm' => 60,
                b's' => 1,
                _ => return Err(refuse()),
            };
            if unit >= last {
                return Err(refuse());
            }
            last = unit;
            seconds = number.checked_mul(unit).and_then(|n| seconds.checked_add(n)).ok_or_else(refuse)?;
            rest = &rest[digits + 1..];
        }
        if text.is_empty() { Err(refuse()) } else { Ok(Self::from_seconds(seconds)) }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_secs();
        let (hours, minutes, seconds) = (total / 3600, total / 60 % 60, total % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if seconds > 0 || total == 0 {
            write!(f, "{seconds}s")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Duration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": 24,
            "x-kubernetes-validations": [{
                "rule": format!("self.matches('{DURATION_PATTERN}')"),
                "message": DURATION_MESSAGE,
            }]
        })
    }
}

/// What a duration looks like: a subset of Go's, so that CEL's `duration()` reads it too. A rule and not the schema's
/// `pattern`, because the API server prints a pattern as it is.
pub(super) const DURATION_PATTERN: &str = "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$";
/// What someone is told who wrote something else.
pub(super) const DURATION_MESSAGE: &str =
    "this is not a duration: write hours, minutes and seconds, such as 90s, 5m or 1h30m (days are not known)";

/// The bounds of a duration; what is none is refused by its type.
pub(super) fn between(least: &str, most: &str) -> Rule {
    Rule::new(format!(
        "!self.matches('{DURATION_PATTERN}') || (duration(self) >= duration('{least}') && duration(self) <= duration('{most}'))"
    ))
}

/// What Kubernetes takes for the name of an object, as RE2: a reference that is not of this form can never be right.
pub(super) const OBJECT_NAME: &str =
    r"self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')";
/// The same of an environment.
pub(super) const ENVIRONMENT_NAME: &str = "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')";
/// The same of a key in a Secret's data.
pub(super) const SECRET_KEY: &str = "self.matches('^[-._a-zA-Z0-9]+$')";
/// What someone is told who wrote another name of a Secret.
pub(super) const SECRET_NAME_MESSAGE: &str =
    "no Secret can have this name: write it as `kubectl get secrets` prints it, in lower-case letters, digits, - and .";
/// What someone is told who wrote another key of a Secret.
pub(super) const SECRET_KEY_MESSAGE: &str =
    "no Secret can have this key: write it as `kubectl describe secret` prints it, in letters, digits, -, _ and .";

/// A Certificate of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct CertificateReference {
    /// Name of the Certificate (`kubectl get certificates.certcourier.io`). Required, at most 253 characters.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(OBJECT_NAME).message("no Certificate can have this name: write it as `kubectl get certificates.certcourier.io` prints it, in lower-case letters, digits, - and ."))]
    pub name: String,
}

/// A caller as the API server authenticated it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Requester {
    /// User name, such as `alice@example.com` or `system:serviceaccount:ci:deployer`. Required, at most 1,024 characters.
    #[schemars(length(min = 1, max = 1024))]
    pub username: String,
    /// The authenticator's id for this user. Empty when it gives none. At most 1,024 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub uid: String,
    /// The user's groups at the time of the request. At most 1,024 groups of at most 1,024 characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 1024)))]
    pub groups: Vec<String>,
}

/// A vote: `Approve` counts towards the required number; one `Deny` ends the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[expect(missing_docs, reason = "the variants are explained above, where `kubectl explain` shows them")]
pub enum Decision {
    Approve,
    Deny,
}

/// Who approved a delivery, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct Approver {
    /// User name of the approver. At most 512 characters.
    #[schemars(length(max = 512))]
    pub username: String,
    /// The reason that the approver gave. At most 1,024 characters.
    #[schemars(length(max = 1024))]
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_people_type_them() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h", 3600), ("1h30m15s", 5415), ("720h", 2_592_000)] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.seconds(), seconds, "{text}");
        }
        assert_eq!(Duration::from_seconds(90).to_string(), "1m30s");
        assert_eq!(Duration::from_seconds(0).to_string(), "0s");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "5", "m", "5d", "5m1h", "-5m", "1.5h", "5m5m", "99999999999999999999h"] {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.contains("1h30m"), "{text}: {error}");
        }
    }
}
