//! What a running control plane does for its callers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, time::Duration};

use k8s_openapi::{
    api::{
        authentication::v1::SelfSubjectReview,
        core::v1::{ConfigMap, Namespace, Secret},
        rbac::v1::ClusterRole,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams, PropagationPolicy},
    core::GroupVersionKind,
};
use test_cluster::{ControlPlane, Error, Options, Program, Token, people, waiting::until};
use tokio::sync::OnceCell;

/// One for all tests of this file. Started here even where another could be attached to: its audit log is needed.
static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();

async fn plane() -> &'static ControlPlane {
    // The garbage collector knows its kind from the start.
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let options = Options::default().audit_log(true).apply(crds);
    PLANE.get_or_try_init(|| ControlPlane::start(options)).await.unwrap()
}

async fn whoami(client: Client) -> k8s_openapi::api::authentication::v1::UserInfo {
    let review = Api::all(client).create(&PostParams::default(), &SelfSubjectReview::default()).await.unwrap();
    review.status.unwrap().user_info.unwrap()
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn code<T: std::fmt::Debug>(outcome: Result<T, kube::Error>) -> u16 {
    match outcome {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not an answer of the API server: {other:?}"),
    }
}

#[tokio::test]
async fn it_serves_the_version_that_was_asked_for() {
    let plane = plane().await;
    let asked = test_cluster::Version::from_environment().unwrap();
    assert_eq!(plane.version(), format!("v{asked}"));
    let namespaces = Api::<Namespace>::all(plane.admin()).list(&ListParams::default()).await.unwrap();
    assert!(namespaces.items.iter().any(|namespace| namespace.metadata.name.as_deref() == Some("kube-system")));
    let kubectl = plane.admin_kubectl().check(["version", "-o", "json"]).await.unwrap().stdout;
    let versions: serde_json::Value = serde_json::from_str(&kubectl).unwrap();
    assert_eq!(versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]);
}

#[tokio::test]
async fn people_are_who_the_list_says() {
    let plane = plane().await;
    for name in ["alice", "bob", "BOB", "mallory", people::WITHOUT_UID, people::WITH_MANY_GROUPS] {
        let expected = people::all().into_iter().find(|person| person.name == name).unwrap();
        let person = plane.person(name, &[]).await.unwrap();
        let seen = whoami(person.client.clone()).await;
        assert_eq!(seen.username.as_deref(), Some(name));
        assert_eq!(seen.uid, expected.uid, "{name}");
        let mut groups = expected.groups.clone();
        groups.push("system:authenticated".to_owned());
        assert_eq!(seen.groups, Some(groups), "{name}");
        let said = person.run(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).await.unwrap();
        assert_eq!(said.stdout, name, "{}", said.stderr);
    }
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_names_there_are() {
    let error = plane().await.person("nobody", &[]).await.unwrap_err();
    assert!(matches!(error, Error::UnknownPerson { .. }), "{error}");
    assert!(error.to_string().contains("alice, bob, BOB, carol"), "{error}");
    let error = plane().await.person("carol", &["downloaders", "admins"]).await.unwrap_err();
    assert!(matches!(&error, Error::NotInGroup { group, .. } if group == "admins"), "{error}");
}

#[tokio::test]
async fn a_person_may_do_what_rbac_grants_and_nothing_else() {
    let plane = plane().await;
    let namespace = plane.namespace("rbac").await.unwrap();
    let carol = plane.person("carol", &["downloaders"]).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(carol.client.clone(), &namespace);
    assert_eq!(code(secrets.list(&ListParams::default()).await), 403);
    let role = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: secrets}
rules: [{apiGroups: [""], resources: [secrets], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: secrets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: secrets}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: carol}]
"#;
    let outcome = plane.admin_kubectl().run_with(["apply", "-n", &namespace, "-f", "-"], role).await.unwrap();
    assert!(outcome.succeeded(), "{}", outcome.stderr);
    until("carol may list", async || secrets.list(&ListParams::default()).await.is_ok()).await;
    assert_eq!(code(secrets.get("any").await), 403);
}

#[tokio::test]
async fn a_service_account_is_itself_for_its_audiences_only() {
    let plane = plane().await;
    let namespace = plane.namespace("accounts").await.unwrap();
    let account = plane.service_account(&namespace, "controller", &[]).await.unwrap();
    let seen = whoami(account.client.clone()).await;
    assert_eq!(seen.username, Some(format!("system:serviceaccount:{namespace}:controller")));
    assert_eq!(account.name, seen.username.unwrap());
    assert!(seen.groups.unwrap().contains(&"system:serviceaccounts".to_owned()));

    let other = plane.service_account(&namespace, "controller", &["somewhere-else"]).await.unwrap();
    assert_ne!(other.kubeconfig, account.kubeconfig);
    let refused = Api::all(other.client).create(&PostParams::default(), &SelfSubjectReview::default()).await;
    assert_eq!(code(refused), 401);
}

#[tokio::test]
async fn a_token_that_nobody_gave_is_refused() {
    let stranger = plane().await.with_token("carol", Token::new("forged".to_owned())).await.unwrap();
    let answer = stranger.kubectl_within(Duration::from_secs(10)).run(["get", "namespaces"]).await.unwrap();
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.contains("Unauthorized") || answer.stderr.contains("must be logged in"), "{}", answer.stderr);
}

#[tokio::test]
async fn a_client_certificate_is_a_user_too() {
    let plane = plane().await;
    let kubeconfig = plane.certificate_kubeconfig("kubeadm-user", Some("operators")).unwrap();
    let said = plane
        .admin_kubectl()
        .kubeconfig(&kubeconfig)
        .check(["auth", "whoami", "-o", "jsonpath={.status.userInfo.username} {.status.userInfo.groups}"])
        .await
        .unwrap();
    assert_eq!(said.stdout, r#"kubeadm-user ["operators","system:authenticated"]"#);
}

#[tokio::test]
async fn the_garbage_collector_removes_what_an_owner_leaves() {
    let plane = plane().await;
    let namespace = plane.namespace("garbage").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &namespace);
    let gizmos = ApiResource::from_gvk(&GroupVersionKind::gvk("test.certcourier.io", "v1", "Gizmo"));
    let gizmos: Api<DynamicObject> = Api::namespaced_with(plane.admin(), &namespace, &gizmos);
    let gizmo: DynamicObject = serde_json::from_value(serde_json::json!({
        "apiVersion": "test.certcourier.io/v1", "kind": "Gizmo", "metadata": {"name": "owner"}
    }))
    .unwrap();

    for propagation in [PropagationPolicy::Background, PropagationPolicy::Foreground] {
        let owner = gizmos.create(&PostParams::default(), &gizmo).await.unwrap();
        let reference = OwnerReference {
            api_version: "test.certcourier.io/v1".to_owned(),
            kind: "Gizmo".to_owned(),
            name: "owner".to_owned(),
            uid: owner.metadata.uid.unwrap(),
            controller: None,
            block_owner_deletion: Some(true),
        };
        let metadata = ObjectMeta { owner_references: Some(vec![reference]), ..named("dependent") };
        maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
        let how = DeleteParams { propagation_policy: Some(propagation), ..DeleteParams::default() };
        gizmos.delete("owner", &how).await.unwrap();
        until("both are gone", async || {
            maps.get_opt("dependent").await.unwrap().is_none() && gizmos.get_opt("owner").await.unwrap().is_none()
        })
        .await;
    }
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_all_that_is_in_it() {
    let plane = plane().await;
    let name = plane.namespace("doomed").await.unwrap();
    let metadata = named("inside");
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin(), &name);
    maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(plane.admin());
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    until("the namespace is gone", async || namespaces.get_opt(&name).await.unwrap().is_none()).await;
    assert!(maps.get_opt("inside").await.unwrap().is_none());
}

#[tokio::test]
async fn cluster_roles_are_aggregated() {
    let plane = plane().await;
    let api: Api<ClusterRole> = Api::all(plane.admin());
    let label = ("rbac.authorization.k8s.io/aggregate-to-view".to_owned(), "true".to_owned());
    let metadata = ObjectMeta { labels: Some(BTreeMap::from([label])), ..named("test-gizmo-viewer") };
    let rules = serde_json::json!([{"apiGroups": ["test.certcourier.io"], "resources": ["gizmos"], "verbs": ["get"]}]);
    let rules = serde_json::from_value(rules).unwrap();
    let role = ClusterRole { metadata, rules: Some(rules), aggregation_rule: None };
    api.create(&PostParams::default(), &role).await.unwrap();
    until("view contains the rule", async || {
        let rules = api.get("view").await.unwrap().rules.unwrap_or_default();
        rules.iter().any(|rule| rule.resources.iter().flatten().any(|resource| resource == "gizmos"))
    })
    .await;
}

#[tokio::test]
async fn the_audit_log_names_the_user_and_the_decision() {
    let plane = plane().await;
    let erin = plane.person("erin", &[]).await.unwrap();
    let refused = Api::<Secret>::namespaced(erin.client, "kube-public").get("audited").await;
    assert_eq!(code(refused), 403);
    until("the log has the call", async || {
        plane.audit_events().unwrap().any(|event| {
            (event.user(), event.verb(), event.resource().as_str(), event.namespace(), event.name())
                == ("erin", "get", "secrets", "kube-public", "audited")
                && (event.code(), event.decision()) == (Some(403), "forbid")
        })
    })
    .await;
}

#[tokio::test]
async fn another_process_attaches_and_leaves_it_running() {
    let plane = plane().await;
    let attached = ControlPlane::attach_to(&plane.description()).await.unwrap();
    assert_eq!((attached.url(), attached.version()), (plane.url(), plane.version()));
    let alice = attached.person("alice", &[]).await.unwrap();
    assert_eq!(whoami(alice.client).await.username.as_deref(), Some("alice"));
    let error = attached.restart_apiserver().await.unwrap_err();
    assert!(matches!(error, Error::NotOurs { .. }), "{error}");
    assert_eq!(attached.process_ids(), []);
    drop(attached);
    assert_eq!(whoami(plane.admin()).await.username.as_deref(), Some("admin"));
}

#[tokio::test]
async fn attaching_to_nothing_says_how_to_get_on() {
    let directory = tempfile::tempdir().unwrap();
    let error = ControlPlane::attach_to(&directory.path().join("control-plane.json")).await.unwrap_err();
    assert!(error.to_string().contains("unset CERTCOURIER_TEST_CLUSTER"), "{error}");
}

#[tokio::test]
async fn tokens_and_keys_are_readable_by_their_owner_only_and_never_shown() {
    let plane = plane().await;
    let frank = plane.person("frank", &[]).await.unwrap();
    assert_eq!(plane.directory().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for path in [plane.description(), plane.admin_kubeconfig(), frank.kubeconfig.clone()] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    let shown = format!("{plane:?} {frank:?}");
    assert!(!shown.contains(frank.token.as_str()), "{shown}");
    let log = std::fs::read_to_string(plane.log(Program::Apiserver)).unwrap();
    assert!(!log.contains(frank.token.as_str()), "the API server's log holds a token");
}
