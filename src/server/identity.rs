//! Who a caller is: the API server says it of the bearer token that they sent, and only of that.

use axum::http::{HeaderMap, header};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, api::PostParams};

use super::{
    error::{ErrorCode, ServerError},
    redemption,
};
use crate::{
    api::Requester,
    kube::{
        client::Clients,
        error::{During as _, Failure},
    },
    redact::Redacted,
};

/// The bearer token of a request, if it has one.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<Redacted<String>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| Redacted::new(token.trim().to_owned()))
}

/// Asks the API server who holds this bearer token.
///
/// # Errors
/// [`ErrorCode::Unauthorized`] when it is nobody's, or no longer.
pub async fn of_bearer(clients: &Clients, bearer: &Redacted<String>) -> Result<Requester, ServerError> {
    let client = clients.as_caller(bearer).map_err(|invalid| unauthorized().caused_by(invalid))?;
    let review = Api::<SelfSubjectReview>::all(client)
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await
        .during("review", || "who the caller is".to_owned())
        .map_err(|error| match error.failure() {
            Failure::Forbidden => unauthorized().caused_by(error),
            _ => redemption::of_api_error(error),
        })?;
    let user = review.status.and_then(|status| status.user_info).ok_or_else(unauthorized)?;
    Ok(Requester {
        username: user.username.unwrap_or_default(),
        uid: user.uid.unwrap_or_default(),
        groups: user.groups.unwrap_or_default(),
    })
}

fn unauthorized() -> ServerError {
    let words =
        "the API server does not accept this bearer token; get a new one: kubectl create token, or log in again";
    ServerError::new(ErrorCode::Unauthorized, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_bearer_token_is_read_and_never_shown() {
        let of = |value: &'static str| {
            bearer(&HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]))
        };
        for value in ["Bearer canary", "bearer canary", "BEARER  canary "] {
            assert_eq!(of(value).unwrap().expose(), "canary", "{value}");
        }
        for value in ["canary", "Basic canary", "Bearer ", "Bearer"] {
            assert!(of(value).is_none(), "{value}");
        }
        assert!(bearer(&HeaderMap::new()).is_none());
        assert!(!format!("{:?}", of("Bearer canary")).contains("canary"));
    }
}
