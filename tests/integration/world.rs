//! One test's namespace: people with their roles, Secrets, Certificates, requests, and downloads.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding};
use certcourier::{
    api::{
        Artifact, Certificate, CertificatePolicy, CertificateReference, DownloadReceipt, DownloadReceiptSpec,
        DownloadRequest, DownloadRequestStatus, Format, Phase, RequestReference, names,
    },
    cluster::receipts,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::Secret,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use test_cluster::{Output, Person};

use super::{
    canaries,
    pki::Leaf,
    stage::{self, SYSTEM, Stage},
};

/// How long a test waits for what should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Who has which of the roles that come with certcourier.
const ROLES: [(&str, &str); 6] = [
    ("alice", "certcourier-operator"),
    ("bob", "certcourier-approver"),
    ("frank", "certcourier-approver"),
    ("carol", "certcourier-downloader"),
    ("dave", "certcourier-admin"),
    ("erin", "certcourier-auditor"),
];

/// A namespace of one's own on a stage.
pub struct World<'a> {
    pub stage: &'a Stage,
    pub namespace: String,
    pub admin: kube::Client,
    pub leaf: Leaf,
    http: reqwest::Client,
}

/// What the programs have counted until the end of a test is kept.
impl Drop for World<'_> {
    fn drop(&mut self) {
        let (stage, namespace) = (self.stage, &self.namespace);
        canaries::metrics(stage.controller.probe(), &format!("{namespace}-controller"));
        for (index, server) in stage.servers.iter().enumerate() {
            canaries::metrics(server.probe(), &format!("{namespace}-server-{index}"));
        }
    }
}

/// An answer of the server.
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A field of the one error envelope.
    pub fn json(&self, field: &str) -> String {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()));
        value[field].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl<'a> World<'a> {
    /// A namespace with people in it, and Secret and Certificate `api` in environment `production`.
    pub async fn new(stage: &'a Stage, what: &str) -> Self {
        let world = Self::empty(stage, what).await;
        world.furnish().await;
        world
    }

    /// Secret and Certificate `api` in environment `production`.
    pub async fn furnish(&self) {
        self.secret("api-tls", &self.leaf).await;
        self.certificate("api", &[("production", "api-tls")]).await;
    }

    /// The same without Secret and Certificate.
    pub async fn empty(stage: &'a Stage, what: &str) -> Self {
        let namespace = stage.plane.namespace(&format!("{what}-{}", stage.number())).await.unwrap();
        Self::settle(stage, namespace).await
    }

    /// The same in a namespace that is there already.
    pub async fn settle(stage: &'a Stage, namespace: String) -> Self {
        let bindings = ROLES.map(|(person, role)| {
            format!(
                "---\n{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: {person}, namespace: {namespace}}},\n  \
                 subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {person}}}],\n  \
                 roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}}}\n"
            )
        });
        stage.plane.admin_kubectl().apply(&bindings.concat()).await.unwrap();
        canaries::namespace(&namespace);
        let leaf = stage.pki.leaf("api.payments.example");
        Self { stage, namespace, admin: stage.plane.admin(), leaf, http: stage.http() }
    }

    pub async fn person(&self, name: &str) -> Person {
        let person = self.stage.plane.person(name, &[]).await.unwrap();
        canaries::secret("a bearer token", person.token.as_str().as_bytes());
        person
    }

    /// kubectl as this person, in this namespace.
    pub async fn kubectl(&self, person: &str, arguments: &[&str]) -> Output {
        let mut all = vec!["--namespace", self.namespace.as_str()];
        all.extend(arguments);
        self.person(person).await.run(all).await.unwrap()
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    /// Creates or replaces a Secret of type kubernetes.io/tls.
    pub async fn secret(&self, name: &str, leaf: &Leaf) {
        self.raw_secret(
            name,
            "kubernetes.io/tls",
            &[("tls.crt", leaf.chain().as_str()), ("tls.key", leaf.key.as_str()), ("ca.crt", leaf.root.as_str())],
        )
        .await;
    }

    /// Creates or replaces a Secret.
    pub async fn raw_secret(&self, name: &str, kind: &str, parts: &[(&str, &str)]) {
        let mut data = serde_json::Map::new();
        for (key, text) in parts {
            if *key == "passphrase" {
                canaries::secret("a passphrase", text.as_bytes());
            }
            data.insert((*key).to_owned(), Base64::encode_string(text.as_bytes()).into());
        }
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name}, "data": data});
        // The type of a Secret cannot be changed.
        let _ = self.api::<Secret>().delete(name, &DeleteParams::default()).await;
        self.create_as_admin::<Secret>(secret).await;
    }

    async fn create_as_admin<K>(&self, object: Value) -> K
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
            + Serialize
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.api::<K>().create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap()
    }

    /// Creates a Certificate of these environments.
    pub async fn certificate(&self, name: &str, environments: &[(&str, &str)]) {
        let environments: Vec<Value> = environments
            .iter()
            .map(|(environment, secret)| json!({"name": environment, "secretRef": {"name": secret}}))
            .collect();
        self.create_as_admin::<Certificate>(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate",
            "metadata": {"name": name}, "spec": {"environments": environments},
        }))
        .await;
    }

    /// Creates or replaces a policy.
    pub async fn policy(&self, name: &str, spec: Value) {
        let object = json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy",
            "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("test").force();
        self.api::<CertificatePolicy>().patch(name, &params, &Patch::Apply(object)).await.unwrap();
    }

    /// A request by this person; the spec is completed by Certificate `api`.
    pub async fn try_request(&self, person: &str, name: &str, mut spec: Value) -> Result<DownloadRequest, kube::Error> {
        spec.as_object_mut().unwrap().entry("certificateRef").or_insert(json!({"name": "api"}));
        let client = self.person(person).await.client;
        if !stage::stamps(&self.stage.plane) {
            spec["requestedBy"] = json!(certcourier::cluster::guard::own_user(&client).await.unwrap());
        }
        let request: DownloadRequest = serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap();
        Api::namespaced(client, &self.namespace).create(&PostParams::default(), &request).await
    }

    pub async fn request(&self, person: &str, name: &str, spec: Value) -> DownloadRequest {
        self.try_request(person, name, spec).await.unwrap()
    }

    pub async fn get(&self, name: &str) -> DownloadRequest {
        self.api::<DownloadRequest>().get(name).await.unwrap()
    }

    /// Waits until the request's status is as wanted, and returns the request.
    pub async fn wait(
        &self,
        name: &str,
        what: &str,
        wanted: impl Fn(&DownloadRequestStatus) -> bool,
    ) -> DownloadRequest {
        let end = Instant::now() + PATIENCE;
        loop {
            let request = self.get(name).await;
            if request.status.as_ref().is_some_and(&wanted) {
                return request;
            }
            assert!(Instant::now() < end, "{name} never was {what}: {:#?}", request.status);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub async fn wait_for_phase(&self, name: &str, phase: Phase) -> DownloadRequest {
        self.wait(name, phase.name(), |status| status.phase == Some(phase)).await
    }

    /// Waits until the request is finished, and returns it with its phase.
    pub async fn wait_finished(&self, name: &str) -> (Phase, DownloadRequest) {
        let request = self.wait(name, "finished", |status| condition(status, "Finished").starts_with("True/")).await;
        (request.status.as_ref().unwrap().phase.unwrap(), request)
    }

    /// Tries until it is so.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, test: impl Fn() -> F) {
        let end = Instant::now() + PATIENCE;
        while !test().await {
            assert!(Instant::now() < end, "never: {what}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub async fn annotate(&self, person: &str, request: &str, key: &str, value: &str) -> Result<(), kube::Error> {
        let client = self.person(person).await.client;
        let api: Api<DownloadRequest> = Api::namespaced(client, &self.namespace);
        let patch = json!({"metadata": {"annotations": {key: value}}});
        api.patch(request, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }

    /// A part of the token Secret, read as this person.
    pub async fn token_part(&self, person: &str, request: &str, key: &str) -> Result<String, kube::Error> {
        let client = self.person(person).await.client;
        let secrets: Api<Secret> = Api::namespaced(client, &self.namespace);
        let secret = secrets.get(&names::token_secret(request)).await?;
        let bytes = secret.data.unwrap_or_default().remove(key).unwrap_or_else(|| panic!("no {key}"));
        let text = String::from_utf8(bytes.0).unwrap();
        match key {
            "token" => canaries::token(&text),
            "passphrase" => canaries::secret("a passphrase", text.as_bytes()),
            _ => {}
        }
        Ok(text)
    }

    /// The Roles and RoleBindings through which requesters read their tokens, while there are any.
    pub async fn readers(&self) -> BTreeSet<String> {
        let labelled = ListParams::default().labels(names::TOKEN);
        let roles = self.api::<Role>().list(&labelled).await.unwrap().items;
        let bindings = self.api::<RoleBinding>().list(&labelled).await.unwrap().items;
        roles.iter().map(ResourceExt::name_any).chain(bindings.iter().map(ResourceExt::name_any)).collect()
    }

    /// Creates a request as this person, waits for its token and returns it.
    pub async fn issue(&self, person: &str, name: &str, spec: Value) -> String {
        self.request(person, name, spec).await;
        self.wait_for_phase(name, Phase::TokenIssued).await;
        self.token_part(person, name, "token").await.unwrap()
    }

    /// Presents a token to a server.
    pub async fn redeem_at(&self, server: usize, token: &str) -> Answer {
        self.fetch(self.http.get(format!("{}/api/v1/downloads/{token}", self.stage.urls[server]))).await
    }

    pub async fn redeem(&self, token: &str) -> Answer {
        self.redeem_at(0, token).await
    }

    /// Looks at a token without using it.
    pub async fn status(&self, token: &str) -> Answer {
        self.fetch(self.http.get(format!("{}/api/v1/downloads/{token}/status", self.stage.urls[0]))).await
    }

    pub async fn fetch(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.unwrap().to_vec();
        canaries::answer(&body);
        Answer { status, headers, body }
    }

    pub fn http(&self) -> reqwest::Client {
        self.http.clone()
    }

    pub async fn receipts(&self) -> Vec<DownloadReceipt> {
        self.api::<DownloadReceipt>().list(&ListParams::default()).await.unwrap().items
    }

    /// Writes, as the server, the receipt of a delivery of `api` that began then and never ended: its name.
    pub async fn begin_delivery(&self, request: &str, began: Timestamp) -> String {
        let request = self.get(request).await;
        let uid = request.uid().unwrap();
        let spec = DownloadReceiptSpec {
            request_ref: RequestReference { name: request.name_any(), uid: uid.clone() },
            certificate_ref: CertificateReference { name: "api".to_owned() },
            environment: Some("production".to_owned()),
            format: Format::Cert,
            profile: None,
            reason: None,
            requested_by: request.spec.requested_by.clone(),
            approvals: Vec::new(),
            review_digest: None,
            policies: Vec::new(),
            consumed_by: None,
            client_ip: None,
            user_agent: None,
            attempt_id: "never-ended".to_owned(),
            artifact: Artifact { sha256: "0".repeat(64), bytes: 7 },
            fingerprints: Vec::new(),
            token_issued_at: None,
            token_expires_at: None,
            consumed_at: Time(began),
            retain_until: Time(began + SignedDuration::from_hours(24)),
            cluster: None,
        };
        let server = self.stage.plane.service_account(SYSTEM, "server", &[]).await.unwrap();
        let api: Api<DownloadReceipt> = Api::namespaced(server.client, &self.namespace);
        let name = receipts::name_of(&uid);
        api.create(&PostParams::default(), &DownloadReceipt::new(&name, spec)).await.unwrap();
        name
    }

    /// The one receipt of a request, if there is one; more than one is a failure.
    pub async fn receipt_of(&self, request: &DownloadRequest) -> Option<DownloadReceipt> {
        let uid = request.uid().unwrap();
        let mut found: Vec<_> = self.receipts().await.into_iter().filter(|r| r.spec.request_ref.uid == uid).collect();
        assert!(found.len() <= 1, "{} receipts of one request", found.len());
        found.pop()
    }
}

/// `status/reason` of a condition; empty when it is not there.
pub fn condition(status: &DownloadRequestStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind);
    found.map(|condition| format!("{}/{}", condition.status, condition.reason)).unwrap_or_default()
}

/// The message of a condition; empty when it is not there.
pub fn message(status: &DownloadRequestStatus, kind: &str) -> String {
    let found = status.conditions.iter().find(|condition| condition.type_ == kind);
    found.map(|condition| condition.message.clone()).unwrap_or_default()
}

/// The API server's words of a refusal.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}
