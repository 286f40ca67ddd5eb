//! docs/api.md: every line is run by bash and curl, and every answer has the fields that the page prints.

use std::{collections::BTreeMap, fs, path::Path};

use certcourier::{
    api::Phase,
    server::{http::error::ErrorCode, openapi_document},
};
use serde_json::{Value, json};
use test_support::{shell::end, stage::Stage, world::World};
use tokio::process::Command;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap()
}

/// A block to run, and the answer that is printed behind it.
struct Block {
    who: String,
    script: String,
    answer: Option<Value>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for part in page.split("\n```sh\n# ").skip(1) {
        let (who, rest) = part.split_once('\n').unwrap();
        let (script, rest) = rest.split_once("\n```").unwrap();
        let answer = rest.strip_prefix("\n```json\n").map(|rest| rest.split_once("\n```").unwrap().0);
        let answer =
            answer.map(|answer| serde_json::from_str(answer).unwrap_or_else(|error| panic!("{error}: {answer}")));
        blocks.push(Block { who: who.to_owned(), script: script.to_owned(), answer });
    }
    blocks
}

/// The variables of the page, as the answers before set them.
type Variables = BTreeMap<&'static str, String>;

fn learn(variables: &mut Variables, answer: &Value) {
    for (variable, pointer) in
        [("TOKEN", "/token"), ("R", "/request"), ("ID", "/items/0/id"), ("DIGEST", "/approval/digest")]
    {
        let found = answer.pointer(pointer).and_then(Value::as_str);
        if let Some(text) = found {
            variables.insert(variable, text.to_owned());
        }
    }
}

async fn run(folder: &Path, variables: &Variables, script: &str) -> String {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).current_dir(folder);
    bash.env("HOME", folder).env("no_proxy", "*").envs(variables);
    let ended = end(bash).await;
    assert_eq!(ended.code, Some(0), "{script}\n{}", ended.stderr);
    ended.out()
}

/// Whether an answer has just the fields of the example. Null stands for any value, an empty list for any list.
fn same_fields(example: &Value, answer: &Value) -> Result<(), String> {
    match (example, answer) {
        (Value::Null, _) | (_, Value::Null) => Ok(()),
        (Value::Object(example), Value::Object(answer)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            if names(example) != names(answer) {
                return Err(format!("{:?} are not {:?}", names(answer), names(example)));
            }
            example
                .iter()
                .try_for_each(|(name, value)| same_fields(value, &answer[name]).map_err(|e| format!("{name}: {e}")))
        }
        (Value::Array(example), Value::Array(answer)) => {
            example.first().zip(answer.first()).map_or(Ok(()), |(example, answer)| same_fields(example, answer))
        }
        (example, answer) if std::mem::discriminant(example) == std::mem::discriminant(answer) => Ok(()),
        (example, answer) => Err(format!("{answer} is not like {example}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_page_does_what_it_says() {
    let world = World::new(Stage::shared().await, "page").await;
    world.policy("two", json!({"allowKeyExport": "WithApproval", "approval": {"approvals": 2}})).await;
    world
        .until("the controller has looked", || async {
            world.curl("carol", &[], "certificates/api").await.json()["ready"] == true
        })
        .await;
    let folder = tempfile::tempdir().unwrap();
    let mut variables = Variables::from([
        ("U", world.stage.urls[0].clone()),
        ("P", world.namespace.clone()),
        ("C", "api".to_owned()),
        ("CURL_CA_BUNDLE", world.stage.ca().display().to_string()),
    ]);
    let blocks = blocks(&page());
    assert!(blocks.len() > 20, "{}", blocks.len());
    for Block { who, script, answer } in blocks {
        if who == "anyone" {
            variables.remove("T");
        } else {
            variables.insert("T", world.person(&who).await.token.as_str().to_owned());
        }
        if script.contains("/requests/$R") && !script.contains("/token\"") {
            // The page does not speak of the moment in which nobody has looked yet.
            let name = variables["R"].clone();
            world.wait(&name, "looked at", |status| status.phase.is_some()).await;
        }
        if script.contains("passphrase\":\"\"}'") && script.contains("/token\"") {
            world.wait_for_phase(&variables["R"], Phase::Approved).await;
        }
        let said = run(folder.path(), &variables, &script).await;
        if said.is_empty() {
            let file = script.rsplit(' ').next().unwrap();
            assert!(fs::metadata(folder.path().join(file)).unwrap().len() > 0, "{script}");
            if script.contains("bundle.p12") {
                world.wait_finished(&variables["R"]).await;
            }
            continue;
        }
        let said: Value = serde_json::from_str(&said).unwrap();
        if let Some(answer) = answer {
            same_fields(&answer, &said).unwrap_or_else(|error| panic!("{script}\n{error}\n{said:#}"));
            assert_eq!(answer.get("error"), said.get("error"), "{script}\n{said:#}");
        } else {
            assert!(said.get("error").is_none(), "{script}\n{said:#}");
        }
        learn(&mut variables, &said);
    }
}

#[test]
fn every_route_and_every_code_is_on_the_page() {
    let page = page();
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let route = format!("`{} {path}`", method.to_uppercase());
            assert!(page.contains(&route), "{route}");
            for right in operation["x-kubernetes-rights"].as_array().into_iter().flatten() {
                let (verb, resource) = right.as_str().unwrap().split_once(' ').unwrap();
                let named = page.contains(&format!("`{verb} {resource}`")) || page.contains(&format!("verb `{verb}`"));
                assert!(named, "{route}: {right}");
            }
        }
    }
    for code in ErrorCode::ALL {
        let row = format!("| {} | {} |", code.name(), code.status().as_u16());
        assert!(page.contains(&row), "{row}");
    }
}
