//! A few words of what is over.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        Artifact, CertificateReference, DownloadReceipt, DownloadReceiptSpec, DownloadReceiptStatus, DownloadRequest,
        DownloadRequestSpec, Format, Outcome, Phase, RequestReference, Requester, names, words::ConditionType,
    },
    cluster::receipts,
    lifecycle,
};

/// Texts that many have: each is here once.
#[derive(Default)]
pub(super) struct Names(HashSet<Arc<str>>);

/// With so many, those that no one has any more are let go.
const MANY: usize = 1024;

impl Names {
    pub(super) fn of(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        if self.0.len() >= MANY && self.0.len().is_power_of_two() {
            self.0.retain(|name| Arc::strong_count(name) > 1);
        }
        let new: Arc<str> = text.into();
        self.0.insert(Arc::clone(&new));
        new
    }
}

/// A finished request: whose it is, of what, how and when it ended.
#[derive(Clone, Debug)]
pub(crate) struct KeptRequest {
    pub(crate) uid: Box<str>,
    pub(crate) certificate: Arc<str>,
    pub(crate) environment: Option<Arc<str>>,
    pub(crate) requester: Arc<str>,
    pub(crate) format: Format,
    pub(crate) phase: Phase,
    /// Whether the HTTP API made it.
    pub(crate) by_api: bool,
    pub(crate) finished: Timestamp,
    /// Whether it names its receipt.
    pub(crate) has_receipt: bool,
    /// How its delivery ended, as it says.
    outcome: Option<Outcome>,
}

impl KeptRequest {
    /// `None`: it is not finished, or something of it is out of the ordinary.
    pub(super) fn of(request: &DownloadRequest, names: &mut Names) -> Option<Self> {
        let (metadata, spec, status) = (&request.metadata, &request.spec, request.status.as_ref()?);
        if metadata.deletion_timestamp.is_some() || metadata.namespace.is_none() || metadata.name.is_none() {
            return None;
        }
        let label = metadata.labels.as_ref().and_then(|labels| labels.get(names::CREATED_BY));
        let ended = status.condition_true(ConditionType::Finished)?;
        Some(Self {
            uid: metadata.uid.as_deref()?.into(),
            certificate: names.of(&spec.certificate_ref.name),
            environment: spec.environment.as_deref().map(|environment| names.of(environment)),
            requester: names.of(&spec.requested_by.as_ref()?.username),
            format: spec.format,
            phase: status.phase?,
            by_api: label.is_some_and(|by| by == names::CREATED_BY_API),
            finished: lifecycle::finished_at(request)?,
            has_receipt: status.receipt_ref.is_some(),
            outcome: Outcome::ALL.into_iter().find(|outcome| outcome.name() == ended.reason),
        })
    }

    /// Whether this receipt says more than the request does.
    pub(super) fn is_behind(&self, receipt: &KeptReceipt) -> bool {
        if self.phase == Phase::Consumed {
            return self.outcome != Some(receipt.outcome);
        }
        let nothing_left = receipt.outcome == Outcome::Aborted && receipt.bytes_sent == Some(0);
        !self.has_receipt || !nothing_left
    }

    /// The order of their ends.
    pub(super) fn order(&self) -> (Timestamp, &str) {
        (self.finished, &self.uid)
    }

    /// The request, as far as it is known here.
    pub(super) fn as_request(&self, namespace: &str, name: &str) -> DownloadRequest {
        let spec = DownloadRequestSpec {
            certificate_ref: CertificateReference { name: self.certificate.to_string() },
            environment: self.environment.as_deref().map(str::to_owned),
            format: self.format,
            passphrase_secret_ref: None,
            pkcs12: None,
            pem: None,
            reason: None,
            token_ttl: None,
            deadline: None,
            delivery: None,
            requested_by: Some(Requester { username: self.requester.to_string(), ..Requester::default() }),
        };
        let mut request = DownloadRequest::new(name, spec);
        request.metadata.namespace = Some(namespace.to_owned());
        request.metadata.uid = Some(self.uid.to_string());
        request.status.get_or_insert_default().phase = Some(self.phase);
        request
    }
}

/// A receipt with its outcome: of which request, how it ended, and until when it is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptReceipt {
    pub(crate) request: Box<str>,
    pub(crate) outcome: Outcome,
    pub(crate) bytes_sent: Option<i64>,
    pub(crate) consumed: Timestamp,
    pub(crate) retain_until: Timestamp,
}

impl KeptReceipt {
    /// `None`: its outcome is not known, or it is being deleted.
    pub(super) fn of(receipt: &DownloadReceipt) -> Option<Self> {
        let (spec, status) = (&receipt.spec, receipt.status.as_ref()?);
        // Its name says of which request it is; another one is no one's.
        let is_its_own = receipt.metadata.name.as_deref() == Some(&receipts::name_of(&spec.request_ref.uid));
        (is_its_own && receipt.metadata.deletion_timestamp.is_none()).then_some(())?;
        Some(Self {
            request: spec.request_ref.name.as_str().into(),
            outcome: status.outcome?,
            bytes_sent: status.bytes_sent,
            consumed: spec.consumed_at.0,
            retain_until: spec.retain_until.0,
        })
    }

    /// The receipt of the request with this uid, as far as it is known here.
    pub(super) fn as_receipt(&self, namespace: &str, uid: &str) -> DownloadReceipt {
        let spec = DownloadReceiptSpec {
            request_ref: RequestReference { name: self.request.to_string(), uid: uid.to_owned() },
            certificate_ref: CertificateReference { name: String::new() },
            environment: None,
            format: Format::Cert,
            profile: None,
            reason: None,
            requested_by: None,
            approvals: Vec::new(),
            review_digest: None,
            policies: Vec::new(),
            consumed_by: None,
            client_ip: None,
            user_agent: None,
            attempt_id: String::new(),
            artifact: Artifact { sha256: String::new(), bytes: 0 },
            fingerprints: Vec::new(),
            token_issued_at: None,
            token_expires_at: None,
            consumed_at: Time(self.consumed),
            retain_until: Time(self.retain_until),
            cluster: None,
        };
        let mut receipt = DownloadReceipt::new(&receipts::name_of(uid), spec);
        receipt.metadata.namespace = Some(namespace.to_owned());
        receipt.status = Some(DownloadReceiptStatus {
            outcome: Some(self.outcome),
            bytes_sent: self.bytes_sent,
            ..DownloadReceiptStatus::default()
        });
        receipt
    }
}
