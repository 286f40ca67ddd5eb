//! Texts of a body: what may be left out, and what must not be seen.

use std::{fmt, marker::PhantomData};

use certcourier_bundle::{Passphrase, PassphraseError};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use zeroize::Zeroizing;

use crate::redact::Redacted;

/// Fields by their names. By themselves, structs are read from arrays too, and an array of one text is a body that
/// someone did not mean.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// A field that is an object, or null.
///
/// # Errors
/// What is wrong with it; also that it is an array.
pub fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|Object(fields)| fields))
}

/// A text that may be left out: null and an empty one say nothing.
///
/// # Errors
/// When it is not text.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(filled(Option::deserialize(deserializer)?))
}

/// An empty text says nothing.
#[must_use]
pub fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A text that is wiped when dropped and never shown: a token, a link with a token in it, a generated passphrase. It is
/// written into one answer and read from it, nowhere else.
#[derive(Clone, Default, Debug)]
pub struct SecretText(Redacted<Zeroizing<String>>);

impl SecretText {
    /// Hides a text.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(Redacted::new(text.into()))
    }

    /// The text, still hidden.
    #[must_use]
    pub fn into_redacted(self) -> Redacted<Zeroizing<String>> {
        self.0
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Hidden)
    }
}

/// Takes the text as it is visited, so that no copy is left behind.
struct Hidden;

impl Visitor<'_> for Hidden {
    type Value = SecretText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<SecretText, E> {
        Ok(SecretText::new(text.to_owned()))
    }
}

/// A passphrase in a body: wiped when dropped, and never shown. `""` and null are the same as none.
#[derive(Clone, Default, Debug)]
pub struct PassphraseText(Option<SecretText>);

impl From<SecretText> for PassphraseText {
    fn from(text: SecretText) -> Self {
        Self(Some(text))
    }
}

impl From<Redacted<Zeroizing<String>>> for SecretText {
    fn from(text: Redacted<Zeroizing<String>>) -> Self {
        Self(text)
    }
}

impl PassphraseText {
    /// The passphrase, if one was given.
    ///
    /// # Errors
    /// [`PassphraseError`] for one that no importer would take.
    pub fn passphrase(self) -> Result<Option<Passphrase>, PassphraseError> {
        match self.0.map(|text| text.0.into_exposed()) {
            Some(text) if !text.is_empty() => Passphrase::new(text).map(Some),
            _ => Ok(None),
        }
    }
}

impl From<Option<&Passphrase>> for PassphraseText {
    fn from(passphrase: Option<&Passphrase>) -> Self {
        Self(passphrase.map(|passphrase| SecretText::new(passphrase.reveal().to_owned())))
    }
}

impl Serialize for PassphraseText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PassphraseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_written_and_read_and_never_shown() {
        let secret = SecretText::new("canary".to_owned());
        assert!(!format!("{secret:?}").contains("canary"));
        let written = serde_json::to_string(&secret).unwrap();
        assert_eq!(written, "\"canary\"");
        let read: SecretText = serde_json::from_str(&written).unwrap();
        assert_eq!(read.into_redacted().expose().as_str(), "canary");
        for wrong in ["null", "1", "[\"canary\"]"] {
            let error = serde_json::from_str::<SecretText>(wrong).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn no_passphrase_is_null_and_an_empty_one_is_none() {
        assert_eq!(serde_json::to_string(&PassphraseText::from(None)).unwrap(), "null");
        for text in ["null", "\"\""] {
            assert!(serde_json::from_str::<PassphraseText>(text).unwrap().passphrase().unwrap().is_none(), "{text}");
        }
        let given = Passphrase::new("correct horse".to_owned()).unwrap();
        let written = serde_json::to_string(&PassphraseText::from(Some(&given))).unwrap();
        let read = serde_json::from_str::<PassphraseText>(&written).unwrap().passphrase().unwrap().unwrap();
        assert_eq!(read.reveal(), "correct horse");
    }
}
