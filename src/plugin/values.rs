//! Values of flags: what is checked while the command line is read.

use std::{str::FromStr, time::Duration};

use crate::api::{
    self,
    name::{NameError, Namespace, ObjectName},
};

/// Checks a namespace's name, so that a slip of the hand is not a path.
pub fn namespace(text: &str) -> Result<String, NameError> {
    text.parse::<Namespace>().map(String::from)
}

/// The name of an object, so that a slip of the hand is not a path. `KIND/NAME` as `-o name` prints it is taken too.
pub fn object_name(text: &str) -> Result<String, NameError> {
    let (kind, name) = text.split_once('/').unwrap_or(("kind", text));
    // A kind is written like a name: downloadrequest.certcourier.io/api.
    let _: ObjectName = kind.parse()?;
    name.parse::<ObjectName>().map(String::from)
}

/// `--request-timeout` as kubectl takes it: `0`, whole seconds, or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Duration);

/// Stands for no limit at all: longer than anyone waits for one answer.
const UNLIMITED: Duration = Duration::from_hours(24);

impl Timeout {
    /// How long one answer may take.
    pub fn limit(self) -> Duration {
        self.0
    }
}

impl Default for Timeout {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

impl FromStr for Timeout {
    type Err = api::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limit = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => text.parse::<api::Duration>()?.get(),
        };
        Ok(Self(if limit.is_zero() { UNLIMITED } else { limit }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_what_kubectl_takes() {
        for (text, seconds) in [("0", 24 * 3600), ("0s", 24 * 3600), ("7", 7), ("90s", 90), ("2m", 120)] {
            assert_eq!(text.parse::<Timeout>().unwrap().limit().as_secs(), seconds, "{text}");
        }
        assert!("soon".parse::<Timeout>().unwrap_err().to_string().contains("1h30m"));
    }

    #[test]
    fn a_name_is_no_path() {
        for (text, name) in
            [("api", "api"), ("www.example.com", "www.example.com"), ("certificate.certcourier.io/api", "api")]
        {
            assert_eq!(object_name(text).as_deref(), Ok(name));
        }
        for text in ["", "..", "../api", "/api", "a/../b", "a/b/c", "API", "-rf", "a b", "a?b"] {
            assert!(object_name(text).is_err(), "{text}");
        }
    }
}
