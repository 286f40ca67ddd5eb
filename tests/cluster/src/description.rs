//! The description of a running control plane: a file from which another process attaches to it. It holds tokens, so
//! only its owner may read it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{person::Token, private_file, process::Program};

/// Everything about a running control plane that does not change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Description {
    /// The version as the API server names it, for example `v1.36.3`.
    pub(crate) version: String,
    pub(crate) url: String,
    pub(crate) ca_pem: String,
    pub(crate) directory: PathBuf,
    pub(crate) kubectl: PathBuf,
    /// By user name.
    pub(crate) tokens: BTreeMap<String, Token>,
    pub(crate) audit: bool,
}

impl Description {
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.join("control-plane.json")
    }

    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.directory.join("admin.kubeconfig")
    }

    pub(crate) fn kubectl_cache(&self) -> PathBuf {
        self.directory.join("kubectl-cache")
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.directory.join("pki")
    }

    pub(crate) fn audit_log(&self) -> PathBuf {
        self.directory.join("logs").join("audit.jsonl")
    }

    pub(crate) fn log(&self, program: Program) -> PathBuf {
        self.directory.join("logs").join(format!("{program}.log"))
    }

    pub(crate) fn write(&self) -> io::Result<()> {
        private_file::write(&self.file(), &serde_json::to_vec_pretty(self)?)
    }

    pub(crate) fn read(file: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(file)?)?)
    }
}
