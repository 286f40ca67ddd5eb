//! Who may vote on a request, and what their vote is: one rule for every way in.
//!
//! Admission has the last word, by the same rule in CEL. This one is here so that a person learns in plain words why their
//! vote would be refused before anything is written, and so that no way in has a rule of its own.

use super::{
    review::same_person,
    votes::{groups_to_record, is_system_user, requester},
};
use crate::api::{Approval, Decision, DownloadRequest, Phase, Requester, Review};

/// The schema's bound on the reason of a vote and of a revocation.
pub const LONGEST_REASON: usize = 1024;

/// Why a person votes or revokes: it says something, and fits on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenReason(String);

/// Why a text is not a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoReason {
    /// Nothing but space.
    Empty,
    /// More than [`LONGEST_REASON`] characters.
    TooLong,
}

impl GivenReason {
    /// The text without the space around it.
    ///
    /// # Errors
    /// [`NoReason`] when nothing is left, or too much.
    pub fn new(text: &str) -> Result<Self, NoReason> {
        match text.trim() {
            "" => Err(NoReason::Empty),
            text if text.chars().count() > LONGEST_REASON => Err(NoReason::TooLong),
            text => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a person wants to vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ballot<'a> {
    /// Approve or deny.
    pub decision: Decision,
    /// The digest of what they saw. `None`: what is under review now. Only an approval is bound to it, because a denial
    /// must never come too late.
    pub digest: Option<&'a str>,
    /// Whether they also approve what has enough approvals, or needs none: it counts if another approver loses the right.
    pub spare: bool,
}

/// Why a vote would not be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteRefusal {
    /// The request has ended.
    Closed(Phase),
    /// A ServiceAccount or another user of the system: approvers are people.
    SystemUser,
    /// They asked for it themselves.
    OwnRequest,
    /// They have approved what is under review now.
    AlreadyApproved,
    /// They have denied the request, which ends it.
    AlreadyDenied,
    /// Nothing is under review yet.
    NothingToApprove,
    /// No approval is missing, and the ballot is not a spare one.
    NotAwaited(Phase),
    /// What is under review is not what they saw.
    OtherReview,
}

/// What a person has to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// They asked for it.
    Asked,
    /// They have approved what is under review now.
    Approved,
    /// They have denied it.
    Denied,
    /// Nothing yet.
    None,
}

/// What `username` has to do with the request.
#[must_use]
pub fn part(request: &DownloadRequest, username: &str) -> Part {
    if same_person(requester(request), username) {
        return Part::Asked;
    }
    let digest = digest(request);
    let mut own = cast(request).iter().filter(|vote| same_person(&vote.username, username));
    if own.clone().any(|vote| vote.decision == Decision::Deny) {
        Part::Denied
    } else if own.any(|vote| vote.digest == digest) {
        Part::Approved
    } else {
        Part::None
    }
}

/// Whether there is anything to say to a voter: the controller has opened a review, or the request has ended.
#[must_use]
pub fn is_reviewed(request: &DownloadRequest) -> bool {
    let opened = request.status.as_ref().is_some_and(|status| status.approvals.is_some());
    opened || !phase(request).is_open()
}

/// Whether this person may cast this ballot on the request as it is now.
///
/// # Errors
/// [`VoteRefusal`], the first that applies, in the order of the type.
pub fn may_vote(request: &DownloadRequest, username: &str, ballot: &Ballot<'_>) -> Result<(), VoteRefusal> {
    let phase = phase(request);
    if !phase.is_open() {
        return Err(VoteRefusal::Closed(phase));
    }
    if is_system_user(username) {
        return Err(VoteRefusal::SystemUser);
    }
    match (part(request, username), ballot.decision) {
        (Part::Asked, _) => return Err(VoteRefusal::OwnRequest),
        (Part::Approved, Decision::Approve) => return Err(VoteRefusal::AlreadyApproved),
        (Part::Denied, _) => return Err(VoteRefusal::AlreadyDenied),
        (Part::Approved, Decision::Deny) | (Part::None, _) => {}
    }
    if ballot.decision == Decision::Deny {
        return Ok(());
    }
    match phase {
        Phase::AwaitingApproval => {}
        Phase::Pending => return Err(VoteRefusal::NothingToApprove),
        _ if ballot.spare => {}
        _ => return Err(VoteRefusal::NotAwaited(phase)),
    }
    match ballot.digest {
        Some(seen) if review(request).is_none_or(|review| review.digest != seen) => Err(VoteRefusal::OtherReview),
        _ => Ok(()),
    }
}

/// The vote to append to a request for this ballot.
///
/// # Errors
/// [`VoteRefusal`], as [`may_vote`] says.
pub fn vote(
    request: &DownloadRequest,
    who: &Requester,
    ballot: &Ballot<'_>,
    reason: &GivenReason,
) -> Result<Approval, VoteRefusal> {
    may_vote(request, &who.username, ballot).map(|()| entry(request, who, ballot, reason))
}

/// A vote as it is written, whether or not it may be cast.
#[must_use]
pub fn entry(request: &DownloadRequest, who: &Requester, ballot: &Ballot<'_>, reason: &GivenReason) -> Approval {
    Approval {
        username: who.username.clone(),
        uid: String::new(),
        digest: ballot.digest.unwrap_or_else(|| digest(request)).to_owned(),
        decision: ballot.decision,
        reason: reason.as_str().to_owned(),
        groups: Some(groups_to_record(&who.groups)),
    }
}

/// The votes of a request, of every round.
#[must_use]
pub fn cast(request: &DownloadRequest) -> &[Approval] {
    request.status.as_ref().and_then(|status| status.approvals.as_deref()).unwrap_or_default()
}

fn phase(request: &DownloadRequest) -> Phase {
    request.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

fn review(request: &DownloadRequest) -> Option<&Review> {
    request.status.as_ref().and_then(|status| status.review.as_ref())
}

fn digest(request: &DownloadRequest) -> &str {
    review(request).map_or("", |review| review.digest.as_str())
}

#[cfg(test)]
mod tests;
