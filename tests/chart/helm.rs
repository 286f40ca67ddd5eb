//! helm as a process, with folders of its own and never for ever.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use test_support::shell::{Ended, end_within};
use tokio::process::Command;

/// Longer than any command takes here.
const LONGEST: Duration = Duration::from_mins(2);

/// The chart.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/certcourier")
}

/// A tool or folder that the Makefile provides.
pub fn provided(variable: &str) -> PathBuf {
    let path = env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    assert!(path.exists(), "{variable} names nothing that is there (`{}`): run `make chart`", path.display());
    path
}

/// What every installation must say.
pub const LEAST: [&str; 4] =
    ["--set", "image.repository=registry.example.com/certcourier", "--set", "watchNamespaces={payments}"];

/// Every value set of the chart, with its name; the one that people copy is among them.
pub fn value_sets() -> Vec<(String, PathBuf)> {
    let mut sets: Vec<(String, PathBuf)> = fs::read_dir(chart().join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().to_string_lossy().replace("-values.yaml", ""), entry.path()))
        .collect();
    let company = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/values-company.yaml");
    sets.push(("company".to_owned(), company));
    sets.sort();
    assert!(sets.len() >= 10, "only {} value sets: has the folder moved?", sets.len());
    sets
}

/// Runs a program to its end.
pub async fn run(program: &Path, arguments: &[&str], environment: &[(&str, &Path)]) -> Ended {
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    end_within(LONGEST, command).await
}

/// helm with folders of its own, so that nobody's repositories and plugins matter.
pub struct Helm {
    program: PathBuf,
    home: tempfile::TempDir,
    kubeconfig: PathBuf,
}

impl Helm {
    /// For commands that ask no cluster.
    pub fn offline() -> Self {
        Self::of(Path::new("/nonexistent"))
    }

    /// For the cluster of this kubeconfig.
    pub fn of(kubeconfig: &Path) -> Self {
        Self { program: provided("HELM"), home: tempfile::tempdir().unwrap(), kubeconfig: kubeconfig.to_owned() }
    }

    /// Runs it, whatever comes of it.
    pub async fn try_run(&self, arguments: &[&str]) -> Ended {
        let home = self.home.path();
        let environment = [
            ("KUBECONFIG", self.kubeconfig.as_path()),
            ("HELM_CACHE_HOME", home),
            ("HELM_CONFIG_HOME", home),
            ("HELM_DATA_HOME", home),
        ];
        run(&self.program, arguments, &environment).await
    }

    /// Runs it, and it must succeed.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let ended = self.try_run(arguments).await;
        assert_eq!(ended.code, Some(0), "helm {}: {}", arguments.join(" "), ended.said());
        ended.out()
    }

    /// The chart as text, with further arguments.
    pub async fn template(&self, namespace: &str, arguments: &[&str]) -> String {
        let chart = chart().display().to_string();
        self.run(&[&["template", "certcourier", &chart, "--namespace", namespace], arguments].concat()).await
    }
}

/// The documents of a YAML stream.
pub fn documents(text: &str) -> Vec<Value> {
    let parsed = text.split("\n---").map(|document| document.trim_start_matches("---"));
    let objects = parsed.map(|document| {
        serde_saphyr::from_str::<Value>(document).unwrap_or_else(|error| panic!("{error}: {document}"))
    });
    objects.filter(|object| !object.is_null()).collect()
}

/// Kind, namespace and name.
pub fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    let namespace = metadata["namespace"].as_str().unwrap_or("-");
    format!("{} {namespace} {}", object["kind"].as_str().unwrap(), metadata["name"].as_str().unwrap())
}
