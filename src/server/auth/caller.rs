//! The caller of a route that takes a Kubernetes bearer token: who it is, and what the API server lets them do.

use std::{net::IpAddr, sync::Arc, time::Instant};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts, uri::Authority},
};
use kube::Client;

use super::identity;
use crate::server::{
    connection::Connection,
    http::{
        error::{ErrorCode, ServerError},
        middleware::Known,
        refusal::{self, unauthorized},
        request_id::RequestId,
    },
    net::{client_address::ClientAddress, rate_limit::Tier},
    session::Keys,
    state::ServerState,
};
use crate::{
    api::{Format, Requester},
    cluster::access,
    policy,
    redact::Redacted,
};

/// Someone whom the API server knows: it says who they are, and what they may.
#[derive(Clone)]
pub struct Caller {
    /// Calls the API server with the caller's credentials and nothing else of anyone's.
    pub client: Client,
    /// Where the call comes from.
    pub address: ClientAddress,
    /// Id of this HTTP request.
    pub request_id: RequestId,
    /// What links in answers begin with: scheme and host, perhaps a path.
    pub base_url: String,
    credentials: Credentials,
    /// Who it is, where that was asked for this very request.
    asked: Option<Requester>,
}

/// What they call with.
#[derive(Clone)]
enum Credentials {
    /// The bearer token of this request.
    Bearer(Redacted<String>),
    /// Those of the process, which is theirs.
    Process,
}

impl FromRequestParts<Arc<ServerState>> for Caller {
    type Rejection = ServerError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ServerState>) -> Result<Self, ServerError> {
        if state.of_one.is_some() {
            return Self::of_process(state, parts).await;
        }
        let bearer = identity::bearer(&parts.headers).ok_or_else(|| no_bearer().malformed())?;
        Self::with_bearer(state, parts, bearer).await
    }
}

impl Caller {
    /// Someone who makes this request with a bearer token that came elsewhere than in its header.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthorized`] when it is no one's, [`ErrorCode::RateLimited`].
    pub async fn with_bearer(
        state: &Arc<ServerState>,
        parts: &Parts,
        bearer: Redacted<String>,
    ) -> Result<Self, ServerError> {
        let known = (parts.extensions.get::<ClientAddress>(), parts.extensions.get::<RequestId>());
        let (Some(address), Some(request_id)) = known else { return Err(ServerError::internal()) };
        let Some(known) = parts.extensions.get::<Known>() else { return Err(ServerError::internal()) };
        let invalid = |invalid| unauthorized().malformed().caused_by(invalid);
        let client = state.clients.as_caller(&bearer).map_err(invalid)?;
        let asked = match &known.person {
            Some(person) => state.rates.admit_known(person).map(|()| None)?,
            None => stranger(state, *address, &client, &bearer, known).await?,
        };
        if (known.person.is_some() || asked.is_some())
            && let Some(connection) = parts.extensions.get::<Arc<Connection>>()
        {
            connection.prove();
        }
        let (address, request_id) = (*address, request_id.clone());
        let credentials = Credentials::Bearer(bearer);
        Ok(Self { client, address, request_id, base_url: base_url(state, parts), credentials, asked })
    }

    /// The one person whose process this is.
    async fn of_process(state: &Arc<ServerState>, parts: &Parts) -> Result<Self, ServerError> {
        let known = (parts.extensions.get::<ClientAddress>(), parts.extensions.get::<RequestId>());
        let (Some(address), Some(request_id)) = known else { return Err(ServerError::internal()) };
        let client = state.clients.writes().clone();
        let who = identity::of_client(client.clone()).await.map_err(refusal::of_review)?;
        let (address, request_id) = (*address, request_id.clone());
        // Links lead to the server, and only its token Secrets know where that is.
        let base_url = String::new();
        Ok(Self { client, address, request_id, base_url, credentials: Credentials::Process, asked: Some(who) })
    }

    /// Who it is, where the API server was asked for this very request.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.asked.as_ref().map(|who| who.username.as_str())
    }

    /// Whether the process that they ask is their own: no server stands between them and the API server.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        matches!(self.credentials, Credentials::Process)
    }

    /// Whose forms they are: of whom holds this token, or a renewed one.
    #[must_use]
    pub fn holder(&self) -> String {
        match &self.credentials {
            Credentials::Bearer(bearer) => Keys::holder(bearer),
            Credentials::Process => String::new(),
        }
    }

    /// The same client for watches, which stay open: who uses it bounds them.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthorized`] for a token that cannot be sent.
    pub fn watches(&self, state: &ServerState) -> Result<Client, ServerError> {
        match &self.credentials {
            Credentials::Bearer(bearer) => {
                state.clients.watches_as_caller(bearer).map_err(|invalid| unauthorized().caused_by(invalid))
            }
            Credentials::Process => Ok(state.clients.watches().clone()),
        }
    }

    fn was_seen(&self, state: &ServerState, name: &str) {
        if let Credentials::Bearer(bearer) = &self.credentials {
            state.people.saw(bearer.expose(), name, Instant::now());
        }
    }
}

/// Someone with a bearer token that no one has seen lately: it costs one lookup as a stranger's, and then they are
/// known. None where the API server does not say who they are, because no one may ask it that; then they stay a
/// stranger.
async fn stranger(
    state: &ServerState,
    address: ClientAddress,
    client: &Client,
    bearer: &Redacted<String>,
    known: &Known,
) -> Result<Option<Requester>, ServerError> {
    state.rates.admit_lookup(address)?;
    let refusal = match identity::of_client(client.clone()).await {
        Ok(who) if !who.username.is_empty() => {
            state.people.saw(bearer.expose(), &who.username, Instant::now());
            if !state.in_flight.is_of(&known.slot, &who.username) {
                let what = "too many requests of yours at the same time";
                return Err(state.rates.wait(Tier::at_once, what, refusal::SOON));
            }
            return Ok(Some(who));
        }
        Ok(_) => unauthorized(),
        Err(error) => refusal::of_review(error),
    };
    if refusal.code() == ErrorCode::Unauthorized { Err(refusal) } else { Ok(None) }
}

impl Caller {
    /// Who it is, as the API server says; counted against their own budget.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthorized`] when the token is no one's, [`ErrorCode::RateLimited`] when they ask too often.
    pub async fn identity(&self, state: &ServerState) -> Result<Requester, ServerError> {
        let who = match &self.asked {
            Some(who) => who.clone(),
            None => identity::of_client(self.client.clone()).await.map_err(refusal::of_review)?,
        };
        if who.username.is_empty() {
            return Err(unauthorized());
        }
        state.rates.admit_person(&who.username)?;
        self.was_seen(state, &who.username);
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
        let role = if format.is_public() { "certcourier-downloader" } else { "certcourier-operator" };
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

/// As the flag says, else the host that the caller used, if it is a name of this server.
fn base_url(state: &ServerState, parts: &Parts) -> String {
    if let Some(url) = &state.external_url {
        return url.clone();
    }
    let of_header = || parts.headers.get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok();
    let host = parts.uri.authority().cloned().or_else(of_header);
    let own = |host: &str| state.own_names.get().is_some_and(|names| names.hold(host));
    let scheme = if state.serves_tls { "https" } else { "http" };
    // Without a host the link is a path.
    host.filter(|host| is_own(host.host(), own)).map_or_else(String::new, |host| format!("{scheme}://{host}"))
}

/// Whether a link may begin with this host: one that the serving certificate names, or this very machine. Any other was
/// made up by the caller, and a link with it would carry its token there.
fn is_own(host: &str, named: impl Fn(&str) -> bool) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let loopback = bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || bare == "localhost" || named(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_never_begins_with_a_host_that_is_not_this_server() {
        let named = |host: &str| host == "certs.example.com";
        for host in ["certs.example.com", "127.0.0.1", "[::1]", "localhost"] {
            assert!(is_own(host, named), "{host}");
        }
        for host in ["evil.example", "certs.example.com.evil.example", "10.0.0.1", "[2001:db8::1]", ""] {
            assert!(!is_own(host, named), "{host}");
        }
    }
}
