//! What the controller asks of the API server, by its audit log; and what happens when it may not.

use certcourier::api::{DownloadRequest, DownloadRequestStatus, Phase, names};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, PostParams},
};
use serde_json::json;
use test_support::request::{condition, message, phase, reader};

use crate::world::World;

const SECRET: &str = "full-download-token";

#[tokio::test]
async fn nothing_is_asked_that_rbac_forbids_and_secrets_are_never_listed() {
    let world = World::new("rights").await;
    world.furnish().await;
    world.people().await;
    let controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    let reader = reader(&world.wait_for_phase("full", Phase::TokenIssued).await);
    world.merge::<DownloadRequest>("full", json!({"metadata": {"annotations": {names::REVOKE: "done"}}})).await;
    world.wait_for_phase("full", Phase::Revoked).await;
    world.wait_gone::<k8s_openapi::api::rbac::v1::RoleBinding>(&reader).await;
    assert_eq!(controller.terminate().await, 0);

    let asked = world.asked();
    assert!(asked.iter().any(|event| event.resource() == "secrets" && event.verb() == "get"));
    for event in &asked {
        assert_ne!(event.decision(), "forbid", "{}", event.json());
        let listed = event.resource() == "secrets" && matches!(event.verb(), "list" | "watch");
        assert!(!listed, "{}", event.json());
    }
    // What one mint and its end write: nothing twice, nothing for nothing.
    let mut writes: Vec<String> = asked
        .iter()
        .filter(|event| matches!(event.verb(), "create" | "update" | "patch" | "delete"))
        .filter(|event| ["full", SECRET, reader.as_str()].contains(&event.name()))
        .map(|event| format!("{} {}", event.verb(), event.resource()))
        .collect();
    writes.sort();
    assert_eq!(
        writes,
        [
            "create rolebindings",
            "create roles",
            "create secrets",
            "delete rolebindings",
            "delete roles",
            "delete secrets",
            "update downloadrequests/status",
            "update downloadrequests/status",
        ]
    );
}

#[tokio::test]
async fn what_the_operator_may_not_do_is_said_in_the_request_and_withdrawal_works_all_the_same() {
    let world = World::new("rights").await;
    world.furnish().await;
    world.people().await;
    let bindings: Api<ClusterRoleBinding> = Api::all(world.admin.clone());
    let name = format!("certcourier-system-{}", world.namespace);
    let binding = bindings.get(&name).await.unwrap();
    bindings.delete(&name, &DeleteParams::default()).await.unwrap();
    let _controller = world.controller(&[]).await;
    for request in ["full", "other"] {
        world.request(request, "fullchain", json!({})).await;
        let forbidden = |status: &DownloadRequestStatus| condition(status, "Stalled") == "True/APIForbidden";
        let stalled = world.wait(request, "stalled", forbidden).await;
        assert_eq!(phase(&stalled), Phase::Pending);
        let message = message(&stalled, "Stalled");
        assert!(message.contains("subjectaccessreviews") && message.contains("bind its ClusterRoles"), "{message}");
    }
    world.merge::<DownloadRequest>("other", json!({"metadata": {"annotations": {names::REVOKE: "enough"}}})).await;
    world.wait_for_phase("other", Phase::Revoked).await;

    let again = ClusterRoleBinding { metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() }, ..binding };
    bindings.create(&PostParams::default(), &again).await.unwrap();
    let issued = world.wait_for_phase("full", Phase::TokenIssued).await;
    assert_eq!(condition(&issued, "Stalled"), "False/NotStalled");
}
