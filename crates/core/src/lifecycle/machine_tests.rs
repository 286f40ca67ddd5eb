//! The state table as a machine: arbitrary interleavings of people, renewals, policies, guard, clock, restarts and late
//! writers, against laws that are stated here on their own, not by calling the code under test.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{fixtures::*, *};
use crate::{
    api::{Decision as Vote, DownloadRequestStatus, Format, Phase, names},
    policy::{Access, Decision},
};

/// What may happen between two looks.
#[derive(Clone, Debug)]
enum Event {
    Vote(&'static str, Vote, bool),
    Renew(&'static str),
    Unusable,
    Gone,
    Policy(Option<i32>),
    Access(bool),
    /// Somebody may approve no longer, or may again.
    Approver(&'static str, bool),
    Epoch(u8),
    GuardBroken,
    Clock(i64),
    Mint(u8),
    Revoke,
    /// A look and its write.
    Controller,
    /// A look whose write comes later.
    Observe,
    /// The late write: refused where anything was written since.
    LateWrite,
    /// The newest token is presented.
    Redeem,
    /// An older token is presented.
    RedeemOld(u8),
    /// A server reads and decides for the newest token; whatever happens next comes before its receipt.
    Decide,
    /// It creates the receipt.
    Commit,
    /// It looks again, and sends or stops.
    Send,
    /// A request with a finalizer is deleted.
    Delete,
    Claim,
    Outcome,
}

fn event() -> impl Strategy<Value = Event> {
    let voter = select(vec!["bob", "BOB", "frank", "grace", "alice", "ALICE", "system:serviceaccount:a:b"]);
    prop_oneof![
        6 => (voter, prop_oneof![9 => Just(Vote::Approve), 1 => Just(Vote::Deny)], prop::bool::weighted(0.8)).prop_map(|(who, vote, current)| Event::Vote(who, vote, current)),
        2 => select(vec!["f1", "f2"]).prop_map(Event::Renew),
        1 => Just(Event::Unusable),
        1 => Just(Event::Gone),
        2 => select(vec![None, Some(0), Some(1), Some(2)]).prop_map(Event::Policy),
        1 => prop::bool::weighted(0.7).prop_map(Event::Access),
        2 => (select(vec!["bob", "frank", "grace"]), prop::bool::weighted(0.5)).prop_map(|(who, may)| Event::Approver(who, may)),
        1 => (0..2_u8).prop_map(Event::Epoch),
        1 => Just(Event::GuardBroken),
        3 => select(vec![1, 10, 31, 299, 300, 3600, 90_000]).prop_map(Event::Clock),
        2 => (0..3_u8).prop_map(Event::Mint),
        1 => prop::bool::weighted(0.2).prop_map(|revoke| if revoke { Event::Revoke } else { Event::Controller }),
        12 => Just(Event::Controller),
        2 => Just(Event::Observe),
        2 => Just(Event::LateWrite),
        4 => Just(Event::Redeem),
        1 => (0..6_u8).prop_map(Event::RedeemOld),
        3 => Just(Event::Decide),
        3 => Just(Event::Commit),
        3 => Just(Event::Send),
        1 => prop::bool::weighted(0.2).prop_map(|delete| if delete { Event::Delete } else { Event::Controller }),
        2 => Just(Event::Claim),
        1 => Just(Event::Outcome),
    ]
}

/// The world, its clock, and what a late writer still holds.
struct Machine {
    world: World,
    seconds: i64,
    version: u64,
    late: Option<(World, i64, u64)>,
    hashes: BTreeSet<String>,
    deliveries: u32,
    serving: Option<Serving>,
    /// A delivery was stopped before its first byte, of a request that people had ended before its receipt.
    stopped_in_time: bool,
}

/// A delivery between its decision and its first byte.
struct Serving {
    decided_on: World,
    seconds: i64,
    /// Once the receipt is there: whether the request was ended before.
    ended_before: Option<bool>,
}

/// The arrows of the design's table; a step may take two of them in one write.
#[expect(clippy::match_same_arms, reason = "one line for each line of the table")]
fn arrow(from: Phase, to: Phase) -> bool {
    use Phase::{Approved, AwaitingApproval, Consumed, Denied, Expired, Failed, Pending, Revoked, TokenIssued};
    let direct = |from, to| match (from, to) {
        (_, Consumed) => true,
        (Pending, AwaitingApproval | Approved | Failed | Revoked | Denied) => true,
        (AwaitingApproval, Approved | Denied | Expired | Revoked | Failed) => true,
        (Approved, TokenIssued | AwaitingApproval | Denied | Expired | Revoked | Failed) => true,
        (TokenIssued, Approved | AwaitingApproval | Denied | Expired | Revoked | Failed) => true,
        (from, to) => from == to,
    };
    direct(from, to)
        || (from.is_open() && Phase::ALL.into_iter().any(|via| via.is_open() && direct(from, via) && direct(via, to)))
}

impl Machine {
    fn new(format: Format, claim: bool, approvals: i32) -> Self {
        let mut world = World::new(format, policy(approvals));
        if claim {
            world = world.claimed();
        }
        world.guard = Guard::Intact { epoch: "e0".into(), since: at(-5) };
        Self {
            world,
            seconds: 0,
            version: 0,
            late: None,
            hashes: BTreeSet::new(),
            deliveries: 0,
            serving: None,
            stopped_in_time: false,
        }
    }

    fn happens(&mut self, event: &Event) {
        match event {
            Event::Vote(who, vote, current) => self.vote(who, *vote, *current),
            Event::Renew(fingerprint) => {
                self.world.certificate_gone = false;
                self.world.renew(fingerprint);
            }
            Event::Unusable => self.world.material = unusable(),
            Event::Gone => {
                self.world.certificate_gone = true;
                self.world.material = missing();
            }
            Event::Policy(approvals) => self.world.policies = approvals.map(policy).unwrap_or_default(),
            Event::Access(allowed) => {
                self.world.access = if *allowed { Access::Allowed } else { Access::VerbRefused };
            }
            Event::Approver(who, true) => self.world.lapsed.retain(|name| name != who),
            Event::Approver(who, false) => self.world.lapsed.extend([who]),
            Event::Epoch(number) => {
                self.world.guard = Guard::Intact {
                    epoch: format!("e{number}"),
                    since: at(if *number == 0 { -5 } else { self.seconds }),
                };
            }
            Event::GuardBroken => self.world.guard = Guard::Broken { reason: "gone".into() },
            Event::Clock(seconds) => self.seconds += seconds,
            Event::Mint(value) => {
                self.world.annotate(names::MINT, &if *value == 0 { String::new() } else { value.to_string() });
                self.version += 1;
            }
            Event::Revoke => {
                self.world.annotate(names::REVOKE, "why");
                self.version += 1;
            }
            Event::Controller => self.controller(),
            Event::Observe => self.late = Some((self.world.clone(), self.seconds, self.version)),
            Event::LateWrite => self.late_write(),
            Event::Redeem => self.redeem(None),
            Event::RedeemOld(generation) => self.redeem(Some(i64::from(*generation))),
            Event::Decide => self.decide(),
            Event::Commit => self.commit(),
            Event::Send => self.send(),
            Event::Delete => {
                self.world.request.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(at(self.seconds)));
                self.version += 1;
            }
            Event::Claim => self.claim(),
            Event::Outcome if self.serving.is_some() => {}
            Event::Outcome => {
                if let Some(receipt) = &mut self.world.receipt {
                    receipt.outcome.get_or_insert(Outcome::Delivered);
                }
            }
        }
    }

    /// As admission lets votes pass: open requests under review only, an Approve only for the current digest, one each,
    /// and (the guard may have been down) also for the requester and for programs.
    fn vote(&mut self, who: &str, vote: Vote, current: bool) {
        let Some(status) = &self.world.request.status else { return };
        let Some(review) = &status.review else { return };
        let digest = if current { review.digest.clone() } else { "0".repeat(64) };
        let votes = status.approvals.clone().unwrap_or_default();
        if self.world.phase().is_open()
            && (current || vote == Vote::Deny)
            && !votes.iter().any(|old| old.username == who && old.digest == digest && old.decision == vote)
        {
            self.world.vote_for(who, vote, &digest);
            self.version += 1;
        }
    }

    fn controller(&mut self) {
        let step = next(&self.world.observed(), at(self.seconds));
        self.write(&step);
        let again = next(&self.world.observed(), at(self.seconds));
        assert_eq!((again.status, again.mint), (None, None), "a step is taken once");
    }

    /// A writer that looked long ago: the API server refuses it where the object changed since.
    fn late_write(&mut self) {
        let Some((world, seconds, version)) = self.late.take() else { return };
        if version == self.version {
            // Nothing was written since; only the surroundings may have changed.
            let step = next(&world.observed(), at(seconds));
            Self::check_mint(&world, &step);
            self.apply(&step);
        }
    }

    fn write(&mut self, step: &Step) {
        let world = self.world.clone();
        Self::check_mint(&world, step);
        self.apply(step);
    }

    fn apply(&mut self, step: &Step) {
        let before = self.world.request.status.clone().unwrap_or_default();
        self.world.apply(step);
        if step.status.is_some() || step.mint.is_some() {
            self.version += 1;
        }
        self.check_write(&before);
    }

    fn claim(&mut self) {
        let Ok((base, mint)) = claim(&self.world.observed(), at(self.seconds)) else { return };
        let step = Step { status: Some(Box::new(base)), mint: Some(mint), ..Step::default() };
        self.write(&step);
    }

    /// Law: no token without the approvals that the policies ask for at that moment, counted here by other means.
    fn check_mint(world: &World, step: &Step) {
        let Some(mint) = &step.mint else { return };
        let status = step.status.as_deref().or(world.request.status.as_ref()).unwrap();
        Self::check_approved(world, status);
        assert!(mint.expires_at > mint.issued_at, "a token that is born dead");
        assert!(
            world.receipt.is_none()
                && !world.request.metadata.annotations.iter().any(|a| a.contains_key(names::REVOKE))
        );
        if world.request.spec.format.holds_key() {
            assert!(
                matches!(&world.guard, Guard::Intact { since, .. } if noon() > *since),
                "a key while the guard was down"
            );
        }
    }

    fn check_approved(world: &World, status: &DownloadRequestStatus) {
        let seen = world.observed();
        let Some(Decision::Grant(grant)) = &seen.decision else { panic!("a token though nothing was granted") };
        let Material::Usable { fingerprints } = &world.material else { panic!("a token for nothing") };
        let review = status.review.as_ref().unwrap();
        let votes = status.approvals.clone().unwrap_or_default();
        assert!(votes.iter().all(|vote| vote.decision == Vote::Approve), "a token in spite of a Deny");
        let people: BTreeSet<String> = votes
            .iter()
            .filter(|vote| vote.digest == review.digest && !world.lapsed.contains(vote.username.as_str()))
            .map(|vote| vote.username.to_lowercase())
            .filter(|name| name != "alice" && !name.starts_with("system:"))
            .collect();
        assert!(people.len() >= usize::try_from(grant.approvals).unwrap(), "{people:?} for {}", grant.approvals);
        if grant.approvals > 0 {
            assert_eq!(&review.fingerprints, fingerprints, "what was reviewed is not what would be delivered");
        }
    }

    /// Laws about what is written, those of the CRD included.
    fn check_write(&mut self, before: &DownloadRequestStatus) {
        let after = self.world.request.status.clone().unwrap_or_default();
        let (from, to) = (before.phase.unwrap_or_default(), after.phase.unwrap_or_default());
        assert!(arrow(from, to), "{from:?} -> {to:?}");
        if let Some(old) = &before.token {
            assert!(after.token.as_ref().is_some_and(|token| token.generation >= old.generation), "generation shrank");
        }
        if let Some(old) = &before.review {
            assert!(after.review.as_ref().is_some_and(|review| review.round >= old.round), "round shrank");
        }
        assert!(before.approvals.is_none() || before.approvals == after.approvals, "the operator touched votes");
        if let Some(token) = &after.token {
            assert!(token.previous.len() <= REMEMBERED_TOKENS);
            self.hashes.extend(token.hash.clone());
            assert_eq!(token.hash.is_some(), to == Phase::TokenIssued, "a living token in phase {to:?}");
        }
        let living =
            self.hashes.iter().filter(|hash| present(&self.world.request, hash, at(self.seconds)).is_ok()).count();
        assert!(living <= 1, "{living} tokens alive");
        let finished = after.conditions.iter().any(|c| c.type_ == "Finished" && c.status == "True");
        assert!(
            finished || to.is_open() || to == Phase::Consumed,
            "closed and not finished: kubectl wait would not end"
        );
        assert!(!self.stopped_in_time || to != Phase::Consumed, "nothing was sent, and the denial is forgotten");
    }

    /// Whether people, or the controller, have ended it.
    fn is_ended(&self) -> bool {
        let request = &self.world.request;
        request.votes().iter().any(|vote| vote.decision == Vote::Deny)
            || request.annotation(names::REVOKE).is_some()
            || request.metadata.deletion_timestamp.is_some()
            || !request.is_open()
    }

    fn decide(&mut self) {
        let Some(token) = self.world.request.status.as_ref().and_then(|status| status.token.as_ref()) else { return };
        let (hash, seconds) = (hash(token.generation), self.seconds);
        let under_way = self.serving.as_ref().is_some_and(|serving| serving.ended_before.is_some());
        if !under_way && redeem(&self.world.observed(), &hash, at(seconds)).is_ok() {
            self.serving = Some(Serving { decided_on: self.world.clone(), seconds, ended_before: None });
        }
    }

    fn commit(&mut self) {
        let ended = self.is_ended();
        let Some(serving) = &mut self.serving else { return };
        if self.world.receipt.is_some() {
            return;
        }
        serving.ended_before = Some(ended);
        self.deliveries += 1;
        self.world.receipt = Some(ReceiptSeen { name: "r-1".into(), outcome: None, bytes_sent: None });
    }

    /// Laws: no byte leaves after a denial, revocation or ending that was stored before the receipt; and nothing but an
    /// ending or a new review takes the file from the one whose receipt has used the request up.
    fn send(&mut self) {
        let Some(Serving { decided_on, seconds, ended_before: Some(ended) }) = self.serving.take() else {
            return;
        };
        let looked = stands(&decided_on.observed(), Some(&self.world.request), at(seconds));
        assert!(!(ended && looked.is_ok()), "sent what was ended before");
        let stopped = looked.is_err();
        assert!(!stopped || self.is_ended() || self.world.phase() == Phase::AwaitingApproval, "{looked:?}");
        self.stopped_in_time = ended && stopped;
        let (outcome, bytes) = if stopped { (Outcome::Aborted, 0) } else { (Outcome::Delivered, 7) };
        if let Some(receipt) = &mut self.world.receipt {
            receipt.outcome.get_or_insert(outcome);
            receipt.bytes_sent.get_or_insert(bytes);
        }
    }

    fn redeem(&mut self, generation: Option<i64>) {
        let Some(token) = self.world.request.status.as_ref().and_then(|status| status.token.clone()) else { return };
        let hash = generation.map_or_else(|| hash(token.generation), hash);
        if redeem(&self.world.observed(), &hash, at(self.seconds)).is_err() {
            return;
        }
        let status = self.world.status().clone();
        Self::check_approved(&self.world.clone(), &status);
        assert_eq!(token.hash, Some(hash), "an older token was accepted");
        assert!(at(self.seconds) < token.expires_at.unwrap().0, "an expired token was accepted");
        if self.world.request.spec.format.holds_key() {
            assert!(!matches!(self.world.guard, Guard::Broken { .. }), "a key left while the guard was down");
        }
        // The receipt is the compare-and-set.
        if self.world.receipt.is_none() {
            self.deliveries += 1;
            self.world.receipt = Some(ReceiptSeen { name: "r-1".into(), outcome: None, bytes_sent: None });
        }
        assert_eq!(self.deliveries, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_a_law(
        format in select(vec![Format::Fullchain, Format::Key]),
        claim: bool,
        approvals in 0..3_i32,
        events in vec(event(), 1..40),
    ) {
        let mut machine = Machine::new(format, claim, approvals);
        for event in &events {
            machine.happens(event);
        }
    }
}

/// `make check` runs a few; `make test` sets `PROPTEST_CASES=100000`.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000)
}
