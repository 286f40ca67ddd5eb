//! The other placement: controller and server are one user, and the operator works in listed namespaces only. On an API
//! server of its own, since the policies name the operator.

use certcourier::{
    admission::{
        Identity,
        name::{RECEIPTS, REQUESTS, VOTES},
        probe::probes,
    },
    manifests::{Installation, objects},
};
use kube::Client;
use serde_json::{Value, json};
use test_cluster::{ControlPlane, Process};
use test_support::{install::stamps, program::binary, with_kinds};

use crate::{
    case::{Answer, Call, Place},
    guard::probe_calls,
    receipts::receipt,
    world::{HOME, Who, apply, send, until},
};

const OPERATOR: &str = "system:serviceaccount:certcourier-system:certcourier";

struct Sidecar {
    plane: ControlPlane,
    operator: Client,
}

impl Sidecar {
    async fn start() -> Self {
        let plane = ControlPlane::start(with_kinds()).await.unwrap();
        let operator = plane.service_account(HOME, "certcourier", &[]).await.unwrap().client;
        plane.service_account("payments", "default", &[]).await.unwrap();
        let installation = Installation {
            identity: Identity::new(HOME, OPERATOR, OPERATOR).unwrap(),
            watch_namespaces: vec!["payments".to_owned()],
            stamp: stamps(&plane),
        };
        apply(&plane.admin(), &objects(&installation).unwrap()).await;
        Self { plane, operator }
    }

    async fn operator(&self, call: &Call) -> Answer {
        send(&self.operator, &Who::Person(OPERATOR), call).await
    }

    async fn admin(&self, call: &Call) -> Answer {
        send(&self.plane.admin(), &Who::Admin, call).await
    }
}

#[tokio::test]
async fn one_user_may_be_both_controller_and_server_in_the_listed_namespaces() {
    let sidecar = Sidecar::start().await;
    let receipts = Place::of("payments", "downloadreceipts");
    let secrets = Place::core("payments", "secrets");
    let token = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "r1-download-token", "labels": {"certcourier.io/token": "1"}},
    });
    // In force once the policy refuses the administrator.
    let refused = |answer: &Answer| answer.refused_by() == Some(RECEIPTS);
    until("the policies", async || sidecar.admin(&receipts.create(receipt("x0", "a")).dry()).await, refused).await;
    let written = |answer: &Answer| answer.is_success();
    until("its rights", async || sidecar.operator(&receipts.create(receipt("x1", "a"))).await, written).await;
    for call in [
        receipts.merge("x1", Value::Null),
        secrets.create(token),
        secrets.delete("r1-download-token"),
        receipts.delete("x1"),
    ] {
        // Patching is nobody's right; the rest is one user's in two roles.
        let answer = sidecar.operator(&call).await;
        assert_eq!(answer.is_success(), call.method != axum::http::Method::PATCH, "{call:?}: {answer:?}");
    }
    // Waits for the last policy, and so for all of them.
    at_home_it_may_probe(&sidecar).await;
    a_vote_is_still_not_the_operators(&sidecar).await;
    elsewhere_it_has_no_rights(&sidecar).await;
    the_guard_is_content(&sidecar).await;
}

/// The real controller, on this version of Kubernetes: the live objects are those that it would apply, and each policy
/// refuses its probe.
async fn the_guard_is_content(sidecar: &Sidecar) {
    let account = sidecar.plane.service_account(HOME, "certcourier", &[]).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = account.kubeconfig.display().to_string();
    let arguments = ["controller", "--kubeconfig", &kubeconfig, "--namespace", HOME, "--watch-namespaces", "payments"]
        .into_iter()
        .chain(["--metrics-address", "127.0.0.1:0", "--guard-interval", "1s"])
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let log = directory.path().join("controller.log");
    let _controller = Process::spawn("controller", &binary("certcourier"), &arguments, &log).unwrap();
    let record = Place::core(HOME, "configmaps").get("certcourier-guard");
    let intact = |answer: &Answer| answer.body["data"]["state"] == "Intact";
    until("the guard", async || sidecar.admin(&record).await, intact).await;
}

async fn a_vote_is_still_not_the_operators(sidecar: &Sidecar) {
    let place = Place::of("payments", "downloadrequests");
    let request = json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": "r1"},
        "spec": {
            "certificateRef": {"name": "api"}, "format": "cert",
            "requestedBy": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
        },
    });
    // Kinds that were made a moment ago are unknown to the stamp at first, and the administrator's name is the control
    // plane's business: without a stamp the refusal says what to write.
    let known = |answer: &Answer| answer.code != 503;
    let answer = until("the kinds", async || sidecar.admin(&place.create(request.clone())).await, known).await;
    if !answer.is_success() {
        assert_eq!(answer.refused_by(), Some(REQUESTS), "{answer:?}");
        let said = answer.message().split("username: \"").nth(1).unwrap();
        let mut request = request;
        request["spec"]["requestedBy"]["username"] = json!(said.split('"').next().unwrap());
        let again = sidecar.admin(&place.create(request)).await;
        assert!(again.is_success(), "{again:?}");
    }
    let mut live = sidecar.operator(&place.get("r1")).await.body;
    live["status"]["phase"] = json!("AwaitingApproval");
    let path = format!("{}/status", place.get("r1").path);
    let written = sidecar.operator(&Call::new(axum::http::Method::PUT, &path, live)).await;
    assert!(written.is_success(), "{written:?}");
    let mut live = written.body;
    live["status"]["approvals"] = json!([{"username": OPERATOR, "digest": "d", "decision": "Approve", "reason": "x"}]);
    let voted = sidecar.operator(&Call::new(axum::http::Method::PUT, &path, live)).await;
    assert_eq!(voted.refused_by(), Some(VOTES), "{voted:?}");
    assert!(voted.message().contains("the operator must not write status.approvals"), "{voted:?}");
}

/// Its own namespace is none of those it works in: the rights to probe are a Role there.
async fn at_home_it_may_probe(sidecar: &Sidecar) {
    let identity = Identity::new(HOME, OPERATOR, OPERATOR).unwrap();
    for probe in probe_calls(&probes(&identity)) {
        let refused = |answer: &Answer| answer.refused_by() == Some(probe.policy);
        until(probe.policy, async || sidecar.operator(&probe.call).await, refused).await;
    }
}

async fn elsewhere_it_has_no_rights(sidecar: &Sidecar) {
    for call in [
        Place::of("default", "downloadrequests").list(),
        Place::core("default", "secrets").get("any"),
        Place::of("default", "downloadreceipts").create(receipt("x1", "a")),
    ] {
        let answer = sidecar.operator(&call).await;
        assert_eq!((answer.code, answer.refused_by()), (403, None), "{call:?}: {answer:?}");
    }
}
