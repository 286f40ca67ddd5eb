//! What the status of a request or of a Certificate says.

use certcourier::api::{Certificate, DownloadRequest, DownloadRequestStatus, Phase};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// What has conditions.
pub trait Conditions {
    fn conditions(&self) -> &[Condition];
}

impl Conditions for DownloadRequestStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Conditions for DownloadRequest {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(DownloadRequestStatus::conditions).unwrap_or_default()
    }
}

impl Conditions for Certificate {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
    }
}

/// `status/reason` of a condition; empty when it is not there.
pub fn condition(of: &impl Conditions, kind: &str) -> String {
    let found = of.conditions().iter().find(|condition| condition.type_ == kind);
    found.map(|condition| format!("{}/{}", condition.status, condition.reason)).unwrap_or_default()
}

/// The message of a condition; empty when it is not there.
pub fn message(of: &impl Conditions, kind: &str) -> String {
    let found = of.conditions().iter().find(|condition| condition.type_ == kind);
    found.map(|condition| condition.message.clone()).unwrap_or_default()
}

/// A request, or its status alone.
pub trait RequestStatus {
    fn status(&self) -> Option<&DownloadRequestStatus>;
}

impl RequestStatus for DownloadRequestStatus {
    fn status(&self) -> Option<&DownloadRequestStatus> {
        Some(self)
    }
}

impl RequestStatus for DownloadRequest {
    fn status(&self) -> Option<&DownloadRequestStatus> {
        self.status.as_ref()
    }
}

/// The phase; Pending before the controller has looked.
pub fn phase(of: &impl RequestStatus) -> Phase {
    of.status().and_then(|status| status.phase).unwrap_or_default()
}

/// The generation of its token; 0 without one.
pub fn generation(of: &impl RequestStatus) -> i64 {
    of.status().and_then(|status| status.token.as_ref()).map_or(0, |token| token.generation)
}

/// The hash of its living token.
pub fn hash(of: &impl RequestStatus) -> Option<String> {
    of.status()?.token.as_ref()?.hash.clone()
}

/// The Role and RoleBinding through which the requester reads the token.
pub fn reader(of: &impl RequestStatus) -> String {
    let token = of.status().and_then(|status| status.token.as_ref());
    token.and_then(|token| token.reader_name.clone()).expect("a Role was made for the requester")
}

/// The API server's words of a refusal.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
