//! One test's namespace: people with their roles, Secrets, Certificates, requests, and downloads.

use std::ops::Deref;

use certcourier::api::{DownloadRequest, Phase};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_cluster::{Output, Person};

use crate::{
    canaries,
    namespace::Namespace,
    people::{self, ROLES},
    pki::Leaf,
    receipt,
    stage::{self, SYSTEM, Stage},
};
pub use crate::{
    request::{condition, message, words},
    waiting::PATIENCE,
};

/// A namespace of one's own on a stage.
pub struct World<'a> {
    pub stage: &'a Stage,
    pub leaf: Leaf,
    own: Namespace<'a>,
    http: reqwest::Client,
}

impl<'a> Deref for World<'a> {
    type Target = Namespace<'a>;

    fn deref(&self) -> &Namespace<'a> {
        &self.own
    }
}

/// What the programs have counted until the end of a test is kept.
impl Drop for World<'_> {
    fn drop(&mut self) {
        let (stage, namespace) = (self.stage, &self.own.namespace);
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
            let metadata = json!({"name": person, "namespace": namespace});
            people::binding("RoleBinding", &metadata, &people::role_ref("ClusterRole", role), &[people::user(person)])
        });
        let bindings = json!({"apiVersion": "v1", "kind": "List", "items": bindings}).to_string();
        stage.plane.admin_kubectl().apply(&bindings).await.unwrap();
        canaries::namespace(&namespace);
        let leaf = stage.pki.leaf("api.payments.example");
        let own = Namespace::new(namespace, stage.plane.admin(), move || stage.tail());
        Self { stage, leaf, own, http: stage.http() }
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

    /// Creates or replaces a Secret of type kubernetes.io/tls.
    pub async fn secret(&self, name: &str, leaf: &Leaf) {
        self.raw_secret(
            name,
            "kubernetes.io/tls",
            &[("tls.crt", leaf.chain().as_str()), ("tls.key", leaf.key.as_str()), ("ca.crt", leaf.root.as_str())],
        )
        .await;
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

    pub async fn annotate(&self, person: &str, request: &str, key: &str, value: &str) -> Result<(), kube::Error> {
        let client = self.person(person).await.client;
        let api: Api<DownloadRequest> = Api::namespaced(client, &self.namespace);
        let patch = json!({"metadata": {"annotations": {key: value}}});
        api.patch(request, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
    }

    /// A part of the token Secret, read as this person.
    pub async fn token_part(&self, person: &str, request: &str, key: &str) -> Result<String, kube::Error> {
        let client = self.person(person).await.client;
        let part = self.token_secret_as(client, request, key).await?;
        Ok(part.unwrap_or_else(|| panic!("no {key}")))
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

    /// Writes, as the server, the receipt of a delivery of `api` that began then and never ended: its name.
    pub async fn begin_delivery(&self, request: &str, began: Timestamp) -> String {
        let receipt = receipt::begun(&self.get(request).await, began, SignedDuration::from_hours(24));
        let server = self.stage.plane.service_account(SYSTEM, "server", &[]).await.unwrap();
        Api::namespaced(server.client, &self.namespace).create(&PostParams::default(), &receipt).await.unwrap();
        receipt.name_any()
    }
}
