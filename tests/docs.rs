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
    server::error::ErrorCode,
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

/// Names of metrics as the code registers them: the first text of each such call.
fn metrics_registered() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for call in [".register(", ".observe(", ".observe_some(", ".encode_descriptor("] {
            for after in code.split(call).skip(1) {
                let name = after.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
                names.extend(name.map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn the_page_of_metrics_has_every_metric_and_no_other() {
    let page = page("metrics.md");
    let table = page.split("## Worth an alert").next().unwrap();
    let names = table.lines().filter_map(|line| line.strip_prefix("| `certcourier_")?.split(['`', '{']).next());
    let plain = |name: &str| name.trim_end_matches("_total").replace("build_info", "build");
    let documented: BTreeSet<String> = names.map(plain).collect();
    let registered = metrics_registered();
    assert!(registered.len() > 20, "only {registered:?} were found: is the code another?");
    assert_eq!(documented, registered);
    // What alerts are about is there.
    let alerts = page.split("## Worth an alert").nth(1).unwrap();
    for name in alerts
        .split("certcourier_")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap())
    {
        assert!(documented.contains(name.trim_end_matches("_total")), "{name}");
    }
}

/// The words in backticks of the cells in this column, in the tables of a section.
fn words(text: &str, heading: &str, column: usize) -> BTreeSet<String> {
    let section = text.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no `{heading}`")).1;
    let depth = |line: &str| line.bytes().take_while(|byte| *byte == b'#').count();
    let own = depth(heading);
    let ends = |line: &&str| (1..=own).contains(&depth(line));
    let mut found = BTreeSet::new();
    let lines = section.lines().take_while(|line| !ends(line));
    for row in lines.filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")) {
        let cells: Vec<&str> = row.split(" | ").collect();
        found.extend(cells[column].split('`').skip(1).step_by(2).map(str::to_owned));
    }
    found
}

/// Every text in quotes behind one of these beginnings, in a source file.
fn quoted(file: &str, beginnings: &[&str]) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap();
    let mut found = BTreeSet::new();
    for beginning in beginnings {
        let behind = text.split(beginning).skip(1);
        found.extend(
            behind.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned)),
        );
    }
    found.retain(|word| word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(char::is_alphanumeric));
    assert!(!found.is_empty(), "nothing was found in {file}: has it moved?");
    found
}

fn all<const N: usize>(sets: [BTreeSet<String>; N]) -> BTreeSet<String> {
    sets.into_iter().flatten().collect()
}

#[test]
fn every_word_is_explained_and_no_other() {
    let text = page("troubleshooting.md");
    let codes: BTreeSet<String> = ErrorCode::ALL.into_iter().map(|code| code.name().to_owned()).collect();
    assert_eq!(words(&text, "## Codes of the HTTP API", 0), codes);
    for code in ErrorCode::ALL {
        let row = format!("| `{}` | {} | ", code.name(), code.status().as_u16());
        assert!(text.contains(&row), "{row}");
    }
    assert_eq!(
        words(&text, "## Conditions", 1),
        quoted("src/api/condition.rs", &[": &str ="]).difference(&types()).cloned().collect()
    );

    let of_bundle =
        all(["crates/bundle/src/material/error.rs", "crates/bundle/src/render/error.rs"]
            .map(|file| quoted(file, &["=>"])));
    let of_secret = quoted("src/kube/material.rs", &["=>"]);
    let of_policy = quoted("src/policy/decision.rs", &["=>"]);
    let of_request =
        all([quoted("src/kube/facts.rs", &["word:"]), quoted("src/lifecycle/table.rs", &["fail(", "map_or("])]);
    let failed = all([of_policy, of_request, ["APIForbidden".to_owned()].into()]);
    let explained = words(&text, "## Why a request failed", 0);
    let material = words(&text, "### Why material is unusable", 0);
    assert_eq!(material, all([of_secret, of_bundle.clone()]));
    assert_eq!(explained.difference(&material).cloned().collect::<BTreeSet<_>>(), failed);
    assert_eq!(words(&page("formats.md"), "## When a file is refused", 0), of_bundle);

    let guard = all([quoted("src/guard/reason.rs", &["=>"]), quoted("src/guard/record.rs", &["set(\"state\", "])]);
    assert_eq!(words(&text, "## The guard", 0), guard);
    let report = fs::read_to_string(root().join("src/doctor/report.rs")).unwrap();
    let checks = report.split("pub enum Check {").nth(1).unwrap().split('}').next().unwrap();
    let checks: BTreeSet<String> =
        checks.split(',').map(|check| check.trim().to_owned()).filter(|c| !c.is_empty()).collect();
    assert!(checks.len() > 10, "{checks:?}");
    assert_eq!(words(&text, "## What the doctor finds", 0), checks);
}

/// The types of conditions, which the page has in front of their reasons.
fn types() -> BTreeSet<String> {
    ["Ready", "Approved", "TokenIssued", "Finished", "Stalled"].map(str::to_owned).into()
}
