//! Every door has its lock: each route, with exactly the rights that its description names, does its work, and with any
//! one of them missing it is refused for that reason and changes nothing.
//!
//! The routes come from the OpenAPI document, which is made from the router: a new route without rights, or one that
//! this test does not know how to call, fails it.

use std::collections::{BTreeMap, BTreeSet};

use certcourier::{
    api::{DownloadRequest, Phase},
    server::openapi_document,
};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    rbac::v1::{PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    curl::{Reply, curl},
    stage::Stage,
    world::World,
};

/// A route as it is described.
#[derive(Debug)]
struct Door {
    method: String,
    path: String,
    /// What to call it with.
    body: &'static str,
    /// `verb resource`, as in x-kubernetes-rights.
    rights: BTreeSet<String>,
}

fn doors() -> Vec<Door> {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut doors = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(rights) = operation.get("x-kubernetes-rights") else {
                assert!(!path.contains("{project}"), "{path} does not say which rights it needs");
                continue;
            };
            let rights: BTreeSet<String> = serde_json::from_value(rights.clone()).unwrap();
            assert!(!rights.is_empty(), "{path}");
            let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap();
            let body = match (method.as_str(), last) {
                ("get", _) | ("post", "token") => "",
                ("post", "downloads") => r#"{"format":"cert"}"#,
                ("post", "approve") => r#"{"reason":"INC-1","digest":"DIGEST"}"#,
                ("post", "deny" | "revoke") => r#"{"reason":"INC-1"}"#,
                other => panic!("how is {path} called? {other:?}"),
            };
            doors.push(Door { method: method.to_uppercase(), path: path.clone(), body, rights });
        }
    }
    // The description names the verb for formats without a key.
    let mint = doors.iter().find(|door| door.path.ends_with("/downloads")).unwrap();
    let (method, path) = (mint.method.clone(), mint.path.clone());
    let rights =
        mint.rights.iter().map(|right| right.replace("download certificates", "exportkey certificates")).collect();
    doors.push(Door { method, path, body: r#"{"format":"key"}"#, rights });
    doors
}

/// People with exactly some rights in one namespace; a set of rights has one person.
struct People<'a> {
    world: &'a World<'a>,
    by_rights: BTreeMap<BTreeSet<String>, String>,
}

impl People<'_> {
    async fn with(&mut self, rights: &BTreeSet<String>) -> String {
        if let Some(name) = self.by_rights.get(rights) {
            return name.clone();
        }
        let name = format!("user-{:02}", self.by_rights.len());
        self.by_rights.insert(rights.clone(), name.clone());
        grant(self.world, &name, rights).await;
        name
    }
}

fn split(right: &str) -> (&str, &str) {
    right.split_once(' ').unwrap()
}

async fn grant(world: &World<'_>, name: &str, rights: &BTreeSet<String>) {
    let allow = |right: &String| {
        let (verb, resource) = split(right);
        PolicyRule {
            api_groups: Some(vec!["certcourier.io".to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            verbs: vec![verb.to_owned()],
            ..PolicyRule::default()
        }
    };
    let mut role = Role { rules: Some(rights.iter().map(allow).collect()), ..Role::default() };
    role.metadata.name = Some(name.to_owned());
    world.api::<Role>().create(&PostParams::default(), &role).await.unwrap();
    let binding: RoleBinding = serde_json::from_value(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": format!("{name}-door")},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
    }))
    .unwrap();
    world.api::<RoleBinding>().create(&PostParams::default(), &binding).await.unwrap();
    for right in rights {
        world.until("the role bites", || may(world, name, right)).await;
    }
}

async fn may(world: &World<'_>, name: &str, right: &str) -> bool {
    let (verb, resource) = split(right);
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(name.to_owned()),
            resource_attributes: Some(ResourceAttributes {
                group: Some("certcourier.io".to_owned()),
                resource: Some(resource.to_owned()),
                subresource: (!subresource.is_empty()).then(|| subresource.to_owned()),
                namespace: Some(world.namespace.clone()),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    Api::all(world.admin.clone()).create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

/// A request of this person's, made while they could.
async fn request_of(world: &World<'_>, name: &str) -> String {
    let kubectl = world.stage.plane.admin_kubectl();
    let run = async |arguments: &[&str]| {
        kubectl.check(["--namespace", world.namespace.as_str()].iter().chain(arguments)).await.unwrap();
    };
    run(&["create", "rolebinding", "for-a-moment", "--clusterrole=certcourier-downloader", &format!("--user={name}")])
        .await;
    world.until("the role bites", || may(world, name, "create downloadrequests")).await;
    let request = format!("of-{name}");
    world.request(name, &request, json!({"format": "cert", "delivery": "Claim"})).await;
    // What the controller writes of it is written before anyone compares.
    world.wait_for_phase(&request, Phase::Approved).await;
    run(&["delete", "rolebinding", "for-a-moment"]).await;
    world.until("the role is gone", || async { !may(world, name, "create downloadrequests").await }).await;
    request
}

async fn call(world: &World<'_>, door: &Door, who: &str, object: &str) -> Reply {
    let path = door.path.replace("{project}", &world.namespace).replace("{certificate}", "api");
    let path = path.replace("{request}", object).replace("{id}", object);
    assert!(!path.contains('{'), "{path}");
    let token = world.person(who).await.token;
    let bearer = format!("Authorization: Bearer {}", token.as_str());
    let url = format!("{}{path}", world.stage.urls[0]);
    let mut arguments = vec!["-X", door.method.as_str(), "-H", &bearer];
    let body = if door.body.contains("DIGEST") {
        door.body.replace("DIGEST", &digest_of(world, object).await)
    } else {
        door.body.to_owned()
    };
    if !body.is_empty() {
        arguments.extend(["-d", &body]);
    }
    arguments.push(&url);
    curl(world.stage, &arguments).await
}

/// What is under review of a request, if there is one.
async fn digest_of(world: &World<'_>, request: &str) -> String {
    let request = world.api::<DownloadRequest>().get_opt(request).await.unwrap();
    request.and_then(|request| Some(request.status?.review?.digest)).unwrap_or_else(|| "none".to_owned())
}

/// Everything that a refused call could have changed. The controller's own writes are waited for before.
async fn snapshot(world: &World<'_>) -> Vec<(String, Option<String>)> {
    let requests = world.api::<DownloadRequest>().list(&ListParams::default()).await.unwrap().items;
    requests.iter().map(|request| (request.name_any(), request.resource_version())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_works_with_its_rights_and_is_refused_without_any_one_of_them() {
    let world = World::new(Stage::shared().await, "doors").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let mut people = People { world: &world, by_rights: BTreeMap::new() };
    // What is looked at and voted on.
    world.issue("carol", "seen", json!({"format": "cert"})).await;
    let minted = world.post("carol", "certificates/api/downloads", r#"{"format":"cert"}"#).await;
    assert_eq!(curl(world.stage, &[&minted.field("url")]).await.status, 200);
    let (_, delivered) = world.wait_finished(&minted.field("request")).await;
    let receipt = world.receipt_of(&delivered).await.unwrap().name_any();

    let doors = doors();
    assert!(doors.len() > 12, "{doors:#?}");
    for door in &doors {
        for missing in &door.rights {
            let mut rights = door.rights.clone();
            rights.remove(missing);
            let who = people.with(&rights).await;
            let object = match () {
                () if door.path.ends_with("/{id}") => receipt.clone(),
                () if door.path.ends_with("/token") => own_request(&world, &who).await,
                () => "seen".to_owned(),
            };
            let before = snapshot(&world).await;
            let refused = call(&world, door, &who, &object).await;
            let what = format!("{} {} without {missing}", door.method, door.path);
            assert_eq!(
                (refused.status, refused.field("error").as_str()),
                (403, "forbidden"),
                "{what}: {}",
                refused.text()
            );
            // For the missing right, and for nothing else.
            let (verb, resource) = split(missing);
            let words = refused.field("error_description");
            let named = |word: &str| {
                words.contains(&format!("verb `{word}`"))
                    || words.contains(&format!("lacks verb {word}"))
                    || words.contains(&format!("cannot {word} resource"))
            };
            assert!(named(verb) && words.contains(resource), "{what}: {words}");
            assert_eq!(snapshot(&world).await, before, "{what}");
        }
    }
    for (number, door) in doors.iter().enumerate() {
        let who = people.with(&door.rights).await;
        let object = match () {
            () if door.path.ends_with("/{id}") => receipt.clone(),
            () if door.path.ends_with("/token") => own_request(&world, &who).await,
            () if door.method == "POST" => {
                let name = format!("door-{number}");
                world.issue("carol", &name, json!({"format": "cert"})).await;
                name
            }
            () => "seen".to_owned(),
        };
        let answer = call(&world, door, &who, &object).await;
        assert!((200..300).contains(&answer.status), "{} {}: {}", door.method, door.path, answer.text());
    }
}

/// The one request of this person; made the first time.
async fn own_request(world: &World<'_>, who: &str) -> String {
    let name = format!("of-{who}");
    if world.api::<DownloadRequest>().get_opt(&name).await.unwrap().is_none() {
        assert_eq!(request_of(world, who).await, name);
    }
    name
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_in_another_project_open_no_door_here() {
    let (here, there) = (World::new(Stage::shared().await, "here").await, Stage::shared().await);
    let kubectl = there.plane.admin_kubectl();
    for binding in ["alice", "bob", "carol", "dave", "erin", "frank"] {
        kubectl.check(["--namespace", &here.namespace, "delete", "rolebinding", binding]).await.unwrap();
    }
    // carol, bob and erin have their roles in every other test's project.
    here.until("the roles are gone", || async {
        here.curl("carol", &[], "certificates").await.status == 403
            && here.curl("erin", &[], "receipts").await.status == 403
    })
    .await;
    for door in doors() {
        for who in ["alice", "bob", "erin"] {
            let answer = call(&here, &door, who, "seen").await;
            assert_eq!(
                (answer.status, answer.field("error").as_str()),
                (403, "forbidden"),
                "{} {}",
                door.path,
                answer.text()
            );
        }
    }
}
