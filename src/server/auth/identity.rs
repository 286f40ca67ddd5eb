//! Who a caller is: the API server says it of the bearer token that they sent, and only of that.

use axum::http::{HeaderMap, header};
use kube::Client;

use crate::server::http::{
    error::ServerError,
    refusal::{of_api_error, unauthorized},
};
use crate::{
    api::Requester,
    cluster::{
        access,
        client::Clients,
        error::{ApiError, During as _, Failure},
    },
    policy::is_unattended,
    redact::Redacted,
};

/// The bearer token of a request, if it has one.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<Redacted<String>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| Redacted::new(token.trim().to_owned()))
}

/// Asks the API server who holds this bearer token; with a client that calls as they do.
///
/// # Errors
/// [`ErrorCode::Unauthorized`] when it is no one's, or no longer.
pub async fn of_bearer(clients: &Clients, bearer: &Redacted<String>) -> Result<(Requester, Client), ServerError> {
    let client = clients.as_caller(bearer).map_err(|invalid| unauthorized().caused_by(invalid))?;
    let who = of_client(client.clone()).await.map_err(|error| match error.failure() {
        Failure::Forbidden => unauthorized().caused_by(error),
        _ => of_api_error(error),
    })?;
    Ok((who, client))
}

/// Asks the API server who `client` calls as. No name means no one.
///
/// # Errors
/// [`ApiError`] when the API server refuses, as it does for credentials that are no longer good, or does not answer.
pub async fn of_client(client: Client) -> Result<Requester, ApiError> {
    access::who(&client).await.during("review", || "who the caller is".to_owned())
}

/// Whether a caller is whom a request names: the same user name, and the uid that was recorded. A `ServiceAccount` that
/// was deleted and made again has the old name and another uid; each of its tokens carries it, so a record without one is
/// not its own.
#[must_use]
pub fn is_requester(caller: &Requester, requester: Option<&Requester>) -> bool {
    requester.is_some_and(|requester| {
        let same_uid = requester.uid == caller.uid || (requester.uid.is_empty() && !is_unattended(&caller.username));
        !requester.username.is_empty() && requester.username == caller.username && same_uid
    })
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

    #[test]
    fn a_requester_is_known_by_name_and_by_the_uid_that_was_recorded() {
        let person =
            |username: &str, uid: &str| Requester { username: username.into(), uid: uid.into(), groups: vec![] };
        let asked = person("carol", "1");
        for (caller, same) in [
            (person("carol", "1"), true),
            (person("carol", ""), false),
            (person("carol", "2"), false),
            (person("Carol", "1"), false),
            (person("", "1"), false),
        ] {
            assert_eq!(is_requester(&caller, Some(&asked)), same, "{caller:?}");
        }
        assert!(is_requester(&asked, Some(&person("carol", ""))));
        let robot = person("system:serviceaccount:ci:robot", "1");
        for (recorded, same) in [("1", true), ("2", false), ("", false)] {
            assert_eq!(is_requester(&robot, Some(&person(&robot.username, recorded))), same, "{recorded}");
        }
        assert!(!is_requester(&person("", ""), Some(&person("", ""))), "no one is no one's requester");
        assert!(!is_requester(&asked, None));
    }
}
