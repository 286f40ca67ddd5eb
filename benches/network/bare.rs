//! A bare axum handler in a process of its own, behind the same listener and the same TLS as the server: it answers every
//! request with the same bytes.

use axum::{Router, routing::get};
use certcourier::server::{
    ServerArgs,
    args::ConnectionLimits,
    listener,
    net::tls::{CertificateFiles, ServingCertificate},
};
use clap::Parser;
use test_cluster::{Process, free_ports};
use test_support::stage::Stage;
use tokio_util::sync::CancellationToken;

/// The argument with which this program becomes that server.
pub const WORD: &str = "bare-server";

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    args: ServerArgs,
}

pub async fn serve(flags: &[String]) {
    let (file, flags) = flags.split_first().unwrap();
    let bytes = axum::body::Bytes::from(std::fs::read(file).unwrap());
    let args = CommandLine::parse_from([WORD].into_iter().chain(flags.iter().map(String::as_str))).args;
    let files = CertificateFiles { certificate: args.tls_cert.unwrap(), key: args.tls_key.unwrap() };
    let tls = ServingCertificate::load(files).await.unwrap().server_config().unwrap();
    let app = Router::new().fallback(get(async move || bytes.clone()));
    let listener = listener::bind(args.listen).unwrap();
    // As the servers of a stage: all clients have one address.
    let limits = ConnectionLimits {
        max_connections_per_address: Some(100_000),
        max_streams_per_address: 100_000,
        rate_connections: 100_000,
        ..args.connections
    };
    listener::serve(listener, Some(tls), app, limits, CancellationToken::new()).await;
}

/// Starts it; its process, and where it is.
pub fn start(stage: &Stage, body: &str) -> (Process<&'static str>, String) {
    let [port] = free_ports().unwrap();
    let file = stage.file("body");
    std::fs::write(&file, body).unwrap();
    let path = |file: &std::path::Path| file.display().to_string();
    let arguments = [
        WORD.to_owned(),
        path(&file),
        "--listen".to_owned(),
        format!("127.0.0.1:{port}"),
        "--tls-cert".to_owned(),
        path(&stage.file("tls.crt")),
        "--tls-key".to_owned(),
        path(&stage.file("tls.key")),
    ];
    let program = std::env::current_exe().unwrap();
    let process = Process::spawn("bare", &program, &arguments, &stage.file("bare.log")).unwrap();
    (process, format!("https://127.0.0.1:{port}/"))
}
