//! What the programs count, as Prometheus reads it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use certcourier::api::{Certificate, Phase};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use test_support::{
    stage::{Program, Stage},
    world::World,
};

/// Reads `OpenMetrics` as strictly as the specification has it, and prints every sample as JSON.
const PARSER: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([[f.name, f.type, s.name, s.labels, s.value] for f in families for s in f.samples]))
";

/// The Python that has `prometheus_client`.
fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let tools = cache.join("certcourier/tools");
    let entries = fs::read_dir(&tools).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("prometheus-client-"))
        .map(|entry| entry.path().join("bin/python3"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("no prometheus-client in {}: run `make integration` once", tools.display()))
}

struct Sample {
    family: String,
    name: String,
    labels: Value,
    value: f64,
}

async fn scraped(program: &Program) -> Vec<Sample> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(format!("http://{}/metrics", program.probe())).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    let text = answer.text().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    fs::write(&file, &text).unwrap();
    let output = Command::new(python())
        .args(["-c", PARSER])
        .stdin(Stdio::from(fs::File::open(&file).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
    let samples: Vec<(String, String, String, Value, f64)> = serde_json::from_slice(&output.stdout).unwrap();
    samples.into_iter().map(|(family, _, name, labels, value)| Sample { family, name, labels, value }).collect()
}

/// The value of the sample with this name and these labels.
fn value(samples: &[Sample], name: &str, labels: &Value) -> Option<f64> {
    samples.iter().find(|sample| sample.name == name && sample.labels == *labels).map(|sample| sample.value)
}

/// Every metric that docs/metrics.md has.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    names.filter(|name| name.starts_with("certcourier_")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_independent_reader_understands_the_metrics_and_they_say_what_happened() {
    let world = World::new(Stage::shared().await, "counted").await;
    world.certificate("short", &[("production", "api-tls")]).await;
    let token = world.issue("carol", "once", json!({"format": "fullchain"})).await;
    assert_eq!(world.redeem(&token).await.status, 200);
    assert_eq!(world.redeem(&token).await.json("error"), "token_used");
    let claimed = world.post("carol", "certificates/api/downloads", r#"{"format":"der"}"#).await;
    assert_eq!(claimed.status, 201, "{}", claimed.text());
    world.wait_for_phase("once", Phase::Consumed).await;

    let (controller, server) = (scraped(&world.stage.controller).await, scraped(&world.stage.servers[0]).await);
    let one_at_least = |samples: &[Sample], name: &str, labels: Value| {
        let found = value(samples, name, &labels).unwrap_or_else(|| panic!("no {name}{labels}"));
        assert!(found >= 1.0, "{name}{labels} is {found}");
    };
    for (name, labels) in [
        ("certcourier_downloads_total", json!({"format": "fullchain", "outcome": "delivered"})),
        ("certcourier_refusals_total", json!({"code": "token_used"})),
        ("certcourier_token_replays_total", json!({})),
        ("certcourier_mints_total", json!({"format": "der", "delivery": "claim"})),
        ("certcourier_redemption_duration_seconds_count", json!({"result": "delivered"})),
        ("certcourier_audit_events_total", json!({"type": "cert.downloaded"})),
        ("certcourier_build_info", json!({"program": "server", "version": env!("CARGO_PKG_VERSION")})),
    ] {
        one_at_least(&server, name, labels);
    }
    for (name, labels) in [
        ("certcourier_leader", json!({})),
        ("certcourier_guard_intact", json!({})),
        ("certcourier_mints_total", json!({"format": "fullchain", "delivery": "secret"})),
        ("certcourier_requests", json!({"phase": "consumed"})),
        ("certcourier_reconcile_duration_seconds_count", json!({"kind": "download_request"})),
        ("certcourier_certificate_ready", json!({"namespace": world.namespace, "certificate": "short"})),
    ] {
        one_at_least(&controller, name, labels);
    }
    let page = documented();
    for sample in controller.iter().chain(&server) {
        let known = [sample.family.clone(), sample.name.clone(), format!("{}_total", sample.family)];
        assert!(known.iter().any(|name| page.contains(name)), "{} is not in docs/metrics.md", sample.family);
    }

    // A series is there as long as its object.
    let labels = json!({"namespace": world.namespace, "certificate": "short", "environment": "production"});
    let expiry = "certcourier_certificate_expiration_timestamp_seconds";
    assert!(value(&controller, expiry, &labels).unwrap() > 1e9);
    world.api::<Certificate>().delete("short", &DeleteParams::default()).await.unwrap();
    let is_gone = || async { value(&scraped(&world.stage.controller).await, expiry, &labels).is_none() };
    world.until("the series is gone", is_gone).await;
}
