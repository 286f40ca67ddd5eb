//! Names as Kubernetes has them. They become parts of paths at the API server, so every border (flags, paths, tokens)
//! parses them with these types, and nothing that could lead elsewhere is one.

use std::{fmt, str::FromStr};

/// The longest name of an object.
const LONGEST_NAME: usize = 253;
/// The longest label, and so the longest name of a namespace.
const LONGEST_LABEL: usize = 63;

/// Whether a text is a label of RFC 1123: lower-case letters, digits and `-`, neither first nor last.
#[must_use]
pub fn is_label(text: &str) -> bool {
    text.len() <= LONGEST_LABEL && is_part(text)
}

/// Whether a text is a subdomain of RFC 1123: parts like labels, of any length, with `.` between them.
#[must_use]
pub fn is_object_name(text: &str) -> bool {
    text.len() <= LONGEST_NAME && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// A text that cannot be the name of an object or a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Of no object.
    #[error("names have lower-case letters, digits, `-` and `.`, such as api")]
    Object,
    /// Of no namespace.
    #[error("write the name of a namespace, such as payments")]
    Namespace,
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $is:ident, $error:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                if $is(text) { Ok(Self(text.to_owned())) } else { Err(NameError::$error) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

name! {
    /// The name of an object.
    ObjectName, is_object_name, Object
}

name! {
    /// The name of a namespace.
    Namespace, is_label, Namespace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_elsewhere_is_not_a_name() {
        for text in
            ["", ".", "..", "a/b", "../secrets", "a?watch=1", "a%2Fb", "A", "a ", "-a", "a-", "ä", "a\n", "a..b"]
        {
            assert_eq!(text.parse::<ObjectName>(), Err(NameError::Object), "{text:?}");
            assert_eq!(text.parse::<Namespace>(), Err(NameError::Namespace), "{text:?}");
        }
        for text in ["a", "api", "a-b", "0"] {
            assert_eq!(text.parse::<ObjectName>().map(String::from).as_deref(), Ok(text));
            assert_eq!(text.parse::<Namespace>().map(String::from).as_deref(), Ok(text));
        }
    }

    #[test]
    fn only_objects_have_dots_and_long_names() {
        for text in ["api.example.com", &"a".repeat(64), &"a".repeat(253)] {
            assert!(is_object_name(text) && !is_label(text), "{text}");
        }
        assert!(is_label(&"a".repeat(63)) && !is_object_name(&"a".repeat(254)));
        assert!(!is_object_name("a.-b") && !is_object_name("a."));
    }
}
