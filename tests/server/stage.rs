//! A server in front of the fake API server, with one Certificate and one request whose token can be used.

use std::sync::{Arc, LazyLock, Mutex};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use base64ct::{Base64, Encoding as _};
use certcourier::{
    admission::{self, Identity, Object},
    api::names,
    audit::{Audit, Source},
    cluster::{
        client::{Clients, Role},
        policies,
    },
    guard::{Kind, Live, LiveObject, Record, State, Watched},
    metrics::Metrics,
    server::{ServerArgs, ServerState, router},
    token::Token,
};
use clap::Parser as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use test_support::{
    pki::Leaf,
    waiting::{until, wanted},
};
use tower::ServiceExt as _;

use super::{
    certificates::leaf,
    fake_api::{FakeApi, GROUP, OPERATOR},
};

#[derive(clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    args: ServerArgs,
}

/// The flags as given, all others at their defaults. Every test begins here, so the log is kept from the beginning.
pub fn args(flags: &[&str]) -> ServerArgs {
    LazyLock::force(&LOG);
    CommandLine::try_parse_from([&["server", "--insecure-http"], flags].concat()).unwrap().args
}

/// Everything that is logged in this process, at the finest level that `--log trace` opens.
pub static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let written = log.clone();
    let filter = "trace,h2=debug,hyper=debug,rustls=debug,kube_client=debug";
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || written.clone()).init();
    log
});

/// Everything that the servers of this process have told the audit record.
pub static AUDIT: LazyLock<Log> = LazyLock::new(Log::default);

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Flags with which a busy machine has the time that a race of many takes.
pub const PATIENT: [&str; 6] = ["--api-timeout", "60s", "--decision-timeout", "60s", "--receipt-timeout", "30s"];

/// Limits that only their own tests want to meet, and a patience that tests of faults can wait for.
const USUAL: [[&str; 2]; 10] = [
    ["--rate-malformed", "100000"],
    ["--max-requests-per-address", "100000"],
    ["--max-requests-per-person", "100000"],
    ["--max-deliveries-each", "100000"],
    ["--rate-per-address", "100000"],
    ["--rate-burst", "100000"],
    ["--rate-lookups", "100000"],
    ["--rate-per-person", "100000"],
    ["--rate-person-burst", "100000"],
    ["--api-timeout", "2s"],
];

pub static PKI: LazyLock<Leaf> = LazyLock::new(|| leaf("api.example.com"));

pub const NAMESPACE: &str = "payments";
pub const REQUEST: &str = "/apis/certcourier.io/v1alpha1/namespaces/payments/downloadrequests/api";
pub const CERTIFICATE: &str = "/apis/certcourier.io/v1alpha1/namespaces/payments/certificates/api";
pub const POLICY: &str = "/apis/certcourier.io/v1alpha1/namespaces/payments/certificatepolicies/policy";
pub const RECEIPTS: &str = "/apis/certcourier.io/v1alpha1/namespaces/payments/downloadreceipts";
pub const SECRET: &str = "/api/v1/namespaces/payments/secrets/api-tls";
pub const RECORD: &str = "/api/v1/namespaces/default/configmaps/certcourier-guard";
pub const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/payments/events";

pub struct Stage {
    pub api: FakeApi,
    pub app: Router,
    pub metrics: Metrics,
    pub audit: Audit,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn read(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, 1 << 26).await.unwrap().to_vec();
        Self { status: parts.status, headers: parts.headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The status and the code of a refusal, and that its words hold these.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str, words: &str) {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!((self.status.as_u16(), self.json()["error"].as_str()), (status, Some(code)), "{text}");
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
}

impl Stage {
    /// A server for a request of this format.
    pub async fn of_format(format: &str) -> Self {
        Self::with_flags(format, &[]).await
    }

    pub async fn with_flags(format: &str, flags: &[&str]) -> Self {
        let api = FakeApi::start().await;
        api.put(SECRET, secret(&PKI.leaf, &PKI.key, &PKI.root));
        api.put(CERTIFICATE, certificate());
        api.put(REQUEST, request(format, &token()));
        guard(&api);
        let (app, metrics, audit) = Self::start(&api, flags);
        Self { api, app, metrics, audit }
    }

    /// One more server on the same API server.
    pub fn replica(api: &FakeApi, flags: &[&str]) -> Router {
        Self::start(api, flags).0
    }

    fn start(api: &FakeApi, flags: &[&str]) -> (Router, Metrics, Audit) {
        let usual = USUAL.iter().filter(|flag| !flags.contains(&flag[0])).flatten().copied();
        let args = args(&usual.chain(flags.iter().copied()).collect::<Vec<_>>());
        let config = ::kube::Config::new(format!("http://{}", api.address).parse().unwrap());
        let clients = Clients::new(config, &args.client, Role::Server).unwrap();
        let cluster_policy = args.cluster_policy.as_deref().map(|file| policies::load(file).unwrap());
        let metrics = Metrics::new("server");
        clients.observe(&metrics);
        let source = Source::new(args.cluster_name.as_deref());
        let audit = Audit::start_with(AUDIT.clone(), &args.audit, source, &metrics).unwrap();
        let state = ServerState::new(&args, clients, cluster_policy, &metrics).telling(audit.clone());
        (router(Arc::new(state)), metrics, audit)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.app.clone().oneshot(request).await.unwrap()).await
    }

    /// Redeems the token of the request.
    pub async fn download(&self) -> Answer {
        self.send(get(&token())).await
    }

    pub async fn status(&self) -> Answer {
        self.send(Request::get(format!("/api/v1/downloads/{}/status", token().expose())).body(Body::empty()).unwrap())
            .await
    }

    pub fn receipt(&self) -> Option<Value> {
        let mut receipts = self.api.list(RECEIPTS);
        assert!(receipts.len() <= 1, "{receipts:#?}");
        receipts.pop()
    }

    /// The status of the receipt, once it has an outcome.
    pub async fn outcome(&self) -> Value {
        let status = async || self.receipt().map_or(Value::Null, |receipt| receipt["status"].clone());
        until("the receipt has an outcome", async || wanted(status().await, |it| it["outcome"].is_string())).await
    }
}

/// The request for a file by a token in the path.
pub fn get(token: &Token) -> Request<Body> {
    Request::get(format!("/api/v1/downloads/{}", token.expose())).body(Body::empty()).unwrap()
}

/// The living token of the request.
pub fn token() -> Token {
    Token::mint(NAMESPACE, "api", &[7; 32])
}

pub fn ago(seconds: i64) -> String {
    (Timestamp::now() - SignedDuration::from_secs(seconds)).strftime("%FT%TZ").to_string()
}

pub fn secret(leaf: &str, key: &str, ca: &str) -> Value {
    let encode = |text: &str| Base64::encode_string(text.as_bytes());
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "api-tls", "namespace": NAMESPACE},
        "data": {"tls.crt": encode(leaf), "tls.key": encode(key), "ca.crt": encode(ca)}})
}

fn certificate() -> Value {
    json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate",
        "metadata": {"name": "api", "namespace": NAMESPACE},
        "spec": {"environments": [{"name": "production", "secretRef": {"name": "api-tls"}}]}})
}

/// The admission policies, and the guard's record that they stand.
fn guard(api: &FakeApi) {
    let identity = Identity::new("default", OPERATOR, OPERATOR).unwrap();
    let mut live = Vec::new();
    for object in admission::objects(&identity) {
        let (kind, json) = match &object {
            Object::Policy(policy) => (Kind::Policy, serde_json::to_value(policy).unwrap()),
            Object::Binding(binding) => (Kind::Binding, serde_json::to_value(binding).unwrap()),
        };
        let path = format!("/apis/admissionregistration.k8s.io/v1/{}/{}", kind.plural(), object.name());
        api.put(&path, json);
        let stored = api.get(&path).unwrap();
        let text = |field: &str| stored["metadata"][field].as_str().unwrap().to_owned();
        let (uid, resource_version) = (text("uid"), text("resourceVersion"));
        live.push(LiveObject { kind, name: object.name(), uid, generation: 0, resource_version, spec: Value::Null });
    }
    for crd in certcourier::manifests::crds() {
        let name = crd.metadata.name.clone().unwrap();
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        api.put(&path, serde_json::to_value(&crd).unwrap());
        let uid = api.get(&path).unwrap()["metadata"]["uid"].as_str().unwrap().to_owned();
        let (kind, resource_version) = (Kind::Crd, String::new());
        live.push(LiveObject { kind, name, uid, generation: 0, resource_version, spec: Value::Null });
    }
    let since = Timestamp::now() - SignedDuration::from_hours(1);
    let record = Record {
        state: State::Intact { since },
        epoch: Live::of(live).epoch(),
        probed_at: Timestamp::now(),
        mutators: vec![],
        watched: Watched::default(),
    };
    let json =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": names::GUARD}, "data": record.data()});
    api.put(RECORD, json);
}

/// A request as the controller leaves it when the token is minted.
fn request(format: &str, token: &Token) -> Value {
    json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
        "metadata": {"name": "api", "namespace": NAMESPACE, "uid": "request-uid", "generation": 1,
            "creationTimestamp": ago(60)},
        "spec": {"certificateRef": {"name": "api"}, "format": format, "reason": "INC-4211",
            "requestedBy": {"username": "carol", "groups": ["people"]}},
        "status": {"phase": "TokenIssued",
            "review": {"digest": "d", "round": 1, "openedAt": ago(60), "fingerprints": [], "policies": [],
                "approvals": {"required": 0, "given": 0, "by": []}},
            "approvals": [],
            "token": {"hash": token.hash(), "generation": 1, "round": 1, "issuedAt": ago(30), "expiresAt": ago(-300)},
            "conditions": []}})
}

pub fn policy(spec: &Value) -> Value {
    json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy",
        "metadata": {"name": "policy", "namespace": NAMESPACE}, "spec": spec})
}

/// Path of an object of ours.
pub fn path(kind: &str, name: &str) -> String {
    format!("{GROUP}/{NAMESPACE}/{kind}/{name}")
}
