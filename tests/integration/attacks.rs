//! Attacks that got through once, each run again. Each asserts the reason, and what did not leave.

mod doctor;
mod grants;
mod kinds;
mod mutators;
mod network;
mod requests;
mod votes;

use certcourier::{api::DownloadRequest, cluster::guard::own_user};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};
use test_support::world::World;

/// A request by this person that says itself who asks, as clients of Kubernetes before 1.36 must.
async fn request(world: &World<'_>, person: &str, name: &str, mut spec: Value) -> DownloadRequest {
    let client = world.person(person).await.client;
    let own = own_user(&client).await.unwrap();
    spec["certificateRef"] = json!({"name": "api"});
    spec["requestedBy"] = json!({"username": own.username, "uid": own.uid, "groups": own.groups});
    let request = serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name}, "spec": spec,
    }));
    let api: Api<DownloadRequest> = Api::namespaced(client, &world.namespace);
    api.create(&PostParams::default(), &request.unwrap()).await.unwrap()
}
