//! One supervised program of the control plane: started, signalled, awaited, and gone when its owner is gone.
//!
//! The program is the child of a small shell (`supervise.sh`) that watches a pipe from this process. When the pipe
//! closes, because the owner dropped the [`Process`] or was killed, the shell ends the program. `PR_SET_PDEATHSIG`
//! would need unsafe code.

use std::{
    fmt, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How long a program may take to end by itself after SIGTERM, before SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often an ending program is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How much of the end of a log is searched for the reason of a failure.
const LOG_TAIL_BYTES: usize = 64 * 1024;

/// A program of the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// The store.
    Etcd,
    /// The API server.
    Apiserver,
    /// Garbage collection, namespaces, `ServiceAccount`s.
    ControllerManager,
    /// The command line client.
    Kubectl,
}

impl Program {
    /// All four, in the order in which they are built: the longest first.
    pub const ALL: [Self; 4] = [Self::Apiserver, Self::ControllerManager, Self::Kubectl, Self::Etcd];

    /// The name of its file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Kubectl => "kubectl",
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A signal for a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// End, cleanly.
    Term,
    /// End now.
    Kill,
    /// Freeze: connections stay open, nothing is answered.
    Stop,
    /// Go on after [`Signal::Stop`].
    Continue,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

/// A running program; ends when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    program: Program,
    supervisor: Child,
    /// Closing it ends the program.
    signals: Option<ChildStdin>,
    id: u32,
    log: PathBuf,
}

impl Process {
    /// Starts `path`; its output is appended to `log`.
    pub(crate) fn spawn(program: Program, path: &Path, arguments: &[String], log: &Path) -> io::Result<Self> {
        let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut supervisor = Command::new("/bin/sh")
            .args(["-c", include_str!("supervise.sh"), "supervise"])
            .arg(GRACE.as_secs().to_string())
            .arg(path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(output)
            // Ctrl-C in a terminal goes to the caller alone, who then stops things in order.
            .process_group(0)
            .spawn()?;
        let signals = supervisor.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = supervisor.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let id = line.trim().parse().map_err(|_| io::Error::other("its supervising shell ended at once"))?;
        Ok(Self { program, supervisor, signals, id, log: log.to_owned() })
    }

    pub(crate) fn program(&self) -> Program {
        self.program
    }

    /// The process id of the program itself.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.supervisor.try_wait()
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match &mut self.signals {
            Some(pipe) => writeln!(pipe, "{}", signal.name()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Asks it to end, without waiting: SIGTERM now, SIGKILL after [`GRACE`].
    pub(crate) fn begin_stop(&mut self) {
        self.signals = None;
    }

    /// Ends it and waits until it is gone.
    pub(crate) fn stop(&mut self) {
        self.begin_stop();
        // The shell sends SIGKILL after the grace; the rest is time for a busy machine.
        let deadline = Instant::now() + GRACE + Duration::from_secs(10);
        while Instant::now() < deadline {
            if !matches!(self.ended(), Ok(None)) {
                return;
            }
            std::thread::sleep(POLL);
        }
        eprintln!("test-cluster: {} (process {}) does not end; log: {}", self.program, self.id, self.log.display());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The line of a log that most likely says why a program failed: the last with an error, else the last.
pub(crate) fn last_error_line(log: &Path) -> String {
    let content = fs::read(log).unwrap_or_default();
    let tail = String::from_utf8_lossy(&content[content.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned();
    let lines = || tail.lines().map(str::trim).filter(|line| !line.is_empty()).rev();
    // klog starts such lines with E or F, etcd with a JSON level; both print plain "error:" for bad flags.
    let tells = |line: &&str| {
        line.starts_with(['E', 'F']) || line.to_lowercase().starts_with("error") || line.contains(r#""level":"fatal""#)
    };
    lines().find(tells).or_else(|| lines().next()).unwrap_or("its log is empty").to_owned()
}

/// Whether a log says that a port was taken.
pub(crate) fn port_was_taken(log: &Path) -> bool {
    fs::read(log).is_ok_and(|content| String::from_utf8_lossy(&content).contains("address already in use"))
}
