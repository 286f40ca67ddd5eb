//! Things that go wrong around the controller: an API server that does not answer, an object it cannot read.

use certcourier::api::{DownloadRequest, Phase};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::json;
use test_cluster::{Program, Signal};

use crate::world::World;

#[tokio::test]
async fn a_leader_without_answers_stops_leading_and_takes_up_its_work_again() {
    let world = World::alone("disturbances").await;
    world.furnish().await;
    world.people().await;
    let controller = world.controller(&[]).await;
    world.request("before", "fullchain", json!({})).await;
    world.wait_for_phase("before", Phase::TokenIssued).await;

    world.plane.signal(Program::Apiserver, Signal::Stop).unwrap();
    controller.says("no longer leads").await;
    world.plane.signal(Program::Apiserver, Signal::Continue).unwrap();
    world.request("between", "fullchain", json!({})).await;
    world.wait_for_phase("between", Phase::TokenIssued).await;

    world.plane.kill_apiserver().await.unwrap();
    world.plane.start_apiserver().await.unwrap();
    world.request("after", "fullchain", json!({})).await;
    world.wait_for_phase("after", Phase::TokenIssued).await;
    assert_eq!(controller.terminate().await, 0);
}

#[tokio::test]
async fn an_object_of_a_later_version_stops_nobody_elses() {
    let world = World::alone("disturbances").await;
    world.furnish().await;
    world.people().await;
    // As if a later release had added a format.
    let format = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/format/enum/-";
    let patch = json!([{"op": "add", "path": format, "value": "hologram"}]);
    let patch: Patch<CustomResourceDefinition> = Patch::Json(serde_json::from_value(patch).unwrap());
    let crds: Api<CustomResourceDefinition> = Api::all(world.admin.clone());
    crds.patch("downloadrequests.certcourier.io", &PatchParams::default(), &patch).await.unwrap();

    let kind = GroupVersionKind::gvk("certcourier.io", "v1alpha1", "DownloadRequest");
    let api: Api<DynamicObject> =
        Api::namespaced_with(world.admin.clone(), &world.namespace, &ApiResource::from_gvk(&kind));
    let later = json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": "later"},
        "spec": {"certificateRef": {"name": "api"}, "format": "hologram", "requestedBy": {"username": "carol"}},
    });
    let later: DynamicObject = serde_json::from_value(later).unwrap();
    world.until("accepted", async || api.create(&PostParams::default(), &later).await.is_ok()).await;

    let controller = world.controller(&[]).await;
    world.request("full", "fullchain", json!({})).await;
    world.wait_for_phase("full", Phase::TokenIssued).await;
    controller.says("cannot be read by this version").await;
    assert!(api.get("later").await.unwrap().data.get("status").is_none());
    world.api::<DownloadRequest>().get("later").await.unwrap_err();
}
