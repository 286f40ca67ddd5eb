//! Makes the file in memory, with the passphrase that belongs to the token.

use certcourier_bundle::{Artifact, Passphrase, PemOrder, Pkcs12Options, Pkcs12Profile, RenderOptions};
use zeroize::Zeroizing;

use super::authorize::Decided;
use crate::server::{
    http::{
        error::{ErrorCode, ServerError},
        refusal::of_api_error,
    },
    renders::Turn,
    state::ServerState,
};
use crate::{
    api::{DownloadRequest, Format, PassphraseReference},
    cluster::secrets,
    token::{self, Token},
};

/// Makes the file. Whatever fails here, the token stays valid.
///
/// # Errors
/// [`ServerError`] that names the environment and the cause.
pub async fn make(
    state: &ServerState,
    turn: Turn,
    token: &Token,
    request: &DownloadRequest,
    decided: &mut Decided,
) -> Result<Artifact, ServerError> {
    let passphrase = if request.spec.format.needs_passphrase() {
        Some(passphrase(state, token, request, decided).await?)
    } else {
        None
    };
    let options = RenderOptions {
        pkcs12: pkcs12_options(request),
        pem_order: pem_order(request),
        passphrase,
        ..RenderOptions::new(&request.spec.certificate_ref.name)
    };
    let (format, environments) = (request.spec.format, decided.environments.clone());
    let materials = std::mem::take(&mut decided.materials);
    turn.render(format, environments, materials, options).await
}

fn pkcs12_options(request: &DownloadRequest) -> Pkcs12Options {
    let asked = request.spec.pkcs12.clone().unwrap_or_default();
    let profile = asked.profile.unwrap_or_default();
    Pkcs12Options { profile, friendly_name: asked.friendly_name, ..Pkcs12Options::default() }
}

fn pem_order(request: &DownloadRequest) -> PemOrder {
    request.spec.pem.as_ref().and_then(|pem| pem.order).unwrap_or_default()
}

/// The passphrase: from the Secret that the request names, else as it was sealed when the token was issued.
async fn passphrase(
    state: &ServerState,
    token: &Token,
    request: &DownloadRequest,
    decided: &Decided,
) -> Result<Passphrase, ServerError> {
    let Some(reference) = &request.spec.passphrase_secret_ref else { return sealed_passphrase(token, request) };
    let passphrase = referenced_passphrase(state, token.namespace(), reference).await?;
    let least = &decided.grant.effective.passphrase_min_length;
    if i32::try_from(passphrase.length()).is_ok_and(|length| length < least.value) {
        let words = format!(
            "the passphrase in Secret `{}` is shorter than the {} characters that {} asks for; put a longer one there",
            reference.name,
            least.value,
            least.said_by()
        );
        return Err(ServerError::new(ErrorCode::PassphraseTooShort, words));
    }
    Ok(passphrase)
}

/// Read now, after the review that said that the requester may read it. Errors say nothing of its content.
async fn referenced_passphrase(
    state: &ServerState,
    namespace: &str,
    reference: &PassphraseReference,
) -> Result<Passphrase, ServerError> {
    let PassphraseReference { name, key } = reference;
    let refuse = |words| ServerError::new(ErrorCode::PassphraseRequired, words);
    let secret = secrets::read(state.clients.reads(), namespace, name, &[key])
        .await
        .map_err(of_api_error)?
        .ok_or_else(|| refuse(format!("Secret `{name}`, which holds the passphrase, does not exist; create it")))?;
    let content = secret
        .value(key)
        .ok_or_else(|| refuse(format!("Secret `{name}` has no key `{key}` with the passphrase; add it")))?;
    Passphrase::from_file(content.expose()).map_err(|error| refuse(format!("Secret `{name}`, key `{key}`: {error}")))
}

fn sealed_passphrase(token: &Token, request: &DownloadRequest) -> Result<Passphrase, ServerError> {
    let refuse = |words: String| ServerError::new(ErrorCode::PassphraseRequired, words);
    let minted = request.token();
    let Some((minted, sealed)) = minted.and_then(|minted| Some((minted, minted.sealed_passphrase.as_deref()?))) else {
        return Err(refuse("this token was issued without a passphrase; ask for another token".to_owned()));
    };
    let uid = request.uid_text();
    let text: Zeroizing<String> =
        token::unseal(token, sealed, uid, minted.generation).map_err(|error| refuse(error.to_string()))?;
    Passphrase::new(text).map_err(|error| refuse(error.to_string()))
}

/// The PKCS#12 profile of the file, for its receipt.
pub fn profile(request: &DownloadRequest) -> Option<Pkcs12Profile> {
    let asked = request.spec.pkcs12.as_ref().and_then(|options| options.profile).unwrap_or_default();
    matches!(request.spec.format, Format::Pkcs12 | Format::Zip).then_some(asked)
}
