//! What unit tests of the controller are about.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::{
    CertificateReference, DownloadRequest, DownloadRequestSpec, Format, Phase, Requester,
    condition::ConditionStatus::True,
    words::{ConditionReason, ConditionType},
};
use crate::lifecycle;

/// A request for the certificate `api` of the namespace `payments`, made so many seconds after noon.
pub(crate) fn request(requester: &str, seconds: i64) -> DownloadRequest {
    let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let spec = DownloadRequestSpec {
        certificate_ref: CertificateReference { name: "api".to_owned() },
        environment: None,
        format: Format::Key,
        passphrase_secret_ref: None,
        pkcs12: None,
        pem: None,
        reason: None,
        token_ttl: None,
        deadline: None,
        delivery: None,
        requested_by: Some(Requester { username: requester.to_owned(), ..Requester::default() }),
    };
    let mut request = DownloadRequest::new("api", spec);
    request.metadata.namespace = Some("payments".to_owned());
    request.metadata.uid = Some("uid-1".to_owned());
    request.metadata.creation_timestamp = Some(Time(noon + SignedDuration::from_secs(seconds)));
    request
}

/// The same, revoked so many seconds after noon. The uid is made from its name.
pub(crate) fn finished(name: &str, requester: &str, seconds: i64) -> DownloadRequest {
    let mut request = request(requester, seconds);
    request.metadata.name = Some(name.to_owned());
    request.metadata.uid = Some(format!("uid-{name}"));
    let at = request.created().unwrap_or_default();
    let status = request.status.get_or_insert_default();
    status.phase = Some(Phase::Revoked);
    let ended = True(ConditionReason::Revoked);
    lifecycle::set_condition(&mut status.conditions, ConditionType::Finished, ended, "revoked", Some(1), at);
    request
}
