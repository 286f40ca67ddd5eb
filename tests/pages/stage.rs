//! `make dev`, in a folder of its own, so that it does not meet the one that a person runs here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdout, Command},
};

/// Far above what a start takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(4);
pub const READY: &str = "certcourier is running.";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where one `make dev` keeps what it makes.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tmp")).unwrap();
        Self(folder)
    }

    /// What is `.dev` for people.
    pub fn dev(&self) -> PathBuf {
        self.0.path().join("dev")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A command as a person starts it in a new terminal: nothing of the control plane around this test is known to it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for name in ["KUBECONFIG", "KUBECTL", test_cluster::ATTACH_VARIABLE, "MAKEFLAGS", "MFLAGS", "MAKELEVEL"] {
            command.env_remove(name);
        }
        command.env("CERTCOURIER_DEV", self.dev()).env("TMPDIR", self.path("tmp"));
        command.current_dir(root()).stdin(Stdio::null());
        command
    }

    /// What is left when it has ended; `lock` is empty, and is what the next one is kept out by.
    pub fn left(&self) -> Vec<String> {
        let names = |folder: &Path| -> Vec<String> {
            let entries = fs::read_dir(folder).unwrap();
            entries.map(|entry| entry.unwrap().path().display().to_string()).collect()
        };
        let mut left = names(&self.path("tmp"));
        left.extend(names(&self.dev()).into_iter().filter(|name| !name.ends_with("/lock")));
        left
    }
}

/// One that runs.
pub struct Stage {
    pub folder: Folder,
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub said: String,
}

impl Stage {
    pub fn start() -> Self {
        let folder = Folder::new();
        let mut child = folder.command(root().join("demo/dev.sh")).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { folder, child, stdout, said: String::new() }
    }

    /// Reads until it says this.
    pub async fn until_it_says(&mut self, words: &str) {
        let reading = async {
            while !self.said.contains(words) {
                let read = self.stdout.read_line(&mut self.said).await.unwrap();
                assert!(read > 0, "it ended without `{words}`: {}", self.said);
            }
        };
        tokio::time::timeout(LIMIT, reading).await.expect("it says so in time");
    }

    /// Sends SIGTERM, and gives the exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        self.tell_to_end();
        let ending = async {
            self.stdout.read_to_string(&mut self.said).await.unwrap();
            self.child.wait().await.unwrap().code()
        };
        tokio::time::timeout(LIMIT, ending).await.expect("it ends in time")
    }

    fn tell_to_end(&self) {
        if let Some(id) = self.child.id() {
            let _ = std::process::Command::new("kill").arg(id.to_string()).status();
        }
    }
}

/// A test that fails leaves no control plane behind.
impl Drop for Stage {
    fn drop(&mut self) {
        self.tell_to_end();
    }
}
