//! Lists, details and the timeline, each as somebody may see it.

use certcourier::api::{DownloadRequest, Phase};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use test_support::{
    curl::{Reply, curl},
    next_second,
    stage::Stage,
    world::World,
};

const DOWNLOADS: &str = "certificates/api/downloads";

fn names(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let items = reply.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["name"].as_str().or(item["id"].as_str()).unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_listed_page_by_page_and_told_in_detail() {
    let world = World::new(Stage::shared().await, "list").await;
    for name in ["b", "c", "d"] {
        world.certificate(name, &[("production", "api-tls"), ("staging", "absent")]).await;
    }
    world
        .until("the controller has looked", || async {
            let all = world.curl("carol", &[], "certificates").await.json();
            all["items"].as_array().unwrap().iter().filter(|item| item["message"] != "").count() == 3
        })
        .await;
    let mut seen = Vec::new();
    let mut path = "certificates?limit=3".to_owned();
    loop {
        let page = world.curl("carol", &[], &path).await;
        seen.push(names(&page));
        match page.json()["continue"].as_str() {
            Some(next) => path = format!("certificates?limit=3&continue={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [vec!["api", "b", "c"], vec!["d"]]);

    let api = world.curl("carol", &[], "certificates/api").await.json();
    assert_eq!((&api["ready"], &api["default_environment"]), (&json!(true), &json!("production")));
    let environment = &api["environments"][0];
    assert_eq!((&environment["secret"], &environment["key_matches"]), (&json!("api-tls"), &json!(true)));
    assert!(environment["subject"].as_str().unwrap().contains("api.payments.example"), "{api}");
    assert_eq!(environment["sha256_fingerprint"].as_str().unwrap().len(), 64);
    let broken = world.curl("carol", &[], "certificates/b").await.json();
    assert_eq!(
        (&broken["ready"], &broken["environments"][1]["reason"]),
        (&json!(false), &json!("SecretMissing")),
        "{broken}"
    );
    world.curl("carol", &[], "certificates/absent").await.refused(404, "not_found");
    let words = world.curl("mallory", &[], "certificates").await.refused(403, "forbidden");
    assert!(words.contains("cannot list resource \"certificates\"") && words.contains("certcourier-viewer"), "{words}");
    for (query, said) in [
        ("limit=0", "between 1 and 500"),
        ("limit=501", "between 1 and 500"),
        ("limit=x", "query"),
        ("colour=red", "unknown field `colour`"),
        ("continue=nonsense", "continue"),
    ] {
        let words = world.curl("carol", &[], &format!("certificates?{query}")).await.refused(400, "bad_request");
        assert!(words.contains(said), "{query}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_filtered_by_certificate_phase_requester_and_time() {
    let world = World::new(Stage::shared().await, "filter").await;
    world.certificate("other", &[("production", "api-tls")]).await;
    world.policy("keys", json!({"allowKeyExport": "WithApproval"})).await;
    let mut all = Vec::new();
    for (who, certificate, format) in
        [("carol", "api", "cert"), ("carol", "other", "cert"), ("alice", "api", "chain"), ("alice", "api", "key")]
    {
        let path = format!("certificates/{certificate}/downloads");
        all.push(world.post(who, &path, &json!({"format": format}).to_string()).await.field("request"));
    }
    world.wait_for_phase(&all[3], Phase::AwaitingApproval).await;
    let (early, late) = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    let of = |indices: &[usize]| {
        let mut names: Vec<String> = indices.iter().map(|index| all[*index].clone()).collect();
        names.sort();
        names
    };
    for (query, expected) in [
        (String::new(), of(&[0, 1, 2, 3])),
        ("certificate=api".into(), of(&[0, 2, 3])),
        ("phase=AwaitingApproval".into(), of(&[3])),
        ("requester=carol".into(), of(&[0, 1])),
        ("requester=carol&certificate=other&phase=TokenIssued".into(), of(&[1])),
        ("requester=nobody%2Cat=all".into(), of(&[])),
        (format!("since={early}&until={late}"), of(&[0, 1, 2, 3])),
        (format!("since={late}"), of(&[])),
        (format!("until={early}"), of(&[])),
    ] {
        assert_eq!(names(&world.curl("bob", &[], &format!("requests?{query}")).await), expected, "{query}");
    }
    // A filter by time fills its pages from the pages behind.
    let page = world.curl("bob", &[], &format!("requests?limit=2&since={early}")).await;
    assert_eq!((names(&page).len(), page.json()["continue"].is_string()), (2, true));
    world.curl("bob", &[], "requests?phase=Waiting").await.refused(400, "bad_request");
    world.curl("bob", &[], "requests?phase=").await.refused(400, "bad_request");
    world.curl("erin", &[], "receipts?outcome=lost").await.refused(400, "bad_request");
    world.curl("bob", &[], "requests?since=").await.refused(400, "bad_request");
    world.curl("bob", &[], "requests?since=yesterday").await.refused(400, "bad_request");

    let one = world.curl("bob", &[], &format!("requests/{}", all[0])).await;
    let seen = one.json();
    assert_eq!(
        (&seen["phase"], &seen["requested_by"], &seen["delivery"]),
        (&json!("TokenIssued"), &json!("carol"), &json!("Claim"))
    );
    assert_eq!((&seen["token"]["generation"], &seen["token"]["alive"]), (&json!(1), &json!(true)));
    let hash = world.get(&all[0]).await.status.unwrap().token.unwrap().hash.unwrap();
    assert!(!one.text().contains(&hash), "{}", one.text());
    world.curl("bob", &[], "requests/absent").await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_the_auditors() {
    let world = World::new(Stage::shared().await, "audit").await;
    let mut requests = Vec::new();
    for who in ["carol", "alice"] {
        let minted = world.post(who, DOWNLOADS, r#"{"format":"fullchain","reason":"INC-7"}"#).await;
        assert_eq!(curl(world.stage, &["-A", "curl/test", &minted.field("url")]).await.status, 200);
        world.wait_finished(&minted.field("request")).await;
        requests.push(minted.field("request"));
    }
    let of_carol = world.curl("erin", &[], "receipts?requester=carol&certificate=api&outcome=Delivered").await;
    let ids = names(&of_carol);
    assert_eq!(ids.len(), 1);
    let receipt = world.curl("erin", &[], &format!("receipts/{}", ids[0])).await.json();
    assert_eq!(receipt, of_carol.json()["items"][0]);
    for (field, value) in [
        ("request", json!(requests[0])),
        ("requested_by", json!("carol")),
        ("certificate", json!("api")),
        ("environment", json!("production")),
        ("format", json!("fullchain")),
        ("reason", json!("INC-7")),
        ("client_ip", json!("127.0.0.1")),
        ("user_agent", json!("curl/test")),
        ("artifact_bytes", json!(world.leaf.chain().len())),
        ("outcome", json!("Delivered")),
    ] {
        assert_eq!(receipt[field], value, "{field}");
    }
    assert_eq!(names(&world.curl("erin", &[], "receipts").await).len(), 2);
    assert_eq!(names(&world.curl("erin", &[], &format!("receipts?request={}", requests[1])).await).len(), 1);
    assert!(names(&world.curl("erin", &[], "receipts?since=2100-01-01T00:00:00Z").await).is_empty());
    world.curl("erin", &[], "receipts/r-0").await.refused(404, "not_found");
    for path in ["receipts".to_owned(), format!("receipts/{}", ids[0])] {
        let words = world.curl("carol", &[], &path).await.refused(403, "forbidden");
        assert!(words.contains("resource \"downloadreceipts\"") && words.contains("certcourier-auditor"), "{words}");
    }
}

fn kinds(timeline: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    timeline["items"].as_array().unwrap().iter().map(|item| (text(&item["kind"]), text(&item["by"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_tells_what_happened_newest_first() {
    let world = World::new(Stage::shared().await, "timeline").await;
    world.policy("one", json!({"allowKeyExport": "WithApproval", "approval": {"approvals": 1}})).await;
    let name = world.post("alice", DOWNLOADS, r#"{"format":"key","reason":"F5"}"#).await.field("request");
    world.wait_for_phase(&name, Phase::AwaitingApproval).await;
    let digest = world.get(&name).await.status.unwrap().review.unwrap().digest;
    let body = json!({"reason": "fine", "digest": digest}).to_string();
    assert_eq!(world.post("bob", &format!("requests/{name}/approve"), &body).await.status, 200);
    world.wait_for_phase(&name, Phase::Approved).await;
    // So that each step is in a second of its own.
    next_second().await;
    let minted = world.curl("alice", &["-X", "POST"], &format!("requests/{name}/token")).await;
    next_second().await;
    assert_eq!(curl(world.stage, &[&minted.field("url")]).await.status, 200);
    world.wait_finished(&name).await;
    next_second().await;
    let other = world.post("alice", DOWNLOADS, r#"{"format":"key","reason":"no"}"#).await.field("request");
    assert_eq!(world.post("bob", &format!("requests/{other}/deny"), r#"{"reason":"no"}"#).await.status, 200);
    world.wait_finished(&other).await;

    let path = "certificates/api/timeline";
    let timeline = world.curl("erin", &[], path).await.json();
    assert_eq!(timeline["sources"], json!(["requests", "receipts"]));
    let expected = [
        ("refused", "bob"),
        ("requested", "alice"),
        ("downloaded", "alice"),
        ("minted", "alice"),
        ("approved", "bob"),
        ("requested", "alice"),
    ];
    let expected = expected.map(|(kind, by)| (kind.to_owned(), by.to_owned()));
    assert_eq!(kinds(&timeline), expected, "{timeline:#}");
    let downloaded = &timeline["items"][2];
    assert_eq!((&downloaded["request"], &downloaded["client_ip"]), (&json!(name), &json!("127.0.0.1")));

    // Page by page it is the same.
    let (mut pages, mut next) = (Vec::new(), String::new());
    loop {
        let page = world.curl("erin", &[], &format!("{path}?limit=4&continue={next}")).await.json();
        pages.extend(kinds(&page));
        match page["continue"].as_str() {
            Some(more) => more.clone_into(&mut next),
            None => break,
        }
    }
    assert_eq!(pages, expected);
    let newest = timeline["items"][0]["time"].as_str().unwrap();
    assert_eq!(
        kinds(&world.curl("erin", &[], &format!("{path}?since={newest}")).await.json()).first(),
        expected.first()
    );

    // Who may not list receipts sees the delivery without its circumstances; without requests there is nothing to see.
    let seen = world.curl("alice", &[], path).await.json();
    assert_eq!(
        (&seen["sources"], kinds(&seen).len(), &seen["items"][2]["client_ip"]),
        (&json!(["requests"]), 6, &json!(null))
    );
    world.curl("mallory", &[], path).await.refused(403, "forbidden");
    world.curl("erin", &[], "certificates/absent/timeline").await.refused(404, "not_found");

    // A deleted request is known by its receipt.
    for request in [name, other] {
        world.api::<DownloadRequest>().delete(&request, &DeleteParams::default()).await.unwrap();
    }
    world
        .until("only the receipt tells", || async {
            let timeline = world.curl("erin", &[], path).await.json();
            kinds(&timeline).iter().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>() == ["downloaded", "minted"]
        })
        .await;
}
