//! A value that must not be seen: keys, tokens, passphrases, bearer credentials.
//!
//! Wraps at the byte where a secret is read; what is inside comes out through [`Redacted::expose`] alone, so that a
//! search for that word finds every place where a secret is used. Does not erase memory: put a `Zeroizing` inside.

use std::fmt;

/// Shows itself as `[redacted]`, is not serialisable, and is not compared by `==` (see `subtle` for that).
#[derive(Clone, Default)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Never for a log line, an error, an argument of a process or a field of a status.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself, to be wrapped again by the caller.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "only its Debug output is looked at")]
    struct Holder {
        key: Redacted<&'static str>,
        list: Vec<Redacted<Vec<u8>>>,
    }

    #[test]
    fn a_redacted_value_shows_itself_nowhere() {
        let secret = Redacted::new("canary");
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "[redacted] [redacted] [redacted]");
        let holder = Holder { key: secret, list: vec![Redacted::new(b"canary".to_vec())] };
        let text = format!("{holder:?} {holder:#?}");
        assert!(!text.contains("canary") && !text.contains("99, 97"), "{text}");
    }

    #[test]
    fn a_redacted_value_comes_out_when_asked() {
        assert_eq!(*Redacted::new(7).expose(), 7);
        assert_eq!(Redacted::from("x".to_owned()).into_exposed(), "x");
    }
}
