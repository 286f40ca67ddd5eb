//! Creates a request through the Kubernetes API, in the person's own name.

use std::time::Duration;

use kube::{ResourceExt as _, api::PostParams};

use super::{args::Ask, ended};
use crate::plugin::{
    context::Ctx,
    error::{Exit, PluginError},
};
use crate::{
    api::{Delivery, DownloadRequest, Phase, names::MAX_REQUEST_NAME},
    cluster::{
        access,
        error::{During as _, Failure},
    },
    door::{Door, Worded as _},
    lifecycle,
    policy::Reason,
};

/// How long the controller's first look is waited for, and how often it is looked for.
const MOMENT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// The API server adds five characters.
const RANDOM: usize = 5;

/// The request as it is created. Without a name of its own the API server completes one: `api-fullchain-x7k2p`.
pub fn draft(ask: &Ask, name: Option<&str>, delivery: Option<Delivery>, ctx: &Ctx) -> DownloadRequest {
    let mut request = DownloadRequest::new(name.unwrap_or_default(), ask.spec(delivery, None, ctx.now()));
    request.metadata.namespace = Some(ctx.namespace.clone());
    if name.is_none() {
        request.metadata.name = None;
        request.metadata.generate_name = Some(prefix(&ask.certificate, ask.format.name()));
    }
    request
}

fn prefix(certificate: &str, format: &str) -> String {
    let longest = MAX_REQUEST_NAME - format.len() - RANDOM - 2;
    let certificate = certificate[..certificate.floor_char_boundary(longest)].trim_end_matches(['-', '.']);
    format!("{certificate}-{format}-")
}

/// Creates it.
///
/// # Errors
/// When the API server, its admission policies included, refuses.
pub async fn create(
    ctx: &Ctx,
    ask: &Ask,
    name: Option<&str>,
    delivery: Delivery,
) -> Result<DownloadRequest, PluginError> {
    let who = access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?;
    may_get_passphrase(ctx, ask, &who.username).await?;
    let mut request = draft(ask, name, Some(delivery), ctx);
    request.spec = ask.spec(Some(delivery), Some(who), ctx.now());
    let object = || format!("a DownloadRequest in namespace {}", ctx.namespace);
    let created =
        ctx.writing::<DownloadRequest>().create(&PostParams::default(), &request).await.during("create", object);
    let created = created.map_err(|error| match error.failure() {
        Failure::Unavailable => PluginError::from(error).next(perhaps(ctx)),
        Failure::Conflict if name.is_some() => PluginError::from(error)
            .next("a name is used once: choose another with --name, or leave it out and one is made"),
        _ => error.into(),
    })?;
    lifecycle::created_as_asked(&created, &request).map_err(|altered| ctx.altered(&altered, &created.name_any()))?;
    Ok(created)
}

/// The request as the controller first wrote it, if that is there within a moment: what the policies refuse, they refuse
/// at once. Otherwise as it was created.
pub async fn decided(ctx: &Ctx, created: DownloadRequest) -> DownloadRequest {
    let name = created.name_any();
    let end = tokio::time::Instant::now() + MOMENT;
    while tokio::time::Instant::now() < end {
        match ctx.api::<DownloadRequest>().get_opt(&name).await {
            Ok(Some(request)) if request.status.as_ref().is_some_and(|status| status.phase.is_some()) => {
                return request;
            }
            Ok(Some(_)) => tokio::time::sleep(PAUSE).await,
            // Someone who may create and not read, or the API server has gone: what is known is that it was created.
            Ok(None) | Err(_) => break,
        }
    }
    created
}

/// What is said of a request that is over as soon as it was created.
pub fn refused(ctx: &Ctx, request: &DownloadRequest) -> Option<PluginError> {
    if request.phase() != Phase::Failed {
        return None;
    }
    let why = lifecycle::summary(request).unwrap_or_else(|| request.phase().name().to_owned());
    let refused = PluginError::with_exit(Exit::Failed, format!("{}: {why}", request.name_any()));
    let flags = ctx.flags();
    Some(match ended::after(request, &flags) {
        Some(next) => refused.next(next),
        None => refused.next(format!("kubectl certcourier describe {} {flags}", request.name_any())),
    })
}

/// Admission asks the same, and says it in fields of the object.
async fn may_get_passphrase(ctx: &Ctx, ask: &Ask, me: &str) -> Result<(), PluginError> {
    let Some(reference) = &ask.passphrase_secret else { return Ok(()) };
    if access::caller_may_get_secret(ctx.clients.reads(), &ctx.namespace, &reference.name).await? {
        return Ok(());
    }
    let refused = Reason::PassphraseSecretRefused { requester: me.to_owned(), secret: reference.name.clone() };
    Err(PluginError::new(refused.at(Door::Plugin)))
}

/// What to do when no one knows whether a request was made.
pub fn perhaps(ctx: &Ctx) -> String {
    format!("the request may exist anyway: `kubectl certcourier list requests --mine {}` says", ctx.flags())
}

/// What is printed of a request that was created.
pub fn created(request: &DownloadRequest) -> String {
    format!("downloadrequest.certcourier.io/{} created\n", request.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_name_fits() {
        assert_eq!(prefix("api", "fullchain"), "api-fullchain-");
        assert_eq!(prefix(&"a".repeat(253), "der-zip").len() + RANDOM, MAX_REQUEST_NAME);
        assert!(!prefix(&format!("{}.{}", "a".repeat(183), "b".repeat(60)), "fullchain").contains(".-"));
    }
}
