//! A running control plane: started here, or attached to where another process started it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::OnceCell;

use crate::{
    Kubectl, KubectlError, Options, Program, VersionError, audit, binaries::BinariesError, description::Description,
};

mod access;
mod owned;
mod programs;
mod start;

use owned::Owned;

/// The environment variable that names the description of a running control plane, as `test-cluster run` sets it.
pub const ATTACH_VARIABLE: &str = "CERTCOURIER_TEST_CLUSTER";

/// etcd, kube-apiserver and kube-controller-manager on loopback ports, with people who have bearer tokens.
///
/// Dropping it stops the programs that it started and removes its directory; one that was attached to is left alone.
pub struct ControlPlane {
    description: Description,
    admin: kube::Config,
    /// Made from the same configuration when the control plane became ready.
    first_admin: kube::Client,
    /// Nothing when attached.
    owned: Option<Owned>,
}

/// Why a control plane does not do what it was asked for; the message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `K8S` names no version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The programs are not there.
    #[error(transparent)]
    Binaries(#[from] BinariesError),
    /// Keys, certificates or tokens could not be made.
    #[error("make the {what} of the control plane")]
    Keys {
        /// What was to be made.
        what: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of the control plane could not be read or written.
    #[error("use {} for the control plane: is the disk full, or TMPDIR not writable?", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A program could not be started or signalled.
    #[error("start or signal {program}")]
    Process {
        /// The program.
        program: Program,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A program ended by itself.
    #[error("{program} ended by itself: {reason}; read its log {}", log.display())]
    Died {
        /// The program.
        program: Program,
        /// The telling line of its log.
        reason: String,
        /// The whole log.
        log: PathBuf,
    },
    /// Something did not happen in time.
    #[error("waited {} s for {awaited}: {reason}; read the logs in {}", waited.as_secs(), logs.display())]
    NotReady {
        /// What did not happen.
        awaited: &'static str,
        /// For how long it was awaited.
        waited: Duration,
        /// The last answer.
        reason: String,
        /// The logs of all programs.
        logs: PathBuf,
    },
    /// A call to the API server failed.
    #[error("{call} on the control plane")]
    Api {
        /// The call.
        call: String,
        /// The cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// kubectl failed, where the caller turned its error into this one.
    #[error(transparent)]
    Kubectl(#[from] KubectlError),
    /// The manifests of [`Options::apply`] were not accepted.
    #[error("apply {} before the controllers start", manifests.display())]
    Apply {
        /// The file or folder.
        manifests: PathBuf,
        /// The cause.
        #[source]
        source: KubectlError,
    },
    /// A client could not be made from a kubeconfig.
    #[error("make a client for {name}")]
    Client {
        /// Whose client.
        name: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A name that is not in the token file.
    #[error("nobody is called `{name}` here: take one of {known}, or a ServiceAccount")]
    UnknownPerson {
        /// The name.
        name: String,
        /// Who there is.
        known: String,
    },
    /// A person is not in a group that the caller counts on.
    #[error(
        "{name} is in the groups {groups:?} and not in `{group}`: the token file is fixed, see test_cluster::people"
    )]
    NotInGroup {
        /// The person.
        name: String,
        /// The group.
        group: String,
        /// The groups that the person is in.
        groups: Vec<String>,
    },
    /// An attached control plane cannot be stopped from here.
    #[error(
        "{action} is not possible on a control plane that another process started: start one of your own with \
             ControlPlane::start"
    )]
    NotOurs {
        /// What was asked for.
        action: &'static str,
    },
    /// There is no audit log.
    #[error("this control plane keeps no audit log: start it with Options::audit_log, or `test-cluster --audit-log`")]
    NoAuditLog,
    /// The description of a running control plane could not be read.
    #[error("attach to the control plane described in {}: is it still running? unset {ATTACH_VARIABLE} to have one \
             started", file.display())]
    Attach {
        /// The description.
        file: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl ControlPlane {
    /// Starts a control plane and waits until it is of use: `/readyz` is good, and the `ServiceAccount` of the
    /// namespace `default` exists, which means that the controllers work too. Admission policies take effect a second
    /// or two after they are created, as on any cluster; waiting for that is the caller's part.
    ///
    /// # Errors
    /// [`Error`]. What was started is stopped again; the logs are kept, and the message says where.
    pub async fn start(options: Options) -> Result<Self, Error> {
        start::start(options).await
    }

    /// The control plane that `test-cluster run` started for this process, or one of its own if there is none.
    ///
    /// # Errors
    /// [`Error`]; see [`ControlPlane::start`].
    pub async fn attach() -> Result<Self, Error> {
        Self::attach_or_start(Options::default()).await
    }

    /// Like [`ControlPlane::attach`]; the options are for the case that there is none to attach to.
    ///
    /// # Errors
    /// [`Error`]; see [`ControlPlane::start`].
    pub async fn attach_or_start(options: Options) -> Result<Self, Error> {
        match std::env::var_os(ATTACH_VARIABLE) {
            Some(file) if !file.is_empty() => Self::attach_to(Path::new(&file)).await,
            _ => Self::start(options).await,
        }
    }

    /// The control plane that this file describes; see [`ControlPlane::description`].
    ///
    /// # Errors
    /// [`Error::Attach`] when there is no such file.
    pub async fn attach_to(file: &Path) -> Result<Self, Error> {
        let description = Description::read(file).map_err(|source| Error::Attach { file: file.to_owned(), source })?;
        Self::new(description, None).await
    }

    /// One control plane for all tests of this process: attached to or, by the first caller, started with these
    /// options. It stops when the process ends.
    ///
    /// # Errors
    /// [`Error`]; see [`ControlPlane::attach`].
    pub async fn shared(options: Options) -> Result<&'static Self, Error> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::attach_or_start(options)).await
    }

    async fn new(description: Description, owned: Option<Owned>) -> Result<Self, Error> {
        let kubeconfig = description.admin_kubeconfig();
        let text = std::fs::read_to_string(&kubeconfig).map_err(|source| Error::File { path: kubeconfig, source })?;
        let admin = access::config("admin", &text).await?;
        let first_admin = access::client("admin", admin.clone())?;
        Ok(Self { description, admin, first_admin, owned })
    }

    /// The URL of the API server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.description.url
    }

    /// The CA that signed its serving certificate.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.description.ca_pem
    }

    /// The kubectl of the same version; [`ControlPlane::admin_kubectl`] and [`crate::Person::kubectl`] set it up.
    #[must_use]
    pub fn kubectl(&self) -> &Path {
        &self.description.kubectl
    }

    /// Where its files lie.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.description.directory
    }

    /// The version as the API server names it, for example `v1.36.3`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.description.version
    }

    /// The file for [`ControlPlane::attach_to`] and [`ATTACH_VARIABLE`]; it holds everyone's tokens.
    #[must_use]
    pub fn description(&self) -> PathBuf {
        self.description.file()
    }

    /// What a program printed so far, for messages and for searches.
    #[must_use]
    pub fn log(&self, program: Program) -> PathBuf {
        self.description.log(program)
    }

    /// A new client with all rights, for setting things up. It retries nothing, and lives as long as the tokio runtime
    /// it was made in.
    #[must_use]
    pub fn admin(&self) -> kube::Client {
        // The same configuration gave a client when this control plane became ready, so it does so again.
        kube::Client::try_from(self.admin.clone()).unwrap_or_else(|_| self.first_admin.clone())
    }

    /// A kubeconfig with all rights, by a client certificate.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.description.admin_kubeconfig()
    }

    /// kubectl with all rights.
    #[must_use]
    pub fn admin_kubectl(&self) -> Kubectl {
        self.kubectl_with(&self.admin_kubeconfig())
    }

    fn kubectl_with(&self, kubeconfig: &Path) -> Kubectl {
        Kubectl::new(self.kubectl(), kubeconfig, &self.description.kubectl_cache())
    }

    /// The audit log so far, oldest first. An event is written after its answer was sent, so the last ones may be
    /// missing for a moment.
    ///
    /// # Errors
    /// [`Error::NoAuditLog`] unless it was started with one.
    pub fn audit_events(&self) -> Result<impl Iterator<Item = audit::Event> + use<>, Error> {
        if !self.description.audit {
            return Err(Error::NoAuditLog);
        }
        let path = self.description.audit_log();
        audit::read(&path).map_err(|source| Error::File { path, source })
    }
}

impl std::fmt::Debug for ControlPlane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ControlPlane")
            .field("url", &self.url())
            .field("version", &self.version())
            .field("directory", &self.directory())
            .finish_non_exhaustive()
    }
}
