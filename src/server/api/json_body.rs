//! JSON bodies, whatever their Content-Type says: `curl -d '{…}'` calls everything a form.

use std::{fmt, marker::PhantomData, sync::Arc};

use axum::{body::Body, http::HeaderMap};
use certcourier_bundle::Passphrase;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error, MapAccess, Visitor, value::MapAccessDeserializer},
};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::redact::Redacted;
use crate::server::{
    http::{
        body,
        error::{ErrorCode, ServerError},
    },
    state::ServerState,
};

/// Reads a body. An empty one, and null, are like `{}`. `example` is what to write instead of something that is wrong.
///
/// # Errors
/// [`ErrorCode::BadRequest`]; of a value that is wrong nothing is repeated, since it could be the passphrase.
pub async fn read<T: DeserializeOwned>(
    state: &Arc<ServerState>,
    headers: &HeaderMap,
    body: Body,
    example: &str,
) -> Result<T, ServerError> {
    let limits = &state.requests;
    let bytes = body::read(headers, body, limits.max_body_bytes, limits.body_timeout.get()).await?;
    parse(&bytes, example)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], example: &str) -> Result<T, ServerError> {
    let text = match body::text(bytes)? {
        empty if matches!(empty.trim_ascii(), "" | "null") => "{}",
        text => text,
    };
    let object: Result<Object<T>, _> = serde_json::from_str(text);
    object.map(|Object(fields)| fields).map_err(|error| {
        let said = error.to_string();
        // These name fields alone; any other sentence may hold a value.
        let about_fields = ["unknown field", "missing field", "duplicate field"];
        let what = match said.split(" at line ").next() {
            Some(words) if about_fields.iter().any(|about| words.starts_with(about)) => words.to_owned(),
            _ => format!("unexpected content at line {}, column {}", error.line(), error.column()),
        };
        bad_request(format!("the body cannot be parsed: {what}; write it like {example}"))
    })
}

/// Fields by their names. By themselves, structs are read from arrays too, and an array of one text is a body that
/// someone did not mean.
struct Object<T>(T);

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
pub fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// What the caller sent is wrong.
pub fn bad_request(words: impl Into<String>) -> ServerError {
    ServerError::new(ErrorCode::BadRequest, words)
}

/// A passphrase in a body: wiped when dropped, and never shown. `""` and null are the same as none.
#[derive(Default, ToSchema)]
#[schema(value_type = Option<String>)]
pub struct PassphraseText(Redacted<Zeroizing<String>>);

impl PassphraseText {
    /// The passphrase, if one was given.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`] for one that no importer would take.
    pub fn check(self) -> Result<Option<Passphrase>, ServerError> {
        if self.0.expose().is_empty() {
            return Ok(None);
        }
        Passphrase::new(self.0.into_exposed()).map(Some).map_err(|error| bad_request(error.to_string()))
    }
}

impl fmt::Debug for PassphraseText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for PassphraseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(OptionalText)
    }
}

/// Takes the text as it is visited, so that no copy is left behind.
struct OptionalText;

impl<'de> Visitor<'de> for OptionalText {
    type Value = PassphraseText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or null")
    }

    fn visit_none<E: Error>(self) -> Result<PassphraseText, E> {
        Ok(PassphraseText::default())
    }

    fn visit_unit<E: Error>(self) -> Result<PassphraseText, E> {
        Ok(PassphraseText::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<PassphraseText, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PassphraseText, E> {
        Ok(PassphraseText(Redacted::new(Zeroizing::new(text.to_owned()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        #[serde(default)]
        passphrase: PassphraseText,
        #[serde(default, deserialize_with = "text")]
        reason: Option<String>,
        #[serde(default, deserialize_with = "object")]
        more: Option<More>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct More {
        #[serde(default, deserialize_with = "text")]
        name: Option<String>,
    }

    fn fields(body: &str) -> Result<Fields, ServerError> {
        parse(body.as_bytes(), r#"{"reason":"INC-1"}"#)
    }

    #[test]
    fn an_absent_an_empty_and_a_null_passphrase_are_the_same() {
        for body in ["", " \n", "null", "{}", r#"{"passphrase":""}"#, r#"{"passphrase":null,"reason":"x"}"#] {
            let given = fields(body).unwrap();
            assert!(given.reason.is_none_or(|reason| reason == "x") && given.more.is_none(), "{body}");
            assert!(given.passphrase.check().unwrap().is_none(), "{body}");
        }
        for body in [r#"{"reason":"","more":{"name":""}}"#, r#"{"reason":null,"more":{"name":null}}"#] {
            let given = fields(body).unwrap();
            assert!(given.reason.is_none() && given.more.unwrap().name.is_none(), "{body}");
        }
        let given = fields(r#"{"passphrase":"correct \"horse\""}"#).unwrap().passphrase.check().unwrap().unwrap();
        assert_eq!(given.reveal(), "correct \"horse\"");
    }

    #[test]
    fn a_passphrase_that_no_importer_takes_is_refused_and_not_repeated() {
        for canary in ["canary\n".to_owned(), "canaryü".to_owned(), "canary".repeat(171)] {
            let body = serde_json::json!({ "passphrase": canary }).to_string();
            let refusal = fields(&body).unwrap().passphrase.check().unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::BadRequest);
            assert!(!format!("{refusal:?}").contains("canary"), "{refusal:?}");
        }
    }

    #[test]
    fn a_body_that_is_wrong_is_refused_with_an_example_and_without_its_values() {
        for (body, said) in [
            (r#"{"passphrase":12345678}"#, "line 1"),
            (r#"{"passphrase":["12345678"]}"#, "line 1"),
            (r#"{"passphrase":"12345678""#, "line 1"),
            (r#""12345678""#, "line 1"),
            (r#"["12345678"]"#, "line 1"),
            (r#"[[],"12345678"]"#, "line 1"),
            ("[]", "line 1"),
            (r#"{"reason":"a","more":["12345678"]}"#, "line 1"),
            ("passphrase=12345678", "line 1"),
            (r#"{"pass":"12345678"}"#, "unknown field `pass`"),
            (r#"{"reason":"a","reason":"12345678"}"#, "duplicate field `reason`"),
        ] {
            let refusal = fields(body).unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::BadRequest, "{body}");
            assert!(refusal.description().contains(said) && refusal.description().contains("INC-1"), "{refusal}");
            assert!(!format!("{refusal:?}").contains("12345678"), "{refusal:?}");
        }
    }
}
