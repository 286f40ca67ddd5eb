//! Values of flags and arguments: what is checked while the command line is read.

use std::{str::FromStr, time::Duration};

use crate::api::{
    self, GROUP,
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

/// What is listed and described.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Certificates,
    Requests,
    Receipts,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Certificates, Self::Requests, Self::Receipts];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::Requests => "requests",
            Self::Receipts => "receipts",
        }
    }

    /// For completion.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Certificates => "What can be asked for",
            Self::Requests => "What was asked for",
            Self::Receipts => "What was delivered",
        }
    }

    /// All its names, kubectl's short ones included.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Certificates => &["certificates", "certificate", "ccerts", "ccert"],
            Self::Requests => &["requests", "request", "downloadrequests", "downloadrequest", "dlrs", "dlr"],
            Self::Receipts => &["receipts", "receipt", "downloadreceipts", "downloadreceipt", "dlrcs", "dlrc"],
        }
    }

    /// The kind of this name, which may have its group behind it.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let name = text.strip_suffix(&format!(".{GROUP}")).unwrap_or(&text);
        Self::ALL.into_iter().find(|kind| kind.names().contains(&name))
    }
}

/// A kind, perhaps with the name of an object of it: `requests`, `dlr/api-key`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub kind: Kind,
    pub name: Option<String>,
}

impl FromStr for Listed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').map_or((text, None), |(kind, name)| (kind, Some(name)));
        let unknown = || {
            let kinds = Kind::ALL.map(Kind::name).join(", ");
            format!("the kinds are {kinds}; write the kind before the name: `list certificates {text}`")
        };
        let kind = Kind::of(kind).ok_or_else(unknown)?;
        let name = name.map(|name| object_name(name).map_err(|error| error.to_string())).transpose()?;
        Ok(Self { kind, name })
    }
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
    fn a_kind_has_kubectls_names_and_one_object_of_it_may_be_named() {
        let listed = |text: &str| text.parse::<Listed>().map(|listed| (listed.kind, listed.name));
        assert_eq!(listed("dlr"), Ok((Kind::Requests, None)));
        assert_eq!(listed("Request/a"), Ok((Kind::Requests, Some("a".into()))));
        assert_eq!(listed("downloadreceipt.certcourier.io/r-1"), Ok((Kind::Receipts, Some("r-1".into()))));
        assert_eq!(listed("ccert"), Ok((Kind::Certificates, None)));
        assert!(listed("api").unwrap_err().contains("certificates, requests, receipts"));
        assert!(listed("dlr/../a").is_err());
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
