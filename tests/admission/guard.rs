//! The guard: its probes are refused by the policy that each is for, and nobody else writes its state.

use axum::http::Method;
use certcourier::{
    admission::{
        name::{self, GUARD_STATE},
        probe::{self, Probe, probes},
    },
    api::DownloadRequest,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Serialize;
use serde_json::json;

use crate::{
    case::{
        Call,
        Expect::{Allowed, Forbidden, Gives, Refused},
        Place, case, run,
    },
    world::{CONTROL, HOME, SERVE, Session, Who, kubernetes, person},
};

/// A dry run, and the policy that must refuse it.
pub struct ProbeCall {
    pub policy: &'static str,
    pub call: Call,
}

/// The probes that are creations.
pub fn probe_calls(probes: &[Probe]) -> Vec<ProbeCall> {
    fn create(place: &Place, object: &impl Serialize) -> Call {
        place.create(serde_json::to_value(object).unwrap()).dry()
    }
    probes
        .iter()
        .filter_map(|probe| {
            let call = match probe {
                Probe::Votes => return None,
                Probe::Request(object) => create(&Place::of(HOME, "downloadrequests"), object),
                Probe::Receipt(object) => create(&Place::of(HOME, "downloadreceipts"), object),
                Probe::Certificate(object) => create(&Place::of(HOME, "certificates"), object),
                Probe::Token(object) | Probe::OperatorSecret(object) => create(&Place::core(HOME, "secrets"), object),
                Probe::GuardState(object) => create(&Place::core(HOME, "configmaps"), object),
                Probe::TokenReader(object) => create(&Place::rbac(HOME, "roles"), object),
            };
            Some(ProbeCall { policy: probe.policy(), call })
        })
        .collect()
}

#[tokio::test]
async fn every_policy_refuses_its_probe_in_its_own_name() {
    let session = Session::open().await;
    let probes = probes(&session.world.identity);
    assert_eq!(probes.iter().map(Probe::policy).collect::<Vec<_>>(), name::ALL);
    let mut cases: Vec<_> = probe_calls(&probes)
        .into_iter()
        .map(|probe| {
            let words = match probe.policy {
                name::TOKEN_READERS => "the operator may only grant the reading",
                name::OPERATOR_SECRETS => "Secrets of type Opaque and kubernetes.io/tls",
                _ => "guard probe",
            };
            case(format!("the probe of {}", probe.policy), CONTROL, probe.call, Refused(probe.policy, words))
        })
        .collect();
    assert_eq!(cases.len(), name::ALL.len() - 1);

    // The status policy is probed on a request that exists.
    let requester = session.identity(&CONTROL).await;
    let place = Place::of(HOME, "downloadrequests");
    let request = serde_json::to_value(probe::request(HOME, Some(requester))).unwrap();
    cases.push(case(
        "the request that is probed on",
        CONTROL,
        place.create(request),
        Gives("/metadata/name", json!("certcourier-guard")),
    ));
    run(&session, cases).await;
    let live = session.send(&CONTROL, &place.get("certcourier-guard")).await;
    let live: DownloadRequest = serde_json::from_value(live.body).unwrap();
    let update = serde_json::to_value(probe::under_probe(live, Time(jiff::Timestamp::now()))).unwrap();
    let path = format!("{}/status", place.get("certcourier-guard").path);
    let call = Call::new(Method::PUT, &path, update).dry();
    run(&session, vec![case("the probe of votes", CONTROL, call, Refused(name::VOTES, "guard probe"))]).await;
}

#[tokio::test]
async fn the_guards_state_is_the_controllers() {
    let session = Session::open().await;
    let ns = session.namespace("guard").await;
    let home = Place::core(HOME, "configmaps");
    let elsewhere = Place::core(&ns, "configmaps");
    let state = |name: &str, value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"state": value}});
    let refused = || Refused(GUARD_STATE, "only the certcourier controller writes the guard's state");
    let guard = "certcourier-guard";
    let cases = vec![
        case("the administrator makes it up", Who::Admin, home.create(state(guard, "Intact")), refused()),
        case("the server makes it up", SERVE, home.create(state(guard, "Intact")), Forbidden("cannot create resource")),
        case("the controller writes it", CONTROL, home.create(state(guard, "Broken")), Allowed),
        case(
            "the controller writes it again",
            CONTROL,
            home.update(guard, json!({"data": {"state": "Intact"}})),
            Allowed,
        ),
        case("the server reads it", SERVE, home.get(guard), Gives("/data/state", json!("Intact"))),
        case(
            "the server writes it",
            SERVE,
            home.update(guard, json!({"data": {"state": "Intact"}})),
            Forbidden("cannot update resource"),
        ),
        case(
            "the administrator writes it",
            Who::Admin,
            home.merge(guard, json!({"data": {"since": "2020"}})),
            refused(),
        ),
        case("the administrator labels it", Who::Admin, home.label(guard, "a", "b"), refused()),
        case("the administrator deletes it", Who::Admin, home.delete(guard), refused()),
        // This deletion carries no name.
        case("the administrator deletes all there are", Who::Admin, home.delete_all(), refused()),
        case(
            "the namespace controller deletes it",
            kubernetes("namespace-controller"),
            home.delete(guard).dry(),
            Allowed,
        ),
        case(
            "the garbage collector changes nothing",
            kubernetes("generic-garbage-collector"),
            home.merge(guard, json!({"data": {"since": "2020"}})),
            refused(),
        ),
        case("another ConfigMap there", Who::Admin, home.create(state("other", "x")), Allowed),
        case("the controller reads no other", CONTROL, home.get("other"), Forbidden("cannot get resource")),
        case("one of this name elsewhere", Who::Admin, elsewhere.create(state(guard, "x")), Allowed),
        case("a stranger reads nothing", person("mallory"), home.get(guard), Forbidden("cannot get resource")),
    ];
    run(&session, cases).await;
}
