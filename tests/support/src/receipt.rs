//! The receipt of a delivery that never ends.

use certcourier::{
    api::{Artifact, CertificateReference, DownloadReceipt, DownloadReceiptSpec, DownloadRequest, RequestReference},
    cluster::receipts,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

/// What a server creates before the first byte of a delivery of `api`, which began then.
pub fn begun(request: &DownloadRequest, began: Timestamp, retained: SignedDuration) -> DownloadReceipt {
    let uid = request.uid().unwrap();
    let spec = DownloadReceiptSpec {
        request_ref: RequestReference { name: request.name_any(), uid: uid.clone() },
        certificate_ref: CertificateReference { name: "api".to_owned() },
        environment: Some("production".to_owned()),
        format: request.spec.format,
        profile: None,
        reason: None,
        requested_by: request.spec.requested_by.clone(),
        approvals: Vec::new(),
        review_digest: None,
        policies: Vec::new(),
        consumed_by: None,
        client_ip: None,
        user_agent: None,
        attempt_id: "never-ended".to_owned(),
        artifact: Artifact { sha256: "0".repeat(64), bytes: 7 },
        fingerprints: Vec::new(),
        token_issued_at: None,
        token_expires_at: None,
        consumed_at: Time(began),
        retain_until: Time(began + retained),
        cluster: None,
    };
    DownloadReceipt::new(&receipts::name_of(&uid), spec)
}
