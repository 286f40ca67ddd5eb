//! docs/api.md has every route and every code. Its lines are run by `tests/pages`.

use std::{fs, path::Path};

use certcourier::server::{http::error::ErrorCode, openapi_document};
use serde_json::Value;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap()
}

#[test]
fn every_route_and_every_code_is_on_the_page() {
    let page = page();
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let route = format!("`{} {path}`", method.to_uppercase());
            assert!(page.contains(&route), "{route}");
            for right in operation["x-kubernetes-rights"].as_array().into_iter().flatten() {
                let (verb, resource) = right.as_str().unwrap().split_once(' ').unwrap();
                let named = page.contains(&format!("`{verb} {resource}`")) || page.contains(&format!("verb `{verb}`"));
                assert!(named, "{route}: {right}");
            }
        }
    }
    for code in ErrorCode::ALL {
        let row = format!("| {} | {} |", code.name(), code.status().as_u16());
        assert!(page.contains(&row), "{row}");
    }
}
