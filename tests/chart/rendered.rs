//! What the chart renders is what the binary expects: its objects, its flags, its variables, its metrics.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use certcourier::{
    admission::Identity,
    controller::ControllerArgs,
    manifests::{Installation, objects, serving_objects, session_objects},
    server::ServerArgs,
};
use clap::{CommandFactory as _, Parser};
use serde_json::Value;

use super::helm::{Helm, LEAST, chart, documents, key, value_sets};

#[derive(Parser)]
enum CommandLine {
    Controller(Box<ControllerArgs>),
    Server(Box<ServerArgs>),
}

/// Labels and annotations are helm's and the chart's business; both programs look at specs.
fn plain(mut object: Value) -> Value {
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| key == "name" || key == "namespace");
    object
}

fn expected(namespace: &str, users: (&str, &str), watched: &[&str], stamp: bool) -> Vec<Value> {
    let user = |name: &str| format!("system:serviceaccount:{namespace}:{name}");
    let identity = Identity::new(namespace, &user(users.0), &user(users.1)).unwrap();
    let mut all = serving_objects(&identity).unwrap();
    all.extend(session_objects(&identity).unwrap());
    let watch_namespaces = watched.iter().map(|&name| name.to_owned()).collect();
    all.extend(objects(&Installation { identity, watch_namespaces, stamp }).unwrap());
    all
}

#[tokio::test]
async fn kinds_roles_and_policies_are_those_that_the_binary_prints() {
    let helm = Helm::offline();
    let image = ["--set", "image.repository=registry.example.com/certcourier", "--set"];
    let sidecar = [&image[..], &["scope=cluster", "--kube-version", "1.36.0"]].concat();
    let separate = ["placement=separate,watchNamespaces={payments,web}", "--kube-version", "1.35.0"];
    let separate = [&image[..], &separate].concat();
    for (arguments, wanted) in [
        (&sidecar[..], expected("certs", ("certcourier", "certcourier"), &[], true)),
        (
            &separate[..],
            expected("certs", ("certcourier-controller", "certcourier-server"), &["payments", "web"], false),
        ),
    ] {
        let rendered = documents(&helm.template("certs", arguments).await);
        for object in &wanted {
            let name = key(object);
            let found = rendered.iter().find(|found| key(found) == name);
            let mut found = plain(found.unwrap_or_else(|| panic!("{name} is missing")).clone());
            let mut object = plain(object.clone());
            // In sidecar placement one account is both subjects; the binary names it for each.
            for bound in [&mut found, &mut object] {
                if let Some(subjects) = bound["subjects"].as_array_mut() {
                    subjects.dedup();
                }
            }
            assert_eq!(found, object, "{name}");
        }
        let of_ours = |object: &&Value| {
            object["kind"].as_str().unwrap().contains("Admission") || object["kind"].as_str().unwrap().contains("Role")
        };
        // What people may read of the installation is the chart's own.
        let discovery = ["Role", "RoleBinding"].map(|kind| format!("{kind} certs certcourier-discovery"));
        let forward = "Role certs certcourier-port-forward".to_owned();
        let names: BTreeSet<String> = wanted.iter().map(key).chain(discovery).chain([forward]).collect();
        let found: BTreeSet<String> = rendered.iter().filter(of_ours).map(key).collect();
        let unknown: Vec<&String> = found.difference(&names).collect();
        assert!(unknown.is_empty(), "the binary prints none of {unknown:?}");
    }
}

#[tokio::test]
async fn every_kind_stays_when_the_chart_goes() {
    let rendered = documents(&Helm::offline().template("certs", &LEAST).await);
    let kept: Vec<String> = rendered
        .iter()
        .filter(|object| object["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
        .map(|object| object["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kept, ["CustomResourceDefinition"; 4]);
}

/// What the chart says of itself to those who search for it.
#[tokio::test]
async fn the_kinds_that_the_chart_announces_are_those_that_it_brings() {
    let helm = Helm::offline();
    let rendered = documents(&helm.template("certs", &LEAST).await);
    let is_kind = |object: &&Value| object["kind"] == "CustomResourceDefinition";
    let brought: BTreeSet<&str> =
        rendered.iter().filter(is_kind).map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
    let said: Value = serde_saphyr::from_str(&page("charts/certcourier/Chart.yaml")).unwrap();
    let announced = said["annotations"]["artifacthub.io/crds"].as_str().unwrap();
    let announced: Vec<Value> = serde_saphyr::from_str(announced).unwrap();
    let announced: BTreeSet<&str> = announced.iter().map(|kind| kind["name"].as_str().unwrap()).collect();
    assert_eq!(announced, brought);
}

/// Each value of values.yaml, by its whole name; a list or an empty object is one value.
fn values(prefix: &str, value: &Value, names: &mut BTreeSet<String>) {
    let inner = value.as_object().filter(|fields| !fields.is_empty());
    let Some(fields) = inner else {
        names.insert(prefix.to_owned());
        return;
    };
    for (name, value) in fields {
        values(&if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") }, value, names);
    }
}

#[test]
fn every_value_is_in_the_readme_and_in_a_value_set() {
    let (mut all, mut used) = (BTreeSet::new(), BTreeSet::new());
    values("", &serde_saphyr::from_str(&page("charts/certcourier/values.yaml")).unwrap(), &mut all);
    let mut sets = String::new();
    for (_, file) in value_sets() {
        let text = fs::read_to_string(file).unwrap();
        values("", &serde_saphyr::from_str(&text).unwrap(), &mut used);
        sets.push_str(&text);
    }
    assert!(all.len() > 100, "only {} values", all.len());
    let readme = page("charts/certcourier/README.md");
    // Keys with a dot or a slash in them (of labels) stand within their value.
    let plain = |name: &&String| !name.contains('/') && !name.contains("grafana_dashboard");
    for name in all.iter().filter(plain) {
        // Or one that it is a part of.
        let mut whole = Some(name.as_str());
        let listed = std::iter::from_fn(|| {
            let name = whole?;
            whole = name.rsplit_once('.').map(|(parent, _)| parent);
            Some(readme.contains(&format!("| `{name}` |")))
        });
        assert!(listed.into_iter().any(|listed| listed), "the README has no {name}: run `make generate`");
    }
    let unused: Vec<&String> = all
        .iter()
        .filter(plain)
        .filter(|name| !used.iter().any(|set| set == *name || set.starts_with(&format!("{name}."))))
        .collect();
    assert!(unused.is_empty(), "no value set has {unused:?}");
}

/// `helm install` fails where it has failed before, and a namespace that is left out is whichever comes first.
#[test]
fn every_printed_command_installs_again_and_names_its_namespace() {
    let mut pages = vec!["README.md".to_owned(), "charts/certcourier/README.md".to_owned()];
    pages.extend(["examples/values-company.yaml", "charts/certcourier/templates/NOTES.txt"].map(str::to_owned));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let all = fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let name = |path: PathBuf| format!("docs/{}", path.file_name().unwrap().to_string_lossy());
    pages.extend(all.filter(is_page).map(name));
    let mut found = 0;
    for name in pages {
        let text = page(&name).replace("\\\n", " ");
        assert!(!text.contains("helm install"), "{name}: print `helm upgrade --install`");
        for command in text.lines().filter(|line| line.contains("helm upgrade --install certcourier")) {
            found += 1;
            assert!(command.contains("--namespace") && command.contains("--create-namespace"), "{name}: {command}");
            let says_what = command.contains("image.repository=") || command.contains("--values");
            assert!(says_what, "{name}: the chart refuses this without an image: {command}");
        }
    }
    assert!(found >= 5, "only {found} commands");
}

/// A packaged chart is alone: what its README links to has to be in it.
#[test]
fn the_readme_of_the_chart_links_to_nothing_outside_it() {
    let readme = page("charts/certcourier/README.md");
    let links = readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
    let local: Vec<&str> = links.filter(|link| !link.starts_with("https://") && !link.starts_with('#')).collect();
    assert!(local.is_empty(), "{local:?}");
    assert!(readme.contains("helm upgrade --install") && readme.contains("--create-namespace"));
}

/// Containers of all Deployments that are the chart's own.
fn containers(rendered: &[Value]) -> Vec<&Value> {
    let deployments = rendered.iter().filter(|object| object["kind"] == "Deployment");
    let all = deployments.flat_map(|object| object["spec"]["template"]["spec"]["containers"].as_array().unwrap());
    all.filter(|container| container["name"] == "controller" || container["name"] == "server").collect()
}

#[tokio::test]
async fn the_binary_understands_every_flag_of_every_value_set() {
    let helm = Helm::offline();
    let command = CommandLine::command();
    let known: BTreeSet<String> = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()))
        .collect();
    for (name, file) in value_sets() {
        let text = helm.template("certs", &["--values", &file.display().to_string()]).await;
        let rendered = documents(&text);
        let programs = containers(&rendered);
        assert_eq!(programs.len(), 2, "{name}");
        for container in programs {
            let arguments: Vec<&str> =
                container["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect();
            let parsed = CommandLine::try_parse_from(["certcourier"].into_iter().chain(arguments.iter().copied()));
            let program = match parsed {
                Ok(CommandLine::Controller(_)) => "controller",
                Ok(CommandLine::Server(_)) => "server",
                Err(error) => panic!("{name}: {arguments:?}: {error}"),
            };
            assert_eq!(container["name"], program);
            for variable in container["env"].as_array().unwrap() {
                let variable = variable["name"].as_str().unwrap();
                let others = ["POD_NAME", "HTTPS_PROXY", "NO_PROXY"];
                let is_read = known.contains(variable) || others.contains(&variable);
                assert!(is_read, "{name}: {program} reads no {variable}");
            }
        }
    }
}

/// What a template writes must not differ from one rendering to the next: Argo CD would see drift for ever.
#[tokio::test]
async fn two_renderings_are_the_same_and_no_template_asks_the_cluster() {
    let helm = Helm::offline();
    let (first, second) = (helm.template("certs", &LEAST).await, helm.template("certs", &LEAST).await);
    assert_eq!(first, second);
    for entry in fs::read_dir(chart().join("templates")).unwrap() {
        let path = entry.unwrap().path();
        let text = if path.is_file() { fs::read_to_string(&path).unwrap() } else { continue };
        for word in ["lookup", "rand", "genCA", "genSelfSigned", "uuidv4", "now"] {
            let used = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
            let used = used.flat_map(|expression| expression.split(|c: char| !c.is_alphanumeric()));
            assert!(!used.into_iter().any(|used| used.starts_with(word)), "{} uses {word}", path.display());
        }
    }
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[tokio::test]
async fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let alerts: Value = serde_saphyr::from_str(&page("charts/certcourier/files/alerts.yaml")).unwrap();
    let mut alerts: Vec<&str> =
        alerts["alerts"].as_array().unwrap().iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    let text = page("docs/alerts.md");
    let mut runbooks: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    alerts.sort_unstable();
    runbooks.sort_unstable();
    assert_eq!(alerts, runbooks);
}

/// Names of metrics in a text, without what histograms and counters add.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text.split(word).filter_map(|word| word.strip_prefix("certcourier_"));
    let bare = |name: &str| {
        let name = name.strip_suffix("_bucket").unwrap_or(name);
        name.strip_suffix("_total").or_else(|| name.strip_suffix("_info")).unwrap_or(name).to_owned()
    };
    names.map(bare).collect()
}

#[test]
fn alerts_dashboard_and_page_speak_of_metrics_that_there_are() {
    let mut sources = String::new();
    gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut sources);
    for file in ["charts/certcourier/files/alerts.yaml", "charts/certcourier/files/dashboard.json", "docs/alerts.md"] {
        let named = metrics_in(&page(file));
        assert!(!named.is_empty(), "{file} names no metric");
        for metric in named {
            assert!(sources.contains(&format!("\"{metric}\"")), "{file}: nothing registers certcourier_{metric}");
        }
    }
}

fn gather(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
