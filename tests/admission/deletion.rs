//! Deletion gets through: by owner, in the foreground, and of a whole namespace, with the real garbage collector and
//! namespace controller. One that would leave a token behind does not.

use axum::http::Method;
use certcourier::admission::name::REQUESTS;
use serde_json::{Value, json};

use crate::{
    case::{
        Answer, Call,
        Expect::{Allowed, Refused},
        Place, case, run,
    },
    certificates::certificate,
    receipts::receipt,
    requests::by,
    secrets::{owned_by, token_reader, token_secret},
    world::{CONTROL, SERVE, Session, Who, person},
};

const GONE: fn(&Answer) -> bool = |answer| answer.code == 404;

/// A request by carol with a token Secret that it owns; gives the Secret's name.
async fn request_with_token(session: &Session, ns: &str, name: &str) -> String {
    let carol = session.identity(&person("carol")).await;
    let made = session.send(&person("carol"), &by(&carol, ns, name, "cert")).await;
    assert!(made.is_success(), "{made:?}");
    let secret = format!("{name}-download-token");
    let owner = owned_by(name, made.body["metadata"]["uid"].as_str().unwrap());
    let place = Place::core(ns, "secrets");
    run(session, vec![case("its token", CONTROL, place.create(token_secret(&secret, &owner)), Allowed)]).await;
    secret
}

#[tokio::test]
async fn a_deleted_request_takes_its_token_along_however_it_is_deleted() {
    let session = Session::open().await;
    let ns = session.namespace("deletion").await;
    let requests = Place::of(&ns, "downloadrequests");
    let secrets = Place::core(&ns, "secrets");
    for propagation in ["Background", "Foreground"] {
        let name = propagation.to_lowercase();
        let secret = request_with_token(&session, &ns, &name).await;
        let delete = requests.delete_with(&name, propagation);
        run(&session, vec![case(format!("{propagation} deletion"), person("carol"), delete, Allowed)]).await;
        session.until("the request to go", &Who::Admin, &requests.get(&name), GONE).await;
        session.until("its token Secret to go", &Who::Admin, &secrets.get(&secret), GONE).await;
    }
}

#[tokio::test]
async fn a_deletion_never_leaves_the_token_behind() {
    let session = Session::open().await;
    let ns = session.namespace("orphan").await;
    let requests = Place::of(&ns, "downloadrequests");
    request_with_token(&session, &ns, "left").await;
    let refused = Refused(REQUESTS, "delete it without --cascade=orphan");
    let with = |call: &Call, options: Value| Call { body: options, ..call.clone() };
    let (one, all) = (requests.delete("left"), requests.delete_all());
    let orphan = json!({"metadata": {"finalizers": ["orphan"]}});
    let mut cases = Vec::new();
    for (name, who) in [("carol", person("carol")), ("the administrator", Who::Admin)] {
        for (what, call) in [
            ("orphans", requests.delete_with("left", "Orphan")),
            ("orphans in the old way", with(&one, json!({"orphanDependents": true}))),
        ] {
            cases.push(case(format!("{name} {what}"), who.clone(), call, refused.clone()));
        }
    }
    cases.extend([
        case(
            "carol says so in advance",
            person("carol"),
            requests.merge("left", orphan),
            Refused(REQUESTS, "finalizer orphan would leave the token Secret"),
        ),
        case(
            "the administrator orphans all",
            Who::Admin,
            with(&all, json!({"propagationPolicy": "Orphan"})),
            refused.clone(),
        ),
        case(
            "another finalizer",
            person("carol"),
            requests.merge("left", json!({"metadata": {"finalizers": []}})),
            Allowed,
        ),
        // A finalizer of her own holds it, so that she can say more about a deletion that has begun.
        case(
            "carol holds it",
            person("carol"),
            requests.merge("left", json!({"metadata": {"finalizers": ["example.com/hold"]}})),
            Allowed,
        ),
        case("carol deletes it", person("carol"), one, Allowed),
        case("and orphans what is going", person("carol"), requests.delete_with("left", "Orphan"), refused.clone()),
        case(
            "she lets it go",
            person("carol"),
            requests.merge("left", json!({"metadata": {"finalizers": []}})),
            Allowed,
        ),
    ]);
    run(&session, cases).await;
    session.until("the request to go", &Who::Admin, &requests.get("left"), GONE).await;
}

/// From a time without policies.
#[tokio::test]
async fn an_orphaned_token_secret_can_be_tidied_up() {
    let session = Session::open().await;
    let ns = session.namespace("tidy").await;
    let secrets = Place::core(&ns, "secrets");
    let mut left = token_secret("left-download-token", &json!({}));
    left["metadata"]["ownerReferences"] = json!([]);
    let cases = vec![
        case("nobody owns it any more", CONTROL, secrets.create(left), Allowed),
        case("whoever may delete Secrets tidies up", Who::Admin, secrets.delete("left-download-token"), Allowed),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn an_object_deleted_in_the_foreground_is_not_stuck() {
    let session = Session::open().await;
    let ns = session.namespace("foreground").await;
    let receipts = Place::of(&ns, "downloadreceipts");
    let secrets = Place::core(&ns, "secrets");
    let secret = request_with_token(&session, &ns, "open").await;
    let cases = vec![
        case("a receipt", SERVE, receipts.create(receipt("x1", "a")), Allowed),
        case("deleted in the foreground", CONTROL, receipts.delete_with("x1", "Foreground"), Allowed),
        case("a token Secret, too", CONTROL, secrets.delete_with(&secret, "Foreground"), Allowed),
    ];
    run(&session, cases).await;
    session.until("the receipt to go", &Who::Admin, &receipts.get("x1"), GONE).await;
    session.until("the token Secret to go", &Who::Admin, &secrets.get(&secret), GONE).await;
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let session = Session::open().await;
    let ns = session.namespace("doomed").await;
    request_with_token(&session, &ns, "open").await;
    let live = session.send(&Who::Admin, &Place::of(&ns, "downloadrequests").get("open")).await;
    let role = token_reader(&owned_by("open", live.body["metadata"]["uid"].as_str().unwrap()));
    let guard = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "certcourier-guard"}});
    let path = format!("/api/v1/namespaces/{ns}");
    let cases = vec![
        case("a receipt", SERVE, Place::of(&ns, "downloadreceipts").create(receipt("x1", "a")), Allowed),
        case("a Role", CONTROL, Place::rbac(&ns, "roles").create(role), Allowed),
        case(
            "a Certificate",
            person("dave"),
            Place::of(&ns, "certificates").create(certificate("c", &[("p", "dave-tls")])),
            Allowed,
        ),
        case("a ConfigMap", Who::Admin, Place::core(&ns, "configmaps").create(guard), Allowed),
        case("the namespace is deleted", Who::Admin, Call::new(Method::DELETE, &path, Value::Null), Allowed),
    ];
    run(&session, cases).await;
    session.until("the namespace to go", &Who::Admin, &Call::new(Method::GET, &path, Value::Null), GONE).await;
}
