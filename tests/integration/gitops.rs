//! What GitOps tools do with certcourier's objects: apply, compare, prune, judge, restore. docs/gitops.md is the page.

mod apply;
mod health;
mod judge;
mod kustomize;
mod restore;

use std::{fs, path::Path};

use test_cluster::{Output, Person};
use test_support::{shell::end, stage::Stage, world::World};
use tokio::process::Command;

/// A `DownloadRequest` as it lies in Git, for Certificate `api`.
fn request(name: &str, more: &str) -> String {
    format!(
        "{{apiVersion: certcourier.io/v1alpha1, kind: DownloadRequest, metadata: {{name: {name}, labels: {{app: api}}}},\n  \
         spec: {{certificateRef: {{name: api}}, format: cert{more}}}}}\n"
    )
}

/// The ServiceAccount of a tool, with these ClusterRoles in the world's namespace.
async fn tool(world: &World<'_>, name: &str, roles: &[&str]) -> Person {
    let person = world.stage.plane.service_account(&world.namespace, name, &[]).await.unwrap();
    let account = format!("--serviceaccount={}:{name}", world.namespace);
    for role in roles {
        let binding = ["-n", &world.namespace, "create", "rolebinding", &format!("{name}-{role}"), &account];
        let role = format!("--clusterrole={role}");
        world.stage.plane.admin_kubectl().check(binding.into_iter().chain([role.as_str()])).await.unwrap();
    }
    person
}

/// kubectl in the world's namespace, with something on its stdin; it must succeed.
async fn kubectl(world: &World<'_>, person: &Person, arguments: &[&str], input: &str) -> Output {
    let output = tries(world, person, arguments, input).await;
    assert!(output.succeeded(), "kubectl {arguments:?}: {}{}", output.stdout, output.stderr);
    output
}

/// The same, and it may fail.
async fn tries(world: &World<'_>, person: &Person, arguments: &[&str], input: &str) -> Output {
    let all = ["--namespace", world.namespace.as_str()].into_iter().chain(arguments.iter().copied());
    person.run_with(all, input).await.unwrap()
}

/// Roles that were bound a moment ago may not be known to the API server yet.
async fn may(world: &World<'_>, person: &Person, verb: &str, resource: &str) {
    world
        .until("the rights are there", || async {
            tries(world, person, &["auth", "can-i", verb, resource], "").await.succeeded()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_a_pipeline_gets_its_token_with_the_command_that_it_prints() {
    let world = World::new(Stage::shared().await, "ci-job").await;
    let ci = tool(&world, "ci", &["certcourier-downloader"]).await;
    may(&world, &ci, "create", "downloadrequests.certcourier.io").await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let example = fs::read_to_string(root.join("examples/06-ci-job.yaml")).unwrap();
    let line = example.lines().find_map(|line| line.strip_prefix("#   ")).unwrap();
    let (command, kubectl_create) = line.split_once(" | kubectl ").unwrap();
    let mut bash = Command::new("bash");
    bash.args(["-euc", command]).current_dir(root);
    let request = end(bash).await.ok().replace("namespace: payments", &format!("namespace: {}", world.namespace));
    let arguments: Vec<&str> = kubectl_create.split(' ').collect();
    kubectl(&world, &ci, &arguments, &request).await;
    kubectl(&world, &ci, &["wait", "dlr/api-der-zip", "--for=condition=TokenIssued", "--timeout=20s"], "").await;
}
