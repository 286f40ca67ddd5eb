//! Without credentials, over the network.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use certcourier::server::open_files;
use futures::{StreamExt as _, stream};
use test_support::{curl::curl, stage::Stage, world::World};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_to_the_probes_leave_the_api_its_files() {
    // The test itself holds the other ends.
    assert!(open_files::places(2000) >= 2000, "raise the limit of open files for this test: ulimit -n 4096");
    let stage = Stage::shared().await;
    let server = stage.another_server_in(Some("ulimit -n 1200"), None, &[]).await;
    server.program.start_and_wait().await;
    let probe: SocketAddr = server.program.probe();
    // As many as the process may have files, and more.
    let idle: Vec<TcpStream> =
        stream::iter(0..1315).map(|_| TcpStream::connect(probe)).buffered(64).map(Result::unwrap).collect().await;
    for _ in 0..5 {
        let request = stage.http().get(format!("{}/openapi.json", server.url)).timeout(Duration::from_secs(10));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    // Whoever comes now gets the place of a connection that has been quiet for a second, and until then is reset.
    let full = Instant::now();
    let text = loop {
        match stage.http().get(format!("http://{probe}/healthz")).send().await {
            Ok(answer) => break answer.text().await.unwrap(),
            Err(error) => assert!(full.elapsed() < Duration::from_secs(10), "the probe does not come back: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(text, "ok\n");
    let log = server.program.output();
    assert!(!log.contains("no connection can be accepted"), "{log}");
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_never_carries_the_callers_host() {
    let world = World::new(Stage::shared().await, "host").await;
    let mint = async |version: &str, host: &str| {
        let header = format!("Host: {host}");
        let arguments = ["-X", "POST", "-d", r#"{"format":"cert"}"#, "-H", &header, version];
        let minted = world.curl("carol", &arguments, "certificates/api/downloads").await;
        assert_eq!(minted.status, 201, "{}", minted.text());
        assert_eq!(minted.header("strict-transport-security"), "max-age=31536000");
        let (url, path) = (minted.field("url"), format!("/api/v1/downloads/{}", minted.field("token")));
        url.strip_suffix(&path).unwrap_or_else(|| panic!("{url}")).to_owned()
    };
    for version in ["--http1.1", "--http2"] {
        for host in ["evil.example", "evil.example:443", "localhost.evil.example", "127.0.0.1.evil.example"] {
            assert_eq!(mint(version, host).await, "", "{version} {host}");
        }
        // The certificate has this name.
        assert_eq!(mint(version, "localhost").await, "https://localhost");
    }
    // Answers without a body of ours carry it, too.
    let page = curl(world.stage, &[&format!("{}/nothing", world.stage.urls[0])]).await;
    page.refused(404, "not_found");
    assert_eq!(page.header("strict-transport-security"), "max-age=31536000");
}
