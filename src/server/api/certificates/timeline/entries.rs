//! Requests and receipts as moments. Pure.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::{
    DateTime, Decision, DownloadReceipt, DownloadRequest, DownloadRequestStatus, Phase, TokenEnd,
    http::FormatName,
    names,
    words::{ConditionReason, ConditionType},
};

/// Something that happened.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub struct Entry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: DateTime,
    /// What.
    pub kind: Kind,
    /// The request that it happened to.
    pub request: String,
    /// The format of its file.
    #[schema(value_type = FormatName)]
    pub format: &'static str,
    /// The environment; null means the default one, or all for der-zip.
    pub environment: Option<String>,
    /// Who did it, where that is known.
    pub by: Option<String>,
    /// The rest, in a sentence.
    pub message: String,
    /// The receipt of a download.
    pub receipt: Option<String>,
    /// Where a download went.
    pub client_ip: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request was created.
    Requested,
    /// The last missing approval was given.
    Approved,
    /// A token was issued.
    Minted,
    /// The file was delivered, or its delivery broke off.
    Downloaded,
    /// A policy refused it, or a person denied it.
    Refused,
    /// A token or a request expired.
    Expired,
    /// What was under review changed, which made votes and token void.
    Voided,
    /// The request was revoked.
    Revoked,
}

/// Newest first; what happened at the same time, the later step first; then by request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(Reverse<Timestamp>, Reverse<Kind>, String, String);

impl Default for Key {
    fn default() -> Self {
        Self(Reverse(Timestamp::UNIX_EPOCH), Reverse(Kind::Requested), String::new(), String::new())
    }
}

impl Entry {
    /// When it happened.
    pub fn time(&self) -> Timestamp {
        self.time.0
    }

    /// Its place in the order.
    pub fn key(&self) -> Key {
        Key(Reverse(self.time.0), Reverse(self.kind), self.request.clone(), self.message.clone())
    }

    fn at(mut self, time: &Time) -> Self {
        self.time = time.clone();
        self
    }

    fn by(mut self, who: Option<String>) -> Self {
        self.by = who.filter(|who| !who.is_empty());
        self
    }
}

/// What a receipt tells: beside its request, and alone where the request is gone.
pub struct Delivered {
    request_uid: String,
    beside: Entry,
    alone: Vec<Entry>,
}

impl Delivered {
    /// Of a receipt.
    pub fn of(receipt: &DownloadReceipt) -> Self {
        let mut alone = Vec::new();
        of_receipt(receipt, &mut alone);
        Self { request_uid: receipt.spec.request_ref.uid.clone(), beside: delivery(receipt), alone }
    }
}

/// What the objects tell that have been read so far: receipts first, then requests, and none of the objects is kept.
#[derive(Default)]
pub struct Moments {
    deliveries: BTreeMap<String, Delivered>,
    entries: Vec<Entry>,
    any: bool,
}

impl Moments {
    /// Takes receipts in.
    pub fn add_receipts(&mut self, receipts: Vec<Delivered>) {
        self.any |= !receipts.is_empty();
        self.deliveries.extend(receipts.into_iter().map(|receipt| (receipt.request_uid.clone(), receipt)));
    }

    /// Takes requests in, each with its receipt.
    pub fn add_requests(&mut self, requests: &[DownloadRequest]) {
        self.any |= !requests.is_empty();
        for request in requests {
            let delivered = self.deliveries.remove(request.uid_text());
            of_request(request, delivered.is_some(), &mut self.entries);
            self.entries.extend(delivered.map(|delivered| delivered.beside));
        }
    }

    /// Whether no object was read.
    pub fn is_empty(&self) -> bool {
        !self.any
    }

    /// Lets go of what will not be shown: all but so many of the newest that pass.
    pub fn keep_newest(&mut self, most: usize, passes: impl Fn(&Entry) -> bool) {
        self.entries.retain(passes);
        self.entries.sort_by_cached_key(Entry::key);
        self.entries.truncate(most);
    }

    /// So many of the newest that pass, newest first.
    pub fn newest(mut self, most: usize, passes: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let alone = std::mem::take(&mut self.deliveries).into_values().flat_map(|delivered| delivered.alone);
        self.entries.extend(alone);
        self.keep_newest(most, passes);
        self.entries
    }
}

fn of_request(request: &DownloadRequest, has_receipt: bool, all: &mut Vec<Entry>) {
    let status = request.status.clone().unwrap_or_default();
    let entry = |kind, message: &str| Entry {
        time: Time(Timestamp::UNIX_EPOCH),
        kind,
        request: request.name_any(),
        format: request.spec.format.name(),
        environment: request.spec.environment.clone(),
        by: None,
        message: message.to_owned(),
        receipt: None,
        client_ip: None,
    };
    let requester = request.spec.requested_by.as_ref().map(|by| by.username.clone());
    if let Some(time) = request.creation_timestamp() {
        all.push(entry(Kind::Requested, &why_asked(request, &status)).at(&time).by(requester.clone()));
    }
    let approved =
        status.condition_true(ConditionType::Approved).filter(|approved| approved.reason == ConditionReason::ByPeople);
    if let Some((review, approved)) = status.review.as_ref().zip(approved)
        && let Some(time) = &review.approved_at
    {
        all.push(entry(Kind::Approved, &approved.message).at(time).by(Some(review.approvals.by.join(", "))));
    }
    // It came too late for what had begun to be delivered; of others the ending tells.
    let denied =
        status.condition(ConditionType::Approved).filter(|approved| approved.reason == ConditionReason::Denied);
    if let Some(denied) = denied.filter(|_| status.phase() == Phase::Consumed) {
        all.push(entry(Kind::Refused, &denied.message).at(&denied.last_transition_time).by(denied_by(&status)));
    }
    if let Some(token) = &status.token {
        for ended in &token.previous {
            let (kind, message) = match ended.why {
                TokenEnd::Expired => (Kind::Expired, "an unused token expired"),
                TokenEnd::ApprovalMissing => {
                    (Kind::Voided, "an approver has lost the right to approve; the token is void")
                }
                TokenEnd::ReviewChanged => (Kind::Voided, "what was reviewed has changed; votes and token are void"),
                // What came next tells of these.
                TokenEnd::Replaced | TokenEnd::Used | TokenEnd::Closed => continue,
            };
            all.push(entry(kind, message).at(&ended.ended));
        }
        if let Some((time, until)) = token.issued_at.as_ref().zip(token.expires_at.as_ref()) {
            let message = format!("token {}, valid until {}", token.generation, until.0);
            all.push(entry(Kind::Minted, &message).at(time).by(requester));
        }
    }
    if let Some((kind, message, time)) = ending(&status, has_receipt) {
        let by = match status.phase() {
            Phase::Denied => denied_by(&status),
            Phase::Revoked => request.annotation(names::REVOKED_BY).map(str::to_owned),
            _ => None,
        };
        let mut entry = entry(kind, message).at(time).by(by);
        entry.receipt = status.receipt_ref.as_ref().map(|receipt| receipt.name.clone());
        all.push(entry);
    }
}

/// Who denied it: the first, for one Deny ends it.
fn denied_by(status: &DownloadRequestStatus) -> Option<String> {
    status.votes().iter().find(|vote| vote.decision == Decision::Deny).map(|vote| vote.username.clone())
}

/// Why the file is asked for; and until when the request waits, where it does.
fn why_asked(request: &DownloadRequest, status: &DownloadRequestStatus) -> String {
    let why = request.spec.reason.as_deref().unwrap_or("without a reason");
    let end = status.review.as_ref().and_then(|review| review.expires_at.as_ref()).filter(|_| request.is_open());
    end.map_or_else(|| why.to_owned(), |end| format!("{why}; it waits for approvals until {}", end.0))
}

/// How the request ended. A delivery is told by its receipt, where there is one to be seen.
fn ending(status: &DownloadRequestStatus, has_receipt: bool) -> Option<(Kind, &str, &Time)> {
    let phase = status.phase();
    // A delivery under way is not finished.
    let used = || {
        let issued = status.condition(ConditionType::TokenIssued);
        issued.filter(|issued| issued.status == "False" && phase == Phase::Consumed)
    };
    let last = status.condition_true(ConditionType::Finished).or_else(used)?;
    let kind = match phase {
        Phase::Consumed if has_receipt => return None,
        Phase::Consumed => Kind::Downloaded,
        Phase::Denied | Phase::Failed => Kind::Refused,
        Phase::Expired => Kind::Expired,
        Phase::Revoked => Kind::Revoked,
        Phase::Pending | Phase::AwaitingApproval | Phase::Approved | Phase::TokenIssued => return None,
    };
    Some((kind, &last.message, &last.last_transition_time))
}

/// What is left of a request that was deleted.
fn of_receipt(receipt: &DownloadReceipt, all: &mut Vec<Entry>) {
    let delivery = delivery(receipt);
    if let Some(time) = &receipt.spec.token_issued_at {
        let requester = receipt.spec.requested_by.as_ref().map(|by| by.username.clone());
        let minted = Entry { kind: Kind::Minted, message: "the token that was used".to_owned(), ..delivery.clone() };
        let minted = Entry { client_ip: None, receipt: None, ..minted };
        all.push(minted.at(time).by(requester));
    }
    all.push(delivery);
}

fn delivery(receipt: &DownloadReceipt) -> Entry {
    let (spec, status) = (&receipt.spec, receipt.status.clone().unwrap_or_default());
    let outcome = status.outcome.map_or_else(|| "under way".to_owned(), |outcome| format!("{outcome:?}"));
    let sent = status.bytes_sent.map(|sent| format!("{sent} of ")).unwrap_or_default();
    let consumed_by = spec.consumed_by.as_ref().map(|by| by.username.clone());
    Entry {
        time: spec.consumed_at.clone(),
        kind: Kind::Downloaded,
        request: spec.request_ref.name.clone(),
        format: spec.format.name(),
        environment: spec.environment.clone(),
        by: consumed_by.or_else(|| spec.requested_by.as_ref().map(|by| by.username.clone())),
        message: format!("{outcome}, {sent}{} bytes", spec.artifact.bytes),
        receipt: Some(receipt.name_any()),
        client_ip: spec.client_ip.clone(),
    }
}

#[cfg(test)]
mod tests;
