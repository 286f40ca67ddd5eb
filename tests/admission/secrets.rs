//! Secrets that hold a token, and what the operator may do with other people's Secrets and Roles: nothing.

use certcourier::{
    admission::name::{OPERATOR_SECRETS, TOKEN_READERS, TOKENS},
    api::names::{SERVING, SESSION},
};
use serde_json::{Value, json};

use crate::{
    case::{
        Answer, Call,
        Expect::{Allowed, Forbidden, Refused},
        Place, case, run,
    },
    requests::{by, existing_owner},
    world::{CONTROL, HOME, SERVE, Session, Who, impersonated, kubernetes, person},
};

const LABEL: &str = "certcourier.io/token";

fn secret(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}, "data": {"token": "YQ=="}})
}

/// As the controller makes them: with an owner, so that it goes when the request goes.
pub fn token_secret(name: &str, owner: &Value) -> Value {
    let mut secret = secret(name, json!({LABEL: "1"}));
    secret["metadata"]["ownerReferences"] = json!([owner]);
    secret
}

pub fn owned_by(name: &str, uid: &str) -> Value {
    json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "name": name, "uid": uid})
}

#[tokio::test]
async fn a_token_secret_is_the_controllers() {
    let session = Session::open().await;
    let ns = session.namespace("tokens").await;
    let place = Place::core(&ns, "secrets");
    let refused = |words| Refused(TOKENS, words);
    let owner = existing_owner(&session, &ns).await;
    let probe = secret("t9", json!({LABEL: "1", "certcourier.io/guard-probe": "x"}));
    let cases = vec![
        case("the controller makes one", CONTROL, place.create(token_secret("t1", &owner)), Allowed),
        case(
            "the server makes one",
            SERVE,
            place.create(token_secret("t2", &owner)),
            Forbidden("cannot create resource"),
        ),
        case(
            "the administrator makes one",
            Who::Admin,
            place.create(token_secret("t2", &owner)),
            refused("only the certcourier controller creates"),
        ),
        case("the guard's probe", CONTROL, place.create(probe), refused("guard probe")),
        case(
            "the administrator puts another token in",
            Who::Admin,
            place.merge("t1", json!({"data": {"token": "Yg=="}})),
            refused("a token Secret must not be changed"),
        ),
        case(
            "the administrator adds a key",
            Who::Admin,
            place.merge("t1", json!({"stringData": {"url": "https://example.org"}})),
            refused("a token Secret must not be changed"),
        ),
        case(
            "the label is taken away",
            Who::Admin,
            place.label("t1", LABEL, Value::Null),
            refused("a token Secret must not be changed"),
        ),
        case(
            "the label says another generation",
            Who::Admin,
            place.label("t1", LABEL, "7"),
            refused("a token Secret must not be changed"),
        ),
        case(
            "another label is added",
            Who::Admin,
            place.label("t1", "a", "b"),
            refused("a token Secret must not be changed"),
        ),
        case(
            "the owner is taken away",
            Who::Admin,
            place.merge("t1", json!({"metadata": {"ownerReferences": null}})),
            refused("a token Secret must not be changed"),
        ),
        case(
            "the garbage collector takes the owner away",
            kubernetes("generic-garbage-collector"),
            place.merge("t1", json!({"metadata": {"ownerReferences": null}})).dry(),
            Allowed,
        ),
        case(
            "the garbage collector changes no token",
            kubernetes("generic-garbage-collector"),
            place.merge("t1", json!({"data": {"token": "Yg=="}})).dry(),
            refused("a token Secret must not be changed"),
        ),
        case("re-encryption writes it back as it is", Who::Admin, place.update("t1", json!({})), Allowed),
        case(
            "the controller changes it",
            CONTROL,
            place.update("t1", json!({"data": {"token": "Yg=="}})),
            Forbidden("cannot update resource"),
        ),
        case("somebody's Secret", Who::Admin, place.create(secret("plain", json!({}))), Allowed),
        case(
            "it becomes a token Secret",
            Who::Admin,
            place.label("plain", LABEL, "1"),
            refused("must not be added or removed"),
        ),
        case(
            "somebody's Secret changes as it likes",
            Who::Admin,
            place.merge("plain", json!({"data": {"x": "Yg=="}})),
            Allowed,
        ),
        case(
            "the administrator deletes it",
            Who::Admin,
            place.delete("t1"),
            refused("annotate the DownloadRequest with certcourier.io/revoke"),
        ),
        case(
            "the administrator deletes all Secrets",
            Who::Admin,
            place.delete_all(),
            refused("only the certcourier controller deletes"),
        ),
        case("the server deletes it", SERVE, place.delete("t1"), Forbidden("cannot delete resource")),
        case(
            "the namespace controller deletes it",
            kubernetes("namespace-controller"),
            place.delete("t1").dry(),
            Allowed,
        ),
        case("the controller reads it", CONTROL, place.get("t1"), Allowed),
        case("the controller lists Secrets", CONTROL, place.list(), Forbidden("cannot list resource")),
        case("the server lists Secrets", SERVE, place.list(), Forbidden("cannot list resource")),
        case("the controller deletes it", CONTROL, place.delete("t1"), Allowed),
        case("one without an owner", CONTROL, place.create(secret("t3", json!({LABEL: "1"}))), Allowed),
        case("whoever may delete Secrets tidies it up", Who::Admin, place.delete("t3"), Allowed),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn other_peoples_secrets_are_none_of_the_operators_business() {
    let session = Session::open().await;
    let ns = session.namespace("others").await;
    let place = Place::core(&ns, "secrets");
    let home = Place::core(HOME, "secrets");
    let typed = |mut object: Value, kind: &str| {
        object["type"] = json!(kind);
        object
    };
    let account = |labels: Value| {
        let mut object = typed(secret("sa", labels), "kubernetes.io/service-account-token");
        object["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
        object["data"] = json!({});
        object
    };
    let refused = |words| Refused(OPERATOR_SECRETS, words);
    let cases = vec![
        case(
            "the controller makes a Secret that holds no token",
            CONTROL,
            place.create(secret("s1", json!({}))),
            refused("Secrets that hold a token"),
        ),
        case(
            "the controller makes one that would hold a ServiceAccount's token",
            CONTROL,
            place.create(account(json!({LABEL: "1"}))),
            refused("type Opaque and kubernetes.io/tls"),
        ),
        case(
            "the same at home",
            CONTROL,
            home.create(account(json!({}))),
            refused("type Opaque and kubernetes.io/tls"),
        ),
        case("somebody's Secret", Who::Admin, place.create(secret("s2", json!({}))), Allowed),
        case("the controller reads it", CONTROL, place.get("s2"), Allowed),
        case("the controller deletes it", CONTROL, place.delete("s2"), refused("Secrets that hold a token")),
        case("its owner deletes it", Who::Admin, place.delete("s2"), Allowed),
        case(
            "the controller in its own namespace",
            CONTROL,
            home.create(secret("s3", json!({}))).dry(),
            refused("Secrets that hold a token"),
        ),
    ];
    run(&session, cases).await;
}

/// Filled by whoever serves; made by the installation.
#[tokio::test]
async fn the_operator_updates_its_serving_certificate_and_no_other_secret_of_its_namespace() {
    let session = Session::open().await;
    let ns = session.namespace("serving").await;
    let (home, elsewhere) = (Place::core(HOME, "secrets"), Place::core(&ns, "secrets"));
    let refused = Refused(OPERATOR_SECRETS, "update its serving certificate");
    let filled = || json!({"stringData": {"tls.crt": "x"}});
    let session_key = || json!({"stringData": {"current": "x"}});
    let cases = vec![
        case("the server fills it", SERVE, home.update(SERVING, filled()), Allowed),
        case("the server fills the key of sessions", SERVE, home.update(SESSION, session_key()), Allowed),
        case("the server deletes that, which RBAC stops", SERVE, home.delete(SESSION), Forbidden("cannot delete")),
        case("the controller deletes that", CONTROL, home.delete(SESSION), refused.clone()),
        case("the server deletes it, which RBAC stops", SERVE, home.delete(SERVING), Forbidden("cannot delete")),
        case("the controller deletes it", CONTROL, home.delete(SERVING), refused.clone()),
        case(
            "the controller makes one of that name",
            CONTROL,
            home.create(secret(SERVING, json!({}))),
            refused.clone(),
        ),
        case("one of that name elsewhere", Who::Admin, elsewhere.create(secret(SERVING, json!({}))), Allowed),
        case("the controller deletes that one", CONTROL, elsewhere.delete(SERVING), refused),
        case(
            "the server fills another one, which RBAC stops",
            SERVE,
            elsewhere.update(SERVING, filled()),
            Forbidden("cannot update"),
        ),
    ];
    run(&session, cases).await;
}

/// A Role of somebody's.
fn role(name: &str, rule: &Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": [rule]})
}

fn reads(secret: &str) -> Value {
    json!({"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], "resourceNames": [secret]})
}

fn binding(name: &str, role: &str, subjects: &Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role}, "subjects": subjects,
    })
}

fn user(name: &str) -> Value {
    json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})
}

/// The name that the controller gives a Role and its RoleBinding.
const READER: &str = "certcourier-token-0123456789abcdef0123456789abcdef";

/// As the controller makes a Role or RoleBinding: labelled, and owned by the request.
pub fn of_token(mut object: Value, owner: &Value) -> Value {
    object["metadata"]["labels"] = json!({LABEL: "1", "velero.io/exclude-from-backup": "true"});
    object["metadata"]["ownerReferences"] = json!([owner]);
    object["metadata"]["ownerReferences"][0]["controller"] = json!(true);
    object
}

/// The Role that lets the requester of `r1` read its token.
pub fn token_reader(owner: &Value) -> Value {
    of_token(role(READER, &reads(&format!("{}-download-token", owner["name"].as_str().unwrap()))), owner)
}

/// A request of carol's, as an owner.
async fn requested(session: &Session, ns: &str, name: &str) -> Value {
    let carol = session.identity(&person("carol")).await;
    let made = session.send(&person("carol"), &by(&carol, ns, name, "cert")).await;
    assert!(made.is_success(), "{made:?}");
    owned_by(name, made.body["metadata"]["uid"].as_str().unwrap())
}

#[tokio::test]
async fn the_operator_grants_the_reading_of_one_token_to_one_person() {
    let session = Session::open().await;
    let ns = session.namespace("readers").await;
    let roles = Place::rbac(&ns, "roles");
    let bindings = Place::rbac(&ns, "rolebindings");
    let owner = requested(&session, &ns, "r1").await;
    let token = "r1-download-token";
    let refused = |words| Refused(TOKEN_READERS, words);
    let granted = "the operator may only grant the reading of one token Secret";
    let bound = "the operator may only bind one person to the Role that reads one token Secret";
    let rule = |edit: &dyn Fn(&mut Value)| {
        let mut object = token_reader(&owner);
        edit(&mut object["rules"][0]);
        roles.create(object)
    };
    let whole = |edit: &dyn Fn(&mut Value)| {
        let mut object = token_reader(&owner);
        edit(&mut object);
        roles.create(object)
    };
    let bind =
        |name: &str, role: &str, subjects: &Value| bindings.create(of_token(binding(name, role, subjects), &owner));
    let account = json!({"kind": "ServiceAccount", "namespace": "machines", "name": "ci"});
    let group = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated"});
    let cases = vec![
        case("another Secret", CONTROL, rule(&|rule| rule["resourceNames"] = json!(["api-tls"])), refused(granted)),
        case(
            "another request's token",
            CONTROL,
            rule(&|rule| rule["resourceNames"] = json!(["r2-download-token"])),
            refused(granted),
        ),
        case("every Secret", CONTROL, rule(&|rule| rule["resourceNames"] = json!([])), refused(granted)),
        case("two Secrets", CONTROL, rule(&|rule| rule["resourceNames"] = json!([token, "api-tls"])), refused(granted)),
        case("deleting too", CONTROL, rule(&|rule| rule["verbs"] = json!(["get", "delete"])), refused(granted)),
        case(
            "listing, which RBAC stops",
            CONTROL,
            rule(&|rule| rule["verbs"] = json!(["get", "list"])),
            Forbidden("not currently held"),
        ),
        case(
            "another kind, which RBAC stops",
            CONTROL,
            rule(&|rule| rule["resources"] = json!(["configmaps"])),
            Forbidden("not currently held"),
        ),
        case(
            "two rules",
            CONTROL,
            whole(&|object| object["rules"] = json!([reads(token), reads("other")])),
            refused(granted),
        ),
        case(
            "a name that can be foretold",
            CONTROL,
            whole(&|object| object["metadata"]["name"] = json!(token)),
            refused(granted),
        ),
        case(
            "a name that is not random",
            CONTROL,
            whole(&|object| object["metadata"]["name"] = json!("certcourier-token-r1")),
            refused(granted),
        ),
        case("no label", CONTROL, whole(&|object| object["metadata"]["labels"] = json!({})), refused(granted)),
        case("no owner", CONTROL, whole(&|object| object["metadata"]["ownerReferences"] = json!([])), refused(granted)),
        case("one token Secret", CONTROL, roles.create(token_reader(&owner)), Allowed),
        case(
            "the server grants nothing",
            SERVE,
            roles.create(token_reader(&owner)),
            Forbidden("cannot create resource"),
        ),
        case("a group", CONTROL, bind(READER, READER, &json!([group])), refused(bound)),
        case("two people", CONTROL, bind(READER, READER, &json!([user("alice"), user("bob")])), refused(bound)),
        case("nobody", CONTROL, bind(READER, READER, &json!([])), refused(bound)),
        case(
            "under another name",
            CONTROL,
            bind("certcourier-token-ffffffffffffffffffffffffffffffff", READER, &json!([user("alice")])),
            refused(bound),
        ),
        case(
            "without label and owner",
            CONTROL,
            bindings.create(binding(READER, READER, &json!([user("alice")]))),
            refused(bound),
        ),
        case("somebody's Role", Who::Admin, roles.create(role("reads-tls", &reads("api-tls"))), Allowed),
        case(
            "a person, to somebody's Role",
            CONTROL,
            bind(READER, "reads-tls", &json!([user("alice")])),
            refused(bound),
        ),
        case("a person", CONTROL, bind(READER, READER, &json!([user("alice")])), Allowed),
        case(
            "the controller deletes somebody's Role",
            CONTROL,
            roles.delete("reads-tls"),
            refused("Roles and RoleBindings that it made"),
        ),
        case("the controller deletes its binding", CONTROL, bindings.delete(READER), Allowed),
        case("a ServiceAccount is one person", CONTROL, bind(READER, READER, &json!([account])), Allowed),
        case("the controller lists them", CONTROL, roles.list(), Allowed),
        case("the controller deletes its Role", CONTROL, roles.delete(READER), Allowed),
        case(
            "anybody else grants as RBAC lets them",
            Who::Admin,
            roles.create(role("wide", &json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}))),
            Allowed,
        ),
    ];
    run(&session, cases).await;
}

/// mallory may create, change and delete Roles and RoleBindings of this namespace, and read no Secret.
async fn mallory(session: &Session, ns: &str) -> Who {
    let mallory = impersonated("mallory", &[]);
    let rule = json!({
        "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"],
        "verbs": ["get", "list", "create", "update", "patch", "delete", "deletecollection"],
    });
    let (roles, bindings) = (Place::rbac(ns, "roles"), Place::rbac(ns, "rolebindings"));
    let cases = vec![
        case("her Role", Who::Admin, roles.create(role("rbac-manager", &rule)), Allowed),
        case(
            "her binding",
            Who::Admin,
            bindings.create(binding("rbac-manager", "rbac-manager", &json!([user("mallory")]))),
            Allowed,
        ),
    ];
    run(session, cases).await;
    session.until("her right to count", &mallory, &roles.list(), Answer::is_success).await;
    mallory
}

#[tokio::test]
async fn nobody_else_makes_changes_or_ends_the_right_to_read_a_token() {
    let session = Session::open().await;
    let ns = session.namespace("grants").await;
    let (roles, bindings) = (Place::rbac(&ns, "roles"), Place::rbac(&ns, "rolebindings"));
    let owner = requested(&session, &ns, "r1").await;
    let mallory = mallory(&session, &ns).await;
    let refused = |words| Refused(TOKEN_READERS, words);
    let (made, changed, ended) = (
        "only the certcourier controller grants the right to read a token Secret",
        "only the certcourier controller changes the right to read a token Secret",
        "annotate the DownloadRequest with certcourier.io/revoke",
    );
    let empty =
        |name: &str| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}});
    let squat = |name: &str, role: &str| binding(name, role, &json!([user("mallory"), user("carol")]));
    let subjects = json!({"subjects": [user("carol"), user("mallory")]});
    let mut cases = vec![
        case("the controller's Role", CONTROL, roles.create(token_reader(&owner)), Allowed),
        case(
            "its binding",
            CONTROL,
            bindings.create(of_token(binding(READER, READER, &json!([user("carol")])), &owner)),
            Allowed,
        ),
        case("a Role of her own", mallory.clone(), roles.create(empty("mine")), Allowed),
        case("a binding of it", mallory.clone(), bindings.create(squat("innocent", "mine")), Allowed),
        case("its label", mallory.clone(), roles.label("mine", "team", "red"), Allowed),
        case(
            "she binds the controller's Role, which RBAC stops",
            mallory.clone(),
            bindings.create(squat("other", READER)),
            Forbidden("not currently held"),
        ),
        case(
            "the administrator binds the controller's Role",
            Who::Admin,
            bindings.create(squat("other", READER)),
            refused(made),
        ),
        case("the administrator adds a subject", Who::Admin, bindings.merge(READER, subjects), refused(changed)),
        case(
            "a Role through which a requester would keep the right",
            Who::Admin,
            roles.create(role("keeps", &reads("r1-download-token"))),
            refused(made),
        ),
        case("a Role that reads another Secret", Who::Admin, roles.create(role("reads", &reads("api-tls"))), Allowed),
        case(
            "it is widened to a token",
            Who::Admin,
            roles.merge("reads", json!({"rules": [reads("api-tls"), reads("r1-download-token")]})),
            refused(changed),
        ),
        case("storage migration", Who::Admin, roles.update(READER, json!({})), Allowed),
        case(
            "the garbage collector takes the owner away",
            kubernetes("generic-garbage-collector"),
            bindings.merge(READER, json!({"metadata": {"ownerReferences": null}})).dry(),
            Allowed,
        ),
        case(
            "the garbage collector changes no label",
            kubernetes("generic-garbage-collector"),
            bindings.label(READER, "a", "b").dry(),
            refused(changed),
        ),
        case(
            "the namespace controller deletes it",
            kubernetes("namespace-controller"),
            bindings.delete(READER).dry(),
            Allowed,
        ),
    ];
    for (name, who) in [("mallory", &mallory), ("the administrator", &Who::Admin)] {
        let labelled = of_token(squat("squat", "mine"), &owner);
        let foretold = "certcourier-token-ffffffffffffffffffffffffffffffff";
        for (what, call, words) in [
            ("labels a Role", roles.create(of_token(empty("squat"), &owner)), made),
            ("labels a RoleBinding", bindings.create(labelled), made),
            ("names a Role", roles.create(empty(foretold)), made),
            ("names a RoleBinding", bindings.create(squat(foretold, "mine")), made),
            ("labels what there is", roles.label("mine", LABEL, "1"), changed),
            ("takes the owner away", roles.merge(READER, json!({"metadata": {"ownerReferences": null}})), changed),
            ("empties the Role", roles.merge(READER, json!({"rules": []})), changed),
            ("deletes the Role", roles.delete(READER), ended),
            ("deletes the binding", bindings.delete(READER), ended),
            ("deletes all Roles with the label", with_label(&roles), ended),
        ] {
            cases.push(case(format!("{name} {what}"), who.clone(), call, refused(words)));
        }
    }
    cases.extend([
        case(
            "mallory takes the label away, which RBAC stops",
            mallory.clone(),
            roles.label(READER, LABEL, Value::Null),
            Forbidden("not currently held"),
        ),
        case(
            "the administrator takes the label away",
            Who::Admin,
            roles.label(READER, LABEL, Value::Null),
            refused(changed),
        ),
        case("her Role goes", mallory.clone(), roles.delete("mine"), Allowed),
        case("its binding too", mallory, bindings.delete("innocent"), Allowed),
        case(
            "what has no owner any more",
            kubernetes("generic-garbage-collector"),
            roles.merge(READER, json!({"metadata": {"ownerReferences": null}})),
            Allowed,
        ),
        case("is tidied up by whoever may", Who::Admin, roles.delete(READER), Allowed),
    ]);
    run(&session, cases).await;
}

fn with_label(place: &Place) -> Call {
    let mut all = place.delete_all();
    all.path = format!("{}?labelSelector={LABEL}", all.path);
    all
}
