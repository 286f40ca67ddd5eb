//! Commands as people run them: a folder, a kubeconfig, and a PATH with kubectl and the plugin.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        process::ExitStatusExt as _,
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
};

use crate::{program::binary, stage::Stage, world::World};

/// Longer than anything here takes; what hangs is a failure with words.
const LIMIT: Duration = Duration::from_mins(1);

/// The plugin itself.
pub fn plugin() -> PathBuf {
    binary("kubectl-certcourier")
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it printed and complained about.
    pub fn said(&self) -> String {
        format!("{}{}", self.out(), self.stderr)
    }

    /// What it printed; anything but success is a failure.
    #[track_caller]
    pub fn ok(&self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.said());
        self.out()
    }

    /// What it complained about; any other exit code is a failure.
    #[track_caller]
    pub fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}", self.said());
        &self.stderr
    }
}

/// A person's shell.
pub struct Shell<'a> {
    pub world: &'a World<'a>,
    pub folder: tempfile::TempDir,
    pub kubeconfig: PathBuf,
    bin: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl<'a> Shell<'a> {
    /// With the kubeconfig of a person, and the server's address in the environment.
    pub async fn of(world: &'a World<'a>, person: &str) -> Self {
        let kubeconfig = world.person(person).await.kubeconfig;
        let shell = Self::with(world, kubeconfig);
        let (url, ca) = (world.stage.urls[0].clone(), world.stage.ca().display().to_string());
        shell.set("CERTCOURIER_SERVER", &url).set("CERTCOURIER_SERVER_CA", &ca)
    }

    /// With some kubeconfig, and nothing else.
    pub fn with(world: &'a World<'a>, kubeconfig: PathBuf) -> Self {
        let (folder, bin) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(kubectl(world.stage), bin.path().join("kubectl")).unwrap();
        symlink(plugin(), bin.path().join("kubectl-certcourier")).unwrap();
        symlink(plugin(), bin.path().join("kubectl_complete-certcourier")).unwrap();
        Self { world, folder, kubeconfig, bin, variables: Vec::new() }
    }

    /// One more variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Any program, in this shell.
    pub fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let path = format!("{}:{}", self.bin.path().display(), std::env::var("PATH").unwrap());
        command
            .env("PATH", path)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.bin.path().join("cache"));
        for name in ["CERTCOURIER_SERVER", "CERTCOURIER_SERVER_CA", "CERTCOURIER_NAMESPACE", "NO_COLOR", "HTTPS_PROXY"]
        {
            command.env_remove(name);
        }
        command.env("RUST_BACKTRACE", "0").envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// `kubectl certcourier …` in the world's namespace.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(self.bin.path().join("kubectl"));
        command.args(["certcourier", "-n", &self.world.namespace]).args(arguments);
        command
    }

    /// A program of the person's own, which comes before those of the machine.
    pub fn own_program(&self, name: &str, script: &str) {
        let path = self.bin.path().join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Ended {
        end(self.command(arguments)).await
    }

    /// A line of bash.
    pub async fn bash(&self, script: &str) -> Ended {
        let mut command = self.program("bash");
        command.args(["-euo", "pipefail", "-c", script]);
        end(command).await
    }

    /// Starts it, to be looked at while it runs.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Running { child, stderr, said: String::new() }
    }

    /// The names of the files in the folder.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The content of a file of the folder.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

/// Where the real kubectl is.
fn kubectl(stage: &Stage) -> PathBuf {
    stage.plane.admin_kubectl().command(["version"]).as_std().get_program().into()
}

/// Runs a command to its end, without anything to read.
pub async fn end(command: Command) -> Ended {
    end_within(LIMIT, command).await
}

/// The same with another limit.
pub async fn end_within(limit: Duration, mut command: Command) -> Ended {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(limit, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} has not ended after {limit:?}")).unwrap();
    let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal));
    Ended { code, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// A command that runs.
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Running {
    /// Reads standard error until these words come; the line with them.
    pub async fn until_it_says(&mut self, words: &str) -> String {
        let reading = async {
            loop {
                let mut line = String::new();
                let read = self.stderr.read_line(&mut line).await.unwrap();
                assert!(read > 0, "it ended without `{words}`: {}", self.said);
                self.said.push_str(&line);
                if line.contains(words) {
                    return line;
                }
            }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("it says so in time")
    }

    /// Sends Ctrl-C.
    pub async fn interrupt(&self) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().await.unwrap().success());
    }

    /// What it prints, to be read while it runs.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("nobody reads it yet")
    }

    /// Sends Ctrl-C and waits for its end.
    pub async fn interrupted(self) -> Ended {
        self.interrupt().await;
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let ending = async {
            self.stderr.read_to_string(&mut self.said).await.unwrap();
            self.child.wait_with_output().await.unwrap()
        };
        let output = tokio::time::timeout(LIMIT, ending).await.expect("it ends in time");
        Ended { code: output.status.code(), stdout: output.stdout, stderr: self.said }
    }
}
