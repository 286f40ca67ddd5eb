use std::{collections::BTreeMap, fs, path::Path};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Certificate, CertificateSpec, Decision, DownloadReceipt, DownloadRequest, Format, Outcome, names},
    lifecycle::{
        Guard,
        fixtures::{World, at, policy},
    },
};

const UID: &str = "3f0c8f0e-6a0e-4c55-9a43-6a1c2f1a9c11";
const CALL: call::Call<'_> =
    call::Call { actor: "alice", address: "203.0.113.7", request_id: "01a20bed-8c5a-75da-8281-e71285d0549f" };

fn presented() -> delivery::Presented<'static> {
    delivery::Presented { address: CALL.address, request_id: CALL.request_id }
}

fn world(format: Format, approvals: i32) -> World {
    let mut world = World::new(format, policy(approvals));
    world.request.metadata.name = Some("api-pkcs12-9bqmz".to_owned());
    world.request.metadata.uid = Some(UID.to_owned());
    world.request.spec.environment = Some("production".to_owned());
    world.request.spec.reason = Some("INC-4211 F5 import".to_owned());
    world
}

fn receipt() -> DownloadReceipt {
    let mut receipt: DownloadReceipt = serde_json::from_value(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
        "metadata": {"name": "r-6b0c2a", "namespace": "payments"},
        "spec": {
            "requestRef": {"name": "api-pkcs12-9bqmz", "uid": UID}, "certificateRef": {"name": "api"},
            "environment": "production", "format": "pkcs12", "reason": "INC-4211 F5 import",
            "requestedBy": {"username": "alice"}, "consumedBy": {"username": "alice"}, "reviewDigest": "5f3c",
            "approvals": [{"username": "bob", "reason": "checked with alice"}], "policies": ["two"],
            "clientIP": "203.0.113.7", "attemptId": "b6ee", "artifact": {"sha256": "1c0f", "bytes": 2907},
            "fingerprints": ["9d1b"], "consumedAt": "2026-11-22T12:01:00Z", "retainUntil": "2026-12-22T12:01:00Z",
        },
    }))
    .unwrap();
    receipt.metadata.creation_timestamp = Some(Time(at(60)));
    receipt
}

fn certificate() -> Certificate {
    let metadata =
        ObjectMeta { name: Some("api".to_owned()), namespace: Some("payments".to_owned()), ..ObjectMeta::default() };
    Certificate { metadata, spec: CertificateSpec::default(), status: None }
}

/// What the state table tells on the way through all of it, by type.
fn told_by_requests() -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut step = |world: &mut World, seconds: i64| {
        let before = world.request.clone();
        world.step(seconds);
        facts.extend(request::between(&before, &world.request, at(seconds)));
    };
    let mut granted = world(Format::Pkcs12, 2);
    step(&mut granted, 1);
    granted.vote("bob", Decision::Approve);
    step(&mut granted, 20);
    granted.vote("frank", Decision::Approve);
    step(&mut granted, 30);
    step(&mut granted, 400);
    granted.annotate(names::REVOKE, "laptop stolen");
    granted.annotate(names::REVOKED_BY, "bob");
    step(&mut granted, 410);
    let mut denied = world(Format::Pkcs12, 2);
    step(&mut denied, 1);
    denied.vote("frank", Decision::Deny);
    step(&mut denied, 20);
    let mut expired = world(Format::Pkcs12, 2);
    step(&mut expired, 1);
    step(&mut expired, 3601);
    let mut failed = world(Format::Key, 0);
    failed.policies.clear();
    step(&mut failed, 1);
    facts
}

/// A request that waits for people, as it was last seen.
fn told_when_deleted() -> DownloadRequest {
    let mut waiting = world(Format::Pkcs12, 2);
    waiting.step(1);
    waiting.request
}

/// One fact of each type, with every field that it can have.
fn examples() -> BTreeMap<Kind, Fact> {
    let now = at(60);
    let mut issued = world(Format::Pkcs12, 0).request;
    let request: DownloadRequest = issued.clone();
    issued.status = serde_json::from_value(json!({"token": {
        "hash": "x", "generation": 1, "round": 1, "issuedAt": "2026-11-22T12:00:50Z", "expiresAt": "2026-11-22T12:05:50Z",
    }}))
    .unwrap();
    let asked = call::Asked {
        action: call::Action::Claim,
        namespace: "payments",
        certificate: Some("api"),
        environment: Some("production"),
        format: Some(Format::Pkcs12),
        request: Some("api-pkcs12-9bqmz"),
    };
    let broken = Guard::Broken { reason: "policy certcourier-downloadrequests is not there: apply it".to_owned() };
    let intact = Guard::Intact { epoch: "77ab".to_owned(), since: at(5) };
    let mut all = told_by_requests();
    all.extend([
        started("server", "certcourier-server-7d9f", at(0)),
        call::refused(CALL, asked, ("key_export_disabled", "allowKeyExport is Never: ask for cert or fullchain"), now),
        call::minted(CALL, &issued, now),
        call::called(CALL, call::Action::Approve, &request, Some("checked with alice"), now),
        call::exported(CALL, &certificate(), vec!["9d1b".to_owned()], ("1c0f".to_owned(), 1371), now),
        delivery::refused(&request, ("token_used", "this token was already used"), true, presented(), now),
        delivery::refused(&request, ("token_expired", "this token has expired"), false, presented(), now),
        request::deleted(&told_when_deleted(), None, now),
        delivery::releasing(&receipt(), presented(), now),
        delivery::downloaded(&receipt(), Outcome::Delivered, Some(2907), Some(CALL.request_id), now),
    ]);
    all.extend(guard::found("certcourier-system", &broken, now));
    all.extend(guard::found("certcourier-system", &intact, now));
    // The one that says most.
    let fields = |fact: &Fact| serde_json::to_value(&fact.data).unwrap().as_object().unwrap().len();
    let mut examples: BTreeMap<Kind, Fact> = BTreeMap::new();
    for mut fact in all {
        // It changes with every field that a request gets.
        fact.data.review_digest = fact.data.review_digest.map(|_| "5f3c".to_owned());
        if examples.get(&fact.kind).is_none_or(|known| fields(&fact) > fields(known)) {
            examples.insert(fact.kind, fact);
        }
    }
    examples
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit.md")).unwrap()
}

/// The words in backticks of a text.
fn in_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_page_lists_every_type_with_its_fields_and_the_line_that_is_written() {
    let (page, examples) = (page(), examples());
    assert_eq!(examples.keys().copied().collect::<Vec<_>>(), {
        let mut all = Kind::ALL.to_vec();
        all.sort();
        all
    });
    let mut sections = page.split("\n### `").skip(1);
    for kind in Kind::ALL {
        let section = sections.next().unwrap_or_default();
        let (name, section) = section.split_once("`\n").unwrap();
        assert_eq!(name, kind.name(), "sections stand in the order of Kind::ALL");
        let fact = &examples[&kind];
        let id = fact.id.as_deref().unwrap_or("01a20bed-9d3e-7b6c-a4f0-31c5a2e7d802");
        let line = fact.line(id, &Source::new(Some("prod-1")));
        let written = section.split("```json\n").nth(1).and_then(|block| block.split("\n```").next()).unwrap_or("null");
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(written).unwrap(), parsed, "{name}: the page should have\n{line}");
        let listed = section.lines().find_map(|line| line.strip_prefix("Fields: ")).unwrap_or_default();
        let mut listed: Vec<&str> = in_backticks(listed);
        let mut there: Vec<&str> = parsed["data"].as_object().unwrap().keys().map(String::as_str).collect();
        listed.sort_unstable();
        there.sort_unstable();
        assert_eq!(listed, there, "{name}: Fields");
    }
}

#[test]
fn the_page_explains_every_field() {
    let page = page();
    let explained: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    for (kind, fact) in examples() {
        for field in serde_json::to_value(&fact.data).unwrap().as_object().unwrap().keys() {
            assert!(explained.contains(&field.as_str()), "{}: `{field}` is not explained", kind.name());
        }
    }
}

#[test]
fn names_of_types_are_distinct_and_a_line_is_a_cloud_event() {
    let names: std::collections::BTreeSet<&str> = Kind::ALL.into_iter().map(Kind::name).collect();
    assert_eq!(names.len(), Kind::ALL.len());
    let fact = started("server", "a", at(0));
    let line = fact.line("id-1", &Source::new(Some("prod 1/ü")));
    assert!(!line.contains('\n'));
    let line: Value = serde_json::from_str(&line).unwrap();
    for (attribute, value) in [
        ("specversion", "1.0"),
        ("id", "id-1"),
        ("source", "/certcourier/prod%201%2F%C3%BC"),
        ("type", "audit.started"),
        ("subject", "server"),
        ("time", "2026-11-22T12:00:00Z"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(line[attribute], value, "{attribute}");
    }
    assert_eq!(Source::default().uri(), "/certcourier");
}
