//! The programs of a control plane that this process started: stopping, killing, freezing and restarting them.

use std::{
    io,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use std::os::unix::process::CommandExt as _;

use tempfile::TempDir;

use super::{
    ControlPlane, Error,
    programs::{self, Ports},
    start,
};
use crate::{
    Options, Program, Signal,
    binaries::Binaries,
    description::Description,
    process::{Process, last_error_line},
};

/// How often an ending program is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How long the programs may take to end cleanly when the control plane is dropped.
const DROP_GRACE: Duration = Duration::from_millis(100);
/// Removes the directory given to it when its stdin closes without a word: when the test process was killed. By then
/// the programs have had their grace of 2 s.
const JANITOR: &str = r#"read -r word || { sleep 3; rm -rf -- "$1"; }"#;

/// What dropping a control plane takes down.
pub(super) struct Owned {
    pub(super) ports: Ports,
    pub(super) options: Options,
    pub(super) binaries: Binaries,
    processes: Mutex<Vec<Process>>,
    janitor: Option<Child>,
    /// Last: the directory goes when nothing writes into it any more.
    _directory: TempDir,
}

impl Owned {
    pub(super) fn new(directory: TempDir, ports: Ports, options: Options, binaries: Binaries) -> io::Result<Self> {
        let janitor = Command::new("/bin/sh")
            .args(["-c", JANITOR, "janitor"])
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self {
            ports,
            options,
            binaries,
            processes: Mutex::default(),
            janitor: Some(janitor),
            _directory: directory,
        })
    }

    /// Starts a program of this control plane.
    pub(super) fn spawn(&self, program: Program, description: &Description) -> Result<(), Error> {
        let arguments = match program {
            Program::Etcd => programs::etcd(&description.directory, self.ports, &self.options),
            Program::Apiserver => programs::apiserver(description, self.ports, &self.options),
            Program::ControllerManager => programs::controller_manager(description),
            // Nothing that stays; see `Kubectl`.
            Program::Kubectl => return Ok(()),
        };
        let process = Process::spawn(program, &self.binaries.path(program), &arguments, &description.log(program))
            .map_err(|source| Error::Process { program, source })?;
        self.processes().push(process);
        Ok(())
    }

    /// An error if a program ended by itself.
    pub(super) fn check(&self) -> Result<(), Error> {
        for process in self.processes().iter_mut() {
            let program = process.program();
            if process.ended().map_err(|source| Error::Process { program, source })?.is_some() {
                let log = process.log().to_owned();
                return Err(Error::Died { program, reason: last_error_line(&log), log });
            }
        }
        Ok(())
    }

    fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, program: Program, signal: Signal) -> Result<(), Error> {
        match self.processes().iter_mut().find(|process| process.program() == program) {
            Some(process) => process.signal(signal).map_err(|source| Error::Process { program, source }),
            None => Err(Error::Process { program, source: io::ErrorKind::NotFound.into() }),
        }
    }

    /// Ends a program; returns when it is gone. Nothing happens if it does not run.
    async fn end(&self, program: Program, signal: Signal) -> Result<(), Error> {
        {
            let mut processes = self.processes();
            let Some(process) = processes.iter_mut().find(|process| process.program() == program) else {
                return Ok(());
            };
            if signal == Signal::Kill {
                process.signal(signal).map_err(|source| Error::Process { program, source })?;
            }
            process.begin_stop();
        }
        loop {
            {
                let mut processes = self.processes();
                processes.retain_mut(|process| process.program() != program || matches!(process.ended(), Ok(None)));
                if !processes.iter().any(|process| process.program() == program) {
                    return Ok(());
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut processes = std::mem::take(&mut *self.processes());
        // The API server would take a second to end cleanly, and more without its etcd; nothing is left to be saved.
        for signal in [Signal::Term, Signal::Kill] {
            for process in &mut processes {
                let _ = process.signal(signal);
            }
            let deadline = Instant::now() + DROP_GRACE;
            processes.retain_mut(|process| !process.await_end(deadline.saturating_duration_since(Instant::now())));
        }
        drop(processes);
        if let Some(mut janitor) = self.janitor.take() {
            // The directory is removed by its own destructor.
            let _ = janitor.kill();
            let _ = janitor.wait();
        }
    }
}

impl ControlPlane {
    fn owned(&self, action: &'static str) -> Result<&Owned, Error> {
        self.owned.as_ref().ok_or(Error::NotOurs { action })
    }

    /// The process ids of the programs that this process started; none when attached.
    #[must_use]
    pub fn process_ids(&self) -> Vec<(Program, u32)> {
        self.owned
            .iter()
            .flat_map(|owned| owned.processes().iter().map(|p| (p.program(), p.id())).collect::<Vec<_>>())
            .collect()
    }

    /// Sends a signal to a program, for example [`Signal::Stop`] to let every call hang until [`Signal::Continue`].
    ///
    /// # Errors
    /// [`Error::NotOurs`], and [`Error::Process`] when the program does not run.
    pub fn signal(&self, program: Program, signal: Signal) -> Result<(), Error> {
        self.owned("a signal")?.signal(program, signal)
    }

    /// Ends the API server cleanly (SIGTERM, then SIGKILL after 2 s) and waits until it is gone.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub async fn stop_apiserver(&self) -> Result<(), Error> {
        self.owned("stopping the API server")?.end(Program::Apiserver, Signal::Term).await
    }

    /// Kills the API server at once, as a lost machine would.
    ///
    /// # Errors
    /// [`Error::NotOurs`].
    pub async fn kill_apiserver(&self) -> Result<(), Error> {
        self.owned("killing the API server")?.end(Program::Apiserver, Signal::Kill).await
    }

    /// Starts the API server again, on the same port and the same etcd, and waits until it is ready.
    ///
    /// # Errors
    /// [`Error::NotOurs`]; [`Error::Died`] and [`Error::NotReady`].
    pub async fn start_apiserver(&self) -> Result<(), Error> {
        let owned = self.owned("starting the API server")?;
        if owned.processes().iter().any(|process| process.program() == Program::Apiserver) {
            return Ok(());
        }
        owned.spawn(Program::Apiserver, &self.description)?;
        start::await_apiserver(&self.admin(), owned, &self.description).await
    }

    /// [`ControlPlane::stop_apiserver`] and [`ControlPlane::start_apiserver`].
    ///
    /// # Errors
    /// Those of both.
    pub async fn restart_apiserver(&self) -> Result<(), Error> {
        self.stop_apiserver().await?;
        self.start_apiserver().await
    }

    /// Restarts kube-controller-manager. Its garbage collector looks for new resource types every 30 s only: restart
    /// it after applying a CRD to have owners of the new kind noticed at once.
    ///
    /// # Errors
    /// [`Error::NotOurs`] and [`Error::Process`].
    pub async fn restart_controller_manager(&self) -> Result<(), Error> {
        let owned = self.owned("restarting kube-controller-manager")?;
        owned.end(Program::ControllerManager, Signal::Kill).await?;
        owned.spawn(Program::ControllerManager, &self.description)
    }
}
