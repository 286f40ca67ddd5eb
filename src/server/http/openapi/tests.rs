use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use serde_json::Value;

use super::RIGHTS;
use crate::server::router::{openapi_document, router};
use crate::server::state::ServerState;

fn parsed() -> Value {
    serde_json::from_str(&openapi_document()).unwrap()
}

/// Every operation: method, path, and what the document says of it.
fn all(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let item = item.as_object().unwrap().clone();
        let path = path.clone();
        item.into_iter().map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    };
    paths.iter().flat_map(of).collect()
}

/// A path with something in place of its parameters.
fn filled(path: &str) -> String {
    path.replace("{token}", "ccd_x").replace(['{', '}'], "")
}

async fn ask(method: &str, path: &str) -> axum::response::Response {
    use tower::ServiceExt as _;
    let args = crate::server::ServerArgs::for_tests(&["--rate-burst", "100000"]);
    let state = Arc::new(ServerState::for_tests(&args, &crate::metrics::Metrics::new("server")));
    let request = axum::http::Request::builder().method(method).uri(path).body(axum::body::Body::empty()).unwrap();
    router(state).oneshot(request).await.unwrap()
}

#[test]
fn the_committed_document_is_this_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let committed = fs::read_to_string(path).unwrap();
    assert!(committed == openapi_document(), "run `make generate` and commit what it changes");
}

#[test]
fn every_reference_leads_somewhere_and_no_schema_is_left_over() {
    let document = parsed();
    let text = document.to_string();
    let mut referenced: BTreeSet<String> = BTreeSet::new();
    for part in text.split("\"$ref\":\"").skip(1) {
        let reference = part.split('"').next().unwrap();
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        referenced.insert(reference.rsplit('/').next().unwrap().to_owned());
    }
    let known: BTreeSet<String> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(referenced, known);
}

#[test]
fn every_operation_says_what_it_answers_and_refuses() {
    let document = parsed();
    let operations = all(&document);
    assert_eq!(operations.len(), 18, "a new route? its description is checked here");
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations {
        let name = format!("{method} {path}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
        assert!(ids.insert(operation["operationId"].to_string()), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}");
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            let shape = if path.starts_with("/apiops/") { "ExportError" } else { "Error" };
            assert!(schema.as_str().unwrap().ends_with(&format!("/{shape}")), "{name} {status}");
        }
        let takes_bearer = path.contains("{project}");
        assert_eq!(operation.get(RIGHTS).is_some(), takes_bearer, "{name}");
        assert_eq!(operation["security"].is_array(), takes_bearer, "{name}");
        assert_eq!(
            responses.contains_key("403") && responses.contains_key("401"),
            takes_bearer || path.contains("downloads") && !path.contains("status"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn every_route_takes_its_own_methods_and_no_other() {
    let document = parsed();
    for (allowed, path, _) in all(&document) {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if method == allowed {
                continue;
            }
            let answer = ask(method, &filled(&path)).await;
            assert_eq!(
                (answer.status().as_u16(), answer.headers()["allow"].to_str().unwrap()),
                (405, allowed.as_str()),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn every_route_of_a_project_wants_a_bearer_token_before_anything_else() {
    let document = parsed();
    for (method, path, operation) in all(&document) {
        if operation.get(RIGHTS).is_some() {
            for path in [filled(&path), path.replace("{project}", "%2E%2E").replace(['{', '}'], "")] {
                let answer = ask(&method, &path).await;
                assert_eq!(answer.status(), 401, "{method} {path}");
                assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"kubernetes\"", "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn the_document_is_served_and_no_page_is_in_it() {
    let answer = ask("GET", "/openapi.json").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let body = axum::body::to_bytes(answer.into_body(), 1 << 22).await.unwrap();
    let served: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(served, parsed());
    assert_eq!((&served["openapi"], &served["info"]["title"]), (&"3.1.0".into(), &"certcourier".into()));
    assert!(all(&served).iter().all(|(_, path, _)| !path.starts_with("/ui")));
    for path in ["/", "/api/v1", "/api/v1/projects/payments"] {
        assert_eq!(ask("GET", path).await.status(), 404, "{path}");
    }
}
