//! Applied, compared, applied again, replaced, pruned: nothing differs, and nothing is minted twice.

use certcourier::api::{DownloadRequest, Phase, names};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{core::v1::Secret, rbac::v1::Role};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::json;
use test_support::{
    stage::{Stage, manifests},
    world::{World, message},
};

use super::{kubectl, may, request, tool, tries};

fn generation(request: &DownloadRequest) -> i64 {
    request.status.as_ref().and_then(|status| status.token.as_ref()).map_or(0, |token| token.generation)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_applied_again_by_anybody_differs_in_nothing_and_mints_nothing() {
    let world = World::new(Stage::shared().await, "applied").await;
    let (carol, alice) = (world.person("carol").await, world.person("alice").await);
    let text = request("api-cert", "");
    let server_side = ["apply", "--server-side", "-f", "-"];
    kubectl(&world, &carol, &server_side, &text).await;
    let issued = world.wait_for_phase("api-cert", Phase::TokenIssued).await;
    let token = world.token_part("carol", "api-cert", "token").await.unwrap();
    assert_eq!(issued.spec.requested_by.as_ref().unwrap().username, "carol");

    // Neither the stamp nor the status is a difference, for any of the ways to compare. Exit code 1 would be one.
    for (who, arguments) in [
        (&carol, &["diff", "--server-side", "-f", "-"][..]),
        (&carol, &["diff", "-f", "-"]),
        (&alice, &["diff", "--server-side", "--force-conflicts", "-f", "-"]),
        (&alice, &["diff", "-f", "-"]),
    ] {
        let output = tries(&world, who, arguments, &text).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{arguments:?}: {}", output.stderr);
    }
    for (who, arguments) in [
        (&carol, &server_side[..]),
        (&carol, &["apply", "-f", "-"]),
        (&carol, &["replace", "-f", "-"]),
        (&alice, &["apply", "-f", "-"]),
        (&alice, &["apply", "--server-side", "--field-manager=flux", "-f", "-"]),
        (&alice, &["replace", "-f", "-"]),
    ] {
        kubectl(&world, who, arguments, &text).await;
        let now = world.get("api-cert").await;
        assert_eq!((now.uid(), &now.spec), (issued.uid(), &issued.spec), "{arguments:?}");
    }
    // Another line in Git is another request; nobody's sync changes one that is under way.
    let forced = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    for (change, by, words) in [
        (("format: cert", "format: der"), &alice, "spec is immutable"),
        (("format: cert", "format: der"), &carol, "spec is immutable"),
        (("app: api", "app: other"), &alice, "only the requester may change this request's metadata"),
    ] {
        let output = tries(&world, by, &forced, &text.replace(change.0, change.1)).await;
        assert!(!output.succeeded() && output.stderr.contains(words), "{change:?}: {}", output.stderr);
    }

    assert_eq!(generation(&world.get("api-cert").await), 1);
    assert_eq!(world.redeem(&token).await.status, 200, "the first token is still the one");
    world.wait_finished("api-cert").await;
    kubectl(&world, &carol, &server_side, &text).await;
    kubectl(&world, &alice, &["apply", "-f", "-"], &text).await;
    // What a sync after the end would set off would be there by the time that a new request has its token.
    world.issue("carol", "later", json!({"format": "cert"})).await;
    let over = world.get("api-cert").await;
    assert_eq!((over.status.as_ref().unwrap().phase, generation(&over)), (Some(Phase::Consumed), 1));
    assert_eq!(world.receipts().await.len(), 1);
    let secrets: Api<Secret> = world.api();
    assert!(secrets.get_opt(&names::token_secret("api-cert")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_policies_differ_in_nothing_once_they_have_a_status() {
    let world = World::empty(Stage::shared().await, "catalogue").await;
    world.secret("api-tls", &world.leaf).await;
    let dave = tool(&world, "catalogue", &["certcourier-admin", "view", "edit"]).await;
    may(&world, &dave, "create", "certificates.certcourier.io").await;
    may(&world, &dave, "get", "secrets/api-tls").await;
    let text = "{apiVersion: certcourier.io/v1alpha1, kind: Certificate, metadata: {name: api},\n  \
         spec: {environments: [{name: production, secretRef: {name: api-tls}}]}}\n---\n\
         {apiVersion: certcourier.io/v1alpha1, kind: CertificatePolicy, metadata: {name: all},\n  \
         spec: {allowedFormats: [cert, fullchain], token: {ttl: 5m}, finishedRequestTTL: 24h}}\n";
    for mode in [&["--server-side"][..], &[]] {
        kubectl(&world, &dave, &[&["apply"], mode, &["-f", "-"]].concat(), text).await;
        kubectl(&world, &dave, &["wait", "ccert/api", "--for=condition=Ready", "--timeout=20s"], "").await;
        let output = tries(&world, &dave, &[&["diff"], mode, &["-f", "-"]].concat(), text).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{mode:?}: {}", output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_no_longer_holds_is_pruned_with_its_token_and_the_record_stays() {
    let world = World::new(Stage::shared().await, "pruned").await;
    let carol = world.person("carol").await;
    let prune = |more: &[&'static str]| {
        let always = ["apply", "-f", "-", "--prune"];
        [&always, more].concat()
    };
    let selected = prune(&["-l", "app=api", "--prune-allowlist=certcourier.io/v1alpha1/DownloadRequest"]);
    let (keep, used, open) = (request("keep", ""), request("used", ""), request("open", ""));
    kubectl(&world, &carol, &selected, &[keep.as_str(), &used, &open].join("---\n")).await;
    for name in ["used", "open"] {
        world.wait_for_phase(name, Phase::TokenIssued).await;
    }
    let token = world.token_part("carol", "used", "token").await.unwrap();
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait_finished("used").await;
    let left = world.token_part("carol", "open", "token").await.unwrap();
    let reader = world.get("open").await.status.unwrap().token.unwrap().reader_name.unwrap();

    kubectl(&world, &carol, &selected, &keep).await;
    let requests: Api<DownloadRequest> = world.api();
    let here = || async {
        let all = requests.list(&ListParams::default()).await.unwrap().items;
        all.iter().map(kube::ResourceExt::name_any).collect::<Vec<_>>()
    };
    world.until("only one is left", || async { here().await == ["keep"] }).await;
    let (secrets, roles): (Api<Secret>, Api<Role>) = (world.api(), world.api());
    let name = names::token_secret("open");
    world
        .until("token and right to read it are gone", || async {
            secrets.get_opt(&name).await.unwrap().is_none() && roles.get_opt(&reader).await.unwrap().is_none()
        })
        .await;
    assert_eq!(world.redeem(&left).await.json("error"), "token_unknown");
    let receipts = world.receipts().await;
    assert_eq!(receipts.iter().map(|r| r.spec.request_ref.name.as_str()).collect::<Vec<_>>(), ["used"]);

    // The same with an ApplySet, which keeps its list in an object of its own and labels its members.
    let admin = world.stage.plane.admin_kubectl();
    let set = async |text: &str| {
        let mut command = admin.command([
            "-n",
            &world.namespace,
            "apply",
            "--prune",
            "--applyset=configmaps/git",
            "-f",
            "/dev/stdin",
        ]);
        command.env("KUBECTL_APPLYSET", "true");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("set.yaml");
        std::fs::write(&file, text).unwrap();
        let output = command.stdin(std::fs::File::open(&file).unwrap()).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let (one, two) = (request("one", ""), request("two", ""));
    set(&format!("{one}---\n{two}")).await;
    world.wait_for_phase("two", Phase::TokenIssued).await;
    set(&one).await;
    world.until("the other is gone", || async { here().await == ["keep", "one"] }).await;
    assert_eq!(generation(&world.wait_for_phase("one", Phase::TokenIssued).await), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_a_sync_makes_after_the_deadline_does_nothing() {
    let world = World::new(Stage::shared().await, "deadline").await;
    // What is finished goes at once, and the next sync finds it missing and makes it again.
    world.policy("tidy", json!({"finishedRequestTTL": "1s"})).await;
    let argo = tool(&world, "argocd-application-controller", &["certcourier-downloader"]).await;
    may(&world, &argo, "create", "downloadrequests.certcourier.io").await;
    let deadline = Timestamp::now() + SignedDuration::from_secs(15);
    let text = request("api-cert", &format!(", deadline: {deadline:.0}"));
    let sync = ["apply", "--server-side", "-f", "-"];
    kubectl(&world, &argo, &sync, &text).await;
    world.wait_for_phase("api-cert", Phase::TokenIssued).await;
    let encoded =
        kubectl(&world, &argo, &["get", "secret", "api-cert-download-token", "-o", "jsonpath={.data.token}"], "").await;
    let token = <base64ct::Base64 as base64ct::Encoding>::decode_vec(&encoded.stdout).unwrap();
    assert_eq!(world.redeem(std::str::from_utf8(&token).unwrap()).await.status, 200);
    let requests: Api<DownloadRequest> = world.api();
    world.until("it is gone", || async { requests.get_opt("api-cert").await.unwrap().is_none() }).await;

    world.policy("tidy", json!({"finishedRequestTTL": "24h"})).await;
    world.until("the deadline is over", || async { Timestamp::now() > deadline }).await;
    kubectl(&world, &argo, &sync, &text).await;
    let (phase, copy) = world.wait_finished("api-cert").await;
    let status = copy.status.as_ref().unwrap();
    assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some("DeadlinePassed")));
    assert!(message(status, "Finished").contains("had already passed"), "{status:?}");
    assert_eq!(generation(&copy), 0);
    assert_eq!(world.receipts().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_certcourier_prints_for_a_cluster_differs_in_nothing_once_it_is_applied() {
    let stage = Stage::shared().await;
    let kubectl = stage.plane.admin_kubectl();
    // The stage applied it client-side; as Argo CD with server-side apply, a tool of its own name.
    let server_side = ["diff", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-"];
    for arguments in [&["diff", "-f", "-"][..], &server_side] {
        let output = kubectl.run_with(arguments, &manifests(&[], "yaml", &[])).await.unwrap();
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{arguments:?}: {}", output.stderr);
    }
}
