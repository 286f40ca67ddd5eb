//! Issues a token into the requester's Secret.
//!
//! The order survives a crash at every point: first every older right to read a Secret of this name goes, then comes
//! the Secret, which only the controller can read, then the right to read it, then the status that makes the token
//! live. What an earlier attempt left is removed and never used: that it looks like ours does not say who made it, or
//! who has read it meanwhile.

use kube::ResourceExt as _;
use zeroize::Zeroizing;

use super::{
    grant::{self, Altered, Granted, NamedSecret},
    sweep::{self, Earlier},
};
use crate::controller::{
    context::Context,
    grants::{
        remove,
        shape::{self, TOKEN_KEY},
    },
    public_endpoint::External,
    watch::reconcile::PassError,
};
use crate::{
    api::{DownloadRequest, names, words::StallReason},
    cluster::{
        error::Failure,
        secrets::{self, NewSecret},
    },
    lifecycle,
    randomness::OperatingSystem,
    redact::Redacted,
    token::{self, Prepared},
};

/// How often someone may put something else in place of the Secret while it is made.
const ATTEMPTS: usize = 4;

/// How a mint ended.
pub(crate) enum MintOutcome {
    /// Secret and right to read it are there; the token lives once the status says so.
    Minted(lifecycle::Minted),
    /// Something of this name is someone else's.
    Taken {
        /// Why the request is stalled.
        why: StallReason,
        /// What it is, and what to do.
        message: String,
    },
}

/// Makes the Secret of `planned`, and lets the requester read it.
pub(crate) async fn mint(
    context: &Context,
    request: &DownloadRequest,
    planned: &lifecycle::TokenPlan,
) -> Result<MintOutcome, PassError> {
    let (namespace, name) = (request.namespace().unwrap_or_default(), names::token_secret(&request.name_any()));
    let earlier = sweep::before_mint(context, request).await?;
    let had_reader = match earlier {
        Earlier::None => false,
        Earlier::Own => true,
        Earlier::Others => return Err(PassError::Lingering),
        Earlier::Foreign { role } => {
            let message = format!(
                "Role `{role}` lets others read Secret `{name}` and is not certcourier's; delete it, or create the request \
                 under another name"
            );
            return Ok(MintOutcome::Taken { why: StallReason::TokenReadableByOthers, message });
        }
    };
    // Whether the requester may read a Secret of this name does not depend on whether there is one. Who needed a Role for
    // the last token needs one again: the API server may still know that Role, which was removed a moment ago.
    let had_reader = had_reader || reader_of(request).is_some();
    let (placed, may_read) = tokio::join!(place(context, request, planned, &namespace, &name), async {
        if had_reader { Ok(false) } else { grant::may_read(context, request, &name).await }
    });
    let (prepared, uid) = match placed? {
        Placed::Made(prepared, uid) => (prepared, uid),
        Placed::Foreign => {
            let message = format!(
                "Secret `{name}` is not certcourier's; rename or delete it, or create the request under another name"
            );
            return Ok(MintOutcome::Taken { why: StallReason::SecretNameTaken, message });
        }
        Placed::Altered => {
            let altered = Altered { kind: "Secret".to_owned(), name };
            return Ok(MintOutcome::Taken {
                why: StallReason::TokenReadableByOthers,
                message: changed_on_its_way(&altered),
            });
        }
    };
    if may_read? {
        return Ok(minted(prepared, None));
    }
    let secret = NamedSecret { name, uid };
    let reader = match grant::let_read(context, request, planned.generation, &secret).await? {
        Granted::MayRead(reader) => reader,
        Granted::NotYet(reader) => {
            tracing::warn!(
                request.namespace = namespace,
                request.name = request.name_any(),
                "the requester may still not read Secret `{}` though Role and RoleBinding are there",
                secret.name
            );
            reader
        }
        Granted::Altered(altered) => {
            sweep::all(context, request).await?;
            return Ok(MintOutcome::Taken {
                why: StallReason::TokenReadableByOthers,
                message: changed_on_its_way(&altered),
            });
        }
    };
    Ok(minted(prepared, Some(reader)))
}

fn changed_on_its_way(altered: &Altered) -> String {
    format!(
        "{} `{}`, which lets the requester read the token, was not stored as certcourier sent it, and was removed: a \
         mutating admission policy or webhook changes it during admission; tell a cluster administrator (`certcourier \
         doctor` lists what can)",
        altered.kind, altered.name
    )
}

/// The Role that lets the requester read the token that is in the status.
fn reader_of(request: &DownloadRequest) -> Option<&str> {
    request.status.as_ref()?.token.as_ref()?.reader_name.as_deref()
}

fn minted(prepared: Prepared, reader_name: Option<String>) -> MintOutcome {
    MintOutcome::Minted(lifecycle::Minted { hash: prepared.hash, sealed_passphrase: prepared.sealed, reader_name })
}

/// What became of the Secret.
enum Placed {
    /// It is there under this uid, with this in it.
    Made(Prepared, String),
    /// The name is someone else's.
    Foreign,
    /// Something changed what is in it during admission, such as where the link leads; it is gone again.
    Altered,
}

async fn place(
    context: &Context,
    request: &DownloadRequest,
    planned: &lifecycle::TokenPlan,
    namespace: &str,
    name: &str,
) -> Result<Placed, PassError> {
    let (reads, writes) = (context.clients.reads(), context.clients.writes());
    let external = context.external.now(&context.clients).await?;
    for _ in 0..ATTEMPTS {
        // Mostly nothing is in the way, so that is checked only when something is.
        let prepared = token::prepare(request, planned.generation, None, &mut OperatingSystem)?;
        let secret = NewSecret {
            name: name.to_owned(),
            labels: shape::labels(planned.generation),
            owner: shape::owner(request),
            values: values(&prepared, request, &external),
        };
        match secrets::create(writes, namespace, &secret).await {
            Ok(created) if created.as_sent => {
                return Ok(Placed::Made(prepared, created.metadata.uid.unwrap_or_default()));
            }
            Ok(created) => {
                let uid = created.metadata.uid.unwrap_or_default();
                secrets::delete(writes, namespace, name, &uid).await?;
                return Ok(Placed::Altered);
            }
            Err(error) if error.failure() == Failure::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        let Some(found) = secrets::read(reads, namespace, name, &[TOKEN_KEY]).await? else { continue };
        // Of an earlier attempt, or of a deleted request of this name.
        if shape::of_secret(&found, namespace, &request.name_any()).is_none() {
            return Ok(Placed::Foreign);
        }
        remove::this_secret(&context.clients, namespace, &found).await?;
    }
    Err(PassError::Restless)
}

/// The keys of the Secret.
fn values(
    prepared: &Prepared,
    request: &DownloadRequest,
    external: &External,
) -> Vec<(&'static str, Redacted<Zeroizing<String>>)> {
    let hidden = |text: String| Redacted::new(Zeroizing::new(text));
    let mut values = vec![(TOKEN_KEY, hidden(prepared.token.expose().to_owned()))];
    if let Some(base) = &external.url {
        let url = format!("{base}/api/v1/downloads/{}", prepared.token.expose());
        let file = certcourier_bundle::file_name(request.spec.format, &request.spec.certificate_ref.name);
        let ca = if external.ca.is_some() { " --cacert ca.crt" } else { "" };
        // A key is no one else's on the machine, and curl makes files that everyone there may read.
        let umask = if request.spec.format.holds_key() { "umask 077; " } else { "" };
        values.push(("curl", hidden(format!("{umask}curl -fsS{ca} '{url}' -o '{file}'"))));
        values.push(("url", hidden(url)));
    }
    if let Some(ca) = &external.ca {
        values.push(("ca.crt", hidden(ca.clone())));
    }
    if let Some(passphrase) = &prepared.generated {
        values.push(("passphrase", hidden(passphrase.reveal().to_owned())));
    }
    values
}

#[cfg(test)]
mod tests;
