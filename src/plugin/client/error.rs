//! What the server refused, or why it did not answer.

use std::{error::Error as _, time::Duration};

use reqwest::StatusCode;

use crate::{api::http::Envelope, plugin::error::PluginError};

/// A call that did not go well.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It refused, and said why.
    #[error("{description}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// One word of docs/api.md's list.
        code: String,
        /// A sentence that names the next step.
        description: String,
    },
    /// No connection came about: nothing was sent.
    #[error("certcourier's server at {base} ({way}) cannot be reached: {cause}")]
    Unreachable {
        /// Where it should be.
        base: String,
        /// How that is known.
        way: String,
        /// Why not.
        cause: String,
    },
    /// It was sent, and no whole answer came back: what was asked for may have been done.
    #[error("certcourier's server at {base} ({way}) did not answer: {cause}")]
    Unanswered {
        /// Where it is.
        base: String,
        /// How that is known.
        way: String,
        /// What happened instead.
        cause: String,
    },
    /// The other side is not certcourier.
    #[error("what answers at {base} is not certcourier's server")]
    Strange {
        /// Where it should be.
        base: String,
    },
}

impl ServerError {
    pub(crate) fn refused(status: StatusCode, body: &[u8], base: &str) -> Self {
        match serde_json::from_slice::<Envelope<'_>>(body) {
            Ok(Envelope { error, error_description, .. }) => Self::Refused {
                status: status.as_u16(),
                code: error.into_owned(),
                description: error_description.into_owned(),
            },
            // A proxy in between has pages of its own.
            Err(_) if status.is_server_error() => Self::Unanswered {
                base: base.to_owned(),
                way: "something in between".to_owned(),
                cause: format!("HTTP {status}"),
            },
            Err(_) => Self::Strange { base: base.to_owned() },
        }
    }

    pub(crate) fn unanswered(error: &reqwest::Error, base: &str, way: &str, limit: Duration) -> Self {
        let (base, way) = (base.to_owned(), way.to_owned());
        let cause = if error.is_timeout() && !error.is_connect() {
            format!("no answer within {} s", limit.as_secs())
        } else {
            innermost(error)
        };
        if error.is_connect() { Self::Unreachable { base, way, cause } } else { Self::Unanswered { base, way, cause } }
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// The cause at the bottom, which says what happened; those above it repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut words = "the connection broke".to_owned();
    while let Some(error) = cause {
        let said = error.to_string();
        if !said.is_empty() {
            words = said;
        }
        cause = error.source();
    }
    words
}

impl From<ServerError> for PluginError {
    fn from(error: ServerError) -> Self {
        let plain = Self::new(error.to_string());
        match &error {
            ServerError::Refused { code, .. } => Self::new(format!("{error} ({code})")),
            ServerError::Unreachable { cause, .. } if cause.contains("certificate") || cause.contains("Issuer") => {
                plain.next("name the CA of its certificate with --server-ca FILE")
            }
            ServerError::Unreachable { .. } => plain.next(
                "say where it is with --server URL (or CERTCOURIER_SERVER), or go through the API server with --port-forward",
            ),
            ServerError::Unanswered { .. } => plain.next(
                "what was asked for may have been done: `kubectl certcourier list requests --mine` shows it; \
                 --request-timeout waits longer",
            ),
            ServerError::Strange { .. } => plain.next("say where it is with --server URL (or CERTCOURIER_SERVER)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_servers_sentence_with_its_code() {
        let body =
            br#"{"error":"key_export_disabled","error_description":"key export disabled: ask","request_id":"x"}"#;
        let error = ServerError::refused(StatusCode::FORBIDDEN, body, "https://x");
        assert_eq!(error.code(), Some("key_export_disabled"));
        assert_eq!(PluginError::from(error).report(), "error: key export disabled: ask (key_export_disabled)\n");
    }

    #[test]
    fn a_page_of_somebody_else_is_not_taken_for_a_refusal() {
        let page = b"<html>canary</html>";
        let strange = ServerError::refused(StatusCode::FORBIDDEN, page, "https://x");
        assert!(matches!(strange, ServerError::Strange { .. }));
        let gateway = ServerError::refused(StatusCode::BAD_GATEWAY, page, "https://x");
        let report = PluginError::from(gateway).report();
        assert!(report.contains("502") && !report.contains("canary"), "{report}");
    }
}
