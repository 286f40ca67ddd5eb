//! Builds the programs with Go from a small module that requires `k8s.io/kubernetes`. Called once per version and
//! machine, by [`super::Binaries`], which holds the lock.
//!
//! `k8s.io/kubernetes` replaces its staging modules by folders that its published zip does not hold; our module
//! replaces them by their published twins instead, `v0.MINOR.PATCH` for `v1.MINOR.PATCH`.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    Program, Version,
    process::{last_error_line, supervised},
};

/// The module of the default version, resolved and checked in.
const DEFAULT_GO_MOD: &str = include_str!("../../binaries/go.mod");
const DEFAULT_GO_SUM: &str = include_str!("../../binaries/go.sum");
const TOOLS_GO: &str = include_str!("../../binaries/tools.go");

/// Of which this build is the most; README.md, docs/quickstart.md and the Makefile say the same, which a test compares.
const TIME_OF_THE_DEMO: &str =
    "about 20 minutes the first time (measured 18 on 2 cores), about 20 seconds from then on";
/// How often a running step says that it is still running.
const PROGRESS: Duration = Duration::from_secs(15);
/// How often a running step is looked at.
const POLL: Duration = Duration::from_millis(200);

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no Go.
    #[error(
        "Kubernetes {version} must be built once and `go` is not on the PATH: install Go 1.26 or newer \
             (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, \
             kube-controller-manager and kubectl"
    )]
    NoGo {
        /// What was to be built.
        version: Version,
    },
    /// A step of the build failed.
    #[error("{step} failed: {reason}; the whole output is in {}; the next run goes on where this one stopped",
            log.display())]
    Step {
        /// What was being done.
        step: String,
        /// The telling line of its output.
        reason: String,
        /// Where its output is.
        log: PathBuf,
    },
    /// A file of the build could not be read or written.
    #[error("use {} for the build of the control plane", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Builds `programs` into `directory`, each complete under its name or not there at all.
pub(super) fn build(version: Version, directory: &Path, programs: &[Program]) -> Result<(), BuildError> {
    if programs.is_empty() {
        return Ok(());
    }
    if Command::new("go").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        return Err(BuildError::NoGo { version });
    }
    eprintln!(
        "test-cluster: building Kubernetes {version} into {}, once. `make demo` takes {TIME_OF_THE_DEMO}",
        directory.display()
    );
    let module = Module { version, directory: directory.join("module"), log: directory.join("build.log") };
    module.write()?;
    let go_mod = module.get(&module.directory.join("go.mod"))?;
    for (number, program) in programs.iter().enumerate() {
        let own = version_of(*program, version, &go_mod);
        let step = format!("build {program} {own} ({} of {})", number + 1, programs.len());
        let unfinished = directory.join(format!("{program}.unfinished"));
        let finished = directory.join(program.name());
        module.go(
            &step,
            &[
                "build",
                "-mod=mod",
                "-trimpath",
                "-ldflags",
                &link_flags(version),
                "-o",
                &unfinished.to_string_lossy(),
                package(*program),
            ],
        )?;
        fs::rename(&unfinished, &finished).map_err(|source| BuildError::File { path: finished, source })?;
    }
    Ok(())
}

/// The Go module that the programs are built in.
struct Module {
    version: Version,
    directory: PathBuf,
    log: PathBuf,
}

impl Module {
    /// Writes the module: as it is checked in for the default version, else generated.
    fn write(&self) -> Result<(), BuildError> {
        fs::create_dir_all(&self.directory)
            .map_err(|source| BuildError::File { path: self.directory.clone(), source })?;
        self.put("tools.go", TOOLS_GO)?;
        if self.version == Version::DEFAULT {
            self.put("go.mod", DEFAULT_GO_MOD)?;
            return self.put("go.sum", DEFAULT_GO_SUM);
        }
        let version = self.version;
        // A module must exist before `go mod download` of another can run.
        self.put("go.mod", "module certcourier/controlplane\n")?;
        let wanted = format!("k8s.io/kubernetes@v{version}");
        self.go(&format!("download {wanted}"), &["mod", "download", &wanted])?;
        let source = self.module_cache()?.join(&wanted);
        self.put("go.mod", &generated_go_mod(version, &self.get(&source.join("go.mod"))?))?;
        self.put("go.sum", &self.get(&source.join("go.sum"))?)?;
        self.go(&format!("resolve the modules of Kubernetes {version}"), &["mod", "tidy"])
    }

    fn put(&self, name: &str, content: &str) -> Result<(), BuildError> {
        let path = self.directory.join(name);
        fs::write(&path, content).map_err(|source| BuildError::File { path, source })
    }

    #[expect(clippy::unused_self, reason = "reads beside put")]
    fn get(&self, path: &Path) -> Result<String, BuildError> {
        fs::read_to_string(path).map_err(|source| BuildError::File { path: path.to_owned(), source })
    }

    fn module_cache(&self) -> Result<PathBuf, BuildError> {
        let path = PathBuf::from("go env GOMODCACHE");
        let output = Command::new("go")
            .args(["env", "GOMODCACHE"])
            .current_dir(&self.directory)
            .output()
            .map_err(|source| BuildError::File { path, source })?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// Runs go in the module; says what and for how long.
    fn go(&self, step: &str, arguments: &[&str]) -> Result<(), BuildError> {
        let failed = |reason| BuildError::Step { step: step.to_owned(), reason, log: self.log.clone() };
        let log = |source| BuildError::File { path: self.log.clone(), source };
        let output = fs::File::create(&self.log).map_err(log)?;
        // Supervised: a build of minutes ends with the process that wanted it.
        let mut child = supervised(Path::new("go"))
            .args(arguments)
            .current_dir(&self.directory)
            .env("GOWORK", "off")
            .env("GOFLAGS", "")
            .stderr(output)
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let start = Instant::now();
        let mut next_report = PROGRESS;
        eprintln!("test-cluster: {step} …");
        loop {
            match child.try_wait() {
                Ok(Some(status)) if status.success() => {
                    eprintln!("test-cluster: {step}: done in {} s", start.elapsed().as_secs());
                    return Ok(());
                }
                Ok(Some(_)) => return Err(failed(last_error_line(&self.log))),
                Ok(None) => std::thread::sleep(POLL),
                Err(error) => return Err(failed(error.to_string())),
            }
            if start.elapsed() >= next_report {
                eprintln!("test-cluster: {step}: {} s so far", start.elapsed().as_secs());
                next_report += PROGRESS;
            }
        }
    }
}

const fn package(program: Program) -> &'static str {
    match program {
        Program::Etcd => "go.etcd.io/etcd/server/v3",
        Program::Apiserver => "k8s.io/kubernetes/cmd/kube-apiserver",
        Program::ControllerManager => "k8s.io/kubernetes/cmd/kube-controller-manager",
        Program::Kubectl => "k8s.io/kubernetes/cmd/kubectl",
    }
}

/// etcd has a version of its own, which the module names; the others have that of Kubernetes.
fn version_of(program: Program, version: Version, go_mod: &str) -> String {
    let module = package(program);
    let named = go_mod.lines().find_map(|line| line.trim().strip_prefix(module)?.trim().strip_prefix('v'));
    let named = named.and_then(|rest| rest.split_whitespace().next());
    named.map_or_else(|| version.to_string(), str::to_owned)
}

/// Without these the programs call themselves v0.0.0 and refuse to work together.
fn link_flags(version: Version) -> String {
    let variable = "k8s.io/component-base/version";
    format!(
        "-s -w -X {variable}.gitVersion=v{version} -X {variable}.gitMajor=1 -X {variable}.gitMinor={}",
        version.minor
    )
}

/// go.mod for a version, from the go.mod of `k8s.io/kubernetes` itself: its Go version and its staging modules.
fn generated_go_mod(version: Version, kubernetes_go_mod: &str) -> String {
    let go = kubernetes_go_mod.lines().find(|line| line.starts_with("go ")).unwrap_or("go 1.24");
    let mut file =
        format!("module certcourier/controlplane\n\n{go}\n\nrequire k8s.io/kubernetes v{version}\n\nreplace (\n");
    for line in kubernetes_go_mod.lines() {
        if let Some((module, target)) = line.split_once("=>")
            && target.trim().starts_with("./staging/src/")
        {
            let module = module.trim().trim_start_matches("replace ").trim();
            // Writing to a String cannot fail.
            let _ = writeln!(file, "\t{module} => {module} v0.{}.{}", version.minor, version.patch);
        }
    }
    file.push_str(")\n");
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staging_folders_are_replaced_by_their_published_twins() {
        let kubernetes = "module k8s.io/kubernetes\n\ngo 1.24.0\n\nreplace (\n\
            \tk8s.io/api => ./staging/src/k8s.io/api\n\tk8s.io/other => example.org/fork v1.0.0\n)\n";
        assert_eq!(
            generated_go_mod(Version { minor: 33, patch: 13 }, kubernetes),
            "module certcourier/controlplane\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v1.33.13\n\nreplace (\n\
             \tk8s.io/api => k8s.io/api v0.33.13\n)\n"
        );
    }

    #[test]
    fn a_step_names_the_version_of_the_program_that_it_builds() {
        let of = |program| version_of(program, Version::DEFAULT, DEFAULT_GO_MOD);
        let etcd = of(Program::Etcd);
        assert!(
            etcd.starts_with("3.") && DEFAULT_GO_MOD.contains(&format!("go.etcd.io/etcd/server/v3 v{etcd}\n")),
            "{etcd}"
        );
        assert_eq!(of(Program::Apiserver), Version::DEFAULT.to_string());
        assert_eq!(version_of(Program::Etcd, Version::DEFAULT, ""), Version::DEFAULT.to_string());
    }

    #[test]
    fn the_checked_in_module_is_of_the_default_version() {
        assert!(DEFAULT_GO_MOD.contains(&format!("k8s.io/kubernetes v{}\n", Version::DEFAULT)));
        for program in Program::ALL {
            assert!(TOOLS_GO.contains(&format!("_ \"{}\"", package(program))), "{program}");
        }
    }
}
