//! Processor time: of the server for a redemption, beside a bare handler that answers with the same bytes; and for a full
//! TLS handshake, beside nginx with the same certificate.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use futures::{StreamExt, stream};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use test_cluster::{Process, free_ports};
use test_support::{stage::Stage, waiting::until, world::World};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Table, bare, redemptions::outcomes, tokens};

const REDEMPTIONS: usize = 400;
/// Answers of the bare handler: many, since each takes so little.
const ANSWERS: usize = 30_000;
const HANDSHAKES: usize = 4000;
const CALLERS: usize = 16;

pub async fn run(world: &World<'_>, table: &mut Table) {
    let redemption = redemption(world).await;
    let answer = answer(world).await;
    table.row("server's processor time for a download", redemption, "bare axum", answer, "ms");
    let server: SocketAddr = world.stage.urls[0].trim_start_matches("https://").parse().unwrap();
    let ours = handshakes(world.stage, world.stage.servers[0].id(), server).await;
    let (nginx, address) = nginx(world.stage).await;
    let theirs = handshakes(world.stage, nginx.id(), address).await;
    table.row("server's processor time for a handshake", ours, "nginx", theirs, "ms");
}

/// Milliseconds of the first server for one redemption, outcome and Event included.
async fn redemption(world: &World<'_>) -> f64 {
    let tokens = tokens(world, "processor", REDEMPTIONS).await;
    let server = world.stage.servers[0].id();
    let before = processor_ms(server);
    stream::iter(&tokens)
        .for_each_concurrent(CALLERS, |token| async move { assert_eq!(world.redeem(token).await.status, 200) })
        .await;
    outcomes(world).await;
    (processor_ms(server) - before) / REDEMPTIONS as f64
}

async fn answer(world: &World<'_>) -> f64 {
    let (process, url) = bare::start(world.stage, &world.leaf.chain());
    let http = world.http();
    until("the bare server answers", async || http.get(&url).send().await.map(drop)).await;
    let before = processor_ms(process.id());
    stream::iter(0..ANSWERS)
        .for_each_concurrent(CALLERS, |_| async {
            let bytes = http.get(&url).send().await.unwrap().bytes().await.unwrap();
            assert_eq!(bytes, world.leaf.chain().as_bytes());
        })
        .await;
    (processor_ms(process.id()) - before) / ANSWERS as f64
}

/// Milliseconds of this process for one full handshake: TLS 1.3, X25519, nothing resumed.
async fn handshakes(stage: &Stage, process: u32, address: SocketAddr) -> f64 {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(stage.pki.root().as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    let shake = || async {
        let stream = TcpStream::connect(address).await.unwrap();
        connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    };
    stream::iter(0..200).for_each_concurrent(CALLERS, |_| shake()).await;
    let before = processor_ms(process);
    stream::iter(0..HANDSHAKES).for_each_concurrent(CALLERS, |_| shake()).await;
    (processor_ms(process) - before) / HANDSHAKES as f64
}

/// An nginx of one process with the server's certificate.
async fn nginx(stage: &Stage) -> (Process<&'static str>, SocketAddr) {
    let [port] = free_ports().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (file, pid) = (stage.file("nginx.conf"), stage.file("nginx.pid"));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {};", stage.file(&format!("nginx-{what}")).display()))
        .join(" ");
    let text = format!(
        "daemon off; master_process off; pid {}; error_log stderr warn;
         events {{ worker_connections 1024; }}
         http {{
           access_log off; {temporary}
           server {{
             listen {address} ssl;
             ssl_certificate {}; ssl_certificate_key {};
             ssl_protocols TLSv1.3; ssl_ecdh_curve X25519; ssl_session_tickets off; ssl_session_cache off;
           }}
         }}",
        pid.display(),
        stage.file("tls.crt").display(),
        stage.file("tls.key").display()
    );
    fs::write(&file, text).unwrap();
    let usual = Path::new("/usr/sbin/nginx");
    let program = if usual.exists() { usual } else { Path::new("nginx") };
    let arguments = ["-c", &file.display().to_string(), "-e", "stderr"].map(str::to_owned);
    let process = Process::spawn("nginx", program, &arguments, &stage.file("nginx.log")).unwrap();
    until("nginx listens", async || TcpStream::connect(address).await.map(drop)).await;
    (process, address)
}

/// Processor time of a process and all its threads so far, user and system, in steps of 10 ms (proc(5), `stat`).
fn processor_ms(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // The name in parentheses is the second field; utime and stime are the 14th and 15th.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 * 10.0
}
