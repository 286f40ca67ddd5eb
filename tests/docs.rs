//! What the pages say of the code is so: tests that they name exist, and the table of rights is the roles that are printed.

#![cfg(test)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use certcourier::{
    admission::Identity,
    manifests::{Installation, objects, serving_objects},
};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// The cells of each row of a page's tables, without their heads.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect()))
        .collect();
    let is_head = |row: &&Vec<&str>| matches!(row[0], "role" | "threat" | "what is not stopped");
    rows.iter().filter(|row| !is_head(row)).cloned().collect()
}

/// Names of tests in backticks: sentences, of four words at least. Metrics have such names, too.
fn tests_named(text: &str) -> Vec<&str> {
    let plain = |name: &&str| {
        !name.starts_with("certcourier_")
            && name.matches('_').count() >= 3
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    text.split('`').skip(1).step_by(2).filter(plain).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every function that stands behind a test attribute, or in `proptest!`.
fn tests_there_are() -> BTreeSet<String> {
    let mut files = Vec::new();
    for folder in ["src", "tests", "crates"] {
        sources(&root().join(folder), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for after in text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)) {
            let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
            names.extend(name.map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_test_that_a_page_names_exists() {
    let there = tests_there_are();
    assert!(there.len() > 200, "only {} tests were found: have the folders moved?", there.len());
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).unwrap();
            let missing: Vec<&str> = tests_named(&text).into_iter().filter(|name| !there.contains(*name)).collect();
            assert!(missing.is_empty(), "{} names tests that are not there: {missing:?}", path.display());
        }
    }
}

#[test]
fn every_threat_and_every_right_has_a_test() {
    let (model, rights) = (page("threat-model.md"), page("rights.md"));
    let tried = model.split("## Out of scope").next().unwrap();
    assert!(rows(tried).len() > 20 && rows(&rights).len() > 20);
    for row in rows(tried).iter().chain(&rows(&rights)) {
        assert!(!tests_named(row.last().unwrap()).is_empty(), "no test: {row:?}");
    }
}

/// `get, list` and `certificates, downloadrequests (certcourier.io) named x`.
fn in_words(rule: &Value) -> (String, String) {
    let texts = |field: &str| -> Vec<&str> {
        rule[field].as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
    };
    let mut what = texts("resources").join(", ");
    let groups = texts("apiGroups").join(", ");
    if !groups.is_empty() {
        what = format!("{what} ({groups})");
    }
    let names = texts("resourceNames").join(", ");
    if !names.is_empty() {
        what = format!("{what} named {names}");
    }
    (texts("verbs").join(", "), what)
}

#[test]
fn the_table_of_rights_is_the_operators_roles() {
    let identity = Identity::new("certcourier-system", "controller", "server").unwrap();
    let serving = serving_objects(&identity).unwrap();
    let printed = objects(&Installation { identity, watch_namespaces: vec![], stamp: true }).unwrap();
    let mut wanted = Vec::new();
    for role in printed.iter().chain(&serving) {
        let (kind, name) = (role["kind"].as_str().unwrap(), role["metadata"]["name"].as_str().unwrap());
        let of_operator = [
            "certcourier-controller",
            "certcourier-server",
            "certcourier-system",
            "certcourier-serving",
            "certcourier-external-ca",
        ];
        let of_operator = of_operator.contains(&name);
        for rule in role["rules"].as_array().into_iter().flatten().filter(|_| of_operator) {
            let (verbs, what) = in_words(rule);
            wanted.push(format!("{kind} {name} | {verbs} | {what}"));
        }
    }
    let text = page("rights.md");
    let mut written: Vec<String> = rows(&text).iter().map(|row| row[..3].join(" | ")).collect();
    wanted.sort();
    written.sort();
    assert_eq!(written, wanted);
}
