//! Everything a decision about a request depends on, gathered from the API server side by side.
//!
//! [`live`] asks for all of it, and [`of_redemption`] and [`of_draft`] for all that can decide there; [`with`] is handed what
//! a watch already knows and asks only for what no watch may know: the Secrets and the requester's rights. Decides nothing itself: [`Gathered::decision`] hands the facts to `policy`.

use certcourier_bundle::Material;
use futures::future::{self, OptionFuture, join_all};
use jiff::Timestamp;
use kube::{Api, Client};

use super::{
    access,
    client::Clients,
    error::{ApiError, During as _, Failure},
    material::{self, Parts, ReadError},
    policies::{self, PolicyError},
    receipts,
};
use crate::api::words::MaterialProblem;
use crate::{
    api::{Approval, Certificate, DownloadReceipt, DownloadRequest, Environment, Format, Requester},
    lifecycle::{self, AUTHENTICATED, Approvers, ReceiptSeen},
    policy::{self, Access, Decision, Facts, NamedPolicy, Passphrase},
};

/// What a watch knows, or the API server said.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The Certificate, if it exists.
    pub certificate: Option<Certificate>,
    /// Every policy of the namespace, and the cluster policy.
    pub policies: Vec<NamedPolicy>,
    /// The request's receipt, if it exists.
    pub receipt: Option<DownloadReceipt>,
}

/// The facts about one request, as of one moment. No `Debug`: it may hold private keys.
pub struct Gathered {
    /// What was known without asking for Secrets or rights.
    pub known: Known,
    /// The environments of the file; the name that was asked for where the Certificate does not have it.
    pub environments: Vec<String>,
    /// The material of each environment, in that order; empty unless all of it is usable for the file.
    pub materials: Vec<Material>,
    /// What the material comes to.
    pub material: lifecycle::Material,
    /// What the requester may do now.
    pub access: Access,
    /// Which of those who approved may still do so.
    pub approvers: Approvers,
}

/// Gathers all facts about a request, live.
///
/// # Errors
/// [`PolicyError`] when the API server refuses or does not answer, or a policy cannot be read.
pub async fn live(
    clients: &Clients,
    request: &DownloadRequest,
    cluster: Option<&NamedPolicy>,
) -> Result<Gathered, PolicyError> {
    // Only a token can have been used.
    let asked = if request.token().is_some() { Asked::Receipt } else { Asked::NoReceipt };
    // Boxed, so that the futures of all who call this stay small.
    Box::pin(gather(clients, request, cluster, asked, access(clients, request))).await
}

/// The same for a redemption, which finds out by creating the receipt whether there is one. Before a key is announced in
/// the record, it is asked.
///
/// # Errors
/// As [`live`].
pub async fn of_redemption(
    clients: &Clients,
    request: &DownloadRequest,
    cluster: Option<&NamedPolicy>,
) -> Result<Gathered, PolicyError> {
    let asked = if request.spec.format.holds_key() { Asked::Receipt } else { Asked::NoReceipt };
    // Boxed, so that the futures of all who call this stay small.
    Box::pin(gather(clients, request, cluster, asked, access(clients, request))).await
}

/// The same for a request that is not there yet, whose requester was asked about in person a moment ago.
///
/// # Errors
/// As [`live`].
pub async fn of_draft(
    clients: &Clients,
    draft: &DownloadRequest,
    cluster: Option<&NamedPolicy>,
    in_person: Access,
) -> Result<Gathered, PolicyError> {
    Box::pin(gather(clients, draft, cluster, Asked::NoReceipt, future::ready(Ok(in_person)))).await
}

/// Whether it is asked for the receipt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Receipt,
    NoReceipt,
}

async fn gather(
    clients: &Clients,
    request: &DownloadRequest,
    cluster: Option<&NamedPolicy>,
    asked: Asked,
    access: impl Future<Output = Result<Access, ApiError>>,
) -> Result<Gathered, PolicyError> {
    let (client, namespace) = (clients.reads(), request.key().namespace);
    let certificates: Api<Certificate> = Api::namespaced(client.clone(), namespace);
    let name = &request.spec.certificate_ref.name;
    let certificate_and_materials = async {
        let certificate =
            certificates.get_opt(name).await.during("read", || format!("Certificate {namespace}/{name}"))?;
        let found = materials(client, request, certificate.as_ref()).await?;
        Ok::<_, PolicyError>((certificate, found))
    };
    let policies = policies::live_together(clients, namespace, cluster);
    let access = async { Ok(access.await?) };
    let uid = request.metadata.uid.as_deref().filter(|_| asked == Asked::Receipt);
    let receipt: OptionFuture<_> = uid.map(|uid| receipts::of(client, namespace, uid)).into();
    let receipt = async { Ok(receipt.await.transpose()?.flatten()) };
    let approvers = async { Ok(approvers(clients, request).await?) };
    let ((certificate, found), policies, access, receipt, approvers) =
        tokio::try_join!(certificate_and_materials, policies, access, receipt, approvers)?;
    Ok(Gathered::new(Known { certificate, policies, receipt }, found, access, approvers))
}

/// Gathers the facts that no watch may know, and joins them with what is known.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn with(clients: &Clients, request: &DownloadRequest, known: Known) -> Result<Gathered, ApiError> {
    let found = materials(clients.reads(), request, known.certificate.as_ref());
    let (found, access, approvers) = tokio::try_join!(found, access(clients, request), approvers(clients, request))?;
    Ok(Gathered::new(known, found, access, approvers))
}

impl Gathered {
    fn new(known: Known, found: Found, access: Access, approvers: Approvers) -> Self {
        let Found { environments, materials, material } = found;
        Self { known, environments, materials, material, access, approvers }
    }

    /// Takes what the requester may do in person into account: it refuses as well, and never allows more.
    pub fn narrow(&mut self, in_person: Access) {
        if self.access == Access::Allowed {
            self.access = in_person;
        }
    }

    /// What policies and rights say. `None` when the Certificate is gone.
    #[must_use]
    pub fn decision(&self, request: &DownloadRequest, passphrase: Passphrase, now: Timestamp) -> Option<Decision> {
        let spec = &request.spec;
        self.known.certificate.as_ref()?;
        let facts = Facts {
            certificate: &spec.certificate_ref.name,
            environments: self.environments.iter().map(String::as_str).collect(),
            format: spec.format,
            requester: request.requester(),
            reason: spec.reason.as_deref(),
            token_ttl: spec.token_ttl,
            deadline: spec.deadline.as_ref().map(|deadline| deadline.0),
            profile: spec.pkcs12.as_ref().and_then(|options| options.profile).unwrap_or_default(),
            passphrase,
            created: request.created().unwrap_or(now),
            holds_ca_key: self.materials.iter().any(|material| material.leaf().is_ca),
            access: self.access.clone(),
            policies: &self.known.policies,
        };
        Some(policy::decide(&facts))
    }
}

/// What is known of a receipt, as `lifecycle` wants it.
#[must_use]
pub fn receipt_seen(receipt: Option<&DownloadReceipt>) -> Option<ReceiptSeen> {
    receipt.map(|receipt| ReceiptSeen {
        name: receipt.metadata.name.clone().unwrap_or_default(),
        outcome: receipt.status.as_ref().and_then(|status| status.outcome),
        bytes_sent: receipt.status.as_ref().and_then(|status| status.bytes_sent),
    })
}

/// Where the passphrase of a request comes from, while none was given over HTTP.
#[must_use]
pub fn passphrase_of(request: &DownloadRequest) -> Passphrase {
    match request.spec.passphrase_secret_ref {
        Some(_) => Passphrase::Referenced,
        None => Passphrase::Generated,
    }
}

/// What the requester may do now, with the groups that the request names, those of its creation: the verb first, then
/// the Secret with the passphrase.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn access(clients: &Clients, request: &DownloadRequest) -> Result<Access, ApiError> {
    let namespace = request.key().namespace;
    let nobody = Requester::default();
    let spec = &request.spec;
    let requester = spec.requested_by.as_ref().unwrap_or(&nobody);
    let verb = policy::verb(spec.format);
    let holds = access::holds_verb(clients, requester, namespace, &spec.certificate_ref.name, verb);
    let secret = spec.passphrase_secret_ref.as_ref().map(|reference| reference.name.as_str());
    let may_get: OptionFuture<_> =
        secret.map(|secret| access::may_get_secret(clients, requester, namespace, secret)).into();
    let (holds, may_get) = tokio::join!(holds, may_get);
    Ok(accessible(holds?, secret, may_get.transpose()?))
}

/// The same where the requester is there in person: `caller` calls with their own credentials, so it is their groups of
/// this moment that count.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn access_in_person(caller: &Client, request: &DownloadRequest) -> Result<Access, ApiError> {
    let (namespace, spec) = (request.key().namespace, &request.spec);
    let right = (policy::verb(spec.format), "certificates", spec.certificate_ref.name.as_str());
    let secret = spec.passphrase_secret_ref.as_ref().map(|reference| reference.name.as_str());
    let may_get: OptionFuture<_> = secret.map(|secret| access::caller_may_get_secret(caller, namespace, secret)).into();
    let (holds, may_get) = tokio::join!(access::caller_may(caller, namespace, right), may_get);
    Ok(accessible(holds?, secret, may_get.transpose()?))
}

fn accessible(holds: bool, secret: Option<&str>, may_get: Option<bool>) -> Access {
    match (holds, secret) {
        (false, _) => Access::VerbRefused,
        (true, Some(secret)) if may_get == Some(false) => Access::PassphraseSecretRefused(secret.to_owned()),
        (true, _) => Access::Allowed,
    }
}

/// Which of those who approved hold verb `approve` now, asked side by side. They are not there in person, so it is by name
/// and by the groups that their votes list, which admission compared with their own.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn approvers(clients: &Clients, request: &DownloadRequest) -> Result<Approvers, ApiError> {
    let (namespace, certificate) = (request.key().namespace, request.spec.certificate_ref.name.as_str());
    let ask = async |vote: &Approval| {
        let mut groups = vote.groups.clone().unwrap_or_default();
        groups.push(AUTHENTICATED.to_owned());
        let voter = Requester { username: vote.username.clone(), uid: vote.uid.clone(), groups };
        let may = access::holds_verb(clients, &voter, namespace, certificate, "approve").await?;
        Ok::<_, ApiError>((vote.clone(), may))
    };
    let answers = join_all(lifecycle::votes_to_ask_about(request).into_iter().map(ask)).await;
    Ok(Approvers::new(answers.into_iter().collect::<Result<_, _>>()?))
}

struct Found {
    environments: Vec<String>,
    materials: Vec<Material>,
    material: lifecycle::Material,
}

async fn materials(
    client: &Client,
    request: &DownloadRequest,
    certificate: Option<&Certificate>,
) -> Result<Found, ApiError> {
    let spec = &request.spec;
    let asked = || spec.environment.iter().cloned().collect::<Vec<_>>();
    let none = |environments, material| Ok(Found { environments, materials: Vec::new(), material });
    let Some(certificate) = certificate else {
        return none(asked(), certificate_missing(request));
    };
    let environments: Vec<&Environment> = match spec.format {
        Format::DerZip => certificate.spec.environments.iter().collect(),
        _ => match certificate.spec.environment(spec.environment.as_deref()) {
            Some(environment) => vec![environment],
            None => return none(asked(), unknown_environment(request, certificate)),
        },
    };
    let names = environments.iter().map(|environment| environment.name.clone()).collect();
    let parts = Parts::of(spec.format);
    let reads =
        environments.iter().map(|environment| material::read(client, request.key().namespace, environment, parts));
    let mut materials = Vec::new();
    for (environment, read) in environments.iter().zip(join_all(reads).await) {
        match usable(&environment.name, read, spec.format)? {
            Ok(material) => materials.push(material),
            Err(problem) => return none(names, problem),
        }
    }
    let fingerprints = materials.iter().map(|material| material.leaf().sha256_fingerprint.clone()).collect();
    Ok(Found { environments: names, materials, material: lifecycle::Material::Usable { fingerprints } })
}

/// Material from which this file can be made, or what is in the way.
fn usable(
    environment: &str,
    read: Result<Material, ReadError>,
    format: Format,
) -> Result<Result<Material, lifecycle::Material>, ApiError> {
    let problem = match read {
        Ok(material) => match material::unfit(environment, &material, format) {
            None => return Ok(Ok(material)),
            Some(problem) => problem,
        },
        Err(ReadError::Problem(problem)) => problem,
        // Not an error: a request must be revocable, and must expire, though its Secret cannot be read.
        Err(ReadError::Api(error)) if error.failure() == Failure::Forbidden => {
            let message = format!(
                "environment `{environment}`: the operator is not allowed to read its Secret ({}); bind its \
                 ClusterRoles in this namespace",
                error.cause()
            );
            return Ok(Err(lifecycle::Material::Missing { problem: MaterialProblem::ApiForbidden, message }));
        }
        Err(ReadError::Api(error)) => return Err(error),
    };
    let (problem, message) = (problem.reason(), problem.to_string());
    Ok(Err(if problem == MaterialProblem::SecretMissing {
        lifecycle::Material::Missing { problem, message }
    } else {
        lifecycle::Material::Unusable { problem, message }
    }))
}

fn certificate_missing(request: &DownloadRequest) -> lifecycle::Material {
    let name = &request.spec.certificate_ref.name;
    lifecycle::Material::Missing {
        problem: MaterialProblem::CertificateNotFound,
        message: format!(
            "there is no Certificate `{name}` in this namespace; `kubectl get certificates.certcourier.io` lists those there are"
        ),
    }
}

fn unknown_environment(request: &DownloadRequest, certificate: &Certificate) -> lifecycle::Material {
    let asked = request.spec.environment.as_deref().unwrap_or("(default)");
    let names: Vec<&str> = certificate.spec.environments.iter().map(|environment| environment.name.as_str()).collect();
    lifecycle::Material::Unusable {
        problem: MaterialProblem::UnknownEnvironment,
        message: format!(
            "Certificate `{}` has no environment `{asked}`; it has {}",
            request.spec.certificate_ref.name,
            names.join(", ")
        ),
    }
}
