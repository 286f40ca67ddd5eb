//! What is seen of a request: by the watches, or by the API server at this moment.

use jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _, runtime::reflector::ObjectRef};

use crate::controller::{context::Context, watch::stores::Stores};
use crate::{
    api::{Certificate, DownloadReceipt, DownloadRequest},
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
    Ok(Known {
        certificate: certificate_of(stores, request),
        policies: known_policies(context, stores, &namespace)?,
        receipt: receipt_of(stores, request),
    })
}

/// The Certificate of a request, if the watch has seen it.
pub(crate) fn certificate_of(stores: &Stores, request: &DownloadRequest) -> Option<Certificate> {
    let name = &request.spec.certificate_ref.name;
    let certificate = stores.certificates.get(&ObjectRef::new(name).within(request.key().namespace))?;
    certificate.0.clone().ok()
}

/// The receipt of a request, if the watch has seen it.
pub(crate) fn receipt_of(stores: &Stores, request: &DownloadRequest) -> Option<DownloadReceipt> {
    let name = receipts::name_of(&request.uid().unwrap_or_default());
    let kept = stores.receipts.get(&ObjectRef::new(&name).within(request.key().namespace));
    kept.and_then(|receipt| receipt.0.clone().ok()).or_else(|| stores.archive.receipt_of(request))
}

pub(crate) fn known_policies(
    context: &Context,
    stores: &Stores,
    namespace: &str,
) -> Result<Vec<NamedPolicy>, PolicyError> {
    let policies = stores.policies.state_filter(|policy| policy.meta().namespace.as_deref() == Some(namespace));
    let mut policies =
        policies.iter().map(|policy| policies::named(policy.as_ref().clone())).collect::<Result<Vec<_>, _>>()?;
    policies.extend(context.cluster_policy.clone());
    Ok(policies)
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
        if known.receipt.is_some() || lifecycle::is_settled(request) {
            return Ok(Self::Receipt(Box::new(known)));
        }
        Ok(Self::Whole(Box::new(facts::with(&context.clients, request, known).await?)))
    }

    pub(crate) async fn live(
        context: &Context,
        stores: &Stores,
        request: &DownloadRequest,
    ) -> Result<Self, PolicyError> {
        let reads = context.clients.reads();
        // What it says of the delivery never changes, and it decides alone.
        if let Some(receipt) = receipt_of(stores, request) {
            return Ok(Self::Receipt(Box::new(Known { receipt: Some(receipt), ..Known::default() })));
        }
        if !lifecycle::is_settled(request) {
            return Ok(Self::Whole(Box::new(
                facts::live(&context.clients, request, context.cluster_policy.as_ref()).await?,
            )));
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
            gathered.approvers = facts::approvers(&context.clients, request).await?;
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
