//! What a caller would be told if they asked for each of the files, before they ask: the same facts and the same
//! decision as for a request, which is not created.

mod alone;

use std::sync::Arc;

use certcourier_bundle::Material as Bundle;

use super::{body::Asked, default_deadline, draft};
use crate::{
    api::{DownloadRequest, Format, Requester},
    cluster::{access, facts, material},
    door::Door,
    lifecycle::{ClaimRefusal, Guard, Material},
    policy::{self, Access, Decision, Effective, NamedPolicy},
    server::{
        api::requests::claim::{decision, guard},
        auth::caller::Caller,
        http::{
            error::ServerError,
            path::ObjectPath,
            refusal::{self, Aftermath},
        },
        state::ServerState,
    },
};

/// What can be had of one environment of a Certificate.
pub struct Offers {
    /// Each format.
    pub formats: Vec<Offer>,
    /// What all policies say together. None where the caller may have no file at all, and so learns nothing of it.
    pub effective: Option<Effective>,
    /// The certificates from the leaf on, where the caller may have them and they can be read.
    pub chain: Vec<Link>,
    /// Why they cannot be read.
    pub problem: Option<String>,
    /// What of this is not known before they ask, in a sentence.
    pub open: Option<&'static str>,
}

/// One format.
pub struct Offer {
    /// Which.
    pub format: Format,
    /// Why the caller cannot have it.
    pub refusal: Option<String>,
    /// How many people must approve.
    pub approvals: i32,
}

/// One certificate of a chain.
pub struct Link {
    /// Distinguished name of its subject.
    pub subject: String,
    /// Distinguished name of its issuer.
    pub issuer: String,
    /// SHA-256 of its DER.
    pub sha256_fingerprint: String,
    /// Seconds since 1970 until which it is valid.
    pub not_after: i64,
}

/// What this caller may do with the Certificate.
struct Rights {
    create: bool,
    download: bool,
    export: bool,
}

impl Rights {
    async fn of(caller: &Caller, place: &ObjectPath) -> Result<Self, ServerError> {
        let may =
            async |right| access::caller_may(&caller.client, &place.project, right).await.map_err(refusal::of_review);
        let (create, download, export) = tokio::try_join!(
            may(("create", "downloadrequests", "")),
            may((policy::verb(Format::Cert), "certificates", place.name.as_str())),
            may((policy::verb(Format::Key), "certificates", place.name.as_str())),
        )?;
        Ok(Self { create, download, export })
    }

    fn lacking(&self, place: &ObjectPath, format: Format) -> Option<String> {
        let role = if format.is_public() { "certcourier-downloader" } else { "certcourier-operator" };
        let ask = format!("ask for ClusterRole {role} in namespace {}", place.project);
        if !self.create {
            return Some(format!("you are not allowed to create downloadrequests.certcourier.io: {ask}"));
        }
        let held = if format.is_public() { self.download } else { self.export };
        (!held).then(|| format!("you lack verb `{}` on this certificate: {ask}", policy::verb(format)))
    }
}

/// What this caller can have of an environment.
///
/// # Errors
/// What the API server refuses them, or that it does not answer.
pub async fn offers(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    environment: Option<&str>,
) -> Result<Offers, ServerError> {
    let (who, rights) = tokio::try_join!(caller.identity(state), Rights::of(caller, place))?;
    let none = |format| Offer { format, refusal: rights.lacking(place, format), approvals: 0 };
    if !rights.create || !(rights.download || rights.export) {
        let formats = Format::ALL.into_iter().map(none).collect();
        return Ok(Offers { formats, effective: None, chain: Vec::new(), problem: None, open: None });
    }
    state.must_serve(&place.project)?;
    if caller.is_alone() {
        return alone::offers(state, caller, place, environment, &who, &rights).await;
    }
    let draft = draft_of(place, &who, Format::Cert, environment);
    // What they hold was asked in their own name; the decision is on everything else.
    let gathering = facts::of_draft(&state.clients, &draft, state.cluster_policy.as_ref(), Access::Allowed);
    let gathered = gathering.await.map_err(|error| refusal::of_facts(error, Aftermath::Unsaid))?;
    let guard = guard(state, &draft).await;
    let deadline = default_deadline(state, &draft, &gathered);
    let offer = |format: Format| {
        if let Some(lacking) = rights.lacking(place, format) {
            return Offer { format, refusal: Some(lacking), approvals: 0 };
        }
        let mut draft = draft_of(place, &who, format, environment);
        draft.spec.deadline.clone_from(&deadline);
        let decided = decision(state, &draft, &gathered, None);
        let unfit = gathered.materials.first().and_then(|found| unfit(environment, found, format));
        let (refusal, approvals) = match decided {
            None => (Some("there is no such Certificate any more".to_owned()), 0),
            Some(Decision::Refuse(reasons)) => (Some(described(&ClaimRefusal::Refused(reasons))), 0),
            Some(Decision::Grant(grant)) => (unfit.or_else(|| unproven(&guard, format)), grant.approvals),
        };
        Offer { format, refusal, approvals }
    };
    let formats = Format::ALL.into_iter().map(offer).collect();
    let chain = gathered.materials.first().filter(|_| rights.download).map(links).unwrap_or_default();
    let problem = match &gathered.material {
        Material::Missing { message, .. } | Material::Unusable { message, .. } => Some(message.clone()),
        Material::Usable { .. } => None,
    };
    let effective = effective(&gathered.known.policies, place, &gathered.environments);
    Ok(Offers { formats, effective: Some(effective), chain, problem, open: None })
}

fn effective(policies: &[NamedPolicy], place: &ObjectPath, environments: &[String]) -> Effective {
    let environments: Vec<&str> = environments.iter().map(String::as_str).collect();
    policy::merge(policies, &place.name, &environments)
}

/// A request as it would be made. Its reason only stands for one: whether there must be one is said apart.
fn draft_of(place: &ObjectPath, who: &Requester, format: Format, environment: Option<&str>) -> DownloadRequest {
    let asked = Asked {
        format,
        environment: environment.filter(|_| !format.every_environment()).map(str::to_owned),
        passphrase: None,
        reason: Some("-".to_owned()),
        token_ttl: None,
        deadline: None,
        pkcs12: None,
        pem: None,
    };
    draft::request(place, &asked, who, [0; draft::RANDOM_CHARACTERS])
}

/// What a public file lacks. A key is not read for this.
fn unfit(environment: Option<&str>, found: &Bundle, format: Format) -> Option<String> {
    let problem = material::unfit(environment.unwrap_or("(default)"), found, format)?;
    format.is_public().then(|| problem.to_string())
}

fn unproven(guard: &Guard, format: Format) -> Option<String> {
    match guard {
        Guard::Broken { reason } if format.holds_key() => Some(described(&ClaimRefusal::GuardFailed(reason.clone()))),
        _ => None,
    }
}

fn described(refusal: &ClaimRefusal) -> String {
    refusal::of_claim(refusal).description_at(Door::Plugin)
}

fn links(found: &Bundle) -> Vec<Link> {
    let link = |facts: &certcourier_bundle::LeafFacts| Link {
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        sha256_fingerprint: facts.sha256_fingerprint.clone(),
        not_after: facts.not_after_seconds,
    };
    std::iter::once(found.leaf()).chain(found.intermediates()).map(link).collect()
}
