//! A namespace of one's own on the shared control plane, the operator's rights in it, and controllers as processes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use certcourier::{
    admission::Identity,
    api::{
        Artifact, Certificate, CertificatePolicy, CertificateReference, DownloadReceipt, DownloadReceiptSpec,
        DownloadRequest, Format, Phase, RequestReference, names,
    },
    manifests::{self, Installation},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::Secret,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding, Subject},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_cluster::{ControlPlane, Options, audit::Event};
use tokio::process::{Child, Command};

/// Far above what anything here takes; only a failing test waits that long.
const LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");

/// One test's namespace.
pub struct World {
    pub plane: &'static ControlPlane,
    pub namespace: String,
    pub admin: Client,
    pub operator: PathBuf,
    logs: tempfile::TempDir,
}

/// A chain and the key of its leaf.
pub struct Pki {
    pub chain: String,
    pub key: String,
}

impl Pki {
    pub fn new() -> Self {
        let (authority_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.distinguished_name.push(DnType::CommonName, "authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = Issuer::new(authority, authority_key);
        let mut leaf = CertificateParams::new(vec!["api.example.com".to_owned()]).unwrap();
        leaf.distinguished_name.push(DnType::CommonName, "api");
        let chain = leaf.signed_by(&leaf_key, &issuer).unwrap().pem();
        Self { chain, key: leaf_key.serialize_pem() }
    }
}

impl World {
    pub async fn new(prefix: &str) -> Self {
        Self::on(ControlPlane::shared(Options::default().apply(CRDS).audit_log(true)).await.unwrap(), prefix).await
    }

    /// On a control plane that no other test uses, so that it can be disturbed.
    pub async fn alone(prefix: &str) -> Self {
        let plane = ControlPlane::start(Options::default().apply(CRDS).audit_log(true)).await.unwrap();
        // It ends with this process, as the shared one does.
        Self::on(Box::leak(Box::new(plane)), prefix).await
    }

    async fn on(plane: &'static ControlPlane, prefix: &str) -> Self {
        let namespace = plane.namespace(prefix).await.unwrap();
        let account = plane.service_account(&namespace, "controller", &[]).await.unwrap();
        let world = Self {
            plane,
            admin: plane.admin(),
            operator: account.kubeconfig,
            logs: tempfile::tempdir().unwrap(),
            namespace,
        };
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
        let subjects = json!([serde_json::to_value(subject(user)).unwrap()]);
        for (name, rules) in [
            ("watched", rules("ClusterRole", "certcourier-controller")),
            ("own", rules("Role", "certcourier-controller")),
        ] {
            self.create::<Role>(json!({"metadata": {"name": name}, "rules": rules})).await;
            let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name});
            let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": subjects});
            self.create::<RoleBinding>(binding).await;
        }
        for cluster_role in ["certcourier-system", "certcourier-guard"] {
            let name = format!("{cluster_role}-{}", self.namespace);
            let rules = rules("ClusterRole", cluster_role);
            let role: ClusterRole =
                serde_json::from_value(json!({"metadata": {"name": name}, "rules": rules})).unwrap();
            Api::all(self.admin.clone()).create(&PostParams::default(), &role).await.unwrap();
            let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name});
            let binding = json!({"metadata": {"name": name}, "roleRef": role, "subjects": subjects});
            let binding: ClusterRoleBinding = serde_json::from_value(binding).unwrap();
            Api::all(self.admin.clone()).create(&PostParams::default(), &binding).await.unwrap();
        }
    }

    pub fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    pub async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    pub async fn merge<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    pub async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        self.api::<K>().delete(name, &kube::api::DeleteParams::default()).await.unwrap();
    }

    /// A Secret of type kubernetes.io/tls, made or replaced.
    pub async fn tls_secret(&self, name: &str, pki: &Pki) {
        let text = |text: &str| ByteString(text.as_bytes().to_vec());
        let secret = Secret {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some([("tls.crt".to_owned(), text(&pki.chain)), ("tls.key".to_owned(), text(&pki.key))].into()),
            ..Secret::default()
        };
        let api = self.api::<Secret>();
        if api.create(&PostParams::default(), &secret).await.is_err() {
            api.replace(name, &PostParams::default(), &secret).await.unwrap();
        }
    }

    /// Certificate `api` with environment `production` in Secret `api-tls`.
    pub async fn certificate(&self) -> Pki {
        let pki = Pki::new();
        self.tls_secret("api-tls", &pki).await;
        self.certificate_only().await;
        pki
    }

    /// The same without the Secret.
    pub async fn certificate_only(&self) -> Certificate {
        self.create(json!({
            "metadata": {"name": "api"},
            "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}}]},
        }))
        .await
    }

    pub async fn policy(&self, name: &str, spec: Value) {
        self.create::<CertificatePolicy>(json!({"metadata": {"name": name}, "spec": spec})).await;
    }

    /// carol may download and alice may export keys.
    pub async fn people(&self) {
        for (person, verbs) in [("carol", json!(["download"])), ("alice", json!(["download", "exportkey"]))] {
            let rules = json!([{"apiGroups": ["certcourier.io"], "resources": ["certificates"], "verbs": verbs}]);
            self.create::<Role>(json!({"metadata": {"name": person}, "rules": rules})).await;
            self.bind(person, person).await;
        }
    }

    pub async fn bind(&self, role: &str, person: &str) {
        let reference = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role});
        let subjects = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}]);
        let binding = json!({"metadata": {"name": role}, "roleRef": reference, "subjects": subjects});
        self.create::<RoleBinding>(binding).await;
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

    pub async fn get(&self, name: &str) -> DownloadRequest {
        self.api().get(name).await.unwrap()
    }

    /// The request once it is as described.
    pub async fn until(&self, name: &str, what: &str, ready: impl Fn(&DownloadRequest) -> bool) -> DownloadRequest {
        self.until_object(name, what, ready).await
    }

    pub async fn until_phase(&self, name: &str, phase: Phase) -> DownloadRequest {
        self.until(name, phase.name(), |request| phase_of(request) == phase).await
    }

    pub async fn until_object<K>(&self, name: &str, what: &str, ready: impl Fn(&K) -> bool) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let started = Instant::now();
        loop {
            let object: K = self.api().get(name).await.unwrap();
            if ready(&object) {
                return object;
            }
            let shown = || serde_json::to_string_pretty(&serde_json::to_value(&object).unwrap()["status"]).unwrap();
            assert!(started.elapsed() < LIMIT, "{name} is not `{what}`: {}\n{}", shown(), self.all_logs());
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether there is an object of this name, once that is as `wanted`.
    pub async fn until_exists<K>(&self, name: &str, wanted: bool)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        let started = Instant::now();
        while self.api::<K>().get_opt(name).await.unwrap().is_some() != wanted {
            let kind = K::kind(&());
            assert!(started.elapsed() < LIMIT, "{kind} {name} exists: not {wanted}\n{}", self.all_logs());
            tokio::time::sleep(POLL).await;
        }
    }

    /// The text under a key of the token Secret.
    pub async fn token_secret(&self, request: &str, key: &str) -> Option<String> {
        let secret = self.api::<Secret>().get(&names::token_secret(request)).await.unwrap();
        let bytes = secret.data?.remove(key)?;
        Some(String::from_utf8(bytes.0).unwrap())
    }

    /// The Role and RoleBinding through which the requester reads the token of a request.
    pub fn reader(request: &DownloadRequest) -> String {
        let token = request.status.as_ref().and_then(|status| status.token.as_ref());
        token.and_then(|token| token.reader_name.clone()).expect("a Role was made for the requester")
    }

    /// Whether Roles or RoleBindings of tokens are left in the namespace.
    pub async fn readers(&self) -> Vec<String> {
        let labelled = ListParams::default().labels(names::TOKEN);
        let roles = self.api::<Role>().list(&labelled).await.unwrap().items;
        let bindings = self.api::<RoleBinding>().list(&labelled).await.unwrap().items;
        let names =
            roles.iter().map(kube::ResourceExt::name_any).chain(bindings.iter().map(kube::ResourceExt::name_any));
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The receipt that a server would create, delivered `ago` and retained until `ago + retained`.
    pub async fn receipt(&self, request: &DownloadRequest, ago: i64, retained: i64) -> DownloadReceipt {
        let consumed = Timestamp::now() - SignedDuration::from_secs(ago);
        let uid = request.uid().unwrap();
        let spec = DownloadReceiptSpec {
            request_ref: RequestReference { name: request.name_any(), uid: uid.clone() },
            certificate_ref: CertificateReference { name: "api".to_owned() },
            environment: Some("production".to_owned()),
            format: Format::Fullchain,
            profile: None,
            reason: None,
            requested_by: request.spec.requested_by.clone(),
            approvals: Vec::new(),
            review_digest: None,
            policies: Vec::new(),
            consumed_by: None,
            client_ip: None,
            user_agent: None,
            attempt_id: "attempt".to_owned(),
            artifact: Artifact { sha256: "0".repeat(64), bytes: 7 },
            fingerprints: Vec::new(),
            token_issued_at: None,
            token_expires_at: None,
            consumed_at: Time(consumed),
            retain_until: Time(consumed + SignedDuration::from_secs(retained)),
            cluster: None,
        };
        let receipt = DownloadReceipt::new(&certcourier::cluster::receipts::name_of(&uid), spec);
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

    pub async fn eventually(&self, what: &str, ask: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !ask().await {
            assert!(started.elapsed() < LIMIT, "it is never {what}\n{}", self.all_logs());
            tokio::time::sleep(POLL).await;
        }
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_certcourier"));
        command.arg("controller").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        for (flag, value) in all.into_iter().filter(|(_, value)| !value.is_empty()) {
            command.args([flag, value]);
        }
        command
    }

    fn all_logs(&self) -> String {
        let mut logs: Vec<PathBuf> =
            fs::read_dir(self.logs.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        logs.sort();
        logs.iter().map(|log| fs::read_to_string(log).unwrap()).collect::<Vec<_>>().join("\n--- next controller\n")
    }
}

/// A controller process; it ends when dropped.
pub struct Controller {
    child: Child,
    log: PathBuf,
}

impl Controller {
    pub async fn says(&self, words: &str) {
        let started = Instant::now();
        while !self.log().contains(words) {
            assert!(started.elapsed() < LIMIT, "the controller never said `{words}`:\n{}", self.log());
            tokio::time::sleep(POLL).await;
        }
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
        tokio::time::timeout(LIMIT, self.child.wait()).await.expect("it ends in time").unwrap().code().unwrap()
    }
}

pub fn phase_of(request: &DownloadRequest) -> Phase {
    request.status.as_ref().and_then(|status| status.phase).unwrap_or_default()
}

/// Status, reason and message of a condition.
pub fn condition(request: &DownloadRequest, kind: &str) -> (String, String, String) {
    let conditions = request.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
    let condition = conditions.into_iter().find(|condition| condition.type_ == kind);
    condition.map(|c| (c.status, c.reason, c.message)).unwrap_or_default()
}

/// Whether a condition has this status and reason.
pub fn is(request: &DownloadRequest, kind: &str, status: &str, reason: &str) -> bool {
    let found = condition(request, kind);
    (found.0.as_str(), found.1.as_str()) == (status, reason)
}

/// The generation of its token; 0 without one.
pub fn generation(request: &DownloadRequest) -> i64 {
    request.status.as_ref().and_then(|status| status.token.as_ref()).map_or(0, |token| token.generation)
}

/// The hash of its living token.
pub fn hash(request: &DownloadRequest) -> Option<String> {
    request.status.as_ref()?.token.as_ref()?.hash.clone()
}

/// The `ServiceAccount` behind a user name.
fn subject(user: &str) -> Subject {
    let (namespace, name) = user.strip_prefix("system:serviceaccount:").unwrap().split_once(':').unwrap();
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        api_group: None,
    }
}
