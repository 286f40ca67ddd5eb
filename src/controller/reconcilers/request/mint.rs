//! Issues a token into the requester's Secret.
//!
//! The order survives a crash at every point: first every older right to read a Secret of this name goes, then comes
//! the Secret, which only the controller can read, then the right to read it, then the status that makes the token
//! live. What an earlier attempt left is removed and never used: that it looks like ours does not say who made it, or
//! who has read it meanwhile.

use certcourier_bundle::generate_passphrase;
use kube::ResourceExt as _;
use zeroize::Zeroizing;

use super::{
    grant::{self, Altered},
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
    api::{DownloadRequest, condition::reason, names},
    cluster::{
        error::Failure,
        material::bundle_format,
        secrets::{self, NewSecret},
    },
    lifecycle,
    policy::{holds_key, needs_passphrase},
    randomness::OperatingSystem,
    redact::Redacted,
    token::{self, NONCE_BYTES, RANDOM_BYTES, Token},
};

/// How often someone may put something else in place of the Secret while it is made.
const ATTEMPTS: usize = 4;

/// How a mint ended.
pub(crate) enum Mint {
    /// Secret and right to read it are there; the token lives once the status says so.
    Minted(lifecycle::Minted),
    /// Something of this name is someone else's.
    Taken {
        /// Reason of condition Stalled.
        why: &'static str,
        /// What it is, and what to do.
        message: String,
    },
}

/// What the requester gets.
struct Contents {
    token: Token,
    passphrase: Option<Redacted<Zeroizing<String>>>,
}

/// Makes the Secret of `planned`, and lets the requester read it.
pub(crate) async fn mint(
    context: &Context,
    request: &DownloadRequest,
    planned: &lifecycle::Mint,
) -> Result<Mint, PassError> {
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
            return Ok(Mint::Taken { why: reason::TOKEN_READABLE_BY_OTHERS, message });
        }
    };
    // Whether the requester may read a Secret of this name does not depend on whether there is one. Who needed a Role for
    // the last token needs one again: the API server may still know that Role, which was removed a moment ago.
    let had_reader = had_reader || reader_of(request).is_some();
    let (placed, may_read) = tokio::join!(place(context, request, planned, &namespace, &name), async {
        if had_reader { Ok(false) } else { grant::may_read(context, request, &name).await }
    });
    let Some(contents) = placed? else {
        let message = format!(
            "Secret `{name}` is not certcourier's; rename or delete it, or create the request under another name"
        );
        return Ok(Mint::Taken { why: reason::SECRET_NAME_TAKEN, message });
    };
    if may_read? {
        return Ok(Mint::Minted(minted(&contents, request, planned, None)?));
    }
    let reader = match grant::let_read(context, request, planned.generation, &name).await? {
        Ok(reader) => reader,
        Err(altered) => {
            sweep::all(context, request).await?;
            return Ok(Mint::Taken { why: reason::TOKEN_READABLE_BY_OTHERS, message: changed_on_its_way(&altered) });
        }
    };
    if !reader.may_read {
        tracing::warn!(
            request.namespace = namespace,
            request.name = request.name_any(),
            "the requester may still not read Secret `{name}` though Role and RoleBinding are there"
        );
    }
    Ok(Mint::Minted(minted(&contents, request, planned, Some(reader.name))?))
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

fn minted(
    contents: &Contents,
    request: &DownloadRequest,
    planned: &lifecycle::Mint,
    reader_name: Option<String>,
) -> Result<lifecycle::Minted, PassError> {
    let uid = request.uid().unwrap_or_default();
    let sealed_passphrase = match &contents.passphrase {
        Some(passphrase) => {
            let mut nonce = [0; NONCE_BYTES];
            getrandom::fill(&mut nonce).map_err(PassError::Randomness)?;
            Some(token::seal(&contents.token, passphrase.expose(), &uid, planned.generation, &nonce)?)
        }
        None => None,
    };
    Ok(lifecycle::Minted { hash: contents.token.hash(), sealed_passphrase, reader_name })
}

/// What is in the new Secret. `None`: the name is someone else's.
async fn place(
    context: &Context,
    request: &DownloadRequest,
    planned: &lifecycle::Mint,
    namespace: &str,
    name: &str,
) -> Result<Option<Contents>, PassError> {
    let (reads, writes) = (context.clients.reads(), context.clients.writes());
    let external = context.external.now(&context.clients).await?;
    for _ in 0..ATTEMPTS {
        // Mostly nothing is in the way, so that is checked only when something is.
        let contents = contents(request, namespace)?;
        let secret = NewSecret {
            name: name.to_owned(),
            labels: shape::labels(planned.generation),
            owner: shape::owner(request),
            values: values(&contents, request, &external),
        };
        match secrets::create(writes, namespace, &secret).await {
            Ok(_) => return Ok(Some(contents)),
            Err(error) if error.failure() == Failure::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        let Some(found) = secrets::read(reads, namespace, name, &[TOKEN_KEY]).await? else { continue };
        // Of an earlier attempt, or of a deleted request of this name.
        if shape::of_secret(&found, namespace, &request.name_any()).is_none() {
            return Ok(None);
        }
        remove::this_secret(&context.clients, namespace, &found).await?;
    }
    Err(PassError::Restless)
}

/// A new token, and a passphrase if the file needs one and no one gives one.
fn contents(request: &DownloadRequest, namespace: &str) -> Result<Contents, PassError> {
    let mut random = Zeroizing::new([0; RANDOM_BYTES]);
    getrandom::fill(random.as_mut_slice()).map_err(PassError::Randomness)?;
    let passphrase = if generates_passphrase(request) {
        let passphrase = generate_passphrase(&mut OperatingSystem)?;
        Some(Redacted::new(Zeroizing::new(passphrase.reveal().to_owned())))
    } else {
        None
    };
    Ok(Contents { token: Token::mint(namespace, &request.name_any(), &random), passphrase })
}

fn generates_passphrase(request: &DownloadRequest) -> bool {
    needs_passphrase(request.spec.format) && request.spec.passphrase_secret_ref.is_none()
}

/// The keys of the Secret.
fn values(
    contents: &Contents,
    request: &DownloadRequest,
    external: &External,
) -> Vec<(&'static str, Redacted<Zeroizing<String>>)> {
    let hidden = |text: String| Redacted::new(Zeroizing::new(text));
    let mut values = vec![(TOKEN_KEY, hidden(contents.token.expose().to_owned()))];
    if let Some(base) = &external.url {
        let url = format!("{base}/api/v1/downloads/{}", contents.token.expose());
        let file =
            certcourier_bundle::file_name(bundle_format(request.spec.format), &request.spec.certificate_ref.name);
        let ca = if external.ca.is_some() { " --cacert ca.crt" } else { "" };
        // A key is no one else's on the machine, and curl makes files that everyone there may read.
        let umask = if holds_key(request.spec.format) { "umask 077; " } else { "" };
        values.push(("curl", hidden(format!("{umask}curl -fsS{ca} '{url}' -o '{file}'"))));
        values.push(("url", hidden(url)));
    }
    if let Some(ca) = &external.ca {
        values.push(("ca.crt", hidden(ca.clone())));
    }
    if let Some(passphrase) = &contents.passphrase {
        values.push(("passphrase", passphrase.clone()));
    }
    values
}

#[cfg(test)]
mod tests;
