//! Who may ask for what, and who may touch a request afterwards. Here every client writes `spec.requestedBy` itself, which
//! is right with the stamp and without; `stamp.rs` tells the difference.

use certcourier::{
    admission::name::REQUESTS,
    api::{Format, Requester},
};
use serde_json::{Value, json};

use crate::{
    case::{
        Call,
        Expect::{Allowed, Forbidden, Gives, Invalid, Refused},
        Place, case, run,
    },
    world::{CI, CONTROL, SERVE, Session, Who, impersonated, kubernetes, person},
};

const REVOKE: &str = "certcourier.io/revoke";
const MINT: &str = "certcourier.io/mint";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// A request without `requestedBy`.
pub fn bare(namespace: &str, name: &str, format: &str) -> Call {
    Place::of(namespace, "downloadrequests").create(object(name, json!({"format": format})))
}

/// A request that names its requester.
pub fn by(requester: &Requester, namespace: &str, name: &str, format: &str) -> Call {
    with(requester, namespace, name, json!({"format": format}))
}

/// A request with more fields in its spec.
pub fn with(requester: &Requester, namespace: &str, name: &str, spec: Value) -> Call {
    let mut object = object(name, spec);
    object["spec"]["requestedBy"] = json!(requester);
    Place::of(namespace, "downloadrequests").create(object)
}

fn object(name: &str, mut spec: Value) -> Value {
    if spec["certificateRef"].is_null() {
        spec["certificateRef"] = json!({"name": "api"});
    }
    json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name}, "spec": spec,
    })
}

fn edited(mut call: Call, edit: impl FnOnce(&mut Value)) -> Call {
    edit(&mut call.body);
    call
}

/// An owner that exists: whatever names another one is collected as garbage.
pub async fn existing_owner(session: &Session, namespace: &str) -> Value {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owner"}});
    let made = session.send(&Who::Admin, &Place::core(namespace, "configmaps").create(object)).await;
    json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": made.body["metadata"]["uid"]})
}

#[tokio::test]
async fn asking_needs_the_verb_of_the_format_and_the_right_to_what_is_named() {
    let session = Session::open().await;
    let ns = session.namespace("asking").await;
    let alice = session.identity(&person("alice")).await;
    let carol = session.identity(&person("carol")).await;
    let secret = |name: &str| json!({"format": "pkcs12", "passphraseSecretRef": {"name": name, "key": "p"}});
    let probe = |call| edited(call, |body| body["metadata"]["labels"] = json!({"certcourier.io/guard-probe": "x"}));
    let with_annotation = |call, key: &'static str, value: String| {
        edited(call, |body| body["metadata"]["annotations"] = json!({key: value}))
    };
    let mut cases = vec![
        case("a downloader asks for a public file", person("carol"), by(&carol, &ns, "a1", "fullchain"), Allowed),
        case("an operator asks for a key", person("alice"), by(&alice, &ns, "a2", "key"), Allowed),
        case(
            "a downloader asks for a key",
            person("carol"),
            by(&carol, &ns, "a3", "key"),
            Refused(
                REQUESTS,
                "user carol lacks verb exportkey on certificates.certcourier.io/api in namespace asking-",
            ),
        ),
        case(
            "the refusal of a key names the role to ask for",
            person("carol"),
            by(&carol, &ns, "a3", "zip"),
            Refused(REQUESTS, "ask for ClusterRole certcourier-operator there"),
        ),
        case(
            "who may do nothing is stopped by RBAC",
            person("mallory"),
            bare(&ns, "a3", "cert"),
            Forbidden("cannot create resource \"downloadrequests\""),
        ),
        case(
            "an auditor asks for nothing",
            person("erin"),
            bare(&ns, "a3", "cert"),
            Forbidden("cannot create resource \"downloadrequests\""),
        ),
        case("a name of 200 characters", person("carol"), by(&carol, &ns, &"n".repeat(200), "cert"), Allowed),
        case(
            "a name of 201 characters",
            person("carol"),
            by(&carol, &ns, &"n".repeat(201), "cert"),
            Refused(REQUESTS, "metadata.name must be at most 200 characters"),
        ),
        case(
            "the guard's probe",
            person("alice"),
            probe(by(&alice, &ns, "a3", "cert")),
            Refused(REQUESTS, "guard probe"),
        ),
        case(
            "a passphrase Secret that the requester may not get",
            person("alice"),
            with(&alice, &ns, "a3", secret("db")),
            Refused(REQUESTS, "user alice is not allowed to get Secret db, which spec.passphraseSecretRef names"),
        ),
        case(
            "a passphrase Secret that the requester may get",
            person("alice"),
            with(&alice, &ns, "a4", secret("alice-p12")),
            Allowed,
        ),
        case(
            "a revocation that does not say why",
            person("carol"),
            with_annotation(by(&carol, &ns, "a5", "cert"), REVOKE, String::new()),
            Refused(REQUESTS, "must say why, in 1 to 1024 characters"),
        ),
        case(
            "a request that is withdrawn from the start",
            person("carol"),
            with_annotation(by(&carol, &ns, "a5", "cert"), REVOKE, "a drill".to_owned()),
            Allowed,
        ),
        case(
            "a mint annotation longer than status can repeat",
            person("carol"),
            with_annotation(by(&carol, &ns, "a6", "cert"), MINT, "m".repeat(1025)),
            Refused(REQUESTS, "at most 1024 characters"),
        ),
        case(
            "the label of the HTTP API, by the requester",
            person("carol"),
            edited(by(&carol, &ns, "a7", "cert"), |body| {
                body["metadata"]["labels"] = json!({"certcourier.io/created-by": "api"});
            }),
            Gives("/metadata/labels/certcourier.io~1created-by", json!("api")),
        ),
        case(
            "the controller asks in a namespace that is not its own",
            CONTROL,
            bare(&ns, "a8", "cert"),
            Forbidden("cannot create resource \"downloadrequests\""),
        ),
        case(
            "the server asks",
            SERVE,
            bare(&ns, "a8", "cert"),
            Forbidden("cannot create resource \"downloadrequests\""),
        ),
    ];
    for format in Format::ALL {
        let expect = if format.is_public() { Allowed } else { Refused(REQUESTS, "lacks verb exportkey") };
        let what = format!("a downloader asks for {format}");
        cases.push(case(what, person("carol"), by(&carol, &ns, &format!("f-{format}"), format.name()), expect));
    }
    run(&session, cases).await;
}

#[tokio::test]
async fn whoever_asks_is_named_as_the_api_server_knows_them() {
    let session = Session::open().await;
    let ns = session.namespace("whoever").await;
    let zoe = impersonated("zoe", &["impersonated-operators"]);
    // With `system:authenticated` they are in 1,024 groups, the most that a request can record.
    let groups: Vec<String> =
        (0..1022).map(|n| format!("group-{n:04}")).chain(["impersonated-operators".to_owned()]).collect();
    let joiner = Who::Impersonated("joiner".to_owned(), groups);
    let ci = person(CI);
    let mut cases = Vec::new();
    for (what, who, groups) in [
        ("someone without a uid", person("user-18"), 2),
        ("someone with 500 groups", person("user-19"), 501),
        ("someone who is impersonated", zoe.clone(), 2),
        ("someone with 1,024 groups", joiner, 1024),
        ("a ServiceAccount", ci, 3),
    ] {
        let identity = session.identity(&who).await;
        assert_eq!(identity.groups.len(), groups, "{what}");
        let name = format!("w{}", cases.len());
        cases.push(case(
            format!("{what} asks"),
            who.clone(),
            by(&identity, &ns, &name, "cert"),
            Gives("/spec/requestedBy/username", json!(identity.username)),
        ));
        cases.push(case(
            format!("{what} asks for another token"),
            who,
            Place::of(&ns, "downloadrequests").annotate(&name, MINT, "1"),
            Allowed,
        ));
    }
    assert_eq!(session.identity(&person("user-18")).await.uid, "");
    assert_eq!(session.identity(&person("alice")).await.uid, "uid-alice");
    run(&session, cases).await;
}

#[tokio::test]
async fn the_spec_of_a_request_stays_as_it_is() {
    let session = Session::open().await;
    let ns = session.namespace("spec").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let stays = "spec is immutable: a request is one delivery. Create one with another metadata.name";
    let format = json!({"spec": {"format": "key"}});
    let cases = vec![
        case("a request", person("alice"), by(&alice, &ns, "s1", "cert"), Allowed),
        case("its requester changes the format", person("alice"), place.merge("s1", format.clone()), Invalid(stays)),
        case("the administrator changes the format", Who::Admin, place.merge("s1", format), Invalid(stays)),
        case(
            "the requester adds a reason",
            person("alice"),
            place.merge("s1", json!({"spec": {"reason": "later"}})),
            Invalid(stays),
        ),
        case(
            "the administrator gives it to somebody else",
            Who::Admin,
            place.merge("s1", json!({"spec": {"requestedBy": {"username": "mallory"}}})),
            Invalid(stays),
        ),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn only_the_requester_changes_metadata_and_anyone_with_patch_may_revoke() {
    let session = Session::open().await;
    let ns = session.namespace("metadata").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let only = "only the requester may change this request's metadata";
    let stays = "a revoked request stays revoked";
    let finalizers = |list: Value| place.merge("m1", json!({"metadata": {"finalizers": list}}));
    let owner = existing_owner(&session, &ns).await;
    let owners = json!({"metadata": {"ownerReferences": [owner]}});
    let cases = vec![
        case("a request", person("alice"), by(&alice, &ns, "m1", "cert"), Allowed),
        case(
            "somebody else asks for a token",
            person("bob"),
            place.annotate("m1", MINT, "now"),
            Refused(REQUESTS, only),
        ),
        case(
            "the administrator asks for a token",
            Who::Admin,
            place.annotate("m1", MINT, "now"),
            Refused(REQUESTS, only),
        ),
        case("the requester asks for a token", person("alice"), place.annotate("m1", MINT, "1"), Allowed),
        case("the requester asks again", person("alice"), place.annotate("m1", MINT, "2"), Allowed),
        case(
            "somebody else takes the annotation away",
            person("bob"),
            place.annotate("m1", MINT, Value::Null),
            Refused(REQUESTS, only),
        ),
        case(
            "somebody else sets the label of the HTTP API",
            person("bob"),
            place.label("m1", "certcourier.io/created-by", "api"),
            Refused(REQUESTS, only),
        ),
        case("the requester sets a label", person("alice"), place.label("m1", "team", "shop"), Allowed),
        case(
            "somebody else takes the label away",
            person("bob"),
            place.label("m1", "team", Value::Null),
            Refused(REQUESTS, only),
        ),
        case(
            "the probe label, added later",
            person("alice"),
            place.label("m1", "certcourier.io/guard-probe", "x"),
            Refused(REQUESTS, "guard probe"),
        ),
        case("somebody else adds a finalizer", person("bob"), finalizers(json!(["a.io/x"])), Refused(REQUESTS, only)),
        case("somebody else adds an owner", person("bob"), place.merge("m1", owners.clone()), Refused(REQUESTS, only)),
        case("the requester adds an owner", person("alice"), place.merge("m1", owners), Allowed),
        case(
            "the garbage collector takes the owner away",
            kubernetes("generic-garbage-collector"),
            place.merge("m1", json!({"metadata": {"ownerReferences": null}})),
            Allowed,
        ),
        case(
            "somebody else re-applies: only kubectl's own annotation changes",
            person("bob"),
            place.annotate("m1", LAST_APPLIED, "{}"),
            Allowed,
        ),
        case(
            "a downloader who is not the requester cannot replace what is not theirs",
            person("carol"),
            place.annotate("m1", "note", "mine"),
            Refused(REQUESTS, only),
        ),
        case(
            "somebody else revokes without a reason",
            person("bob"),
            place.annotate("m1", REVOKE, ""),
            Refused(REQUESTS, "must say why"),
        ),
        case(
            "somebody else revokes with an essay",
            person("bob"),
            place.annotate("m1", REVOKE, "x".repeat(1025)),
            Refused(REQUESTS, "must say why"),
        ),
        case("somebody else revokes", person("bob"), place.annotate("m1", REVOKE, "leaked"), Allowed),
        case(
            "the requester takes the revocation back",
            person("alice"),
            place.annotate("m1", REVOKE, Value::Null),
            Refused(REQUESTS, stays),
        ),
        case(
            "the requester finds other words",
            person("alice"),
            place.annotate("m1", REVOKE, "never mind"),
            Refused(REQUESTS, stays),
        ),
        case(
            "the administrator takes the revocation back",
            Who::Admin,
            place.annotate("m1", REVOKE, Value::Null),
            Refused(REQUESTS, stays),
        ),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn a_request_that_is_being_deleted_can_go_and_nothing_more() {
    let session = Session::open().await;
    let ns = session.namespace("going").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let carol = session.identity(&person("carol")).await;
    let cases = vec![
        case("a request", person("alice"), by(&alice, &ns, "g1", "cert"), Allowed),
        case(
            "its requester adds a finalizer",
            person("alice"),
            place.merge("g1", json!({"metadata": {"finalizers": ["a.io/x"]}})),
            Allowed,
        ),
        case("its requester deletes it", person("alice"), place.delete("g1"), Allowed),
        case(
            "somebody else asks for a token meanwhile",
            person("bob"),
            place.annotate("g1", MINT, "now"),
            Refused(REQUESTS, "only the requester may change this request's metadata"),
        ),
        case(
            "somebody else takes the finalizer away",
            person("bob"),
            place.merge("g1", json!({"metadata": {"finalizers": null}})),
            Allowed,
        ),
        case("it is gone", person("alice"), by(&alice, &ns, "g1", "cert"), Allowed),
        case("an auditor deletes nothing", person("erin"), place.delete("g1"), Forbidden("cannot delete resource")),
        case("an approver deletes nothing", person("grace"), place.delete("g1"), Forbidden("cannot delete resource")),
        case("the controller deletes a finished request", CONTROL, place.delete("g1"), Allowed),
        case("another request", person("carol"), by(&carol, &ns, "g2", "cert"), Allowed),
        case("the administrator deletes it", Who::Admin, place.delete("g2"), Allowed),
        case("the same name again", person("carol"), by(&carol, &ns, "g2", "cert"), Allowed),
    ];
    run(&session, cases).await;
}
