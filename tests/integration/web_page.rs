//! The web page, as a browser without scripts uses it: cookies, forms, links.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use reqwest::{Method, header};
use serde_json::json;
use test_support::{
    canaries,
    stage::Stage,
    world::{Answer, World},
};

/// A browser: it keeps cookies, and says that its own page asked.
struct Browser<'a> {
    world: &'a World<'a>,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
    server: usize,
}

impl<'a> Browser<'a> {
    fn new(world: &'a World<'a>) -> Self {
        Self { world, http: world.stage.http(), cookies: Mutex::default(), server: 0 }
    }

    async fn signed_in(world: &'a World<'a>, person: &str) -> Self {
        let browser = Self::new(world);
        let token = world.person(person).await.token;
        let answer = browser.post("sign-in", &[("token", token.as_str()), ("next", "")]).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        browser
    }

    async fn send(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let url = format!("{}/ui/{path}", self.world.stage.urls[self.server]);
        let mut request = self.http.request(method, url).header("sec-fetch-site", "same-origin");
        let cookies: Vec<String> = {
            let kept = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        let answer = self.world.fetch(request).await;
        let mut kept = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        for set in answer.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            for attribute in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
                assert!(set.contains(attribute), "{set}");
            }
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                kept.remove(name);
            } else {
                canaries::secret("a session", value.as_bytes());
                kept.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, Some(form)).await
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    fn project(&self) -> String {
        format!("projects/{}", self.world.namespace)
    }

    fn certificate(&self) -> String {
        format!("{}/certificates/api", self.project())
    }
}

/// The value of a field or of an attribute: what is between these two.
#[track_caller]
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let begin = page.find(before).unwrap_or_else(|| panic!("no {before} in {page}")) + before.len();
    &page[begin..begin + page[begin..].find(after).unwrap()]
}

fn mark(page: &str) -> &str {
    between(page, "name=\"mark\" value=\"", "\"")
}

fn download_token(page: &str) -> String {
    let token = between(page, "name=\"token\" value=\"", "\"").to_owned();
    canaries::secret("a download token", token.as_bytes());
    token
}

async fn read(world: &World<'_>) {
    world
        .until("the controller has read the Certificate", || async {
            world.curl("carol", &[], "certificates/api").await.json()["ready"] == json!(true)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_looks_and_downloads_with_forms_alone() {
    let world = World::new(Stage::shared().await, "web").await;
    read(&world).await;
    let browser = Browser::new(&world);
    let certificate = browser.certificate();

    let asked = browser.get(&certificate).await;
    assert_eq!(asked.status, 303, "{}", asked.text());
    assert!(asked.header("location").contains("sign-in?next=projects%2F"), "{:?}", asked.headers);
    let token = world.person("carol").await.token;
    let entered = browser.post("sign-in", &[("token", token.as_str()), ("next", &certificate)]).await;
    assert_eq!((entered.status, entered.header("location")), (303, format!("./{certificate}").as_str()));

    let list = browser.page(&browser.project()).await;
    assert!(list.contains("api.payments.example") && list.contains("days left") && list.contains("matches"), "{list}");
    let page = browser.page(&certificate).await;
    for said in ["The private key is not released.", "What happened", "Chain", "carol", "<dialog"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(page.contains("you lack verb `exportkey`"), "{page}");

    let form = [("mark", mark(&page)), ("format", "fullchain"), ("environment", "production"), ("reason", "INC-1")];
    let issued = browser.post(&format!("{certificate}/download"), &form).await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    let issued = issued.text();
    let token = download_token(&issued);
    assert!(issued.contains(&format!("/ui/t#{token}")), "{issued}");

    // Someone else, who does not sign in.
    let other = Browser::new(&world);
    let look = other.post("t/look", &[("token", &token)]).await.text();
    assert!(look.contains("works once") && look.contains("production") && !look.contains(&token), "{look}");
    let file = other.post("t/download", &[("token", &token)]).await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert!(file.header("content-disposition").starts_with("attachment"), "{:?}", file.headers);
    assert!(file.text().starts_with("-----BEGIN CERTIFICATE-----"));
    let again = other.post("t/download", &[("token", &token)]).await;
    assert_eq!(again.status, 410);
    assert!(again.text().contains("<!doctype html>") && again.header("content-type").starts_with("text/html"));
    let look = other.post("t/look", &[("token", &token)]).await.text();
    assert!(look.contains("This link was used") && !look.contains("Download</button>"), "{look}");
    world
        .until("the delivery is on the page", || async {
            browser.page(&certificate).await.contains("<strong>Downloaded</strong>")
        })
        .await;

    let out = browser.post("sign-out", &[("mark", mark(&page))]).await;
    assert_eq!(out.header("location"), "./sign-in?out=yes");
    assert_eq!(browser.get(&certificate).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_opens_a_session_and_none_after_its_token_is_refused() {
    let stage = Stage::shared().await;
    let world = World::new(stage, "web-session").await;
    let kubectl = stage.plane.admin_kubectl();
    let namespace = world.namespace.as_str();
    kubectl.run(&["-n", namespace, "create", "serviceaccount", "robot"]).await.unwrap();
    let role = ["--clusterrole=certcourier-viewer", &format!("--serviceaccount={namespace}:robot")];
    kubectl.run(&[&["-n", namespace, "create", "rolebinding", "robot"][..], &role[..]].concat()).await.unwrap();
    let token = kubectl.run(&["-n", namespace, "create", "token", "robot"]).await.unwrap();
    let token = token.stdout.trim().to_owned();
    canaries::secret("a bearer token", token.as_bytes());
    let mut browser = Browser::new(&world);
    assert_eq!(browser.post("sign-in", &[("token", &token)]).await.status, 303);
    for server in 0..stage.urls.len() {
        browser.server = server;
        let page = browser.page(&browser.project()).await;
        assert!(page.contains("system:serviceaccount") && !page.contains(&token), "{page}");
    }
    kubectl.run(&["-n", namespace, "delete", "serviceaccount", "robot"]).await.unwrap();
    world
        .until("the session is over", || async {
            let answer = browser.get(&browser.project()).await;
            answer.status == 303 && answer.header("location").contains("over=yes")
        })
        .await;
    assert!(browser.cookies.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_no_one_holds_signs_no_one_in() {
    let world = World::new(Stage::shared().await, "web-none").await;
    let browser = Browser::new(&world);
    let answer = browser.post("sign-in", &[("token", "canary-of-no-one")]).await;
    assert_eq!(answer.status, 401);
    let page = answer.text();
    assert!(page.contains("does not accept this bearer token") && !page.contains("canary-of-no-one"), "{page}");
    assert!(browser.cookies.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_from_a_proxy_is_enough_and_its_forms_need_their_mark() {
    let world = World::new(Stage::shared().await, "web-proxy").await;
    read(&world).await;
    let token = world.person("carol").await.token;
    let http = world.stage.http();
    let url = format!("{}/ui/projects/{}/certificates/api", world.stage.urls[0], world.namespace);
    let page = world.fetch(http.get(&url).bearer_auth(token.as_str())).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(!page.headers.contains_key(header::SET_COOKIE) && !page.text().contains("Sign out"));
    let page = page.text();
    let post = async |mark: &str, site: &str| {
        let request = http.post(format!("{url}/download")).bearer_auth(token.as_str()).header("sec-fetch-site", site);
        world.fetch(request.form(&[("mark", mark), ("format", "cert")])).await
    };
    for (mark, site) in [("", "same-origin"), ("AAAA", "same-origin"), (mark(&page), "cross-site")] {
        assert_eq!(post(mark, site).await.status, 403, "{mark} {site}");
    }
    let issued = post(mark(&page), "same-origin").await;
    assert_eq!(issued.status, 200, "{}", issued.text());
    download_token(&issued.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_forbids_is_shown_with_its_reason_and_what_needs_approval_waits_on_its_page() {
    let world = World::new(Stage::shared().await, "web-policy").await;
    read(&world).await;
    world
        .policy(
            "keys",
            json!({"allowKeyExport": "WithApproval", "approval": {"requiredFor": "Keys", "approvals": 1},
            "allowedFormats": ["cert", "fullchain", "pkcs12"], "reasonRequired": true}),
        )
        .await;
    let browser = Browser::signed_in(&world, "alice").await;
    let page = browser.page(&format!("{}/download", browser.certificate())).await;
    assert!(page.contains("format `key` is not allowed by policy keys"), "{page}");
    assert!(page.contains("1 approval"), "{page}");
    let form = |mark: &str, reason: &str, again: &str| {
        [
            ("mark", mark),
            ("format", "pkcs12"),
            ("passphrase_from", "own"),
            ("passphrase", "correct horse battery"),
            ("again", again),
            ("reason", reason),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let send = async |reason: &str, again: &str| {
        let fields = form(mark(&page), reason, again);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        browser.post(&format!("{}/download", browser.certificate()), &fields).await
    };
    for (reason, again, said) in [
        ("INC-1", "another", "the two passphrases are not the same"),
        ("", "correct horse battery", "a reason is required by policy keys"),
    ] {
        let answer = send(reason, again).await;
        assert_eq!(answer.status, 422, "{}", answer.text());
        let page = answer.text();
        assert!(page.contains(said) && !page.contains("correct horse"), "{page}");
        assert!(page.contains("value=\"pkcs12\" required checked"), "what was chosen stays: {page}");
    }
    let waits = send("INC-1", "correct horse battery").await;
    assert_eq!(waits.status, 303, "{}", waits.text());
    let location = waits.header("location").trim_start_matches("../").to_owned();
    world.until("the request waits", || async { browser.page(&location).await.contains("Waiting for approval") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_are_those_that_someone_may_see() {
    let world = World::new(Stage::shared().await, "web-projects").await;
    let browser = Browser::signed_in(&world, "carol").await;
    let page = browser.page("").await;
    assert!(page.contains("Open another project"), "{page}");
    let named = browser.get(&format!("?project={}", world.namespace)).await;
    assert_eq!(named.header("location"), format!("./projects/{}", world.namespace));
    for wrong in ["..%2Fapi", "A", "a%2Fb"] {
        assert_eq!(browser.get(&format!("?project={wrong}")).await.status, 404, "{wrong}");
    }
    let refused = Browser::signed_in(&world, "mallory").await.get(&browser.project()).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("certcourier-viewer") && refused.text().contains("request id"));
}
