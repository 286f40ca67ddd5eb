//! Where the four programs come from: `KUBEBUILDER_ASSETS`, else this project's cache, else a build from Go modules.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::{Program, Version};

mod build;

pub use build::BuildError;

/// The folder of prebuilt programs, by the convention of envtest (kubebuilder, controller-runtime).
const ASSETS_VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// A folder that holds all four programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    directory: PathBuf,
}

/// Why the programs are not there.
#[derive(Debug, thiserror::Error)]
pub enum BinariesError {
    /// The folder that the user named lacks a program.
    #[error("KUBEBUILDER_ASSETS is {} but that folder has no executable {missing}: add {missing} of the same \
             Kubernetes version, or unset KUBEBUILDER_ASSETS to have everything built", directory.display())]
    Assets {
        /// The folder.
        directory: PathBuf,
        /// What it lacks.
        missing: Program,
    },
    /// There is no home directory to keep a cache in.
    #[error("neither HOME nor XDG_CACHE_HOME is set: set XDG_CACHE_HOME to a folder that may keep 300 MB")]
    NoCache,
    /// A folder or lock of the cache could not be made.
    #[error("use {} as the cache of control plane programs", directory.display())]
    Cache {
        /// The folder.
        directory: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl Binaries {
    /// Finds the programs, or builds them, which takes minutes and tells its progress on stderr. Blocks.
    ///
    /// # Errors
    /// [`BinariesError`], with what to do next.
    pub fn obtain(version: Version) -> Result<Self, BinariesError> {
        if let Some(directory) = set_variable(ASSETS_VARIABLE) {
            return Self::from_assets(PathBuf::from(directory));
        }
        let directory = cache_root()?.join(version.to_string());
        let found = Self { directory };
        if found.missing().is_none() {
            return Ok(found);
        }
        found.build(version)?;
        Ok(found)
    }

    fn from_assets(directory: PathBuf) -> Result<Self, BinariesError> {
        let found = Self { directory };
        match found.missing() {
            None => Ok(found),
            Some(missing) => Err(BinariesError::Assets { directory: found.directory, missing }),
        }
    }

    /// The folder that holds them.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of one of them.
    #[must_use]
    pub fn path(&self, program: Program) -> PathBuf {
        self.directory.join(program.name())
    }

    fn missing(&self) -> Option<Program> {
        Program::ALL.into_iter().find(|program| !is_executable(&self.path(*program)))
    }

    /// Builds what is missing, one process at a time on this machine.
    fn build(&self, version: Version) -> Result<(), BinariesError> {
        let cache = |source| BinariesError::Cache { directory: self.directory.clone(), source };
        fs::create_dir_all(&self.directory).map_err(cache)?;
        let lock = fs::File::create(self.directory.join("build.lock")).map_err(cache)?;
        if lock.try_lock().is_err() {
            eprintln!("test-cluster: another process builds Kubernetes {version}; waiting for it");
            lock.lock().map_err(cache)?;
        }
        let missing: Vec<Program> =
            Program::ALL.into_iter().filter(|program| !is_executable(&self.path(*program))).collect();
        build::build(version, &self.directory, &missing)?;
        Ok(())
    }
}

/// An environment variable that is set to something.
fn set_variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn cache_root() -> Result<PathBuf, BinariesError> {
    set_variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| set_variable("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("certcourier").join("control-plane"))
        .ok_or(BinariesError::NoCache)
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(directory: &Path, program: Program, mode: u32) {
        let path = directory.join(program.name());
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_with_all_four_programs_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        for program in Program::ALL {
            put(directory.path(), program, 0o755);
        }
        let binaries = Binaries::from_assets(directory.path().to_owned()).unwrap();
        assert_eq!(binaries.path(Program::Etcd), directory.path().join("etcd"));
    }

    #[test]
    fn a_folder_without_the_controller_manager_is_named_together_with_what_it_lacks() {
        let directory = tempfile::tempdir().unwrap();
        for program in [Program::Apiserver, Program::Etcd, Program::Kubectl] {
            put(directory.path(), program, 0o755);
        }
        // Present but not executable is as good as missing.
        put(directory.path(), Program::ControllerManager, 0o644);
        let message = Binaries::from_assets(directory.path().to_owned()).unwrap_err().to_string();
        assert!(message.contains("no executable kube-controller-manager"), "{message}");
        assert!(message.contains(&directory.path().display().to_string()), "{message}");
        assert!(message.contains("unset KUBEBUILDER_ASSETS"), "{message}");
    }
}
