//! The guard, against people who may change admission policies: whatever they do, no key leaves that was not asked for
//! and agreed to while the policies stood. These tests have control planes of their own, which they break.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use certcourier::{
    admission::name::{CERTIFICATES, GUARD_STATE, REQUESTS, STAMP, TOKENS, VOTES},
    api::{DownloadRequest, Phase, names},
    guard::{Kind, Live, LiveObject},
    token::Token,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::{
    core::v1::ConfigMap,
    events::v1::Event,
    rbac::v1::{PolicyRule, Role},
};
use kube::{
    Api, ResourceExt as _,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    stage::{self, SYSTEM, Settings, Stage},
    world::{World, condition, message, words},
};

/// What an administrator of the cluster can do.
struct Siege<'a> {
    stage: &'a Stage,
    world: World<'a>,
}

impl<'a> Siege<'a> {
    async fn of(stage: &'a Stage, what: &str) -> Self {
        let world = World::new(stage, what).await;
        world.policy("keys", json!({"allowKeyExport": "Always"})).await;
        Self { stage, world }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let group = "admissionregistration.k8s.io";
        let resource = ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: format!("{group}/v1"),
            kind: kind.name().to_owned(),
            plural: kind.plural().to_owned(),
        };
        Api::all_with(self.world.admin.clone(), &resource)
    }

    async fn merge(&self, kind: Kind, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.api(kind).patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn delete(&self, kind: Kind, name: &str) {
        self.api(kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    async fn audits(&self, name: &str) {
        self.merge(Kind::Binding, name, json!({"validationActions": ["Audit"]})).await;
    }

    /// Applies what `certcourier manifests` prints, those of these names.
    async fn put_back(&self, wanted: impl Fn(&str, &str) -> bool) {
        let mut list: Value = serde_json::from_str(&stage::manifests(&[], "json")).unwrap();
        list["items"].as_array_mut().unwrap().retain(|object| {
            object["apiVersion"] == "admissionregistration.k8s.io/v1"
                && wanted(object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
        });
        self.stage.plane.admin_kubectl().apply(&list.to_string()).await.unwrap();
    }

    async fn put_all_back(&self) {
        self.put_back(|_, _| true).await;
    }

    /// Until the guard has found this, in these words.
    async fn until_broken(&self, reason: &str, words: &str) {
        let seen = || async {
            let record = self.stage.guard().await;
            let is = |key: &str, value: &str| record.get(key).is_some_and(|found| found == value);
            is("state", "Broken") && is("reason", reason) && record["message"].contains(words)
        };
        self.world.until(&format!("the guard says {reason}: {words}"), seen).await;
    }

    async fn until_intact_again(&self, before: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let changed = || async { self.stage.guard().await.get("since") != before.get("since") };
        self.world.until("another epoch has begun", changed).await;
        self.stage.wait_for_guard().await;
        self.stage.guard().await
    }

    /// alice gets a key, all the way.
    async fn a_key_leaves(&self, name: &str) {
        let token = self.world.issue("alice", name, json!({"format": "key"})).await;
        let answer = self.world.redeem(&token).await;
        assert_eq!((answer.status, answer.text()), (200, self.world.leaf.key.clone()), "{name}");
    }

    /// carol gets a public file, all the way.
    async fn a_public_file_leaves(&self, name: &str) {
        let token = self.world.issue("carol", name, json!({"format": "cert"})).await;
        let answer = self.world.redeem_at(1, &token).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }

    /// Both servers refuse this token for the guard's sake, in these words.
    async fn no_key_leaves(&self, token: &str, words: &str) {
        for server in [0, 1] {
            let answer = self.world.redeem_at(server, token).await;
            assert_eq!((answer.status, answer.json("error").as_str()), (503, "guard_failed"), "{}", answer.text());
            assert!(answer.text().contains(words), "{words}: {}", answer.text());
        }
    }

    async fn epoch_changed(&self, name: &str) {
        let (phase, request) = self.world.wait_finished(name).await;
        let status = request.status.as_ref().unwrap();
        assert_eq!((phase, status.reason.as_deref()), (Phase::Failed, Some("EpochChanged")), "{name}");
        assert!(message(status, "Finished").contains("create it again"), "{}", message(status, "Finished"));
        assert!(self.world.receipt_of(&request).await.is_none(), "{name}");
    }

    /// Lines of a program's metrics that begin so.
    async fn metric(&self, program: &stage::Program, name: &str) -> Vec<String> {
        let answer = self.stage.http().get(format!("http://{}/metrics", program.probe())).send().await.unwrap();
        let text = answer.text().await.unwrap();
        text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    }

    async fn told(&self) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.world.admin.clone(), SYSTEM);
        let events = events.list(&ListParams::default()).await.unwrap().items;
        events.into_iter().map(|event| format!("{} {}", event.reason.unwrap(), event.note.unwrap())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_anything_is_wrong_with_a_policy_no_key_leaves_and_public_files_do() {
    let stage = Stage::own(Settings::default()).await;
    let siege = Siege::of(&stage, "siege").await;
    siege.a_key_leaves("first").await;
    every_way_to_break_a_policy_is_seen(&siege).await;
    a_probe_that_something_else_refuses_proves_nothing(&siege).await;
    a_record_that_is_gone_begins_a_new_epoch(&siege).await;
    a_restart_begins_none(&siege).await;
}

async fn every_way_to_break_a_policy_is_seen(siege: &Siege<'_>) {
    let world = &siege.world;
    let before = siege.stage.guard().await;
    // Good, and not used before the policies break.
    let token = world.issue("alice", "early", json!({"format": "key"})).await;
    assert_eq!(
        siege.metric(&siege.stage.controller, "certcourier_guard_intact").await,
        ["certcourier_guard_intact 1.0"]
    );

    siege.delete(Kind::Binding, VOTES).await;
    siege.no_key_leaves(&token, "there is no ValidatingAdmissionPolicyBinding").await;
    siege.until_broken("Missing", VOTES).await;
    world.request("alice", "meanwhile", json!({"format": "key"})).await;
    let held = world.wait("meanwhile", "held back", |s| condition(s, "TokenIssued") == "False/GuardFailed").await;
    let words = message(held.status.as_ref().unwrap(), "TokenIssued");
    assert!(words.contains("apply again what `certcourier manifests` prints"), "{words}");
    siege.a_public_file_leaves("public-0").await;
    assert_eq!(
        siege.metric(&siege.stage.controller, "certcourier_guard_intact").await,
        ["certcourier_guard_intact 0.0"]
    );
    let told = siege.told().await;
    assert!(told.iter().any(|event| event.starts_with("GuardBroken no key leaves")), "{told:#?}");
    siege.put_all_back().await;

    siege.audits(REQUESTS).await;
    siege.no_key_leaves(&token, "lack Deny").await;
    siege.until_broken("NotDenying", REQUESTS).await;
    siege.put_all_back().await;

    siege.delete(Kind::Policy, TOKENS).await;
    siege.no_key_leaves(&token, "there is no ValidatingAdmissionPolicy ").await;
    siege.until_broken("Missing", TOKENS).await;
    siege.a_public_file_leaves("public-1").await;
    siege.put_all_back().await;

    let votes = siege.api(Kind::Policy).get(VOTES).await.unwrap();
    let mut rules = votes.data["spec"]["validations"].clone();
    rules[1]["expression"] = json!("true");
    siege.merge(Kind::Policy, VOTES, json!({"validations": rules})).await;
    siege.no_key_leaves(&token, "is not what this version of certcourier applies").await;
    siege.until_broken("Changed", VOTES).await;
    siege.put_all_back().await;

    // What somebody else added stays when ours is applied over it: that does not make it ours.
    let exempt = json!([{"name": "not-mallory", "expression": "request.userInfo.username != 'mallory'"}]);
    siege.merge(Kind::Policy, CERTIFICATES, json!({"matchConditions": exempt})).await;
    siege.until_broken("Changed", CERTIFICATES).await;
    siege.put_all_back().await;
    let kept = siege.api(Kind::Policy).get(CERTIFICATES).await.unwrap();
    assert_eq!(kept.data["spec"]["matchConditions"][0]["name"], "not-mallory");
    siege.no_key_leaves(&token, "delete it").await;
    siege.a_public_file_leaves("public-2").await;
    siege.delete(Kind::Policy, CERTIFICATES).await;
    siege.put_all_back().await;

    let after = siege.until_intact_again(&before).await;
    assert_ne!(before["epoch"], after["epoch"]);
    siege.epoch_changed("early").await;
    siege.epoch_changed("meanwhile").await;
    assert_eq!(world.redeem(&token).await.json("error"), "token_revoked");
    siege.a_key_leaves("after").await;
    let told = siege.told().await;
    assert!(told.iter().any(|event| event.starts_with("GuardIntact the admission policies stand")), "{told:#?}");
}

/// Somebody tidied the operator's roles: RBAC refuses before any policy is asked.
async fn a_probe_that_something_else_refuses_proves_nothing(siege: &Siege<'_>) {
    let world = &siege.world;
    let before = siege.stage.guard().await;
    let token = world.issue("alice", "tidied", json!({"format": "key"})).await;
    let roles: Api<Role> = Api::namespaced(world.admin.clone(), SYSTEM);
    let whole = roles.get("certcourier-controller").await.unwrap().rules.unwrap();
    let creates = |rule: &&PolicyRule| {
        rule.verbs == ["create"] && rule.resources.iter().flatten().any(|resource| resource == "downloadrequests")
    };
    let without: Vec<_> = whole.iter().filter(|rule| !creates(rule)).cloned().collect();
    assert_eq!(without.len() + 1, whole.len());
    let change = |given: Vec<_>| {
        let (roles, patch) = (roles.clone(), Patch::Merge(json!({"rules": given})));
        async move { roles.patch("certcourier-controller", &PatchParams::default(), &patch).await.map(drop) }
    };
    change(without).await.unwrap();
    siege.until_broken("ForeignRefusal", "cannot create resource").await;
    siege.no_key_leaves(&token, "refused by something else").await;
    siege.a_public_file_leaves("public-3").await;
    change(whole).await.unwrap();
    // Of the same objects, and yet another epoch: nobody knows what the policies let through meanwhile.
    let after = siege.until_intact_again(&before).await;
    assert_eq!(before["epoch"], after["epoch"]);
    siege.epoch_changed("tidied").await;
}

async fn a_record_that_is_gone_begins_a_new_epoch(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    siege.world.issue("alice", "on-record", json!({"format": "key"})).await;
    let kubectl = siege.stage.plane.admin_kubectl();
    let delete = ["-n", SYSTEM, "delete", "configmap", names::GUARD];
    let refused = kubectl.run(delete).await.unwrap();
    assert!(refused.stderr.contains("written by the certcourier controller alone"), "{}", refused.stderr);
    let data = json!({"data": {"since": "2020-01-01T00:00:00Z"}}).to_string();
    let forged = kubectl.run(["-n", SYSTEM, "patch", "configmap", names::GUARD, "--type=merge", "-p", &data]).await;
    assert!(forged.unwrap().stderr.contains("written by the certcourier controller alone"));
    let as_kubernetes = ["--as=system:serviceaccount:kube-system:namespace-controller"];
    kubectl.check(delete.into_iter().chain(as_kubernetes)).await.unwrap();
    let after = siege.until_intact_again(&before).await;
    assert_eq!(before["epoch"], after["epoch"]);
    siege.epoch_changed("on-record").await;
}

async fn a_restart_begins_none(siege: &Siege<'_>) {
    let before = siege.stage.guard().await;
    let token = siege.world.issue("alice", "patient", json!({"format": "key"})).await;
    let second = siege.stage.another_controller().await;
    second.start_and_wait().await;
    assert!(siege.metric(&second, "certcourier_guard_intact").await.is_empty(), "a replica that does not lead");
    siege.stage.controller.stop();
    siege
        .world
        .until("the other one leads", || async {
            siege.metric(&second, "certcourier_guard_intact").await == ["certcourier_guard_intact 1.0"]
        })
        .await;
    second.stop();
    siege.stage.servers[0].stop();
    siege.stage.servers[0].start_and_wait().await;
    siege.stage.controller.start_and_wait().await;
    let after = siege.stage.guard().await;
    assert_eq!((&before["epoch"], &before["since"]), (&after["epoch"], &after["since"]));
    assert_eq!(siege.world.redeem(&token).await.text(), siege.world.leaf.key);
}

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
        let api: Api<k8s_openapi::api::core::v1::Secret> = world.api();
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
    let end = Timestamp::now() + SignedDuration::from_secs(10);
    loop {
        match forge().await {
            Ok(done) => return done,
            Err(error) => assert!(Timestamp::now() < end, "{}", words(&error)),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
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
    // The moment lies between two looks of the controller.
    let flags = ["--guard-interval", "6s"].map(str::to_owned).to_vec();
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
    assert_eq!(certcourier::kube::guard::live(&world.admin).await.unwrap().epoch(), epoch, "it was foretold");
    siege.no_key_leaves(&token, "anybody may have made it up").await;

    siege.stage.controller.start_and_wait().await;
    let after = siege.until_intact_again(&siege.stage.guard().await).await;
    assert!(after["since"] > before["since"]);
    siege.epoch_changed("robbed").await;
    thief.gives_up().await;
    assert!(world.receipts().await.is_empty());
}
