//! Whether an entry of `certificates` or `environments` can match a name at all. The API server holds policies to the same
//! (`api::policy`); a file (`--cluster-policy`) does not pass there.

/// The longest name of an environment.
const LONGEST_LABEL: usize = 63;
/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// Whether some Certificate could have a name that this pattern matches.
#[must_use]
pub fn can_match_certificate(pattern: &str) -> bool {
    pattern.len() <= LONGEST_NAME && pattern.split('.').all(is_label)
}

/// Whether some environment could have a name that this pattern matches.
#[must_use]
pub fn can_match_environment(pattern: &str) -> bool {
    pattern.len() <= LONGEST_LABEL && is_label(pattern)
}

/// A DNS label, in which `*` matches any characters: with a letter in its place it is one.
fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'*' || byte == b'-';
    !text.is_empty() && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};

    use super::*;
    use crate::api::{CERTIFICATE_PATTERN, ENVIRONMENT_PATTERN};

    #[test]
    fn a_pattern_that_can_match_nothing_is_told_from_one_that_can() {
        for pattern in ["api", "*", "prod-*", "*.example.com", "a*b", "api-*-tls", "**", "a.*", "0", "a--b"] {
            assert!(can_match_certificate(pattern), "{pattern}");
        }
        for pattern in [
            "", "API", "api?", "[a-z]*", " api", "api ", "ａpi", "-api", "api-", "a..b", ".a", "a.", "a.-b", "a-.b",
            "a_b", "prod/*", "a\nb", "*-", "*.",
        ] {
            assert!(!can_match_certificate(pattern), "{pattern:?}");
            assert!(!can_match_environment(pattern), "{pattern:?}");
        }
        assert!(can_match_environment("prod*") && !can_match_environment("prod.*"));
        assert!(can_match_environment(&"a".repeat(63)) && !can_match_environment(&"a".repeat(64)));
        assert!(can_match_certificate(&"a".repeat(253)) && !can_match_certificate(&"a".repeat(254)));
    }

    proptest! {
        /// What the API server accepts by its pattern, the file may hold; both are one rule.
        #[test]
        fn the_kinds_own_pattern_is_the_same_rule(
            certificate in string_regex(&CERTIFICATE_PATTERN[1..CERTIFICATE_PATTERN.len() - 1]).unwrap(),
            environment in string_regex(&ENVIRONMENT_PATTERN[1..ENVIRONMENT_PATTERN.len() - 1]).unwrap(),
        ) {
            prop_assert!(certificate.len() > LONGEST_NAME || can_match_certificate(&certificate), "{certificate}");
            prop_assert!(environment.len() > LONGEST_LABEL || can_match_environment(&environment), "{environment}");
        }
    }
}
