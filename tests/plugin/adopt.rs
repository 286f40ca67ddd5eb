//! `adopt`: Certificates for what is there already, with the rights of whoever runs it.

use certcourier::api::Certificate;
use kube::api::ListParams;
use test_support::{shell::Shell, stage::Stage, world::World};

use super::inspect::may_read_secrets;

/// `NAME: ENVIRONMENT=SECRET,…` of each Certificate.
async fn certificates(world: &World<'_>) -> Vec<String> {
    let found = world.api::<Certificate>().list(&ListParams::default()).await.unwrap();
    let shown = |certificate: &Certificate| {
        let environments: Vec<String> = certificate
            .spec
            .environments
            .iter()
            .map(|environment| format!("{}={}", environment.name, environment.secret_ref.name))
            .collect();
        format!("{}: {}", certificate.metadata.name.as_deref().unwrap(), environments.join(","))
    };
    found.items.iter().map(shown).collect()
}

/// A namespace with Secrets, and dave, who may read them and write Certificates.
async fn world<'a>(what: &str, secrets: &[&str]) -> World<'a> {
    let world = World::empty(Stage::shared().await, what).await;
    may_read_secrets(&world, "dave", "get, list").await;
    for name in secrets {
        world.secret(name, &world.leaf).await;
    }
    world
}

/// dave's shell, once his rights are there.
async fn dave<'a>(world: &'a World<'a>) -> Shell<'a> {
    let dave = Shell::of(world, "dave").await;
    world.until("dave may list Secrets", || async { dave.run(&["adopt", "--dry-run"]).await.code == Some(0) }).await;
    dave
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_become_certificates_once_and_nothing_is_overwritten() {
    let world = world("adopt", &["api-tls", "web-tls"]).await;
    world.raw_secret("no-certificate", "Opaque", &[("tls.crt", "x")]).await;
    world.certificate("web-tls", &[("production", "elsewhere")]).await;
    world.certificate("known", &[("production", "known-tls")]).await;
    world.secret("known-tls", &world.leaf).await;
    let before = certificates(&world).await;
    let dave = dave(&world).await;

    let dry = dave.run(&["adopt", "--dry-run"]).await;
    assert_eq!(
        dry.ok().lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" "),
        "api-tls default=api-tls created (dry run)"
    );
    for said in [
        "skipped Secret known-tls of namespace ",
        ": Certificate known (environment production) has its Secret already\n",
        "skipped Secret web-tls of namespace ",
        ": there is a Certificate `web-tls` already, with other Secrets; nothing is overwritten\n",
    ] {
        assert!(dry.stderr.contains(said), "{said}\n{}", dry.stderr);
    }
    assert!(dave.run(&["adopt", "--dry-run=server"]).await.ok().contains("created (server dry run)"));
    let manifest = "kubectl certcourier -n NS adopt --dry-run -o yaml >adopted.yaml
        kubectl apply --dry-run=server -f adopted.yaml";
    assert_eq!(
        dave.bash(&manifest.replace("NS", &world.namespace)).await.ok(),
        "certificate.certcourier.io/api-tls created (server dry run)\n"
    );
    assert!(!dave.read("adopted.yaml").contains("tls.key"));
    assert_eq!(certificates(&world).await, before, "nothing was written");

    assert_eq!(dave.run(&["adopt", "-o", "name"]).await.ok(), "certificate.certcourier.io/api-tls\n");
    let mut after = before.clone();
    after.insert(0, "api-tls: default=api-tls".to_owned());
    assert_eq!(certificates(&world).await, after);
    let again = dave.run(&["adopt"]).await;
    assert_eq!(again.ok(), "");
    assert!(again.stderr.contains("Nothing to adopt in namespace "), "{}", again.stderr);
    assert_eq!(certificates(&world).await, after);
    // The operator takes it from here.
    world.until("it can be delivered", || async { dave.run(&["list"]).await.ok().contains("Usable") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_secrets_become_environments_only_when_asked() {
    let world = world("adopt-several", &["api-staging-tls", "api-production-tls", "web"]).await;
    let dave = dave(&world).await;
    let separate = dave.run(&["adopt", "--dry-run", "--environment", "live", "-o", "name"]).await.ok();
    assert_eq!(separate.lines().count(), 3, "{separate}");
    dave.run(&["adopt", "--environments", "production,staging", "--environment", "live"]).await.ok();
    assert_eq!(
        certificates(&world).await,
        ["api-tls: production=api-production-tls,staging=api-staging-tls", "web: live=web"]
    );
    let slip = dave.run(&["adopt", "--environments", "Production"]).await;
    assert!(slip.failed(2).contains("such as production"), "{}", slip.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_missing_are_said_and_cost_nobody_else_theirs() {
    let world = world("adopt-rights", &["api-tls", "web-tls"]).await;
    let alice = Shell::of(&world, "alice").await.run(&["adopt"]).await;
    assert!(alice.failed(1).contains("cannot list Secrets of namespace "), "{}", alice.stderr);
    assert!(alice.stderr.contains("--from certificates.cert-manager.io"), "{}", alice.stderr);
    // frank lists Secrets, gets one of them, and writes Certificates.
    let kubectl = world.stage.plane.admin_kubectl();
    let rights = format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: one, namespace: {n}}},\n  \
         rules: [{{apiGroups: [''], resources: [secrets], verbs: [list]}}, \
         {{apiGroups: [''], resources: [secrets], resourceNames: [web-tls], verbs: [get]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: one, namespace: {n}}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: frank}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: one}}}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: two, namespace: {n}}},\n  \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: frank}}],\n  \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: certcourier-admin}}}}\n",
        n = world.namespace
    );
    kubectl.apply(&rights).await.unwrap();
    let frank = Shell::of(&world, "frank").await;
    let dry = || async { frank.run(&["adopt", "--dry-run=server", "-o", "name"]).await.out().contains("web-tls") };
    world.until("frank has his rights", dry).await;
    let some = frank.run(&["adopt", "-o", "name"]).await;
    let words = some.failed(1);
    assert!(words.contains("Secret api-tls, which user frank is not allowed to get"), "{words}");
    assert!(words.contains("1 of 2 Certificates could not be written"), "{words}");
    assert_eq!(some.out(), "certificate.certcourier.io/web-tls\n");
    assert_eq!(certificates(&world).await, ["web-tls: default=web-tls"]);
    let everywhere = frank.run(&["adopt", "-A"]).await;
    assert!(everywhere.failed(1).contains("all namespaces"), "{}", everywhere.stderr);
}

/// As much of cert-manager as has to be there.
const CERT_MANAGER: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: certificates.cert-manager.io}
spec:
  group: cert-manager.io
  scope: Namespaced
  names: {kind: Certificate, plural: certificates, singular: certificate, listKind: CertificateList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

#[tokio::test(flavor = "multi_thread")]
async fn what_cert_manager_has_issued_is_adopted_everywhere_and_what_it_has_not_is_named() {
    let world = world("adopt-cm", &["api-secret", "web-secret"]).await;
    let kubectl = world.stage.plane.admin_kubectl();
    kubectl.check(["delete", "crd", "certificates.cert-manager.io", "--ignore-not-found"]).await.unwrap();
    let admin = Shell::with(&world, world.stage.plane.admin_kubeconfig());
    let from = ["adopt", "--from", "certificates.cert-manager.io"];
    let missing = || async { admin.run(&from).await.stderr.contains("cert-manager is not installed in this cluster") };
    world.until("cert-manager is not there", missing).await;
    kubectl.apply(CERT_MANAGER).await.unwrap();
    let established = ["wait", "--for=condition=Established", "crd/certificates.cert-manager.io", "--timeout=20s"];
    kubectl.check(established).await.unwrap();
    let objects: Vec<String> = [("api", "api-secret", "True"), ("web", "web-secret", "False")]
        .into_iter()
        .map(|(name, secret, ready)| {
            format!(
                "---\n{{apiVersion: cert-manager.io/v1, kind: Certificate, metadata: {{name: {name}, namespace: {}}}, \
                 spec: {{secretName: {secret}}}, \
                 status: {{conditions: [{{type: Ready, status: '{ready}', message: Issuing certificate}}]}}}}\n",
                world.namespace
            )
        })
        .collect();
    let apply = || async { kubectl.run_with(["apply", "-f", "-"], &objects.concat()).await.unwrap().succeeded() };
    world.until("its objects can be written", apply).await;
    let everywhere = [&from[..], &["-A", "-o", "name"]].concat();
    let adopted = admin.run(&everywhere).await;
    assert_eq!(adopted.ok(), "certificate.certcourier.io/api\n");
    let skipped = "skipped certificate.cert-manager.io web of namespace ";
    assert!(adopted.stderr.contains(skipped), "{}", adopted.stderr);
    assert!(adopted.stderr.contains("it is not Ready (Issuing certificate)"), "{}", adopted.stderr);
    assert_eq!(certificates(&world).await, ["api: default=api-secret"]);
    assert_eq!(admin.run(&everywhere).await.ok(), "");
    kubectl.check(["delete", "crd", "certificates.cert-manager.io"]).await.unwrap();
}
