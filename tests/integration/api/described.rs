//! The live server is held to its own description: schemathesis reads /openapi.json, makes up calls that fit it and calls
//! that do not, and looks at every answer.

use std::{path::PathBuf, time::Duration};

use certcourier::api::Phase;
use serde_json::json;
use test_support::{curl::curl, shell::end_within, stage::Stage, world::World};
use tokio::process::Command;

/// As long as the whole of it may take.
const LIMIT: Duration = Duration::from_mins(3);

/// Everything but `positive_data_acceptance`: that a passphrase needs a format that takes one, or that a page's
/// `continue` is one of this list's, is beyond what a schema says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
    response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,ignored_auth";

#[ignore = "needs schemathesis, a Python package: `make schemathesis` has it and runs this"]
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_answer_that_is_not_described_and_no_fault() {
    let program = std::env::var_os("SCHEMATHESIS").map(PathBuf::from).expect("run `make schemathesis`");
    let world = World::new(Stage::shared().await, "described").await;
    world.policy("keys", json!({"allowKeyExport": "Always"})).await;
    let kubectl = world.stage.plane.admin_kubectl();
    for role in ["approver", "auditor"] {
        let (name, role) = (format!("alice-{role}"), format!("--clusterrole=certcourier-{role}"));
        let binding = ["create", "rolebinding", &name, &role, "--user=alice"];
        kubectl.check(["--namespace", &world.namespace].iter().chain(&binding)).await.unwrap();
    }
    let minted = world.post("alice", "certificates/api/downloads", r#"{"format":"cert"}"#).await;
    assert_eq!(curl(world.stage, &[&minted.field("url")]).await.status, 200);
    let (phase, delivered) = world.wait_finished(&minted.field("request")).await;
    assert_eq!(phase, Phase::Consumed);
    let receipt = world.receipt_of(&delivered).await.unwrap().metadata.name.unwrap();
    world.request("alice", "open", json!({"format": "cert", "delivery": "Claim"})).await;
    world.wait_for_phase("open", Phase::Approved).await;

    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[parameters]\n\"path.project\" = \"{}\"\n\"path.certificate\" = \"api\"\n\"path.request\" = \"open\"\n\
         \"path.id\" = \"{receipt}\"\n",
        world.namespace
    );
    std::fs::write(folder.path().join("schemathesis.toml"), config).unwrap();
    let token = world.person("alice").await.token;
    let mut schemathesis = Command::new(program);
    schemathesis
        .arg("run")
        .arg(format!("{}/openapi.json", world.stage.urls[0]))
        .args(["--checks", CHECKS, "--max-examples", "40", "--phases", "examples,coverage,fuzzing", "--no-color"])
        .args(["-H", &format!("Authorization: Bearer {}", token.as_str())])
        .arg("--tls-verify")
        .arg(world.stage.ca())
        .current_dir(folder.path())
        .env("no_proxy", "*");
    let said = end_within(LIMIT, schemathesis).await.ok();
    // It called every route, and had something to look at.
    assert!(said.contains("Tested: 17"), "{said}");
    println!("{said}");
}
