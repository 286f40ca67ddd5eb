//! Builders for tests of the state table: a request, what is observed of it, and steps applied to it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::{Approvers, Guard, Material, Minted, Observed, Settings, Step, next, votes_to_ask_about};
use crate::{
    api::{
        Approval, ApprovalRules, ApprovalScope, CertificatePolicySpec, CertificateReference, Decision as Vote,
        Delivery, DownloadRequest, DownloadRequestSpec, DownloadRequestStatus, Format, KeyExport, Phase, Requester,
        UnattendedKeyFormats, UnattendedRules,
        words::{MaterialProblem, MaterialReason},
    },
    policy::{Facts, NamedPolicy, Source, decide, test_facts},
};

/// The moment at which every fixture's request was created.
pub fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Seconds after noon.
pub fn at(seconds: i64) -> Timestamp {
    noon() + SignedDuration::from_secs(seconds)
}

/// A request by alice, as the API server returns it.
pub fn request(format: Format) -> DownloadRequest {
    DownloadRequest {
        metadata: ObjectMeta {
            name: Some("api".into()),
            namespace: Some("payments".into()),
            uid: Some("uid-1".into()),
            generation: Some(1),
            creation_timestamp: Some(Time(noon())),
            ..Default::default()
        },
        spec: DownloadRequestSpec {
            certificate_ref: CertificateReference { name: "api".into() },
            environment: None,
            format,
            passphrase_secret_ref: None,
            pkcs12: None,
            pem: None,
            reason: None,
            token_ttl: None,
            deadline: None,
            delivery: None,
            requested_by: Some(Requester { username: "alice".into(), ..Default::default() }),
        },
        status: None,
    }
}

/// A policy that allows keys, with this many approvals for every format (0: none).
pub fn policy(approvals: i32) -> Vec<NamedPolicy> {
    let scope = if approvals > 0 { ApprovalScope::All } else { ApprovalScope::None };
    vec![NamedPolicy {
        source: Source::Namespace("p".into()),
        spec: CertificatePolicySpec {
            allow_key_export: Some(KeyExport::Always),
            approval: Some(ApprovalRules {
                required_for: Some(scope),
                approvals: (approvals > 0).then_some(approvals),
                ..Default::default()
            }),
            unattended: Some(UnattendedRules {
                key_formats: Some(UnattendedKeyFormats::WithApproval),
                approvals: None,
            }),
            ..Default::default()
        },
    }]
}

/// A world of one request: what surrounds it, and the status that was last written.
#[derive(Clone, Debug)]
pub struct World {
    pub request: DownloadRequest,
    pub policies: Vec<NamedPolicy>,
    pub material: Material,
    pub guard: Guard,
    pub receipt: Option<super::ReceiptSeen>,
    pub certificate_gone: bool,
    pub ahead: usize,
    pub settings: Settings,
    pub access: crate::policy::Access,
    /// Who no longer holds verb `approve`.
    pub lapsed: std::collections::BTreeSet<&'static str>,
    pub minted: i64,
}

impl World {
    pub fn new(format: Format, policies: Vec<NamedPolicy>) -> Self {
        Self {
            request: request(format),
            policies,
            material: Material::Usable { fingerprints: vec!["f1".into()] },
            guard: Guard::Unwatched,
            receipt: None,
            certificate_gone: false,
            ahead: 0,
            settings: Settings::default(),
            access: crate::policy::Access::Allowed,
            lapsed: std::collections::BTreeSet::new(),
            minted: 0,
        }
    }

    pub fn claimed(mut self) -> Self {
        self.request.spec.delivery = Some(Delivery::Claim);
        self
    }

    pub fn observed(&self) -> Observed<'_> {
        let spec = &self.request.spec;
        let facts = Facts {
            format: spec.format,
            requester: self.request.requester(),
            token_ttl: spec.token_ttl,
            deadline: spec.deadline.as_ref().map(|deadline| deadline.0),
            access: self.access.clone(),
            ..test_facts::facts(&self.policies)
        };
        Observed {
            request: &self.request,
            material: self.material.clone(),
            decision: (!self.certificate_gone).then(|| decide(&facts)),
            receipt: self.receipt.clone(),
            approvers: self.approvers(),
            guard: self.guard.clone(),
            ahead: self.ahead,
            settings: self.settings,
        }
    }

    /// What the API server would say of those who approved.
    pub fn approvers(&self) -> Approvers {
        let answer = |vote: &Approval| (vote.clone(), !self.lapsed.contains(vote.username.as_str()));
        Approvers::new(votes_to_ask_about(&self.request).into_iter().map(answer).collect())
    }

    /// Decides and acts as the controller does: mints, and writes the status.
    pub fn step(&mut self, seconds: i64) -> Step {
        let step = next(&self.observed(), at(seconds));
        self.apply(&step);
        step
    }

    pub fn apply(&mut self, step: &Step) {
        let base = step.status.as_deref().cloned();
        self.request.status = match (&step.mint, base) {
            (Some(mint), base) => {
                self.minted += 1;
                let base = base.or_else(|| self.request.status.clone()).unwrap_or_default();
                let minted = Minted { hash: hash(mint.generation), sealed_passphrase: None, reader_name: None };
                Some(mint.complete(&self.request, &base, minted))
            }
            (None, Some(status)) => Some(status),
            (None, None) => self.request.status.clone(),
        };
    }

    pub fn status(&self) -> &DownloadRequestStatus {
        self.request.status.as_ref().unwrap()
    }

    pub fn phase(&self) -> Phase {
        self.request.phase()
    }

    pub fn vote(&mut self, who: &str, decision: Vote) {
        let digest = self.status().review.as_ref().map_or_else(String::new, |review| review.digest.clone());
        self.vote_for(who, decision, &digest);
    }

    pub fn vote_for(&mut self, who: &str, decision: Vote, digest: &str) {
        let vote = Approval {
            username: who.into(),
            uid: String::new(),
            digest: digest.into(),
            decision,
            reason: "because".into(),
            groups: None,
        };
        self.request.status.get_or_insert_default().approvals.get_or_insert_default().push(vote);
    }

    pub fn annotate(&mut self, key: &str, value: &str) {
        self.request.metadata.annotations.get_or_insert_with(BTreeMap::new).insert(key.into(), value.into());
    }

    pub fn renew(&mut self, fingerprint: &str) {
        self.material = Material::Usable { fingerprints: vec![fingerprint.into()] };
    }

    /// `status/reason` of a condition.
    pub fn condition(&self, kind: &str) -> String {
        let conditions = &self.status().conditions;
        conditions.iter().find(|c| c.type_ == kind).map_or("none".into(), |c| format!("{}/{}", c.status, c.reason))
    }

    pub fn message(&self, kind: &str) -> String {
        self.status().conditions.iter().find(|c| c.type_ == kind).map(|c| c.message.clone()).unwrap_or_default()
    }
}

/// The hash of the token of this generation.
pub fn hash(generation: i64) -> String {
    format!("{generation:064}")
}

pub fn unusable() -> Material {
    Material::Unusable {
        problem: MaterialProblem::Content(MaterialReason::KeyMismatch),
        message: "environment production: the key is not the leaf's".into(),
    }
}

pub fn missing() -> Material {
    Material::Missing {
        problem: MaterialProblem::SecretMissing,
        message: "Secret api-tls is not there: create it".into(),
    }
}
