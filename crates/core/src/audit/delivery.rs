//! What happens to a token that is presented, and to a file on its way. Pure.

use jiff::Timestamp;

use super::{
    fact::{Data, Fact, about, cut, name, subject, subject_of, within_the_minute},
    kind::Kind,
};
use crate::api::{DownloadReceipt, DownloadRequest, Outcome};

/// What is known of a request over HTTP that no one needed to authenticate for.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Where it comes from.
    pub address: &'a str,
    /// Its id.
    pub request_id: &'a str,
}

/// The file is about to be sent: everything is decided, nothing has happened.
#[must_use]
pub fn releasing(receipt: &DownloadReceipt, presented: Presented<'_>, now: Timestamp) -> Fact {
    let attempt = &receipt.spec.attempt_id;
    let data = Data { request_id: Some(presented.request_id.to_owned()), ..recorded(receipt) };
    of_receipt(receipt, Kind::CertReleasing, &format!("releasing/{attempt}"), now, data)
}

/// The file was delivered, or its delivery ended otherwise. `request_id` is not known to who writes Unknown.
#[must_use]
pub fn downloaded(
    receipt: &DownloadReceipt,
    outcome: Outcome,
    bytes_sent: Option<i64>,
    request_id: Option<&str>,
    now: Timestamp,
) -> Fact {
    let data = Data {
        request_id: request_id.map(str::to_owned),
        outcome: Some(outcome.name()),
        bytes_sent,
        ..recorded(receipt)
    };
    of_receipt(receipt, Kind::CertDownloaded, "downloaded", now, data)
}

/// A token of this request was presented and refused. `used`: because it had been used.
#[must_use]
pub fn refused(
    request: &DownloadRequest,
    (code, message): (&'static str, &str),
    used: bool,
    presented: Presented<'_>,
    now: Timestamp,
) -> Fact {
    let uid = request.uid_text();
    let id = within_the_minute(&[uid, code, presented.address], now);
    let data = Data {
        code: Some(code.to_owned()),
        message: Some(cut(message)),
        address: Some(presented.address.to_owned()),
        request_id: Some(presented.request_id.to_owned()),
        ..about(request)
    };
    let kind = if used { Kind::TokenReused } else { Kind::CertDownloadRefused };
    Fact { kind, id: Some(id), time: now, subject: subject_of(request), data: data.into() }
}

fn of_receipt(receipt: &DownloadReceipt, kind: Kind, what: &str, time: Timestamp, data: Data) -> Fact {
    let (namespace, spec) = (receipt.metadata.namespace.as_deref(), &receipt.spec);
    Fact {
        kind,
        id: Some(format!("{}/{what}", spec.request_ref.uid)),
        time,
        subject: subject(namespace, "downloadrequests", Some(&spec.request_ref.name)),
        data: data.into(),
    }
}

/// What the receipt says.
fn recorded(receipt: &DownloadReceipt) -> Data {
    let spec = &receipt.spec;
    Data {
        namespace: receipt.metadata.namespace.clone(),
        certificate: Some(spec.certificate_ref.name.clone()),
        environment: spec.environment.clone(),
        format: Some(spec.format.name()),
        request: Some(spec.request_ref.name.clone()),
        request_uid: Some(spec.request_ref.uid.clone()),
        requester: spec.requested_by.as_ref().map(name),
        actor: spec.consumed_by.as_ref().map(|by| by.username.clone()),
        address: spec.client_ip.clone(),
        reason: spec.reason.as_deref().map(cut),
        review_digest: spec.review_digest.clone(),
        approved_by: spec.approvals.iter().map(|approver| approver.username.clone()).collect(),
        policies: spec.policies.clone(),
        receipt: receipt.metadata.name.clone(),
        fingerprints: spec.fingerprints.clone(),
        artifact_sha256: Some(spec.artifact.sha256.clone()),
        bytes: Some(spec.artifact.bytes),
        ..Data::default()
    }
}
