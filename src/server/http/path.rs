//! What a path names: a project, and perhaps one object in it.
//!
//! A name from a path becomes part of a path at the API server, so nothing gets through that is not a Kubernetes name.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::api::name::{Namespace, ObjectName};
use crate::server::{
    http::error::{ErrorCode, ServerError},
    state::ServerState,
};

/// The parameter that every path has.
const PROJECT: &str = "project";

/// A project (a namespace), and the object that the path names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPath {
    /// The namespace.
    pub project: String,
    /// The Certificate, request or receipt; empty where the path names none.
    pub name: String,
}

impl FromRequestParts<Arc<ServerState>> for ObjectPath {
    type Rejection = ServerError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ServerState>) -> Result<Self, ServerError> {
        let parameters = RawPathParams::from_request_parts(parts, state).await.map_err(|_| no_name())?;
        let mut place = Self { project: String::new(), name: String::new() };
        for (parameter, value) in &parameters {
            if parameter == PROJECT {
                place.project = value.parse::<Namespace>().map_err(|_| no_name())?.into();
            } else {
                place.name = value.parse::<ObjectName>().map_err(|_| no_name())?.into();
            }
        }
        Ok(place)
    }
}

impl ObjectPath {
    /// A project that someone named.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for what is not the name of a namespace.
    pub fn of_project(name: &str) -> Result<Self, ServerError> {
        let project = name.trim().parse::<Namespace>().map_err(|_| {
            let words = "this is not the name of a project: it has lower-case letters, digits and `-`";
            ServerError::new(ErrorCode::NotFound, words)
        })?;
        Ok(Self { project: project.into(), name: String::new() })
    }
}

fn no_name() -> ServerError {
    let words = "a path segment is not a valid Kubernetes name: lower-case letters, digits, `-` and `.`";
    ServerError::new(ErrorCode::NotFound, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_lead_elsewhere_at_the_api_server_is_no_name() {
        for text in ["a", "api", "api.example.com", "a-b", "0"] {
            assert!(text.parse::<ObjectName>().is_ok(), "{text}");
        }
        for text in ["", ".", "..", "a/b", "../secrets", "a?watch=1", "a%2Fb", "A", "a ", "-a", "a-", "ä", "a\n"] {
            assert!(text.parse::<ObjectName>().is_err() && text.parse::<Namespace>().is_err(), "{text}");
        }
        assert!("a".repeat(63).parse::<Namespace>().is_ok() && "a".repeat(64).parse::<Namespace>().is_err());
    }
}
