//! Which Kubernetes to run. Knows the patch release that stands for each minor; looks nothing up.

use std::{fmt, str::FromStr};

/// The newest patch release of each minor that this project was run against: (minor, patch).
const KNOWN: [(u32, u32); 3] = [(33, 13), (36, 3), (37, 2)];

/// A Kubernetes 1.x version with its patch level, for example 1.36.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// `36` in 1.36.3.
    pub minor: u32,
    /// `3` in 1.36.3.
    pub patch: u32,
}

/// A version that cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Not of the form 1.MINOR or 1.MINOR.PATCH.
    #[error("`{given}` is no Kubernetes version: write K8S=1.36 or, with its patch, K8S=1.36.3")]
    Malformed {
        /// What was given.
        given: String,
    },
    /// A minor whose patch release is not known here.
    #[error("no patch release of Kubernetes {given} is known here: name it, for example K8S={given}.1")]
    UnknownPatch {
        /// What was given.
        given: String,
    },
}

impl Version {
    /// The version that tests run on unless something else is asked for.
    pub const DEFAULT: Self = Self { minor: 36, patch: 3 };

    /// The version that the environment variable `K8S` asks for, or [`Version::DEFAULT`].
    ///
    /// # Errors
    /// [`VersionError`] when `K8S` holds something else than a version.
    pub fn from_environment() -> Result<Self, VersionError> {
        match std::env::var("K8S") {
            Ok(text) if !text.is_empty() => text.parse(),
            _ => Ok(Self::DEFAULT),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "1.{}.{}", self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// Accepts `1.36`, `1.36.3` and `v1.36.3`.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let malformed = || VersionError::Malformed { given: text.to_owned() };
        let number = |part: &str| part.parse::<u32>().map_err(|_| malformed());
        let parts: Vec<&str> = text.strip_prefix('v').unwrap_or(text).split('.').collect();
        match parts[..] {
            ["1", minor] => {
                let minor = number(minor)?;
                KNOWN
                    .iter()
                    .find(|(known, _)| *known == minor)
                    .map(|&(minor, patch)| Self { minor, patch })
                    .ok_or_else(|| VersionError::UnknownPatch { given: format!("1.{minor}") })
            }
            ["1", minor, patch] => Ok(Self { minor: number(minor)?, patch: number(patch)? }),
            _ => Err(malformed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minor_stands_for_its_known_patch_release_and_a_full_version_for_itself() {
        for (text, expected) in
            [("1.33", "1.33.13"), ("1.36", "1.36.3"), ("1.37", "1.37.2"), ("1.36.1", "1.36.1"), ("v1.34.9", "1.34.9")]
        {
            assert_eq!(text.parse::<Version>().unwrap().to_string(), expected, "{text}");
        }
        assert!(KNOWN.contains(&(Version::DEFAULT.minor, Version::DEFAULT.patch)));
    }

    #[test]
    fn a_refused_version_says_what_to_write_instead() {
        assert!("latest".parse::<Version>().unwrap_err().to_string().contains("K8S=1.36"));
        assert!("2.0".parse::<Version>().unwrap_err().to_string().contains("`2.0` is no Kubernetes version"));
        assert!("1.35".parse::<Version>().unwrap_err().to_string().contains("K8S=1.35.1"));
    }
}
