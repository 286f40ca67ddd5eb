//! How a control plane is to be started. Holds choices only.

use std::path::{Path, PathBuf};

use crate::version::Version;

/// Choices for [`crate::ControlPlane::start`]; the default is what most tests want: Kubernetes as the environment
/// variable `K8S` says (else 1.36), no audit log, no fsync.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) kubernetes: Option<Version>,
    pub(crate) audit: AuditLevel,
    pub(crate) fsync: bool,
    pub(crate) apiserver_arguments: Vec<String>,
    pub(crate) manifests: Vec<PathBuf>,
}

/// How much of each API call the audit log keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AuditLevel {
    #[default]
    Off,
    Metadata,
    RequestResponse,
}

impl Options {
    /// Runs this version whatever `K8S` says.
    #[must_use]
    pub fn kubernetes(mut self, version: Version) -> Self {
        self.kubernetes = Some(version);
        self
    }

    /// Keeps who did what, and how it ended, of every API call; read it with [`crate::ControlPlane::audit_events`].
    #[must_use]
    pub fn audit_log(mut self, on: bool) -> Self {
        self.audit = if on { AuditLevel::Metadata } else { AuditLevel::Off };
        self
    }

    /// Like [`Options::audit_log`], with the bodies of requests and answers, Secrets included.
    #[must_use]
    pub fn audit_bodies(mut self) -> Self {
        self.audit = AuditLevel::RequestResponse;
        self
    }

    /// Lets etcd wait for the disk, as it does in production. For benchmarks; tests are faster without.
    #[must_use]
    pub fn fsync(mut self, on: bool) -> Self {
        self.fsync = on;
        self
    }

    /// One more argument for kube-apiserver, for example `--runtime-config=…`; it is added last and so wins.
    #[must_use]
    pub fn apiserver_argument(mut self, argument: impl Into<String>) -> Self {
        self.apiserver_arguments.push(argument.into());
        self
    }

    /// Lets the API server know people by what this file of kind `AuthenticationConfiguration` says, besides the
    /// tokens of the fixed list: by an OIDC provider, which must answer before the API server starts.
    #[must_use]
    pub fn authentication_config(self, file: &Path) -> Self {
        self.apiserver_argument(format!("--authentication-config={}", file.display()))
    }

    /// Applies a file of manifests, or all files of a folder, before kube-controller-manager starts. For CRDs: its
    /// garbage collector looks for new resource types every 30 s only, and knows these from the start.
    #[must_use]
    pub fn apply(mut self, manifests: impl Into<PathBuf>) -> Self {
        self.manifests.push(manifests.into());
        self
    }
}
