//! A key leaves only while the admission policies are proven to be in force, at the moment of the download; other files
//! do not ask.

use axum::http::StatusCode;
use certcourier::{
    admission::name::{TOKENS, VOTES},
    guard::{Kind, Reason},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    fake_api::{FakeApi, Fault},
    stage::{POLICY, RECORD, Stage, policy},
};

type Breaks<'a> = &'a dyn Fn(&FakeApi);

fn path(kind: Kind, name: &str) -> String {
    format!("/apis/{}/v1/{}/{name}", kind.group(), kind.plural())
}

async fn key() -> Stage {
    let stage = Stage::of_format("key").await;
    stage.api.put(POLICY, policy(&json!({"allowKeyExport": "Always"})));
    stage
}

/// Puts an object back as it was, as the API server would number it.
fn put_back(api: &FakeApi, path: &str, mut object: Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    object["metadata"]["generation"] = json!(generation + 2);
    api.put(path, object);
}

#[tokio::test]
async fn a_policy_that_does_not_stand_holds_keys_back_and_nothing_else() {
    let (votes, binding) = (path(Kind::Policy, VOTES), path(Kind::Binding, VOTES));
    let (crd, hooks) = (path(Kind::Crd, "downloadrequests.certcourier.io"), path(Kind::Webhooks, "theirs"));
    let rules = json!([{"apiGroups": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"}]);
    let webhooks = json!({"metadata": {"name": "theirs"}, "webhooks": [{"name": "w.example.com", "rules": rules}]});
    let broken: [(&str, Breaks<'_>); 9] = [
        ("there is no ValidatingAdmissionPolicyBinding", &|api| api.remove(&binding)),
        ("there is no ValidatingAdmissionPolicy ", &|api| api.remove(&votes)),
        ("lack Deny", &|api| api.edit(&binding, |object| object["spec"]["validationActions"] = json!(["Audit"]))),
        ("is not what this version", &|api| {
            api.edit(&votes, |object| object["spec"]["validations"][0]["expression"] = json!("true"));
        }),
        // As it was, and yet not the object that the probes met.
        ("have not been probed since", &|api| put_back(api, &votes, api.get(&votes).unwrap())),
        ("there is no CustomResourceDefinition", &|api| api.remove(&crd)),
        ("subresource status is off", &|api| {
            api.edit(&crd, |object| object["spec"]["versions"][0]["subresources"] = json!({}));
        }),
        ("have not been probed since", &|api| put_back(api, &crd, api.get(&crd).unwrap())),
        // Something that may turn votes round came after the last probe.
        ("have not been probed since", &|api| api.put(&hooks, webhooks.clone())),
    ];
    for (words, breaks) in broken {
        let stage = key().await;
        breaks(&stage.api);
        let answer = stage.download().await;
        answer.assert_refused(503, "guard_failed", words);
        assert_eq!(answer.header("retry-after"), "1");
        assert!(stage.receipt().is_none(), "{words}");
        let public = Stage::of_format("fullchain").await;
        breaks(&public.api);
        assert_eq!(public.download().await.status, StatusCode::OK, "{words}");
    }
}

#[tokio::test]
async fn the_controllers_record_is_evidence_only_while_it_is_fresh_and_its_own() {
    let old = (Timestamp::now() - SignedDuration::from_secs(61)).to_string();
    let to_come = (Timestamp::now() + SignedDuration::from_hours(1)).to_string();
    let reason = Reason::NotRefused { policy: TOKENS.to_owned() };
    for (words, change) in [
        ("s old", json!({"probedAt": old})),
        ("s old", json!({"probedAt": to_come})),
        ("no record of a probe", json!({"probedAt": "soon"})),
        ("no record of a probe", json!({"state": "Fine"})),
        ("have not been probed since", json!({"epoch": "0".repeat(64)})),
        ("accepts what policy", json!({"state": "Broken", "reason": reason.name(), "message": reason.to_string()})),
    ] {
        let stage = key().await;
        stage.api.edit(RECORD, |record| {
            for (field, value) in change.as_object().unwrap() {
                record["data"][field] = value.clone();
            }
        });
        stage.download().await.assert_refused(503, "guard_failed", words);
        assert!(stage.receipt().is_none(), "{words}");
    }
    let stage = key().await;
    stage.api.remove(RECORD);
    stage.download().await.assert_refused(503, "guard_failed", "there is no ConfigMap");

    // Written before the policy that protects it, so anybody may have written it.
    let stage = key().await;
    let guard_state = path(Kind::Policy, "guard-state.certcourier.io");
    stage.api.put(&guard_state, stage.api.get(&guard_state).unwrap());
    stage.download().await.assert_refused(503, "guard_failed", "anyone could have forged it");
    stage.api.put(RECORD, stage.api.get(RECORD).unwrap());
    assert_eq!(stage.download().await.status, StatusCode::OK, "the refusals left the token alive");
}

#[tokio::test]
async fn a_request_from_before_the_policies_stood_is_closed_to_its_token() {
    let stage = key().await;
    let since = (Timestamp::now() - SignedDuration::from_secs(10)).to_string();
    stage.api.edit(RECORD, |record| record["data"]["since"] = json!(since));
    stage.download().await.assert_refused(410, "token_revoked", "EpochChanged");
    assert!(stage.receipt().is_none());
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_is_no_evidence() {
    let stage = key().await;
    stage.api.fail(|_, path| path.contains("admissionregistration").then_some(Fault::Refuse(403)));
    stage.download().await.assert_refused(503, "guard_failed", "did not respond as expected");
    assert!(stage.receipt().is_none());
    let public = Stage::of_format("cert").await;
    public.api.fail(|_, path| path.contains("admissionregistration").then_some(Fault::Refuse(403)));
    assert_eq!(public.download().await.status, StatusCode::OK);
    let log = public.api.take_log();
    assert!(!log.iter().any(|call| call.contains("admission") || call.contains("configmaps")), "{log:#?}");
}

#[tokio::test]
async fn the_policies_are_looked_at_after_everything_else_was_read() {
    let stage = key().await;
    stage.api.take_log();
    assert_eq!(stage.download().await.status, StatusCode::OK);
    let log = stage.api.take_log();
    let guard = log.iter().position(|call| call.contains("validatingadmission")).unwrap();
    // What comes after the receipt can only stop the delivery.
    let receipt = log.iter().position(|call| call.starts_with("POST") && call.ends_with("/downloadreceipts")).unwrap();
    let facts = log[..receipt].iter().rposition(|call| {
        ["secrets/", "downloadrequests/", "certificates/", "certificatepolicies"].iter().any(|part| call.contains(part))
            && call.starts_with("GET")
    });
    assert!(facts.unwrap() < guard, "{log:#?}");
}
