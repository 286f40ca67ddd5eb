//! The certificate that the servers make for themselves: one CA and one serving certificate in one Secret of the
//! operator's namespace, the same for every replica, and the CA's public part in a ConfigMap.
//!
//! Both objects are made by the installation and filled here, so no one needs the right to create Secrets. Every
//! replica does the same: it reads the Secret, and where something is missing or old it writes a new pair over the very
//! version that it read. Who comes second is told so by the API server (409), and reads again.

mod pair;

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use tracing::info;
use zeroize::Zeroizing;

pub use pair::{Name, NameError};
use pair::{Pair, PairState, Wanted};

use crate::{
    api::{
        self,
        names::{CA_KEY, SERVING, SERVING_CA},
    },
    cluster::{
        client::Clients,
        error::{ApiError, During as _, Failure},
        secrets::{self, SecretObject},
    },
    redact::Redacted,
};

/// Keys of the Secret.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA_PRIVATE_KEY: &str = "ca.key";

/// How often another replica may have been faster.
const ATTEMPTS: usize = 5;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// The API server refused or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The installation has not made the object.
    #[error(
        "{kind} {namespace}/{name} is not there: apply again what `certcourier manifests --tls-self-signed` prints, or run \
         `helm upgrade`"
    )]
    Missing {
        /// `Secret` or `ConfigMap`.
        kind: &'static str,
        /// The operator's namespace.
        namespace: String,
        /// Its name.
        name: &'static str,
    },
    /// rcgen could not make keys or certificates.
    #[error("make a certificate")]
    Make(#[from] rcgen::Error),
    /// Others wrote it each time.
    #[error("other replicas changed Secret {SERVING} each time before it could be written")]
    Restless,
}

/// Where the pair is kept, and what it is to be like.
#[derive(Clone)]
pub struct SelfSigned {
    clients: Clients,
    namespace: String,
    wanted: Wanted,
}

impl std::fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned")
            .field("namespace", &self.namespace)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

/// The serving certificate and its key, both PEM.
pub struct Served {
    /// Leaf first.
    pub certificate: String,
    /// Its key.
    pub key: Redacted<Zeroizing<String>>,
}

impl SelfSigned {
    /// A pair for these names, each certificate good for `lifetime`.
    #[must_use]
    pub fn new(clients: Clients, namespace: Option<&str>, names: &[Name], lifetime: api::Duration) -> Self {
        let namespace = namespace.unwrap_or_else(|| clients.default_namespace()).to_owned();
        let lifetime: Duration = lifetime.get();
        Self { clients, namespace, wanted: Wanted { names: names.to_vec(), lifetime } }
    }

    /// What is to be served now: made, renewed and its CA published where that is needed.
    ///
    /// # Errors
    /// [`SelfSignedError`]; what is served so far stays good.
    pub async fn current(&self) -> Result<Served, SelfSignedError> {
        let pair = self.settled().await?;
        // The CA is out before anything that only it vouches for is served.
        self.publish(&pair.ca).await?;
        Ok(Served { certificate: pair.certificate, key: pair.key })
    }

    async fn settled(&self) -> Result<Pair, SelfSignedError> {
        for _ in 0..ATTEMPTS {
            let found = self.read().await?;
            let stored = stored(&found);
            let now = self.clients.clock().now();
            let verdict = pair::judge(stored.as_ref(), &self.wanted, now);
            let (PairState::NewLeaf(why) | PairState::NewAuthority(why)) = verdict else {
                if let Some(pair) = stored {
                    return Ok(pair);
                }
                continue;
            };
            let made = pair::make(stored, verdict, &self.wanted, now)?;
            if self.write(&found, &made).await? {
                info!(why = why.words(), "a new serving certificate is in Secret {}/{SERVING}", self.namespace);
                return Ok(made);
            }
        }
        Err(SelfSignedError::Restless)
    }

    async fn read(&self) -> Result<SecretObject, SelfSignedError> {
        let keys = [CERTIFICATE, KEY, CA_KEY, CA_PRIVATE_KEY];
        let found = secrets::read(self.clients.reads(), &self.namespace, SERVING, &keys).await?;
        found.ok_or_else(|| self.missing("Secret", SERVING))
    }

    /// Whether it was written; if not, someone else was faster.
    async fn write(&self, found: &SecretObject, pair: &Pair) -> Result<bool, SelfSignedError> {
        let plain = |text: &str| Redacted::new(Zeroizing::new(text.to_owned()));
        let values = vec![
            (CERTIFICATE, plain(&pair.certificate)),
            (KEY, pair.key.clone()),
            (CA_KEY, plain(&pair.ca)),
            (CA_PRIVATE_KEY, pair.ca_key.clone()),
        ];
        match secrets::replace(self.clients.writes(), &self.namespace, found, values).await {
            Ok(()) => Ok(true),
            Err(error) if error.failure() == Failure::Conflict => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn publish(&self, ca: &str) -> Result<(), SelfSignedError> {
        let object = || format!("ConfigMap {}/{SERVING_CA}", self.namespace);
        let (namespace, name) = (self.namespace.as_str(), SERVING_CA);
        let reads: Api<ConfigMap> = Api::namespaced(self.clients.reads().clone(), namespace);
        let found = reads.get_opt(name).await.during("read", object)?;
        let Some(mut map) = found else { return Err(self.missing("ConfigMap", SERVING_CA)) };
        let data = map.data.get_or_insert_default();
        if data.get(CA_KEY).is_some_and(|published| published == ca) {
            return Ok(());
        }
        data.insert(CA_KEY.to_owned(), ca.to_owned());
        map.metadata = ObjectMeta { managed_fields: None, ..map.metadata };
        let writes: Api<ConfigMap> = Api::namespaced(self.clients.writes().clone(), namespace);
        match writes.replace(name, &PostParams::default(), &map).await.during("write", object) {
            Err(error) if error.failure() != Failure::Conflict => Err(error.into()),
            // Another replica has written it, or will be asked about at the next look.
            _ => Ok(()),
        }
    }

    fn missing(&self, kind: &'static str, name: &'static str) -> SelfSignedError {
        SelfSignedError::Missing { kind, namespace: self.namespace.clone(), name }
    }
}

/// The four values, if all are there and are text.
fn stored(found: &SecretObject) -> Option<Pair> {
    let text = |key: &str| std::str::from_utf8(found.value(key)?.expose()).ok().map(str::to_owned);
    let hidden = |key: &str| text(key).map(|text| Redacted::new(Zeroizing::new(text)));
    Some(Pair {
        certificate: text(CERTIFICATE)?,
        key: hidden(KEY)?,
        ca: text(CA_KEY)?,
        ca_key: hidden(CA_PRIVATE_KEY)?,
    })
}
