//! `spec.requestedBy`, written by the API server where it can (1.36 and later) and by clients where it cannot. The policy
//! checks it either way; one test, because the second half takes the stamp away.

use axum::http::Method;
use certcourier::admission::{self, name};
use kube::Client;
use serde_json::{Value, json};

use crate::{
    case::{
        Answer, Call,
        Expect::{Allowed, Gives, Invalid, Refused},
        Place, case, run,
    },
    requests::{bare, by},
    world::{CI, CONTROL, CONTROLLER, HOME, Session, Who, impersonated, person},
};

const STAMPS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies";
const STAMP_BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings";
const REQUESTS: &str = name::REQUESTS;

#[tokio::test]
async fn the_requester_is_stamped_or_checked() {
    let session = Session::open().await;
    if session.world.can_stamp {
        the_stamp_is_ours(&session).await;
        with_the_stamp(&session).await;
        take_the_stamp_away(&session).await;
    }
    without_the_stamp(&session).await;
}

/// In more groups than a request can record; `system:authenticated` comes on top.
fn joiner() -> Who {
    let groups = (0..1024).map(|n| format!("group-{n:04}")).chain(["impersonated-operators".to_owned()]).collect();
    Who::Impersonated("joiner".to_owned(), groups)
}

fn forged(mut call: Call, requester: Value) -> Call {
    call.body["spec"]["requestedBy"] = requester;
    call
}

/// In the operator's namespace the controller may create requests, for the guard.
fn by_the_controller(requester: Value) -> Call {
    let mut call = forged(bare(HOME, "for-the-ceo", "cert"), requester).dry();
    call.body["spec"]["certificateRef"] = json!({"name": "certcourier-guard"});
    call
}

async fn the_stamp_is_ours(session: &Session) {
    for (own, path) in admission::stamp().into_iter().zip([STAMPS, STAMP_BINDINGS]) {
        let live =
            session.send(&Who::Admin, &Call::new(Method::GET, &format!("{path}/{}", name::STAMP), Value::Null)).await;
        assert_eq!(live.body["spec"], own["spec"], "the API server filled a field that we leave open");
        let revision = own["metadata"]["annotations"][admission::REVISION_ANNOTATION].as_str().unwrap();
        assert_eq!(revision, format!("{}-{}", admission::REVISION, admission::spec_digest(&live.body["spec"])));
    }
}

async fn with_the_stamp(session: &Session) {
    let ns = session.namespace("stamped").await;
    let place = Place::of(&ns, "downloadrequests");
    let zoe = impersonated("zoe", &["impersonated-operators"]);
    let alice = json!(session.identity(&person("alice")).await);
    let requester = "/spec/requestedBy";
    let cases = vec![
        case("who asks is written", person("alice"), bare(&ns, "w1", "cert"), Gives(requester, alice.clone())),
        case(
            "a forged requester is overwritten",
            person("alice"),
            forged(bare(&ns, "w2", "cert"), json!({"username": "bob", "groups": ["system:masters"]})),
            Gives(requester, alice.clone()),
        ),
        case(
            "forged groups are overwritten",
            person("alice"),
            forged(bare(&ns, "w3", "cert"), json!({"username": "alice", "groups": ["admins"]})),
            Gives("/spec/requestedBy/groups/0", json!("operators")),
        ),
        case(
            "a requester without a uid",
            person("user-18"),
            bare(&ns, "w4", "cert"),
            Gives("/spec/requestedBy/uid", json!("")),
        ),
        case(
            "a requester with 500 groups",
            person("user-19"),
            bare(&ns, "w5", "cert"),
            Gives("/spec/requestedBy/groups/500", json!("system:authenticated")),
        ),
        case(
            "the one who is impersonated is written, not the impersonator",
            zoe,
            bare(&ns, "w6", "key"),
            Gives("/spec/requestedBy/username", json!("zoe")),
        ),
        case(
            "more groups than a request can record",
            joiner(),
            bare(&ns, "w7", "cert"),
            Invalid("must have at most 1024 items"),
        ),
        case(
            "the operator cannot ask for somebody else",
            CONTROL,
            by_the_controller(json!({"username": "ceo"})),
            Gives("/spec/requestedBy/username", json!(CONTROLLER)),
        ),
        case(
            "who withdraws is written beside the reason, over what a client wrote",
            person("bob"),
            place.merge(
                "w1",
                json!({"metadata": {"annotations": {"certcourier.io/revoke": "leaked", "certcourier.io/revoked-by": "alice"}}}),
            ),
            Gives("/metadata/annotations/certcourier.io~1revoked-by", json!("bob")),
        ),
        case(
            "a withdrawal is not signed anew when something else changes",
            person("alice"),
            place.annotate("w1", "note", "x"),
            Gives("/metadata/annotations/certcourier.io~1revoked-by", json!("bob")),
        ),
        case(
            "a request without a spec gets the words of the schema",
            person("alice"),
            Call::new(
                Method::POST,
                &place.list().path,
                json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": "w8"}}),
            ),
            Invalid("spec: Required value"),
        ),
    ];
    run(session, cases).await;
    the_stamp_survives_whole_objects(session, &ns, &alice).await;
}

/// `replace`, `apply` and server-side apply send the object as the file has it, without the stamp.
async fn the_stamp_survives_whole_objects(session: &Session, ns: &str, alice: &Value) {
    let place = Place::of(ns, "downloadrequests");
    let file = file(ns, "f1", "");
    let kubectl_as = async |name: &'static str, arguments: &[&str]| {
        let person = session.world.plane.person(name, &[]).await.unwrap();
        person.run_with(arguments.iter().copied().chain(["-f", "-"]), &file).await.unwrap()
    };
    for (name, arguments) in [
        ("alice", &["apply"][..]),
        // Again: no drift.
        ("alice", &["apply"]),
        ("bob", &["apply"]),
        ("alice", &["replace"]),
        ("alice", &["apply", "--server-side", "--force-conflicts"]),
        ("bob", &["apply", "--server-side", "--force-conflicts"]),
    ] {
        let output = kubectl_as(name, arguments).await;
        assert!(output.succeeded(), "kubectl {arguments:?} as {name}: {output:?}");
        let live = session.send(&Who::Admin, &place.get("f1")).await;
        assert_eq!(&live.body["spec"]["requestedBy"], alice, "after kubectl {arguments:?} as {name}");
    }
    let diff = kubectl_as("alice", &["diff"]).await;
    assert!(diff.succeeded() && diff.stdout.is_empty(), "the stamp drifts: {diff:?}");
}

fn file(namespace: &str, name: &str, requested_by: &str) -> String {
    format!(
        "apiVersion: certcourier.io/v1alpha1\nkind: DownloadRequest\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  certificateRef: {{name: api}}\n  format: cert\n{requested_by}"
    )
}

async fn take_the_stamp_away(session: &Session) {
    let admin: Client = session.world.plane.admin();
    for path in [STAMP_BINDINGS, STAMPS] {
        let call = Call::new(Method::DELETE, &format!("{path}/{}", name::STAMP), Value::Null);
        assert!(crate::world::send(&admin, &Who::Admin, &call).await.is_success());
    }
    let call = bare("default", "unstamped", "cert").dry();
    let refused = |answer: &Answer| answer.refused_by() == Some(REQUESTS);
    session.until("the stamp to be gone", &person("alice"), &call, refused).await;
}

async fn without_the_stamp(session: &Session) {
    let ns = session.namespace("unstamped").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let many = session.identity(&person("user-19")).await;
    let ci = session.identity(&person(CI)).await;
    let zoe = impersonated("zoe", &["impersonated-operators"]);
    let zoe_identity = session.identity(&zoe).await;
    let written = |edit: &dyn Fn(&mut Value)| {
        let mut requester = json!(alice);
        edit(&mut requester);
        forged(bare(&ns, "c1", "cert"), requester)
    };
    let cases = vec![
        case(
            "nobody is named: the refusal says what to write",
            person("alice"),
            bare(&ns, "c1", "cert"),
            Refused(
                REQUESTS,
                r#"write requestedBy: {username: "alice", uid: "uid-alice", groups: ["operators", "system:authenticated"]}"#,
            ),
        ),
        case(
            "somebody else is named",
            person("alice"),
            written(&|requester| requester["username"] = json!("bob")),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case(
            "the same name in another case",
            person("alice"),
            written(&|requester| requester["username"] = json!("Alice")),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case(
            "a group too many",
            person("alice"),
            written(&|requester| requester["groups"] = json!(["operators", "admins", "system:authenticated"])),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case(
            "a group too few",
            person("alice"),
            written(&|requester| requester["groups"] = json!(["operators"])),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case(
            "somebody else's uid",
            person("alice"),
            written(&|requester| requester["uid"] = json!("uid-bob")),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case(
            "a uid of someone who has none",
            person("user-18"),
            forged(
                bare(&ns, "c2", "cert"),
                json!({"username": "user-18", "uid": "x", "groups": ["users", "system:authenticated"]}),
            ),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case("the caller, uid and all", person("alice"), written(&|_| ()), Allowed),
        case(
            "the caller as the refusal said",
            person("alice"),
            forged(
                bare(&ns, "c3", "cert"),
                json!({"username": "alice", "uid": "uid-alice", "groups": ["operators", "system:authenticated"]}),
            ),
            Allowed,
        ),
        case(
            "the caller without the uid",
            person("alice"),
            written(&|requester| requester["uid"] = Value::Null),
            Refused(REQUESTS, r#"{username: "alice", uid: "uid-alice", groups"#),
        ),
        case(
            "a ServiceAccount without its uid, so that another one of the name could pass for it",
            person(CI),
            forged(bare(&ns, "c7", "cert"), json!({"username": ci.username, "groups": ci.groups})),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case("a ServiceAccount with its uid", person(CI), by(&ci, &ns, "c7", "cert"), Allowed),
        case(
            "without the stamp a withdrawal names nobody",
            person("bob"),
            place.annotate("c7", "certcourier.io/revoke", "leaked"),
            Gives("/metadata/annotations", json!({"certcourier.io/revoke": "leaked"})),
        ),
        case(
            "500 groups are not printed",
            person("user-19"),
            bare(&ns, "c4", "cert"),
            Refused(REQUESTS, "all 501 groups that `kubectl auth whoami -o yaml` prints"),
        ),
        case("500 groups, written", person("user-19"), by(&many, &ns, "c4", "cert"), Allowed),
        case(
            "more groups than a request can record",
            joiner(),
            bare(&ns, "c5", "cert"),
            Refused(REQUESTS, "user joiner is in 1026 groups, and a request records at most 1024"),
        ),
        case(
            "an impersonator names themselves",
            zoe.clone(),
            forged(bare(&ns, "c6", "cert"), json!({"username": "admin", "groups": ["system:masters"]})),
            Refused(REQUESTS, r#"write requestedBy: {username: "zoe""#),
        ),
        case("the one who is impersonated", zoe, by(&zoe_identity, &ns, "c6", "key"), Allowed),
        case(
            "the operator cannot ask for somebody else",
            CONTROL,
            by_the_controller(json!({"username": "ceo"})),
            Refused(REQUESTS, "spec.requestedBy must be the caller"),
        ),
        case("replaced with the requester", person("alice"), place.update("c1", json!({})), Allowed),
        case(
            "replaced without the requester",
            person("alice"),
            place.update("c1", json!({"spec": {"requestedBy": null}})),
            Invalid("spec is immutable"),
        ),
    ];
    run(session, cases).await;
    a_written_requester_survives_applying_again(session, &ns).await;
}

async fn a_written_requester_survives_applying_again(session: &Session, ns: &str) {
    let file = file(
        ns,
        "f2",
        "  requestedBy: {username: alice, uid: uid-alice, groups: [operators, \"system:authenticated\"]}\n",
    );
    for name in ["alice", "bob"] {
        let person = session.world.plane.person(name, &[]).await.unwrap();
        let output = person.run_with(["apply", "-f", "-"], &file).await.unwrap();
        assert!(output.succeeded(), "kubectl apply as {name}: {output:?}");
    }
}
