//! Start, probes and words of the process.

use std::process::Stdio;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::world::World;

async fn refused(world: &World, flag: (&str, &str)) -> String {
    let output = world.command(&[flag]).stderr(Stdio::piped()).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn a_mistake_in_policy_or_flags_stops_the_start() {
    let world = World::new("process").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "allowKeyExports: Never\n").unwrap();
    let said = refused(&world, ("--cluster-policy", &file.path().to_string_lossy())).await;
    assert!(said.contains("field `allowKeyExports` is not known"), "{said}");
    let said = refused(&world, ("--kubeconfig", "/nonexistent")).await;
    assert!(said.contains("/nonexistent"), "{said}");
    let said = refused(&world, ("--guard-max-age", "10s")).await;
    assert!(said.contains("--guard-interval 10s is not shorter than --guard-max-age 10s"), "{said}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let world = World::new("process").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = refused(&world, ("--metrics-address", &address)).await;
    assert!(said.contains(&address) && said.contains("choose another --metrics-address"), "{said}");
}

/// The whole answer to a GET.
async fn get(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn probes_and_metrics_are_served() {
    let world = World::new("process").await;
    let controller = world.controller(&[]).await;
    let log = controller.log();
    let address = log.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().trim_matches('"');
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    world.until("ready", async || get(address, "/readyz").await.starts_with("HTTP/1.1 200")).await;
    let metrics = get(address, "/metrics").await;
    for name in ["certcourier_leader 1", "certcourier_build_info{", "certcourier_clock_skew_seconds"] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn a_replica_that_cannot_list_is_not_ready_and_says_what_it_waits_for() {
    let world = World::new("process").await;
    let controller = world.controller(&[("--watch-namespaces", "default")]).await;
    let log = controller.log();
    let address = log.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().trim_matches('"');
    let answer = get(address, "/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("waiting for the first list of DownloadRequest in namespace default"), "{answer}");
}
