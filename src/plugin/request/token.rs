//! Takes the token of a request: over HTTP with the person's bearer token, or out of the Secret that only they may read.

use std::time::Duration;

use certcourier_bundle::Passphrase;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    args::{Ask, json},
    wait::{Company, Progress, Wanted, follow},
};
use crate::api::http::ErrorCode;
use crate::plugin::{
    client::{Known, Published, Server},
    context::Ctx,
    error::PluginError,
};
use crate::{
    api::{
        DownloadRequest,
        http::{Awaiting, ClaimBody, SecretText, TokenAnswer},
        names,
    },
    cluster::{
        access,
        error::{During as _, Failure},
        secrets::{self, SecretObject},
        token_secret::{self, NoToken, SecretText as Secret},
    },
    redact::Redacted,
};

/// How long the right to read a Secret may take to be in force everywhere, after the controller saw it work.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(200);
/// How often a token may expire while it is being taken.
const ATTEMPTS: usize = 3;

/// A token, and what came with it.
#[derive(Debug)]
pub struct Taken {
    /// The request's name.
    pub request: String,
    /// The token.
    pub token: Secret,
    /// Its link, where one came along.
    pub url: Option<Secret>,
    /// It is refused after this time.
    pub expires_at: Option<Time>,
    /// The passphrase, where it was generated.
    pub passphrase: Option<Secret>,
    /// Where its Secret says that the server is.
    pub known: Known,
}

/// A token as a server gave it; `at` makes a URL of a link that is a path only.
fn answered(answer: TokenAnswer, at: impl FnOnce(&str) -> String) -> Taken {
    let url = answer.url.into_redacted();
    let path = url.expose();
    let url = if path.starts_with('/') { Redacted::new(Zeroizing::new(at(path))) } else { url };
    Taken {
        request: answer.request,
        token: answer.token.into_redacted(),
        url: Some(url),
        expires_at: Some(answer.expires_at),
        passphrase: answer.passphrase.map(SecretText::into_redacted),
        known: Known::default(),
    }
}

/// What asking for a file came to.
#[derive(Debug)]
pub enum Asked {
    /// The token is there.
    Token(Box<Taken>),
    /// People must approve; the request's name.
    Waits(String),
}

/// Two shapes, told apart by the status.
#[derive(Deserialize)]
#[serde(untagged)]
enum MintAnswer {
    Token(Box<TokenAnswer>),
    Waits(Awaiting),
}

/// Asks the server for a file.
///
/// # Errors
/// What it refuses: then nothing was created.
pub async fn mint(
    ctx: &Ctx,
    server: &Server,
    ask: &Ask,
    passphrase: Option<&Passphrase>,
) -> Result<Asked, PluginError> {
    let path = format!("/api/v1/projects/{}/certificates/{}/downloads", ctx.namespace, ask.certificate);
    tracing::debug!("asking the server for {} of {}", ask.format, ask.certificate);
    let (status, answer) = server.post::<MintAnswer>(&path, &ask.body(passphrase)?).await?;
    match answer {
        MintAnswer::Token(answer) if status == StatusCode::CREATED => {
            Ok(Asked::Token(Box::new(answered(*answer, |path| server.at(path)))))
        }
        MintAnswer::Token(answer) => Ok(Asked::Waits(answer.request)),
        MintAnswer::Waits(answer) => Ok(Asked::Waits(answer.request)),
    }
}

/// Claims the token of a request with delivery Claim; waits until it can be claimed.
///
/// # Errors
/// When the request ends before, or the server refuses.
pub async fn claim(
    ctx: &Ctx,
    server: &Server,
    request: &str,
    passphrase: Option<&Passphrase>,
) -> Result<Taken, PluginError> {
    let path = format!("/api/v1/projects/{}/requests/{request}/token", ctx.namespace);
    let body = json(&ClaimBody { passphrase: passphrase.into() })?;
    for attempt in 1.. {
        follow(ctx, request, &Wanted::Token(None), Company::Alone).await?;
        match server.post::<TokenAnswer>(&path, &body).await {
            Ok((_, answer)) => return Ok(answered(answer, |path| server.at(path))),
            // What was approved changed in between: wait for new approvals.
            Err(error) if error.code() == Some(ErrorCode::ApprovalRequired.name()) && attempt < ATTEMPTS => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PluginError::new(format!("the token of `{request}` could not be claimed")))
}

/// Reads the token of a request with delivery Secret; waits until it is there, and asks for another where it expired.
///
/// # Errors
/// When the request ends before, or the Secret cannot be read.
pub async fn from_secret(ctx: &Ctx, request: &str) -> Result<Taken, PluginError> {
    let mut wanted = Wanted::Token(None);
    for _ in 0..ATTEMPTS {
        let (seen, standing) = follow(ctx, request, &wanted, Company::Alone).await?;
        if standing == Progress::TokenOver {
            ctx.say("the token expired; asking for another")?;
            wanted = Wanted::Token(Some(ask_for_another(ctx, request).await?));
            continue;
        }
        if let Some(found) = read(ctx, &seen).await? {
            return taken(found, &seen);
        }
        // It expired between the two looks: the next one sees it.
    }
    Err(PluginError::new(format!("the token of `{request}` expired each time before it could be read"))
        .next("ask for a longer lifetime with --token-ttl"))
}

async fn ask_for_another(ctx: &Ctx, request: &str) -> Result<String, PluginError> {
    let value = ctx.now().to_string();
    let patch = Patch::Merge(json!({"metadata": {"annotations": {names::MINT: value}}}));
    let object = || format!("DownloadRequest {}/{request}", ctx.namespace);
    ctx.writing::<DownloadRequest>()
        .patch(request, &PatchParams::default(), &patch)
        .await
        .during("annotate", object)?;
    Ok(value)
}

/// The Secret; `None` where it is gone already.
async fn read(ctx: &Ctx, request: &DownloadRequest) -> Result<Option<SecretObject>, PluginError> {
    let token = request.token();
    let Some(name) = token.and_then(|token| token.secret_name.as_deref()) else { return Ok(None) };
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        match secrets::read(ctx.clients.reads(), &ctx.namespace, name, &token_secret::KEYS).await {
            Err(error) if error.failure() == Failure::Forbidden => {
                only_for_the_requester(ctx, request).await?;
                if tokio::time::Instant::now() >= end {
                    return Err(error.into());
                }
                tokio::time::sleep(PAUSE).await;
            }
            read => return Ok(read?),
        }
    }
}

/// No role would help anyone else.
async fn only_for_the_requester(ctx: &Ctx, request: &DownloadRequest) -> Result<(), PluginError> {
    let me = access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?;
    let (requester, certificate) = (request.requester(), &request.spec.certificate_ref.name);
    if me.username == requester {
        return Ok(());
    }
    let name = request.key().name;
    Err(PluginError::new(format!("only {requester}, who asked, gets the token of `{name}`")).next(format!(
        "create your own request: kubectl certcourier download {certificate} --format {} {}",
        request.spec.format,
        ctx.flags()
    )))
}

fn taken(found: SecretObject, request: &DownloadRequest) -> Result<Taken, PluginError> {
    let name = request.metadata.name.clone().unwrap_or_default();
    let held = token_secret::of(found, request).map_err(|wrong| match wrong {
        NoToken::Empty => PluginError::new(format!("the token Secret of `{name}` holds no token")),
        NoToken::Another => PluginError::new(format!(
            "the token Secret of `{name}` holds another token than the one that certcourier issued; nothing was sent"
        ))
        .next(format!(
            "revoke it: kubectl certcourier revoke {name} --reason …; then tell a cluster administrator: something changes \
             Secrets on their way"
        )),
    })?;
    let secret = Published { url: held.base(), ca: held.ca.clone(), service: None };
    Ok(Taken {
        request: name,
        token: held.token,
        url: held.url,
        expires_at: request.token().and_then(|token| token.expires_at.clone()),
        passphrase: held.passphrase,
        known: Known { secret: Some(secret), ..Known::default() },
    })
}

/// A claim needs a bearer token.
pub fn no_bearer(ctx: &Ctx) -> PluginError {
    let why = if ctx.impersonating {
        "with --as, your bearer token is not that of the user you act as"
    } else {
        "your kubeconfig holds no bearer token, only a client certificate"
    };
    PluginError::new(format!("a token of delivery Claim is claimed over HTTP with a bearer token, and {why}"))
        .next("ask with --delivery secret")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::hash_of;

    #[test]
    fn the_two_answers_to_asking_are_told_apart_and_show_no_secret() {
        let text = r#"{"token":"ccd_canary","expires_at":"2026-11-22T08:54:37Z","url":"https://x/ccd_canary","request":"r","passphrase":"canary"}"#;
        let MintAnswer::Token(answer) = serde_json::from_str(text).unwrap() else { panic!() };
        let taken = answered(*answer, |path| format!("https://certs.example.com{path}"));
        assert_eq!(taken.token.expose().as_str(), "ccd_canary");
        assert!(!format!("{taken:?}").contains("canary"));
        let waits =
            r#"{"request":"r","status":"awaiting_approval","approval":{"kind":"download_key","required":2,"given":0}}"#;
        assert!(matches!(serde_json::from_str(waits).unwrap(), MintAnswer::Waits(waits) if waits.request == "r"));
    }

    #[test]
    fn a_secret_says_where_the_server_is() {
        let secret = |values: &[(&str, &[u8])]| SecretObject::of("Opaque", values);
        let mut request = DownloadRequest::new(
            "r",
            serde_json::from_str(r#"{"certificateRef":{"name":"api"},"format":"cert"}"#).unwrap(),
        );
        let token = crate::api::Token { hash: Some(hash_of("ccd_x")), generation: 1, ..Default::default() };
        request.status = Some(crate::api::DownloadRequestStatus { token: Some(token), ..Default::default() });
        let found = secret(&[
            ("token", b"ccd_x"),
            ("url", b"https://certs.example.com/p/api/v1/downloads/ccd_x"),
            ("ca.crt", b"PEM"),
        ]);
        let published = taken(found, &request).unwrap().known.secret.unwrap();
        assert_eq!(published.url.as_deref(), Some("https://certs.example.com/p"));
        assert_eq!(published.ca.as_deref(), Some("PEM"));
        let published = taken(secret(&[("token", b"ccd_x")]), &request).unwrap().known.secret.unwrap();
        assert_eq!(published, Published::default());
        assert!(taken(secret(&[]), &request).unwrap_err().report().contains("holds no token"));
        let other = taken(secret(&[("token", b"ccd_y"), ("url", b"https://evil/api/v1/downloads/ccd_y")]), &request);
        assert!(other.unwrap_err().report().contains("holds another token"));
        request.status = None;
        assert!(taken(secret(&[("token", b"ccd_x")]), &request).is_err(), "no hash is no match");
    }
}
