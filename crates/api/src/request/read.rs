//! What a request says of itself, read in one way by everyone. No rules: those are in `lifecycle`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Approval, Delivery, DownloadRequest, DownloadRequestStatus, Phase, Review, Token};
use crate::{condition, words::ConditionType};

impl DownloadRequest {
    /// Its phase; a request that no one has reconciled yet is Pending.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.as_ref().map_or(Phase::Pending, DownloadRequestStatus::phase)
    }

    /// Whether anything but a receipt can still change it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.phase().is_open()
    }

    /// The uid; empty while the API server has not stored it.
    #[must_use]
    pub fn uid_text(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// When the API server stored it.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.metadata.creation_timestamp.as_ref().map(|time| time.0)
    }

    /// The user name of the requester; empty while admission has not written it.
    #[must_use]
    pub fn requester(&self) -> &str {
        self.spec.requested_by.as_ref().map_or("", |by| by.username.as_str())
    }

    /// Where the token goes.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.spec.delivery.unwrap_or_default()
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// The current token, or what is left of the last one.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.status.as_ref()?.token.as_ref()
    }

    /// What is under review.
    #[must_use]
    pub fn review(&self) -> Option<&Review> {
        self.status.as_ref()?.review.as_ref()
    }

    /// Every vote, also those that count no longer.
    #[must_use]
    pub fn votes(&self) -> &[Approval] {
        self.status.as_ref().map_or(&[], DownloadRequestStatus::votes)
    }

    /// The conditions.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| status.conditions.as_slice())
    }

    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        condition::find(self.conditions(), kind)
    }
}

impl DownloadRequestStatus {
    /// The phase; Pending while there is none.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.unwrap_or_default()
    }

    /// Every vote, also those that count no longer.
    #[must_use]
    pub fn votes(&self) -> &[Approval] {
        self.approvals.as_deref().unwrap_or_default()
    }

    /// The condition of this type.
    #[must_use]
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        condition::find(&self.conditions, kind)
    }

    /// The condition of this type, while it is True.
    #[must_use]
    pub fn condition_true(&self, kind: ConditionType) -> Option<&Condition> {
        condition::find_true(&self.conditions, kind)
    }
}
