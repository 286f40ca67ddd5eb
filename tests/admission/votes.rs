//! Who may write what into the status of a request: the operator everything but votes, people one vote of their own.

use axum::http::Method;
use certcourier::{admission::name::VOTES, api::Requester};
use serde_json::{Value, json};

use crate::{
    case::{
        Call,
        Expect::{Allowed, Conflict, Forbidden, Invalid, Refused},
        Place, case, run,
    },
    requests::{by, with},
    world::{CI, CONTROL, SERVE, Session, Who, impersonated, person},
};

const OWN: &str = "the vote must be your own, for what is under review now, and with a reason";
const APPENDED: &str = "append exactly one vote to status.approvals and change none";
const NOTHING_ELSE: &str = "a voter must change nothing in status but approvals";

fn vote(username: &str, digest: &str, decision: &str) -> Value {
    json!({"username": username, "digest": digest, "decision": decision, "reason": "looks right"})
}

/// What the controller writes of a request that waits for approval.
fn under_review(digest: &str, round: i32) -> Value {
    json!({
        "phase": "AwaitingApproval",
        "review": {
            "digest": digest, "round": round, "openedAt": "2026-11-22T12:00:00Z",
            "approvals": {"required": 2, "given": 0},
        },
    })
}

struct Ballot {
    place: Place,
    name: String,
}

impl Ballot {
    fn append(&self, vote: Value) -> Call {
        self.append_and(vote, &[])
    }

    fn append_and(&self, vote: Value, more: &[Value]) -> Call {
        let mut operations = vec![json!({"op": "add", "path": "/status/approvals/-", "value": vote})];
        operations.extend_from_slice(more);
        self.patch(Value::from(operations))
    }

    fn patch(&self, operations: Value) -> Call {
        self.place.patch(&format!("{}/status", self.name), operations)
    }

    fn merge(&self, status: Value) -> Call {
        self.place.merge(&format!("{}/status", self.name), json!({"status": status}))
    }

    /// What the operator writes: an update of what it read.
    fn update(&self, status: Value) -> Call {
        self.place.update(&format!("{}/status", self.name), json!({"status": status}))
    }

    /// A review that has just been opened: a missing list is made by the controller, so that `kubectl patch` can append.
    fn open(&self) -> Call {
        let mut status = under_review("d1", 1);
        status["approvals"] = json!([]);
        self.update(status)
    }

    fn update_with_vote(&self, vote: Value) -> Call {
        self.place.update_with_vote(&format!("{}/status", self.name), vote)
    }
}

/// A request by alice that waits for approval of digest `d1`.
async fn ballot(session: &Session, ns: &str, name: &str) -> Ballot {
    let alice = session.identity(&person("alice")).await;
    let ballot = Ballot { place: Place::of(ns, "downloadrequests"), name: name.to_owned() };
    let cases = vec![
        case("a request for a key", person("alice"), by(&alice, ns, name, "key"), Allowed),
        case("the controller opens the review", CONTROL, ballot.open(), Allowed),
    ];
    run(session, cases).await;
    ballot
}

#[tokio::test]
async fn a_vote_is_ones_own_for_what_is_under_review_now() {
    let session = Session::open().await;
    let ns = session.namespace("votes").await;
    let b = ballot(&session, &ns, "v1").await;
    let refused = |words| Refused(VOTES, words);
    let long_group = "g".repeat(250);
    let with_field = |key: &str, value: &str| {
        let mut vote = vote("bob", "d1", "Approve");
        vote[key] = json!(value);
        b.append(vote)
    };
    let two = json!([
        {"op": "add", "path": "/status/approvals/-", "value": vote("bob", "d1", "Approve")},
        {"op": "add", "path": "/status/approvals/-", "value": vote("bob", "d1", "Deny")},
    ]);
    let cases = vec![
        case(
            "the requester approves",
            person("alice"),
            b.append(vote("alice", "d1", "Approve")),
            refused("no self-approval"),
        ),
        case(
            "the requester denies",
            person("alice"),
            b.append(vote("alice", "d1", "Deny")),
            refused("no self-approval"),
        ),
        case("somebody votes in another's name", person("bob"), b.append(vote("grace", "d1", "Approve")), refused(OWN)),
        case(
            "somebody votes in the requester's name",
            person("bob"),
            b.append(vote("alice", "d1", "Deny")),
            refused(OWN),
        ),
        case("a vote with another's uid", person("bob"), with_field("uid", "uid-grace"), refused(OWN)),
        case("a vote with an empty uid", person("bob"), with_field("uid", ""), Invalid("at least 1 chars long")),
        case(
            "a vote with a group that the voter is not in",
            person("bob"),
            {
                let mut vote = vote("bob", "d1", "Approve");
                vote["groups"] = json!(["system:authenticated", "system:masters"]);
                b.append(vote)
            },
            refused("groups in a vote are the voter's own"),
        ),
        case(
            "a Deny with a group that the voter is not in",
            person("bob"),
            {
                let mut vote = vote("bob", "d1", "Deny");
                vote["groups"] = json!(["system:masters"]);
                b.append(vote)
            },
            refused("groups in a vote are the voter's own"),
        ),
        case(
            "a vote with more groups than fit",
            impersonated("heidi", &[&long_group]),
            {
                let mut vote = vote("heidi", "d1", "Approve");
                vote["groups"] = json!(vec![&long_group; 33]);
                b.append(vote)
            },
            refused("at most 8192 characters in all"),
        ),
        case("a vote for another digest", person("bob"), b.append(vote("bob", "d0", "Approve")), refused(OWN)),
        case(
            "the refusal says what to write",
            person("bob"),
            b.append(vote("bob", "d0", "Approve")),
            refused(r#"write {username: "bob", digest: "d1""#),
        ),
        case("a vote for no digest", person("bob"), b.append(vote("bob", "", "Approve")), refused(OWN)),
        case("a vote without a reason", person("bob"), with_field("reason", ""), refused(OWN)),
        case(
            "a vote that is neither",
            person("bob"),
            b.append(vote("bob", "d1", "Perhaps")),
            Invalid("supported values: \"Approve\", \"Deny\""),
        ),
        case(
            "a ServiceAccount that RBAC lets vote",
            person(CI),
            b.append(vote(CI, "d1", "Approve")),
            refused("approvers must be people"),
        ),
        case(
            "the administrator of the cluster without a role of ours",
            impersonated("root", &["impersonated-nobodies"]),
            b.append(vote("root", "d1", "Approve")),
            Forbidden("cannot patch resource"),
        ),
        case(
            "a downloader",
            person("carol"),
            b.append(vote("carol", "d1", "Approve")),
            Forbidden("cannot patch resource"),
        ),
        case(
            "a vote that moves the phase too",
            person("bob"),
            b.append_and(
                vote("bob", "d1", "Approve"),
                &[json!({"op": "replace", "path": "/status/phase", "value": "Approved"})],
            ),
            refused(NOTHING_ELSE),
        ),
        case(
            "a vote that adds a field",
            person("bob"),
            b.append_and(
                vote("bob", "d1", "Approve"),
                &[json!({"op": "add", "path": "/status/observedGeneration", "value": 1})],
            ),
            refused(NOTHING_ELSE),
        ),
        case(
            "a vote that takes a field away",
            person("bob"),
            b.append_and(vote("bob", "d1", "Approve"), &[json!({"op": "remove", "path": "/status/phase"})]),
            refused(NOTHING_ELSE),
        ),
        case(
            "a vote that lowers what is required",
            person("bob"),
            b.append_and(
                vote("bob", "d1", "Approve"),
                &[json!({"op": "replace", "path": "/status/review/approvals/required", "value": 1})],
            ),
            refused(NOTHING_ELSE),
        ),
        case("two votes at once", person("bob"), b.patch(two), refused(APPENDED)),
        case("no vote, another field", person("bob"), b.merge(json!({"phase": "Approved"})), refused(APPENDED)),
        case(
            "the controller approves",
            CONTROL,
            b.update_with_vote(vote("bob", "d1", "Approve")),
            refused("the operator must not write status.approvals"),
        ),
        case(
            "the server approves",
            SERVE,
            b.update_with_vote(vote("bob", "d1", "Approve")),
            refused("the operator must not write status.approvals"),
        ),
        case("a vote with one's own uid", person("bob"), with_field("uid", "uid-bob"), Allowed),
        case("the same vote again", person("bob"), b.append(vote("bob", "d1", "Approve")), Invalid("Duplicate value")),
        case(
            "another's vote, with a group of theirs",
            person("grace"),
            {
                let mut vote = vote("grace", "d1", "Approve");
                vote["groups"] = json!(["system:authenticated"]);
                b.append(vote)
            },
            Allowed,
        ),
        case(
            "the controller writes what it has read, groups and all",
            CONTROL,
            b.update(json!({"observedGeneration": 1})),
            Allowed,
        ),
        case(
            "upper case makes no second person",
            person("BOB"),
            b.append(vote("BOB", "d1", "Approve")),
            refused("one vote per person and review"),
        ),
        case(
            "another's vote is edited",
            person("frank"),
            b.patch(json!([{"op": "replace", "path": "/status/approvals/0/reason", "value": "oh no"}])),
            Invalid("approvals are append-only"),
        ),
        case(
            "another's vote is edited and one appended",
            person("frank"),
            b.append_and(
                vote("frank", "d1", "Approve"),
                &[json!({"op": "replace", "path": "/status/approvals/0/reason", "value": "oh no"})],
            ),
            Invalid("approvals are append-only"),
        ),
        case(
            "the controller takes a vote away",
            CONTROL,
            b.place.update_without_first_vote("v1/status"),
            Invalid("approvals are append-only"),
        ),
        case(
            "the administrator takes a vote away",
            Who::Admin,
            b.patch(json!([{"op": "remove", "path": "/status/approvals/0"}])),
            Invalid("approvals are append-only"),
        ),
        case(
            "the administrator takes all votes away",
            Who::Admin,
            b.patch(json!([{"op": "remove", "path": "/status/approvals"}])),
            Invalid("approvals are append-only"),
        ),
        case(
            "the administrator takes the whole status away",
            Who::Admin,
            b.patch(json!([{"op": "remove", "path": "/status"}])),
            Invalid("status, once written, is never removed"),
        ),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn a_vote_counts_for_one_review_and_a_deny_never_comes_too_late() {
    let session = Session::open().await;
    let ns = session.namespace("rounds").await;
    let b = ballot(&session, &ns, "r1").await;
    let alice = session.identity(&person("alice")).await;
    let bob = session.identity(&person("bob")).await;
    let place = Place::of(&ns, "downloadrequests");
    let own = Ballot { place: place.clone(), name: "r2".to_owned() };
    let other = Ballot { place: place.clone(), name: "r3".to_owned() };
    let fresh = Ballot { place: place.clone(), name: "r4".to_owned() };
    let web = json!({"format": "key", "certificateRef": {"name": "web"}});
    let cases = vec![
        case("a vote for the first digest", person("bob"), b.append(vote("bob", "d1", "Approve")), Allowed),
        case("what is under review changes", CONTROL, b.update(under_review("d2", 2)), Allowed),
        case("the round goes back", CONTROL, b.update(under_review("d1", 1)), Invalid("its round only grows")),
        case("a vote for what is past", person("grace"), b.append(vote("grace", "d1", "Approve")), Refused(VOTES, OWN)),
        case(
            "the same person votes for the second digest",
            person("bob"),
            b.append(vote("bob", "d2", "Approve")),
            Allowed,
        ),
        case(
            "the token is there",
            CONTROL,
            b.update(json!({"phase": "TokenIssued", "token": {"generation": 1, "round": 2, "hash": "abc"}})),
            Allowed,
        ),
        case("the generation goes back", CONTROL, b.update(json!({"token": {"generation": 0}})), Invalid("generation")),
        case(
            "the token is forgotten",
            CONTROL,
            b.update(json!({"token": null})),
            Invalid("status.token is never removed"),
        ),
        case(
            "the review is forgotten",
            CONTROL,
            b.update(json!({"review": null})),
            Invalid("status.review is never removed"),
        ),
        case(
            "the same person denies after all, in the first digest's name",
            person("bob"),
            b.append(vote("bob", "d1", "Deny")),
            Allowed,
        ),
        case("another denies in no digest's name", person("grace"), b.append(vote("grace", "", "Deny")), Allowed),
        case(
            "another denies without a reason",
            person("frank"),
            {
                let mut silent = vote("frank", "d2", "Deny");
                silent["reason"] = json!("");
                b.append(silent)
            },
            Refused(VOTES, OWN),
        ),
        case("the guard's probe", CONTROL, b.update(under_review("guard-probe", 3)), Refused(VOTES, "guard probe")),
        case(
            "the guard's probe by the server",
            SERVE,
            b.update(under_review("guard-probe", 3)),
            Refused(VOTES, "guard probe"),
        ),
        case("the server writes a claim", SERVE, b.update(json!({"token": {"generation": 2, "round": 2}})), Allowed),
        case("a request by bob", person("bob"), by(&bob, &ns, "r2", "cert"), Allowed),
        case("its review", CONTROL, own.open(), Allowed),
        case(
            "BOB approves what bob asks for",
            person("BOB"),
            own.append(vote("BOB", "d1", "Approve")),
            Refused(VOTES, "no self-approval"),
        ),
        case(
            "somebody may approve one certificate",
            person("heidi"),
            own.append(vote("heidi", "d1", "Approve")),
            Allowed,
        ),
        case("a request for another certificate", person("alice"), with(&alice, &ns, "r3", web), Allowed),
        case("its review", CONTROL, other.open(), Allowed),
        case(
            "the same person may not approve the other",
            person("heidi"),
            other.append(vote("heidi", "d1", "Approve")),
            Refused(VOTES, "user heidi lacks verb approve on certificates.certcourier.io/web"),
        ),
        case("a request without a review", person("alice"), by(&alice, &ns, "r4", "key"), Allowed),
        case(
            "a vote before there is a review",
            person("bob"),
            fresh.merge(json!({"approvals": [vote("bob", "d1", "Approve")]})),
            Refused(VOTES, "wait until status.review.digest is there"),
        ),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn a_closed_request_takes_no_votes() {
    let session = Session::open().await;
    let ns = session.namespace("closed").await;
    for phase in ["Consumed", "Denied", "Expired", "Revoked", "Failed"] {
        let b = ballot(&session, &ns, &phase.to_lowercase()).await;
        let words = "the request is closed (";
        let cases = vec![
            case(format!("{phase} is written"), CONTROL, b.update(json!({"phase": phase})), Allowed),
            case(
                format!("an approval of a {phase} request"),
                person("bob"),
                b.append(vote("bob", "d1", "Approve")),
                Refused(VOTES, words),
            ),
            case(
                format!("a Deny of a {phase} request"),
                person("grace"),
                b.append(vote("grace", "d1", "Deny")),
                Refused(VOTES, phase),
            ),
        ];
        run(&session, cases).await;
    }
}

#[tokio::test]
async fn a_vote_by_merge_patch_names_the_version_it_saw() {
    let session = Session::open().await;
    let ns = session.namespace("merge").await;
    let b = ballot(&session, &ns, "m1").await;
    let seen = session.send(&person("bob"), &b.place.get("m1")).await.body["metadata"]["resourceVersion"].clone();
    let list = |votes: Value| {
        b.place.merge("m1/status", json!({"metadata": {"resourceVersion": seen}, "status": {"approvals": votes}}))
    };
    let cases = vec![
        case("the first", person("bob"), list(json!([vote("bob", "d1", "Approve")])), Allowed),
        case(
            "one that did not see the first",
            person("grace"),
            list(json!([vote("grace", "d1", "Approve")])),
            Conflict,
        ),
    ];
    run(&session, cases).await;
    let output = session
        .world
        .plane
        .person("frank", &[])
        .await
        .unwrap()
        .run([
            "-n", &ns, "patch", "dlr", "m1", "--subresource=status", "--type=json", "-p",
            r#"[{"op":"add","path":"/status/approvals/-","value":{"username":"frank","digest":"d1","decision":"Approve","reason":"documented"}}]"#,
        ])
        .await
        .unwrap();
    assert!(output.succeeded(), "voting as documented: {output:?}");
}

/// The namespace and the request that are made before there are policies: nobody may write so many votes at once.
pub const FULL: (&str, &str) = ("full", "f1");
/// The longest list, each vote with the longest reason: rules must stay within the API server's budget for expressions.
const MOST_VOTES: usize = 256;
/// How many of them are left to be cast under the policies.
const LAST_VOTES: usize = 6;

fn long_vote(number: usize) -> Value {
    let mut vote = vote(&format!("voter-{number:03}"), "d1", "Approve");
    vote["reason"] = json!("r".repeat(1024));
    vote["groups"] = json!(["impersonated-approvers"]);
    vote
}

/// A request whose list of votes is nearly full, for an administrator to make while nothing refuses it.
pub fn nearly_full() -> [Call; 3] {
    let (namespace, name) = FULL;
    let place = Place::of(namespace, "downloadrequests");
    let mut status = under_review("d1", 1);
    status["approvals"] = (0..MOST_VOTES - LAST_VOTES).map(long_vote).collect();
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    let alice = Requester { username: "alice".to_owned(), ..Requester::default() };
    [
        Call::new(Method::POST, "/api/v1/namespaces", object),
        by(&alice, namespace, name, "key"),
        place.merge(&format!("{name}/status"), json!({"status": status})),
    ]
}

#[tokio::test]
async fn the_list_of_votes_can_be_filled_to_its_last_place() {
    let session = Session::open().await;
    let b = Ballot { place: Place::of(FULL.0, "downloadrequests"), name: FULL.1.to_owned() };
    let cases = (MOST_VOTES - LAST_VOTES..=MOST_VOTES)
        .map(|number| {
            let voter = impersonated(&format!("voter-{number:03}"), &["impersonated-approvers"]);
            let expect = if number < MOST_VOTES { Allowed } else { Invalid("must have at most 256 items") };
            case(format!("vote {number}"), voter, b.append(long_vote(number)), expect)
        })
        .collect();
    run(&session, cases).await;
    let live = session.send(&Who::Admin, &b.place.get(FULL.1)).await;
    assert_eq!(live.body["status"]["approvals"].as_array().unwrap().len(), MOST_VOTES);
}
