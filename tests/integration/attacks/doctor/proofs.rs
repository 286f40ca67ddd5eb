//! The rights of which it is not obvious, used: what the report says of them is true.

use axum::http::{Method, Request};
use base64ct::{Base64, Encoding as _};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use test_support::{canaries, stage::SYSTEM};

use super::Plants;

const ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

impl Plants<'_> {
    /// A call in the name of somebody, again until the API server has learned of their rights.
    async fn call(&self, who: &str, method: Method, path: &str, body: &Value) -> Value {
        let what = format!("{who} may {method} {path}");
        let look = async || match self.try_call(who, &method, path, body).await {
            Err(403) => Err("403"),
            answer => Ok(answer),
        };
        self.world.until(&what, look).await.unwrap_or_else(|code| panic!("{who} {method} {path}: {code}"))
    }

    async fn try_call(&self, who: &str, method: &Method, path: &str, body: &Value) -> Result<Value, u16> {
        let kind = if *method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        // Of a deletion with a body, the API server ignores the query, and with it the dry run.
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Impersonate-User", self.user(who))
            .header("Content-Type", kind)
            .body(body)
            .unwrap();
        self.world.admin.request(request).await.map_err(|error| match error {
            kube::Error::Api(status) => status.code,
            other => panic!("{who} {method} {path}: {other}"),
        })
    }

    /// A call with a bearer token.
    async fn with_token(&self, token: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
        canaries::secret("a bearer token", canaries::random_part(token).as_bytes());
        let plane = &self.world.stage.plane;
        let ca = reqwest::Certificate::from_pem(plane.ca_pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
        let url = format!("{}{path}", plane.url());
        let call = client.request(method, url).bearer_auth(token).json(body);
        let answer = call.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }
}

/// What a key looks like in a Secret.
fn holds_key(secret: &Value) -> bool {
    let key = secret["data"]["tls.key"].as_str().unwrap_or_default();
    Base64::decode_vec(key).is_ok_and(|key| String::from_utf8_lossy(&key).contains("PRIVATE KEY"))
}

pub(super) async fn what_the_report_says_is_true(plants: &Plants<'_>) {
    writing_reads_the_whole_secret(plants).await;
    a_secret_of_the_operators_namespace_becomes_its_token(plants).await;
    a_token_of_kube_system_may_give_itself_everything(plants).await;
}

/// Each of them may not get the Secret, and has it.
async fn writing_reads_the_whole_secret(plants: &Plants<'_>) {
    let secrets = format!("/api/v1/namespaces/{}/secrets", plants.world.namespace);
    let one = format!("{secrets}/api-tls");
    // Numbers are those of the lines in `situations`.
    let (patch, delete, collection, update) = ("reads-3", "reads-4", "reads-5", "silent-0");
    for who in [patch, delete, collection, update] {
        assert_eq!(plants.try_call(who, &Method::GET, &one, &Value::Null).await, Err(403), "{who}");
    }
    let dry = format!("{one}?dryRun=All");
    assert!(holds_key(&plants.call(patch, Method::PATCH, &dry, &json!({})).await));
    for propagation in ["Foreground", "Orphan"] {
        let dry = format!("{dry}&propagationPolicy={propagation}");
        let answer = plants.call(delete, Method::DELETE, &dry, &Value::Null).await;
        assert!(holds_key(&answer), "{propagation}: {}", answer["kind"]);
    }
    let all = plants.call(collection, Method::DELETE, &format!("{secrets}?dryRun=All"), &Value::Null).await;
    assert!(all["items"].as_array().unwrap().iter().any(holds_key), "{}", all["kind"]);
    // An update answers with what was sent, and the doctor is silent about it.
    let sent = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "api-tls"},
                      "data": {"tls.crt": "", "tls.key": ""}});
    let answer = plants.call(update, Method::PUT, &dry, &sent).await;
    assert_eq!((holds_key(&answer), answer["kind"].as_str()), (false, Some("Secret")));
    // Nothing of it happened.
    assert!(plants.world.api::<Secret>().get("api-tls").await.is_ok());
}

/// Kubernetes fills a Secret of type service-account-token, for whoever made it.
async fn a_secret_of_the_operators_namespace_becomes_its_token(plants: &Plants<'_>) {
    let secrets = format!("/api/v1/namespaces/{SYSTEM}/secrets");
    let (who, name) = ("operates-9", plants.unique.as_str());
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": ACCOUNT_TOKEN,
        "metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": "server"}}});
    plants.call(who, Method::POST, &secrets, &secret).await;
    let path = format!("{secrets}/{name}");
    let filled = async || {
        let secret = plants.call(who, Method::GET, &path, &Value::Null).await;
        secret["data"]["token"].as_str().map(str::to_owned)
    };
    let token = plants.world.until("Kubernetes has filled the Secret", filled).await;
    let token = String::from_utf8(Base64::decode_vec(&token).unwrap()).unwrap();
    let key = format!("/api/v1/namespaces/{}/secrets/api-tls", plants.world.namespace);
    let (status, answer) = plants.with_token(&token, Method::GET, &key, &Value::Null).await;
    assert_eq!((status, holds_key(&answer)), (200, true));
    let made: Api<Secret> = Api::namespaced(plants.world.admin.clone(), SYSTEM);
    made.delete(name, &DeleteParams::default()).await.unwrap();
}

/// One of Kubernetes' own controllers may escalate.
async fn a_token_of_kube_system_may_give_itself_everything(plants: &Plants<'_>) {
    let path = "/api/v1/namespaces/kube-system/serviceaccounts/clusterrole-aggregation-controller/token";
    let ask =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}});
    let made = plants.call("controls-0", Method::POST, path, &ask).await;
    let token = made["status"]["token"].as_str().unwrap();
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec":
        {"resourceAttributes": {"group": "rbac.authorization.k8s.io", "resource": "clusterroles", "verb": "escalate"}}});
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (status, answer) = plants.with_token(token, Method::POST, reviews, &review).await;
    assert_eq!((status, &answer["status"]["allowed"]), (201, &json!(true)), "{answer}");
}
