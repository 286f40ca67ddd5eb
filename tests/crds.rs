//! What `kubectl explain` and the API server are given: the CRDs are bounded, explained, and kept in crds/ as generated.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by ending")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use certcourier::manifests::crds;
use serde_json::{Map, Value, json};

/// A CRD is read by every client that does discovery, and etcd refuses 1.5 MB.
const MAX_BYTES: usize = 200_000;

/// Every schema of one CRD with its path, such as `DownloadRequest.spec.format`; items of a list end in `[]`.
fn schemas(crd: &Value) -> BTreeMap<String, Map<String, Value>> {
    fn collect(path: &str, schema: &Value, found: &mut BTreeMap<String, Map<String, Value>>) {
        let schema = schema.as_object().unwrap_or_else(|| panic!("{path}: not a schema"));
        if let Some(properties) = schema.get("properties") {
            for (name, property) in properties.as_object().unwrap() {
                collect(&format!("{path}.{name}"), property, found);
            }
        }
        if let Some(items) = schema.get("items") {
            collect(&format!("{path}[]"), items, found);
        }
        let mut own = schema.clone();
        own.remove("properties");
        own.remove("items");
        found.insert(path.to_owned(), own);
    }
    let mut found = BTreeMap::new();
    let kind = crd.pointer("/spec/names/kind").unwrap().as_str().unwrap();
    for version in crd.pointer("/spec/versions").unwrap().as_array().unwrap() {
        collect(kind, version.pointer("/schema/openAPIV3Schema").unwrap(), &mut found);
    }
    found
}

fn every_schema() -> BTreeMap<String, Map<String, Value>> {
    let all: BTreeMap<_, _> = crds().iter().flat_map(|crd| schemas(&serde_json::to_value(crd).unwrap())).collect();
    assert!(all.len() > 120, "only {} schemas found", all.len());
    all
}

fn paths_where(wrong: impl Fn(&str, &Map<String, Value>) -> bool) -> Vec<String> {
    every_schema().into_iter().filter(|(path, schema)| wrong(path, schema)).map(|(path, _)| path).collect()
}

fn type_of(schema: &Map<String, Value>) -> &str {
    schema.get("type").and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn every_field_is_explained() {
    // The items of a list of plain strings are explained by the list.
    let silent = paths_where(|path, schema| {
        !schema.contains_key("description") && (!path.ends_with("[]") || type_of(schema) != "string")
    });
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn explanations_speak_to_a_reader_of_kubectl_explain() {
    let jargon = [
        "::",
        "Option<",
        "Vec<",
        "serde",
        "struct",
        "derive",
        "Rust",
        "rustdoc",
        "schemars",
        "kube-rs",
        "TODO",
        "FIXME",
        "impl ",
        "enum ",
        "module",
        "[`",
        "Auto-generated",
    ];
    for (path, schema) in every_schema() {
        let Some(description) = schema.get("description").and_then(Value::as_str) else { continue };
        for word in jargon {
            assert!(!description.contains(word), "{path} says `{word}`: {description}");
        }
        assert!(description.ends_with('.'), "{path} ends without a full stop: {description}");
    }
}

#[test]
fn every_string_is_bounded() {
    let unbounded = paths_where(|_, schema| {
        type_of(schema) == "string" && !["maxLength", "enum", "format"].iter().any(|bound| schema.contains_key(*bound))
    });
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn every_list_is_bounded_and_every_object_lists_its_fields() {
    let unbounded = paths_where(|_, schema| type_of(schema) == "array" && !schema.contains_key("maxItems"));
    assert_eq!(unbounded, Vec::<String>::new());
    let open = paths_where(|_, schema| {
        ["additionalProperties", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"]
            .iter()
            .any(|key| schema.contains_key(*key))
    });
    assert_eq!(open, Vec::<String>::new());
}

#[test]
fn nothing_is_nullable_and_nothing_has_a_default() {
    // A default would be written into the object: drift for GitOps, and under CertificatePolicy.spec a field that takes
    // part in the merge although its author left it out.
    let wrong = paths_where(|_, schema| {
        ["nullable", "default"].iter().any(|key| schema.contains_key(*key))
            || schema.get("enum").is_some_and(|values| values.as_array().unwrap().contains(&Value::Null))
    });
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn formats_are_those_that_the_api_server_knows() {
    let unknown = paths_where(|_, schema| {
        schema
            .get("format")
            .is_some_and(|format| ![json!("date-time"), json!("int32"), json!("int64")].contains(format))
    });
    assert_eq!(unknown, Vec::<String>::new());
    let unbounded = paths_where(|_, schema| type_of(schema) == "integer" && !schema.contains_key("format"));
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn names_and_columns_are_those_people_type_and_read() {
    struct Expected {
        plural: &'static str,
        short: &'static str,
        columns: &'static [&'static str],
        selectable: &'static [&'static str],
        status: bool,
    }
    let expected = [
        Expected {
            plural: "certificates",
            short: "ccert",
            columns: &["Ready", "Reason", "Subject", "Not After", "Message", "Age"],
            selectable: &[],
            status: true,
        },
        Expected {
            plural: "certificatepolicies",
            short: "ccpol",
            columns: &["Key Export", "Approval", "Approvals", "TTL", "Age"],
            selectable: &[],
            status: false,
        },
        Expected {
            plural: "downloadrequests",
            short: "dlr",
            columns: &[
                "Certificate",
                "Environment",
                "Format",
                "Requester",
                "Phase",
                "Approvals",
                "Token",
                "Expires",
                "Token Until",
                "Reason",
                "Why",
                "Age",
            ],
            selectable: &[".spec.certificateRef.name", ".spec.format", ".spec.requestedBy.username", ".status.phase"],
            status: true,
        },
        Expected {
            plural: "downloadreceipts",
            short: "dlrc",
            columns: &["Certificate", "Format", "By", "Outcome", "Request", "Client", "Retain Until", "Age"],
            selectable: &[
                ".spec.certificateRef.name",
                ".spec.format",
                ".spec.requestRef.name",
                ".spec.requestedBy.username",
                ".status.outcome",
            ],
            status: true,
        },
    ];
    for (crd, expected) in crds().into_iter().zip(expected) {
        let names = &crd.spec.names;
        assert_eq!(names.plural, expected.plural);
        assert_eq!(crd.spec.scope, "Namespaced");
        assert_eq!(names.short_names.as_deref(), Some(&[expected.short.to_owned()][..]));
        assert_eq!(names.categories.as_deref(), Some(&["certcourier".to_owned()][..]));
        let [version] = &crd.spec.versions[..] else { panic!("{}: not one version", expected.plural) };
        assert_eq!(version.name, "v1alpha1");
        assert_eq!(version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()), expected.status);
        let columns: Vec<&str> =
            version.additional_printer_columns.iter().flatten().map(|column| column.name.as_str()).collect();
        assert_eq!(columns, expected.columns, "{}", expected.plural);
        let selectable: Vec<&str> =
            version.selectable_fields.iter().flatten().map(|field| field.json_path.as_str()).collect();
        assert_eq!(selectable, expected.selectable, "{}", expected.plural);
    }
}

#[test]
fn the_directory_crds_holds_what_the_code_generates() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let fresh = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_certcourier"))
        .args(["crds", "--directory"])
        .arg(fresh.path())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(read_all(fresh.path()).len(), crds().len());
    for (name, content) in read_all(fresh.path()) {
        assert!(content.len() < MAX_BYTES, "{name} has {} bytes", content.len());
        let same = read_all(&kept).get(&name) == Some(&content);
        assert!(same, "crds/{name} is not what the code generates: run `cargo run -- crds --directory crds`");
    }
    assert_eq!(read_all(&kept).len(), crds().len(), "crds/ holds a file that nothing generates");
}

#[test]
fn the_printed_stream_is_the_same_objects() {
    let output = Command::new(env!("CARGO_BIN_EXE_certcourier")).arg("crds").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let documents: Vec<&str> = text.split("---\n").filter(|document| !document.is_empty()).collect();
    assert_eq!(documents.len(), crds().len());
    for (document, crd) in documents.into_iter().zip(crds()) {
        let read: Value = serde_saphyr::from_str(document).unwrap();
        let (read, made) = (with_float_bounds(&read), serde_json::to_value(crd).unwrap());
        assert!(read == made, "{}: the YAML says something else than the code", made["metadata"]["name"]);
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_certcourier"))
        .args(["crds", "--directory", "/nowhere/crds"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.contains("/nowhere/crds/certificates.yaml: does the directory exist"), "{words}");
}

fn read_all(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// YAML says `maximum: 8`, the Rust type of a bound is a float.
fn with_float_bounds(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(with_float_bounds).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| {
                let float = if ["minimum", "maximum"].contains(&key.as_str()) { value.as_f64() } else { None };
                (key.clone(), float.map_or_else(|| with_float_bounds(value), Value::from))
            })
            .collect(),
        other => other.clone(),
    }
}

#[test]
fn manifests_begin_with_the_kinds_and_refuse_what_names_nobody() {
    let run = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_certcourier")).arg("manifests").args(arguments).output().unwrap()
    };
    let user = "system:serviceaccount:certcourier-system:certcourier";
    let whole = ["--namespace", "certcourier-system", "--controller", user, "--server", user];
    let output = run(&[&whole[..], &["--watch-namespaces", "payments,shop", "--output", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..4], ["CustomResourceDefinition"; 4]);
    assert_eq!(kinds.iter().filter(|kind| **kind == "RoleBinding").count(), 6);
    let stream = String::from_utf8(run(&whole).stdout).unwrap();
    let never = String::from_utf8(run(&[&whole[..], &["--stamp", "never"]].concat()).stdout).unwrap();
    assert_eq!(stream.matches("kind: MutatingAdmissionPolicy").count(), 2);
    assert_eq!(never.matches("kind: MutatingAdmissionPolicy").count(), 0);
    for (arguments, words) in [
        (
            vec!["--namespace", "Certcourier", "--controller", user, "--server", user],
            "`Certcourier` is not a namespace",
        ),
        (vec!["--namespace", "a", "--controller", "", "--server", user], "is not a user name of the controller"),
        (
            vec!["--namespace", "a", "--controller", user, "--server", user, "--watch-namespaces", "a,,b"],
            "--watch-namespaces",
        ),
    ] {
        let output = run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && output.stdout.is_empty() && said.contains(words), "{arguments:?}: {said}");
    }
}
