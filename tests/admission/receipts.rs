//! The record: written by the server, ended by the controller, changed by nobody.

use certcourier::admission::name::RECEIPTS;
use serde_json::{Value, json};

use crate::{
    case::{
        Call,
        Expect::{Allowed, Conflict, Forbidden, Invalid, Refused},
        Place, case, run,
    },
    world::{CONTROL, SERVE, Session, Who, kubernetes, person},
};

/// A receipt that the schema accepts.
pub fn receipt(name: &str, attempt: &str) -> Value {
    json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt", "metadata": {"name": name},
        "spec": {
            "requestRef": {"name": "api", "uid": "u"}, "certificateRef": {"name": "api"}, "format": "cert",
            "attemptId": attempt, "artifact": {"sha256": "00", "bytes": 1}, "fingerprints": [],
            "consumedAt": "2026-11-22T12:00:00Z", "retainUntil": "2026-12-22T12:00:00Z",
        },
    })
}

fn outcome(word: &str) -> Value {
    json!({"status": {"outcome": word, "bytesSent": 1, "finishedAt": "2026-11-22T12:00:01Z"}})
}

#[tokio::test]
async fn a_receipt_is_written_once_by_the_server_and_ended_by_the_controller() {
    let session = Session::open().await;
    let ns = session.namespace("receipts").await;
    let place = Place::of(&ns, "downloadreceipts");
    let refused = |words| Refused(RECEIPTS, words);
    let probe = {
        let mut object = receipt("x9", "a");
        object["metadata"]["labels"] = json!({"certcourier.io/guard-probe": "x"});
        object
    };
    let storage_migration = |name: &str| place.update(name, json!({}));
    let owner = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "0b4d1c5e-0000-4000-8000-000000000000"},
    ]}});
    let cases = vec![
        case("the server writes one", SERVE, place.create(receipt("x1", "a")), Allowed),
        case("a second one of the same name", SERVE, place.create(receipt("x1", "b")), Conflict),
        case(
            "the administrator writes one",
            Who::Admin,
            place.create(receipt("x2", "a")),
            refused("only the certcourier server creates receipts"),
        ),
        case(
            "the controller writes one",
            CONTROL,
            place.create(receipt("x2", "a")),
            Forbidden("cannot create resource"),
        ),
        case(
            "an auditor writes one",
            person("erin"),
            place.create(receipt("x2", "a")),
            Forbidden("cannot create resource"),
        ),
        case("the guard's probe", SERVE, place.create(probe), refused("guard probe")),
        case(
            "the administrator changes what happened",
            Who::Admin,
            place.merge("x1", json!({"spec": {"attemptId": "z"}})),
            Invalid("a receipt is immutable"),
        ),
        case(
            "the administrator labels it",
            Who::Admin,
            place.label("x1", "a", "b"),
            refused("a receipt is never changed"),
        ),
        case(
            "the administrator annotates it",
            Who::Admin,
            place.annotate("x1", "a", "b"),
            refused("a receipt is never changed"),
        ),
        case(
            "the administrator adds a finalizer",
            Who::Admin,
            place.merge("x1", json!({"metadata": {"finalizers": ["a.io/x"]}})),
            refused("a receipt is never changed"),
        ),
        case(
            "the administrator makes something own it",
            Who::Admin,
            place.merge("x1", owner),
            refused("a receipt is never changed"),
        ),
        case("storage migration writes it back as it is", Who::Admin, storage_migration("x1"), Allowed),
        case(
            "the administrator writes the outcome",
            Who::Admin,
            place.update("x1/status", outcome("Delivered")),
            refused("only certcourier writes the outcome of a delivery"),
        ),
        case(
            "an auditor writes the outcome",
            person("erin"),
            place.update("x1/status", outcome("Delivered")),
            Forbidden("cannot update resource"),
        ),
        case("the server writes the outcome", SERVE, place.update("x1/status", outcome("Delivered")), Allowed),
        case(
            "the server writes another outcome",
            SERVE,
            place.update("x1/status", outcome("Aborted")),
            Invalid("the outcome of a delivery is written once"),
        ),
        case(
            "the controller writes another outcome",
            CONTROL,
            place.update("x1/status", outcome("Unknown")),
            Invalid("the outcome of a delivery is written once"),
        ),
        case(
            "the outcome is forgotten",
            CONTROL,
            place.update("x1/status", json!({"status": null})),
            Invalid("the outcome of a delivery is written once"),
        ),
        case(
            "the administrator deletes it",
            Who::Admin,
            place.delete("x1"),
            refused("only the certcourier controller deletes"),
        ),
        case(
            "the administrator deletes all of them",
            Who::Admin,
            place.delete_all(),
            refused("only the certcourier controller deletes"),
        ),
        case("the server deletes it", SERVE, place.delete("x1"), Forbidden("cannot delete resource")),
        case("an auditor deletes it", person("erin"), place.delete("x1"), Forbidden("cannot delete resource")),
        case("an auditor reads it", person("erin"), place.get("x1"), Allowed),
        case("a viewer's role does not show it", person("carol"), place.get("x1"), Forbidden("cannot get resource")),
        case("another", SERVE, place.create(receipt("x3", "a")), Allowed),
        case("the controller gives up on its outcome", CONTROL, place.update("x3/status", outcome("Unknown")), Allowed),
        case("the controller deletes it in time", CONTROL, place.delete("x3"), Allowed),
        case(
            "the namespace controller may, too",
            kubernetes("namespace-controller"),
            place.delete("x1").dry(),
            Allowed,
        ),
        case(
            "so may the garbage collector",
            kubernetes("generic-garbage-collector"),
            place.delete("x1").dry(),
            Allowed,
        ),
        case(
            "another of Kubernetes' controllers may not",
            kubernetes("job-controller"),
            place.delete("x1").dry(),
            Forbidden("cannot delete resource"),
        ),
    ];
    run(&session, cases).await;
    let list: Call = place.list();
    let answer = session.send(&person("erin"), &list).await;
    assert_eq!(answer.body["items"].as_array().unwrap().len(), 1, "nothing that was refused has left a receipt");
}
