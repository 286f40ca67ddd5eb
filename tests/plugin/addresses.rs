//! A wrong address, a wrong certificate, a wrong file: what the person reads is about that, and not about our libraries.

use std::{fs, sync::Arc};

use rcgen::date_time_ymd;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use test_support::{
    pki::{Leaf, Pki},
    shell::{Ended, Shell},
    stage::Stage,
    world::World,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::kit::request_count;

/// What Rust programs say and people should not have to read.
const NOT_FOR_PEOPLE: [&str; 9] = [
    "os error",
    "UnknownIssuer",
    "client error",
    "ServiceError",
    "tcp connect",
    "InvalidContentType",
    "invalid HTTP",
    "NotValidForName",
    "UNIX",
];

/// A port with TLS that shows this certificate, and says nothing more.
async fn tls(leaf: &Leaf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let chain = CertificateDer::pem_slice_iter(leaf.leaf.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    });
    port
}

/// A port with plain HTTP, which answers whatever comes.
async fn plain_http() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            while stream.read(&mut asked).await.is_ok_and(|count| count > 0) {}
        }
    });
    port
}

fn plain(ended: &Ended, code: i32, words: &[&str]) {
    let said = ended.failed(code);
    for wanted in words {
        assert!(said.contains(wanted), "`{wanted}` is not in {said}");
    }
    for word in NOT_FOR_PEOPLE {
        assert!(!said.contains(word), "`{word}` is in {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_servers_address_or_certificate_is_said_in_plain_words() {
    let world = World::new(Stage::shared().await, "addresses").await;
    let carol = Shell::with(&world, world.person("carol").await.kubeconfig);
    let pki = Pki::without_intermediate();
    let other = tls(&pki.leaf("other.example.com")).await;
    let expired = pki.leaf_with("localhost", |params| {
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    });
    let expired = tls(&expired).await;
    let http = plain_http().await;
    fs::write(carol.path("root.crt"), pki.root()).unwrap();
    fs::write(carol.path("o.crt"), Pki::without_intermediate().root()).unwrap();
    let real = world.stage.urls[0].as_str();
    let plain_http = real.replace("https://", "http://");
    let at = |host: &str, port: u16| format!("https://{host}:{port}");
    for (server, ca, words) in [
        (real.to_owned(), None, vec!["signed by a CA that this machine does not know", "--server-ca FILE"]),
        (real.to_owned(), Some("o.crt"), vec!["does not know, and not by the one in o.crt"]),
        (plain_http, None, vec!["it speaks HTTPS: write https://"]),
        (at("localhost", other), Some("root.crt"), vec!["is not for localhost, but for other.example.com"]),
        (at("localhost", expired), Some("root.crt"), vec!["its certificate has expired on 2020-01-01T00:00:00Z"]),
        (at("localhost", http), Some("root.crt"), vec!["it does not speak HTTPS"]),
        ("https://127.0.0.1:1".to_owned(), None, vec!["connection refused: nothing listens there"]),
    ] {
        let mut line = vec!["download", "api", "--format", "cert", "--server", &server];
        line.extend(ca.iter().flat_map(|ca| ["--server-ca", *ca]));
        plain(&carol.run(&line).await, 1, &words);
    }
    let line = ["download", "api", "--format", "cert", "--server", real, "--server-ca", "/etc/hostname"];
    plain(&carol.run(&line).await, 2, &["--server-ca /etc/hostname holds no PEM certificate"]);
    let line = ["download", "api", "--format", "cert", "--server", real, "--server-ca", "/nowhere"];
    plain(&carol.run(&line).await, 2, &["--server-ca /nowhere cannot be read: there is no such file"]);
    assert_eq!(request_count(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_kubeconfig_the_api_server_or_the_folder_is_said_in_plain_words() {
    let world = World::new(Stage::shared().await, "kubeconfigs").await;
    let kubeconfig = world.person("carol").await.kubeconfig;
    let carol = Shell::with(&world, kubeconfig.clone());
    let text = fs::read_to_string(&kubeconfig).unwrap();
    let server = text.lines().find_map(|line| line.trim().strip_prefix("server:")).unwrap().trim().trim_matches('"');
    let (pki, to) = (Pki::without_intermediate(), |url: &str| text.replace(server, url));
    let stranger = tls(&pki.leaf("localhost")).await;
    fs::write(carol.path("empty"), "").unwrap();
    fs::write(carol.path("down"), to("https://127.0.0.1:1")).unwrap();
    fs::write(carol.path("http"), to(&server.replace("https://", "http://"))).unwrap();
    fs::write(carol.path("stranger"), to(&format!("https://localhost:{stranger}"))).unwrap();
    for (line, words) in [
        (vec!["--context", "nope", "list"], vec!["it has no context `nope`", "choose a context with --context"]),
        (vec!["--kubeconfig", "empty", "list"], vec!["the kubeconfig has no contexts", "KUBECONFIG or --kubeconfig"]),
        (vec!["--kubeconfig", "nowhere", "list"], vec!["there is no kubeconfig `nowhere`"]),
        (
            vec!["--kubeconfig", "down", "list"],
            vec!["the API server at https://127.0.0.1:1 cannot be reached: connection refused"],
        ),
        (vec!["--kubeconfig", "http", "list"], vec!["the API server speaks HTTPS: write https://"]),
        (vec!["--kubeconfig", "stranger", "list"], vec!["signed by a CA that this machine does not know"]),
    ] {
        plain(&carol.run(&line).await, 1, &words);
    }
    let carol = Shell::of(&world, "carol").await;
    let line = ["download", "api", "--format", "cert", "-o", "/nonexist/dir/x.pem"];
    plain(&carol.run(&line).await, 1, &["there is no folder /nonexist/dir; nothing was requested"]);
    assert_eq!(request_count(&world).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_flags_and_commands_and_no_path_of_the_api() {
    let world = World::new(Stage::shared().await, "flags").await;
    world.policy("reasons", serde_json::json!({"reasonRequired": true, "token": {"maxTTL": "10m"}})).await;
    let carol = Shell::of(&world, "carol").await;
    let namespace = world.namespace.as_str();
    let list = format!("`kubectl certcourier list -n {namespace}`");
    for (line, words) in [
        (vec!["api", "--format", "cert"], vec!["give it in --reason"]),
        (
            vec!["api", "-f", "cert", "--reason", "x", "--token-ttl", "2h"],
            vec!["--token-ttl 2h is longer", "leave --token-ttl out"],
        ),
        (vec!["nosuch", "--format", "cert"], vec!["there is no Certificate `nosuch` in namespace", list.as_str()]),
    ] {
        let ended = carol.run(&[vec!["download"], line].concat()).await;
        plain(&ended, 1, &words);
        assert!(!ended.stderr.contains("/api/v1") && !ended.stderr.contains("spec."), "{}", ended.stderr);
    }
    let secret = ["download", "api", "-f", "pkcs12", "--reason", "x", "--passphrase-secret", "foo/bar"];
    let ended = carol.run(&secret).await;
    plain(&ended, 1, &["Secret `foo` that --passphrase-secret names", "--generate"]);
    assert!(!ended.stderr.contains("ClusterRole") && !ended.stderr.contains("spec."), "{}", ended.stderr);
    let everywhere = carol.run(&["list", "-A"]).await;
    plain(&everywhere, 1, &["name one namespace with -n, or ask for a role in all namespaces"]);
    let acting = carol.run(&["policy", "explain", "api", "--as", "alice"]).await;
    plain(&acting, 1, &["leave --as out"]);
    let inbox = carol.run(&["inbox"]).await;
    assert!(inbox.said().contains("you lack verb approve"), "{}", inbox.said());
}
