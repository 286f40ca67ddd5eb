//! A control plane with everything that `certcourier manifests` prints, and people who hold its roles.

use std::collections::BTreeMap;

use axum::http::{Method, Request, request::Builder};
use certcourier::{
    admission::{Identity, probe},
    api::Requester,
    manifests::{Installation, objects, serving_objects, session_objects},
};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use test_cluster::{ControlPlane, Token};
/// Where the operator lives.
pub use test_support::install::SYSTEM as HOME;
use test_support::{
    install::stamps,
    people::{binding, group, role_ref, user},
    waiting::{self, wanted},
    with_kinds,
};
use tokio::sync::{Mutex, OnceCell};

use crate::{
    case::{Answer, Call},
    votes,
};

/// The operator's two ServiceAccounts, the stricter placement; see `sidecar.rs` for the other one.
pub const CONTROLLER: &str = "system:serviceaccount:certcourier-system:controller";
pub const SERVER: &str = "system:serviceaccount:certcourier-system:server";
/// A machine that asks for certificates.
pub const CI: &str = "system:serviceaccount:machines:ci";

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A client certificate of group `system:masters`.
    Admin,
    /// Someone with a bearer token of their own.
    Person(&'static str),
    /// Someone whom the administrator impersonates, with these groups besides `system:authenticated`.
    Impersonated(String, Vec<String>),
}

pub const CONTROL: Who = Who::Person(CONTROLLER);
pub const SERVE: Who = Who::Person(SERVER);

pub fn person(name: &'static str) -> Who {
    Who::Person(name)
}

pub fn impersonated(name: &str, groups: &[&str]) -> Who {
    Who::Impersonated(name.to_owned(), groups.iter().map(|&group| group.to_owned()).collect())
}

/// One of Kubernetes' own controllers.
pub fn kubernetes(controller: &str) -> Who {
    impersonated(
        &format!("system:serviceaccount:kube-system:{controller}"),
        &["system:serviceaccounts", "system:serviceaccounts:kube-system"],
    )
}

pub struct World {
    pub plane: ControlPlane,
    pub identity: Identity,
    /// Whether the API server has MutatingAdmissionPolicy.
    pub can_stamp: bool,
    /// Tokens of the ServiceAccounts, by user name.
    tokens: BTreeMap<&'static str, Token>,
}

/// The clients of one test: they live as long as its runtime.
pub struct Session {
    pub world: &'static World,
    clients: Mutex<BTreeMap<&'static str, Client>>,
    admin: Client,
}

static WORLD: OnceCell<World> = OnceCell::const_new();

/// Who holds which of the roles for people, everywhere.
const ROLES: [(&str, &str); 15] = [
    ("alice", "certcourier-operator"),
    // To try to approve her own requests.
    ("alice", "certcourier-approver"),
    ("bob", "certcourier-approver"),
    ("bob", "certcourier-downloader"),
    ("BOB", "certcourier-approver"),
    ("carol", "certcourier-downloader"),
    ("dave", "certcourier-admin"),
    ("dave", "certcourier-approver"),
    ("erin", "certcourier-auditor"),
    ("frank", "certcourier-admin"),
    ("frank", "certcourier-approver"),
    ("grace", "certcourier-approver"),
    ("user-18", "certcourier-downloader"),
    ("user-19", "certcourier-downloader"),
    (CI, "certcourier-operator"),
];
/// User, namespace and name of the ServiceAccounts.
const ACCOUNTS: [(&str, &str, &str); 3] =
    [(CONTROLLER, HOME, "controller"), (SERVER, HOME, "server"), (CI, "machines", "ci")];

impl World {
    async fn start() -> Self {
        let plane = ControlPlane::start(with_kinds()).await.expect("a control plane");
        let identity = Identity::new(HOME, CONTROLLER, SERVER).unwrap();
        let can_stamp = stamps(&plane);
        let mut tokens = BTreeMap::new();
        for (user, namespace, name) in ACCOUNTS {
            tokens.insert(user, plane.service_account(namespace, name, &[]).await.unwrap().token);
        }
        let world = Self { plane, identity, can_stamp, tokens };
        let session = Unready::new(&world);
        for call in votes::nearly_full().into_iter().chain(crate::texts::from_before()) {
            let answer = send(&session.admin, &Who::Admin, &call).await;
            assert!(answer.is_success(), "{answer:?}");
        }
        let installation =
            Installation { identity: world.identity.clone(), watch_namespaces: vec![], stamp: can_stamp };
        session.apply(&objects(&installation).unwrap()).await;
        session.apply(&serving_objects(&world.identity).unwrap()).await;
        session.apply(&session_objects(&world.identity).unwrap()).await;
        session.apply(&bindings()).await;
        session.apply(&special_rights()).await;
        world
    }
}

fn bindings() -> Vec<Value> {
    ROLES.iter().map(|(name, role)| bind(role, user(name))).collect()
}

/// Binds a ClusterRole everywhere.
fn bind(role: &str, subject: Value) -> Value {
    let name = subject["name"].as_str().unwrap();
    let metadata = json!({"name": format!("{role}.{}", name.replace(':', ".").replace("BOB", "big-bob"))});
    binding("ClusterRoleBinding", &metadata, &role_ref("ClusterRole", role), &[subject])
}

/// Rights that no role of ours gives, and whose holders the policies must stop all the same.
fn special_rights() -> Vec<Value> {
    let role = |name: &str, rules: Value| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": rules,
        })
    };
    let secret =
        |name: &str| json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": [name]}]);
    vec![
        role("reads-dave-tls", secret("dave-tls")),
        bind("reads-dave-tls", user("dave")),
        role("reads-alice-p12", secret("alice-p12")),
        bind("reads-alice-p12", user("alice")),
        // An approver of one certificate alone.
        role(
            "approves-api",
            json!([
                {"apiGroups": ["certcourier.io"], "resources": ["certificates"], "verbs": ["approve"], "resourceNames": ["api"]},
                {"apiGroups": ["certcourier.io"], "resources": ["downloadrequests"], "verbs": ["get"]},
                {"apiGroups": ["certcourier.io"], "resources": ["downloadrequests/status"], "verbs": ["patch"]},
            ]),
        ),
        bind("approves-api", user("heidi")),
        // A ServiceAccount that RBAC would let vote.
        bind("certcourier-approver", user(CI)),
        // Groups, for people who are impersonated.
        bind("certcourier-operator", group("impersonated-operators")),
        bind("certcourier-approver", group("impersonated-approvers")),
    ]
}

impl Session {
    /// The world, once everything in it counts.
    pub async fn open() -> Self {
        let world = WORLD
            .get_or_init(|| async {
                let world = World::start().await;
                Unready::new(&world).wait_until_everything_counts().await;
                world
            })
            .await;
        Self { world, clients: Mutex::default(), admin: world.plane.admin() }
    }

    /// Made when it is first needed, in the runtime of this test.
    async fn client(&self, who: &Who) -> Client {
        let Who::Person(name) = who else { return self.admin.clone() };
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(name) {
            return client.clone();
        }
        let plane = &self.world.plane;
        let person = match self.world.tokens.get(name) {
            Some(token) => plane.with_token(name, token.clone()).await,
            None => plane.person(name, &[]).await,
        };
        let client = person.unwrap().client;
        clients.insert(name, client.clone());
        client
    }

    pub async fn namespace(&self, prefix: &str) -> String {
        self.world.plane.namespace(prefix).await.unwrap()
    }

    /// Makes a call and gives the answer, whatever it is.
    pub async fn send(&self, who: &Who, call: &Call) -> Answer {
        let client = &self.client(who).await;
        let Some(edit) = call.edit else { return send(client, who, call).await };
        let read = Call::new(Method::GET, call.path.trim_end_matches("/status"), Value::Null);
        let mut object = send(&self.admin, &Who::Admin, &read).await.body;
        edit(&mut object, &call.body);
        send(client, who, &Call { body: object, edit: None, ..call.clone() }).await
    }

    /// As the API server knows them: what `spec.requestedBy` must say.
    pub async fn identity(&self, who: &Who) -> Requester {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let call = Call::new(Method::POST, "/apis/authentication.k8s.io/v1/selfsubjectreviews", review);
        let answer = self.send(who, &call).await;
        let user = &answer.body["status"]["userInfo"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Requester {
            username: text(&user["username"]),
            uid: text(&user["uid"]),
            groups: user["groups"].as_array().into_iter().flatten().map(text).collect(),
        }
    }

    /// Asks again until the answer is as wished; for what another process does in its own time.
    pub async fn until(&self, what: &str, who: &Who, call: &Call, wished: impl Fn(&Answer) -> bool) -> Answer {
        until(what, async || self.send(who, call).await, wished).await
    }
}

/// A world that is being set up: the administrator alone.
struct Unready<'a> {
    world: &'a World,
    admin: Client,
}

impl<'a> Unready<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, admin: world.plane.admin() }
    }

    async fn apply(&self, objects: &[Value]) {
        apply(&self.admin, objects).await;
    }

    /// By asking, not by sleeping: kinds are served, every policy refuses its probe, every role is in force.
    async fn wait_until_everything_counts(&self) {
        let world = self.world;
        for plural in ["certificates", "certificatepolicies", "downloadrequests", "downloadreceipts"] {
            let call = Call::new(Method::GET, &format!("/apis/certcourier.io/v1alpha1/{plural}"), Value::Null);
            until(plural, async || send(&self.admin, &Who::Admin, &call).await, |answer| answer.code == 200).await;
        }
        let controller = world.plane.service_account(HOME, "controller", &[]).await.unwrap().client;
        for call in crate::guard::probe_calls(&probe::probes(&world.identity)) {
            let policy = call.policy;
            let ask = async || send(&controller, &CONTROL, &call.call).await;
            until(policy, ask, |answer| answer.refused_by() == Some(policy)).await;
        }
        for (user, role) in ROLES {
            self.wait_for_role(user, role).await;
        }
        if world.can_stamp {
            let alice = world.plane.person("alice", &[]).await.unwrap().client;
            let call = crate::requests::bare("default", "stamped", "cert").dry();
            until("the stamp", async || send(&alice, &person("alice"), &call).await, Answer::is_success).await;
        }
    }

    async fn wait_for_role(&self, user: &str, role: &str) {
        let (resource, verb) = match role {
            "certcourier-auditor" => ("downloadreceipts", "list"),
            "certcourier-admin" => ("certificatepolicies", "create"),
            "certcourier-operator" => ("certificates", "exportkey"),
            "certcourier-downloader" => ("certificates", "download"),
            _ => ("certificates", "approve"),
        };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": {
                "group": "certcourier.io", "resource": resource, "verb": verb, "namespace": "default", "name": "api",
            }},
        });
        let call = Call::new(Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews", review);
        let ask = async || send(&self.admin, &Who::Admin, &call).await;
        until(&format!("{role} of {user}"), ask, |answer| answer.body["status"]["allowed"] == true).await;
    }
}

/// Applies objects as `kubectl apply --server-side` would, in the order given.
pub async fn apply(admin: &Client, objects: &[Value]) {
    for object in objects {
        let call = Call::apply(object);
        // A kind that was made a moment ago is not served at once.
        until(
            &format!("{} {}", object["kind"], object["metadata"]["name"]),
            async || send(admin, &Who::Admin, &call).await,
            |answer| {
                assert!(answer.is_success() || answer.code == 404, "{}: {answer:?}", call.path);
                answer.is_success()
            },
        )
        .await;
    }
}

/// One HTTP request as that person.
pub async fn send(client: &Client, who: &Who, call: &Call) -> Answer {
    let mut builder: Builder =
        Request::builder().method(call.method.clone()).uri(&call.path).header("Content-Type", call.content_type);
    if let Who::Impersonated(user, groups) = who {
        builder = builder.header("Impersonate-User", user);
        // Whoever is impersonated with groups is not in system:authenticated by itself.
        for group in groups.iter().map(String::as_str).chain(["system:authenticated"]) {
            builder = builder.header("Impersonate-Group", group);
        }
    }
    let body = if call.body.is_null() { Body::empty() } else { Body::from(serde_json::to_vec(&call.body).unwrap()) };
    let response = client.send(builder.body(body).unwrap()).await.expect("an answer of the API server");
    let code = response.status().as_u16();
    let bytes = response.into_body().collect_bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)));
    Answer { code, body }
}

/// Asks until the answer is as wished.
pub async fn until(what: &str, ask: impl AsyncFn() -> Answer, wished: impl Fn(&Answer) -> bool) -> Answer {
    waiting::until(what, async || wanted(ask().await, &wished)).await
}
