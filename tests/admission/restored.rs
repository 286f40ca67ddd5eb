//! Objects that carry their status along, as backups and `kubectl replace` send them: the API server drops it, and no
//! policy minds.

use serde_json::{Value, json};

use crate::{
    case::{Call, Place},
    certificates::certificate,
    receipts::receipt,
    requests::by,
    world::{CONTROL, SERVE, Session, Who, person},
};

/// Sends it, which must go through, and returns the status that is stored then.
async fn stored(session: &Session, who: &Who, call: &Call) -> Value {
    let answer = session.send(who, call).await;
    assert!(answer.is_success(), "{} {}: {}", call.method, call.path, answer.message());
    answer.body["status"].clone()
}

#[tokio::test]
async fn a_status_that_comes_along_is_dropped_and_hinders_nothing() {
    let session = Session::open().await;
    let ns = session.namespace("restored").await;
    let alice = session.identity(&person("alice")).await;
    let mut request = by(&alice, &ns, "r", "cert");
    request.body["status"] = json!({"phase": "TokenIssued"});
    let mut of_certificate = certificate("c", &[("p", "dave-tls")]);
    of_certificate["status"] = json!({"observedGeneration": 7});
    let mut of_receipt = receipt("x", "a");
    of_receipt["status"] = json!({"outcome": "Delivered"});
    let place = |plural: &str| Place::of(&ns, plural);
    for (who, create, plural, name, status) in [
        (person("alice"), request, "downloadrequests", "r", json!({"status": {"phase": "Approved"}})),
        (
            person("dave"),
            place("certificates").create(of_certificate),
            "certificates",
            "c",
            json!({"status": {"observedGeneration": 8}}),
        ),
        (
            SERVE,
            place("downloadreceipts").create(of_receipt),
            "downloadreceipts",
            "x",
            json!({"status": {"outcome": "Aborted"}}),
        ),
    ] {
        assert_eq!(stored(&session, &who, &create).await, Value::Null, "{plural}");
        // What the operator writes afterwards stays, whatever an update brings along.
        let place = place(plural);
        let written = stored(&session, &CONTROL, &place.update(&format!("{name}/status"), status)).await;
        let replaced = place.update(name, json!({"status": {"conditions": []}}));
        assert_eq!(stored(&session, &Who::Admin, &replaced).await, written, "{plural}");
        assert_eq!(
            stored(&session, &Who::Admin, &place.update(name, json!({"status": null}))).await,
            written,
            "{plural}"
        );
    }
}
