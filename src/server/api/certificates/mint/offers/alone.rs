//! The same where no server stands between the caller and the API server: from what they may read themselves. Secrets and
//! the cluster policy are not among it, so what is said here is less, and the controller decides when they ask.

use std::sync::Arc;

use super::{Offer, Offers, Rights, described, draft_of, effective};
use crate::{
    api::{Certificate, Format, Requester},
    cluster::{
        error::Failure,
        facts::{Gathered, Known},
        policies::{self, PolicyError},
    },
    lifecycle::{Approvers, ClaimRefusal, Material},
    policy::{Access, Decision, Effective, NamedPolicy},
    server::{
        api::{
            certificates::get::{certificate_as, no_certificate},
            requests::claim::decision,
        },
        auth::caller::Caller,
        http::{
            error::ServerError,
            path::ObjectPath,
            refusal::{self, Aftermath},
        },
        state::ServerState,
    },
};

/// Where the policies can be read.
const BEYOND_THESE: &str =
    "A policy of the whole cluster, which is not shown here, may say more: your cluster decides when you ask.";
/// Where they cannot.
const UNREADABLE: &str =
    "You are not allowed to read the policies of this project, so your cluster decides when you ask for a file.";

/// What this caller can have of an environment, as far as they can know.
pub(super) async fn offers(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    environment: Option<&str>,
    who: &Requester,
    rights: &Rights,
) -> Result<Offers, ServerError> {
    let (certificate, policies) =
        tokio::join!(certificate_as(caller, place), policies::live(&caller.client, &place.project, None));
    let certificate = certificate?.ok_or_else(|| no_certificate(place))?;
    let policies = match policies {
        Ok(policies) => Some(policies),
        Err(PolicyError::Api(error)) if error.failure() == Failure::Forbidden => None,
        Err(error) => return Err(refusal::of_facts(error, Aftermath::Unsaid)),
    };
    let problem = problem(&certificate, environment);
    let gathered = gathered(certificate, environment, policies.clone().unwrap_or_default());
    let effective = policies.map(|policies| effective(&policies, place, &gathered.environments));
    let offer = |format: Format| {
        if let Some(lacking) = rights.lacking(place, format) {
            return Offer { format, refusal: Some(lacking), approvals: 0 };
        }
        let Some(effective) = &effective else { return Offer { format, refusal: None, approvals: 0 } };
        match decision(state, &draft_of(place, who, format, environment), &gathered, None) {
            Some(Decision::Refuse(reasons)) if !is_by_default(effective, format) => {
                Offer { format, refusal: Some(described(&ClaimRefusal::Refused(reasons))), approvals: 0 }
            }
            Some(Decision::Grant(grant)) => Offer { format, refusal: None, approvals: grant.approvals },
            _ => Offer { format, refusal: None, approvals: 0 },
        }
    };
    Ok(Offers {
        formats: Format::ALL.into_iter().map(offer).collect(),
        open: Some(if effective.is_some() { BEYOND_THESE } else { UNREADABLE }),
        chain: Vec::new(),
        problem,
        effective: effective.clone(),
    })
}

/// Whether no policy that is known says anything about keys: then one that is not known may.
fn is_by_default(effective: &Effective, format: Format) -> bool {
    format.holds_key() && effective.key_export.from.is_empty()
}

/// What the controller saw of the Secret last.
fn problem(certificate: &Certificate, environment: Option<&str>) -> Option<String> {
    let name = &certificate.spec.environment(environment)?.name;
    let seen = certificate.status.as_ref()?.environments.iter().find(|seen| seen.name == *name)?;
    seen.message.clone().filter(|message| !message.is_empty())
}

/// Facts without Secrets and others' rights. What the caller holds was asked in their own name.
fn gathered(certificate: Certificate, environment: Option<&str>, policies: Vec<NamedPolicy>) -> Gathered {
    let asked = certificate.spec.environment(environment);
    let environments = asked.map(|found| found.name.clone()).into_iter().collect();
    Gathered {
        known: Known { certificate: Some(certificate), policies, receipt: None },
        environments,
        materials: Vec::new(),
        material: Material::Usable { fingerprints: Vec::new() },
        access: Access::Allowed,
        approvers: Approvers::default(),
    }
}
