//! A real nginx in front of two replicas, told to try the other one whenever the first does not do well: the setting that
//! is most likely to deliver twice.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use axum::http::Method;
use certcourier::api::{Outcome, Phase};
use futures::future::join_all;
use serde_json::json;
use test_cluster::{Process, Signal, free_ports};
use test_support::{
    fault_proxy::{Fault, FaultProxy},
    stage::{PATIENT, Server, Stage},
    waiting::Wait,
    world::{Answer, World, condition},
};

/// An nginx that ends with the test.
struct Nginx {
    port: u16,
    _process: Process<&'static str>,
    _directory: tempfile::TempDir,
}

/// How it reports whom it speaks for.
const X_FORWARDED_FOR: &str = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;";
const FORWARDED: &str = r#"proxy_set_header Forwarded "for=\"[$remote_addr]\"";"#;

impl Nginx {
    /// In front of these servers: the first is asked first, the others when it fails.
    async fn before(stage: &Stage, servers: &[&Server], header: &str, read_timeout: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [port] = free_ports().unwrap();
        let upstreams: Vec<String> = servers
            .iter()
            .enumerate()
            .map(|(number, server)| {
                let role = if number == 0 { "" } else { " backup" };
                format!("server {} max_fails=0{role};", server.url.trim_start_matches("https://"))
            })
            .collect();
        let location = location(&stage.ca(), header, read_timeout);
        let file = directory.path().join("nginx.conf");
        std::fs::write(&file, configuration(directory.path(), port, &upstreams.join(" "), &location)).unwrap();
        let arguments = ["-c", &file.display().to_string(), "-e", "stderr"].map(str::to_owned);
        let log = directory.path().join("log");
        let process = Process::spawn("nginx", program(), &arguments, &log).unwrap();
        let log = || std::fs::read_to_string(&log).unwrap_or_default();
        let connect = async || tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map(drop);
        Wait::usual().telling(&log).until("nginx listens", connect).await;
        Self { port, _process: process, _directory: directory }
    }

    fn url(&self, token: &str) -> String {
        format!("http://127.0.0.1:{}/api/v1/downloads/{token}", self.port)
    }
}

/// Debian keeps it where the PATH of many people does not lead.
fn program() -> &'static Path {
    let usual = Path::new("/usr/sbin/nginx");
    if usual.exists() { usual } else { Path::new("nginx") }
}

/// The location that docs/api.md shows, with what differs here in its place.
fn location(ca: &Path, header: &str, read_timeout: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let (_, rest) = page.split_once("```nginx\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    [
        ("/etc/nginx/certcourier-ca.crt", ca.to_str().unwrap()),
        ("certcourier.certcourier-system.svc", "localhost"),
        (X_FORWARDED_FOR, header),
        ("120s", read_timeout),
    ]
    .into_iter()
    .fold(shown.to_owned(), |text, (shown, here)| {
        assert!(text.contains(shown), "{shown} is not in {text}");
        text.replace(shown, here)
    })
}

fn configuration(directory: &Path, port: u16, upstreams: &str, location: &str) -> String {
    let directory = directory.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {directory}/{what};"))
        .join(" ");
    format!(
        "daemon off; master_process off; pid {directory}/pid; error_log stderr warn;
        events {{ worker_connections 1024; }}
        http {{
            access_log off; {temporary}
            upstream certcourier {{ {upstreams} keepalive 8; }}
            server {{ listen [::]:{port} ipv6only=off; {location} }}
        }}
        "
    )
}

/// A replica whose way to the API server can be made to fail, and one without faults.
async fn replicas(stage: &Stage) -> (FaultProxy, Server, Server) {
    let proxy = FaultProxy::before(&stage.plane).await;
    let (weak, sound) =
        tokio::join!(stage.another_server(Some(&proxy), &PATIENT), stage.another_server(None, &PATIENT));
    (proxy, weak, sound)
}

fn is_create_of_receipt(method: &Method, path: &str) -> bool {
    method == Method::POST && path.ends_with("/downloadreceipts")
}

async fn get(world: &World<'_>, nginx: &Nginx, token: &str) -> Answer {
    world.fetch(world.http().get(nginx.url(token))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_through_an_nginx_that_retries_get_one_file() {
    let world = World::new(Stage::shared().await, "nginx").await;
    let (proxy, weak, sound) = replicas(world.stage).await;
    let nginx = Nginx::before(world.stage, &[&weak, &sound], X_FORWARDED_FOR, "60s").await;
    for number in 0..4_usize {
        let name = format!("n{number}");
        let token = world.issue("carol", &name, json!({"format": "fullchain"})).await;
        // In every other round the first replica is in no state to serve, and each call is made twice.
        if number % 2 == 1 {
            proxy.fail(|method, _| (method == Method::GET).then_some(Fault::Cut));
        }
        let answers = join_all((0..64).map(|_| get(&world, &nginx, &token))).await;
        proxy.heal();
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(won.len(), 1, "round {number}");
        assert_eq!(won[0].text(), world.leaf.chain());
        for answer in lost {
            assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_used"), "{}", answer.text());
        }
        let (_, request) = world.wait_finished(&name).await;
        assert!(world.receipt_of(&request).await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_could_not_deliver_comes_from_the_other_once() {
    let world = World::new(Stage::shared().await, "over").await;
    let (proxy, weak, sound) = replicas(world.stage).await;
    let nginx = Nginx::before(world.stage, &[&weak, &sound], X_FORWARDED_FOR, "2s").await;
    // It answers 503, once a GET and once a POST; it answers too late; it is gone.
    proxy.fail(|method, path| is_create_of_receipt(method, path).then_some(Fault::Refuse(429)));
    let token = world.issue("carol", "refused", json!({"format": "cert"})).await;
    assert_eq!(get(&world, &nginx, &token).await.text(), world.leaf.leaf);
    let token = world.issue("carol", "posted", json!({"format": "cert"})).await;
    let post = || world.http().post(nginx.url("").trim_end_matches('/').to_owned()).body(token.clone());
    assert_eq!(world.fetch(post()).await.text(), world.leaf.leaf);
    assert_eq!(proxy.struck(), 2, "both came by way of the other one");
    assert_eq!(world.fetch(post()).await.json("error"), "token_used");

    proxy.fail(|method, path| is_create_of_receipt(method, path).then_some(Fault::Late(Duration::from_secs(4))));
    let token = world.issue("carol", "late", json!({"format": "cert"})).await;
    assert_eq!(get(&world, &nginx, &token).await.text(), world.leaf.leaf);
    world.until("the first replica has tried, too late", || async { proxy.struck() == 1 }).await;
    proxy.heal();

    weak.program.signal(Signal::Kill);
    let token = world.issue("carol", "gone", json!({"format": "cert"})).await;
    assert_eq!(get(&world, &nginx, &token).await.text(), world.leaf.leaf);
    for name in ["refused", "posted", "late", "gone"] {
        let (_, request) = world.wait_finished(name).await;
        assert_eq!(
            world.receipt_of(&request).await.unwrap().status.unwrap().outcome,
            Some(Outcome::Delivered),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_nginx_gave_up_on_is_not_begun_again_by_the_other_replica() {
    let world = World::new(Stage::shared().await, "gaveup").await;
    let (proxy, weak, sound) = replicas(world.stage).await;
    let nginx = Nginx::before(world.stage, &[&weak, &sound], X_FORWARDED_FOR, "2s").await;
    for (name, ends, outcome) in [("patient", false, Outcome::Aborted), ("killed", true, Outcome::Unknown)] {
        let token = world.issue("carol", name, json!({"format": "cert"})).await;
        proxy.fail(|method, path| is_create_of_receipt(method, path).then_some(Fault::DoneAndKept));
        let killing = async {
            world.until("the receipt is committed", || async { proxy.struck() == 1 }).await;
            if ends {
                weak.program.signal(Signal::Kill);
            }
        };
        let (answer, ()) = tokio::join!(get(&world, &nginx, &token), killing);
        assert_eq!((answer.status, answer.json("error").as_str()), (410, "token_used"), "{name}: {}", answer.text());
        proxy.let_go();
        let (phase, request) = world.wait_finished(name).await;
        let finished = condition(request.status.as_ref().unwrap(), "Finished");
        assert_eq!((phase, finished), (Phase::Consumed, format!("True/{outcome:?}")), "{name}");
        assert_eq!(world.receipt_of(&request).await.unwrap().status.unwrap().outcome, Some(outcome), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_names_the_client_behind_nginx_and_nobody_that_the_client_made_up() {
    let world = World::new(Stage::shared().await, "client").await;
    let trusting = ["--trusted-proxies", "127.0.0.1/32"];
    let forwarded = [&trusting[..], &["--client-address-header", "forwarded"]].concat();
    let (x_forwarded_for, forwarded, trusting_nobody) = tokio::join!(
        world.stage.another_server(None, &trusting),
        world.stage.another_server(None, &forwarded),
        world.stage.another_server(None, &[]),
    );
    // nginx listens on IPv6 for both, so to it every client is ::ffff:127.0.0.x.
    for (name, server, header, expected) in [
        ("x-forwarded-for", &x_forwarded_for, X_FORWARDED_FOR, "127.0.0.2"),
        ("forwarded", &forwarded, FORWARDED, "127.0.0.2"),
        ("other-header", &forwarded, X_FORWARDED_FOR, "127.0.0.1"),
        ("untrusted", &trusting_nobody, X_FORWARDED_FOR, "127.0.0.1"),
    ] {
        let nginx = Nginx::before(world.stage, &[server], header, "60s").await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .local_address(IpAddr::from([127, 0, 0, 2]))
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        let token = world.issue("carol", name, json!({"format": "cert"})).await;
        // The client claims to be somebody else, and to have come through a proxy that is trusted.
        let mut request = client.get(nginx.url(&token)).header("x-forwarded-for", "203.0.113.7, 127.0.0.1");
        if header == FORWARDED {
            request = request.header("forwarded", "for=203.0.113.7");
        }
        let answer = world.fetch(request).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let request = world.get(name).await;
        let receipt = world.receipt_of(&request).await.unwrap();
        assert_eq!(receipt.spec.client_ip.as_deref(), Some(expected), "{name}");
    }
    // A client that speaks to such a server itself may not speak for others either.
    let token = world.issue("carol", "direct", json!({"format": "cert"})).await;
    let url = format!("{}/api/v1/downloads/{token}", trusting_nobody.url);
    let request = world.http().get(url).header("x-forwarded-for", "203.0.113.7").header("forwarded", "for=203.0.113.7");
    assert_eq!(world.fetch(request).await.status, 200);
    let request = world.get("direct").await;
    assert_eq!(world.receipt_of(&request).await.unwrap().spec.client_ip.as_deref(), Some("127.0.0.1"));
}
