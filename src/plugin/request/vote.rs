//! A vote: what is approved is shown, the voter is asked, and exactly one entry is appended, for what was shown and
//! nothing else.
//!
//! It goes through the Kubernetes API with the voter's own rights; admission has the last word. What is refused here
//! already is refused in plainer words, and before anyone is asked.

use std::time::Duration;

use kube::{Api, ResourceExt as _};

use super::review;
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{confirm, facts::Page, output::OutputArgs},
};
use crate::{
    api::{Certificate, Decision, DownloadRequest, Requester},
    cluster::{
        access,
        error::During as _,
        settle::Patience,
        votes::{self, VoteError, Voter},
    },
    lifecycle::{self, Ballot, GivenReason, LONGEST_REASON, NoReason, Tally, VoteRefusal},
};

/// How long a new request may take until there is something to vote on.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long, and how often, to look for a vote whose answer was lost.
const PATIENCE: Patience = Patience { limit: Duration::from_secs(5), pause: Duration::from_millis(200) };

/// What a person votes, as they typed it.
pub struct VoteCommand<'a> {
    /// On which request.
    pub request: &'a str,
    /// How.
    pub decision: Decision,
    /// Why; asked for where it is missing and someone sits there.
    pub reason: Option<&'a str>,
    /// What they have seen, if they say so.
    pub digest: Option<&'a str>,
    /// Whether to ask no more.
    pub yes: bool,
}

impl VoteCommand<'_> {
    /// The ballot for what is shown or was seen. No one is asked for an approval that no one waits for.
    const fn ballot<'b>(&self, digest: Option<&'b str>) -> Ballot<'b> {
        Ballot { decision: self.decision, digest, spare: false }
    }

    fn verb(&self) -> &'static str {
        match self.decision {
            Decision::Approve => "approve",
            Decision::Deny => "deny",
        }
    }

    fn question(&self) -> &'static str {
        match self.decision {
            Decision::Approve => "Approve this?",
            Decision::Deny => "Deny this?",
        }
    }

    fn done(&self) -> &'static str {
        match self.decision {
            Decision::Approve => "approved",
            Decision::Deny => "denied",
        }
    }
}

/// Shows, asks, votes.
///
/// # Errors
/// When there is nothing to vote on, it is not theirs to vote, they do not want to, or the API server refuses.
pub async fn cast(ctx: &Ctx, command: &VoteCommand<'_>, output: &OutputArgs) -> Result<(), PluginError> {
    let given = command.reason.map(checked).transpose()?;
    if given.is_none() && !confirm::can_ask() {
        return Err(PluginError::usage("say why with --reason: it goes on record with the vote"));
    }
    confirmable(command, confirm::can_ask())?;
    let who = access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?;
    let request = under_review(ctx, command).await?;
    if let Err(refusal) = lifecycle::may_vote(&request, &who.username, &command.ballot(command.digest)) {
        if is_done(&request, command, refusal) {
            let name = command.request;
            output
                .object(&request, || format!("downloadrequest.certcourier.io/{name} already {}\n", command.done()))?;
            return ctx.say(&format!("your vote counts once: {}", review::count(&request)));
        }
        return Err(refused(ctx, &request, &who, refusal));
    }
    let certificate = right_and_certificate(ctx, &request, &who, command).await?;
    let mut page = Page::default();
    page.fact("Request", format!("{}/{}", ctx.namespace, request.name_any()));
    review::asked(&mut page, &request);
    review::reviewed(&mut page, &request, certificate.as_ref(), ctx.now());
    ctx.show(&page.render(ctx.stderr));
    let reason = match given {
        Some(reason) => reason,
        None => checked(&confirm::ask("Reason, for the record:").await?)?,
    };
    // Without a terminal `confirmable` has seen --yes or --digest.
    if !command.yes && confirm::can_ask() && !confirm::agreed(command.question()).await? {
        return Err(PluginError::new(format!("not {}: nothing was written", command.done())));
    }
    let (name, flags) = (command.request, ctx.flags());
    ctx.resume_by(format!("whether the vote is cast: kubectl certcourier describe {name} {flags}"));
    let voted = append(ctx, request, &who, command, &reason).await?;
    output.object(&voted, || format!("downloadrequest.certcourier.io/{name} {}\n", command.done()))?;
    ctx.say(&follows(&voted, command.decision))
}

/// No one votes on what they were not asked about: where no one can be, the command line says that it was read.
fn confirmable(command: &VoteCommand<'_>, can_ask: bool) -> Result<(), PluginError> {
    if can_ask || command.yes || command.digest.is_some() {
        return Ok(());
    }
    Err(PluginError::usage(match command.decision {
        Decision::Approve => {
            "there is no terminal to confirm at: add --yes, or --digest DIGEST to approve exactly what you saw"
        }
        Decision::Deny => "there is no terminal to confirm at: add --yes",
    }))
}

/// Whether the vote is there already, for what they have seen: then nothing is wrong.
fn is_done(request: &DownloadRequest, command: &VoteCommand<'_>, refusal: VoteRefusal) -> bool {
    let under_review = request.review().map(|review| review.digest.as_str());
    match refusal {
        VoteRefusal::AlreadyApproved => command.digest.is_none_or(|seen| Some(seen) == under_review),
        VoteRefusal::AlreadyDenied => command.decision == Decision::Deny,
        _ => false,
    }
}

/// A reason that says something.
fn checked(reason: &str) -> Result<GivenReason, PluginError> {
    GivenReason::new(reason).map_err(|wrong| match wrong {
        NoReason::Empty => PluginError::usage("the reason is empty: say why, it goes on record with the vote"),
        NoReason::TooLong => PluginError::usage(format!("the reason is longer than {LONGEST_REASON} characters")),
    })
}

/// The request once the controller has picked it up.
async fn under_review(ctx: &Ctx, command: &VoteCommand<'_>) -> Result<DownloadRequest, PluginError> {
    let found = votes::under_review(FIRST_LOOK, || ctx.one(command.request, "list requests")).await?;
    found.ok_or_else(|| {
        PluginError::new(format!(
            "the controller has not picked up {} yet: there is nothing to vote on",
            command.request
        ))
        .next("try again; if it stays so, does the operator run, and does it watch this namespace?")
    })
}

/// Why this vote would not be one, and what to do instead.
fn refused(ctx: &Ctx, request: &DownloadRequest, who: &Requester, refusal: VoteRefusal) -> PluginError {
    in_words(request, &who.username, refusal, &ctx.flags())
}

fn in_words(request: &DownloadRequest, me: &str, refusal: VoteRefusal, flags: &str) -> PluginError {
    let (name, why) = (request.name_any(), lifecycle::summary(request).unwrap_or_default());
    match refusal {
        VoteRefusal::Closed(phase) => {
            let why = if why.is_empty() { why } else { format!(": {why}") };
            PluginError::new(format!("{name} is closed ({}) and takes no more votes{why}", phase.name()))
        }
        VoteRefusal::SystemUser => PluginError::new(format!("approvers are people, and you are `{me}`"))
            .next(format!("revoke it: kubectl certcourier revoke {name} {flags} --reason …")),
        VoteRefusal::OwnRequest => PluginError::new(format!(
            "you asked for {name} yourself, and no one votes on their own request"
        ))
        .next(format!(
            "someone else with ClusterRole certcourier-approver must vote; to revoke it: kubectl certcourier \
                     revoke {name} {flags} --reason …"
        )),
        VoteRefusal::AlreadyApproved => {
            PluginError::new(format!("you have approved {name} already: {}", review::count(request)))
        }
        VoteRefusal::AlreadyDenied => PluginError::new(format!("you have denied {name} already")),
        VoteRefusal::NothingToApprove => {
            PluginError::new(format!("there is nothing to approve yet, {name} is Pending: {why}"))
        }
        VoteRefusal::NotAwaited(phase) => {
            PluginError::new(format!("{name} is {} and waits for no one: {}", phase.name(), review::count(request)))
                .next(format!("to stop it: kubectl certcourier deny {name} {flags} --reason …"))
        }
        VoteRefusal::OtherReview => {
            PluginError::new(format!("what you saw of {name} is no longer what is under review: nothing was written"))
                .next(format!("check again: kubectl certcourier describe {name} {flags}"))
        }
    }
}

/// The Certificate, for what its status says of the fingerprints; a voter without its verb need not be asked.
async fn right_and_certificate(
    ctx: &Ctx,
    request: &DownloadRequest,
    who: &Requester,
    command: &VoteCommand<'_>,
) -> Result<Option<Certificate>, PluginError> {
    let name = &request.spec.certificate_ref.name;
    let certificates: Api<Certificate> = ctx.api();
    let right = ("approve", "certificates", name.as_str());
    let (may, certificate) =
        tokio::join!(access::caller_may(ctx.clients.reads(), &ctx.namespace, right), certificates.get_opt(name));
    if !may? {
        let words = format!(
            "you ({}) are not allowed to {} it: you lack verb approve on certificates.certcourier.io/{name} in \
             namespace {}",
            who.username,
            command.verb(),
            ctx.namespace
        );
        return Err(PluginError::new(words).next("ask for ClusterRole certcourier-approver there"));
    }
    Ok(certificate.ok().flatten())
}

/// Appends the vote to the object that was shown, for what was shown.
async fn append(
    ctx: &Ctx,
    shown: DownloadRequest,
    who: &Requester,
    command: &VoteCommand<'_>,
    reason: &GivenReason,
) -> Result<DownloadRequest, PluginError> {
    let digest = shown.review().map(|review| review.digest.clone()).unwrap_or_default();
    let ballot = command.ballot(Some(&digest));
    let voter = Voter { who, reads: ctx.clients.reads(), writes: ctx.clients.writes(), patience: PATIENCE };
    let name = command.request;
    votes::append(voter, shown, &ballot, reason).await.map_err(|error| match error {
        VoteError::Refused { refusal, request } => refused(ctx, &request, who, refusal),
        VoteError::Altered(altered) => ctx.altered(&altered, name),
        VoteError::Api(error) | VoteError::Unknown(error) => error.into(),
        VoteError::Gone => PluginError::new(format!("{name} was deleted meanwhile: there is nothing left to vote on")),
        VoteError::Restless => {
            PluginError::new(format!("{name} changes too fast: nothing was written")).next("try again")
        }
    })
}

/// What happens now. The controller counts, so the object might not say yet.
fn follows(request: &DownloadRequest, decision: Decision) -> String {
    let Some(tally) = Tally::shown(request) else { return String::new() };
    let (given, required) = (tally.given(), tally.required);
    match decision {
        Decision::Deny => "One denial ends a request: no token of it works any more.".to_owned(),
        Decision::Approve if tally.is_enough() => {
            format!("Approved ({given} of {required}): {} can download the file now.", request.requester())
        }
        Decision::Approve => format!("{given} of {required} approvals are given."),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::review::fixtures::{request, vote},
        *,
    };
    use crate::api::Approval;

    fn words(phase: &str, votes: &serde_json::Value, me: &str, decision: Decision) -> String {
        let request = request(phase, votes);
        let may = lifecycle::may_vote(&request, me, &Ballot { decision, digest: None, spare: false });
        may.map_or_else(|refusal| in_words(&request, me, refusal, "-n payments").report(), |()| String::new())
    }

    #[test]
    fn a_vote_that_would_be_none_is_refused_with_what_to_do() {
        use Decision::{Approve, Deny};
        for (phase, votes, me, decision, said) in [
            ("AwaitingApproval", json!([]), "alice", Approve, "kubectl certcourier revoke key -n payments"),
            ("AwaitingApproval", json!([]), "Alice", Deny, "yourself"),
            ("AwaitingApproval", json!([vote("Approve", "d1")]), "bob", Approve, "already: 1 of 2 given (bob)"),
            ("AwaitingApproval", json!([vote("Deny", "x")]), "bob", Deny, "denied key already"),
            ("AwaitingApproval", json!([]), "system:serviceaccount:ci:robot", Approve, "approvers are people"),
            ("Pending", json!([]), "bob", Approve, "nothing to approve yet"),
            ("TokenIssued", json!([]), "bob", Approve, "kubectl certcourier deny key -n payments"),
            ("Denied", json!([]), "bob", Approve, "closed (Denied"),
            ("Consumed", json!([]), "bob", Deny, "closed (Consumed"),
        ] {
            let words = words(phase, &votes, me, decision);
            assert!(words.contains(said), "{phase} {me} {decision:?}: {words}");
        }
        for (phase, votes, decision) in [
            ("AwaitingApproval", json!([]), Approve),
            ("AwaitingApproval", json!([vote("Approve", "d0")]), Approve),
            ("AwaitingApproval", json!([vote("Approve", "d1")]), Deny),
            ("TokenIssued", json!([vote("Approve", "d1")]), Deny),
        ] {
            assert_eq!(words(phase, &votes, "bob", decision), "", "{phase} {decision:?}");
        }
    }

    #[test]
    fn an_empty_reason_is_none() {
        assert_eq!(checked(" INC-1 ").unwrap().as_str(), "INC-1");
        assert!(checked(" \t").is_err());
        assert!(checked(&"x".repeat(LONGEST_REASON + 1)).is_err());
    }

    #[test]
    fn a_lost_answer_is_settled_by_the_very_vote() {
        let cast = request("AwaitingApproval", &json!([vote("Approve", "d1")]));
        let of = |digest| serde_json::from_value::<Approval>(vote("Approve", digest)).unwrap();
        assert!(lifecycle::cast(&cast).contains(&of("d1")));
        assert!(!lifecycle::cast(&cast).contains(&of("d2")));
    }

    #[test]
    fn where_nobody_can_be_asked_the_command_line_says_that_they_looked() {
        let ballot = |decision, yes, digest| VoteCommand { request: "key", decision, reason: None, digest, yes };
        for decision in [Decision::Approve, Decision::Deny] {
            let refused = confirmable(&ballot(decision, false, None), false).unwrap_err();
            assert_eq!(refused.exit(), crate::plugin::error::Exit::Usage);
            assert!(
                refused.words().starts_with("there is no terminal to confirm at: add --yes"),
                "{}",
                refused.words()
            );
            assert!(confirmable(&ballot(decision, true, None), false).is_ok());
            assert!(confirmable(&ballot(decision, false, None), true).is_ok());
        }
        assert!(confirmable(&ballot(Decision::Approve, false, Some("d1")), false).is_ok());
    }

    #[test]
    fn what_follows_counts_the_vote_that_was_just_cast() {
        let one = request("AwaitingApproval", &json!([vote("Approve", "d1")]));
        assert_eq!(follows(&one, Decision::Approve), "1 of 2 approvals are given.");
        let mut frank = vote("Approve", "d1");
        frank["username"] = "frank".into();
        let two = request("AwaitingApproval", &json!([vote("Approve", "d1"), frank]));
        assert_eq!(follows(&two, Decision::Approve), "Approved (2 of 2): alice can download the file now.");
    }
}
