//! People who mint and download as they always do.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use futures::future::join_all;
use serde_json::Value;
use test_cluster::Person;
use test_support::{stage::Server, world::World};
use tokio::time::Instant;

use super::hostile;

/// Between two rounds of one person: nobody meets a limit of their own.
const PAUSE: Duration = Duration::from_millis(200);

/// Somebody at an address.
struct Worker {
    who: &'static str,
    person: Person,
    http: reqwest::Client,
    mint: String,
    server: String,
}

/// Everybody.
pub struct People(Vec<Worker>);

/// What came of their work.
#[derive(Default)]
pub struct Work {
    pub calls: usize,
    pub failures: Vec<String>,
    pub slowest: Duration,
}

/// Two people at addresses of their own who connect anew for each call, and one at the hostile address who keeps her
/// connection.
pub async fn people(world: &World<'_>, server: &Server) -> People {
    let own = |last: u8| IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
    let mut people = Vec::new();
    for (who, address, keeps) in
        [("carol", own(2), false), ("alice", own(3), false), ("alice", hostile::ADDRESS.into(), true)]
    {
        let root = reqwest::Certificate::from_pem(world.stage.pki.root().as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([root])
            .local_address(address)
            .pool_max_idle_per_host(usize::from(keeps))
            .build()
            .unwrap();
        people.push(Worker {
            who: if keeps { "alice at the hostile address" } else { who },
            person: world.person(who).await,
            http,
            mint: format!("{}/api/v1/projects/{}/certificates/api/downloads", server.url, world.namespace),
            server: server.url.clone(),
        });
    }
    People(people)
}

impl People {
    /// They work until then, and no call may take longer than the limit.
    pub async fn work_until(&self, end: Instant, limit: Duration) -> Work {
        let mut all = Work::default();
        for work in join_all(self.0.iter().map(|worker| worker.work_until(end, limit))).await {
            all.calls += work.calls;
            all.failures.extend(work.failures);
            all.slowest = all.slowest.max(work.slowest);
        }
        all
    }
}

impl Worker {
    async fn work_until(&self, end: Instant, limit: Duration) -> Work {
        let mut work = Work::default();
        while Instant::now() < end {
            let ask = self.http.post(&self.mint).bearer_auth(self.person.token.as_str()).body(r#"{"format":"cert"}"#);
            let minted = self.call(&mut work, ask, 201, limit).await;
            let minted = minted.and_then(|text| serde_json::from_str::<Value>(&text).ok());
            if let Some(token) = minted.as_ref().and_then(|minted| minted["token"].as_str()) {
                let fetch = self.http.get(format!("{}/api/v1/downloads/{token}", self.server));
                self.call(&mut work, fetch, 200, limit).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
        work
    }

    async fn call(
        &self,
        work: &mut Work,
        request: reqwest::RequestBuilder,
        wanted: u16,
        limit: Duration,
    ) -> Option<String> {
        let began = Instant::now();
        let answer = async {
            let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
            let status = answer.status().as_u16();
            let text = answer.text().await.map_err(|error| format!("{error:?}"))?;
            if status == wanted { Ok(text) } else { Err(format!("{status} {text}")) }
        };
        let answer = tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(format!("over {limit:?}")));
        work.calls += 1;
        work.slowest = work.slowest.max(began.elapsed());
        answer.map_err(|error| work.failures.push(format!("{}: {error}", self.who))).ok()
    }
}
