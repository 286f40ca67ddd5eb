//! `web` for those who have a client certificate alone, as kind and kubeadm make them, and for `--as`: the pages are made
//! by the plugin.

use certcourier::api::{Decision, Delivery, Phase};
use reqwest::Method;
use serde_json::json;
use test_support::{
    canaries,
    shell::Shell,
    stage::Stage,
    world::{Answer, World},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

use super::{
    kit::{keys_with_two_approvals, only_request, vote},
    web::Page,
};

/// The page in a browser.
struct Browser<'a> {
    world: &'a World<'a>,
    page: Page,
    cookie: String,
}

impl<'a> Browser<'a> {
    async fn open(shell: &Shell<'a>, more: &[&str]) -> Self {
        let page = Page::open(shell, more).await;
        let cookie = page.enter(shell.world).await;
        Self { world: shell.world, page, cookie }
    }

    /// Of someone who has a client certificate alone. Nothing says where the server is.
    async fn of(world: &'a World<'a>, person: &str) -> Self {
        let kubeconfig = world.stage.plane.certificate_kubeconfig(person, None).unwrap();
        Self::open(&Shell::with(world, kubeconfig), &[]).await
    }

    fn in_project(&self, path: &str) -> String {
        format!("/ui/projects/{}{path}", self.world.namespace)
    }

    async fn get(&self, path: &str) -> Answer {
        self.world.fetch(self.page.asks(Method::GET, path).header("cookie", &self.cookie)).await
    }

    async fn reads(&self, path: &str, words: &str) -> String {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        let text = page.text();
        assert!(text.contains(words), "{path} lacks {words:?}: {text}");
        text
    }

    /// Sends a form of the page at `from`.
    async fn sends(&self, from: &str, to: &str, fields: &[(&str, &str)]) -> Answer {
        let page = self.get(from).await.text();
        let mark = value(&page, "mark");
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("mark", mark.as_str())]).collect();
        let body = serde_urlencoded::to_string(&fields).unwrap();
        let post = self.page.asks(Method::POST, to).header("cookie", &self.cookie).header("origin", self.page.origin());
        self.world.fetch(post.header("content-type", "application/x-www-form-urlencoded").body(body)).await
    }

    /// The page of the link: at once, or from the page of the request, where the controller takes its time.
    async fn link(&self, asked: Answer) -> Answer {
        if asked.status == 200 {
            return asked;
        }
        assert_eq!(asked.status, 303, "{}", asked.text());
        let name = asked.header("location").rsplit('/').next().unwrap().to_owned();
        let issued = || async { self.world.get(&name).await.phase() == Phase::TokenIssued };
        self.world.until("a token is issued", issued).await;
        let request = self.in_project(&format!("/requests/{name}"));
        self.sends(&request, &format!("{request}/token"), &[]).await
    }

    /// Uses the link up that this page shows.
    async fn file(&self, link: &Answer) -> Answer {
        assert_eq!(link.status, 200, "{}", link.text());
        let token = value(&link.text(), "token");
        canaries::token(&token);
        let body = serde_urlencoded::to_string([("token", token.as_str())]).unwrap();
        let post = self.page.asks(Method::POST, "/ui/t/download").header("cookie", &self.cookie);
        let post =
            post.header("origin", self.page.origin()).header("content-type", "application/x-www-form-urlencoded");
        self.world.fetch(post.body(body)).await
    }

    async fn close(self) {
        self.page.running.interrupted().await.ok();
    }
}

/// The value of the first field of this name.
fn value(page: &str, name: &str) -> String {
    let field = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name}: {page}")).1;
    field.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_client_certificate_alone_downloads_through_the_web_page() {
    let world = World::new(Stage::shared().await, "alone-file").await;
    let alice = Browser::of(&world, "alice").await;
    let projects = alice.reads("/ui/", &world.namespace).await;
    assert!(projects.contains(">alice</span>") && !projects.contains("sign-out"), "{projects}");
    alice.reads(&alice.in_project(""), "certificates/api").await;
    let certificate = alice.in_project("/certificates/api");
    let page = alice.reads(&certificate, "your cluster decides when you ask").await;
    assert!(page.contains("Generate a strong one") && !page.contains("Choose my own"), "{page}");

    let form = alice.in_project("/certificates/api/download");
    let asked = alice.sends(&certificate, &form, &[("format", "fullchain"), ("reason", "INC-1")]).await;
    let link = alice.link(asked).await;
    let file = alice.file(&link).await;
    assert_eq!((file.status, file.text()), (200, world.leaf.chain()));
    let name = only_request(&world).await;
    let request = world.get(&name).await;
    assert_eq!(request.spec.delivery, Some(Delivery::Secret));
    assert_eq!(request.spec.requested_by.unwrap().username, "alice");
    let again = alice.file(&link).await;
    assert_eq!(again.status, 410, "{}", again.text());
    world.until("it is on record", || async { world.get(&name).await.phase() == Phase::Consumed }).await;
    alice.reads(&alice.in_project(&format!("/requests/{name}")), "Downloaded").await;
    alice.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_a_client_certificate_alone_approves_on_the_web_page_and_another_has_the_key() {
    let world = World::new(Stage::shared().await, "alone-vote").await;
    keys_with_two_approvals(&world).await;
    let (alice, bob) = tokio::join!(Browser::of(&world, "alice"), Browser::of(&world, "bob"));
    let form = alice.in_project("/certificates/api/download");
    let asked = alice.sends(&form, &form, &[("format", "pkcs12"), ("reason", "INC-2")]).await;
    let name = only_request(&world).await;
    assert_eq!(asked.status, 303, "{}", asked.text());
    assert!(asked.header("location").ends_with(&format!("/requests/{name}")), "{}", asked.header("location"));
    world.until("it waits", || async { world.get(&name).await.phase() == Phase::AwaitingApproval }).await;
    let request = alice.in_project(&format!("/requests/{name}"));
    let token = format!("{request}/token");
    let early = alice.sends(&form, &token, &[]).await;
    assert_eq!(early.status, 403, "{}", early.text());

    bob.reads("/ui/inbox", &name).await;
    let shown = bob.reads(&request, "which certcourier alone reads").await;
    let vote_of_bob = [("decision", "approve"), ("reason", "asked alice"), ("digest", &value(&shown, "digest"))];
    let voted = bob.sends(&request, &format!("{request}/vote"), &vote_of_bob).await;
    assert_eq!(voted.status, 303, "{}", voted.text());
    let stored = world.get(&name).await;
    assert_eq!(stored.votes().iter().map(|vote| vote.username.as_str()).collect::<Vec<_>>(), ["bob"]);
    bob.reads(&request, "you have approved this request already").await;
    let not_hers = bob.sends(&request, &token, &[]).await;
    assert_eq!(not_hers.status, 403, "{}", not_hers.text());

    vote(&world, "frank", &name, Decision::Approve).await;
    world.until("a token is issued", || async { world.get(&name).await.phase() == Phase::TokenIssued }).await;
    alice.reads(&request, "No approval is missing").await;
    let link = alice.sends(&request, &token, &[]).await;
    let text = link.text();
    let passphrase = text.split_once("id=\"generated\">").expect(&text).1.split('<').next().unwrap();
    assert!(passphrase.len() >= 12, "{text}");
    let file = alice.file(&link).await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert_eq!(file.header("content-type"), "application/x-pkcs12");
    world.until("it is on record", || async { world.get(&name).await.phase() == Phase::Consumed }).await;
    let erin = Browser::of(&world, "erin").await;
    erin.reads("/ui/records", "alice").await;

    let another = alice.sends(&form, &form, &[("format", "key"), ("reason", "INC-3")]).await;
    let name = another.header("location").rsplit('/').next().unwrap().to_owned();
    let request = alice.in_project(&format!("/requests/{name}"));
    let revoked = alice.sends(&request, &format!("{request}/revoke"), &[("reason", "not needed")]).await;
    assert_eq!(revoked.status, 303, "{}", revoked.text());
    world.until("it is revoked", || async { world.get(&name).await.phase() == Phase::Revoked }).await;
    for browser in [alice, bob, erin] {
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_a_right_reads_on_the_plugins_page_what_to_ask_for() {
    let world = World::new(Stage::shared().await, "alone-none").await;
    let mallory = Browser::of(&world, "mallory").await;
    mallory.reads("/ui/", "mallory").await;
    mallory.reads("/ui/inbox", "Approvals").await;
    for path in [mallory.in_project(""), mallory.in_project("/certificates/api")] {
        let refused = mallory.get(&path).await;
        assert_eq!(refused.status, 403, "{}", refused.text());
        assert!(refused.text().contains("ask for"), "{}", refused.text());
        assert!(!refused.text().contains("sign-in"), "{}", refused.text());
    }
    mallory.close().await;

    // Who may ask and not read the policies.
    let rules = json!([
        {"apiGroups": ["certcourier.io"], "resources": ["certificates"], "verbs": ["get", "list", "download", "exportkey"]},
        {"apiGroups": ["certcourier.io"], "resources": ["downloadrequests"], "verbs": ["get", "create"]},
    ]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules,
        "metadata": {"name": "few", "namespace": world.namespace}});
    let kubectl = world.stage.plane.admin_kubectl();
    kubectl.apply(&role.to_string()).await.unwrap();
    let binding = ["create", "rolebinding", "few", "--role=few", "--user=judy", "-n", &world.namespace];
    kubectl.check(binding).await.unwrap();
    let judy = Browser::of(&world, "judy").await;
    let certificate = judy.in_project("/certificates/api");
    let path = certificate.as_str();
    world.until("judy may read", || async { judy.get(path).await.status == 200 }).await;
    judy.reads(&certificate, "You are not allowed to read the policies of this project").await;
    let form = judy.in_project("/certificates/api/download");
    let asked = judy.sends(&form, &form, &[("format", "cert")]).await;
    let link = judy.link(asked).await;
    let file = judy.file(&link).await;
    assert_eq!((file.status, file.text()), (200, world.leaf.leaf.clone()));
    let refused = judy.sends(&form, &form, &[("format", "key"), ("reason", "x")]).await;
    assert_eq!(refused.status, 303, "{}", refused.text());
    let to = refused.header("location").rsplit('/').next().unwrap().to_owned();
    world.until("the cluster has decided", || async { world.get(&to).await.phase() == Phase::Failed }).await;
    judy.reads(&judy.in_project(&format!("/requests/{to}")), "allowKeyExport is Never").await;
    judy.close().await;
}

/// Whose bearer token is sent where is seen by a server that writes down what it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn the_web_page_of_whom_one_acts_as_is_theirs_and_no_token_of_anyone_goes_to_the_server() {
    let world = World::empty(Stage::shared().await, "alone-as").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let kubectl = world.stage.plane.admin_kubectl();
    let role = ["create", "clusterrole", "alone-as", "--verb=impersonate", "--resource=users", "--resource-name=zoe"];
    kubectl.check(role).await.unwrap();
    let binding = ["create", "clusterrolebinding", "alone-as", "--clusterrole=alone-as", "--user=carol"];
    kubectl.check(binding).await.unwrap();
    let carol = Shell::of(&world, "carol").await.set("CERTCOURIER_SERVER", &address);
    let zoe = Browser::open(&carol, &["--as", "zoe"]).await;
    world.until("carol may act as zoe", || async { zoe.get("/ui/").await.status == 200 }).await;
    zoe.reads("/ui/", ">zoe</span>").await;
    let server = tokio::spawn(async move {
        let mut connection = BufReader::new(listener.accept().await.unwrap().0);
        let mut asked = String::new();
        while !asked.ends_with("\r\n\r\n") {
            assert!(connection.read_line(&mut asked).await.unwrap() > 0, "{asked}");
        }
        connection.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        asked.to_ascii_lowercase()
    });
    assert_eq!(zoe.get("/ui/t").await.status, 204);
    let asked = server.await.unwrap();
    assert!(asked.starts_with("get /ui/t http/1.1\r\n"), "{asked}");
    for foreign in ["authorization", "cookie", "impersonate", "bearer"] {
        assert!(!asked.contains(foreign), "{foreign}");
    }
    zoe.close().await;
}
