//! JSON bodies, whatever their Content-Type says: `curl -d '{…}'` calls everything a form.

use std::sync::Arc;

use axum::{body::Body, http::HeaderMap};
use certcourier_bundle::Passphrase;
use serde::de::DeserializeOwned;

use crate::api::http::{Object, PassphraseText};
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

/// What the caller sent is wrong.
pub fn bad_request(words: impl Into<String>) -> ServerError {
    ServerError::new(ErrorCode::BadRequest, words)
}

/// The passphrase of a body, if one was given.
///
/// # Errors
/// [`ErrorCode::BadRequest`] for one that no importer would take.
pub fn passphrase(given: PassphraseText) -> Result<Option<Passphrase>, ServerError> {
    given.passphrase().map_err(|error| bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::api::http::{object, text};

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
            assert!(passphrase(given.passphrase).unwrap().is_none(), "{body}");
        }
        for body in [r#"{"reason":"","more":{"name":""}}"#, r#"{"reason":null,"more":{"name":null}}"#] {
            let given = fields(body).unwrap();
            assert!(given.reason.is_none() && given.more.unwrap().name.is_none(), "{body}");
        }
        let given = passphrase(fields(r#"{"passphrase":"correct \"horse\""}"#).unwrap().passphrase).unwrap().unwrap();
        assert_eq!(given.reveal(), "correct \"horse\"");
    }

    #[test]
    fn a_passphrase_that_no_importer_takes_is_refused_and_not_repeated() {
        for canary in ["canary\n".to_owned(), "canaryü".to_owned(), "canary".repeat(171)] {
            let body = serde_json::json!({ "passphrase": canary }).to_string();
            let refusal = passphrase(fields(&body).unwrap().passphrase).unwrap_err();
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
