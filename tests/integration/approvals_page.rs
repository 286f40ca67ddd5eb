//! Approvals and records on the web page, with forms alone, as behind a proxy that signs people in.

use certcourier::api::Phase;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use test_support::{
    curl::curl,
    next_second,
    stage::Stage,
    waiting::until,
    world::{Answer, World},
};

const DOWNLOADS: &str = "certificates/api/downloads";

/// Someone's browser.
struct Browser<'a> {
    world: &'a World<'a>,
    person: &'static str,
}

impl Browser<'_> {
    async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.request_from("same-origin", method, path).await
    }

    async fn request_from(&self, site: &str, method: Method, path: &str) -> RequestBuilder {
        let token = self.world.person(self.person).await.token;
        let url = format!("{}/ui/{path}", self.world.stage.urls[0]);
        self.world.http().request(method, url).header("sec-fetch-site", site).bearer_auth(token.as_str())
    }

    async fn get(&self, path: &str) -> Answer {
        let answer = self.world.fetch(self.request(Method::GET, path).await).await;
        let token = self.world.person(self.person).await.token;
        assert!(!answer.text().contains(token.as_str()), "the token of {} is in {path}", self.person);
        answer
    }

    #[track_caller]
    fn shown(path: &str, answer: &Answer) -> String {
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        Self::shown(path, &answer)
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.world.fetch(self.request(Method::POST, path).await.form(form)).await
    }

    fn of(&self, request: &str) -> String {
        format!("projects/{}/requests/{request}", self.world.namespace)
    }

    fn records(&self, query: &str) -> String {
        format!("records?project={}&{query}", self.world.namespace)
    }
}

/// What is between these two.
#[track_caller]
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let begin = page.find(before).unwrap_or_else(|| panic!("no {before} in {page}")) + before.len();
    &page[begin..begin + page[begin..].find(after).unwrap()]
}

/// The hidden fields of the form with which one votes.
fn ballot<'a>(page: &'a str, decision: &'a str, reason: &'a str) -> Vec<(&'a str, &'a str)> {
    let form = page.split("/vote\">").nth(1).unwrap_or_else(|| panic!("no form to vote in {page}"));
    let field = |name: &'a str| (name, between(form, &format!("name=\"{name}\" value=\""), "\""));
    let hidden = ["mark", "digest", "round", "fingerprints", "policies", "required"].map(field);
    let mut fields = hidden.to_vec();
    fields.extend([("decision", decision), ("reason", reason)]);
    fields
}

async fn world<'a>(what: &str, people: u8) -> World<'a> {
    let world = World::new(Stage::shared().await, what).await;
    let approval = json!({"approvals": people, "contacts": "ask #platform"});
    world.policy("people", json!({"allowKeyExport": "WithApproval", "approval": approval})).await;
    world
}

/// The name of a key request of alice's that waits.
async fn ask(world: &World<'_>) -> String {
    let waiting = world.post("alice", DOWNLOADS, r#"{"format":"key","reason":"F5 import"}"#).await;
    assert_eq!(waiting.status, 202, "{}", waiting.text());
    let name = waiting.field("request");
    world.wait_for_phase(&name, Phase::AwaitingApproval).await;
    name
}

fn browsers<'a>(world: &'a World<'a>) -> [Browser<'a>; 5] {
    ["alice", "bob", "carol", "frank", "erin"].map(|person| Browser { world, person })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_approve_on_the_page_and_everyone_else_reads_why_not() {
    let world = world("page-votes", 2).await;
    let name = ask(&world).await;
    let [alice, bob, carol, frank, _] = browsers(&world);
    let inbox = format!("inbox?of=waiting&project={}", world.namespace);
    for (browser, said) in [(&alice, "You asked"), (&bob, "Waits for you"), (&carol, "You cannot vote")] {
        let page = browser.page(&inbox).await;
        let shown = page.contains(said) || (said == "Waits for you" && page.contains(">Review</a>"));
        assert!(shown && page.contains("Waiting for 2 of 2") && page.contains("ask #platform"), "{said}: {page}");
    }
    assert!(alice.page(&format!("inbox?project={}", world.namespace)).await.contains("Nothing waits for you"));

    let path = bob.of(&name);
    let page = bob.page(&path).await;
    let digest = world.get(&name).await.status.unwrap().review.unwrap().digest;
    for said in [
        "F5 import",
        "holds the private key",
        "The private key is released after 2 approvals.",
        "0 of 2",
        "CN=api.payments.example",
        "No one has voted yet",
        "issuer, not in the file",
        digest.as_str(),
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    for (browser, said) in [(&alice, "yourself"), (&carol, "ClusterRole certcourier-approver")] {
        let page = browser.page(&path).await;
        assert!(page.contains(said) && !page.contains("name=\"decision\""), "{said}: {page}");
    }
    assert!(alice.page(&path).await.contains("Revoke the request"));

    let voted = bob.post(&format!("{path}/vote"), &ballot(&page, "approve", "checked with alice")).await;
    assert_eq!((voted.status, voted.header("location")), (303, format!("../{name}?done=approve").as_str()));
    let page = bob.page(&format!("{path}?done=approve")).await;
    assert!(page.contains("Your approval is on record: 1 of 2.") && page.contains("checked with alice"), "{page}");
    assert!(page.contains("already") && !page.contains("value=\"approve\""), "{page}");
    let page = frank.page(&path).await;
    let voted = frank.post(&format!("{path}/vote"), &ballot(&page, "approve", "seen")).await;
    assert_eq!(voted.status, 303, "{}", voted.text());
    world.wait_for_phase(&name, Phase::Approved).await;
    assert!(alice.page(&path).await.contains("Generate download link"));

    let claimed = world.curl("alice", &["-X", "POST"], &format!("requests/{name}/token")).await;
    assert_eq!(curl(world.stage, &[&claimed.field("url")]).await.text(), world.leaf.key);
    world.wait_finished(&name).await;
    let page = bob.page(&path).await;
    assert!(page.contains("Delivered") && page.contains("closed") && !page.contains("name=\"decision\""), "{page}");
    let second = ask(&world).await;
    let page = bob.page(&bob.of(&second)).await;
    assert!(page.contains("Earlier deliveries") && page.contains(&name), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_on_what_has_changed_since_is_refused_and_the_page_shows_what_changed() {
    let world = world("page-round", 1).await;
    let name = ask(&world).await;
    let [_, bob, ..] = browsers(&world);
    let path = bob.of(&name);
    let old = bob.page(&path).await;
    let renewed = world.stage.pki.leaf("api.payments.example");
    world.secret("api-tls", &renewed).await;
    world.wait(&name, "the next round", |status| status.review.as_ref().is_some_and(|review| review.round == 2)).await;

    let refused = bob.post(&format!("{path}/vote"), &ballot(&old, "approve", "as I saw it")).await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let page = refused.text();
    for said in ["has changed since you looked", "Fingerprint before", "you saw round 1", "as I saw it", "Round 2"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert_eq!(world.get(&name).await.status.unwrap().approvals.unwrap(), []);
    let voted = bob.post(&format!("{path}/vote"), &ballot(&page, "approve", "as it is now")).await;
    assert_eq!(voted.status, 303, "{}", voted.text());
    world.wait_for_phase(&name, Phase::Approved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_denial_and_a_revocation_end_a_request_from_the_page() {
    let world = world("page-ends", 1).await;
    let [alice, bob, carol, ..] = browsers(&world);
    let denied = ask(&world).await;
    let (path, page) = (bob.of(&denied), bob.page(&bob.of(&denied)).await);
    let empty = bob.post(&format!("{path}/vote"), &ballot(&page, "deny", "  ")).await;
    assert!(empty.status == 422 && empty.text().contains("the reason goes on record"), "{}", empty.text());
    assert_eq!(bob.post(&format!("{path}/vote"), &ballot(&page, "deny", "no ticket")).await.status, 303);
    world.wait_for_phase(&denied, Phase::Denied).await;

    let revoked = ask(&world).await;
    let path = alice.of(&revoked);
    let page = alice.page(&path).await;
    let mark = between(&page, "name=\"mark\" value=\"", "\"");
    // From another site, without the mark, and with that of someone else: nothing happens.
    let forged = alice.request_from("cross-site", Method::POST, &format!("{path}/revoke")).await;
    let forged = world.fetch(forged.form(&[("reason", "x"), ("mark", mark)])).await;
    assert_eq!(forged.status, 403, "{}", forged.text());
    assert_eq!(alice.post(&format!("{path}/revoke"), &[("reason", "x")]).await.status, 403);
    let foreign = carol.page("inbox").await;
    let foreign = foreign.split("name=\"mark\" value=\"").nth(1).map_or("", |rest| rest.split('"').next().unwrap());
    assert_eq!(alice.post(&format!("{path}/revoke"), &[("reason", "x"), ("mark", foreign)]).await.status, 403);
    assert!(world.get(&revoked).await.phase().is_open());
    let ended = alice.post(&format!("{path}/revoke"), &[("reason", "laptop stolen"), ("mark", mark)]).await;
    assert_eq!(ended.status, 303, "{}", ended.text());
    world.wait_for_phase(&revoked, Phase::Revoked).await;
    assert!(alice.page(&path).await.contains("laptop stolen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn auditors_find_a_file_by_its_digest_and_take_the_record_with_them() {
    let world = World::new(Stage::shared().await, "page-records").await;
    let [_, bob, _, _, erin] = browsers(&world);
    let mut files = Vec::new();
    for (who, body) in [
        ("carol", r#"{"format":"fullchain","reason":"=HYPERLINK(\"http://evil\",\"x\")"}"#),
        ("alice", r#"{"format":"cert","reason":"INC-7, \"urgent\""}"#),
    ] {
        let minted = world.post(who, DOWNLOADS, body).await;
        files.push(curl(world.stage, &[&minted.field("url")]).await.body);
        world.wait_finished(&minted.field("request")).await;
        // A receipt's time has whole seconds.
        next_second().await;
    }
    let digests: Vec<String> =
        files.iter().map(|file| certcourier_bundle::hex::encode(&Sha256::digest(file))).collect();
    let lines = |page: &str| page.matches("<tr>").count() - 1;
    let today = Timestamp::now().to_string()[..10].to_owned();
    let page = erin.page(&erin.records("")).await;
    assert_eq!(lines(&page), 2, "{page}");
    assert!(page.find(&digests[1]).unwrap() < page.find(&digests[0]).unwrap(), "newest first: {page}");
    for (query, found) in [
        (format!("sha256={}", digests[0].to_uppercase()), vec![0]),
        (format!("sha256={}++file.pem", digests[1]), vec![1]),
        ("requester=alice".to_owned(), vec![1]),
        ("format=fullchain&outcome=Delivered".to_owned(), vec![0]),
        (format!("certificate=api&since={today}&until={today}"), vec![0, 1]),
    ] {
        let page = erin.page(&erin.records(&query)).await;
        assert_eq!(lines(&page), found.len(), "{query}: {page}");
        assert!(found.iter().all(|index| page.contains(&digests[*index])), "{query}: {page}");
    }
    for query in [format!("sha256={}", "0".repeat(64)), "until=2020-01-01".to_owned(), "certificate=web".to_owned()] {
        let page = erin.page(&erin.records(&query)).await;
        assert!(page.contains("No receipt fits") && page.contains("Receipts are deleted"), "{query}: {page}");
    }
    assert_eq!(erin.get(&erin.records("sha256=abc")).await.status, 400);

    let path = |kind: &str| format!("records/receipts.{kind}?project={}", world.namespace);
    let csv = erin.get(&path("csv")).await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{:?}", csv.headers);
    assert!(csv.header("content-disposition").contains("receipts.csv"), "{:?}", csv.headers);
    let text = csv.text();
    assert!(text.starts_with("consumed_at,cluster,namespace,receipt,") && text.ends_with("\r\n"), "{text}");
    assert!(text.contains("\"'=HYPERLINK(\"\"http://evil\"\",\"\"x\"\")\""), "{text}");
    assert!(text.contains("\"INC-7, \"\"urgent\"\"\"") && text.matches("\r\n").count() == 3, "{text}");
    let exported: Value = serde_json::from_slice(&erin.get(&path("json")).await.body).unwrap();
    assert_eq!((&exported["items"][0]["artifact_sha256"], &exported["truncated"]), (&json!(digests[1]), &json!(false)));

    let id = exported["items"][0]["id"].as_str().unwrap();
    let receipt = erin.page(&format!("projects/{}/receipts/{id}", world.namespace)).await;
    for said in [digests[1].as_str(), "INC-7", "alice", "Delivered", "no one needed to"] {
        assert!(receipt.contains(said), "{said}: {receipt}");
    }
    let refused = bob.get(&bob.records("")).await;
    assert!(refused.status == 403 && refused.text().contains("certcourier-auditor"), "{}", refused.text());
    // Who may list them nowhere that is known is told what to ask for.
    assert!(erin.page("records").await.contains("You may see no records"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_is_told_of_a_vote_and_asked_again_where_it_is_out_of_date() {
    let world = world("page-events", 2).await;
    let name = ask(&world).await;
    let [_, bob, ..] = browsers(&world);
    let path = bob.of(&name);
    let page = bob.page(&path).await;
    let seen = between(&page, "data-seen=\"", "\"").to_owned();
    let events = format!("events/{path}?seen={seen}");
    let mut stream = bob.request(Method::GET, &events).await.send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(stream.headers()["cache-control"], "no-store");
    let inbox = bob.page(&format!("inbox?project={}", world.namespace)).await;
    let listed = between(&inbox, "data-events=\"./", "\"").replace("&amp;", "&").replace("&#38;", "&");
    let mut inbox = bob.request(Method::GET, &listed).await.send().await.unwrap();

    let voted = bob.post(&format!("{path}/vote"), &ballot(&page, "approve", "seen")).await;
    assert_eq!(voted.status, 303, "{}", voted.text());
    for stream in [&mut stream, &mut inbox] {
        let told = until("the page is told", async || {
            let piece = stream.chunk().await.unwrap().unwrap_or_default();
            let text = String::from_utf8_lossy(&piece).into_owned();
            if text.contains("event: change") { Ok(text) } else { Err(text) }
        });
        let told = told.await;
        assert!(!told.contains("seen") && !told.contains("bob"), "nothing but the fact: {told}");
    }
    // What happened while no one listened is told at once.
    let mut late = bob.request(Method::GET, &events).await.send().await.unwrap();
    let first = late.chunk().await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("event: change"), "{first:?}");
    // Who may not see the request is told nothing.
    let mallory = Browser { world: &world, person: "mallory" };
    assert_eq!(mallory.get(&events).await.status, 403);
}
