//! `test-cluster`: the control plane of the tests from the shell.
#![expect(clippy::doc_markdown, reason = "doc comments are help texts here")]

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use test_cluster::{ATTACH_VARIABLE, ControlPlane, Options, Version, VersionError, binaries::Binaries};
use tokio::signal::unix::{SignalKind, signal};

/// How long a command that was told to end is waited for before it is told again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Starts a real Kubernetes control plane on loopback ports and stops it again.
///
/// etcd, kube-apiserver and kube-controller-manager: objects, RBAC, admission
/// policies and garbage collection are real; there are no nodes, pods never run.
///
/// Try it:
///   test-cluster up                              # stays until Ctrl-C
///   test-cluster run -- sh -c '$KUBECTL get ns'  # starts, runs, stops
///   test-cluster run -- cargo test               # one for all test binaries
///
/// The first start builds the programs with Go, once per version, which takes
/// some minutes. KUBEBUILDER_ASSETS names a folder with prebuilt ones instead.
#[derive(Parser)]
#[command(name = "test-cluster", verbatim_doc_comment, version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a control plane and keeps it until Ctrl-C or SIGTERM.
    ///
    /// Prints where the kubeconfigs are: one with all rights, and one for each person of the fixed list (alice, bob,
    /// carol …), who have no rights until a RoleBinding gives them some.
    Up(StartArguments),
    /// Starts a control plane, runs a command with it, stops it, and exits with the command's code.
    ///
    /// The command finds KUBECONFIG (all rights), KUBECTL (the matching kubectl), and CERTCOURIER_TEST_CLUSTER, by
    /// which tests attach to this control plane instead of starting their own. Each person's kubeconfig lies in the
    /// folder `people` beside the file that the last one names.
    Run {
        #[command(flatten)]
        start: StartArguments,
        /// The command with its arguments, after `--`.
        #[arg(last = true, required = true, value_name = "CMD")]
        command: Vec<OsString>,
    },
    /// Builds the programs, or finds them, and prints the folder they are in. Starts nothing.
    Build {
        #[command(flatten)]
        version: VersionArgument,
    },
}

#[derive(Args)]
struct StartArguments {
    #[command(flatten)]
    version: VersionArgument,
    /// Keeps the API server's audit log: who did what, and how it ended.
    #[arg(long)]
    audit_log: bool,
    /// Lets etcd wait for the disk, as in production; for benchmarks.
    #[arg(long)]
    fsync: bool,
    /// Knows people also by what this file of kind AuthenticationConfiguration says, such as an OIDC provider, which must
    /// answer before the API server starts.
    #[arg(long, value_name = "FILE")]
    authentication_config: Option<PathBuf>,
    /// Applies this file or folder of CRDs before the controllers start, so that the garbage collector knows them at
    /// once and not only after half a minute. May be given more than once.
    #[arg(long, value_name = "PATH")]
    apply: Vec<PathBuf>,
}

#[derive(Args)]
struct VersionArgument {
    /// The version of Kubernetes: 1.33, 1.36, 1.37, or any with its patch, such as 1.35.2. The default is what the
    /// environment variable K8S says, else 1.36.
    #[arg(long = "k8s", value_name = "VERSION")]
    version: Option<Version>,
}

impl VersionArgument {
    // Not by clap: to make and to shells an empty K8S is as good as none.
    fn version(&self) -> Result<Version, VersionError> {
        self.version.map_or_else(Version::from_environment, Ok)
    }
}

impl StartArguments {
    fn options(&self) -> Result<Options, VersionError> {
        let options = Options::default().audit_log(self.audit_log).fsync(self.fsync);
        let mut options = options.kubernetes(self.version.version()?);
        if let Some(file) = &self.authentication_config {
            options = options.authentication_config(file);
        }
        Ok(self.apply.iter().fold(options, Options::apply))
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let outcome =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start the async runtime").and_then(
            |runtime| {
                let outcome = runtime.block_on(run(command));
                // A build that nobody waits for any more must not keep the process.
                runtime.shutdown_background();
                outcome
            },
        );
    outcome.unwrap_or_else(|error| {
        eprintln!("test-cluster: {error:#}");
        ExitCode::FAILURE
    })
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build { version } => {
            let version = version.version()?;
            let binaries = tokio::task::spawn_blocking(move || Binaries::obtain(version)).await??;
            println!("{}", binaries.directory().display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Up(start) => up(start.options()?).await,
        Command::Run { start, command } => run_command(start.options()?, &command).await,
    }
}

async fn up(options: Options) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let plane = tokio::select! {
        plane = ControlPlane::start(options) => plane?,
        () = &mut stop => return Ok(ExitCode::FAILURE),
    };
    write_kubeconfigs(&plane).await?;
    println!("Kubernetes {} is ready at {}", plane.version(), plane.url());
    println!("  all rights   export KUBECONFIG={}", plane.admin_kubeconfig().display());
    println!("  as a person  export KUBECONFIG={}/people/alice.kubeconfig", plane.directory().display());
    println!("  kubectl      {}", plane.kubectl().display());
    println!("  tests        export {ATTACH_VARIABLE}={}", plane.description().display());
    println!("  logs         {}/logs", plane.directory().display());
    println!("  to stop      Ctrl-C here, or: kill {}", std::process::id());
    stop.await;
    eprintln!("test-cluster: stopping");
    Ok(ExitCode::SUCCESS)
}

async fn run_command(options: Options, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let plane = tokio::select! {
        plane = ControlPlane::start(options) => plane?,
        () = &mut stop => return Ok(ExitCode::FAILURE),
    };
    write_kubeconfigs(&plane).await?;
    let Some((program, arguments)) = command.split_first() else { return Ok(ExitCode::FAILURE) };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", plane.admin_kubeconfig())
        .env("KUBECTL", plane.kubectl())
        .env(ATTACH_VARIABLE, plane.description())
        .spawn()
        .with_context(|| format!("run {}", program.to_string_lossy()))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stop => end(&mut child).await?,
    };
    Ok(exit_code(status))
}

/// Asks a command to end, and waits until it has. Ctrl-C reached it too; a SIGTERM to us alone did not. bash loses the
/// signal if it comes while it reads a command substitution, so it is sent again.
async fn end(child: &mut tokio::process::Child) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(id) = child.id() {
            let _ = tokio::process::Command::new("kill").arg(id.to_string()).status().await;
        }
        if let Ok(status) = tokio::time::timeout(ASK_AGAIN, child.wait()).await {
            return status;
        }
    }
}

/// A kubeconfig for each person of the list, in the folder `people` beside the description of the control plane.
async fn write_kubeconfigs(plane: &ControlPlane) -> anyhow::Result<()> {
    for person in test_cluster::people::all() {
        plane.person(&person.name, &[]).await?;
    }
    Ok(())
}

/// The command's own code, or 128 and the signal that ended it, as shells have it.
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Ends with the first Ctrl-C, SIGTERM, or closed terminal. Listening starts at once.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
