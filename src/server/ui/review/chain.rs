//! The certificates that a file is made of, from the leaf on. They are public; the operator reads them for those who may
//! vote on the request, or download the certificate.

use std::sync::Arc;

use certcourier_bundle::{LeafFacts, Material};
use futures::future::join_all;
use jiff::Timestamp;

use crate::{
    api::{Certificate, DownloadRequest, Environment, ValidityTime},
    cluster::material::{self, Parts, ReadError},
    server::{
        state::ServerState,
        ui::{certificate::paired, words::Left},
    },
};

/// The certificates of an environment.
pub struct Chain {
    /// Its name.
    pub environment: String,
    /// From the leaf on, each signed by the next.
    pub links: Vec<Link>,
    /// Why they cannot be read.
    pub problem: Option<String>,
    /// Whether its leaf is another one than that under review.
    pub renewed: bool,
}

/// One certificate.
pub struct Link {
    /// Distinguished name of its subject.
    pub subject: String,
    /// Distinguished name of its issuer.
    pub issuer: String,
    /// DNS names, of the leaf.
    pub names: String,
    /// Algorithm and size of its key.
    pub key: String,
    /// Serial number.
    pub serial: String,
    /// SHA-256 of its DER, as people compare it.
    pub fingerprint: String,
    /// How long it is valid.
    pub left: Left,
}

/// The certificates of each environment that is asked for.
pub async fn chains(
    state: &Arc<ServerState>,
    request: &DownloadRequest,
    certificate: &Certificate,
    now: Timestamp,
) -> Vec<Chain> {
    let wanted = environments(request, certificate);
    let (client, namespace) = (state.clients.reads(), request.key().namespace);
    let found = certificate.spec.environments.iter().filter(|environment| wanted.contains(&environment.name));
    let read = async |environment: &Environment| {
        (environment.name.clone(), material::read(client, namespace, environment, Parts::Public).await)
    };
    let reviewed = request.review().map(|review| review.fingerprints.as_slice()).unwrap_or_default();
    join_all(found.map(read)).await.into_iter().map(|(name, read)| chain(name, read, reviewed, now)).collect()
}

/// Names of the environments that are asked for.
pub fn environments(request: &DownloadRequest, certificate: &Certificate) -> Vec<String> {
    let spec = &certificate.spec;
    if request.spec.format.every_environment() {
        return spec.environments.iter().map(|environment| environment.name.clone()).collect();
    }
    let asked = request.spec.environment.as_deref();
    spec.environment(asked).map(|environment| environment.name.clone()).into_iter().collect()
}

fn chain(environment: String, read: Result<Material, ReadError>, reviewed: &[String], now: Timestamp) -> Chain {
    match read {
        Ok(found) => {
            let renewed = !reviewed.is_empty() && !reviewed.contains(&found.leaf().sha256_fingerprint);
            let links = std::iter::once(found.leaf()).chain(found.intermediates());
            Chain { environment, links: links.map(|facts| link(facts, now)).collect(), problem: None, renewed }
        }
        Err(ReadError::Problem(problem)) => {
            Chain { environment, links: Vec::new(), problem: Some(problem.to_string()), renewed: false }
        }
        Err(ReadError::Api(_)) => {
            let words = "the certificates cannot be read at the moment: load the page again";
            Chain { environment, links: Vec::new(), problem: Some(words.to_owned()), renewed: false }
        }
    }
}

fn link(facts: &LeafFacts, now: Timestamp) -> Link {
    let mut names = facts.dns_names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
    if facts.dns_names.len() > 8 {
        names = format!("{names} and {} more", facts.dns_names.len() - 8);
    }
    Link {
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        names,
        key: facts.key_algorithm.clone(),
        serial: facts.serial_number.clone(),
        fingerprint: paired(&facts.sha256_fingerprint),
        left: Left::until(ValidityTime::from_second(facts.not_after_seconds), now),
    }
}
