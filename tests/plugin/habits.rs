//! What people who know kubectl type without thinking.

use certcourier::api::Phase;
use serde_json::{Value, json};
use test_support::{shell::Shell, stage::Stage, world::World};

use super::kit::keys_with_two_approvals;

#[tokio::test(flavor = "multi_thread")]
async fn the_bare_command_and_its_groups_print_help() {
    let world = World::new(Stage::shared().await, "bare").await;
    let carol = Shell::of(&world, "carol").await;
    let bare = carol.bash("kubectl certcourier").await.ok();
    assert!(bare.contains("Commands:") && bare.contains("  check "), "{bare}");
    assert!(carol.bash("kubectl certcourier policy").await.ok().contains("explain"));
    assert!(carol.run(&["options"]).await.ok().contains("--kubeconfig"));
    let operator = carol.program(test_support::program::binary("certcourier"));
    assert!(test_support::shell::end(operator).await.ok().contains("Run the controller"));
}

#[tokio::test(flavor = "multi_thread")]
async fn get_and_ls_list_and_objects_are_named_as_kubectl_names_them() {
    let world = World::new(Stage::shared().await, "get").await;
    world.request("carol", "b-first", json!({"format": "cert"})).await;
    world.request("carol", "a-second", json!({"format": "fullchain"})).await;
    world.wait_for_phase("b-first", Phase::TokenIssued).await;
    let carol = Shell::of(&world, "carol").await;
    carol.bash(&format!("kubectl -n {} label dlr a-second app=web", world.namespace)).await.ok();
    let names = async |line: &str| {
        let line: Vec<&str> = line.split(' ').chain(["-o", "name"]).collect();
        carol
            .run(&line)
            .await
            .ok()
            .replace("downloadrequest.certcourier.io/", "")
            .replace('\n', " ")
            .trim_end()
            .to_owned()
    };
    assert_eq!(names("get requests").await, "a-second b-first");
    assert_eq!(names("ls dlr b-first").await, "b-first");
    assert_eq!(names("get dlr/a-second").await, "a-second");
    assert_eq!(names("list requests b-first a-second").await, "b-first a-second");
    assert_eq!(names("list dlr -l app=web").await, "a-second");
    assert_eq!(names("list dlr --sort-by .spec.format").await, "b-first a-second");
    assert_eq!(names("list dlr --sort-by={.metadata.name}").await, "a-second b-first");
    assert_eq!(names("get ccert api").await, "certificate.certcourier.io/api");
    let one: Value = serde_json::from_str(&carol.run(&["get", "dlr", "a-second", "-o", "json"]).await.ok()).unwrap();
    assert_eq!(one["kind"], "DownloadRequest", "one object is no list");
    let missing = carol.run(&["get", "dlr", "none", "b-first"]).await;
    assert!(missing.failed(1).contains("there is no DownloadRequest `none`"), "{}", missing.stderr);
    assert!(missing.out().contains("b-first"), "{}", missing.out());
    let kind = carol.run(&["get", "api"]).await;
    assert!(kind.failed(2).contains("certificates, requests, receipts"), "{}", kind.stderr);
    let sorted = carol.run(&["list", "dlr", "--sort-by", ".spec.none"]).await;
    assert!(sorted.failed(2).contains("nothing here has a field .spec.none"), "{}", sorted.stderr);
    let refused = carol.run(&["get", "receipts"]).await;
    assert!(refused.failed(1).contains("-auditor"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_list_shows_what_comes_and_ctrl_c_is_its_end() {
    let world = World::new(Stage::shared().await, "watch").await;
    keys_with_two_approvals(&world).await;
    let bob = Shell::of(&world, "bob").await;
    world.request("alice", "first", json!({"format": "key", "reason": "F5"})).await;
    world.wait_for_phase("first", Phase::AwaitingApproval).await;
    for (line, next) in [("list requests", "second"), ("inbox", "third")] {
        let script = format!(
            "kubectl certcourier -n {} {line} --watch >seen & pid=$!\n\
             trap 'kill -INT $pid' EXIT\n\
             until grep -q first seen; do sleep 0.1; done\n\
             touch begun\n\
             until grep -q {next} seen; do sleep 0.1; done\n\
             trap - EXIT\n\
             kill -INT $pid\n\
             wait $pid || echo $?",
            world.namespace
        );
        let asking = async {
            world.until("it watches", || async { bob.path("begun").exists() }).await;
            world.request("alice", next, json!({"format": "key", "reason": "F5"})).await;
        };
        let (ended, ()) = tokio::join!(bob.bash(&script), asking);
        assert_eq!((ended.ok(), ended.stderr.as_str()), ("130\n".to_owned(), ""), "{line}");
        let seen = bob.read("seen");
        assert_eq!(seen.matches("NAME").count(), 1, "{seen}");
        std::fs::remove_file(bob.path("begun")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_beats_a_variable_and_an_empty_variable_is_none() {
    let world = World::new(Stage::shared().await, "variable").await;
    let url = world.stage.urls[0].clone();
    let carol = Shell::of(&world, "carol").await.set("CERTCOURIER_SERVER", "https://127.0.0.1:1");
    let version = carol.run(&["version", "--server", &url]).await.ok();
    assert!(version.contains(&url), "{version}");
    // The way through the API server is taken: carol lacks the right to it, which is said, and not that flags conflict.
    let forward = carol.run(&["download", "api", "--format", "cert", "--port-forward"]).await;
    assert!(
        !forward.failed(1).contains("cannot be used with") && !forward.stderr.contains("127.0.0.1:1 "),
        "{}",
        forward.stderr
    );
    assert!(forward.stderr.contains("Service"), "{}", forward.stderr);
    let empty = carol.set("CERTCOURIER_SERVER", &url);
    let usage = empty.run(&["revoke"]).await;
    assert!(!usage.failed(2).contains("--server"), "{}", usage.stderr);
    let kubeconfig = world.person("carol").await.kubeconfig;
    let bare = Shell::with(&world, kubeconfig).set("CERTCOURIER_SERVER_CA", "").set("CERTCOURIER_SERVER", "");
    assert!(bare.run(&["list"]).await.ok().contains("api"), "an empty variable is as unset");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_level_6_each_call_is_one_line_and_no_secret_is_in_any() {
    let world = World::new(Stage::shared().await, "levels").await;
    let carol = Shell::of(&world, "carol").await;
    let listed = carol.run(&["list", "-v", "6"]).await;
    listed.ok();
    let call = format!("/apis/certcourier.io/v1alpha1/namespaces/{}/certificates?", world.namespace);
    let calls: Vec<&str> = listed.stderr.lines().filter(|line| line.contains(&call)).collect();
    assert_eq!(calls.len(), 1, "{}", listed.stderr);
    assert!(
        calls[0].starts_with("GET https://") && calls[0].contains(" 200 OK in ") && calls[0].ends_with(" ms"),
        "{calls:?}"
    );
    for library in ["rustls", "hyper", "resuming"] {
        assert!(!listed.stderr.contains(library), "{}", listed.stderr);
    }
    let steps = carol.run(&["list", "-v", "1"]).await;
    assert!(
        steps.ok().contains("api") && steps.stderr.contains("listing certificates of namespace"),
        "{}",
        steps.stderr
    );
    assert!(!steps.stderr.contains("GET "), "{}", steps.stderr);
    let loud = carol.run(&["download", "api", "--format", "cert", "-o", "c.pem", "-v", "9"]).await;
    loud.ok();
    let bearer = carol.bash("kubectl config view --raw -o jsonpath='{.users[0].user.token}'").await.ok();
    assert!(bearer.len() > 20 && !loud.stderr.contains(&bearer) && !loud.stderr.contains("ccd_"), "{}", loud.stderr);
}
