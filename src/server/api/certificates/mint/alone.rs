//! Asking for a file where no server stands between the caller and the API server: the request is created as theirs, and
//! the controller decides on it and puts its token into a Secret that only they may read.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{body, create, draft};
use crate::{
    api::{Delivery, DownloadRequest, http::MintBody},
    cluster::policies,
    policy::{self, is_unattended},
    server::{
        api::{
            certificates::get::{certificate_as, no_certificate},
            json_body::bad_request,
        },
        auth::caller::Caller,
        http::{error::ServerError, path::ObjectPath},
        state::ServerState,
    },
};

/// Creates a request as this caller.
///
/// # Errors
/// What prevents it; a refusal creates nothing.
pub async fn create_as(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    body: MintBody,
) -> Result<DownloadRequest, ServerError> {
    let asked = body::understand(body)?;
    if asked.passphrase.is_some() {
        return Err(bad_request("the passphrase of this file is generated, and shown with the link"));
    }
    let (who, allowed) = tokio::try_join!(caller.identity(state), create::is_allowed(caller, place, asked.format))?;
    let mut draft = draft::request(place, &asked, &who, create::random()?);
    draft.spec.delivery = Some(Delivery::Secret);
    draft.metadata.labels = None;
    if !allowed {
        return Err(create::refusal(caller, place, &draft).await);
    }
    if let Ok(None) = certificate_as(caller, place).await {
        return Err(no_certificate(place));
    }
    create::must_have_room(state, caller, &who, &place.project).await?;
    if draft.spec.deadline.is_none() && is_unattended(&who.username) {
        let known = policies::live(&caller.client, &place.project, None).await.unwrap_or_default();
        let effective = policy::merge(&known, &place.name, &[]);
        let now = state.clients.clock().second();
        draft.spec.deadline = draft::deadline(&who, draft.spec.token_ttl, &effective, now).map(Time);
    }
    create::create(state, caller, draft).await
}
