//! The two programs as local processes: with the flags that the chart gave their containers and the rights of the
//! ServiceAccounts that it made. Only addresses differ, because there is no pod network here.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use test_cluster::{ControlPlane, Process, free_ports};
use test_support::{
    program::binary,
    waiting::{Look, Wait},
};

/// Flags whose value is a place in the pod network.
const PLACES: [&str; 2] = ["--listen", "--metrics-address"];

/// Running programs; dropped, they end as in a rollout.
pub struct Operator {
    programs: Vec<(Process<&'static str>, PathBuf)>,
}

impl Operator {
    /// Starts what the Deployments of this namespace describe: one controller, and a server on each of `ports`.
    pub async fn start(plane: &ControlPlane, namespace: &str, ports: [u16; 2], logs: &Path) -> Self {
        let kubectl = plane.admin_kubectl();
        let list = kubectl.check(["-n", namespace, "get", "deployments", "-o", "json"]).await.unwrap();
        let list: Value = serde_json::from_str(&list.stdout).unwrap();
        let mut programs = Vec::new();
        for deployment in list["items"].as_array().unwrap() {
            let pod = &deployment["spec"]["template"]["spec"];
            let account = pod["serviceAccountName"].as_str().unwrap();
            let kubeconfig = plane.service_account(namespace, account, &[]).await.unwrap().kubeconfig;
            for container in pod["containers"].as_array().unwrap() {
                let mut given: Vec<String> = serde_json::from_value(container["args"].clone()).unwrap();
                given.retain(|argument| !PLACES.iter().any(|place| argument.starts_with(place)));
                // What the pod knows of itself.
                given.push(format!("--namespace={namespace}"));
                given.push(format!("--kubeconfig={}", kubeconfig.display()));
                let replicas: &[Option<u16>] = if container["name"] == "server" { &ports.map(Some) } else { &[None] };
                for port in replicas {
                    let name = if port.is_some() { "server" } else { "controller" };
                    let mut arguments = given.clone();
                    arguments.extend(port.map(|port| format!("--listen=127.0.0.1:{port}")));
                    let [probe] = free_ports().unwrap();
                    arguments.push(format!("--metrics-address=127.0.0.1:{probe}"));
                    let log = logs.join(format!("{account}-{name}-{}.log", port.unwrap_or_default()));
                    programs.push((Process::spawn(name, &binary("certcourier"), &arguments, &log).unwrap(), log));
                }
            }
        }
        assert_eq!(programs.len(), 3);
        Self { programs }
    }

    /// What they have logged last, for a message.
    pub fn tail(&self) -> String {
        let last = |(program, log): &(Process<&'static str>, PathBuf)| {
            let lines = fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = lines.lines().collect();
            let last = &lines[lines.len().saturating_sub(12)..];
            format!("\n{}:\n{}", program.program(), last.join("\n"))
        };
        self.programs.iter().map(last).collect::<Vec<_>>().concat()
    }

    /// Looks until there is what was waited for: a rollout takes longer than most.
    pub async fn until<L: Look>(&self, what: &str, look: impl AsyncFnMut() -> L) -> L::Found {
        Wait::at_most(Duration::from_secs(45)).telling(&|| self.tail()).until(what, look).await
    }
}
