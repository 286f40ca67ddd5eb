//! One environment's certificate material, out of its Secret: read by name, checked, never kept.
//!
//! Only Secrets of type `kubernetes.io/tls` are read, or `Opaque` where the Certificate says under which keys the parts
//! are; every other type stays closed, whatever a Certificate names. Key bytes go from here into `certcourier_bundle`
//! and nowhere else.

use certcourier_bundle::{
    EnvironmentMaterial, KeyMatch, Limits, Material, MaterialError, Randomness, RandomnessError, RawMaterial,
    RenderError, RenderOptions, render,
};
use kube::Client;

use super::{
    error::ApiError,
    secrets::{self, SecretBytes, SecretObject},
};
use crate::api::{Environment, Format, SecretKeys, words::MaterialProblem};

/// Which parts are taken out of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Certificate and CA: for files without a key. The key's bytes are dropped unseen.
    Public,
    /// The private key too; it must be there.
    WithKey,
    /// The private key too, if there is one: for the status of a Certificate.
    Everything,
}

impl Parts {
    /// What a file of this format is made of.
    #[must_use]
    pub const fn of(format: Format) -> Self {
        if format.holds_key() { Self::WithKey } else { Self::Public }
    }
}

/// Why there is no material of an environment, or no file can be made of it. The text names the next step and nothing
/// of the content.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no such Secret.
    #[error("environment `{environment}`: Secret `{secret}` does not exist; create it, or correct its secretRef")]
    SecretMissing {
        /// The environment.
        environment: String,
        /// Its Secret.
        secret: String,
    },
    /// The Secret is of a type that is never read.
    #[error(
        "environment `{environment}`: Secret `{secret}` is of type `{found}`; use type kubernetes.io/tls, or Opaque \
         with the names of its keys in secretRef.keys"
    )]
    WrongType {
        /// The environment.
        environment: String,
        /// Its Secret.
        secret: String,
        /// The Secret's type.
        found: String,
    },
    /// A part is missing in the Secret.
    #[error(
        "environment `{environment}`: Secret `{secret}` has no key `{key}`; add it, or name another one in secretRef.keys"
    )]
    KeyMissing {
        /// The environment.
        environment: String,
        /// Its Secret.
        secret: String,
        /// The key of its data.
        key: String,
    },
    /// A part is there, and there is nothing in it: issuers make it so while they wait.
    #[error(
        "environment `{environment}`: key `{key}` of Secret `{secret}` is empty; store the PEM there, or wait for the issuer that fills it"
    )]
    KeyEmpty {
        /// The environment.
        environment: String,
        /// Its Secret.
        secret: String,
        /// The key of its data.
        key: String,
    },
    /// A part cannot be read as what it should be.
    #[error("environment `{environment}`: {cause}")]
    Unusable {
        /// The environment.
        environment: String,
        /// What is wrong with it; part of the text.
        cause: MaterialError,
    },
    /// The material is sound, but this file cannot be made of it.
    #[error("environment `{environment}`: {cause}")]
    Unfit {
        /// The environment.
        environment: String,
        /// What the file would need; part of the text.
        cause: RenderError,
    },
}

impl Problem {
    /// The same in one word, for a status.
    #[must_use]
    pub fn reason(&self) -> MaterialProblem {
        match self {
            Self::SecretMissing { .. } => MaterialProblem::SecretMissing,
            Self::WrongType { .. } => MaterialProblem::WrongType,
            Self::KeyMissing { .. } | Self::KeyEmpty { .. } => MaterialProblem::KeyMissing,
            Self::Unusable { cause, .. } => MaterialProblem::Content(cause.reason()),
            Self::Unfit { cause, .. } => MaterialProblem::Content(cause.reason()),
        }
    }
}

/// Why no material was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there, or not usable.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The API server refuses or does not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Reads and checks the material of one environment.
///
/// # Errors
/// [`ReadError::Problem`] when there is none, or it cannot be read as what it should be.
pub async fn read(
    client: &Client,
    namespace: &str,
    environment: &Environment,
    parts: Parts,
) -> Result<Material, ReadError> {
    let keys = environment.secret_ref.keys.clone().unwrap_or_default();
    let mut wanted = vec![keys.certificate(), keys.ca()];
    if parts != Parts::Public {
        wanted.push(keys.private_key());
    }
    let secret = secrets::read(client, namespace, &environment.secret_ref.name, &wanted).await?;
    let environment = environment.clone();
    // A Secret may hold a megabyte of certificates: their signatures are not checked on the async threads.
    let parsing = tokio::task::spawn_blocking(move || parse(&environment, &keys, secret, parts));
    match parsing.await {
        Ok(parsed) => Ok(parsed?),
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}

fn parse(
    environment: &Environment,
    keys: &SecretKeys,
    secret: Option<SecretObject>,
    parts: Parts,
) -> Result<Material, Problem> {
    let (environment_name, secret_name) = (environment.name.clone(), environment.secret_ref.name.clone());
    let Some(secret) = secret else {
        return Err(Problem::SecretMissing { environment: environment_name, secret: secret_name });
    };
    let readable = secret.type_name == "kubernetes.io/tls"
        || (secret.type_name == "Opaque" && environment.secret_ref.keys.is_some());
    if !readable {
        let found = secret.type_name;
        return Err(Problem::WrongType { environment: environment_name, secret: secret_name, found });
    }
    // A Secret of type kubernetes.io/tls must have both keys, so issuers leave one empty while they wait.
    let part = |key: &str| secret.value(key).map(bytes).filter(|bytes| !bytes.trim_ascii().is_empty());
    let required = |key: &str| {
        part(key).ok_or_else(|| {
            let (environment, secret_name, key) = (environment_name.clone(), secret_name.clone(), key.to_owned());
            match secret.value(&key) {
                Some(_) => Problem::KeyEmpty { environment, secret: secret_name, key },
                None => Problem::KeyMissing { environment, secret: secret_name, key },
            }
        })
    };
    let raw = RawMaterial {
        certificate: required(keys.certificate())?,
        private_key: match parts {
            Parts::Public => None,
            Parts::WithKey => Some(required(keys.private_key())?),
            Parts::Everything => part(keys.private_key()),
        },
        ca: part(keys.ca()),
    };
    Material::parse(&raw, &Limits::default())
        .map_err(|cause| Problem::Unusable { environment: environment_name.clone(), cause })
}

fn bytes(value: &SecretBytes) -> &[u8] {
    value.expose()
}

/// Why no file of this format can be made of this material, if none can: the same words as rendering it would give.
#[must_use]
pub fn unfit(environment: &str, material: &Material, format: Format) -> Option<Problem> {
    let cause = if format.holds_key() { unfit_for_key(material, format) } else { unfit_for_public(material, format) }?;
    Some(Problem::Unfit { environment: environment.to_owned(), cause })
}

fn unfit_for_key(material: &Material, format: Format) -> Option<RenderError> {
    match material.key_match() {
        KeyMatch::NoKey => return Some(RenderError::NoPrivateKey { format }),
        KeyMatch::Mismatch => return Some(RenderError::KeyMismatch { subject: material.leaf().subject.clone() }),
        KeyMatch::Unverifiable { why } => return Some(RenderError::KeyUnverifiable { why: why.clone() }),
        KeyMatch::Matches => {}
    }
    let broken = (format != Format::Key).then(|| material.chain_error()).flatten();
    broken.map(|error| RenderError::BrokenChain(error.clone()))
}

/// Files without a key are small and need no randomness: rendering is the check.
fn unfit_for_public(material: &Material, format: Format) -> Option<RenderError> {
    let one = EnvironmentMaterial { environment: "environment", material };
    render(format, &[one], &RenderOptions::new("certificate"), &mut NoRandomness).err()
}

/// For files that need none.
struct NoRandomness;

impl Randomness for NoRandomness {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), RandomnessError> {
        Err(RandomnessError::new("a file without a key needs no randomness"))
    }
}

#[cfg(test)]
mod tests;
