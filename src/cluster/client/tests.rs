use std::sync::{Arc, Mutex};

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::api::{Api, PostParams};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// An API server that answers each call with the next of the given answers, and keeps the heads of what it was asked.
struct FakeServer {
    config: Config,
    heads: Arc<Mutex<Vec<String>>>,
}

const CONFIG_MAP: &str = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
const DATE: &str = "Sun, 22 Nov 2026 08:49:37 GMT";

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ndate: {DATE}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

impl FakeServer {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = Config::new(url.parse().unwrap());
        config.auth_info.token = Some("operator-token".to_owned().into());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (Arc::new(Mutex::new(answers.into_iter())), Arc::clone(&heads));
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&answers), Arc::clone(&seen)));
            }
        });
        Self { config, heads }
    }

    fn clients(&self, timeout_seconds: u64) -> Clients {
        let args = ClientArgs { api_timeout: api::Duration::from_seconds(timeout_seconds), ..ClientArgs::default() };
        Clients::new(self.config.clone(), &args, Role::Server).unwrap()
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn serve(
    mut connection: TcpStream,
    answers: Arc<Mutex<std::vec::IntoIter<String>>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let mut chunk = [0; 4096];
            match connection.read(&mut chunk).await {
                Ok(0) | Err(_) => return,
                Ok(read) => buffer.extend_from_slice(&chunk[..read]),
            }
        };
        let head = String::from_utf8(buffer.drain(..end).collect()).unwrap();
        let length: usize = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
            .map_or(0, |length| length.parse().unwrap());
        while buffer.len() < length {
            let mut chunk = [0; 4096];
            let read = connection.read(&mut chunk).await.unwrap();
            buffer.extend_from_slice(&chunk[..read]);
        }
        buffer.drain(..length);
        heads.lock().unwrap().push(head);
        let Some(next) = answers.lock().unwrap().next() else { continue };
        connection.write_all(next.as_bytes()).await.unwrap();
    }
}

fn config_map() -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

#[tokio::test]
async fn reads_are_tried_again_and_writes_are_not() {
    let server =
        FakeServer::start(vec![answer("503 No", "{}"), answer("429 No", "{}"), answer("200 OK", CONFIG_MAP)]).await;
    let reads: Api<ConfigMap> = Api::namespaced(server.clients(10).reads().clone(), "ns");
    assert_eq!(reads.get("a").await.unwrap().metadata.name.as_deref(), Some("a"));
    assert_eq!(server.heads().len(), 3);

    let server = FakeServer::start(vec![answer("503 No", "{}"), answer("200 OK", CONFIG_MAP)]).await;
    let writes: Api<ConfigMap> = Api::namespaced(server.clients(10).writes().clone(), "ns");
    writes.create(&PostParams::default(), &config_map()).await.unwrap_err();
    assert_eq!(server.heads().len(), 1);
}

#[tokio::test]
async fn a_caller_brings_the_only_credentials_of_the_call() {
    let server = FakeServer::start(vec![answer("200 OK", CONFIG_MAP), answer("200 OK", CONFIG_MAP)]).await;
    let clients = server.clients(10);
    let caller = clients.as_caller(&Redacted::new("caller-token".to_owned())).unwrap();
    Api::<ConfigMap>::namespaced(caller, "ns").get("a").await.unwrap();
    Api::<ConfigMap>::namespaced(clients.reads().clone(), "ns").get("a").await.unwrap();
    let heads = server.heads();
    assert!(heads[0].contains("authorization: Bearer caller-token\r\n"), "{}", heads[0]);
    assert!(!heads[0].contains("operator-token"), "{}", heads[0]);
    assert!(heads[1].contains("authorization: Bearer operator-token\r\n"), "{}", heads[1]);
    for head in heads {
        assert!(head.contains("user-agent: certcourier/"), "{head}");
        assert!(head.contains(" (server)\r\n"), "{head}");
    }
}

#[tokio::test]
async fn each_failed_attempt_is_counted_by_what_it_means_and_on_whose_behalf_it_was() {
    let answers = ["503 No", "200 OK", "403 No", "404 No"].map(|status| answer(status, CONFIG_MAP));
    let server = FakeServer::start(answers.into()).await;
    let (clients, metrics) = (server.clients(10), Metrics::new("server"));
    clients.observe(&metrics);
    let get = async |client| Api::<ConfigMap>::namespaced(client, "ns").get("a").await;
    get(clients.reads().clone()).await.unwrap();
    get(clients.as_caller(&Redacted::new("caller-token".to_owned())).unwrap()).await.unwrap_err();
    get(clients.writes().clone()).await.unwrap_err();
    let text = metrics.text();
    for series in [
        "{caller=\"operator\",failure=\"unavailable\"} 1",
        "{caller=\"person\",failure=\"forbidden\"} 1",
        "{caller=\"operator\",failure=\"not_found\"} 1",
    ] {
        assert!(text.contains(&format!("certcourier_api_client_errors_total{series}")), "{series}: {text}");
    }
}

#[tokio::test]
async fn a_bearer_that_is_no_header_is_refused() {
    let server = FakeServer::start(Vec::new()).await;
    for bearer in ["", "line\nend", "nul\0"] {
        let refused = server.clients(10).as_caller(&Redacted::new(bearer.to_owned()));
        assert_eq!(refused.err(), Some(InvalidBearer), "{bearer:?}");
    }
}

#[tokio::test]
async fn a_call_without_answer_ends_in_time_and_says_so() {
    let half_an_answer = answer("200 OK", CONFIG_MAP).replace("\"metadata\"", "");
    let server = FakeServer::start(vec![half_an_answer]).await;
    let clients = server.clients(1);
    for client in [clients.writes(), clients.reads()] {
        let started = std::time::Instant::now();
        let error = Api::<ConfigMap>::namespaced(client.clone(), "ns").get("a").await.unwrap_err();
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(error.to_string().contains("no answer from the API server within 1 s"), "{error}");
    }
}

#[tokio::test]
async fn answers_teach_the_clock() {
    let server = FakeServer::start(vec![answer("200 OK", CONFIG_MAP)]).await;
    let clients = server.clients(10);
    Api::<ConfigMap>::namespaced(clients.writes().clone(), "ns").get("a").await.unwrap();
    let date: Timestamp = "2026-11-22T08:49:37Z".parse().unwrap();
    let distance = clients.clock().now().duration_since(date);
    assert!(distance.unsigned_abs() < Duration::from_secs(5), "{distance}");
}

#[tokio::test]
async fn our_own_bearer_token_can_be_asked_for_and_no_other_kind_of_credential() {
    let server = FakeServer::start(Vec::new()).await;
    assert_eq!(server.clients(10).bearer().await.unwrap().unwrap().expose(), "operator-token");
    let basic = AuthInfo { username: Some("a".into()), password: Some("b".to_owned().into()), ..AuthInfo::default() };
    for auth_info in [basic, AuthInfo::default()] {
        let mut config = server.config.clone();
        config.auth_info = auth_info;
        let clients = Clients::new(config, &ClientArgs::default(), Role::Plugin).unwrap();
        assert!(clients.bearer().await.unwrap().is_none());
    }
}
