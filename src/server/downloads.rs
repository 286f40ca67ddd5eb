//! The download routes: a token in, a file out, once.
//!
//! Here is what HTTP adds to a redemption: where the token is in a request, and the many ways in which browsers,
//! proxies and link previews ask without meaning to download. None of those that can be told consumes anything.

pub(crate) mod intent;
pub(crate) mod pace;
mod page;
pub mod redeem;
pub(crate) mod redeemer;
pub(crate) mod status;
pub mod stream;
pub(crate) mod token_input;

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, State, rejection::PathRejection},
    http::{HeaderMap, Uri, header, request::Parts},
    response::Response,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use zeroize::Zeroizing;

use self::{redeemer::Redeemer, status::TokenStatus};
use super::{
    auth::identity,
    connection::Connection,
    http::{
        body,
        error::{ErrorCode, ServerError},
        middleware::Known,
        origin::refuse_another_site,
        page::is_wanted,
        request_id::RequestId,
        route::documented,
    },
    net::client_address::ClientAddress,
    state::ServerState,
};
use crate::server::http::json::Json;
use crate::token::Token;

/// The download routes.
pub(super) fn routes() -> OpenApiRouter<Arc<ServerState>> {
    OpenApiRouter::default()
        .routes(documented("POST", routes!(download_by_body)))
        .routes(documented("GET", routes!(download_by_path)))
        .routes(documented("GET", routes!(token_status)))
}

/// Where the token of a link leads.
#[derive(ToSchema)]
#[schema(as = DownloadBody)]
#[expect(dead_code, reason = "the document's schema; the body is read in presented")]
struct DownloadBody {
    /// The token.
    token: String,
}

/// Download a file.
///
/// The token works once: an answer with the file has used it up, whether or not the file arrives. A browser gets a page
/// with a button instead. HEAD and prefetching consume nothing, and a Range for less than the whole file is refused. Where
/// policy binds tokens to their requester, the requester's bearer token must come along.
#[utoipa::path(
    get,
    path = "/api/v1/downloads/{token}",
    tag = "downloads",
    params(("token" = String, Path, description = "The token, `ccd_…`")),
    responses(
        (status = 200, description = "The file; to a browser that navigates a page with a button", content(
            (Vec<u8> = "application/pem-certificate-chain"), (Vec<u8> = "application/pkix-cert"),
            (Vec<u8> = "application/x-pem-file"), (Vec<u8> = "application/x-pkcs12"), (Vec<u8> = "application/zip"),
            (String = "text/html"),
        )),
        (status = 400, description = "`bad_request`: a Range for less than the whole file, or prefetching; the token \
          is still valid"),
        (status = 401, description = "`unauthorized`: the token is bound to its requester, whose bearer token is missing"),
        (status = 403, description = "`forbidden`, `key_export_disabled`, `format_not_allowed`, `approval_required`"),
        (status = 404, description = "`token_unknown`"),
        (status = 409, description = "`certificate_changed`: what was reviewed is no longer what would be delivered"),
        (status = 410, description = "`token_expired`, `token_used`, `token_replaced`, `token_revoked`, `certificate_gone`"),
        (status = 422, description = "`material_unusable`, `passphrase_required`, `unknown_environment`, `reason_required`, `passphrase_too_short`"),
        (status = 503, description = "`guard_failed`, `audit_failed`, `unavailable`: nothing was delivered"),
    ),
)]
async fn download_by_path(
    State(state): State<Arc<ServerState>>,
    redeemer: Redeemer,
    uri: Uri,
    headers: HeaderMap,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, ServerError> {
    intent::refuse_half_hearted(&headers).map_err(ServerError::malformed)?;
    let token = token_of_path(path)?;
    if is_wanted(&headers) {
        return pace::evenly(look(&state, &token, &redeemer)).await;
    }
    // An image on another site's page would use the link up and show no one anything.
    refuse_another_site(&uri, &headers, state.external_url.as_deref())?;
    pace::evenly(redeem::redeem(&state, &token, redeemer)).await
}

/// The page of a link: what it is for, or why it does not work. Consumes nothing.
async fn look(state: &ServerState, token: &Token, redeemer: &Redeemer) -> Result<Response, ServerError> {
    let looking = async {
        let found = redeem::find(state, token, redeemer).await?;
        match redeem::look(state, &found, state.clients.clock().now()).await? {
            Some(refusal) => Err(refusal),
            None => Ok(page::of_live(token, &TokenStatus::of(&found, None))),
        }
    };
    looking.await.or_else(|refusal| match refusal.code() {
        ErrorCode::Unavailable => Ok(page::of_unknown(token)),
        _ => Err(refusal),
    })
}

/// Download a file, with the token in the body.
///
/// As `GET /api/v1/downloads/{token}`, and out of URLs and logs. The body may also be a form `token=…` or the token alone.
#[utoipa::path(
    post,
    path = "/api/v1/downloads",
    tag = "downloads",
    request_body(description = "Any Content-Type", content(
        (DownloadBody = "application/json"), (DownloadBody = "application/x-www-form-urlencoded"),
        (String = "text/plain"),
    )),
    responses(
        (status = 200, description = "The file", content(
            (Vec<u8> = "application/pem-certificate-chain"), (Vec<u8> = "application/pkix-cert"),
            (Vec<u8> = "application/x-pem-file"), (Vec<u8> = "application/x-pkcs12"), (Vec<u8> = "application/zip"),
        )),
        (status = 401, description = "`unauthorized`: the token is bound to its requester, whose bearer token is missing"),
        (status = 403, description = "`forbidden`, `key_export_disabled`, `format_not_allowed`, `approval_required`"),
        (status = 404, description = "`token_unknown`"),
        (status = 409, description = "`certificate_changed`: what was reviewed is no longer what would be delivered"),
        (status = 410, description = "`token_expired`, `token_used`, `token_replaced`, `token_revoked`, `certificate_gone`"),
        (status = 422, description = "`material_unusable`, `passphrase_required`, `unknown_environment`, `reason_required`, `passphrase_too_short`"),
        (status = 503, description = "`guard_failed`, `audit_failed`, `unavailable`: nothing was delivered"),
    ),
)]
pub(super) async fn download_by_body(
    State(state): State<Arc<ServerState>>,
    redeemer: Redeemer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ServerError> {
    intent::refuse_half_hearted(&headers).map_err(ServerError::malformed)?;
    let limits = &state.requests;
    let body = body::read(&headers, body, limits.max_body_bytes, limits.body_timeout.get()).await;
    let body = body.map_err(ServerError::malformed)?;
    let token = token_input::token_of_body(&body).map_err(ServerError::malformed)?;
    pace::evenly(redeem::redeem(&state, &token, redeemer)).await
}

/// Inspect a token.
///
/// Consumes nothing, and says nothing that using the token would not.
#[utoipa::path(
    get,
    path = "/api/v1/downloads/{token}/status",
    tag = "downloads",
    params(("token" = String, Path, description = "The token, `ccd_…`")),
    responses(
        (status = 200, description = "The phase of its request, and whether it can be used", body = TokenStatus),
        (status = 404, description = "`token_unknown`"),
    ),
)]
async fn token_status(
    State(state): State<Arc<ServerState>>,
    redeemer: Redeemer,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<TokenStatus>, ServerError> {
    let token = token_of_path(path)?;
    let looking = async {
        let found = redeem::find(&state, &token, &redeemer).await?;
        let refusal = redeem::look(&state, &found, state.clients.clock().now()).await?;
        Ok(Json(TokenStatus::of(&found, refusal.as_ref())))
    };
    pace::evenly(looking).await
}

impl<S: Sync> FromRequestParts<S> for Redeemer {
    type Rejection = ServerError;

    /// What the surroundings found out about the request; they always have.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ServerError> {
        let known = (parts.extensions.get::<ClientAddress>(), parts.extensions.get::<RequestId>());
        let (Some(client), Some(request_id)) = known else { return Err(ServerError::internal()) };
        Ok(Self {
            client: *client,
            user_agent: parts
                .headers
                .get(header::USER_AGENT)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into()),
            bearer: identity::bearer(&parts.headers),
            person: parts.extensions.get::<Known>().and_then(|known| known.person.clone()),
            request_id: request_id.clone(),
            connection: parts.extensions.get::<Arc<Connection>>().cloned(),
        })
    }
}

fn token_of_path(path: Result<Path<String>, PathRejection>) -> Result<Token, ServerError> {
    let Path(text) =
        path.map_err(|_| token_input::unknown("this path holds no token: copy the whole link").malformed())?;
    token_input::parse(&Zeroizing::new(text)).map_err(ServerError::malformed)
}
