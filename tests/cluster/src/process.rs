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

/// A running program; ends when dropped, and when the process that started it ends. `P` is what it is called: a
/// [`Program`] of the control plane, or a name for what a test runs beside it.
#[derive(Debug)]
pub struct Process<P: Copy + fmt::Display = Program> {
    program: P,
    supervisor: Child,
    /// Closing it ends the program.
    signals: Option<ChildStdin>,
    id: u32,
    log: PathBuf,
}

impl<P: Copy + fmt::Display> Process<P> {
    /// Starts `path`; its output is appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be written or the program cannot be started.
    pub fn spawn(program: P, path: &Path, arguments: &[String], log: &Path) -> io::Result<Self> {
        let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut supervisor = supervised(path).args(arguments).stdout(Stdio::piped()).stderr(output).spawn()?;
        let signals = supervisor.stdin.take();
        let mut line = String::new();
        if let Some(stdout) = supervisor.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let id = line.trim().parse().map_err(|_| io::Error::other("its supervising shell ended at once"))?;
        Ok(Self { program, supervisor, signals, id, log: log.to_owned() })
    }

    /// What it is called.
    pub fn program(&self) -> P {
        self.program
    }

    /// The process id of the program itself.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the operating system cannot say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.supervisor.try_wait()
    }

    /// Sends it a signal. After [`Signal::Stop`] it returns when every thread stands still: until then the program
    /// may answer.
    ///
    /// # Errors
    /// When it is gone, or does not stand still within a second.
    pub fn signal(&mut self, signal: Signal) -> io::Result<()> {
        match &mut self.signals {
            Some(pipe) => writeln!(pipe, "{}", signal.name())?,
            None => return Err(io::ErrorKind::BrokenPipe.into()),
        }
        if signal == Signal::Stop { self.await_standstill(Duration::from_secs(1)) } else { Ok(()) }
    }

    fn await_standstill(&self, limit: Duration) -> io::Result<()> {
        let deadline = Instant::now() + limit;
        while !stands_still(self.id)? {
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Asks it to end, without waiting: SIGTERM now, SIGKILL after [`GRACE`].
    pub(crate) fn begin_stop(&mut self) {
        self.signals = None;
    }

    /// Ends it, if it still runs, and waits until it is gone.
    fn stop(&mut self) {
        self.begin_stop();
        if self.await_end(GRACE + Duration::from_secs(3)) {
            return;
        }
        // The supervising shell itself was disturbed. The process id is still the program's: nobody has awaited it.
        let _ = Command::new("kill").args(["-s", "KILL", &self.id.to_string()]).status();
        if !self.await_end(Duration::from_secs(1)) {
            eprintln!("test-cluster: {} (process {}) does not end: end it by hand", self.program, self.id);
        }
    }

    /// Whether it ended within this time.
    pub fn await_end(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if !matches!(self.ended(), Ok(None)) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(POLL);
        }
    }
}

impl<P: Copy + fmt::Display> Drop for Process<P> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether every thread of a process is stopped (proc(5): the third field of `stat`, after the name in parentheses).
fn stands_still(id: u32) -> io::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        // A thread that ended since does not run.
        let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { continue };
        if !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A command that runs `program` under a shell which ends it when the stdin of the command closes. What the program
/// prints goes to the stderr of the command.
pub(crate) fn supervised(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", include_str!("supervise.sh"), "supervise"])
        .arg(GRACE.as_secs().to_string())
        .arg(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        // Ctrl-C in a terminal goes to the caller alone, who then stops things in order.
        .process_group(0);
    command
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

/// The arguments of every process that was called with this folder in them; all programs of a control plane are.
#[must_use]
pub fn processes_of(directory: &Path) -> Vec<String> {
    let needle = directory.to_string_lossy();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|arguments| String::from_utf8_lossy(&arguments).replace('\0', " "))
        .filter(|arguments| arguments.contains(needle.as_ref()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn(script: &str, directory: &Path) -> Process {
        let arguments = ["-c".to_owned(), script.to_owned()];
        Process::spawn(Program::Etcd, Path::new("/bin/sh"), &arguments, &directory.join("log")).unwrap()
    }

    fn exists(process: &Process) -> bool {
        Path::new("/proc").join(process.id().to_string()).exists()
    }

    fn size_of(process: &Process) -> u64 {
        fs::metadata(process.log()).unwrap().len()
    }

    #[test]
    fn a_program_that_ignores_sigterm_is_killed_after_the_grace() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = spawn("trap '' TERM; echo deaf; while :; do sleep 0.1; done", directory.path());
        while !fs::read_to_string(process.log()).unwrap().contains("deaf") {
            std::thread::sleep(POLL);
        }
        let start = Instant::now();
        process.stop();
        assert!(start.elapsed() >= GRACE, "{:?}", start.elapsed());
        assert!(!exists(&process));
    }

    #[test]
    fn a_frozen_program_stands_still_when_the_signal_returns_and_goes_on_after() {
        let directory = tempfile::tempdir().unwrap();
        let mut process = spawn("while :; do echo tick; done", directory.path());
        process.signal(Signal::Stop).unwrap();
        let frozen = size_of(&process);
        std::thread::sleep(10 * POLL);
        assert_eq!(size_of(&process), frozen);
        process.signal(Signal::Continue).unwrap();
        while size_of(&process) == frozen {
            std::thread::sleep(POLL);
        }
        assert!(matches!(process.ended(), Ok(None)));
    }

    #[test]
    fn the_reason_is_the_last_line_with_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        for (content, expected) in [
            ("I1 fine\nE1 bad\nI1 bye\n", "E1 bad"),
            ("Error: unknown flag: --x\n\n", "Error: unknown flag: --x"),
            ("one\ntwo\n", "two"),
            ("", "its log is empty"),
        ] {
            fs::write(&log, content).unwrap();
            assert_eq!(last_error_line(&log), expected);
        }
    }
}
