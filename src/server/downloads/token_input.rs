//! A token as a caller presents it: in a path, or in a body of whatever content type.

use std::borrow::Cow;

use serde::Deserialize;

use crate::server::http::{
    body,
    error::{ErrorCode, ServerError},
};
use crate::token::Token;

/// Reads a token, without an API call.
///
/// # Errors
/// [`ErrorCode::TokenUnknown`] with what is wrong with the text.
pub fn parse(text: &str) -> Result<Token, ServerError> {
    Token::parse(text).map_err(|malformed| unknown(malformed.to_string()))
}

/// A token that belongs to no request.
pub fn unknown(words: impl Into<String>) -> ServerError {
    ServerError::new(ErrorCode::TokenUnknown, words)
}

/// The JSON form of the body. Borrows from it, so that no copy of the token is left behind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonBody<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    #[serde(borrow)]
    passphrase: Option<Cow<'a, str>>,
}

/// Reads the token from a body. The three forms are told apart by what they look like and not by Content-Type, because
/// `curl -d '{…}'` calls everything a form: JSON `{"token":"ccd_…"}`, a form `token=ccd_…`, or the bare token.
///
/// # Errors
/// [`ErrorCode::BadRequest`] where no token is to be found, [`ErrorCode::TokenUnknown`] where it is none.
pub fn token_of_body(body: &[u8]) -> Result<Token, ServerError> {
    let text = body::text(body)?.trim();
    if text.starts_with('{') {
        // serde's error may repeat what it read; none of it is passed on.
        let json: JsonBody<'_> = serde_json::from_str(text).map_err(|_| no_token())?;
        if json.passphrase.is_some_and(|passphrase| !passphrase.is_empty()) {
            let words = "a passphrase is accepted only in the call that issues the token; leave it out here";
            return Err(ServerError::new(ErrorCode::BadRequest, words));
        }
        return parse(json.token.trim());
    }
    // A token has no character that a form would encode.
    let token = text.strip_prefix("token=").unwrap_or(text);
    if token.is_empty() { Err(no_token()) } else { parse(token) }
}

fn no_token() -> ServerError {
    let words = "the body holds no token; send {\"token\":\"ccd_…\"}, token=ccd_… or the token alone";
    ServerError::new(ErrorCode::BadRequest, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        Token::mint("payments", "api", &[7; 32]).expose().to_owned()
    }

    #[test]
    fn a_token_is_found_in_each_form_of_body() {
        let token = token();
        for body in [
            token.clone(),
            format!("{token}\r\n"),
            format!("token={token}"),
            format!("{{\"token\":\"{token}\"}}"),
            format!("{{\"token\":\"{token}\",\"passphrase\":\"\"}}"),
            format!(" {{ \"token\" : \" {token} \" }}\n"),
        ] {
            assert_eq!(token_of_body(body.as_bytes()).unwrap().expose(), token, "{body}");
        }
    }

    #[test]
    fn a_body_without_a_token_is_refused_with_the_forms_there_are() {
        let token = token();
        for body in [
            String::new(),
            "{}".into(),
            "{\"token\":1}".into(),
            "token=".into(),
            format!("{{\"token\":\"{token}\""),
            format!("{{\"token\":\"{token}\",\"x\":1}}"),
        ] {
            let refusal = token_of_body(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::BadRequest, "{body}");
            assert!(refusal.description().contains("token="), "{refusal}");
        }
        assert_eq!(token_of_body(&[0xff, 0xfe]).unwrap_err().code(), ErrorCode::BadRequest);
    }

    #[test]
    fn what_is_no_token_is_unknown_and_not_repeated() {
        for body in ["Bearer canary", "token=canary", "{\"token\":\"canary\"}", "ccd_canary"] {
            let refusal = token_of_body(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::TokenUnknown, "{body}");
            assert!(!format!("{refusal:?}").contains("canary"), "{refusal:?}");
        }
    }

    #[test]
    fn a_passphrase_is_not_taken_here() {
        let body = format!("{{\"token\":\"{}\",\"passphrase\":\"canary\"}}", token());
        let refusal = token_of_body(body.as_bytes()).unwrap_err();
        assert!(refusal.description().contains("passphrase"), "{refusal}");
        assert!(!format!("{refusal:?}").contains("canary"));
    }
}
