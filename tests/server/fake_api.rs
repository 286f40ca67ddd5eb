//! An API server in memory: objects by path, versions that conflict, a log of what was asked, and faults on demand.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// What happens to a call instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this status; nothing is done.
    Refuse(u16),
    /// Refused as the API server refuses to create anything in a namespace that is being deleted.
    NamespaceEnds,
    /// Done, and answered with this status all the same.
    DoneButAnswer(u16),
    /// Done, and never answered.
    DoneWithoutAnswer,
    /// Done after a pause.
    Late(Duration),
}

type Chooser = Arc<dyn Fn(&Method, &str) -> Option<Fault> + Send + Sync>;

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    log: Vec<String>,
    version: u64,
}

/// The API server; clones are the same one.
#[derive(Clone)]
pub struct FakeApi {
    store: Arc<Mutex<Store>>,
    fault: Arc<Mutex<Chooser>>,
    pub address: SocketAddr,
}

/// What is listed. Policies that mutate are not served, as before Kubernetes 1.36.
const LISTS: [&str; 4] = [
    "/certificatepolicies",
    "/validatingadmissionpolicies",
    "/validatingadmissionpolicybindings",
    "/mutatingwebhookconfigurations",
];

/// User name of both programs.
pub const OPERATOR: &str = "certcourier";

pub const GROUP: &str = "/apis/certcourier.io/v1alpha1/namespaces";

impl FakeApi {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Self { store: Arc::default(), fault: Arc::new(Mutex::new(Arc::new(|_, _| None))), address };
        let app = Router::new().fallback(handle).with_state(api.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        api
    }

    /// From now on this says what goes wrong.
    pub fn fail(&self, chooser: impl Fn(&Method, &str) -> Option<Fault> + Send + Sync + 'static) {
        *self.fault.lock().unwrap() = Arc::new(chooser);
    }

    pub fn put(&self, path: &str, object: Value) {
        self.store.lock().unwrap().put(path, object);
    }

    pub fn remove(&self, path: &str) {
        self.store.lock().unwrap().objects.remove(path);
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.store.lock().unwrap().objects.get(path).cloned()
    }

    pub fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap();
        edit(&mut object);
        self.put(path, object);
    }

    /// All objects of a collection.
    pub fn list(&self, collection: &str) -> Vec<Value> {
        self.store.lock().unwrap().list(collection)
    }

    /// What was asked so far, as `METHOD path`, and forgets it.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.store.lock().unwrap().log)
    }
}

impl Store {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        if object["metadata"]["creationTimestamp"].is_null() {
            object["metadata"]["creationTimestamp"] = json!(jiff::Timestamp::now().strftime("%FT%TZ").to_string());
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    fn list(&self, collection: &str) -> Vec<Value> {
        let prefix = format!("{collection}/");
        let below = self.objects.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        below.map(|(_, object)| object.clone()).collect()
    }

    fn act(&mut self, method: &Method, path: &str, body: Value) -> (u16, Value) {
        match *method {
            Method::GET if path == "/version" => (
                200,
                json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3",
                "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            ),
            Method::GET if LISTS.iter().any(|plural| path.ends_with(plural)) => (
                200,
                json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": self.list(path)}),
            ),
            Method::GET => self.objects.get(path).map_or((404, Value::Null), |object| (200, object.clone())),
            Method::POST if path.ends_with("subjectaccessreviews") => {
                let asked = &body["spec"]["resourceAttributes"];
                let refused =
                    format!("/refused/{}/{}", asked["verb"].as_str().unwrap(), asked["name"].as_str().unwrap_or(""));
                let allowed = !self.objects.contains_key(&refused);
                (201, json!({"metadata": {}, "spec": body["spec"], "status": {"allowed": allowed}}))
            }
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) { (409, Value::Null) } else { (201, self.put(&path, body)) }
            }
            Method::PUT => {
                let path = path.trim_end_matches("/status");
                let Some(mut object) = self.objects.get(path).cloned() else { return (404, Value::Null) };
                if object["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
                    return (409, Value::Null);
                }
                object["status"] = body["status"].clone();
                (200, self.put(path, object))
            }
            _ => (405, Value::Null),
        }
    }
}

/// A caller that hangs up does not undo its call.
async fn handle(State(api): State<FakeApi>, request: Request) -> Response {
    tokio::spawn(act(api, request)).await.unwrap()
}

async fn act(api: FakeApi, request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let bearer = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let body = to_bytes(request.into_body(), 1 << 24).await.unwrap();
    let body: Value = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    api.store.lock().unwrap().log.push(format!("{method} {path}"));

    let fault = (api.fault.lock().unwrap().clone())(&method, &path);
    match fault {
        Some(Fault::Refuse(code)) => return answer(code, Value::Null),
        Some(Fault::NamespaceEnds) => return namespace_ends(),
        Some(Fault::Late(pause)) => tokio::time::sleep(pause).await,
        _ => {}
    }
    let (code, object) = if path.ends_with("/selfsubjectreviews") {
        who(bearer.as_deref())
    } else {
        api.store.lock().unwrap().act(&method, &path, body)
    };
    match fault {
        Some(Fault::DoneButAnswer(code)) => answer(code, Value::Null),
        Some(Fault::DoneWithoutAnswer) => std::future::pending().await,
        _ => answer(code, object),
    }
}

/// `Bearer token-of-NAME` is NAME's. The operator's own calls come without one.
fn who(bearer: Option<&str>) -> (u16, Value) {
    if bearer.is_none() {
        return (201, json!({"metadata": {}, "status": {"userInfo": {"username": OPERATOR}}}));
    }
    match bearer.and_then(|bearer| bearer.strip_prefix("Bearer token-of-")) {
        Some(name) => (201, json!({"metadata": {}, "status": {"userInfo": {"username": name, "groups": ["people"]}}})),
        None => (401, Value::Null),
    }
}

/// Word for word what kube-apiserver 1.36 answers.
fn namespace_ends() -> Response {
    let message = "downloadreceipts.certcourier.io \"r-1\" is forbidden: unable to create new content in namespace payments \
                   because it is being terminated";
    let cause = json!({"reason": "NamespaceTerminating", "message": "namespace payments is being terminated",
        "field": "metadata.namespace"});
    let status = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": message, "details": {"name": "r-1", "group": "certcourier.io", "kind": "downloadreceipts",
            "causes": [cause]}});
    (StatusCode::FORBIDDEN, Json(status)).into_response().map(Body::new)
}

fn answer(code: u16, object: Value) -> Response {
    let status = StatusCode::from_u16(code).unwrap();
    let object = if status.is_success() {
        object
    } else {
        json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
            "message": format!("the fake answers {code}"), "reason": status.canonical_reason().unwrap().replace(' ', "")})
    };
    (status, Json(object)).into_response().map(Body::new)
}
