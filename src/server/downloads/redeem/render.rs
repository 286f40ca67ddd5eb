//! Makes the file in memory: the passphrase is opened, and the bytes are rendered off the async threads.
//!
//! The queue is bounded: when more files are asked for than can be made, the rest is turned away with the token unused,
//! instead of waiting until the facts are too old.

use std::sync::Arc;

use certcourier_bundle::{
    Artifact, EnvironmentMaterial, Material, Passphrase, PemOrder, Pkcs12Options, Pkcs12Profile, RenderError,
    RenderOptions, render,
};
use kube::ResourceExt as _;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    authorize::Decided,
    refusal::{SOON, of_api_error},
};
use crate::server::{
    args::DeliveryLimits,
    http::error::{ErrorCode, ServerError},
    state::ServerState,
};
use crate::{
    api::{self, Certificate, DownloadRequest, Format, PassphraseReference},
    cluster::{material::bundle_format, secrets},
    policy::needs_passphrase,
    randomness::OperatingSystem,
    token::{self, Token},
};

/// How many files are made at once, and how many may wait for that.
#[derive(Debug)]
pub struct Renders {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Renders {
    /// As the flags say; without a number, one for each processor.
    #[must_use]
    pub fn new(limits: &DeliveryLimits) -> Self {
        let processors = || std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let turns = limits.max_renders.unwrap_or_else(processors);
        let places = turns.saturating_add(limits.max_waiting_renders).min(Semaphore::MAX_PERMITS);
        Self { turns: Arc::new(Semaphore::new(turns)), places: Arc::new(Semaphore::new(places)) }
    }

    /// Runs a job on a thread that may block, in its turn.
    async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, ServerError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| busy())?;
        // The permits go with the job: a client that leaves does not make room for a job that is still running.
        let running = tokio::task::spawn_blocking(move || {
            let made = job();
            drop((place, turn));
            made
        });
        running.await.map_err(|_| ServerError::internal())
    }
}

fn busy() -> ServerError {
    let words = "too many files are being made at the moment; nothing was delivered and the token is still valid: \
                 try again";
    ServerError::new(ErrorCode::Unavailable, words).retry_after(SOON)
}

/// Makes the file. Whatever fails here, the token stays valid.
///
/// # Errors
/// [`ServerError`] that names the environment and the cause.
pub async fn make(
    state: &ServerState,
    token: &Token,
    request: &DownloadRequest,
    decided: &mut Decided,
) -> Result<Artifact, ServerError> {
    let passphrase = if needs_passphrase(request.spec.format) {
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
    let (format, environments) = (bundle_format(request.spec.format), decided.environments.clone());
    let materials = std::mem::take(&mut decided.materials);
    let made = state.renders.run(move || render_parts(format, &environments, &materials, &options));
    let environment = decided.environments.join(", ");
    made.await?.map_err(|error| unusable(&environment, error))
}

fn render_parts(
    format: certcourier_bundle::Format,
    environments: &[String],
    materials: &[Material],
    options: &RenderOptions,
) -> Result<Artifact, RenderError> {
    let parts: Vec<_> = environments
        .iter()
        .zip(materials)
        .map(|(environment, material)| EnvironmentMaterial { environment, material })
        .collect();
    render(format, &parts, options, &mut OperatingSystem)
}

/// The environments of a Certificate, and their material.
pub struct Leaves {
    /// The Certificate.
    pub certificate: Certificate,
    /// Names of its environments.
    pub environments: Vec<String>,
    /// Their material, in that order.
    pub materials: Arc<[Material]>,
}

/// Makes the ZIP of all leaves, for which no token was used.
///
/// # Errors
/// [`ServerError`] that names the environments and the cause.
pub async fn leaves_of(state: &ServerState, leaves: &Leaves) -> Result<Artifact, ServerError> {
    let options = RenderOptions::new(leaves.certificate.name_any());
    let (environments, materials) = (leaves.environments.clone(), Arc::clone(&leaves.materials));
    let format = bundle_format(Format::DerZip);
    let made = state.renders.run(move || render_parts(format, &environments, &materials, &options));
    made.await?.map_err(|error| unusable(&leaves.environments.join(", "), error))
}

fn unusable(environment: &str, error: RenderError) -> ServerError {
    match error {
        RenderError::Manifest(_) | RenderError::Randomness(_) => ServerError::internal().caused_by(error),
        RenderError::PassphraseMissing { .. } => ServerError::new(ErrorCode::PassphraseRequired, error.to_string()),
        error => ServerError::new(ErrorCode::MaterialUnusable, format!("environment `{environment}`: {error}")),
    }
}

fn pkcs12_options(request: &DownloadRequest) -> Pkcs12Options {
    let asked = request.spec.pkcs12.clone().unwrap_or_default();
    let profile = match asked.profile.unwrap_or_default() {
        api::Pkcs12Profile::Modern => Pkcs12Profile::Modern,
        api::Pkcs12Profile::Legacy => Pkcs12Profile::Legacy,
    };
    Pkcs12Options { profile, friendly_name: asked.friendly_name, ..Pkcs12Options::default() }
}

fn pem_order(request: &DownloadRequest) -> PemOrder {
    match request.spec.pem.as_ref().and_then(|pem| pem.order).unwrap_or_default() {
        api::PemOrder::LeafChainKey => PemOrder::LeafChainKey,
        api::PemOrder::KeyLeafChain => PemOrder::KeyLeafChain,
    }
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
    let minted = request.status.as_ref().and_then(|status| status.token.as_ref());
    let Some((minted, sealed)) = minted.and_then(|minted| Some((minted, minted.sealed_passphrase.as_deref()?))) else {
        return Err(refuse("this token was issued without a passphrase; ask for another token".to_owned()));
    };
    let uid = request.metadata.uid.as_deref().unwrap_or_default();
    let text: Zeroizing<String> =
        token::unseal(token, sealed, uid, minted.generation).map_err(|error| refuse(error.to_string()))?;
    Passphrase::new(text).map_err(|error| refuse(error.to_string()))
}

/// The PKCS#12 profile of the file, for its receipt.
pub fn profile(request: &DownloadRequest) -> Option<api::Pkcs12Profile> {
    let asked = request.spec.pkcs12.as_ref().and_then(|options| options.profile).unwrap_or_default();
    matches!(request.spec.format, Format::Pkcs12 | Format::Zip).then_some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_beyond_the_queue_are_turned_away_and_the_waiting_ones_are_made() {
        let limits = DeliveryLimits::for_tests(&["--max-renders", "1", "--max-waiting-renders", "1"]);
        let renders = Arc::new(Renders::new(&limits));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (tell, told) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let renders = Arc::clone(&renders);
            async move {
                renders
                    .run(move || {
                        let _ = tell.send(());
                        held.recv().ok();
                        1
                    })
                    .await
            }
        });
        told.await.unwrap();
        let second = tokio::spawn({
            let renders = Arc::clone(&renders);
            async move { renders.run(|| 2).await }
        });
        while renders.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(renders.run(|| 3).await.unwrap_err().code(), ErrorCode::Unavailable);
        release.send(()).unwrap();
        assert_eq!((first.await.unwrap().unwrap(), second.await.unwrap().unwrap()), (1, 2));
        assert_eq!(renders.run(|| 4).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_render_that_panics_gives_its_place_back() {
        let renders = Renders::new(&DeliveryLimits::for_tests(&["--max-renders", "1", "--max-waiting-renders", "0"]));
        for _ in 0..3 {
            let refusal = renders.run(|| -> u8 { panic!("in a test") }).await.unwrap_err();
            assert_eq!(refusal.code(), ErrorCode::InternalError);
        }
        assert_eq!(renders.run(|| 1).await.unwrap(), 1);
    }
}
