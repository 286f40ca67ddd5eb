//! Which Secrets a Certificate may name: those that its writer may get.

use certcourier::admission::name::CERTIFICATES;
use serde_json::{Value, json};

use crate::{
    case::{
        Expect::{Allowed, Forbidden, Invalid, Refused},
        Place, case, run,
    },
    world::{CONTROL, SERVE, Session, Who, kubernetes, person},
};

/// A Certificate with these (environment, Secret).
pub fn certificate(name: &str, environments: &[(&str, &str)]) -> Value {
    let environments: Vec<Value> =
        environments.iter().map(|(name, secret)| json!({"name": name, "secretRef": {"name": secret}})).collect();
    json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate", "metadata": {"name": name},
        "spec": {"environments": environments},
    })
}

/// Sixteen environments of dave's Secret, the last one of another.
fn sixteen(name: &str, last: &str) -> Value {
    let names: Vec<String> = (1..=16).map(|number| format!("e{number}")).collect();
    let environments: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), if name == "e16" { last } else { "dave-tls" })).collect();
    certificate(name, &environments)
}

#[tokio::test]
async fn whoever_names_a_secret_must_be_allowed_to_get_it() {
    let session = Session::open().await;
    let ns = session.namespace("certificates").await;
    let place = Place::of(&ns, "certificates");
    let refused = |words| Refused(CERTIFICATES, words);
    let own = certificate("c1", &[("p", "dave-tls")]);
    let two = certificate("c1", &[("p", "dave-tls"), ("q", "dave-tls")]);
    let environments = |list: Value| json!({"spec": {"environments": list}});
    let probe = {
        let mut object = certificate("c9", &[("p", "dave-tls")]);
        object["metadata"]["labels"] = json!({"certcourier.io/guard-probe": "x"});
        object
    };
    let status = json!({"status": {"observedGeneration": 1}});
    let cases = vec![
        case("one's own Secret", person("dave"), place.create(own.clone()), Allowed),
        case("another Secret", person("dave"), place.create(certificate("c2", &[("p", "root-ca")])), refused("environment p refers to Secret root-ca, which user dave is not allowed to get")),
        case("another Secret beside one's own", person("dave"), place.create(certificate("c2", &[("p", "dave-tls"), ("q", "root-ca")])), refused("environment q refers to Secret root-ca")),
        case("one that may be read nowhere in this namespace", person("frank"), place.create(own.clone()), refused("user frank is not allowed to get")),
        case("an update to another Secret", person("dave"), place.merge("c1", environments(json!([{"name": "p", "secretRef": {"name": "other"}}]))), refused("Secret other")),
        case("an update of the keys, without the right", person("frank"), place.merge("c1", environments(json!([{"name": "p", "secretRef": {"name": "dave-tls", "keys": {"certificate": "x"}}}]))), refused("Secret dave-tls")),
        case("another name for the environment, without the right", person("frank"), place.merge("c1", environments(json!([{"name": "harmless", "secretRef": {"name": "dave-tls"}}]))), refused("environment harmless refers to Secret dave-tls")),
        case("one environment more of one's own", person("dave"), place.update("c1", two), Allowed),
        case("a label, without the right", person("frank"), place.label("c1", "team", "shop"), Allowed),
        case("another default, without the right", person("frank"), place.merge("c1", json!({"spec": {"defaultEnvironment": "q"}})), Allowed),
        case("an environment less, without the right", person("frank"), place.merge("c1", environments(json!([{"name": "q", "secretRef": {"name": "dave-tls"}}]))), Allowed),
        case("an environment that comes back, without the right", person("frank"), place.update("c1", json!({"spec": {"environments": [{"name": "p", "secretRef": {"name": "dave-tls"}}], "defaultEnvironment": "p"}})), refused("environment p")),
        case("sixteen of one's own", person("dave"), place.create(sixteen("c3", "dave-tls")), Allowed),
        case("fifteen of one's own and one other", person("dave"), place.create(sixteen("c4", "root-ca")), refused("environment e16 refers to Secret root-ca")),
        case("sixteen by someone who may get none", person("frank"), place.create(sixteen("c4", "dave-tls")), refused("environment e1 refers to")),
        case("sixteen stay sixteen for someone who may get none", person("frank"), place.label("c3", "team", "shop"), Allowed),
        case("somebody without a role", person("mallory"), place.create(own.clone()), Forbidden("cannot create resource")),
        case("an operator of requests writes no Certificate", person("alice"), place.create(own), Forbidden("cannot create resource")),
        case("the guard's probe", person("dave"), place.create(probe), refused("guard probe")),
        case("the probe label, added later", person("frank"), place.label("c1", "certcourier.io/guard-probe", "x"), refused("guard probe")),
        case("the controller writes the status", CONTROL, place.update("c1/status", status.clone()), Allowed),
        case("the server writes the status", SERVE, place.update("c1/status", status.clone()), Forbidden("cannot update resource")),
        case("the administrator writes the status", Who::Admin, place.update("c1/status", status), refused("only the \
          certcourier controller writes the status of a Certificate")),
        case("the controller changes the spec", CONTROL, place.update("c1", environments(json!([]))), Forbidden("cannot update resource")),
        case("the garbage collector takes a finalizer away", kubernetes("generic-garbage-collector"), place.merge("c1", json!({"metadata": {"finalizers": null}})), Allowed),
        case("a default that is no environment", person("frank"), place.merge("c1", json!({"spec": {"defaultEnvironment": "x"}})), Invalid("defaultEnvironment must be the name of one of spec.environments")),
        case("its writer deletes it", person("dave"), place.delete("c1"), Allowed),
    ];
    run(&session, cases).await;
}
