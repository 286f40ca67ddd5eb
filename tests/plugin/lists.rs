//! `list` and `receipts`.

use certcourier::api::{DownloadReceipt, Phase};
use serde_json::{Value, json};
use test_support::{
    shell::Shell,
    stage::Stage,
    world::{World, condition},
};

/// The cells of a line that begins with this word.
fn line<'a>(table: &'a str, first: &str) -> Vec<&'a str> {
    let found = table.lines().find(|line| line.split("   ").next().unwrap().trim() == first);
    let found = found.unwrap_or_else(|| panic!("no line `{first}` in\n{table}"));
    found.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_listed_an_environment_each_with_what_is_wrong() {
    let world = World::new(Stage::shared().await, "list").await;
    world.certificate("two", &[("production", "api-tls"), ("staging", "missing")]).await;
    let carol = Shell::of(&world, "carol").await;
    world
        .until("both were looked at", || async {
            let table = carol.run(&["list"]).await.ok();
            !table.contains("NotSeenYet") && table.lines().count() == 4
        })
        .await;
    let table = carol.run(&["list"]).await.ok();
    assert_eq!(line(&table, "NAME"), ["NAME", "ENVIRONMENT", "STATE", "EXPIRES", "SUBJECT"]);
    let api = line(&table, "api");
    assert_eq!((api[1], api[2], api[4]), ("production", "Usable", "CN=api.payments.example"));
    assert!(table.contains("SecretMissing"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours in a pipe");
    let wide = carol.run(&["list", "-o", "wide", "--no-headers"]).await.ok();
    assert!(wide.contains("CN=Test Intermediate") && wide.contains("ECDSA P-256") && !wide.contains("NAME"), "{wide}");
    assert_eq!(
        carol.run(&["list", "-o", "name"]).await.ok(),
        "certificate.certcourier.io/api\ncertificate.certcourier.io/two\n"
    );
    let list: Value = serde_json::from_str(&carol.run(&["list", "-o", "json"]).await.ok()).unwrap();
    assert_eq!((list["kind"].as_str(), list["items"][0]["kind"].as_str()), (Some("List"), Some("Certificate")));
    let everywhere = carol.run(&["list", "-A"]).await;
    assert!(everywhere.failed(1).contains("certcourier-viewer"), "{}", everywhere.stderr);
    let admin = Shell::with(&world, world.stage.plane.admin_kubeconfig());
    assert_eq!(line(&admin.run(&["list", "-A"]).await.ok(), &world.namespace)[1], "api");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_listed_by_whose_they_are_and_whether_they_are_open() {
    let world = World::new(Stage::shared().await, "list-requests").await;
    let (carol, alice) = (Shell::of(&world, "carol").await, Shell::of(&world, "alice").await);
    let nothing = carol.run(&["list", "requests"]).await;
    assert_eq!(nothing.ok(), "");
    assert!(nothing.stderr.contains("No requests found"), "{}", nothing.stderr);
    world.request("carol", "hers", json!({"format": "cert", "reason": "INC-1 F5"})).await;
    world.request("alice", "failed", json!({"format": "key"})).await;
    world.wait_for_phase("hers", Phase::TokenIssued).await;
    world.wait_for_phase("failed", Phase::Failed).await;
    let table = carol.run(&["list", "requests", "-o", "wide"]).await.ok();
    assert_eq!(line(&table, "hers")[1..5], ["api", "cert", "carol", "TokenIssued"]);
    assert!(table.contains("INC-1 F5"), "{table}");
    let names = async |shell: &Shell<'_>, flags: &[&str]| {
        shell
            .run(&[&["list", "requests", "-o", "name"], flags].concat())
            .await
            .ok()
            .replace("downloadrequest.certcourier.io/", "")
    };
    assert_eq!(names(&alice, &["--mine"]).await, "failed\n");
    assert_eq!(names(&alice, &["--open"]).await, "hers\n");
    assert_eq!(names(&alice, &["--certificate", "api"]).await, "failed\nhers\n");
    assert_eq!(names(&alice, &["--certificate", "other"]).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_as_csv_are_read_by_a_spreadsheet_and_run_no_formula() {
    let world = World::new(Stage::shared().await, "csv").await;
    let formula = "=HYPERLINK(\"https://evil.example\",\"click, please\")";
    let token = world.issue("carol", "formula", json!({"format": "cert", "reason": formula})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    world.wait("formula", "finished", |status| condition(status, "Finished").starts_with("True/")).await;
    let erin = Shell::of(&world, "erin").await;
    erin.bash(&format!("kubectl certcourier -n {} receipts -o csv >r.csv", world.namespace)).await.ok();
    assert!(erin.read("r.csv").starts_with("consumed_at,cluster,namespace,receipt,request,"), "{}", erin.read("r.csv"));
    assert_eq!(erin.read("r.csv").matches("\r\n").count(), 2);
    let read = "import csv, json; print(json.dumps(list(csv.DictReader(open('r.csv', newline=''), strict=True))))";
    let mut python = erin.program("python3");
    python.args(["-c", read]);
    let rows: Value = serde_json::from_str(&test_support::shell::end(python).await.ok()).unwrap();
    let row = &rows[0];
    assert_eq!(
        (&row["request"], &row["requested_by"], &row["outcome"]),
        (&json!("formula"), &json!("carol"), &json!("Delivered"))
    );
    assert_eq!(row["reason"], format!("'{formula}"));
    let bare = erin.run(&["receipts", "-o", "csv", "--no-headers"]).await.ok();
    assert!(!bare.contains("consumed_at") && bare.ends_with("\r\n"), "{bare}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_are_read_by_auditors_the_newest_last() {
    let world = World::new(Stage::shared().await, "receipts").await;
    for (person, name) in [("carol", "z-first"), ("alice", "a-second")] {
        let token = world.issue(person, name, json!({"format": "cert"})).await;
        assert_eq!(world.redeem(&token).await.status, 200);
        world.wait(name, "finished", |status| condition(status, "Finished").starts_with("True/")).await;
        // Receipts are told apart by whole seconds.
        let over = || async {
            let last = world.receipts().await.iter().map(|receipt| receipt.spec.consumed_at.0.as_second()).max();
            last < Some(jiff::Timestamp::now().as_second())
        };
        world.until("the second is over", over).await;
    }
    let erin = Shell::of(&world, "erin").await;
    let requests = async |flags: &[&str]| {
        let list = erin.run(&[&["receipts", "-o", "json"], flags].concat()).await.ok();
        let list: Value = serde_json::from_str(&list).unwrap();
        let items = list["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["spec"]["requestRef"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(requests(&[]).await, ["z-first", "a-second"]);
    assert_eq!(requests(&["--by", "carol"]).await, ["z-first"]);
    assert_eq!(requests(&["--request", "a-second", "--since", "1h"]).await, ["a-second"]);
    assert_eq!(requests(&["--since", "2099-01-01T00:00:00Z"]).await, Vec::<String>::new());
    let table = erin.run(&["receipts", "-o", "wide"]).await.ok();
    assert!(table.contains("Delivered") && table.contains("127.0.0.1"), "{table}");
    let receipt = world.receipts().await.remove(0).metadata.name.unwrap();
    let yaml = erin.run(&["receipts", &receipt, "-o", "yaml"]).await.ok();
    let read: DownloadReceipt =
        serde_json::from_value(serde_json::to_value(serde_saphyr::from_str::<Value>(&yaml).unwrap()).unwrap()).unwrap();
    assert_eq!(read.metadata.name.as_deref(), Some(receipt.as_str()));
    assert_eq!(requests(&["--outcome", "delivered", "--until", "1h"]).await, Vec::<String>::new(), "an hour ago");
    assert_eq!(requests(&["--outcome", "Delivered", "--until", "2099-01-01T00:00:00Z"]).await.len(), 2);
    assert_eq!(requests(&["--outcome", "aborted"]).await, Vec::<String>::new());
    let listed = erin.run(&["get", "dlrc", "-o", "name"]).await.ok();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let page = erin.run(&["describe", &receipt]).await.ok();
    for said in ["Outcome:       Delivered\n", "Who asked:     ", "Used from:     127.0.0.1\n", "Kept until:"] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    let none = erin.run(&["receipts", "none"]).await;
    assert!(none.failed(1).contains("`kubectl certcourier receipts"), "{}", none.stderr);
    let carol = Shell::of(&world, "carol").await;
    assert!(carol.run(&["receipts"]).await.failed(1).contains("-auditor"));
}
