use super::*;
use crate::{
    api::{Decision as Vote, Format, Outcome, words::MaterialProblem},
    audit::fact::Source,
    lifecycle::{
        Material, ReceiptSeen,
        fixtures::{World, at, policy},
    },
};

/// A step of the state table, and what its write tells.
fn step(world: &mut World, seconds: i64) -> Vec<Fact> {
    let before = world.request.clone();
    world.step(seconds);
    between(&before, &world.request, at(seconds))
}

fn kinds(facts: &[Fact]) -> Vec<Kind> {
    facts.iter().map(|fact| fact.kind).collect()
}

fn by_two() -> World {
    let mut world = World::new(Format::Key, policy(2));
    step(&mut world, 0);
    world
}

#[test]
fn each_step_tells_what_it_made_true_and_nothing_twice() {
    let mut world = World::new(Format::Key, policy(2));
    let first = step(&mut world, 0);
    assert_eq!(kinds(&first), [Kind::RequestCreated, Kind::ApprovalRequested]);
    assert_eq!(first[1].data.approvals_required, Some(2));
    assert_eq!(step(&mut world, 1), []);

    world.vote("bob", Vote::Approve);
    let granted = step(&mut world, 2);
    assert_eq!(kinds(&granted), [Kind::ApprovalGranted]);
    assert_eq!((granted[0].data.actor.as_deref(), granted[0].data.approvals_given), (Some("bob"), Some(1)));
    assert_eq!(granted[0].time, at(2));
    world.vote("frank", Vote::Approve);
    let last = step(&mut world, 3);
    assert_eq!(kinds(&last), [Kind::ApprovalGranted, Kind::TokenMinted]);
    assert_eq!(last[0].data.actor.as_deref(), Some("frank"));
    assert_eq!((last[1].data.generation, last[1].time), (Some(1), at(3)));

    let expired = step(&mut world, 303);
    assert_eq!(kinds(&expired), [Kind::TokenExpired]);
    world.annotate(names::MINT, "again");
    let again = step(&mut world, 304);
    assert_eq!(kinds(&again), [Kind::TokenMinted]);
    assert_eq!(again[0].data.generation, Some(2));
    world.annotate(names::REVOKE, "laptop stolen");
    let revoked = step(&mut world, 305);
    assert_eq!(kinds(&revoked), [Kind::RequestRevoked]);
    assert_eq!(revoked[0].data.reason.as_deref(), Some("laptop stolen"));
    assert_eq!(step(&mut world, 306), []);
}

#[test]
fn a_changed_review_is_asked_for_again_and_its_votes_are_told_anew() {
    let mut world = by_two();
    world.vote("bob", Vote::Approve);
    let before = step(&mut world, 1);
    world.renew("f2");
    let changed = step(&mut world, 2);
    assert_eq!(kinds(&changed), [Kind::ApprovalRequested]);
    assert_eq!((changed[0].data.round, changed[0].data.fingerprints.as_slice()), (Some(2), &["f2".to_owned()][..]));
    world.vote("bob", Vote::Approve);
    let after = step(&mut world, 3);
    assert_eq!(kinds(&after), [Kind::ApprovalGranted]);
    assert_ne!(before[0].id, after[0].id);
}

#[test]
fn a_deletion_is_told_with_where_the_request_stood_and_a_withdrawal_with_who() {
    let mut waiting = by_two();
    let gone = deleted(&waiting.request, None, at(7));
    assert_eq!((gone.kind, gone.time, gone.id.as_deref()), (Kind::RequestDeleted, at(7), Some("uid-1/deleted")));
    let message = gone.data.message.unwrap();
    assert_eq!(message, "it was open (AwaitingApproval): its votes and its token went with it");
    assert_eq!(gone.data.requester.as_deref(), Some("alice"));
    waiting.annotate(names::REVOKE, "laptop stolen");
    waiting.annotate(names::REVOKED_BY, "bob");
    let facts = step(&mut waiting, 1);
    assert_eq!((facts[0].kind, facts[0].data.actor.as_deref()), (Kind::RequestRevoked, Some("bob")));
    assert_eq!(deleted(&waiting.request, None, at(8)).data.message.as_deref(), Some("it was over (Revoked)"));
    let many = deleted(&waiting.request, Some(500), at(8));
    assert!(many.data.message.as_deref().unwrap().contains("500 newer finished requests"), "{many:?}");
}

#[test]
fn what_ended_a_request_whose_delivery_won_is_told_once() {
    for (outcome, bytes_sent) in [(None, None), (Some(Outcome::Aborted), Some(0)), (Some(Outcome::Delivered), None)] {
        let mut denied = World::new(Format::Key, policy(0));
        step(&mut denied, 0);
        let mut revoked = denied.clone();
        denied.vote("bob", Vote::Deny);
        revoked.annotate(names::REVOKE, "laptop stolen");
        for (mut world, kind) in [(denied, Kind::ApprovalDenied), (revoked, Kind::RequestRevoked)] {
            world.receipt = Some(ReceiptSeen { name: "r-1".into(), outcome, bytes_sent });
            assert_eq!(kinds(&step(&mut world, 1)), [kind]);
            world.receipt = Some(ReceiptSeen { name: "r-1".into(), outcome: Some(Outcome::Unknown), bytes_sent: None });
            assert_eq!(step(&mut world, 2), []);
        }
    }
}

#[test]
fn a_deletion_that_a_finalizer_holds_is_told_as_the_end() {
    let mut held = by_two();
    held.request.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(1)));
    let facts = step(&mut held, 1);
    assert_eq!(kinds(&facts), [Kind::RequestRevoked]);
    assert!(facts[0].data.reason.as_deref().unwrap().starts_with("deleted while it was open"), "{facts:?}");
}

#[test]
fn a_line_moves_no_cursor_and_says_what_was_written() {
    let mut world = World::new(Format::Key, policy(2));
    world.request.spec.reason = Some("a\u{9b}2J\u{202e}b".to_owned());
    let line = step(&mut world, 0)[0].line("id", &Source::default());
    assert!(!crate::text::has_hidden(&line), "{line:?}");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["data"]["reason"], "a\u{9b}2J\u{202e}b");
}

#[test]
fn every_ending_is_told_with_who_or_why() {
    let mut denied = by_two();
    denied.vote("frank", Vote::Deny);
    let facts = step(&mut denied, 1);
    assert_eq!(kinds(&facts), [Kind::ApprovalDenied]);
    assert_eq!((facts[0].data.actor.as_deref(), facts[0].data.reason.as_deref()), (Some("frank"), Some("because")));

    let facts = step(&mut by_two(), 3601);
    assert_eq!(kinds(&facts), [Kind::RequestExpired]);

    let mut failed = World::new(Format::Key, vec![]);
    let facts = step(&mut failed, 0);
    assert_eq!(kinds(&facts), [Kind::RequestCreated, Kind::RequestFailed]);
    assert_eq!(facts[1].data.code.as_deref(), Some("KeyExportDisabled"));
    assert!(facts[1].data.message.as_ref().unwrap().contains("allowKeyExport is Never"));
}

#[test]
fn a_claimed_token_and_a_delivery_are_told_by_the_server() {
    let mut claimed = World::new(Format::Cert, policy(0)).claimed();
    assert_eq!(kinds(&step(&mut claimed, 0)), [Kind::RequestCreated]);
    claimed.receipt = Some(crate::lifecycle::ReceiptSeen { name: "r".to_owned(), outcome: None, bytes_sent: None });
    assert_eq!(step(&mut claimed, 1), []);
}

#[test]
fn what_may_not_have_been_told_is_told_again_under_the_same_id() {
    let mut world = World::new(Format::Key, policy(1));
    let mut told = step(&mut world, 0);
    world.vote("bob", Vote::Approve);
    told.extend(step(&mut world, 60));
    assert_eq!(kinds(&since(&world.request, at(30))), [Kind::ApprovalGranted, Kind::TokenMinted]);
    let again = since(&world.request, at(-1));
    let lines = |facts: &[Fact]| -> Vec<String> {
        facts.iter().map(|fact| fact.line(fact.id.as_ref().unwrap(), &Source::default())).collect()
    };
    assert_eq!(lines(&again), lines(&told));
}

#[test]
fn a_request_that_nobody_has_looked_at_tells_nothing() {
    let mut world = World::new(Format::Cert, policy(0));
    world.vote_for("bob", Vote::Approve, "");
    assert_eq!(all(&world.request, at(0)), []);
    world.material = Material::Missing { problem: MaterialProblem::CertificateNotFound, message: "no".to_owned() };
    assert_eq!(kinds(&step(&mut world, 1)), [Kind::RequestCreated]);
}
