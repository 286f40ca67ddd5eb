//! What the server refused, or why it did not answer.

use std::time::Duration;

use reqwest::StatusCode;

use crate::{
    api::http::Envelope, cluster::error::NOT_HTTPS, net::SPEAKS_HTTPS, plugin::error::PluginError, transport::Trouble,
};

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
    #[error("certcourier's server at {place} cannot be reached: {trouble}{}", place.beyond(trouble))]
    Unreachable {
        /// Where it should be.
        place: Place,
        /// Why not.
        trouble: Trouble,
    },
    /// It was sent, and no whole answer came back: what was asked for may have been done.
    #[error("certcourier's server at {place} did not answer: {cause}")]
    Unanswered {
        /// Where it is.
        place: Place,
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

/// Where the server is, how that is known, and by what its certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `https://certs.example.com`.
    pub base: String,
    /// Who says so.
    pub way: String,
    /// Where the CA comes from that it is checked with: a file, a Secret. `None`: this machine knows it.
    pub ca: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.base, self.way)
    }
}

impl Place {
    /// What is known of a trouble only here.
    fn beyond(&self, trouble: &Trouble) -> String {
        match (trouble, &self.ca) {
            (Trouble::UnknownCa, Some(ca)) => format!(", and not by the one in {ca}"),
            (Trouble::SpeaksTls, _) => format!(": write {}", self.with_tls()),
            _ => String::new(),
        }
    }

    fn with_tls(&self) -> String {
        format!("https://{}", self.base.trim_start_matches("http://"))
    }

    fn is_plain(&self) -> bool {
        self.base.starts_with("http://")
    }

    fn next(&self, trouble: &Trouble) -> String {
        match trouble {
            Trouble::UnknownCa if self.ca.is_some() => {
                "give --server-ca FILE the CA that signed it; the administrator of certcourier's server has it"
                    .to_owned()
            }
            Trouble::UnknownCa => "name the CA of its certificate with --server-ca FILE".to_owned(),
            Trouble::OtherName { .. } => "call it by a name that its certificate has: --server URL".to_owned(),
            Trouble::Expired(_) | Trouble::NotYetValid(_) | Trouble::BadCertificate(_) => {
                "tell the administrator of certcourier's server".to_owned()
            }
            Trouble::SpeaksTls => format!("--server {}", self.with_tls()),
            _ => "say where it is with --server URL (or CERTCOURIER_SERVER), or go through the API server with \
                  --port-forward"
                .to_owned(),
        }
    }
}

impl ServerError {
    pub(crate) fn refused(status: StatusCode, body: &[u8], place: &Place) -> Self {
        match serde_json::from_slice::<Envelope<'_>>(body) {
            Ok(Envelope { error, error_description, .. }) => Self::Refused {
                status: status.as_u16(),
                code: error.into_owned(),
                description: error_description.into_owned(),
            },
            Err(_) if place.is_plain() && speaks_tls(body) => {
                Self::Unreachable { place: place.clone(), trouble: Trouble::SpeaksTls }
            }
            // A proxy in between has pages of its own.
            Err(_) if status.is_server_error() => Self::Unanswered {
                place: Place { way: "something in between".to_owned(), ..place.clone() },
                cause: format!("HTTP {status}"),
            },
            Err(_) => Self::Strange { base: place.base.clone() },
        }
    }

    pub(crate) fn unanswered(error: &reqwest::Error, place: &Place, limit: Duration) -> Self {
        let place = place.clone();
        match (Trouble::of_any(error), error.is_connect()) {
            (trouble, true) => Self::Unreachable { place, trouble },
            // A server with TLS of another kind answers plain HTTP with an alert, which is no HTTP.
            (Trouble::NotHttp, _) if place.is_plain() => Self::Unreachable { place, trouble: Trouble::SpeaksTls },
            (Trouble::TimedOut, _) => {
                Self::Unanswered { place, cause: format!("no answer within {} s", limit.as_secs()) }
            }
            (trouble, _) => Self::Unanswered { place, cause: trouble.to_string() },
        }
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// Whether this is how certcourier, or a program in Go, answers plain HTTP on a port with TLS.
fn speaks_tls(body: &[u8]) -> bool {
    [SPEAKS_HTTPS, NOT_HTTPS].iter().any(|words| body.starts_with(words.as_bytes()))
}

impl From<ServerError> for PluginError {
    fn from(error: ServerError) -> Self {
        let plain = Self::new(error.to_string());
        match &error {
            ServerError::Refused { code, .. } => Self::new(format!("{error} ({code})")),
            ServerError::Unreachable { place, trouble } => plain.next(place.next(trouble)),
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

    fn place(base: &str, ca: Option<&str>) -> Place {
        Place { base: base.to_owned(), way: "--server".to_owned(), ca: ca.map(str::to_owned) }
    }

    #[test]
    fn a_refusal_is_the_servers_sentence_with_its_code() {
        let body = br#"{"error":"key_export_disabled","error_description":"no key: ask","request_id":"x"}"#;
        let error = ServerError::refused(StatusCode::FORBIDDEN, body, &place("https://x", None));
        assert_eq!(error.code(), Some("key_export_disabled"));
        assert_eq!(PluginError::from(error).report(), "error: no key: ask (key_export_disabled)\n");
    }

    #[test]
    fn a_page_of_somebody_else_is_not_taken_for_a_refusal() {
        let page = b"<html>canary</html>";
        let strange = ServerError::refused(StatusCode::FORBIDDEN, page, &place("https://x", None));
        assert!(matches!(strange, ServerError::Strange { .. }));
        let gateway = ServerError::refused(StatusCode::BAD_GATEWAY, page, &place("https://x", None));
        let report = PluginError::from(gateway).report();
        assert!(report.contains("502") && !report.contains("canary"), "{report}");
    }

    #[test]
    fn an_unknown_ca_is_told_apart_from_one_that_was_named_and_is_another() {
        let report = |ca| {
            let place = place("https://x:1", ca);
            PluginError::from(ServerError::Unreachable { place, trouble: Trouble::UnknownCa }).report()
        };
        let unknown = report(None);
        assert!(unknown.contains("is signed by a CA that this machine does not know\nnext:  name the CA"), "{unknown}");
        let other = report(Some("o.crt"));
        assert!(other.contains("does not know, and not by the one in o.crt\nnext:  give --server-ca FILE"), "{other}");
    }

    #[test]
    fn plain_http_to_a_port_with_tls_is_answered_with_the_address_to_write() {
        for body in [SPEAKS_HTTPS, NOT_HTTPS] {
            let error =
                ServerError::refused(StatusCode::BAD_REQUEST, body.as_bytes(), &place("http://localhost:1", None));
            let report = PluginError::from(error).report();
            assert!(report.contains("it speaks HTTPS: write https://localhost:1\n"), "{report}");
            let error =
                ServerError::refused(StatusCode::BAD_REQUEST, body.as_bytes(), &place("https://localhost:1", None));
            assert!(matches!(error, ServerError::Strange { .. }));
        }
    }
}
