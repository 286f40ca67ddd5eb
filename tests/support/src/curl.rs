//! curl as people use it, with a Kubernetes token of theirs.

use serde_json::Value;
use tokio::process::Command;

use crate::{canaries, shell::end, stage::Stage, world::World};

/// What curl got.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.text()))
    }

    /// A text in the answer's JSON; empty where it is none.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The status, and the code of a refusal; its words, for looking into.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> String {
        assert_eq!((self.status, self.field("error").as_str()), (status, code), "{}", self.text());
        assert!(self.header("content-type").starts_with("application/json"), "{:?}", self.headers);
        assert!(!self.header("x-request-id").is_empty(), "{:?}", self.headers);
        self.field("error_description")
    }
}

/// Runs curl with these arguments; `at` of them are paths of the first server.
pub async fn curl(stage: &Stage, arguments: &[&str]) -> Reply {
    let mut command = Command::new("curl");
    // Nothing of the machine's own configuration, and no proxy of its environment.
    command.args(["-q", "--noproxy", "*", "-sS", "-i", "--max-time", "30", "--cacert"]).arg(stage.ca());
    command.args(arguments);
    let ended = end(command).await;
    ended.ok();
    parse(&ended.stdout)
}

fn parse(output: &[u8]) -> Reply {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").expect("no header");
    let (head, body) = (String::from_utf8_lossy(&output[..end]), output[end + 4..].to_vec());
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    canaries::answer(&body);
    Reply { status, headers, body }
}

impl World<'_> {
    /// A path of this world's project, at the first server.
    pub fn url(&self, path: &str) -> String {
        format!("{}/api/v1/projects/{}/{path}", self.stage.urls[0], self.namespace)
    }

    /// curl with this person's token, to a path of this world's project.
    pub async fn curl(&self, person: &str, arguments: &[&str], path: &str) -> Reply {
        let token = self.person(person).await.token;
        self.curl_with(token.as_str(), arguments, path).await
    }

    /// The same with a token of one's own choice.
    pub async fn curl_with(&self, token: &str, arguments: &[&str], path: &str) -> Reply {
        let (authorization, url) = (format!("Authorization: Bearer {token}"), self.url(path));
        curl(self.stage, &[&["-H", &authorization], arguments, &[&url]].concat()).await
    }

    /// `POST` with a body, as plain curl sends it.
    pub async fn post(&self, person: &str, path: &str, body: &str) -> Reply {
        self.curl(person, &["-X", "POST", "-d", body], path).await
    }
}
