//! A namespace of one's own on the shared control plane, the operator's rights in it, and controllers as processes.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    ops::Deref,
    path::{Path, PathBuf},
    process::Stdio,
};

use certcourier::{
    admission::Identity,
    api::{Certificate, DownloadReceipt, DownloadRequest, names},
    manifests::{self, Installation},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{Api, ResourceExt as _, api::PostParams};
use serde_json::{Value, json};
use test_cluster::{ControlPlane, audit::Event};
use test_support::{
    namespace::Namespace,
    people::{self, binding, role_ref},
    pki::{Leaf, Pki},
    program::binary,
    receipt,
    waiting::{PATIENCE, until, wanted},
    with_kinds,
};
use tokio::process::{Child, Command};

/// One test's namespace.
pub struct World {
    pub plane: &'static ControlPlane,
    pub operator: PathBuf,
    own: Namespace<'static>,
    logs: tempfile::TempDir,
}

impl Deref for World {
    type Target = Namespace<'static>;

    fn deref(&self) -> &Namespace<'static> {
        &self.own
    }
}

/// A leaf with its chain and key.
pub fn leaf() -> Leaf {
    Pki::new().leaf("api.example.com")
}

impl World {
    pub async fn new(prefix: &str) -> Self {
        Self::on(ControlPlane::shared(with_kinds().audit_log(true)).await.unwrap(), prefix).await
    }

    /// On a control plane that no other test uses, so that it can be disturbed.
    pub async fn alone(prefix: &str) -> Self {
        let plane = ControlPlane::start(with_kinds().audit_log(true)).await.unwrap();
        // It ends with this process, as the shared one does.
        Self::on(Box::leak(Box::new(plane)), prefix).await
    }

    async fn on(plane: &'static ControlPlane, prefix: &str) -> Self {
        let namespace = plane.namespace(prefix).await.unwrap();
        let account = plane.service_account(&namespace, "controller", &[]).await.unwrap();
        let logs = tempfile::tempdir().unwrap();
        let folder = logs.path().to_owned();
        let own = Namespace::new(namespace, plane.admin(), move || all_logs(&folder));
        let world = Self { plane, operator: account.kubeconfig, own, logs };
        world.grant(&account.name).await;
        world
    }

    /// The rights that `certcourier manifests` gives the controller, in this namespace.
    async fn grant(&self, user: &str) {
        let identity = Identity::new(&self.namespace, user, user).unwrap();
        let watch_namespaces = vec![self.namespace.clone()];
        let objects = manifests::objects(&Installation { identity, watch_namespaces, stamp: false }).unwrap();
        let rules = |kind: &str, name: &str| {
            let named = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
            objects.iter().find(named).unwrap()["rules"].clone()
        };
        let subjects = [people::user(user)];
        for (name, rules) in [
            ("watched", rules("ClusterRole", "certcourier-controller")),
            ("own", rules("Role", "certcourier-controller")),
        ] {
            let metadata = json!({"name": name});
            self.create::<Role>(json!({"metadata": metadata, "rules": rules})).await;
            let binding = binding("RoleBinding", &metadata, &role_ref("Role", name), &subjects);
            self.create::<RoleBinding>(binding).await;
        }
        for cluster_role in ["certcourier-system", "certcourier-guard"] {
            let name = format!("{cluster_role}-{}", self.namespace);
            let metadata = json!({"name": name});
            let role = json!({"metadata": metadata, "rules": rules("ClusterRole", cluster_role)});
            let role: ClusterRole = serde_json::from_value(role).unwrap();
            Api::all(self.admin.clone()).create(&PostParams::default(), &role).await.unwrap();
            let binding = binding("ClusterRoleBinding", &metadata, &role_ref("ClusterRole", &name), &subjects);
            let binding: ClusterRoleBinding = serde_json::from_value(binding).unwrap();
            Api::all(self.admin.clone()).create(&PostParams::default(), &binding).await.unwrap();
        }
    }

    /// A Secret of type kubernetes.io/tls, made or replaced, without a CA.
    pub async fn tls_secret(&self, name: &str, leaf: &Leaf) {
        self.raw_secret(name, "kubernetes.io/tls", &[("tls.crt", &leaf.chain()), ("tls.key", &leaf.key)]).await;
    }

    /// Certificate `api` with environment `production` in Secret `api-tls`.
    pub async fn furnish(&self) {
        self.tls_secret("api-tls", &leaf()).await;
        self.certificate_only().await;
    }

    /// The same without the Secret.
    pub async fn certificate_only(&self) -> Certificate {
        self.certificate("api", &[("production", "api-tls")]).await
    }

    /// carol may download and alice may export keys.
    pub async fn people(&self) {
        for (person, verbs) in [("carol", json!(["download"])), ("alice", json!(["download", "exportkey"]))] {
            let rules = json!([{"apiGroups": ["certcourier.io"], "resources": ["certificates"], "verbs": verbs}]);
            self.create::<Role>(json!({"metadata": {"name": person}, "rules": rules})).await;
            self.bind(person, person).await;
        }
    }

    /// A request of carol's for `api`; `spec` is put over that.
    pub async fn request(&self, name: &str, format: &str, spec: Value) -> DownloadRequest {
        self.request_by("carol", name, format, spec).await
    }

    pub async fn request_by(&self, person: &str, name: &str, format: &str, spec: Value) -> DownloadRequest {
        let mut whole = json!({
            "certificateRef": {"name": "api"},
            "format": format,
            "requestedBy": {"username": person, "groups": ["system:authenticated"]},
        });
        for (field, value) in spec.as_object().unwrap() {
            whole[field] = value.clone();
        }
        self.create(json!({"metadata": {"name": name}, "spec": whole})).await
    }

    /// The receipt that a server would create, delivered `ago` and retained until `ago + retained`.
    pub async fn receipt(&self, request: &DownloadRequest, ago: i64, retained: i64) -> DownloadReceipt {
        let began = Timestamp::now() - SignedDuration::from_secs(ago);
        let receipt = receipt::begun(request, began, SignedDuration::from_secs(retained));
        self.api().create(&PostParams::default(), &receipt).await.unwrap()
    }

    /// What the controllers of this world have asked the API server for so far.
    pub fn asked(&self) -> Vec<Event> {
        let user = format!("system:serviceaccount:{}:controller", self.namespace);
        self.plane.audit_events().unwrap().filter(|event| event.user() == user).collect()
    }

    /// A controller that leads, looks often, waits little, and tells everything.
    pub async fn controller(&self, flags: &[(&str, &str)]) -> Controller {
        let controller = self.waiting_controller(flags).await;
        controller.says("this replica leads").await;
        controller
    }

    /// The same, while somebody else leads.
    pub async fn waiting_controller(&self, flags: &[(&str, &str)]) -> Controller {
        let number = fs::read_dir(self.logs.path()).unwrap().count();
        let log = self.logs.path().join(format!("{number}.log"));
        let file = File::create(&log).unwrap();
        let mut command = self.command(flags);
        // The audit record too.
        command.stdout(Stdio::from(file.try_clone().unwrap())).stderr(Stdio::from(file));
        let child = command.spawn().unwrap();
        let controller = Controller { child, log };
        controller.says("takes part in the election").await;
        controller
    }

    /// The controller with the usual flags; `flags` are pairs that replace or join them, and an empty value takes a
    /// usual one away.
    pub fn command(&self, flags: &[(&str, &str)]) -> Command {
        let operator = self.operator.to_string_lossy();
        let mut all = BTreeMap::from([
            ("--namespace", self.namespace.as_str()),
            ("--watch-namespaces", self.namespace.as_str()),
            ("--kubeconfig", &operator),
            ("--metrics-address", "127.0.0.1:0"),
            ("--log", "info,certcourier=debug"),
            ("--lease-duration", "2s"),
            ("--certificate-interval", "1s"),
            ("--retry-interval", "1s"),
            ("--certificate-wait", "2s"),
            ("--external-url", "https://certs.example.com"),
        ]);
        all.extend(flags.iter().copied());
        let mut command = Command::new(binary("certcourier"));
        command.arg("controller").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        for (flag, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            command.args([flag, value]);
        }
        command
    }
}

/// Everything that the controllers have logged here.
fn all_logs(folder: &Path) -> String {
    let mut logs: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    logs.iter().map(|log| fs::read_to_string(log).unwrap()).collect::<Vec<_>>().join("\n--- next controller\n")
}

/// A controller process; it ends when dropped.
pub struct Controller {
    child: Child,
    log: PathBuf,
}

impl Controller {
    pub async fn says(&self, words: &str) {
        let look = async || wanted(self.log(), |log| log.contains(words));
        until(&format!("the controller says `{words}`"), look).await;
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// As a power failure would end it.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// As Kubernetes would end it; its exit code.
    pub async fn terminate(mut self) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap().code().unwrap()
    }
}

/// Metadata as the controller writes it on all that belongs to a token, and as anyone else can.
pub fn owned(request: &DownloadRequest, name: &str) -> Value {
    json!({
        "name": name,
        "labels": {names::TOKEN: "1", names::VELERO_EXCLUDE: "true"},
        "ownerReferences": [{
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "controller": true,
            "name": request.name_any(), "uid": request.uid().unwrap(),
        }],
    })
}

/// Whether a person may read a Secret.
pub async fn may_get(world: &World, person: &str, secret: &str) -> bool {
    let person = world.plane.person(person, &[]).await.unwrap();
    Api::<Secret>::namespaced(person.client, &world.namespace).get_opt(secret).await.is_ok_and(|found| found.is_some())
}
