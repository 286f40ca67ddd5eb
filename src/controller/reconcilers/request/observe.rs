//! What is seen of a request: by the watches, or by the API server at this moment.

use jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _, runtime::reflector::ObjectRef};

use crate::controller::{context::Context, watch::stores::Stores};
use crate::{
    api::{Decision as Vote, DownloadRequest, names},
    cluster::{
        error::ApiError,
        facts::{self, Gathered, Known},
        policies::{self, PolicyError},
        receipts,
    },
    lifecycle::{self, Approvers, Material, Observed, Step},
    policy::NamedPolicy,
};

/// What the watches know about a request's surroundings.
pub(crate) fn known(context: &Context, stores: &Stores, request: &DownloadRequest) -> Result<Known, PolicyError> {
    let namespace = request.namespace().unwrap_or_default();
    let certificate = ObjectRef::new(&request.spec.certificate_ref.name).within(&namespace);
    let receipt = ObjectRef::new(&receipts::name_of(&request.uid().unwrap_or_default())).within(&namespace);
    Ok(Known {
        certificate: stores.certificates.get(&certificate).and_then(|certificate| certificate.0.clone().ok()),
        policies: known_policies(context, stores, &namespace)?,
        receipt: stores.receipts.get(&receipt).and_then(|receipt| receipt.0.clone().ok()),
    })
}

fn known_policies(context: &Context, stores: &Stores, namespace: &str) -> Result<Vec<NamedPolicy>, PolicyError> {
    let policies = stores.policies.state_filter(|policy| policy.meta().namespace.as_deref() == Some(namespace));
    let mut policies =
        policies.iter().map(|policy| policies::named(policy.as_ref().clone())).collect::<Result<Vec<_>, _>>()?;
    policies.extend(context.cluster_policy.clone());
    Ok(policies)
}

/// Whether the request itself says how it ends, so that only a receipt could say otherwise. What people revoke must
/// end also while Secrets, policies or reviews cannot be read.
fn is_settled(request: &DownloadRequest) -> bool {
    let revoked = request.annotations().contains_key(names::REVOKE);
    let votes = request.votes();
    let deleted = request.metadata.deletion_timestamp.is_some();
    !request.is_open() || revoked || deleted || votes.iter().any(|vote| vote.decision == Vote::Deny)
}

/// What is seen of a request's surroundings.
pub(crate) enum View {
    /// All of it.
    Whole(Box<Gathered>),
    /// Only a receipt, or its absence, matters any more: neither Secrets nor rights are asked for.
    Receipt(Box<Known>),
}

impl View {
    pub(crate) async fn of(context: &Context, request: &DownloadRequest, known: Known) -> Result<Self, ApiError> {
        if known.receipt.is_some() || is_settled(request) {
            return Ok(Self::Receipt(Box::new(known)));
        }
        Ok(Self::Whole(Box::new(facts::with(context.clients.reads(), request, known).await?)))
    }

    pub(crate) async fn live(context: &Context, request: &DownloadRequest) -> Result<Self, PolicyError> {
        let reads = context.clients.reads();
        if !is_settled(request) {
            return Ok(Self::Whole(Box::new(facts::live(reads, request, context.cluster_policy.as_ref()).await?)));
        }
        let uid = request.uid().unwrap_or_default();
        let receipt = receipts::of(reads, request.key().namespace, &uid).await?;
        Ok(Self::Receipt(Box::new(Known { receipt, ..Known::default() })))
    }

    /// Asks about the votes that came in since the surroundings were read.
    pub(crate) async fn ask_about_new_votes(
        &mut self,
        context: &Context,
        request: &DownloadRequest,
    ) -> Result<(), ApiError> {
        if let Self::Whole(gathered) = self
            && !gathered.approvers.cover(request)
        {
            gathered.approvers = facts::approvers(context.clients.reads(), request).await?;
        }
        Ok(())
    }

    pub(crate) fn known(&self) -> &Known {
        match self {
            Self::Whole(gathered) => &gathered.known,
            Self::Receipt(known) => known,
        }
    }

    pub(crate) fn decide(&self, context: &Context, stores: &Stores, request: &DownloadRequest, now: Timestamp) -> Step {
        let (material, decision, approvers) = match self {
            Self::Whole(gathered) => (
                gathered.material.clone(),
                gathered.decision(request, facts::passphrase_of(request), now),
                gathered.approvers.clone(),
            ),
            // Not read for a request that is closed or has a receipt.
            Self::Receipt(_) => (Material::Usable { fingerprints: Vec::new() }, None, Approvers::default()),
        };
        let observed = Observed {
            request,
            material,
            decision,
            receipt: facts::receipt_seen(self.known().receipt.as_ref()),
            approvers,
            guard: context.guard.borrow().clone(),
            ahead: stores.open.ahead_of(request, context.intervals.max_open_requests),
            settings: context.settings(),
        };
        lifecycle::next(&observed, now)
    }
}
