use super::*;
use crate::api::{Decision as Vote, Format, Requester};
use crate::lifecycle::{fixtures::*, *};

/// What happens to a vote on its way, and what its voter reads of that.
type Change = (fn(&mut Approval), &'static str);

fn reviewed(approvals: i32, people: &[&str]) -> World {
    let mut world = World::new(Format::Key, policy(approvals));
    world.step(0);
    for who in people {
        world.vote(who, Vote::Approve);
    }
    world
}

fn names_of(votes: &[&Approval]) -> Vec<String> {
    votes.iter().map(|vote| vote.username.clone()).collect()
}

#[test]
fn the_newest_votes_that_would_count_are_asked_about_and_no_more_than_needed() {
    let people: Vec<String> = (0..20).map(|number| format!("p{number:02}")).collect();
    let mut world = reviewed(2, &people.iter().map(String::as_str).collect::<Vec<_>>());
    world.vote("alice", Vote::Approve);
    world.vote("system:serviceaccount:a:b", Vote::Approve);
    world.vote("P19", Vote::Approve);
    world.vote_for("zoe", Vote::Approve, "old");
    assert_eq!(names_of(&votes_to_ask_about(&world.request)), ["p14", "p15", "p16", "p17", "p18", "p19"]);
    let unreviewed = World::new(Format::Key, policy(2));
    assert_eq!(votes_to_ask_about(&unreviewed.request), Vec::<&Approval>::new());
}

#[test]
fn a_vote_that_nobody_was_asked_about_does_not_count() {
    let world = reviewed(1, &["bob"]);
    let mut observed = world.observed();
    observed.approvers = Approvers::default();
    assert!(!observed.approvers.cover(&world.request));
    let step = next(&observed, at(1));
    assert_eq!(step.mint, None);
    assert!(world.approvers().cover(&world.request));
    // An answer about another vote of the same person is none.
    let mut other = world.clone();
    other.request.status.as_mut().unwrap().approvals.as_mut().unwrap()[0].groups = Some(vec!["admins".into()]);
    assert!(!world.approvers().cover(&other.request));
}

#[test]
fn people_are_shown_the_votes_as_they_are_and_not_the_controllers_number() {
    let mut world = reviewed(2, &["bob"]);
    let tally = Tally::shown(&world.request).unwrap();
    assert_eq!((tally.given(), tally.by(), tally.summary().as_str()), (1, vec!["bob"], "1/2"));
    assert_eq!(world.status().review.as_ref().unwrap().approvals.given, 0, "the controller has yet to look");
    assert_eq!(
        awaiting_approval(&world.request).as_deref(),
        Some(
            "1 of 2 approvals given for key of api, requested by alice, until 2026-11-22T13:00:00Z; an approver \
             (ClusterRole certcourier-approver) runs: kubectl certcourier approve api -n payments"
        )
    );
    world.lapsed.insert("bob");
    world.step(1);
    world.vote("frank", Vote::Approve);
    let tally = Tally::shown(&world.request).unwrap();
    assert_eq!((tally.given(), tally.lapsed.as_slice()), (1, &["bob"][..]));
    assert!(awaiting_approval(&world.request).unwrap().contains("the vote of bob no longer counts"), "{tally:?}");
    world.renew("f2");
    world.step(2);
    assert_eq!(awaiting_approval(&world.request), None, "that what was reviewed has changed says more");
}

#[test]
fn a_vote_records_groups_within_its_bounds() {
    let of = |groups: Vec<String>| groups_to_record(&groups);
    assert_eq!(of(vec!["a".into(), AUTHENTICATED.into(), "a".into(), String::new(), "b".into()]), ["a", "b"]);
    assert_eq!(of(vec!["x".repeat(257), "ü".repeat(256)]), ["ü".repeat(256)]);
    assert_eq!(of((0..600).map(|number| format!("group-{number}")).collect()).len(), 512);
    let long: usize = of((0..256).map(|number| format!("{number:0200}")).collect()).iter().map(String::len).sum();
    assert_eq!(long, 8000, "as many as fit into 8,192 characters");
}

#[test]
fn a_vote_that_was_changed_on_its_way_is_noticed_and_told_field_by_field() {
    let who = Requester { username: "frank".into(), groups: vec!["a".into()], ..Requester::default() };
    let ballot = Ballot { decision: Vote::Deny, digest: Some("d1"), spare: false };
    let sent = entry(&reviewed(2, &[]).request, &who, &ballot, &GivenReason::new("NO").unwrap());
    let stored = |change: fn(&mut Approval)| {
        let mut world = reviewed(2, &["bob"]);
        let before = world.status().approvals.clone().unwrap();
        let mut vote = sent.clone();
        change(&mut vote);
        world.request.status.as_mut().unwrap().approvals.as_mut().unwrap().push(vote);
        read_back(&world.request, &before, &sent).map_err(|altered| altered.to_string())
    };
    assert_eq!(stored(|_| ()), Ok(()));
    let changes: [Change; 6] = [
        (|vote| vote.decision = Vote::Approve, "decision was sent as `Deny` and stored as `Approve`"),
        (|vote| vote.digest = "d2".into(), "digest was sent as `d1` and stored as `d2`"),
        (|vote| vote.reason = "fine".into(), "reason was sent as `NO` and stored as `fine`"),
        (|vote| vote.username = "grace".into(), "username was sent as `frank` and stored as `grace`"),
        (|vote| vote.groups = Some(vec![]), "groups was sent as `a` and stored as ``"),
        (|vote| vote.uid = "u".into(), "uid was sent as `` and stored as `u`"),
    ];
    for (change, said) in changes {
        let words = stored(change).unwrap_err();
        assert!(words.starts_with("your vote was changed during admission: ") && words.contains(said), "{words}");
    }
    let dropped = reviewed(2, &["bob"]);
    let before = dropped.status().approvals.clone().unwrap();
    let words = read_back(&dropped.request, &before, &sent).unwrap_err().to_string();
    assert!(words.contains("no vote of yours was stored"), "{words}");
}

#[test]
fn a_withdrawal_and_a_request_that_were_changed_on_their_way_are_noticed() {
    let mut world = reviewed(1, &[]);
    assert!(withdrawn(&world.request, "stolen").unwrap_err().to_string().contains("it was not stored"));
    world.annotate(names::REVOKE, "x");
    assert!(withdrawn(&world.request, "stolen").unwrap_err().to_string().contains("stored as `x`"));
    world.annotate(names::REVOKE, "stolen");
    assert_eq!(withdrawn(&world.request, "stolen"), Ok(()));

    let asked = request(Format::Cert);
    let mut stamped = asked.clone();
    stamped.spec.requested_by.as_mut().unwrap().uid = "completed".into();
    assert_eq!(created_as_asked(&stamped, &asked), Ok(()));
    stamped.spec.format = Format::Key;
    let words = created_as_asked(&stamped, &asked).unwrap_err().to_string();
    assert!(words.starts_with("your request was changed during admission: spec was sent as"), "{words}");
}
