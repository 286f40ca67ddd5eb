//! Who people are to the API server, and which way leads to the server.

use std::{fs, os::unix::fs::PermissionsExt as _};

use certcourier::api::{Delivery, Phase};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use test_support::{
    shell::{Shell, end},
    stage::Stage,
    world::World,
};

use super::kit::{keys_allowed, only_request, request_count};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_client_certificate_alone_goes_by_the_kubernetes_api_and_a_secret() {
    let world = World::new(Stage::shared().await, "certificate").await;
    keys_allowed(&world).await;
    let kubeconfig = world.stage.plane.certificate_kubeconfig("alice", None).unwrap();
    // Nothing says where the server is but the token's Secret.
    let alice = Shell::with(&world, kubeconfig);
    alice.run(&["download", "api", "--format", "fullchain", "-o", "f.pem"]).await.ok();
    assert_eq!(alice.read("f.pem"), world.leaf.chain());
    let request = world.get(&only_request(&world).await).await;
    assert_eq!(request.spec.delivery, Some(Delivery::Secret));
    assert_eq!(request.spec.requested_by.unwrap().username, "alice");

    let claim = alice.run(&["download", "api", "--format", "key", "--delivery", "claim"]).await;
    assert!(claim.failed(1).contains("--delivery secret"), "{}", claim.stderr);
    let given = alice.run(&["download", "api", "-f", "pkcs12", "--passphrase-file", "/dev/null"]).await;
    assert!(given.failed(2).contains("--generate"), "{}", given.stderr);
    let passphrase = alice.run(&["download", "api", "-f", "pkcs12", "--generate", "-o", "a.p12"]).await.ok();
    let mut openssl = alice.program("openssl");
    openssl.args(["pkcs12", "-in", "a.p12", "-nodes", "-passin", "env:P"]).env("P", passphrase.trim_end());
    assert!(end(openssl).await.ok().contains("PRIVATE KEY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_acts_as_somebody_else_asks_in_their_name_and_sends_nobodys_token() {
    let world = World::new(Stage::shared().await, "as").await;
    let kubectl = world.stage.plane.admin_kubectl();
    let binding = ["create", "rolebinding", "acted", "--clusterrole=certcourier-downloader", "--group=actors"];
    kubectl.check(["-n", &world.namespace].into_iter().chain(binding)).await.unwrap();
    // A person with every right and a bearer token of their own.
    let admin = world.stage.plane.service_account("kube-system", "impersonator", &[]).await.unwrap();
    let all = [
        "create",
        "clusterrolebinding",
        "impersonator",
        "--clusterrole=cluster-admin",
        "--serviceaccount=kube-system:impersonator",
    ];
    kubectl.check(all).await.unwrap();
    let shell = Shell::with(&world, admin.kubeconfig);
    let zoe = ["--as", "zoe", "--as-group", "others", "--as-group", "actors"];
    let line = [&["download", "api", "--format", "cert", "-o", "c.pem"], zoe.as_slice()].concat();
    world.until("zoe may ask", || async { shell.run(&line).await.code == Some(0) }).await;
    assert_eq!(shell.read("c.pem"), world.leaf.leaf);
    let request = world.get(&only_request(&world).await).await;
    let requester = request.spec.requested_by.unwrap();
    assert_eq!(requester.username, "zoe");
    assert!(["others", "actors"].iter().all(|group| requester.groups.iter().any(|has| has == group)), "{requester:?}");
    assert_eq!(request.spec.delivery, Some(Delivery::Secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_plugin_is_run_once_and_its_token_is_whom_the_server_sees() {
    let world = World::new(Stage::shared().await, "exec").await;
    let carol = world.person("carol").await;
    let shell = Shell::of(&world, "carol").await;
    let script = shell.path("login.sh");
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": carol.token.as_str(), "expirationTimestamp": "2099-01-01T00:00:00Z"}});
    fs::write(&script, format!("#!/bin/sh\necho run >>runs\n[ -z \"$BROKEN\" ] || {{ echo 'session expired' >&2; exit 3; }}\necho '{credential}'\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let text = fs::read_to_string(&carol.kubeconfig).unwrap();
    let (before, after) = text.split_once("    token: ").unwrap();
    let exec = "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: ./login.sh\n      interactiveMode: Never\n";
    let config = format!("{before}{exec}{}", after.split_once('\n').unwrap().1);
    fs::write(shell.path("config"), config).unwrap();
    let line = ["--kubeconfig", "config", "download", "api", "--format", "cert", "-o", "c.pem"];
    shell.run(&line).await.ok();
    assert_eq!((shell.read("c.pem"), shell.read("runs").as_str()), (world.leaf.leaf.clone(), "run\n"));
    assert_eq!(world.get(&only_request(&world).await).await.spec.delivery, Some(Delivery::Claim));
    let shell = shell.set("BROKEN", "1");
    let broken = shell.run(&["--kubeconfig", "config", "list"]).await;
    assert!(broken.failed(1).contains("session expired"), "{}", broken.stderr);
    assert!(!broken.stderr.contains(carol.token.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubeconfigs_are_found_and_merged_as_kubectl_does() {
    let world = World::new(Stage::shared().await, "kubeconfigs").await;
    let shell = Shell::of(&world, "carol").await;
    let (carol, erin) = (world.person("carol").await.kubeconfig, world.person("erin").await.kubeconfig);
    // The second one's context has another name, user and namespace.
    let other = fs::read_to_string(erin)
        .unwrap()
        .replace("name: test", "name: audit")
        .replace("cluster: test", "cluster: audit");
    let other = other.replace(
        "    cluster: audit\n    user",
        &format!("    cluster: audit\n    namespace: {}\n    user", world.namespace),
    );
    fs::write(shell.path("audit"), other).unwrap();
    let list = format!("/does/not/exist:{}:{}", carol.display(), shell.path("audit").display());
    let shell = shell.set("KUBECONFIG", &list);
    shell.run(&["list"]).await.ok();
    assert!(shell.run(&["receipts"]).await.failed(1).contains("certcourier-"), "carol reads no receipts");
    let line =
        format!("kubectl certcourier receipts --context audit && kubectl certcourier receipts --user {}", "erin");
    let both = shell.bash(&line).await;
    assert!(both.stderr.contains(&format!("No receipts found in namespace {}.", world.namespace)), "{}", both.stderr);
    let wrong = shell.run(&["list", "--context", "nowhere"]).await;
    assert!(wrong.failed(1).contains("test, audit"), "{}", wrong.stderr);
    let missing = shell.run(&["list", "--kubeconfig", "/does/not/exist"]).await;
    assert!(missing.failed(1).contains("/does/not/exist"), "{}", missing.stderr);
    let none = Shell::with(&world, "/does/not/exist".into()).set("HOME", "/does/not/exist");
    assert!(none.run(&["list"]).await.failed(1).contains("set KUBECONFIG"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_namespace_says_where_the_server_is_to_whoever_may_read_it() {
    let world = World::new(Stage::shared().await, "published").await;
    for map in [
        json!({"metadata": {"name": "certcourier-server"}, "data": {"url": world.stage.urls[1], "caConfigMap": "where-ca"}}),
        json!({"metadata": {"name": "where-ca"}, "data": {"ca.crt": world.stage.pki.root()}}),
    ] {
        world.api::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    }
    let kubectl = world.stage.plane.admin_kubectl();
    let namespace = ["-n", world.namespace.as_str(), "create"];
    let role = [
        "role",
        "where",
        "--verb=get",
        "--resource=configmaps",
        "--resource-name=certcourier-server",
        "--resource-name=where-ca",
    ];
    kubectl.check(namespace.into_iter().chain(role)).await.unwrap();
    kubectl
        .check(namespace.into_iter().chain(["rolebinding", "where", "--role=where", "--group=system:authenticated"]))
        .await
        .unwrap();
    let carol = Shell::with(&world, world.person("carol").await.kubeconfig);
    let line = ["download", "api", "--format", "cert", "-o", "c.pem", "--operator-namespace", &world.namespace];
    world.until("carol may read it", || async { carol.run(&line).await.code == Some(0) }).await;
    assert_eq!(carol.read("c.pem"), world.leaf.leaf);
    assert_eq!(world.get(&only_request(&world).await).await.spec.delivery, Some(Delivery::Claim));
}

/// There is no kubelet here, so the last step fails, and only that one.
#[tokio::test(flavor = "multi_thread")]
async fn the_way_through_the_api_server_leads_to_a_pod_that_is_ready() {
    let world = World::new(Stage::shared().await, "forward").await;
    let namespace = world.namespace.as_str();
    let line = [
        "download",
        "api",
        "--format",
        "cert",
        "--port-forward",
        "--delivery",
        "claim",
        "--operator-namespace",
        namespace,
    ];
    let account = world.stage.plane.service_account(namespace, "forwarder", &[]).await.unwrap();
    let kubectl = world.stage.plane.admin_kubectl();
    let binding = ["-n", namespace, "create", "rolebinding", "f", "--clusterrole=admin"];
    kubectl
        .check(binding.into_iter().chain([format!("--serviceaccount={namespace}:forwarder").as_str()]))
        .await
        .unwrap();
    let shell = Shell::with(&world, account.kubeconfig);
    let says = async |words: &str| {
        world.until(words, || async { shell.run(&line).await.failed(1).contains(words) }).await;
    };
    says("there is no Service").await;
    let service = json!({"metadata": {"name": "certcourier"}, "spec": {"selector": {"app": "c"}, "ports": [{"name": "https", "port": 443, "targetPort": "api"}]}});
    world.api::<Service>().create(&PostParams::default(), &serde_json::from_value(service).unwrap()).await.unwrap();
    says("no pod behind").await;
    let pod = json!({"metadata": {"name": "certcourier-0", "labels": {"app": "c"}}, "spec": {"nodeName": "nowhere",
        "automountServiceAccountToken": false,
        "containers": [{"name": "server", "image": "x", "ports": [{"name": "api", "containerPort": 8443}]}]}});
    let pods: Api<Pod> = world.api();
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let ready = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    pods.patch_status("certcourier-0", &PatchParams::default(), &Patch::Merge(ready)).await.unwrap();
    says(&format!("cannot forward a port to Pod {namespace}/certcourier-0")).await;
    assert_eq!(request_count(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_bound_to_its_requester_is_redeemed_with_their_own() {
    let world = World::new(Stage::shared().await, "bound").await;
    world.policy("bound", json!({"token": {"bindToRequester": true}})).await;
    let carol = Shell::of(&world, "carol").await;
    carol.run(&["download", "api", "--format", "cert", "-o", "c.pem"]).await.ok();
    let request = world.wait_for_phase(&only_request(&world).await, Phase::Consumed).await;
    assert_eq!(world.receipt_of(&request).await.unwrap().spec.consumed_by.unwrap().username, "carol");
    let kubeconfig = world.stage.plane.certificate_kubeconfig("carol", None).unwrap();
    let refused = Shell::with(&world, kubeconfig).run(&["download", "api", "--format", "cert"]).await;
    assert!(refused.failed(1).contains("bound to its requester"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_gets_the_deadline_that_it_must_have() {
    let world = World::new(Stage::shared().await, "unattended").await;
    let account = world.stage.plane.service_account(&world.namespace, "ci", &[]).await.unwrap();
    let kubectl = world.stage.plane.admin_kubectl();
    let ci = format!("--serviceaccount={}:ci", world.namespace);
    let binding = ["-n", &world.namespace, "create", "rolebinding", "ci", "--clusterrole=certcourier-downloader", &ci];
    kubectl.check(binding).await.unwrap();
    let (url, ca) = (world.stage.urls[0].clone(), world.stage.ca().display().to_string());
    let shell =
        Shell::with(&world, account.kubeconfig).set("CERTCOURIER_SERVER", &url).set("CERTCOURIER_SERVER_CA", &ca);
    for (delivery, file) in [("claim", "a.zip"), ("secret", "b.zip")] {
        let line = ["download", "api", "--format", "der-zip", "--delivery", delivery, "-o", file];
        world.until("it may ask", || async { shell.run(&line).await.code == Some(0) }).await;
        assert!(fs::read(shell.path(file)).unwrap().starts_with(b"PK"));
    }
}
