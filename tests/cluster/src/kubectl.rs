//! kubectl as someone, bounded in time: a namespace that cannot be deleted must not hang a test for ever.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{io::AsyncWriteExt as _, process::Command};

/// Longer than anything but a wait takes on a control plane of one machine.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// How much longer than its own `--request-timeout` kubectl may run, so that its own message is seen.
const SLACK: Duration = Duration::from_secs(5);

/// kubectl with one kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
    timeout: Duration,
}

/// How a kubectl run ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
}

/// Why kubectl gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// It did not start, or its output could not be read.
    #[error("run `kubectl {arguments}`")]
    Run {
        /// Its arguments.
        arguments: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// It was ended because it took too long.
    #[error("`kubectl {arguments}` did not end within {} s: give it longer with Kubectl::timeout, or look for a \
             finalizer that nobody removes", timeout.as_secs())]
    Timeout {
        /// Its arguments.
        arguments: String,
        /// How long it was given.
        timeout: Duration,
    },
    /// It ended with an error although success was asked for.
    #[error("`kubectl {arguments}` failed with exit code {code:?}: {stderr}")]
    Failed {
        /// Its arguments.
        arguments: String,
        /// Its exit code.
        code: Option<i32>,
        /// What it complained about.
        stderr: String,
    },
}

impl Output {
    /// Whether the exit code was 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl Kubectl {
    pub(crate) fn new(program: &Path, kubeconfig: &Path, cache: &Path) -> Self {
        Self {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            cache: cache.to_owned(),
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// Bounds each run, and each request in it. Needed for `kubectl wait` beyond the default of 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with another kubeconfig, for example of [`crate::ControlPlane::certificate_kubeconfig`].
    #[must_use]
    pub fn kubeconfig(mut self, kubeconfig: &Path) -> Self {
        kubeconfig.clone_into(&mut self.kubeconfig);
        self
    }

    /// The command with kubeconfig and request timeout set, to be started by the caller; it ends when its handle is
    /// dropped.
    pub fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg(format!("--request-timeout={}s", self.timeout.as_secs().max(1)))
            .args(arguments)
            // kubectl caches what an API server offers by host and port, and ports come back on other control planes.
            .env("KUBECACHEDIR", &self.cache)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs it and returns what it printed, whatever its exit code.
    ///
    /// # Errors
    /// [`KubectlError::Run`] and [`KubectlError::Timeout`].
    pub async fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Result<Output, KubectlError> {
        self.run_with(arguments, "").await
    }

    /// Like [`Kubectl::run`] with `input` as stdin, for example for `apply -f -`.
    ///
    /// # Errors
    /// [`KubectlError::Run`] and [`KubectlError::Timeout`].
    pub async fn run_with<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        arguments: I,
        input: &str,
    ) -> Result<Output, KubectlError> {
        let arguments: Vec<OsString> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let shown = shown(&arguments);
        let run = async {
            let mut command = self.command(&arguments);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            let stdin = child.stdin.take();
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // kubectl may end without reading its stdin; its exit code tells.
                    let _ = stdin.write_all(input.as_bytes()).await;
                }
            };
            let ((), output) = tokio::join!(feed, child.wait_with_output());
            output
        };
        match tokio::time::timeout(self.timeout + SLACK, run).await {
            Ok(Ok(output)) => Ok(Output {
                stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                code: output.status.code(),
            }),
            Ok(Err(source)) => Err(KubectlError::Run { arguments: shown, source }),
            Err(_) => Err(KubectlError::Timeout { arguments: shown, timeout: self.timeout + SLACK }),
        }
    }

    /// Like [`Kubectl::run`], and anything but success is an error.
    ///
    /// # Errors
    /// [`KubectlError`], with what kubectl complained about.
    pub async fn check<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Result<Output, KubectlError> {
        self.check_with(arguments, "").await
    }

    /// Like [`Kubectl::run_with`], and anything but success is an error.
    ///
    /// # Errors
    /// [`KubectlError`], with what kubectl complained about.
    pub async fn check_with<I: IntoIterator<Item: AsRef<OsStr>>>(
        &self,
        arguments: I,
        input: &str,
    ) -> Result<Output, KubectlError> {
        let arguments: Vec<OsString> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let output = self.run_with(&arguments, input).await?;
        if output.succeeded() {
            return Ok(output);
        }
        Err(KubectlError::Failed { arguments: shown(&arguments), code: output.code, stderr: output.stderr })
    }

    /// `kubectl apply -f -` with these manifests; anything but success is an error.
    ///
    /// # Errors
    /// [`KubectlError`], with what kubectl complained about.
    pub async fn apply(&self, manifests: &str) -> Result<(), KubectlError> {
        self.check_with(["apply", "-f", "-"], manifests).await.map(drop)
    }
}

fn shown(arguments: &[OsString]) -> String {
    arguments.join(OsStr::new(" ")).to_string_lossy().into_owned()
}
