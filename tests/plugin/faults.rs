//! When something is wrong on the way: no server, one that hangs, one that sends something else, no room on the disk.

use std::time::{Duration, Instant};

use certcourier::api::{Decision, Phase};
use test_support::{
    shell::{Shell, plugin},
    stage::Stage,
    world::World,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::kit::{keys_with_two_approvals, only_request, request_count, vote};

/// A server that answers each call with the next of these, and hangs afterwards.
async fn fake(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut answers = answers.into_iter();
        let mut kept = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            read_call(&mut connection).await;
            match answers.next() {
                Some(answer) => connection.write_all(answer.as_bytes()).await.unwrap(),
                None => kept.push(connection),
            }
        }
    });
    url
}

/// Reads a call, its body included.
async fn read_call(connection: &mut TcpStream) {
    let mut read = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse::<usize>().unwrap() {
                return;
            }
        }
        match connection.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&chunk[..count]),
        }
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

/// The answer to a mint.
fn token() -> String {
    let body = r#"{"token":"ccd_x","expires_at":"2099-01-01T00:00:00Z","url":"http://x","request":"api-cert-x7k2p"}"#;
    answer("201 Created", "", body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_ends_the_wait_in_time_and_the_words_say_what_may_have_happened() {
    let world = World::new(Stage::shared().await, "hangs").await;
    let carol = Shell::with(&world, world.person("carol").await.kubeconfig);
    let asking = |url: String| {
        let carol = &carol;
        async move {
            let begun = Instant::now();
            let line =
                ["download", "api", "--format", "cert", "--server", &url, "--request-timeout", "1s", "-o", "c.pem"];
            let ended = carol.run(&line).await;
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert!(carol.files().is_empty(), "{:?}", carol.files());
            ended
        }
    };
    // At once: nothing is known of a request.
    let ended = asking(fake(vec![]).await).await;
    let said = ended.failed(1);
    assert!(said.contains("no answer within 1 s") && said.contains("list requests --mine"), "{said}");
    // In the middle of the download: the token may be used.
    let ended = asking(fake(vec![token()]).await).await;
    let said = ended.failed(1);
    assert!(said.contains("may be used") && said.contains("wait api-cert-x7k2p --for finished"), "{said}");
    assert_eq!(request_count(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_in_the_middle_of_the_download_leaves_no_file_and_says_what_to_look_at() {
    let world = World::new(Stage::shared().await, "midway").await;
    let carol = Shell::with(&world, world.person("carol").await.kubeconfig);
    for (answers, moment, words) in [
        (vec![], "asking the server", "the request may exist anyway"),
        (vec![token()], "downloading the file of", "wait api-cert-x7k2p --for finished"),
    ] {
        let url = fake(answers).await;
        let mut running = carol.start(&["-v1", "download", "api", "--format", "cert", "--server", &url, "-o", "c.pem"]);
        running.until_it_says(moment).await;
        running.interrupt().await;
        let stopped = running.ended().await;
        assert!(stopped.failed(130).contains(words), "{}", stopped.stderr);
        assert!(carol.files().is_empty(), "{:?}", carol.files());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_changed_or_cut_on_the_way_is_not_written() {
    let world = World::new(Stage::shared().await, "changed").await;
    let carol = Shell::with(&world, world.person("carol").await.kubeconfig);
    let other = "content-digest: sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:\r\n";
    let cut = answer("200 OK", other, "hello").replace("content-length: 5", "content-length: 50");
    for (sent, words) in [
        (answer("200 OK", other, "hell0"), "not what the server sent"),
        (cut, "did not answer"),
        (answer("502 Bad Gateway", "", "<html>"), "502"),
        (answer("200 OK", "", "{}"), "no Content-Digest"),
    ] {
        let url = fake(vec![token(), sent]).await;
        let ended = carol.run(&["download", "api", "--format", "cert", "--server", &url, "-o", "c.pem"]).await;
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        // What carries no digest is written, with a warning.
        assert_eq!(ended.code == Some(0), words == "no Content-Digest", "{}", ended.stderr);
        assert_eq!(carol.files().is_empty(), ended.code != Some(0), "{:?}", carol.files());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_or_is_somebody_else_is_said_with_what_to_do() {
    let world = World::new(Stage::shared().await, "not-there").await;
    let carol = Shell::with(&world, world.person("carol").await.kubeconfig);
    let page = fake(vec![answer("200 OK", "", "<html>Welcome</html>")]).await;
    let real = world.stage.urls[0].as_str();
    for (server, words) in [
        ("https://127.0.0.1:1", "--port-forward"),
        // Its authority is not one of this machine's.
        (real, "--server-ca"),
        (page.as_str(), "not certcourier's server"),
        ("http://certs.example.com", "plain HTTP"),
    ] {
        let ended = carol.run(&["download", "api", "--format", "cert", "--server", server]).await;
        assert!(ended.failed(1).contains(words), "{server}: {}", ended.stderr);
    }
    // Nothing says where it is, and there is no Service to go to.
    let lost = carol.run(&["download", "api", "--format", "cert"]).await;
    let said = lost.failed(1);
    assert!(said.contains("--server URL"), "{said}");
    assert_eq!(request_count(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_found_before_anything_is_asked_for() {
    let world = World::new(Stage::shared().await, "full").await;
    let carol = Shell::of(&world, "carol").await;
    // A file may have 64 KiB here: the system says so as it says that a disk is full, in the middle of writing.
    let line = format!(
        "trap '' XFSZ; ulimit -f 64; exec {} -n {} download api --format cert -o c.pem",
        plugin().display(),
        world.namespace
    );
    let full = carol.bash(&line).await;
    assert!(full.failed(1).contains("nothing was requested"), "{}", full.stderr);
    assert_eq!((request_count(&world).await, carol.files().len()), (0, 0));
    // A device that is full takes no room beforehand: the file is lost, and the words do not pretend otherwise.
    let full = carol.run(&["download", "api", "--format", "cert", "-o", "/dev/full"]).await;
    assert!(full.failed(1).contains("its token is used"), "{}", full.stderr);
    let full = carol.bash(&format!("kubectl certcourier -n {} list >/dev/full", world.namespace)).await;
    assert!(full.failed(1).contains("cannot write to standard output"), "{}", full.stderr);
    let seen_enough = carol.bash(&format!("kubectl certcourier -n {} list | true", world.namespace)).await;
    assert_eq!(seen_enough.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_while_people_decide_costs_nothing() {
    let world = World::new(Stage::shared().await, "goes").await;
    keys_with_two_approvals(&world).await;
    let alice = Shell::of(&world, "alice").await;
    let mut running = alice.start(&["download", "api", "--format", "key", "-o", "k.pem"]);
    running.until_it_says("waiting for 2 of 2 approvals").await;
    running.interrupt().await;
    running.ended().await.failed(130);
    let request = only_request(&world).await;
    for person in ["bob", "frank"] {
        vote(&world, person, &request, Decision::Approve).await;
    }
    let gone = ["download", "--request", &request, "--server", "https://127.0.0.1:1", "-o", "k.pem"];
    assert!(alice.run(&gone).await.failed(1).contains("cannot be reached"));
    assert_eq!(world.get(&request).await.status.unwrap().phase, Some(Phase::Approved));
    alice.run(&["download", "--request", &request, "-o", "k.pem"]).await.ok();
    assert_eq!(alice.read("k.pem"), world.leaf.key);
}
