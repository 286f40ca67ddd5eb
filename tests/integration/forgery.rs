//! Forgeries made while the admission policies were away for a moment, also of the guard's own record. See [`super::guard`].

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use certcourier::{
    admission::name::{GUARD_STATE, REQUESTS, STAMP, VOTES},
    api::{DownloadRequest, Phase, names},
    guard::{Kind, Live, LiveObject},
    token::Token,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use test_support::{
    stage::{SYSTEM, Settings, Stage},
    waiting::until,
    world::{World, words},
};

use super::guard::Siege;

/// Who tries to get a key by what was forged, again and again, until dropped.
struct Thief {
    over: Arc<AtomicBool>,
    trying: tokio::task::JoinHandle<BTreeMap<String, usize>>,
}

impl Thief {
    /// Presents each of these tokens to both servers, and whatever token the requests' own Secrets may hold.
    fn with(world: &World<'_>, tokens: Vec<String>, secrets: &[&str]) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (done, http, urls) = (Arc::clone(&over), world.http(), world.stage.urls.clone());
        let api: Api<Secret> = world.api();
        let secrets: Vec<String> = secrets.iter().map(|request| names::token_secret(request)).collect();
        let trying = tokio::spawn(async move {
            let mut answers: BTreeMap<String, usize> = BTreeMap::new();
            while !done.load(Ordering::Relaxed) {
                let mut all = tokens.clone();
                for secret in &secrets {
                    let found = api.get_opt(secret).await.unwrap().and_then(|secret| secret.data?.remove("token"));
                    all.extend(found.map(|token| String::from_utf8(token.0).unwrap()));
                }
                for token in &all {
                    for url in &urls {
                        // A server that is being started again answers nobody.
                        let Ok(answer) = http.get(format!("{url}/api/v1/downloads/{token}")).send().await else {
                            continue;
                        };
                        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap_or_default());
                        assert!(!text.contains("PRIVATE KEY"), "a key has left");
                        let code = serde_json::from_str::<Value>(&text).map(|body| body["error"].to_string());
                        *answers.entry(format!("{status} {}", code.unwrap_or(text))).or_default() += 1;
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            answers
        });
        Self { over, trying }
    }

    /// What the servers answered.
    async fn gives_up(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        self.trying.await.unwrap().into_keys().collect()
    }
}

/// Tries until the policies that were taken away let it through.
async fn once_it_passes<T, F: Future<Output = Result<T, kube::Error>>>(forge: impl Fn() -> F) -> T {
    until("no policy refuses it", async || forge().await.map_err(|error| words(&error))).await
}

impl Siege<'_> {
    /// carol, in alice's name.
    async fn forge_request(&self, name: &str, certificate: &str) -> DownloadRequest {
        let carol = self.world.person("carol").await.client;
        let api: Api<DownloadRequest> = Api::namespaced(carol, &self.world.namespace);
        let forged: DownloadRequest = serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": name},
            "spec": {"certificateRef": {"name": certificate}, "format": "key",
                "requestedBy": {"username": "alice", "uid": "uid-alice", "groups": ["operators", "system:authenticated"]}},
        }))
        .unwrap();
        once_it_passes(|| async {
            let made = api.create(&PostParams::default(), &forged).await?;
            // The stamp goes a moment later than the policies.
            if made.spec.requested_by.as_ref().is_some_and(|by| by.username == "alice") {
                return Ok(made);
            }
            api.delete(name, &DeleteParams::default()).await?;
            let status = kube::core::Status::failure("stamped", "Stamped").with_code(422);
            Err(kube::Error::Api(Box::new(status)))
        })
        .await
    }

    /// alice, who may write votes, in the names of bob and frank.
    async fn forge_votes(&self, name: &str) {
        let api: Api<DownloadRequest> = Api::namespaced(self.world.person("alice").await.client, &self.world.namespace);
        once_it_passes(|| async {
            let request = api.get(name).await?;
            let digest = request.status.and_then(|status| status.review).map(|review| review.digest);
            let vote =
                |who: &str| json!({"username": who, "digest": digest, "decision": "Approve", "reason": "surely"});
            let patch = json!({"status": {"approvals": [vote("bob"), vote("frank")]}});
            api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(drop)
        })
        .await;
    }

    /// alice writes a token of her own making into a request; nobody minted it.
    async fn forge_token(&self, name: &str, votes: &[&str]) -> String {
        let api: Api<DownloadRequest> = Api::namespaced(self.world.person("alice").await.client, &self.world.namespace);
        let token = Token::mint(&self.world.namespace, name, &[7; 32]);
        let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
        let digest = "0".repeat(64);
        let votes: Vec<Value> = votes
            .iter()
            .map(|who| json!({"username": who, "digest": digest, "decision": "Approve", "reason": "surely"}))
            .collect();
        let status = json!({
            "phase": "TokenIssued",
            "review": {"digest": digest, "round": 1, "openedAt": now, "fingerprints": [], "policies": [],
                "approvals": {"required": 0, "given": 0, "by": []}},
            "approvals": votes,
            "token": {"hash": token.hash(), "generation": 1, "round": 1, "issuedAt": now,
                "expiresAt": now + SignedDuration::from_hours(1)},
        });
        once_it_passes(|| async {
            let patch = Patch::Merge(json!({"status": status}));
            api.patch_status(name, &PatchParams::default(), &patch).await.map(drop)
        })
        .await;
        token.expose().to_owned()
    }

    /// The epoch that begins when the binding that protects the guard's record is put back, as anybody can foretell it.
    async fn foretold_epoch(&self) -> String {
        let mut objects = Vec::new();
        for kind in Kind::ALL {
            for object in self.api(kind).list(&ListParams::default()).await.unwrap() {
                let next = i64::from(kind == Kind::Binding && object.name_any() == GUARD_STATE);
                objects.push(LiveObject {
                    kind,
                    name: object.name_any(),
                    uid: object.uid().unwrap(),
                    generation: object.metadata.generation.unwrap() + next,
                    resource_version: String::new(),
                    spec: Value::Null,
                });
            }
        }
        Live::of(objects).epoch()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_forged_while_policies_only_audited_for_a_moment_never_yields_a_key() {
    // The moment lies between two looks of the controller, on a busy machine too.
    let flags = ["--guard-interval", "15s"].map(str::to_owned).to_vec();
    let stage = Stage::own(Settings { controller: flags, ..Settings::default() }).await;
    let siege = Siege::of(&stage, "forgery").await;
    let kubectl = stage.plane.admin_kubectl();
    // alice may vote, on paper.
    let namespace = siege.world.namespace.clone();
    let role = ["create", "rolebinding", "alice-votes", "--clusterrole=certcourier-approver", "--user=alice"];
    kubectl.check(["-n", &namespace].into_iter().chain(role)).await.unwrap();

    votes_requester_and_token_are_forged_in_two_seconds(&siege).await;
    so_is_the_record_while_nobody_leads(&siege).await;
    let token =
        siege.world.issue("alice", "in-the-end", json!({"certificateRef": {"name": "web"}, "format": "key"})).await;
    assert_eq!(siege.world.redeem(&token).await.text(), siege.world.leaf.key);
}

async fn votes_requester_and_token_are_forged_in_two_seconds(siege: &Siege<'_>) {
    let world = &siege.world;
    // Of `api` nothing leaves without two people; of `web` alice may have the key at once.
    let two = json!({"certificates": ["api"], "approval": {"requiredFor": "Keys", "approvals": 2}});
    world.policy("two", two).await;
    world.certificate("web", &[("production", "api-tls")]).await;
    world.request("alice", "reviewed", json!({"format": "key"})).await;
    world.wait_for_phase("reviewed", Phase::AwaitingApproval).await;

    let before = siege.stage.guard().await;
    let looked = || async { siege.stage.guard().await["probedAt"] != before["probedAt"] };
    world.until("the controller has just looked", looked).await;
    let opened = Timestamp::now();
    siege.audits(REQUESTS).await;
    siege.audits(VOTES).await;
    siege.delete(Kind::StampBinding, STAMP).await;
    siege.forge_votes("reviewed").await;
    let mut tokens = Vec::new();
    for (name, certificate, votes) in [("for-api", "api", &["bob", "frank"][..]), ("for-web", "web", &[])] {
        siege.forge_request(name, certificate).await;
        tokens.push(siege.forge_token(name, votes).await);
    }
    let thief = Thief::with(world, tokens, &["reviewed", "for-api", "for-web"]);
    world.wait("reviewed", "approved on paper", |s| s.phase != Some(Phase::AwaitingApproval)).await;
    let rest = SignedDuration::from_secs(2) - Timestamp::now().duration_since(opened);
    tokio::time::sleep(rest.try_into().unwrap_or_default()).await;
    siege.put_all_back().await;
    // A server that starts now sees nothing wrong with the objects.
    siege.stage.servers[1].stop();
    siege.stage.servers[1].start_and_wait().await;

    let after = siege.until_intact_again(&before).await;
    assert_ne!(before["epoch"], after["epoch"]);
    siege.epoch_changed("reviewed").await;
    siege.epoch_changed("for-api").await;
    siege.epoch_changed("for-web").await;
    let answers = thief.gives_up().await;
    assert!(answers.iter().any(|answer| answer.contains("guard_failed")), "{answers:?}");
    assert!(world.receipts().await.is_empty());
    let found: Vec<String> = siege.told().await.into_iter().filter(|told| told.starts_with("GuardBroken")).collect();
    assert!(found.is_empty(), "the controller never saw it broken, so the epoch alone stood guard: {found:#?}");
}

/// Whoever can take the policies away can also write the guard's record meanwhile, with the epoch that will begin when
/// they are back, and have every program restarted.
async fn so_is_the_record_while_nobody_leads(siege: &Siege<'_>) {
    let world = &siege.world;
    let before = siege.stage.guard().await;
    siege.stage.controller.stop();
    siege.stage.servers[1].stop();
    for name in [REQUESTS, VOTES, GUARD_STATE] {
        siege.audits(name).await;
    }
    siege.delete(Kind::StampBinding, STAMP).await;
    siege.forge_request("robbed", "web").await;
    let token = siege.forge_token("robbed", &[]).await;
    siege.put_back(|kind, name| kind != Kind::Binding.name() || name != GUARD_STATE).await;
    let epoch = siege.foretold_epoch().await;
    let maps: Api<ConfigMap> = Api::namespaced(world.admin.clone(), SYSTEM);
    let data = json!({"data": {"state": "Intact", "epoch": epoch, "since": "2020-01-01T00:00:00Z",
        "probedAt": Timestamp::now().to_string()}});
    once_it_passes(|| async {
        maps.patch(names::GUARD, &PatchParams::default(), &Patch::Merge(data.clone())).await.map(drop)
    })
    .await;
    siege.put_all_back().await;
    siege.stage.servers[1].start_and_wait().await;
    let thief = Thief::with(world, vec![token.clone()], &["robbed"]);
    assert_eq!(certcourier::cluster::guard::live(&world.admin).await.unwrap().epoch(), epoch, "it was foretold");
    siege.no_key_leaves(&token, "anyone could have forged it").await;

    siege.stage.controller.start_and_wait().await;
    let after = siege.until_intact_again(&siege.stage.guard().await).await;
    assert!(after["since"] > before["since"]);
    siege.epoch_changed("robbed").await;
    thief.gives_up().await;
    assert!(world.receipts().await.is_empty());
}
