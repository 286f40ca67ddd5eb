//! Votes: which of them count, what people are told of them, and whether the vote that was stored is the one that was
//! cast. Every door counts with this, so none of them has to wait for a number that the controller writes.

use super::{review::same_person, waiting};
use crate::api::{
    Approval, ApprovalCount, Decision, DownloadRequest, Phase, Review, names,
    words::{ConditionReason, ConditionType},
};

/// How many approvers more than required are asked about: enough that a few who lost the right do not stop a request.
const SPARE: usize = 4;
/// The schema's and the admission policy's bounds on what a vote records of the voter's groups.
const MOST_GROUPS: usize = 512;
const LONGEST_GROUP: usize = 256;
/// Everyone who votes is in it, so a vote need not say so.
pub const AUTHENTICATED: &str = "system:authenticated";

/// What the API server says of people who approved: whether they hold verb `approve` on the Certificate now. An answer
/// belongs to one vote. A vote without an answer does not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Approvers(Vec<(Approval, bool)>);

impl Approvers {
    /// The answers, one for each vote that was asked about.
    #[must_use]
    pub const fn new(answers: Vec<(Approval, bool)>) -> Self {
        Self(answers)
    }

    /// Whether every vote of this request that must be asked about was.
    #[must_use]
    pub fn cover(&self, request: &DownloadRequest) -> bool {
        votes_to_ask_about(request).iter().all(|vote| self.of(vote).is_some())
    }

    fn of(&self, vote: &Approval) -> Option<bool> {
        self.0.iter().find(|(asked, _)| asked == vote).map(|(_, may)| *may)
    }
}

/// The votes to ask the API server about: of those that would count the newest, as many as are required and a few more.
/// The newest, so that one vote more always helps.
#[must_use]
pub fn votes_to_ask_about(request: &DownloadRequest) -> Vec<&Approval> {
    let Some((status, review)) = request.status.as_ref().and_then(|status| Some((status, status.review.as_ref()?)))
    else {
        return Vec::new();
    };
    let mut votes = approving(status.votes(), &review.digest, request.requester());
    let most = usize::try_from(review.approvals.required).unwrap_or(0) + SPARE;
    if review.approvals.required == 0 {
        return Vec::new();
    }
    votes.split_off(votes.len().saturating_sub(most))
}

/// The first approval of each distinct person for this digest, in the order of the votes: never the requester's, never
/// a program's, and upper case makes no one a second person.
fn approving<'a>(approvals: &'a [Approval], digest: &str, requester: &str) -> Vec<&'a Approval> {
    let mut votes: Vec<&Approval> = Vec::new();
    for vote in approvals {
        let counts = vote.decision == Decision::Approve
            && vote.digest == digest
            && !digest.is_empty()
            && !same_person(&vote.username, requester)
            && !is_system_user(&vote.username);
        if counts && !votes.iter().any(|known| same_person(&known.username, &vote.username)) {
            votes.push(vote);
        }
    }
    votes
}

/// Whether a user name is a ServiceAccount's or another one that belongs to the system: such do not vote.
pub(super) fn is_system_user(username: &str) -> bool {
    username.to_lowercase().starts_with("system:")
}

/// The votes on what is under review now, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally<'a> {
    /// How many people must approve.
    pub required: i32,
    /// The votes that count, in their order.
    pub votes: Vec<&'a Approval>,
    /// Who has approved and no longer may.
    pub lapsed: Vec<&'a str>,
}

impl<'a> Tally<'a> {
    /// Counts the votes for a digest by what the API server says of the voters.
    pub(super) fn count(
        approvals: &'a [Approval],
        (digest, requester): (&str, &str),
        required: i32,
        approvers: &Approvers,
    ) -> Self {
        let votes = approving(approvals, digest, requester);
        let said = |answer: bool| move |vote: &&&Approval| approvers.of(vote) == Some(answer);
        Self {
            required,
            votes: votes.iter().filter(said(true)).copied().collect(),
            lapsed: votes.iter().filter(said(false)).map(|vote| vote.username.as_str()).collect(),
        }
    }

    /// The votes of a request for what is under review in its status. `None` before there is a review.
    #[must_use]
    pub fn of(request: &'a DownloadRequest, approvers: &Approvers) -> Option<Self> {
        let status = request.status.as_ref()?;
        let review = status.review.as_ref()?;
        let approvals = status.votes();
        let of = (review.digest.as_str(), request.requester());
        Some(Self::count(approvals, of, review.approvals.required, approvers))
    }

    /// The votes of a request as people are shown them: counted now, without those of whom the controller found last
    /// that they may no longer approve. `None` before there is a review.
    #[must_use]
    pub fn shown(request: &'a DownloadRequest) -> Option<Self> {
        let status = request.status.as_ref()?;
        let review = status.review.as_ref()?;
        let lapsed = |vote: &&Approval| review.approvals.lapsed.contains(&vote.username);
        let votes = approving(status.votes(), &review.digest, request.requester());
        let (lapsed, votes): (Vec<_>, Vec<_>) = votes.into_iter().partition(lapsed);
        let lapsed = lapsed.into_iter().map(|vote| vote.username.as_str()).collect();
        Some(Self { required: review.approvals.required, votes, lapsed })
    }

    /// How many count.
    #[must_use]
    pub fn given(&self) -> i32 {
        i32::try_from(self.votes.len()).unwrap_or(i32::MAX)
    }

    /// Whether enough people approve.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.given() >= self.required
    }

    /// Who approves.
    #[must_use]
    pub fn by(&self) -> Vec<&'a str> {
        self.votes.iter().map(|vote| vote.username.as_str()).collect()
    }

    /// `1/2`; `none` where no one has to approve.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.required == 0 { "none".to_owned() } else { format!("{}/{}", self.given(), self.required) }
    }

    /// As the status has it.
    pub(super) fn in_status(&self) -> ApprovalCount {
        ApprovalCount {
            required: self.required,
            given: self.given(),
            by: self.by().into_iter().map(str::to_owned).collect(),
            lapsed: self.lapsed.iter().map(ToString::to_string).collect(),
            summary: self.summary(),
        }
    }

    /// What is waited for, until when and whom to ask, in a sentence.
    #[must_use]
    pub fn in_words(&self, request: &DownloadRequest, review: &Review) -> String {
        let (given, required, by) = (self.given(), self.required, request.requester());
        let (format, certificate) = (request.spec.format, &request.spec.certificate_ref.name);
        let lapsed = lapsed(&self.lapsed, certificate).map(|words| format!("; {words}")).unwrap_or_default();
        let key = request.key();
        let waits = waiting::in_words(review, (key.namespace, key.name));
        format!("{given} of {required} approvals given for {format} of {certificate}, requested by {by}{waits}{lapsed}")
    }
}

/// Whose vote does not count any more, why, and what to do. `None` where all do.
pub(super) fn lapsed(people: &[&str], certificate: &str) -> Option<String> {
    let whose = match people {
        [] => return None,
        [one] => format!("the vote of {one} no longer counts"),
        many => format!("the votes of {} no longer count", many.join(", ")),
    };
    Some(format!(
        "{whose}: an approver must hold verb approve on certificates.certcourier.io/{certificate}, by name or through \
         a group that the vote lists; another person must approve, or that right must be restored"
    ))
}

/// What a request that waits for approval waits for, counted now. `None` where something else is to be said of it.
#[must_use]
pub fn awaiting_approval(request: &DownloadRequest) -> Option<String> {
    let waits = request
        .condition(ConditionType::Approved)
        .is_some_and(|approved| approved.reason == ConditionReason::AwaitingApproval);
    let review = request.review()?;
    (request.phase() == Phase::AwaitingApproval && waits)
        .then(|| Some(Tally::shown(request)?.in_words(request, review)))?
}

/// The voter's groups, as far as a vote has room for them. They are recorded, because the right to vote may come through
/// one of them, and it is checked again before a token is issued and when it is used.
pub(super) fn groups_to_record(groups: &[String]) -> Vec<String> {
    let mut room = names::MAX_VOTE_GROUPS;
    let mut recorded: Vec<String> = Vec::new();
    for group in groups {
        let length = group.chars().count();
        let fits = (1..=LONGEST_GROUP.min(room)).contains(&length) && recorded.len() < MOST_GROUPS;
        if fits && group != AUTHENTICATED && !recorded.contains(group) {
            room -= length;
            recorded.push(group.clone());
        }
    }
    recorded
}

/// The API server stored something else than what was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "your {what} was changed during admission: {how}. Something in this cluster changes what people send, such as a \
     mutating admission policy or webhook"
)]
pub struct Altered {
    what: &'static str,
    how: String,
}

/// Whether a request holds the very vote that was sent. `before` are the votes from before it.
///
/// # Errors
/// [`Altered`], with what was sent and what was stored in its place.
pub fn read_back(request: &DownloadRequest, before: &[Approval], sent: &Approval) -> Result<(), Altered> {
    let stored = request.votes();
    if stored.contains(sent) {
        return Ok(());
    }
    let fresh = || stored.iter().filter(|vote| !before.contains(vote));
    let own = fresh().find(|vote| same_person(&vote.username, &sent.username)).or_else(|| fresh().next_back());
    let Some(own) = own else {
        let how = format!("you sent {:?}, and no vote of yours was stored", sent.decision);
        return Err(Altered { what: "vote", how });
    };
    let groups = |vote: &Approval| vote.groups.as_ref().map_or_else(String::new, |groups| groups.join(", "));
    let said: Vec<String> = [
        differs("decision", format!("{:?}", sent.decision), format!("{:?}", own.decision)),
        differs("digest", &sent.digest, &own.digest),
        differs("reason", &sent.reason, &own.reason),
        differs("username", &sent.username, &own.username),
        differs("uid", &sent.uid, &own.uid),
        differs("groups", groups(sent), groups(own)),
    ]
    .into_iter()
    .flatten()
    .collect();
    Err(Altered { what: "vote", how: said.join(", ") })
}

fn differs(what: &str, sent: impl AsRef<str>, stored: impl AsRef<str>) -> Option<String> {
    let (sent, stored) = (sent.as_ref(), stored.as_ref());
    (sent != stored).then(|| format!("{what} was sent as `{sent}` and stored as `{stored}`"))
}

/// Whether a request holds the revocation that was sent.
///
/// # Errors
/// [`Altered`], with what was stored in its place.
pub fn withdrawn(request: &DownloadRequest, reason: &str) -> Result<(), Altered> {
    let annotations = request.metadata.annotations.as_ref();
    match annotations.and_then(|annotations| annotations.get(names::REVOKE)) {
        Some(stored) if stored == reason => Ok(()),
        Some(stored) => Err(Altered { what: "revocation", how: differs("reason", reason, stored).unwrap_or_default() }),
        None => Err(Altered { what: "revocation", how: "it was not stored".to_owned() }),
    }
}

/// Whether a request was created as it was asked for. Admission may write who asks.
///
/// # Errors
/// [`Altered`].
pub fn created_as_asked(request: &DownloadRequest, asked: &DownloadRequest) -> Result<(), Altered> {
    // As the API server writes it: times have whole seconds there.
    let written = |request: &DownloadRequest| {
        let mut spec = request.spec.clone();
        spec.requested_by = None;
        serde_json::to_string(&spec).unwrap_or_default()
    };
    match differs("spec", written(asked), written(request)) {
        Some(how) => Err(Altered { what: "request", how }),
        None => Ok(()),
    }
}

/// The requester's user name.
pub(super) fn requester(request: &DownloadRequest) -> &str {
    request.spec.requested_by.as_ref().map_or("", |by| by.username.as_str())
}

#[cfg(test)]
mod tests;
