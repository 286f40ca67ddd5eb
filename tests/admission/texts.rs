//! Text for others to read that was written before our rules were there: it stays, and nothing else is held up by it.

use axum::http::Method;
use certcourier::{admission::name::REQUESTS, api::Requester};
use serde_json::{Value, json};

use crate::{
    case::{
        Call,
        Expect::{Allowed, Invalid, Refused},
        Place, case, run,
    },
    requests::by,
    world::{CONTROL, Session, Who, person},
};

const REVOKE: &str = "certcourier.io/revoke";
const MINT: &str = "certcourier.io/mint";
const NAMESPACE: &str = "texts-from-before";
const GROUP: &str = "texts.example.com";
const OLD: &str = "old\u{3164}\u{202e}text";
const WORDS: &str = "this text is read by others";

/// A request with annotations of that kind, for an administrator to make while no policy refuses it.
pub fn from_before() -> [Call; 2] {
    let alice = Requester { username: "alice".to_owned(), ..Requester::default() };
    let mut request = by(&alice, NAMESPACE, "r", "cert");
    request.body["metadata"]["annotations"] = json!({MINT: OLD, REVOKE: OLD});
    request.body["metadata"]["finalizers"] = json!(["example.com/wait"]);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    [Call::new(Method::POST, "/api/v1/namespaces", namespace), request]
}

#[tokio::test]
async fn annotations_from_before_the_rule_hold_up_no_status_no_finalizer_and_no_deletion() {
    let session = Session::open().await;
    let place = Place::of(NAMESPACE, "downloadrequests");
    let cases = vec![
        case("its status", CONTROL, place.update("r/status", json!({"status": {"phase": "Revoked"}})), Allowed),
        case("its labels", person("alice"), place.label("r", "team", "edge"), Allowed),
        case(
            "another one of that kind",
            person("alice"),
            place.annotate("r", MINT, "new\u{3164}text"),
            Refused(REQUESTS, WORDS),
        ),
        case("one in plain words", person("alice"), place.annotate("r", MINT, "2"), Allowed),
        case("its deletion", person("alice"), place.delete("r"), Allowed),
        case(
            "the finalizer that it waits for",
            Who::Admin,
            place.merge("r", json!({"metadata": {"finalizers": null}})),
            Allowed,
        ),
    ];
    run(&session, cases).await;
    let left = session.send(&Who::Admin, &place.get("r")).await;
    assert_eq!(left.code, 404, "{left:?}");
}

/// The kind in a group of its own, where no policy looks, with or without the rules about text.
fn kind(with_rules: bool) -> Value {
    let crds = certcourier::api::crds().map(|crd| serde_json::to_value(crd).unwrap());
    let mut crd = crds.into_iter().find(|crd| crd["spec"]["names"]["kind"] == "DownloadRequest").unwrap();
    crd["metadata"] = json!({"name": format!("downloadrequests.{GROUP}")});
    crd["spec"]["group"] = json!(GROUP);
    crd["spec"]["names"]["shortNames"] = json!([]);
    crd["spec"]["names"]["categories"] = json!([]);
    if !with_rules {
        forget(&mut crd);
    }
    crd
}

/// Takes every rule about text away.
fn forget(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(rules)) = fields.get_mut("x-kubernetes-validations") {
                rules.retain(|rule| !rule["message"].as_str().unwrap_or_default().contains(WORDS));
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

#[tokio::test]
async fn a_reason_and_a_vote_from_before_the_rule_hold_up_no_status_no_vote_no_finalizer_and_no_deletion() {
    let session = Session::open().await;
    let ns = session.namespace("texts").await;
    let crd = Call::apply(&kind(false));
    assert!(session.send(&Who::Admin, &crd).await.is_success());
    let collection = format!("/apis/{GROUP}/v1alpha1/namespaces/{ns}/downloadrequests");
    let at = |name: &str| format!("{collection}/{name}");
    let object = |name: &str, reason: &str| {
        json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "DownloadRequest",
            "metadata": {"name": name, "finalizers": ["example.com/wait"]},
            "spec": {
                "certificateRef": {"name": "api"}, "format": "cert", "reason": reason,
                "requestedBy": {"username": "alice"},
            },
        })
    };
    let vote = |username: &str, reason: &str| json!({"username": username, "digest": "d", "decision": "Approve", "reason": reason});
    let admin = || Who::Admin;
    let create = Call::new(Method::POST, &collection, object("r", OLD));
    session.until("the kind", &admin(), &create, |answer| answer.is_success() || answer.code == 409).await;
    let merge = |path: &str, patch: Value| Call {
        content_type: "application/merge-patch+json",
        ..Call::new(Method::PATCH, path, patch)
    };
    let status = at("r/status");
    let first = merge(&status, json!({"status": {"phase": "AwaitingApproval", "approvals": [vote("bob", OLD)]}}));
    assert!(session.send(&admin(), &first).await.is_success());

    assert!(session.send(&admin(), &Call::apply(&kind(true))).await.is_success());
    let probe = Call::new(Method::POST, &collection, object("probe", OLD)).dry();
    session.until("the rules", &admin(), &probe, |answer| answer.code == 422 && answer.message().contains(WORDS)).await;

    let votes = |last: &str| json!({"status": {"approvals": [vote("bob", OLD), vote("carol", last)]}});
    let cases = vec![
        case("its labels", admin(), merge(&at("r"), json!({"metadata": {"labels": {"team": "edge"}}})), Allowed),
        case("its status", admin(), merge(&status, json!({"status": {"phase": "Approved"}})), Allowed),
        case("another vote of that kind", admin(), merge(&status, votes(OLD)), Invalid(WORDS)),
        case("a vote in plain words", admin(), merge(&status, votes("seen")), Allowed),
        case("its deletion", admin(), Call::new(Method::DELETE, &at("r"), Value::Null), Allowed),
        case(
            "the status of what is being deleted",
            admin(),
            merge(&status, json!({"status": {"phase": "Revoked"}})),
            Allowed,
        ),
        case(
            "the finalizer that it waits for",
            admin(),
            merge(&at("r"), json!({"metadata": {"finalizers": null}})),
            Allowed,
        ),
    ];
    run(&session, cases).await;
    assert_eq!(session.send(&admin(), &Call::new(Method::GET, &at("r"), Value::Null)).await.code, 404);
}
