//! A vote: what is approved is shown, the voter is asked, and exactly one entry is appended, for what was shown and
//! nothing else.
//!
//! It goes through the Kubernetes API with the voter's own rights; admission has the last word. What is refused here
//! already is refused in plainer words, and before anyone is asked.

use std::time::Duration;

use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::review::{self, Part};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{confirm, facts::Page, output::OutputArgs},
};
use crate::{
    api::{Approval, Certificate, Decision, DownloadRequest, Phase, Requester},
    cluster::{
        access,
        error::{During as _, Failure},
    },
    lifecycle::{self, Tally},
};

/// How long a new request may take until there is something to vote on.
const FIRST_LOOK: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Others vote, and the controller counts: so often the object may change before a vote gets in.
const ATTEMPTS: usize = 8;
/// The schema's bound.
const LONGEST_REASON: usize = 1024;

/// What someone votes.
pub struct Ballot<'a> {
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

impl Ballot<'_> {
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
pub async fn cast(ctx: &Ctx, ballot: &Ballot<'_>, output: &OutputArgs) -> Result<(), PluginError> {
    let given = ballot.reason.map(checked).transpose()?;
    if given.is_none() && !confirm::can_ask() {
        return Err(PluginError::usage("say why with --reason: it goes on record with the vote"));
    }
    confirmable(ballot, confirm::can_ask())?;
    let who = access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?;
    let request = under_review(ctx, ballot).await?;
    refuse(ctx, &request, &who, ballot)?;
    let certificate = right_and_certificate(ctx, &request, &who, ballot).await?;
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
    if !ballot.yes && confirm::can_ask() && !confirm::agreed(ballot.question()).await? {
        return Err(PluginError::new(format!("not {}: nothing was written", ballot.done())));
    }
    let (name, flags) = (ballot.request, ctx.flags());
    ctx.resume_by(format!("whether the vote is cast: kubectl certcourier describe {name} {flags}"));
    let voted = append(ctx, &request, &who, ballot, &reason).await?;
    output.object(&voted, || format!("downloadrequest.certcourier.io/{name} {}\n", ballot.done()))?;
    ctx.say(&follows(&voted, ballot.decision))
}

/// No one votes on what they were not asked about: where no one can be, the command line says that it was read.
fn confirmable(ballot: &Ballot<'_>, can_ask: bool) -> Result<(), PluginError> {
    if can_ask || ballot.yes || ballot.digest.is_some() {
        return Ok(());
    }
    Err(PluginError::usage(match ballot.decision {
        Decision::Approve => {
            "there is no terminal to confirm at: add --yes, or --digest DIGEST to approve exactly what you saw"
        }
        Decision::Deny => "there is no terminal to confirm at: add --yes",
    }))
}

/// A reason that says something.
fn checked(reason: &str) -> Result<String, PluginError> {
    match reason.trim() {
        "" => Err(PluginError::usage("the reason is empty: say why, it goes on record with the vote")),
        reason if reason.chars().count() > LONGEST_REASON => {
            Err(PluginError::usage(format!("the reason is longer than {LONGEST_REASON} characters")))
        }
        reason => Ok(reason.to_owned()),
    }
}

/// The request once the controller has picked it up.
async fn under_review(ctx: &Ctx, ballot: &Ballot<'_>) -> Result<DownloadRequest, PluginError> {
    let looking = async {
        loop {
            let request: DownloadRequest = ctx.one(ballot.request, "list requests").await?;
            let votes = request.status.as_ref().is_some_and(|status| status.approvals.is_some());
            if votes || !review::phase(&request).is_open() {
                return Ok(request);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(FIRST_LOOK, looking).await.unwrap_or_else(|_| {
        Err(PluginError::new(format!(
            "the controller has not picked up {} yet: there is nothing to vote on",
            ballot.request
        ))
        .next("try again; if it stays so, does the operator run, and does it watch this namespace?"))
    })
}

/// Says why this vote would be none.
fn refuse(ctx: &Ctx, request: &DownloadRequest, who: &Requester, ballot: &Ballot<'_>) -> Result<(), PluginError> {
    let (me, flags) = (who.username.as_str(), ctx.flags());
    match obstacle(request, me, ballot.decision, &flags) {
        Some(refusal) => Err(refusal),
        None => match ballot.digest {
            Some(digest) if review::review(request).is_none_or(|review| review.digest != digest) => {
                Err(changed(ballot, &flags))
            }
            _ => Ok(()),
        },
    }
}

fn obstacle(request: &DownloadRequest, me: &str, decision: Decision, flags: &str) -> Option<PluginError> {
    let (name, phase) = (request.name_any(), review::phase(request));
    let why = review::why(request);
    if !phase.is_open() {
        return Some(PluginError::new(format!("{name} is closed ({}: {why}): it takes no more votes", phase.name())));
    }
    if me.to_lowercase().starts_with("system:") {
        let words = format!("approvers are people, and you are `{me}`");
        return Some(
            PluginError::new(words).next(format!("revoke it: kubectl certcourier revoke {name} {flags} --reason …")),
        );
    }
    match (review::part(request, me), decision) {
        (Part::Asked, _) => {
            let words = format!("you asked for {name} yourself, and no one votes on their own request");
            return Some(PluginError::new(words).next(format!(
                "someone else with ClusterRole certcourier-approver must vote; to revoke it: kubectl certcourier \
                 revoke {name} {flags} --reason …"
            )));
        }
        (Part::Approved, Decision::Approve) => {
            return Some(PluginError::new(format!("you have approved {name} already: {}", review::count(request))));
        }
        (Part::Denied, _) => return Some(PluginError::new(format!("you have denied {name} already"))),
        _ => {}
    }
    match (decision, phase) {
        (Decision::Deny, _) | (Decision::Approve, Phase::AwaitingApproval) => None,
        (Decision::Approve, Phase::Pending) => {
            Some(PluginError::new(format!("there is nothing to approve yet, {name} is Pending: {why}")))
        }
        (Decision::Approve, _) => Some(
            PluginError::new(format!("{name} is {} and waits for no one: {}", phase.name(), review::count(request)))
                .next(format!("to stop it: kubectl certcourier deny {name} {flags} --reason …")),
        ),
    }
}

fn changed(ballot: &Ballot<'_>, flags: &str) -> PluginError {
    let name = ballot.request;
    PluginError::new(format!("what you saw of {name} is no longer what is under review: nothing was written"))
        .next(format!("check again: kubectl certcourier describe {name} {flags}"))
}

/// The Certificate, for what its status says of the fingerprints; a voter without its verb need not be asked.
async fn right_and_certificate(
    ctx: &Ctx,
    request: &DownloadRequest,
    who: &Requester,
    ballot: &Ballot<'_>,
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
            ballot.verb(),
            ctx.namespace
        );
        return Err(PluginError::new(words).next("ask for ClusterRole certcourier-approver there"));
    }
    Ok(certificate.ok().flatten())
}

/// Appends the vote to the object that was shown. If others were faster it is read again, and the vote is cast only
/// if it still is for the same.
async fn append(
    ctx: &Ctx,
    shown: &DownloadRequest,
    who: &Requester,
    ballot: &Ballot<'_>,
    reason: &str,
) -> Result<DownloadRequest, PluginError> {
    let digest = review::review(shown).map(|review| review.digest.clone()).unwrap_or_default();
    let sent = lifecycle::ballot(who, &digest, ballot.decision, reason);
    let mut request = shown.clone();
    for _ in 0..ATTEMPTS {
        let patch = json!([
            {"op": "replace", "path": "/metadata/resourceVersion", "value": request.resource_version()},
            {"op": "add", "path": "/status/approvals/-", "value": sent},
        ]);
        let patch = serde_json::from_value(patch)
            .map_err(|error| PluginError::new(format!("cannot write the vote as JSON: {error}")))?;
        let patch = Patch::<DownloadRequest>::Json(patch);
        let patched =
            ctx.writing::<DownloadRequest>().patch_status(ballot.request, &PatchParams::default(), &patch).await;
        let object = || format!("DownloadRequest {}/{}", ctx.namespace, ballot.request);
        match patched.during("vote on", object) {
            Ok(voted) => {
                return match lifecycle::read_back(&voted, votes(&request), &sent) {
                    Ok(()) => Ok(voted),
                    Err(altered) => Err(ctx.altered(&altered, ballot.request)),
                };
            }
            Err(error) => {
                let lost = match error.failure() {
                    Failure::Conflict => false,
                    Failure::Unavailable => true,
                    _ => return Err(error.into()),
                };
                request = ctx.one(ballot.request, "list requests").await?;
                if lost && votes(&request).contains(&sent) {
                    return Ok(request);
                }
                if lost {
                    return Err(error.into());
                }
            }
        }
        refuse(ctx, &request, who, ballot)?;
        if review::review(&request).is_none_or(|review| review.digest != digest) {
            return Err(changed(ballot, &ctx.flags()));
        }
    }
    Err(PluginError::new(format!("{} changes too fast: nothing was written", ballot.request)).next("try again"))
}

fn votes(request: &DownloadRequest) -> &[Approval] {
    request.status.as_ref().and_then(|status| status.approvals.as_deref()).unwrap_or_default()
}

/// What happens now. The controller counts, so the object might not say yet.
fn follows(request: &DownloadRequest, decision: Decision) -> String {
    let Some(tally) = Tally::shown(request) else { return String::new() };
    let (given, required) = (tally.given(), tally.required);
    match decision {
        Decision::Deny => "One denial ends a request: no token of it works any more.".to_owned(),
        Decision::Approve if tally.is_enough() => {
            format!("Approved ({given} of {required}): {} can download the file now.", review::requester(request))
        }
        Decision::Approve => format!("{given} of {required} approvals are given."),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::review::fixtures::{request, vote},
        *,
    };

    fn words(phase: &str, votes: &serde_json::Value, me: &str, decision: Decision) -> String {
        obstacle(&request(phase, votes), me, decision, "-n payments").map(|error| error.report()).unwrap_or_default()
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
        assert_eq!(checked(" INC-1 ").unwrap(), "INC-1");
        assert!(checked(" \t").is_err());
        assert!(checked(&"x".repeat(LONGEST_REASON + 1)).is_err());
    }

    #[test]
    fn a_lost_answer_is_settled_by_the_very_vote() {
        let cast = request("AwaitingApproval", &json!([vote("Approve", "d1")]));
        let of = |digest| serde_json::from_value::<Approval>(vote("Approve", digest)).unwrap();
        assert!(votes(&cast).contains(&of("d1")));
        assert!(!votes(&cast).contains(&of("d2")));
    }

    #[test]
    fn where_nobody_can_be_asked_the_command_line_says_that_they_looked() {
        let ballot = |decision, yes, digest| Ballot { request: "key", decision, reason: None, digest, yes };
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
