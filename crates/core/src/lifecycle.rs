//! Where a request goes next: the state table of the design as one pure function.
//!
//! Controller and server observe, call [`next`] (or [`redeem`], [`claim`], which build on it), and act on what it says.
//! Nothing here reads the cluster, the clock or randomness.

mod draft;
mod mint;
mod redeem;
mod rest;
mod retire;
mod review;
mod round;
mod summary;
mod table;
mod vote;
mod votes;
mod waiting;
mod wake;

use jiff::Timestamp;

use crate::{
    api::{
        DownloadRequest, DownloadRequestStatus, Outcome, PreviousToken, Token, TokenEnd,
        words::{EventReason, MaterialProblem},
    },
    policy::Decision,
};

pub use draft::set_condition;
pub use mint::stall;
pub use redeem::{ClaimRefusal, Refusal, claim, present, redeem, stands};
pub use rest::{is_settled, rests_until};
pub use retire::{
    DEFAULT_FINISHED_TTL, Retention, expiry, finished_at, outcome_overdue, receipt_expiry, request_expiry,
};
pub use review::{digest, same_person};
pub use summary::summary;
pub use table::{next, too_many_open};
pub use vote::{
    Ballot, GivenReason, LONGEST_REASON, NoReason, Part, VoteRefusal, cast, entry, is_reviewed, may_vote, part, vote,
};
pub use votes::{
    AUTHENTICATED, Altered, Approvers, Tally, awaiting_approval, created_as_asked, read_back, votes_to_ask_about,
    withdrawn,
};
pub use waiting::review_end;

/// How many ended tokens a request remembers.
pub const REMEMBERED_TOKENS: usize = 4;

/// How many tokens a request has in one round of review: each costs a Secret, a write, an Event and a line of the record,
/// and one is enough for a delivery.
pub const MOST_TOKENS: i64 = 16;

/// Everything a step depends on, as of one moment.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// The request, as read from the API server.
    pub request: &'a DownloadRequest,
    /// What the Secrets hold.
    pub material: Material,
    /// What the policies and the requester's rights say. `None`: the Certificate is gone, so nothing can be decided.
    pub decision: Option<Decision>,
    /// The request's receipt, if it exists.
    pub receipt: Option<ReceiptSeen>,
    /// Which of those who approved may still do so.
    pub approvers: Approvers,
    /// Whether the admission policies are known to be in force.
    pub guard: Guard,
    /// How many open requests of the same requester in this namespace are older. 0 where no one counts them.
    pub ahead: usize,
    /// Intervals and names that the operator was started with.
    pub settings: Settings,
}

/// What the operator was started with, as far as a step depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether `--external-url` is known, so that the token Secret can hold a link.
    pub external_url: bool,
    /// How long a new request waits for its Certificate and Secret to appear.
    pub certificate_wait: std::time::Duration,
    /// How many open requests one requester may have in a namespace.
    pub max_open_requests: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { external_url: true, certificate_wait: std::time::Duration::from_secs(30), max_open_requests: usize::MAX }
    }
}

/// What the Secrets of the environments asked for hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// The Certificate or a Secret is not there (yet).
    Missing {
        /// What is missing.
        problem: MaterialProblem,
        /// The same in a sentence, and what to do.
        message: String,
    },
    /// It is there and cannot be delivered.
    Unusable {
        /// What is wrong.
        problem: MaterialProblem,
        /// The same in a sentence, in which environment, and what to do.
        message: String,
    },
    /// It can be delivered.
    Usable {
        /// SHA-256 fingerprints of the leaves, in the order of the environments.
        fingerprints: Vec<String>,
    },
}

/// What is known of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptSeen {
    /// Its name.
    pub name: String,
    /// How the delivery ended, once that is known.
    pub outcome: Option<Outcome>,
    /// How many bytes were handed out, once that is known.
    pub bytes_sent: Option<i64>,
}

impl ReceiptSeen {
    /// Whether no byte is known to have left: it has not ended, or it was stopped before the first one.
    const fn nothing_left(&self) -> bool {
        matches!((self.outcome, self.bytes_sent), (None, _) | (Some(Outcome::Aborted), Some(0)))
    }
}

/// What is known of the admission policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// No one watches them: nothing waits for the guard.
    Unwatched,
    /// They are in force, and were proven to refuse.
    Intact {
        /// Hash over the policies and bindings.
        epoch: String,
        /// The first intact look of this epoch, API-server time.
        since: Timestamp,
    },
    /// They are not in force, or nothing proves that they are.
    Broken {
        /// Why, in words.
        reason: String,
    },
}

/// What to do now. Sweep first, then mint, then write the status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The status to write; `None`: it is right as it is.
    pub status: Option<Box<DownloadRequestStatus>>,
    /// A token to mint on top of that status.
    pub mint: Option<TokenPlan>,
    /// Whether the token's Secret, Role and RoleBinding are to be removed first.
    pub sweep: bool,
    /// When to look again though nothing changed.
    pub wake_at: Option<Timestamp>,
    /// What people should know: Events.
    pub notes: Vec<Note>,
}

/// A token to mint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPlan {
    /// Its number.
    pub generation: i64,
    /// The round of review it belongs to.
    pub round: i32,
    /// Now.
    pub issued_at: Timestamp,
    /// It is refused after this time.
    pub expires_at: Timestamp,
    /// The value of the mint annotation that it answers.
    pub observed_mint: Option<String>,
    /// The Secret to hold it; `None` for delivery Claim.
    pub secret_name: Option<String>,
    /// Whether the Secret can hold a link.
    pub external_url: bool,
}

/// Something people should know: an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Why.
    pub reason: EventReason,
    /// A sentence.
    pub message: String,
    /// Whether it is a warning.
    pub warning: bool,
}

/// What a mint made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minted {
    /// SHA-256 of the whole token.
    pub hash: String,
    /// The passphrase, sealed under the token, for formats that need one.
    pub sealed_passphrase: Option<String>,
    /// The Role and RoleBinding made for the requester, if they were needed.
    pub reader_name: Option<String>,
}

impl TokenPlan {
    /// The status that says the token was issued: the old one is dead from this write on.
    #[must_use]
    pub fn complete(
        &self,
        request: &DownloadRequest,
        base: &DownloadRequestStatus,
        minted: Minted,
    ) -> DownloadRequestStatus {
        let mut status = base.clone();
        let mut previous = status.token.as_ref().map(|token| token.previous.clone()).unwrap_or_default();
        if let Some(hash) = status.token.as_ref().and_then(|token| token.hash.clone()) {
            remember(&mut previous, hash, TokenEnd::Replaced, self.issued_at);
        }
        status.token = Some(Token {
            hash: Some(minted.hash),
            generation: self.generation,
            round: self.round,
            issued_at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.issued_at)),
            expires_at: Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(self.expires_at)),
            secret_name: self.secret_name.clone(),
            reader_name: minted.reader_name,
            observed_mint: self.observed_mint.clone(),
            sealed_passphrase: minted.sealed_passphrase,
            previous,
        });
        mint::minted(&mut status, request, self);
        status
    }
}

/// Adds an ended token to those that are remembered; the oldest is forgotten.
fn remember(previous: &mut Vec<PreviousToken>, hash: String, why: TokenEnd, now: Timestamp) {
    previous.push(PreviousToken { hash, ended: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now), why });
    let too_many = previous.len().saturating_sub(REMEMBERED_TOKENS);
    previous.drain(..too_many);
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod machine_tests;
#[cfg(test)]
mod tests;
