//! The caller of a route that takes a Kubernetes bearer token: who it is, and what the API server lets them do.

use std::sync::Arc;

use ::kube::Client;
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts, uri::Authority},
};

use super::{
    super::{
        client_address::ClientAddress,
        error::{ErrorCode, ServerError},
        identity,
        request_id::RequestId,
        state::ServerState,
    },
    refusal,
};
use crate::{
    api::{Format, Requester},
    kube::access,
    policy,
};

/// Someone with a bearer token. Nothing is known of it until the API server was asked.
pub struct Caller {
    /// Calls the API server with the caller's token and nothing else of anybody's.
    pub client: Client,
    /// Where the call comes from.
    pub address: ClientAddress,
    /// Id of this HTTP request.
    pub request_id: RequestId,
    /// What links in answers begin with: scheme and host, perhaps a path.
    pub base_url: String,
}

impl FromRequestParts<Arc<ServerState>> for Caller {
    type Rejection = ServerError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ServerState>) -> Result<Self, ServerError> {
        let known = (parts.extensions.get::<ClientAddress>(), parts.extensions.get::<RequestId>());
        let (Some(address), Some(request_id)) = known else { return Err(ServerError::internal()) };
        state.rates.admit(*address)?;
        let bearer = identity::bearer(&parts.headers).ok_or_else(no_bearer)?;
        // Whatever comes next, the API server is asked for somebody whom nobody has authenticated yet.
        state.rates.admit_lookup()?;
        let client = state.clients.as_caller(&bearer).map_err(|invalid| identity::unauthorized().caused_by(invalid))?;
        Ok(Self { client, address: *address, request_id: request_id.clone(), base_url: base_url(state, parts) })
    }
}

impl Caller {
    /// Who it is, as the API server says; counted against their own budget.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthorized`] when the token is nobody's, [`ErrorCode::RateLimited`] when they ask too often.
    pub async fn identity(&self, state: &ServerState) -> Result<Requester, ServerError> {
        let who = identity::of_client(self.client.clone()).await.map_err(refusal::of_review)?;
        if who.username.is_empty() {
            return Err(identity::unauthorized());
        }
        state.rates.admit_person(&who.username)?;
        Ok(who)
    }

    /// Whether they hold the verb that a file of this format needs, asked in their own name.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`] when not; the same whether or not there is such a Certificate.
    pub async fn must_hold_verb(&self, project: &str, certificate: &str, format: Format) -> Result<(), ServerError> {
        let verb = policy::verb(format);
        let right = (verb, "certificates", certificate);
        if access::caller_may(&self.client, project, right).await.map_err(refusal::of_review)? {
            return Ok(());
        }
        let role = if policy::is_public(format) { "certcourier-downloader" } else { "certcourier-operator" };
        let words = format!(
            "you lack verb `{verb}` on certificates.certcourier.io/{certificate} in namespace {project}, which format \
             `{format}` needs: ask for ClusterRole {role} there"
        );
        Err(ServerError::new(ErrorCode::Forbidden, words))
    }
}

fn no_bearer() -> ServerError {
    let words = "send your Kubernetes token with the request: -H \"Authorization: Bearer $TOKEN\", where TOKEN is what \
                 `kubectl create token` or your login gave you";
    ServerError::new(ErrorCode::Unauthorized, words)
}

/// As the flag says, else the host that the caller used.
fn base_url(state: &ServerState, parts: &Parts) -> String {
    if let Some(url) = &state.external_url {
        return url.clone();
    }
    let of_header = || parts.headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let scheme = if state.serves_tls { "https" } else { "http" };
    // Without any host the link is a path.
    parts.uri.authority().cloned().or_else(of_header).map_or_else(String::new, |host| format!("{scheme}://{host}"))
}
