//! What `…/status` says of a token: the phase of its request, and whether the token could be used. Nothing is consumed,
//! and nothing is said that the holder of the token does not know or could not find out by using it.

use serde::Serialize;
use utoipa::ToSchema;

use super::redeem::Found;
use crate::api::{DateTime, DownloadRequest, http::FormatName};
use crate::server::http::{error::ServerError, openapi::ErrorName};

/// The answer of `GET /api/v1/downloads/{token}/status`.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenStatus {
    /// Name of the DownloadRequest.
    pub request: String,
    /// Its project: the namespace.
    pub project: String,
    /// Name of the Certificate.
    pub certificate: String,
    /// The environment asked for; null means the Certificate's default, or all for der-zip.
    pub environment: Option<String>,
    /// The format of the file.
    #[schema(value_type = FormatName)]
    pub format: &'static str,
    /// The phase of the request.
    pub phase: &'static str,
    /// When this token expires; null once it is no longer the current one.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<DateTime>,
    /// Whether nothing is known that prevents using the token now. Policies, rights and material are checked only when
    /// it is used.
    pub usable: bool,
    /// Why it cannot be used: the code that using it would answer. Absent where it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ErrorName>, nullable = false)]
    pub error: Option<&'static str>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error_description: Option<String>,
}

impl TokenStatus {
    /// Of a token that belongs to the request, and what prevents using it.
    #[must_use]
    pub fn of(found: &Found, refusal: Option<&ServerError>) -> Self {
        let DownloadRequest { metadata, spec, status } = &found.request;
        let expiry = status.as_ref().and_then(|status| status.token.as_ref()?.expires_at.clone());
        Self {
            request: metadata.name.clone().unwrap_or_default(),
            project: metadata.namespace.clone().unwrap_or_default(),
            certificate: spec.certificate_ref.name.clone(),
            environment: spec.environment.clone(),
            format: spec.format.name(),
            phase: status.as_ref().and_then(|status| status.phase).unwrap_or_default().name(),
            expires_at: expiry.filter(|_| refusal.is_none()),
            usable: refusal.is_none(),
            error: refusal.map(|refusal| refusal.code().name()),
            error_description: refusal.map(ServerError::description),
        }
    }
}
