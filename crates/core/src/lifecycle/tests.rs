use super::{fixtures::*, *};
use crate::{
    api::{Decision as Vote, FinishedRequestTtl, Format, Phase, TokenEnd, names},
    door::TokenOf,
    policy::Access,
};

fn approved_by_people() -> World {
    let mut world = World::new(Format::Key, policy(2));
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.vote("frank", Vote::Approve);
    world
}

#[test]
fn without_approval_a_token_is_minted_in_the_first_step() {
    let mut world = World::new(Format::Fullchain, vec![]);
    let step = world.step(1);
    let mint = step.mint.unwrap();
    assert_eq!((mint.generation, mint.round, mint.secret_name.as_deref()), (1, 1, Some("api-download-token")));
    assert_eq!(mint.expires_at, at(301));
    assert_eq!(world.phase(), Phase::TokenIssued);
    assert_eq!(world.condition("Approved"), "True/NotRequired");
    assert_eq!(world.condition("TokenIssued"), "True/Minted");
    assert_eq!(world.condition("Finished"), "False/Open");
    assert_eq!(step.wake_at, Some(at(301)));
    let settled = world.step(2);
    assert_eq!((settled.status, settled.mint), (None, None), "a second look changes nothing");
}

#[test]
fn a_refused_request_fails_at_once_and_says_which_rule_and_what_to_do() {
    let mut world = World::new(Format::Key, vec![]);
    world.step(0);
    assert_eq!((world.phase(), world.status().reason.as_deref()), (Phase::Failed, Some("KeyExportDisabled")));
    assert!(world.message("Finished").contains("allowKeyExport is Never"), "{}", world.message("Finished"));
    assert_eq!(world.condition("Approved"), "False/Refused");
    assert_eq!(world.condition("TokenIssued"), "False/Closed");
    assert_eq!(world.condition("Finished"), "True/Failed");
}

#[test]
fn a_missing_certificate_is_waited_for_thirty_seconds() {
    let mut world = World::new(Format::Cert, vec![]);
    world.material = missing();
    assert_eq!(world.step(0).wake_at, Some(at(30)));
    assert_eq!(
        (world.phase(), world.condition("Approved").as_str()),
        (Phase::Pending, "Unknown/WaitingForCertificate")
    );
    let mut late = world.clone();
    late.step(30);
    assert_eq!((late.phase(), late.status().reason.as_deref()), (Phase::Failed, Some("SecretMissing")));
    world.renew("f1");
    world.step(29);
    assert_eq!(world.phase(), Phase::TokenIssued);
}

#[test]
fn unusable_material_fails_a_new_request_but_only_stalls_one_that_is_under_way() {
    let mut new = World::new(Format::Key, policy(0));
    new.material = unusable();
    new.step(0);
    assert_eq!((new.phase(), new.status().reason.as_deref()), (Phase::Failed, Some("KeyMismatch")));

    let mut world = World::new(Format::Key, policy(0));
    world.step(0);
    world.material = unusable();
    world.step(1);
    assert_eq!((world.phase(), world.condition("Stalled").as_str()), (Phase::TokenIssued, "True/MaterialUnusable"));
    assert!(world.status().token.as_ref().unwrap().hash.is_some(), "the token stays alive");
    world.renew("f2");
    world.step(2);
    assert_eq!(world.condition("Stalled"), "False/NotStalled");
}

#[test]
fn enough_distinct_people_approve() {
    let mut world = World::new(Format::Key, policy(2));
    let step = world.step(0);
    assert_eq!((world.phase(), step.mint), (Phase::AwaitingApproval, None));
    assert_eq!(world.condition("Approved"), "False/AwaitingApproval");
    assert_eq!(step.wake_at, Some(at(3600)), "pendingTTL");
    for (who, summary) in [("bob", "1/2"), ("BOB", "1/2"), ("Alice", "1/2"), ("system:serviceaccount:a:b", "1/2")] {
        world.vote(who, Vote::Approve);
        world.step(1);
        assert_eq!(world.status().review.as_ref().unwrap().approvals.summary, summary, "{who}");
        assert_eq!(world.phase(), Phase::AwaitingApproval);
    }
    world.vote("frank", Vote::Approve);
    world.step(2);
    assert_eq!((world.phase(), world.condition("Approved").as_str()), (Phase::TokenIssued, "True/ByPeople"));
    assert_eq!(world.message("Approved"), "approved by bob, frank");
}

#[test]
fn the_vote_of_somebody_who_may_no_longer_approve_does_not_count_and_another_one_helps() {
    let mut world = World::new(Format::Key, policy(2));
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.step(1);
    world.lapsed.insert("bob");
    world.vote("frank", Vote::Approve);
    let step = world.step(2);
    assert_eq!((world.phase(), step.mint), (Phase::AwaitingApproval, None));
    let approvals = world.status().review.clone().unwrap().approvals;
    assert_eq!(
        (approvals.summary.as_str(), approvals.by, approvals.lapsed),
        ("1/2", vec!["frank".into()], vec!["bob".into()])
    );
    let message = world.message("Approved");
    for said in [
        "1 of 2 approvals given",
        "the vote of bob",
        "approve on certificates.certcourier.io/api",
        "another person must approve",
    ] {
        assert!(message.contains(said), "{said}: {message}");
    }
    assert!(step.notes.iter().any(|note| note.reason == "ApprovalLapsed" && note.warning), "{:?}", step.notes);
    assert_eq!(world.status().approvals.as_ref().unwrap().len(), 2, "the vote stays on record");
    assert_eq!(step.wake_at, Some(at(302)), "the right may come back, and no watch tells");
    let mut again = world.clone();
    again.lapsed.clear();
    again.step(3);
    assert_eq!((again.phase(), again.message("Approved").as_str()), (Phase::TokenIssued, "approved by bob, frank"));
    world.vote("grace", Vote::Approve);
    assert!(world.step(3).mint.is_some());
    assert_eq!(world.message("Approved"), "approved by frank, grace");
}

#[test]
fn an_approval_that_is_lost_while_the_token_lives_voids_it_until_another_is_there() {
    let mut world = approved_by_people();
    world.step(1);
    assert_eq!(redeem(&world.observed(), &hash(1), at(2)), Ok(()));
    world.lapsed.insert("frank");
    let refused = redeem(&world.observed(), &hash(1), at(2)).unwrap_err();
    assert_eq!(refused, Refusal::ApprovalRequired("1/2 (an approver has lost the right to approve since)".into()));
    // Long after pendingTTL: people have their time anew.
    let step = world.step(7000);
    assert_eq!((world.phase(), step.sweep), (Phase::AwaitingApproval, true));
    assert_eq!(world.status().token.as_ref().unwrap().previous[0].why, TokenEnd::ApprovalMissing);
    assert_eq!(world.status().review.as_ref().unwrap().approved_at, None);
    let refused = redeem(&world.observed(), &hash(1), at(7001)).unwrap_err();
    assert!(matches!(refused, Refusal::ApprovalRequired(_)), "{refused:?}");
    assert_eq!(world.step(7002).status, None, "a step is taken once");
    world.vote("grace", Vote::Approve);
    assert_eq!(world.step(7003).mint.unwrap().generation, 2, "minted by itself");
    assert!(matches!(redeem(&world.observed(), &hash(1), at(7004)), Err(Refusal::TokenReplaced(_))));
    assert_eq!(redeem(&world.observed(), &hash(2), at(7004)), Ok(()));

    let mut claimed = World::new(Format::Key, policy(1)).claimed();
    claimed.step(0);
    claimed.vote("bob", Vote::Approve);
    claimed.step(1);
    claimed.lapsed.insert("bob");
    let refused = claim(&claimed.observed(), at(2)).unwrap_err();
    assert!(
        matches!(&refused, ClaimRefusal::ApprovalRequired(words) if words.contains("the vote of bob")),
        "{refused}"
    );
}

#[test]
fn any_deny_ends_the_request_whatever_its_digest() {
    for (minted, digest) in [(false, "old"), (true, "old"), (true, "")] {
        let mut world = World::new(Format::Key, policy(1));
        world.step(0);
        if minted {
            world.vote("bob", Vote::Approve);
            world.step(1);
            assert_eq!(world.phase(), Phase::TokenIssued);
        }
        world.vote_for("frank", Vote::Deny, digest);
        let step = world.step(2);
        assert_eq!((world.phase(), step.sweep), (Phase::Denied, minted));
        assert_eq!(world.message("Finished"), "denied by frank: because");
        assert!(world.status().token.as_ref().is_none_or(|token| token.hash.is_none()));
    }
}

#[test]
fn a_renewed_certificate_voids_votes_and_token_of_a_reviewed_request_only() {
    let mut world = approved_by_people();
    world.step(1);
    let first = world.status().review.clone().unwrap();
    world.renew("f2");
    let step = world.step(2);
    let review = world.status().review.clone().unwrap();
    assert_eq!((world.phase(), review.round, review.approvals.given), (Phase::AwaitingApproval, 2, 0));
    assert_ne!(review.digest, first.digest);
    assert_eq!((world.condition("Approved").as_str(), step.sweep), ("False/ReviewChanged", true));
    assert_eq!(world.status().token.as_ref().unwrap().previous[0].why, TokenEnd::ReviewChanged);
    world.renew("f1");
    world.step(3);
    assert_eq!(world.status().review.as_ref().unwrap().round, 3, "back to the first certificate: still void");
    assert_eq!(world.phase(), Phase::AwaitingApproval);

    let mut plain = World::new(Format::Fullchain, vec![]);
    plain.step(0);
    plain.renew("f2");
    assert_eq!(plain.step(1).status, None, "nobody reviewed it: the current certificate is delivered");
}

#[test]
fn a_policy_flipped_there_and_back_leaves_old_votes_void() {
    let mut world = World::new(Format::Key, policy(2));
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.vote("frank", Vote::Approve);
    world.policies = policy(3);
    world.step(1);
    assert_eq!(world.phase(), Phase::AwaitingApproval);
    world.policies = policy(2);
    world.step(2);
    assert_eq!((world.phase(), world.status().review.as_ref().unwrap().round), (Phase::AwaitingApproval, 3));
}

#[test]
fn what_grants_nothing_changes_no_review() {
    let mut world = approved_by_people();
    world.step(1);
    world.policies[0].spec.receipt_retention = Some(crate::api::Duration::from_seconds(48 * 3600));
    assert_eq!(world.step(2).status, None);
}

#[test]
fn votes_for_the_object_of_the_same_name_that_was_deleted_do_not_count() {
    let mut world = approved_by_people();
    let votes = world.status().approvals.clone();
    let mut again = World::new(Format::Key, policy(2));
    again.request.metadata.uid = Some("uid-2".into());
    again.step(0);
    again.request.status.as_mut().unwrap().approvals = votes;
    again.step(1);
    assert_eq!(again.phase(), Phase::AwaitingApproval);
    world.step(1);
    assert_eq!(world.phase(), Phase::TokenIssued);
}

#[test]
fn approval_that_is_no_longer_required_lets_the_request_go_on_in_a_new_round() {
    let mut world = World::new(Format::Key, policy(2));
    world.step(0);
    world.policies = policy(0);
    world.step(1);
    assert_eq!((world.phase(), world.status().review.as_ref().unwrap().round), (Phase::TokenIssued, 2));
    assert_eq!(world.condition("Approved"), "True/NotRequired");
}

#[test]
fn a_policy_or_a_right_that_now_refuses_ends_the_request_and_its_token() {
    let mut tightened = World::new(Format::Key, policy(0));
    tightened.step(0);
    tightened.policies.clear();
    let mut unbound = World::new(Format::Cert, vec![]);
    unbound.step(0);
    unbound.access = Access::VerbRefused;
    for (mut world, word) in [(tightened, "KeyExportDisabled"), (unbound, "AccessRefused")] {
        let step = world.step(1);
        assert_eq!((world.phase(), world.status().reason.as_deref()), (Phase::Failed, Some("PolicyRefused")));
        assert!(world.message("Finished").contains(word) && step.sweep, "{}", world.message("Finished"));
        assert_eq!(world.status().token.as_ref().unwrap().hash, None);
    }
}

#[test]
fn an_expired_token_can_be_had_again_by_annotation_until_the_request_expires() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.step(0);
    assert!(world.step(300).sweep);
    assert_eq!((world.phase(), world.condition("TokenIssued").as_str()), (Phase::Approved, "False/TokenExpired"));
    assert!(world.message("TokenIssued").contains("certcourier.io/mint"), "{}", world.message("TokenIssued"));
    assert_eq!(world.step(301).mint, None, "not minted again by itself");
    world.annotate(names::MINT, "again");
    assert_eq!(world.step(302).mint.unwrap().generation, 2);
    assert_eq!(world.step(303).mint, None, "one annotation, one token");
    let mut late = world.clone();
    late.step(24 * 3600);
    assert_eq!((late.phase(), late.condition("Finished").as_str()), (Phase::Expired, "True/Expired"));
}

#[test]
fn a_new_mint_kills_the_old_token_and_four_are_remembered() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.step(0);
    for value in 1..=6 {
        world.annotate(names::MINT, &value.to_string());
        world.step(value);
    }
    let token = world.status().token.clone().unwrap();
    assert_eq!((token.generation, token.hash.unwrap()), (7, hash(7)));
    let previous: Vec<_> = token.previous.iter().map(|ended| ended.hash.clone()).collect();
    assert_eq!(previous, [hash(3), hash(4), hash(5), hash(6)]);
    world.annotate(names::MINT, "");
    assert_eq!(world.step(8).mint, None, "an empty annotation asks for nothing");
    world.annotate(names::MINT, &"x".repeat(5000));
    assert!(world.step(9).mint.is_some());
    assert_eq!(world.step(10).mint, None, "a long annotation is answered once, too");
}

#[test]
fn tokens_end_with_validity_and_deadline() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.request.spec.deadline = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(100)));
    assert_eq!(world.step(0).mint.unwrap().expires_at, at(100));
    world.step(100);
    assert_eq!(world.phase(), Phase::Expired);

    let mut copied = World::new(Format::Fullchain, vec![]);
    copied.request.spec.deadline = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(-1)));
    let step = copied.step(0);
    assert_eq!((copied.phase(), copied.status().reason.as_deref()), (Phase::Failed, Some("DeadlinePassed")));
    assert_eq!(step.mint, None, "a copy made after its deadline does nothing");
}

#[test]
fn pending_ends_after_its_time_counted_from_the_round() {
    let mut world = World::new(Format::Key, policy(1));
    world.step(0);
    world.renew("f2");
    world.step(1000);
    world.step(3600);
    assert_eq!(world.phase(), Phase::AwaitingApproval, "the round began at 1000");
    world.step(4600);
    assert_eq!((world.phase(), world.condition("Finished").as_str()), (Phase::Expired, "True/Expired"));
    assert!(world.message("Finished").contains("pendingTTL"));
}

#[test]
fn validity_counts_from_the_approval() {
    let mut world = World::new(Format::Key, policy(1));
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.step(1800);
    world.step(24 * 3600 + 1);
    assert_eq!(world.phase(), Phase::Approved, "the token is over, the request is not");
    world.step(24 * 3600 + 1800);
    assert_eq!(world.phase(), Phase::Expired);
}

#[test]
fn whoever_may_revokes_and_it_stays() {
    for seconds in [0, 1] {
        let mut world = World::new(Format::Fullchain, vec![]);
        if seconds == 1 {
            world.step(0);
        }
        world.annotate(names::REVOKE, "leaked");
        world.step(seconds);
        assert_eq!((world.phase(), world.message("Finished").as_str()), (Phase::Revoked, "revoked: leaked"));
        assert_eq!(world.step(9), Step::default());
    }
}

#[test]
fn who_withdrew_is_named_where_it_is_known_and_nothing_hidden_is_repeated() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.annotate(names::REVOKE, "line\u{1b}[2J\u{202e}break");
    world.annotate(names::REVOKED_BY, "bob");
    let step = world.step(0);
    assert_eq!(world.message("Finished"), "revoked by bob: line [2J\u{fffd}break");
    assert_eq!(step.notes[0].message, "revoked by bob: line [2J\u{fffd}break");
}

#[test]
fn another_token_is_made_sixteen_times_and_then_the_last_one_is_left_alone() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.step(0);
    for number in 0..30_i64 {
        world.annotate(names::MINT, &number.to_string());
        world.step(number);
    }
    assert_eq!(world.status().token.as_ref().unwrap().generation, MOST_TOKENS);
    assert_eq!((world.minted, world.condition("TokenIssued").as_str()), (MOST_TOKENS, "True/Minted"));
    let message = world.message("TokenIssued");
    assert!(
        message
            .ends_with("this request has had 16 tokens, and no more are issued for it: create another DownloadRequest")
    );
    assert!(message.starts_with("read the link from Secret"), "{message}");
    assert_eq!(redeem(&world.observed(), &hash(MOST_TOKENS), at(31)), Ok(()), "the last one is as good as before");
    world.annotate(names::MINT, "again");
    let step = world.step(32);
    assert_eq!((step.status, step.mint, step.notes), (None, None, vec![]), "it is said once");
    world.step(400);
    let message = world.message("TokenIssued");
    assert!(message.starts_with("the token expired; this request has had 16 tokens"), "{message}");
    assert_eq!(world.step(401).mint, None);

    // A new round has a token of its own.
    let mut reviewed = approved_by_people();
    for number in 0..20_i64 {
        reviewed.annotate(names::MINT, &number.to_string());
        reviewed.step(number + 10);
    }
    assert_eq!(reviewed.minted, MOST_TOKENS);
    reviewed.renew("f2");
    reviewed.step(40);
    for who in ["bob", "frank"] {
        reviewed.vote(who, Vote::Approve);
    }
    reviewed.step(41);
    assert_eq!((reviewed.minted, reviewed.phase()), (MOST_TOKENS + 1, Phase::TokenIssued));
}

#[test]
fn a_token_is_claimed_sixteen_times_and_no_more() {
    let mut world = World::new(Format::Fullchain, vec![]).claimed();
    world.step(0);
    for number in 1..=MOST_TOKENS {
        let (base, mint) = claim(&world.observed(), at(number)).unwrap();
        world.apply(&Step { status: Some(Box::new(base)), mint: Some(mint), ..Step::default() });
    }
    let refusal = claim(&world.observed(), at(20)).unwrap_err();
    assert_eq!(refusal, ClaimRefusal::NoMoreTokens(MOST_TOKENS));
    assert!(refusal.to_string().contains("create another DownloadRequest"), "{refusal}");
}

#[test]
fn one_request_too_many_of_one_requester_fails_and_those_that_people_look_at_stay() {
    let two = Settings { max_open_requests: 2, ..Settings::default() };
    for (ahead, phase) in [(1, Phase::TokenIssued), (2, Phase::Failed), (3, Phase::Failed)] {
        let mut world = World::new(Format::Fullchain, vec![]);
        (world.ahead, world.settings) = (ahead, two);
        world.step(0);
        assert_eq!(world.phase(), phase, "{ahead}");
    }
    let mut world = World::new(Format::Fullchain, vec![]);
    (world.ahead, world.settings) = (2, two);
    world.step(0);
    assert_eq!(world.status().reason.as_deref(), Some("TooManyOpenRequests"));
    let message = world.message("Finished");
    assert!(message.contains("alice has 2 open requests in this namespace already"), "{message}");
    assert!(message.contains("use or revoke some"), "{message}");

    // A smaller number after a restart ends nothing that is under way.
    let mut waiting = World::new(Format::Fullchain, policy(2));
    waiting.step(0);
    (waiting.ahead, waiting.settings) = (5, two);
    assert_eq!((waiting.step(1).status, waiting.phase()), (None, Phase::AwaitingApproval));

    // Over HTTP the token is there before the controller counts.
    let mut claimed = World::new(Format::Fullchain, vec![]).claimed();
    let (base, mint) = claim(&claimed.observed(), at(0)).unwrap();
    claimed.apply(&Step { status: Some(Box::new(base)), mint: Some(mint), ..Step::default() });
    (claimed.ahead, claimed.settings) = (2, two);
    claimed.step(1);
    assert_eq!(claimed.phase(), Phase::Failed);
}

#[test]
fn loosening_what_protects_link_or_file_voids_the_votes_for_it() {
    use crate::api::{Duration, PassphraseRules, TokenRules};

    let protected = |rules: TokenRules, least: i32| {
        let mut policies = policy(2);
        policies[0].spec.token = Some(rules);
        policies[0].spec.passphrase = Some(PassphraseRules { min_length: Some(least) });
        policies
    };
    let strict = TokenRules {
        ttl: Some(Duration::from_seconds(60)),
        max_ttl: Some(Duration::from_seconds(60)),
        bind_to_requester: Some(true),
    };
    for (what, looser, least) in [
        ("who may use it", TokenRules { bind_to_requester: Some(false), ..strict.clone() }, 20),
        ("how long it lives", TokenRules { max_ttl: Some(Duration::from_seconds(3600)), ..strict.clone() }, 20),
        ("the passphrase", strict.clone(), 1),
    ] {
        let mut world = World::new(Format::Pkcs12, protected(strict.clone(), 20));
        world.step(0);
        for who in ["bob", "frank"] {
            world.vote(who, Vote::Approve);
        }
        world.step(1);
        assert_eq!(world.phase(), Phase::TokenIssued, "{what}");
        world.policies = protected(looser, least);
        world.step(2);
        assert_eq!(
            (world.phase(), world.condition("Approved").as_str()),
            (Phase::AwaitingApproval, "False/ReviewChanged"),
            "{what}"
        );
    }
}

#[test]
fn a_broken_guard_holds_keys_back_and_lets_public_formats_go_on() {
    let broken = Guard::Broken { reason: "binding tokens is gone".into() };
    let mut key = World::new(Format::Key, policy(0));
    key.guard = broken.clone();
    assert_eq!(key.step(0).mint, None);
    assert_eq!((key.phase(), key.condition("TokenIssued").as_str()), (Phase::Approved, "False/GuardFailed"));
    key.guard = Guard::Intact { epoch: "e1".into(), since: at(-10) };
    assert!(key.step(1).mint.is_some(), "goes on once the guard is proven");

    let mut public = World::new(Format::Fullchain, vec![]);
    public.guard = broken;
    assert!(public.step(0).mint.is_some());
}

#[test]
fn a_key_request_from_before_the_guard_stood_is_closed() {
    for (since, phase) in [(at(0), Phase::Failed), (at(1), Phase::Failed), (at(-1), Phase::TokenIssued)] {
        let mut world = World::new(Format::Key, policy(0));
        world.guard = Guard::Intact { epoch: "e2".into(), since };
        world.step(2);
        assert_eq!(world.phase(), phase, "{since}");
        if phase == Phase::Failed {
            assert_eq!(world.status().reason.as_deref(), Some("EpochChanged"));
        }
    }
}

#[test]
fn votes_of_another_epoch_do_not_count() {
    let mut world = World::new(Format::Fullchain, policy(1));
    world.guard = Guard::Intact { epoch: "e1".into(), since: at(-10) };
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.guard = Guard::Intact { epoch: "e2".into(), since: at(1) };
    world.step(2);
    assert_eq!((world.phase(), world.status().review.as_ref().unwrap().round), (Phase::AwaitingApproval, 2));
}

fn receipt(outcome: Option<Outcome>, bytes_sent: Option<i64>) -> ReceiptSeen {
    ReceiptSeen { name: "r-1".into(), outcome, bytes_sent }
}

#[test]
fn the_receipt_wins_over_every_phase() {
    for close in [Phase::TokenIssued, Phase::Expired, Phase::Revoked] {
        let mut world = World::new(Format::Fullchain, vec![]);
        world.step(0);
        match close {
            Phase::Expired => drop(world.step(90_000)),
            Phase::Revoked => {
                world.annotate(names::REVOKE, "x");
                world.step(1);
            }
            _ => {}
        }
        assert_eq!(world.phase(), close);
        world.receipt = Some(receipt(None, None));
        world.step(90_001);
        let under_way = match close {
            Phase::Expired => (Phase::Expired, "True/Expired"),
            Phase::Revoked => (Phase::Revoked, "True/Revoked"),
            _ => (Phase::Consumed, "False/Open"),
        };
        assert_eq!((world.phase(), world.condition("Finished").as_str()), under_way);
        assert_eq!(world.status().receipt_ref.as_ref().unwrap().name, "r-1");
        assert_eq!(world.step(90_002).status, None);
        world.receipt = Some(receipt(Some(Outcome::Aborted), Some(1)));
        world.step(90_002);
        assert_eq!((world.phase(), world.condition("Finished").as_str()), (Phase::Consumed, "True/Aborted"));
        assert_eq!(world.step(90_003).status, None);
    }
}

#[test]
fn a_delivery_that_a_denial_stopped_before_its_first_byte_leaves_the_request_denied() {
    for seen_under_way in [true, false] {
        let mut world = World::new(Format::Fullchain, vec![]);
        world.step(0);
        world.vote("bob", Vote::Deny);
        world.receipt = Some(receipt(None, None));
        if seen_under_way {
            world.step(1);
            assert_eq!(world.phase(), Phase::Denied);
        }
        world.receipt = Some(receipt(Some(Outcome::Aborted), Some(0)));
        world.step(2);
        assert_eq!((world.phase(), world.condition("Finished").as_str()), (Phase::Denied, "True/Denied"));
        assert_eq!(world.message("Finished"), "denied by bob: because");
        assert_eq!(world.status().receipt_ref.as_ref().unwrap().name, "r-1");
        assert_eq!(world.step(3).status, None);
    }
}

#[test]
fn a_denial_of_what_was_delivered_stays_in_the_conditions() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.step(0);
    world.vote("bob", Vote::Deny);
    for outcome in [Outcome::Delivered, Outcome::Unknown] {
        let mut world = world.clone();
        world.receipt = Some(receipt(Some(outcome), None));
        world.step(1);
        assert_eq!((world.phase(), world.condition("Approved").as_str()), (Phase::Consumed, "False/Denied"));
    }
}

#[test]
fn a_delivery_stands_unless_the_request_was_ended_before_its_receipt() {
    type Change = fn(&mut World);
    let mut world = World::new(Format::Key, policy(1));
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.step(1);
    let seen = world.clone();
    let seen = seen.observed();
    assert_eq!(redeem(&seen, &hash(1), at(2)), Ok(()));
    let changes: [(Change, Option<&str>); 10] = [
        (|_| (), None),
        (|world| world.vote("frank", Vote::Approve), None),
        (|world| world.annotate("example.com/churn", "1"), None),
        (|world| world.receipt = Some(receipt(None, None)), None),
        (|world| world.vote("frank", Vote::Deny), Some("Denied")),
        (|world| world.annotate(names::REVOKE, "x"), Some("Revoked")),
        (|world| world.guard = Guard::Intact { epoch: "e2".into(), since: at(1) }, Some("Failed, EpochChanged")),
        (|world| world.access = Access::VerbRefused, Some("Failed, PolicyRefused")),
        (|world| world.request.metadata.uid = Some("another".into()), Some("Deleted")),
        (
            |world| {
                world.request.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(noon()));
            },
            Some("Deleted"),
        ),
    ];
    for (number, (change, why)) in changes.into_iter().enumerate() {
        let mut world = world.clone();
        change(&mut world);
        // Whether or not the controller has seen it.
        for look in [false, true] {
            if look {
                world.step(2);
            }
            let of = TokenOf::of(&world.request);
            let refusal = why.map(|why| Refusal::TokenRevoked(why.into(), of));
            let looked = stands(&seen, Some(&world.request), at(2)).err();
            let only_the_controller_knows = !look && why.is_some_and(|why| why.starts_with("Failed"));
            assert_eq!(looked, refusal.filter(|_| !only_the_controller_knows), "{number}, {look}");
        }
    }
    assert!(stands(&seen, None, at(2)).is_err(), "gone");
    world.annotate(names::MINT, "1");
    world.step(2);
    let looked = stands(&seen, Some(&world.request), at(2));
    assert_eq!(looked, Ok(()), "a token that was replaced after it was presented: its receipt uses the request up");
    world.renew("f2");
    world.step(3);
    assert_eq!(stands(&seen, Some(&world.request), at(2)), Err(Refusal::CertificateChanged(2)));

    let mut world = World::new(Format::Fullchain, policy(1));
    world.step(0);
    world.vote("bob", Vote::Approve);
    world.step(1);
    let seen = world.clone();
    let seen = seen.observed();
    world.policies.clear();
    world.step(2);
    assert_eq!((world.phase(), world.status().review.as_ref().unwrap().round), (Phase::TokenIssued, 2));
    assert_eq!(
        redeem(&world.observed(), &hash(1), at(2)),
        Err(Refusal::CertificateChanged(2)),
        "a token is of its round"
    );
    assert_eq!(stands(&seen, Some(&world.request), at(2)), Ok(()), "the new round asks for no approvals");
}

#[test]
fn a_request_that_is_being_deleted_is_closed_once() {
    let mut world = World::new(Format::Fullchain, vec![]);
    world.step(0);
    world.request.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(noon()));
    let step = world.step(1);
    assert!(step.sweep && step.mint.is_none());
    assert_eq!((world.phase(), world.condition("Finished").as_str()), (Phase::Revoked, "True/Revoked"));
    assert_eq!(world.step(2), Step::default());
    let mut fresh = World::new(Format::Fullchain, vec![]);
    fresh.request.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(noon()));
    fresh.step(0);
    assert_eq!((fresh.phase(), &fresh.status().token), (Phase::Revoked, &None));
}

#[test]
fn approval_on_paper_without_votes_yields_no_token() {
    let mut world = World::new(Format::Key, policy(1));
    world.step(0);
    world.request.status.as_mut().unwrap().phase = Some(Phase::Approved);
    assert_eq!(world.step(1).mint, None);
    assert_eq!(world.phase(), Phase::AwaitingApproval);
}

#[test]
fn a_status_that_nobody_of_us_wrote_grants_nothing() {
    let mut world = World::new(Format::Key, policy(1));
    world.request.status = Some(DownloadRequestStatus { phase: Some(Phase::Approved), ..Default::default() });
    assert_eq!(world.step(0).mint, None);
    assert_eq!(world.phase(), Phase::AwaitingApproval);
}

#[test]
fn claims_wait_for_their_claimer() {
    let mut world = World::new(Format::Key, policy(0)).claimed();
    assert_eq!(world.step(0).mint, None);
    assert_eq!((world.phase(), world.condition("TokenIssued").as_str()), (Phase::Approved, "False/AwaitingClaim"));
    let (base, mint) = claim(&world.observed(), at(1)).unwrap();
    assert_eq!((mint.generation, mint.secret_name.clone()), (1, None));
    let status =
        mint.complete(&world.request, &base, Minted { hash: hash(1), sealed_passphrase: None, reader_name: None });
    world.request.status = Some(status);
    assert_eq!(world.phase(), Phase::TokenIssued);
    assert_eq!(world.step(2).status, None);
    assert_eq!(claim(&world.observed(), at(3)).unwrap().1.generation, 2, "a second claim replaces the token");

    let secret = World::new(Format::Key, policy(0));
    assert!(matches!(claim(&secret.observed(), at(0)), Err(ClaimRefusal::WrongDelivery(_))));
    let mut waiting = World::new(Format::Key, policy(2)).claimed();
    waiting.step(0);
    assert_eq!(
        claim(&waiting.observed(), at(1)),
        Err(ClaimRefusal::ApprovalRequired("0/2 approvals are given".into()))
    );
    let mut refused = World::new(Format::Key, policy(0)).claimed();
    refused.policies.clear();
    assert!(matches!(claim(&refused.observed(), at(0)), Err(ClaimRefusal::Refused(_))));
    let mut guarded = World::new(Format::Key, policy(0)).claimed();
    guarded.guard = Guard::Broken { reason: "x".into() };
    assert!(matches!(claim(&guarded.observed(), at(0)), Err(ClaimRefusal::GuardFailed(_))));
    world.annotate(names::REVOKE, "x");
    assert!(matches!(claim(&world.observed(), at(4)), Err(ClaimRefusal::Closed(_))));
    let mut going = World::new(Format::Key, policy(0)).claimed();
    going.request.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(0)));
    assert!(matches!(claim(&going.observed(), at(1)), Err(ClaimRefusal::Closed(_))));
}

/// A cause, the world before, the change, when the token is presented, the refusal expected.
type Case = (&'static str, World, fn(&mut World), i64, fn(&Refusal) -> bool);

#[test]
fn each_cause_stops_a_redemption_with_its_own_refusal() {
    let issued = |format, policies| {
        let mut world = World::new(format, policies);
        world.step(0);
        world
    };
    let reviewed = || {
        let mut world = approved_by_people();
        world.step(1);
        world
    };
    let cases: Vec<Case> = vec![
        ("expired", issued(Format::Cert, vec![]), |_| {}, 300, |r| matches!(r, Refusal::TokenExpired(..))),
        ("policy", issued(Format::Key, policy(0)), |w| w.policies.clear(), 1, |r| matches!(r, Refusal::Refused(_))),
        (
            "rights",
            issued(Format::Cert, vec![]),
            |w| w.access = Access::VerbRefused,
            1,
            |r| matches!(r, Refusal::Refused(_)),
        ),
        ("deny", reviewed(), |w| w.vote("grace", Vote::Deny), 2, |r| matches!(r, Refusal::TokenRevoked(..))),
        ("renewed", reviewed(), |w| w.renew("f2"), 2, |r| *r == Refusal::CertificateChanged(2)),
        ("revoked", reviewed(), |w| w.annotate(names::REVOKE, "x"), 2, |r| matches!(r, Refusal::TokenRevoked(..))),
        ("unusable", reviewed(), |w| w.material = unusable(), 2, |r| matches!(r, Refusal::MaterialUnusable(_))),
        ("secret gone", reviewed(), |w| w.material = missing(), 2, |r| matches!(r, Refusal::CertificateGone(_))),
        (
            "guard",
            reviewed(),
            |w| w.guard = Guard::Broken { reason: "x".into() },
            2,
            |r| matches!(r, Refusal::GuardFailed(_)),
        ),
        (
            "epoch",
            reviewed(),
            |w| w.guard = Guard::Intact { epoch: "e".into(), since: at(1) },
            2,
            |r| matches!(r, Refusal::TokenRevoked(..)),
        ),
        (
            "certificate gone",
            issued(Format::Cert, vec![]),
            |w| {
                w.certificate_gone = true;
                w.material = missing();
            },
            1,
            |r| matches!(r, Refusal::CertificateGone(_)),
        ),
        (
            "used",
            issued(Format::Cert, vec![]),
            |w| w.receipt = Some(ReceiptSeen { name: "r".into(), outcome: None, bytes_sent: None }),
            1,
            |r| *r == Refusal::TokenUsed,
        ),
        (
            "votes",
            reviewed(),
            |w| w.request.status.as_mut().unwrap().approvals = Some(vec![]),
            2,
            |r| matches!(r, Refusal::ApprovalRequired(_)),
        ),
        ("approver", reviewed(), |w| w.lapsed = ["bob"].into(), 2, |r| matches!(r, Refusal::ApprovalRequired(_))),
    ];
    for (name, mut world, change, seconds, expected) in cases {
        assert_eq!(redeem(&world.observed(), &hash(1), at(2)), Ok(()), "{name}: before");
        change(&mut world);
        let refusal = redeem(&world.observed(), &hash(1), at(seconds)).unwrap_err();
        assert!(expected(&refusal), "{name}: {refusal:?}");
    }
}

#[test]
fn every_hash_that_was_ever_known_says_why_it_no_longer_works() {
    let mut world = World::new(Format::Cert, vec![]);
    assert_eq!(present(&world.request, &hash(1), at(0)), Err(Refusal::TokenUnknown), "no status yet");
    world.step(0);
    assert_eq!(present(&world.request, &hash(9), at(0)), Err(Refusal::TokenUnknown));
    world.annotate(names::MINT, "1");
    world.step(1);
    assert_eq!(present(&world.request, &hash(1), at(2)), Err(Refusal::TokenReplaced(at(1))));
    assert_eq!(present(&world.request, &hash(2), at(2)), Ok(()));
    world.step(301);
    assert_eq!(
        present(&world.request, &hash(2), at(302)),
        Err(Refusal::TokenExpired(at(301), Some(TokenOf::of(&world.request))))
    );
    world.receipt = Some(ReceiptSeen { name: "r".into(), outcome: None, bytes_sent: None });
    world.step(303);
    for generation in [1, 2] {
        assert_eq!(present(&world.request, &hash(generation), at(304)), Err(Refusal::TokenUsed));
    }
    let mut revoked = World::new(Format::Cert, vec![]);
    revoked.step(0);
    revoked.annotate(names::REVOKE, "x");
    revoked.step(1);
    assert_eq!(
        present(&revoked.request, &hash(1), at(2)),
        Err(Refusal::TokenRevoked("Revoked".into(), TokenOf::of(&revoked.request)))
    );
}

#[test]
fn finished_requests_go_when_their_time_is_over_and_no_sooner() {
    let mut world = World::new(Format::Cert, vec![]);
    world.step(0);
    let hour = std::time::Duration::from_hours(1);
    let stay = Retention { by_policy: None, made_by_api: hour };
    let half = FinishedRequestTtl::For(crate::api::Duration::from_seconds(1800));
    let short = Retention { by_policy: Some(half), made_by_api: hour };
    let never = Retention { by_policy: Some(FinishedRequestTtl::Never), made_by_api: hour };
    assert_eq!(request_expiry(&world.request, short), None, "open");
    world.annotate(names::REVOKE, "x");
    world.step(10);
    assert_eq!(request_expiry(&world.request, stay), Some(at(10 + 720 * 3600)), "no policy says: 30 days");
    assert_eq!(request_expiry(&world.request, never), None, "kept in Git, say");
    assert_eq!(request_expiry(&world.request, short), Some(at(1810)));
    world.request.metadata.labels = Some([(names::CREATED_BY.to_owned(), "api".to_owned())].into());
    assert_eq!(request_expiry(&world.request, stay), Some(at(3610)));
    assert_eq!(request_expiry(&world.request, never), None, "whoever made it");
}

#[test]
fn until_when_and_whom_to_ask_is_written_with_the_round_and_is_what_ends_it() {
    let mut world = World::new(Format::Key, policy(2));
    let ask = |world: &mut World, whom: &str| {
        world.policies[0].spec.approval.as_mut().unwrap().contacts = Some(whom.to_owned());
    };
    ask(&mut world, "#oncall");
    let opened = world.step(0).status.unwrap().review.unwrap();
    assert_eq!(opened.expires_at.unwrap().0, at(3600));
    assert_eq!(opened.contacts, ["#oncall"]);
    assert!(world.message("Approved").contains("until 2026-11-22T13:00:00Z"), "{}", world.message("Approved"));
    assert!(world.message("Approved").ends_with("to ask one: #oncall"), "{}", world.message("Approved"));

    // Whom to ask may change: no vote is void, and no one has longer.
    world.vote("bob", Vote::Approve);
    ask(&mut world, "jane");
    world.step(1);
    let review = world.status().review.clone().unwrap();
    assert_eq!((review.round, review.approvals.given, review.contacts.as_slice()), (1, 1, &["jane".to_owned()][..]));
    assert_eq!(review.expires_at.unwrap().0, at(3600));
    assert_eq!(world.step(2).status, None, "a second look changes nothing");

    // What was said holds where no policy can be read any more.
    let mut gone = world.clone();
    gone.certificate_gone = true;
    gone.step(3599);
    assert_eq!(gone.phase(), Phase::AwaitingApproval);
    gone.step(3600);
    assert_eq!(gone.phase(), Phase::Expired);

    world.vote("frank", Vote::Approve);
    world.step(3);
    let review = world.status().review.clone().unwrap();
    assert_eq!((review.expires_at, review.contacts.len()), (None, 0), "no one is waited for");
    world.lapsed.insert("bob");
    world.step(10);
    assert_eq!(
        world.status().review.as_ref().unwrap().expires_at.as_ref().unwrap().0,
        at(3610),
        "the whole time again"
    );
}
