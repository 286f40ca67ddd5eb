//! What the API server keeps is what we made: the guard compares by it.

use axum::http::Method;
use certcourier::{
    admission::{self, Identity, Object},
    guard::{Kind, Reason, Wanted},
    manifests::{Installation, objects},
};
use serde_json::Value;

use crate::{
    case::Call,
    world::{CONTROLLER, HOME, Session, Who},
};

#[tokio::test]
async fn the_live_policies_have_the_digests_of_ours_and_no_warnings() {
    let session = Session::open().await;
    for own in admission::objects(&session.world.identity) {
        let (plural, revision) = match &own {
            Object::Policy(policy) => ("validatingadmissionpolicies", &policy.metadata.annotations),
            Object::Binding(binding) => ("validatingadmissionpolicybindings", &binding.metadata.annotations),
        };
        let path = format!("/apis/admissionregistration.k8s.io/v1/{plural}/{}", own.name());
        let checked = |answer: &crate::case::Answer| {
            plural.ends_with("bindings") || !answer.body["status"]["typeChecking"].is_null()
        };
        let live =
            session.until("type checking", &Who::Admin, &Call::new(Method::GET, &path, Value::Null), checked).await;
        let spec = &live.body["spec"];
        assert_eq!(admission::spec_digest(spec), own.digest(), "{} {}: {spec:#}", own.kind(), own.name());
        let expected = format!("{}-{}", admission::REVISION, own.digest());
        assert_eq!(revision.as_ref().unwrap()[admission::REVISION_ANNOTATION], expected);
        assert_eq!(live.body["metadata"]["annotations"][admission::REVISION_ANNOTATION], expected);
        let warnings = &live.body["status"]["typeChecking"]["expressionWarnings"];
        assert!(warnings.is_null(), "{}: {warnings:#}", own.name());
    }
}

/// Field by field, as this version of Kubernetes keeps them; where it has the stamp, that too.
#[tokio::test]
async fn the_guard_finds_nothing_wrong_with_what_was_applied_and_something_with_any_other_users() {
    let session = Session::open().await;
    let live = certcourier::cluster::guard::live(&session.world.plane.admin()).await.unwrap();
    assert_eq!(live.fault(&Wanted::of(&session.world.identity)), None);
    assert!(live.record_protected_since().is_some(), "versions are numbers");
    assert_eq!(live.epoch().len(), 64);
    let others = Identity::new(HOME, CONTROLLER, "mallory").unwrap();
    assert!(matches!(live.fault(&Wanted::of(&others)), Some(Reason::Changed { kind: Kind::Policy, .. })));
}

#[tokio::test]
async fn what_is_applied_twice_does_not_change() {
    let session = Session::open().await;
    // Without the stamp, which another test takes away.
    let installation =
        Installation { identity: session.world.identity.clone(), watch_namespaces: vec![], stamp: false };
    for object in objects(&installation).unwrap() {
        let call = Call::apply(&object);
        let read = Call::new(Method::GET, call.path.split('?').next().unwrap(), Value::Null);
        let before = session.send(&Who::Admin, &read).await.body["metadata"]["generation"].clone();
        let after = session.send(&Who::Admin, &call).await;
        assert!(after.is_success(), "{after:?}");
        assert_eq!(after.body["metadata"]["generation"], before, "{}", call.path);
    }
}
