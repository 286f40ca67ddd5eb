//! A program of the operator as a process.

use std::{fs, net::SocketAddr, path::PathBuf, sync::Mutex, time::Duration};

use test_cluster::Process;

use crate::waiting::Wait;

/// How long a program may take to be ready.
pub(crate) const START: Duration = Duration::from_secs(30);

/// Where a program of certcourier is. Cargo has built it before it runs a test or a benchmark, and says where.
pub fn binary(name: &str) -> PathBuf {
    let variable = format!("CARGO_BIN_EXE_{name}");
    std::env::var_os(&variable).unwrap_or_else(|| panic!("no {variable}: run this with cargo")).into()
}

/// A program of the operator.
pub struct Program {
    process: Mutex<Option<Process<&'static str>>>,
    name: &'static str,
    arguments: Vec<String>,
    /// What a shell says before it becomes the program.
    shell: Option<String>,
    probe: SocketAddr,
    log: PathBuf,
}

impl Program {
    /// Not started yet.
    pub(crate) fn new(name: &'static str, arguments: Vec<String>, probe: SocketAddr, log: PathBuf) -> Self {
        Self { process: Mutex::new(None), name, arguments, shell: None, probe, log }
    }

    /// In a shell that says this first.
    pub(crate) fn in_shell(self, first: Option<&str>) -> Self {
        Self { shell: first.map(str::to_owned), ..self }
    }

    pub fn start(&self) {
        // One that was killed may still hold its ports for a moment.
        self.stop();
        let binary = binary("certcourier");
        let (program, mut arguments) = match &self.shell {
            None => (binary, Vec::new()),
            Some(first) => {
                let script = format!(r#"{first} && exec "$0" "$@""#);
                ("/bin/sh".into(), vec!["-c".to_owned(), script, binary.display().to_string()])
            }
        };
        arguments.extend_from_slice(&self.arguments);
        let process = Process::spawn(self.name, &program, &arguments, &self.log).unwrap();
        *self.process.lock().unwrap() = Some(process);
    }

    pub(crate) fn with_log(mut self, name: &str) -> Self {
        self.log.set_file_name(name);
        self
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn start_and_wait(&self) {
        self.start();
        self.wait_until_ready().await;
    }

    pub(crate) async fn wait_until_ready(&self) {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build().unwrap();
        let look = async || {
            let answer = client.get(format!("http://{}/readyz", self.probe)).send().await;
            let seen = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => answer.text().await.unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            let ended =
                self.process.lock().unwrap().as_mut().is_none_or(|process| !matches!(process.ended(), Ok(None)));
            assert!(!ended, "{} ended: {}", self.name, self.tail());
            Err(seen)
        };
        let what = format!("the {} is ready", self.name);
        Wait::at_most(START).telling(&|| self.tail()).until(&what, look).await;
    }

    /// Ends it with SIGTERM, as a rollout does.
    pub fn stop(&self) {
        drop(self.process.lock().unwrap().take());
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: test_cluster::Signal) {
        self.process.lock().unwrap().as_mut().unwrap().signal(signal).unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.lock().unwrap().as_ref().unwrap().id()
    }

    /// The file with its credentials.
    pub fn kubeconfig(&self) -> &str {
        let flag = self.arguments.iter().position(|argument| argument == "--kubeconfig").unwrap();
        &self.arguments[flag + 1]
    }

    /// Where /metrics is.
    pub fn probe(&self) -> SocketAddr {
        self.probe
    }

    /// Everything it has logged.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it has logged last, for a message.
    pub fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}
