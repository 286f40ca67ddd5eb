//! Annotations of the chart: Artifact Hub rejects a package, or leaves out what it cannot read, and says so to no one but
//! the publisher.

use serde_json::Value;

use super::{VERSION, page};

fn chart() -> Value {
    serde_saphyr::from_str(&page("charts/certcourier/Chart.yaml")).unwrap()
}

/// An annotation that is YAML in a string.
fn list(chart: &Value, name: &str) -> Vec<Value> {
    let text = chart["annotations"][format!("artifacthub.io/{name}")].as_str().unwrap_or_else(|| panic!("no {name}"));
    serde_saphyr::from_str(text).unwrap()
}

fn fields<'a>(entry: &'a Value, allowed: &[&str], required: &[&str]) -> &'a serde_json::Map<String, Value> {
    let entry = entry.as_object().unwrap();
    for name in entry.keys() {
        assert!(allowed.contains(&name.as_str()), "{name} is not read");
    }
    for name in required {
        assert!(entry.get(*name).and_then(Value::as_str).is_some_and(|text| !text.is_empty()), "{name} is missing");
    }
    entry
}

fn is_url(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("https://") && !text.contains(char::is_whitespace))
}

#[test]
fn artifact_hub_knows_every_annotation_and_the_words_in_it() {
    let chart = chart();
    let annotations = chart["annotations"].as_object().unwrap();
    let known = [
        "category",
        "changes",
        "containsSecurityUpdates",
        "crds",
        "license",
        "links",
        "operator",
        "operatorCapabilities",
        "prerelease",
        "recommendations",
    ];
    for (name, value) in annotations {
        let name = name.strip_prefix("artifacthub.io/").unwrap();
        assert!(known.contains(&name), "{name}");
        assert!(value.is_string(), "{name}: an annotation is text");
    }
    let word = |name: &str| annotations[&format!("artifacthub.io/{name}")].as_str().unwrap();
    assert_eq!((word("category"), word("license")), ("security", env!("CARGO_PKG_LICENSE")));
    let capabilities = ["Basic Install", "Seamless Upgrades", "Full Lifecycle", "Deep Insights", "Auto Pilot"];
    assert!(capabilities.contains(&word("operatorCapabilities")));
    for flag in ["operator", "prerelease", "containsSecurityUpdates"] {
        assert!(["true", "false"].contains(&word(flag)), "{flag}");
    }
}

#[test]
fn each_change_has_a_kind_that_artifact_hub_knows_and_is_one_sentence() {
    let changes = list(&chart(), "changes");
    assert!(!changes.is_empty());
    for change in &changes {
        let change = fields(change, &["kind", "description", "links"], &["kind", "description"]);
        let kind = change["kind"].as_str().unwrap();
        assert!(["added", "changed", "deprecated", "removed", "fixed", "security"].contains(&kind), "{kind}");
        assert!(!change["description"].as_str().unwrap().contains('\n'));
    }
}

#[test]
fn each_link_and_each_recommendation_is_an_address() {
    let chart = chart();
    for link in list(&chart, "links") {
        assert!(is_url(&fields(&link, &["name", "url"], &["name", "url"])["url"]));
    }
    for package in list(&chart, "recommendations") {
        assert!(is_url(&fields(&package, &["url"], &["url"])["url"]));
    }
    assert!(is_url(&chart["home"]));
}

#[test]
fn each_kind_is_announced_with_what_artifact_hub_shows_of_it() {
    for kind in list(&chart(), "crds") {
        let kind = fields(
            &kind,
            &["kind", "version", "name", "displayName", "description"],
            &["kind", "version", "name", "displayName", "description"],
        );
        assert!(kind["name"].as_str().unwrap().ends_with(".certcourier.io"));
    }
}

/// `helm install` takes the tag of the image from appVersion.
#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart = chart();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&Value::from(VERSION), &Value::from(VERSION)));
    let text = page("charts/certcourier/Chart.yaml");
    assert_eq!(text.matches("\nannotations:\n").count(), 1, "release/package.py adds the image behind this line");
}
