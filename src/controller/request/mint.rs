//! Mints a token into the requester's Secret.
//!
//! The order survives a crash at every point: the Secret first, which only the controller can read, then the right to
//! read it, then the status that makes the token live. What an earlier attempt left is adopted if it is of this very
//! generation and whole, and removed otherwise.

use ::kube::ResourceExt as _;
use certcourier_bundle::generate_passphrase;
use zeroize::Zeroizing;

use super::{
    super::{context::Context, external::External, pass::PassError},
    owned,
    reader::{self, Reader},
};
use crate::{
    api::{DownloadRequest, condition::reason, names},
    kube::{
        error::Failure,
        material::bundle_format,
        secrets::{self, NewSecret, SecretBytes, SecretObject},
    },
    lifecycle,
    policy::{holds_key, needs_passphrase},
    randomness::OperatingSystem,
    redact::Redacted,
    token::{self, NONCE_BYTES, RANDOM_BYTES, Token},
};

/// How often somebody may put something else in place of the Secret while it is made.
const ATTEMPTS: usize = 4;

/// How a mint ended.
pub(super) enum Mint {
    /// Secret and right to read it are there; the token lives once the status says so.
    Minted(lifecycle::Minted),
    /// Something of this name is somebody else's.
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

/// Makes the Secret of `planned`, or adopts it, and lets the requester read it.
pub(super) async fn mint(
    context: &Context,
    request: &DownloadRequest,
    planned: &lifecycle::Mint,
) -> Result<Mint, PassError> {
    let (namespace, name) = (request.namespace().unwrap_or_default(), names::token_secret(&request.name_any()));
    // Whether the requester may read a Secret of this name does not depend on whether there is one.
    let (placed, may_read) =
        tokio::join!(place(context, request, planned, &namespace, &name), reader::may_read(context, request, &name));
    let Some(contents) = placed? else {
        let message = format!(
            "Secret `{name}` is not certcourier's; rename or delete it, or create the request under another name"
        );
        return Ok(Mint::Taken { why: reason::SECRET_NAME_TAKEN, message });
    };
    let reader =
        if may_read? { Reader::MayRead } else { reader::let_read(context, request, planned.generation, &name).await? };
    match reader {
        Reader::MayRead => {}
        Reader::NotYet => tracing::warn!(
            request.namespace = namespace,
            request.name = request.name_any(),
            "the requester may still not read Secret `{name}` though Role and RoleBinding are there"
        ),
        Reader::Taken { kind } => {
            owned::sweep(context, request, None).await?;
            let message = format!(
                "{kind} `{name}` is not certcourier's; rename or delete it, or create the request under another name"
            );
            return Ok(Mint::Taken { why: reason::TOKEN_READER_NAME_TAKEN, message });
        }
    }
    Ok(Mint::Minted(minted(&contents, request, planned)?))
}

fn minted(
    contents: &Contents,
    request: &DownloadRequest,
    planned: &lifecycle::Mint,
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
    Ok(lifecycle::Minted { hash: contents.token.hash(), sealed_passphrase })
}

/// The Secret of this generation with its content. `None`: the name is somebody else's.
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
        // Mostly nothing is in the way, so that is looked at only when something is.
        let contents = contents(request, namespace)?;
        let secret = NewSecret {
            name: name.to_owned(),
            labels: owned::labels(planned.generation),
            owner: owned::owner(request),
            values: values(&contents, request, &external),
        };
        match secrets::create(writes, namespace, &secret).await {
            Ok(_) => return Ok(Some(contents)),
            Err(error) if error.failure() == Failure::Conflict => {}
            Err(error) => return Err(error.into()),
        }
        let Some(found) = secrets::read(reads, namespace, name, &["token", "passphrase", "url"]).await? else {
            continue;
        };
        if !owned::is_ours(&found.metadata, request) {
            return Ok(None);
        }
        if owned::generation(&found.metadata) == Some(planned.generation)
            && let Some(contents) = adopt(&found, request, &external)
        {
            return Ok(Some(contents));
        }
        match secrets::delete(writes, namespace, name, &found.metadata.uid.unwrap_or_default()).await {
            Err(error) if error.failure() != Failure::Conflict => return Err(error.into()),
            _ => {}
        }
    }
    Err(PassError::Restless)
}

/// A new token, and a passphrase if the file needs one and nobody gives one.
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

/// What an earlier attempt put into the Secret, if it is what would be put there now.
fn adopt(found: &SecretObject, request: &DownloadRequest, external: &External) -> Option<Contents> {
    let text = |key: &str| found.value(key).and_then(text);
    let token = Token::parse(text("token")?.expose()).ok()?;
    let ours = token.request() == request.name_any() && Some(token.namespace()) == request.namespace().as_deref();
    let passphrase = text("passphrase");
    let whole =
        passphrase.is_some() == generates_passphrase(request) && text("url").is_some() == external.url.is_some();
    (ours && whole).then_some(Contents { token, passphrase })
}

fn text(bytes: &SecretBytes) -> Option<Redacted<Zeroizing<String>>> {
    let text = std::str::from_utf8(bytes.expose()).ok()?;
    Some(Redacted::new(Zeroizing::new(text.to_owned())))
}

/// The keys of the Secret.
fn values(
    contents: &Contents,
    request: &DownloadRequest,
    external: &External,
) -> Vec<(&'static str, Redacted<Zeroizing<String>>)> {
    let hidden = |text: String| Redacted::new(Zeroizing::new(text));
    let mut values = vec![("token", hidden(contents.token.expose().to_owned()))];
    if let Some(base) = &external.url {
        let url = format!("{base}/api/v1/downloads/{}", contents.token.expose());
        let file =
            certcourier_bundle::file_name(bundle_format(request.spec.format), &request.spec.certificate_ref.name);
        let ca = if external.ca.is_some() { " --cacert ca.crt" } else { "" };
        // A key is nobody else's on the machine, and curl makes files that everybody there may read.
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
