use proptest::prelude::*;

use super::*;
use crate::api::Format;
use crate::lifecycle::{Approvers, Tally, fixtures::*, votes_to_ask_about};

/// alice's request for a key, which waits for so many people; these have voted.
fn reviewed(approvals: i32, votes: &[(&str, Decision)]) -> World {
    let mut world = World::new(Format::Key, policy(approvals));
    world.step(0);
    for (who, decision) in votes {
        world.vote(who, *decision);
    }
    world
}

fn in_phase(phase: Phase, votes: &[(&str, Decision)]) -> DownloadRequest {
    let mut request = reviewed(2, votes).request;
    request.status.as_mut().unwrap().phase = Some(phase);
    request
}

const fn ballot(decision: Decision) -> Ballot<'static> {
    Ballot { decision, digest: None, spare: false }
}

#[test]
fn the_first_refusal_that_applies_is_the_one_that_is_said() {
    use Decision::{Approve, Deny};
    for (phase, votes, who, decision, ruling) in [
        (Phase::AwaitingApproval, &[][..], "bob", Approve, Ok(())),
        (Phase::AwaitingApproval, &[], "bob", Deny, Ok(())),
        (Phase::Pending, &[], "bob", Deny, Ok(())),
        (Phase::AwaitingApproval, &[("bob", Approve)], "frank", Approve, Ok(())),
        (Phase::AwaitingApproval, &[("bob", Approve)], "bob", Deny, Ok(())),
        (Phase::TokenIssued, &[("bob", Approve)], "bob", Deny, Ok(())),
        (Phase::Consumed, &[], "alice", Approve, Err(VoteRefusal::Closed(Phase::Consumed))),
        (Phase::AwaitingApproval, &[], "System:admin", Deny, Err(VoteRefusal::SystemUser)),
        (Phase::AwaitingApproval, &[], "ALICE", Deny, Err(VoteRefusal::OwnRequest)),
        (Phase::AwaitingApproval, &[("bob", Approve)], "BOB", Approve, Err(VoteRefusal::AlreadyApproved)),
        (Phase::AwaitingApproval, &[("bob", Deny)], "bob", Deny, Err(VoteRefusal::AlreadyDenied)),
        (Phase::AwaitingApproval, &[("bob", Deny)], "bob", Approve, Err(VoteRefusal::AlreadyDenied)),
        (Phase::Pending, &[], "bob", Approve, Err(VoteRefusal::NothingToApprove)),
        (Phase::Approved, &[], "bob", Approve, Err(VoteRefusal::NotAwaited(Phase::Approved))),
        (Phase::TokenIssued, &[("frank", Approve)], "bob", Approve, Err(VoteRefusal::NotAwaited(Phase::TokenIssued))),
    ] {
        let request = in_phase(phase, votes);
        assert_eq!(may_vote(&request, who, &ballot(decision)), ruling, "{phase:?} {votes:?} {who} {decision:?}");
    }
}

#[test]
fn an_approval_is_for_what_was_seen_and_a_denial_never_comes_too_late() {
    let request = in_phase(Phase::AwaitingApproval, &[]);
    let current = review(&request).unwrap().digest.clone();
    for (decision, digest, ruling, written) in [
        (Decision::Approve, None, Ok(()), current.as_str()),
        (Decision::Approve, Some(current.as_str()), Ok(()), current.as_str()),
        (Decision::Approve, Some("0"), Err(VoteRefusal::OtherReview), "0"),
        (Decision::Approve, Some(""), Err(VoteRefusal::OtherReview), ""),
        (Decision::Deny, Some("0"), Ok(()), "0"),
    ] {
        let ballot = Ballot { decision, digest, spare: false };
        assert_eq!(may_vote(&request, "bob", &ballot), ruling, "{ballot:?}");
        let who = Requester { username: "bob".into(), ..Requester::default() };
        assert_eq!(entry(&request, &who, &ballot, &GivenReason::new("INC-1").unwrap()).digest, written);
    }
}

#[test]
fn a_spare_approval_is_taken_where_none_is_missing_and_binds_to_what_was_seen() {
    let request = in_phase(Phase::Approved, &[("frank", Decision::Approve)]);
    let spare = |digest| Ballot { decision: Decision::Approve, digest, spare: true };
    assert_eq!(may_vote(&request, "bob", &spare(None)), Ok(()));
    assert_eq!(may_vote(&request, "bob", &spare(Some("0"))), Err(VoteRefusal::OtherReview));
    assert_eq!(may_vote(&request, "frank", &spare(None)), Err(VoteRefusal::AlreadyApproved));
}

#[test]
fn a_reason_says_something_and_fits() {
    assert_eq!(GivenReason::new(" INC-1\n").unwrap().as_str(), "INC-1");
    assert_eq!(GivenReason::new(" \t"), Err(NoReason::Empty));
    assert!(GivenReason::new(&"ü".repeat(LONGEST_REASON)).is_ok());
    assert_eq!(GivenReason::new(&"x".repeat(LONGEST_REASON + 1)), Err(NoReason::TooLong));
}

#[test]
fn before_the_first_review_there_is_nothing_to_vote_on() {
    let mut world = World::new(Format::Key, policy(2));
    assert!(!is_reviewed(&world.request));
    assert_eq!(may_vote(&world.request, "bob", &ballot(Decision::Approve)), Err(VoteRefusal::NothingToApprove));
    world.step(0);
    assert!(is_reviewed(&world.request));
}

const PEOPLE: [&str; 6] = ["alice", "bob", "BOB", "frank", "system:serviceaccount:ci:robot", "grace"];
const OPEN: [Phase; 4] = [Phase::Pending, Phase::AwaitingApproval, Phase::Approved, Phase::TokenIssued];

proptest! {
    /// Whatever was voted before: an approval that the rule lets through adds one to what is counted, and one that it
    /// refuses as a second vote, an own request or a program's would have added nothing.
    #[test]
    fn an_approval_that_may_be_cast_counts_and_one_that_may_not_would_not_have(
        before in prop::collection::vec((0..PEOPLE.len(), any::<bool>()), 0..5),
        voter in 0..PEOPLE.len(),
        phase in 0..OPEN.len(),
        spare: bool,
    ) {
        let decision = |approves: &bool| if *approves { Decision::Approve } else { Decision::Deny };
        let votes: Vec<_> = before.iter().map(|(who, approves)| (PEOPLE[*who], decision(approves))).collect();
        let request = in_phase(OPEN[phase], &votes);
        let who = Requester { username: PEOPLE[voter].into(), ..Requester::default() };
        let ballot = Ballot { decision: Decision::Approve, digest: None, spare };
        let reason = GivenReason::new("INC-1").unwrap();
        let counted = |request: &DownloadRequest| {
            let answers = votes_to_ask_about(request).into_iter().map(|vote| (vote.clone(), true)).collect();
            Tally::of(request, &Approvers::new(answers)).unwrap().given()
        };
        let mut after = request.clone();
        after.status.as_mut().unwrap().approvals.as_mut().unwrap().push(entry(&request, &who, &ballot, &reason));
        let added = counted(&after) - counted(&request);
        match vote(&request, &who, &ballot, &reason) {
            Ok(vote) => {
                prop_assert_eq!(cast(&after).last(), Some(&vote));
                prop_assert_eq!(added, 1);
            }
            Err(VoteRefusal::SystemUser | VoteRefusal::OwnRequest | VoteRefusal::AlreadyApproved) => {
                prop_assert_eq!(added, 0);
            }
            Err(refusal) => prop_assert!(matches!(
                refusal,
                VoteRefusal::AlreadyDenied | VoteRefusal::NothingToApprove | VoteRefusal::NotAwaited(_)
            ), "{refusal:?}"),
        }
    }
}
