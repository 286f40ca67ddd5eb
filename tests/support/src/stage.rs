//! The operator on a control plane: manifests applied, ServiceAccounts with their real rights, processes running.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use certcourier::api::names;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use test_cluster::{ControlPlane, Options, free_ports};
use tokio::sync::OnceCell;

use crate::{
    canaries,
    fault_proxy::FaultProxy,
    install::{install, user},
    pki::Pki,
    program::START,
    waiting::Wait,
    with_kinds,
};
pub use crate::{
    install::{SYSTEM, manifests, stamps},
    program::Program,
};

/// With these a busy machine has the time that a race of many takes.
pub const PATIENT: [&str; 6] = ["--api-timeout", "60s", "--decision-timeout", "60s", "--receipt-timeout", "20s"];

/// How a stage differs from the usual one.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Default)]
pub struct Settings {
    pub controller: Vec<String>,
    pub server: Vec<String>,
    /// The namespaces that the operator watches and has rights in, made where missing; empty for all.
    pub watch: Vec<String>,
    /// Whether the second server makes its certificate itself, and the controller gives its CA to people.
    pub self_signed: bool,
    /// Whether to start a control plane of its own, which the test may break.
    pub own_plane: bool,
    /// Whether the operator's way to the API server leads through a proxy with faults.
    pub faults: bool,
    /// Whether etcd waits for the disk, as it does in production; only on a control plane of its own.
    pub fsync: bool,
}

/// A server of one test, beside those of its stage.
pub struct Server {
    pub program: Program,
    /// `https://127.0.0.1:port`.
    pub url: String,
}

/// The operator, running.
pub struct Stage {
    pub plane: PlaneRef,
    pub controller: Program,
    pub servers: Vec<Program>,
    /// `https://127.0.0.1:port` of each server.
    pub urls: Vec<String>,
    pub pki: Pki,
    /// Where the operator's calls can be made to fail.
    pub faults: Option<FaultProxy>,
    names: AtomicU32,
    logs: PathBuf,
    /// Kubeconfigs, serving certificate.
    directory: tempfile::TempDir,
}

/// The control plane that everybody shares, or one's own.
pub enum PlaneRef {
    Shared(&'static ControlPlane),
    Own(Box<ControlPlane>),
}

impl std::ops::Deref for PlaneRef {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        match self {
            Self::Shared(plane) => plane,
            Self::Own(plane) => plane,
        }
    }
}

fn options() -> Options {
    with_kinds().audit_log(true)
}

impl Stage {
    /// The stage that the tests of this binary share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Stage> = OnceCell::const_new();
        SHARED.get_or_init(|| Self::start(Settings::default())).await
    }

    /// A stage of one's own on a control plane of one's own, to be stopped and broken.
    pub async fn own(settings: Settings) -> Self {
        Self::start(Settings { own_plane: true, ..settings }).await
    }

    async fn start(mut settings: Settings) -> Self {
        let plane = if settings.own_plane {
            PlaneRef::Own(Box::new(ControlPlane::start(options().fsync(settings.fsync)).await.unwrap()))
        } else {
            PlaneRef::Shared(ControlPlane::shared(options()).await.unwrap())
        };
        let directory = tempfile::tempdir().unwrap();
        let logs = logs(directory.path());
        // What everybody uses says everything, so that all of it can be searched afterwards.
        if canaries::folder().is_some() && !settings.own_plane {
            for arguments in [&mut settings.controller, &mut settings.server] {
                arguments.extend(["--log".to_owned(), "trace".to_owned()]);
            }
        }
        install(&plane, &settings.watch).await;
        if settings.self_signed {
            plane.admin_kubectl().apply(&manifests(&settings.watch, "yaml", &["--tls-self-signed"])).await.unwrap();
            settings.controller.extend(["--external-ca-config-map".to_owned(), names::SERVING_CA.to_owned()]);
        }
        if !settings.watch.is_empty() {
            for arguments in [&mut settings.controller, &mut settings.server] {
                arguments.extend(["--watch-namespaces".to_owned(), settings.watch.join(",")]);
            }
        }
        let pki = Pki::new();
        let (certificate, key) = pki.serving();
        fs::write(directory.path().join("tls.crt"), certificate).unwrap();
        fs::write(directory.path().join("tls.key"), key).unwrap();
        fs::write(directory.path().join("ca.crt"), pki.root()).unwrap();
        let ports: [u16; 5] = free_ports().unwrap();
        let urls: Vec<String> = ports[..2].iter().map(|port| format!("https://127.0.0.1:{port}")).collect();
        let faults = if settings.faults { Some(FaultProxy::before(&plane).await) } else { None };
        let site = Site { plane: &plane, faults: faults.as_ref(), files: directory.path(), logs: &logs };
        let controller = controller(&site, &urls[0], ports[2], &settings.controller).await;
        let mut servers = Vec::new();
        for index in 0..2 {
            let log = format!("server-{index}.log");
            let mut more = settings.server.clone();
            if settings.self_signed && index == 1 {
                more.extend(["--tls-self-signed".to_owned(), "127.0.0.1".to_owned()]);
            }
            servers.push(server(&site, &log, (ports[index], ports[index + 3]), &more).await);
        }
        let stage = Self { plane, controller, servers, urls, pki, faults, names: AtomicU32::new(0), logs, directory };
        stage.controller.start();
        for server in &stage.servers {
            server.start();
        }
        stage.controller.wait_until_ready().await;
        for server in &stage.servers {
            server.wait_until_ready().await;
        }
        stage.wait_for_guard().await;
        stage
    }

    /// What the guard has written down, if anything.
    pub async fn guard(&self) -> BTreeMap<String, String> {
        let maps: Api<ConfigMap> = Api::namespaced(self.plane.admin(), SYSTEM);
        maps.get_opt(names::GUARD).await.unwrap().and_then(|map| map.data).unwrap_or_default()
    }

    /// Until the guard says that the policies stand, and what is created now is younger than that.
    pub async fn wait_for_guard(&self) {
        let look = async || {
            let record = self.guard().await;
            let since: Option<jiff::Timestamp> = record.get("since").and_then(|since| since.parse().ok());
            // A creationTimestamp is in whole seconds, rounded down.
            let over = |since: jiff::Timestamp| jiff::Timestamp::now().as_second() > since.as_second();
            let intact = record.get("state").is_some_and(|state| state == "Intact") && since.is_some_and(over);
            if intact { Ok(()) } else { Err(format!("{record:?}")) }
        };
        Wait::at_most(START).telling(&|| self.controller.tail()).until("the guard says Intact", look).await;
    }

    /// A second replica of the controller, not started yet.
    pub async fn another_controller(&self) -> Program {
        let [port] = free_ports().unwrap();
        let site = self.site(self.faults.as_ref());
        controller(&site, &self.urls[0], port, &[]).await.with_log("controller-2.log")
    }

    /// One more server, running, whose way to the API server leads through this proxy, if any.
    pub async fn another_server(&self, faults: Option<&FaultProxy>, more: &[&str]) -> Server {
        let server = self.another_server_in(None, faults, more).await;
        server.program.start_and_wait().await;
        server
    }

    /// The same, not started yet, in a shell that says this first.
    pub async fn another_server_in(&self, shell: Option<&str>, faults: Option<&FaultProxy>, more: &[&str]) -> Server {
        let (ports, log): ([u16; 2], _) = (free_ports().unwrap(), format!("server-of-its-own-{}.log", self.number()));
        let site = self.site(faults);
        let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
        let program = server(&site, &log, (ports[0], ports[1]), &more).await.in_shell(shell);
        Server { program, url: format!("https://127.0.0.1:{}", ports[0]) }
    }

    fn site<'a>(&'a self, faults: Option<&'a FaultProxy>) -> Site<'a> {
        Site { plane: &self.plane, faults, files: self.directory.path(), logs: &self.logs }
    }

    /// What its programs have logged last, for a message.
    pub fn tail(&self) -> String {
        let programs = std::iter::once(&self.controller).chain(&self.servers);
        programs.map(Program::tail).collect::<Vec<_>>().join("\n---\n")
    }

    /// A file in the folder of certificates and keys.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The file with the certificate that clients know the servers by.
    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// A number that no other test of this stage has.
    pub fn number(&self) -> u32 {
        self.names.fetch_add(1, Ordering::Relaxed)
    }

    /// An HTTP client that trusts the servers' certificate and follows nothing.
    pub fn http(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.pki.root().as_bytes()).unwrap();
        reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(30))
            .build()
            .unwrap()
    }
}

/// What a program is started with: where the API server is, the way there, and the folders for its files and its log.
struct Site<'a> {
    plane: &'a ControlPlane,
    faults: Option<&'a FaultProxy>,
    files: &'a Path,
    logs: &'a Path,
}

impl Site<'_> {
    async fn kubeconfig(&self, account: &str) -> String {
        let account = self.plane.service_account(SYSTEM, account, &[]).await.unwrap();
        canaries::secret("a bearer token", canaries::random_part(account.token.as_str()).as_bytes());
        let own = account.kubeconfig;
        self.faults.map_or(own.clone(), |faults| faults.kubeconfig(&own, self.files)).display().to_string()
    }
}

/// Where the programs of a stage log: beside a shared control plane, where they are searched after all tests, else among
/// the other files.
fn logs(directory: &Path) -> PathBuf {
    static STAGES: AtomicU32 = AtomicU32::new(0);
    let Some(shared) = canaries::folder() else { return directory.to_owned() };
    let logs = shared.join(format!("stage-{}-{}", std::process::id(), STAGES.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir_all(&logs).unwrap();
    logs
}

async fn controller(site: &Site<'_>, url: &str, port: u16, more: &[String]) -> Program {
    let directory = site.files;
    let probe = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut arguments: Vec<String> =
        ["controller", "--namespace", SYSTEM, "--external-url", url].map(str::to_owned).into();
    arguments.extend(["--kubeconfig".into(), site.kubeconfig("controller").await]);
    if !more.iter().any(|flag| flag == "--external-ca-config-map") {
        arguments.extend(["--external-ca".into(), directory.join("ca.crt").display().to_string()]);
    }
    arguments.extend(["--metrics-address".into(), probe.to_string()]);
    for (flag, value) in [
        // Every namespace of every test stays until the end, and so do its Certificates.
        ("--certificate-interval", "3s"),
        ("--certificate-wait", "3s"),
        ("--retry-interval", "1s"),
        ("--outcome-wait", "5s"),
        ("--lease-duration", "2s"),
        ("--server-user", &user("server")),
        ("--guard-interval", "1s"),
        ("--guard-settle", "2s"),
    ] {
        if !more.iter().any(|own| own == flag) {
            arguments.extend([flag.to_owned(), value.to_owned()]);
        }
    }
    arguments.extend(more.iter().cloned());
    let log = site.logs.join("controller.log");
    Program::new("controller", arguments, probe, log)
}

async fn server(site: &Site<'_>, log: &str, (port, probe): (u16, u16), more: &[String]) -> Program {
    let directory = site.files;
    let probe = SocketAddr::from((Ipv4Addr::LOCALHOST, probe));
    let mut arguments: Vec<String> = ["server", "--namespace", SYSTEM].map(str::to_owned).into();
    arguments.extend(["--kubeconfig".into(), site.kubeconfig("server").await]);
    arguments.extend(["--listen".into(), format!("127.0.0.1:{port}"), "--probe-listen".into(), probe.to_string()]);
    if !more.iter().any(|flag| flag == "--tls-self-signed") {
        arguments.extend(["--tls-cert".into(), directory.join("tls.crt").display().to_string()]);
        arguments.extend(["--tls-key".into(), directory.join("tls.key").display().to_string()]);
    }
    arguments.extend(["--controller-user".into(), user("controller")]);
    // Tests come from one address, in crowds.
    for flag in [
        "--rate-per-address",
        "--rate-burst",
        "--rate-malformed",
        "--rate-lookups",
        "--rate-per-person",
        "--rate-person-burst",
        "--rate-connections",
        "--max-connections-per-address",
        "--max-streams-per-address",
        "--max-requests-per-address",
        "--max-requests-per-person",
        "--max-deliveries-each",
    ] {
        if !more.iter().any(|own| own == flag) {
            arguments.extend([flag.to_owned(), "100000".to_owned()]);
        }
    }
    arguments.extend(more.iter().cloned());
    Program::new("server", arguments, probe, site.logs.join(log))
}
