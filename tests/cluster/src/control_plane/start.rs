//! Starting a control plane: files, programs, and the wait until they are of use.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client};
use tempfile::TempDir;

use super::{
    ControlPlane, Error,
    owned::Owned,
    programs::{self, Ports},
};
use crate::{
    KubectlError, Options, Program, Version,
    binaries::Binaries,
    description::Description,
    kubeconfig::{self, Credential},
    options::AuditLevel,
    people,
    pki::Pki,
    port, private_file,
    process::port_was_taken,
};

/// How often another process may be faster in taking a port.
const TRIES: usize = 5;
/// Ten times what a free machine needs.
const TIMEOUT: Duration = Duration::from_mins(1);
/// How often readiness is asked for.
const POLL: Duration = Duration::from_millis(25);

pub(super) async fn start(options: Options) -> Result<ControlPlane, Error> {
    let version = match options.kubernetes {
        Some(version) => version,
        None => Version::from_environment()?,
    };
    let binaries = tokio::task::spawn_blocking(move || Binaries::obtain(version))
        .await
        .map_err(|source| Error::Keys { what: "programs", source: source.into() })??;
    let mut tries = 1;
    loop {
        match try_start(&options, &binaries).await {
            Err(Error::Died { log, .. }) if tries < TRIES && port_was_taken(&log) => {
                tries += 1;
                // Kept for a message that is not needed.
                let _ = log.parent().map(std::fs::remove_dir_all);
            }
            outcome => return outcome,
        }
    }
}

async fn try_start(options: &Options, binaries: &Binaries) -> Result<ControlPlane, Error> {
    let temporary = std::env::temp_dir();
    let failed = |source| Error::File { path: temporary.clone(), source };
    let directory = tempfile::Builder::new()
        .prefix("certcourier-control-plane-")
        .permissions(PermissionsExt::from_mode(0o700))
        .tempdir()
        .map_err(failed)?;
    let [apiserver, etcd, etcd_peer] = port::free().map_err(failed)?;
    let ports = Ports { apiserver, etcd, etcd_peer };
    let description = write_files(&directory, ports, options, binaries)?;
    let owned = Owned::new(directory, ports, options.clone(), binaries.clone()).map_err(failed)?;
    let mut plane = ControlPlane::new(description, Some(owned)).await?;
    match bring_up(&mut plane).await {
        Ok(()) => Ok(plane),
        Err(error) => Err(keep_logs(error, &plane.description.directory)),
    }
}

/// Keys, tokens, kubeconfigs and the audit policy.
fn write_files(
    directory: &TempDir,
    ports: Ports,
    options: &Options,
    binaries: &Binaries,
) -> Result<Description, Error> {
    let directory = directory.path();
    let keys = |source: crate::pki::PkiError| Error::Keys { what: "certificates", source: source.into() };
    let description = Description {
        version: String::new(),
        url: format!("https://127.0.0.1:{}", ports.apiserver),
        ca_pem: String::new(),
        directory: directory.to_owned(),
        kubectl: binaries.path(Program::Kubectl),
        tokens: people::tokens().map_err(|source| Error::Keys { what: "tokens", source: source.into() })?,
        audit: options.audit != AuditLevel::Off,
    };
    let pki = Pki::at(&description.pki());
    let description = Description { ca_pem: pki.create().map_err(keys)?, ..description };
    let kubeconfig = |user, group| -> Result<String, Error> {
        let certificate = pki.client(user, group).map_err(keys)?;
        Ok(kubeconfig::text(&description.url, &description.ca_pem, user, &Credential::Certificate(&certificate)))
    };
    for (path, content) in [
        (description.admin_kubeconfig(), kubeconfig("admin", Some("system:masters"))?),
        (programs::controller_manager_kubeconfig(directory), kubeconfig("system:kube-controller-manager", None)?),
        (programs::token_file(directory), people::token_file(&description.tokens)),
        (programs::audit_policy_file(directory), programs::audit_policy(options.audit)),
        (description.log(Program::Apiserver), String::new()),
    ] {
        private_file::write(&path, content.as_bytes()).map_err(|source| Error::File { path, source })?;
    }
    Ok(description)
}

/// Starts the programs side by side and waits for them.
async fn bring_up(plane: &mut ControlPlane) -> Result<(), Error> {
    let Some(owned) = &plane.owned else { return Ok(()) };
    for program in [Program::Etcd, Program::Apiserver] {
        owned.spawn(program, &plane.description)?;
    }
    let client = plane.admin();
    await_apiserver(&client, owned, &plane.description).await?;
    for manifests in &owned.options.manifests {
        apply(plane, manifests).await.map_err(|source| Error::Apply { manifests: manifests.clone(), source })?;
    }
    owned.spawn(Program::ControllerManager, &plane.description)?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
    wait(owned, &plane.description, "the ServiceAccount of the namespace default", async || {
        match accounts.get_opt("default").await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err("it does not exist yet".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    let version = client
        .apiserver_version()
        .await
        .map_err(|source| Error::Api { call: "get /version".to_owned(), source: Box::new(source) })?;
    plane.description.version = version.git_version;
    let file = plane.description.file();
    plane.description.write().map_err(|source| Error::File { path: file, source })
}

/// Applies manifests and waits until every CRD among them is served.
async fn apply(plane: &ControlPlane, manifests: &Path) -> Result<(), KubectlError> {
    let kubectl = plane.admin_kubectl();
    kubectl.check(["apply", "--server-side", "-f", &manifests.to_string_lossy()]).await?;
    // Not --all: there may be none among them, which would be an error.
    let names = kubectl.check(["get", "crd", "-o", "name"]).await?.stdout;
    let mut wait = vec!["wait", "--for=condition=Established", "--timeout=20s"];
    wait.extend(names.lines());
    if names.is_empty() { Ok(()) } else { kubectl.check(wait).await.map(drop) }
}

/// Waits until `/readyz` is good.
pub(super) async fn await_apiserver(client: &Client, owned: &Owned, description: &Description) -> Result<(), Error> {
    wait(owned, description, "the API server", async || {
        let request = http::Request::get("/readyz").body(Vec::new()).map_err(|error| error.to_string())?;
        client.request_text(request).await.map(drop).map_err(|error| error.to_string())
    })
    .await
}

/// Asks until the answer is good, a program ended, or the time is over.
async fn wait(
    owned: &Owned,
    description: &Description,
    awaited: &'static str,
    ask: impl AsyncFn() -> Result<(), String>,
) -> Result<(), Error> {
    let start = Instant::now();
    loop {
        owned.check()?;
        // A call that hangs must not hide a program that ended.
        let answer = tokio::time::timeout(Duration::from_secs(2), ask()).await;
        let reason = match answer {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(reason)) => reason,
            Err(_) => "no answer within 2 s".to_owned(),
        };
        if start.elapsed() > TIMEOUT {
            let logs = logs(&description.directory);
            return Err(Error::NotReady { awaited, waited: start.elapsed(), reason, logs });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn logs(directory: &Path) -> PathBuf {
    directory.join("logs")
}

/// Moves the logs out of a directory that is about to be removed, and says so in the error.
fn keep_logs(error: Error, directory: &Path) -> Error {
    let kept = directory.with_added_extension("logs");
    if std::fs::rename(logs(directory), &kept).is_err() {
        return error;
    }
    match error {
        Error::Died { program, reason, log } => {
            Error::Died { program, reason, log: kept.join(log.file_name().unwrap_or_default()) }
        }
        Error::NotReady { awaited, waited, reason, .. } => Error::NotReady { awaited, waited, reason, logs: kept },
        other => other,
    }
}
