//! `OpenBao` with integrated storage (raft) on loopback, unsealed, for `sys/wrapping`.

use std::{fs, path::Path, time::Duration};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use test_cluster::{Process, free_ports};
use test_support::{stage::Stage, waiting::Wait};

pub struct Bao {
    url: String,
    root: String,
    http: reqwest::Client,
    _process: Process<&'static str>,
    _directory: tempfile::TempDir,
}

impl Bao {
    /// Nothing where `BAO` names no program.
    pub async fn start(stage: &Stage) -> Option<Self> {
        let program = std::env::var("BAO").ok().filter(|path| !path.is_empty())?;
        let directory = tempfile::tempdir().unwrap();
        let [api, cluster] = free_ports().unwrap();
        let file = directory.path().join("bao.hcl");
        fs::create_dir(directory.path().join("raft")).unwrap();
        fs::write(&file, configuration(stage, directory.path(), api, cluster)).unwrap();
        let arguments = ["server", &format!("-config={}", file.display())].map(str::to_owned);
        let process = Process::spawn("bao", Path::new(&program), &arguments, &directory.path().join("log")).unwrap();
        let (url, http) = (format!("https://127.0.0.1:{api}"), stage.http());
        let mut bao = Self { url, root: String::new(), http, _process: process, _directory: directory };
        bao.unseal().await;
        Some(bao)
    }

    async fn unseal(&mut self) {
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let wait = Wait::usual().every(Duration::from_millis(100));
        let initialised = wait.until("bao begins", async || self.call("sys/init", "", None, &shares).await).await;
        initialised["root_token"].as_str().unwrap().clone_into(&mut self.root);
        let unseal = json!({"key": initialised["keys_base64"][0]});
        self.call("sys/unseal", "", None, &unseal).await.unwrap();
        // It answers when it has become the leader of its cluster of one.
        let ready = json!({"is": "ready"});
        let wrap = async || self.call("sys/wrapping/wrap", &self.root, Some("60"), &ready).await;
        wait.until("bao leads", wrap).await;
    }

    async fn call(&self, path: &str, token: &str, wrap: Option<&str>, body: &Value) -> Result<Value, String> {
        let mut request = self.http.post(format!("{}/v1/{path}", self.url)).json(body);
        if !token.is_empty() {
            request = request.header("x-vault-token", token);
        }
        if let Some(seconds) = wrap {
            request = request.header("x-vault-wrap-ttl", seconds);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let (status, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
        if status.is_success() { serde_json::from_str(&text).map_err(|error| error.to_string()) } else { Err(text) }
    }

    /// So many tokens, each for one look at this text.
    pub async fn wrap(&self, count: usize, text: &str) -> Vec<String> {
        let body = json!({"data": text});
        stream::iter(0..count)
            .map(|_| self.call("sys/wrapping/wrap", &self.root, Some("3600"), &body))
            .buffered(16)
            .map(|answer| answer.unwrap()["wrap_info"]["token"].as_str().unwrap().to_owned())
            .collect()
            .await
    }

    pub async fn unwrap(&self, token: &str) {
        let answer = self.call("sys/wrapping/unwrap", token, None, &json!({})).await.unwrap();
        assert!(answer["data"]["data"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
    }
}

fn configuration(stage: &Stage, directory: &Path, api: u16, cluster: u16) -> String {
    let directory = directory.display();
    let (certificate, key) = (stage.file("tls.crt"), stage.file("tls.key"));
    format!(
        r#"disable_mlock = true
        ui = false
        api_addr = "https://127.0.0.1:{api}"
        cluster_addr = "https://127.0.0.1:{cluster}"
        storage "raft" {{
          path = "{directory}/raft"
          node_id = "one"
        }}
        listener "tcp" {{
          address = "127.0.0.1:{api}"
          cluster_address = "127.0.0.1:{cluster}"
          tls_cert_file = "{}"
          tls_key_file = "{}"
        }}
        "#,
        certificate.display(),
        key.display()
    )
}
