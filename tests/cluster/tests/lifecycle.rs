//! Starting, stopping and disturbing control planes.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};
use test_cluster::{
    ControlPlane, Error, Options, Program, Signal, processes_of,
    waiting::{until, wanted},
};

fn config_map(name: &str) -> ConfigMap {
    ConfigMap { metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }, ..ConfigMap::default() }
}

#[tokio::test]
async fn two_side_by_side_keep_apart_and_one_goes_without_a_trace() {
    let (one, other) = tokio::join!(ControlPlane::start(Options::default()), ControlPlane::start(Options::default()));
    let (one, other) = (one.unwrap(), other.unwrap());
    let maps = |plane: &ControlPlane| Api::<ConfigMap>::namespaced(plane.admin(), "default");
    maps(&one).create(&PostParams::default(), &config_map("mine")).await.unwrap();
    assert!(maps(&other).get_opt("mine").await.unwrap().is_none());
    let alice = one.person("alice", &[]).await.unwrap();
    let namesake = other.person("alice", &[]).await.unwrap();
    assert_ne!(alice.token, namesake.token);

    let directory = one.directory().to_owned();
    assert_eq!(one.process_ids().len(), 3);
    assert!(!processes_of(&directory).is_empty());
    let ids: Vec<u32> = one.process_ids().into_iter().map(|(_, id)| id).collect();
    drop(one);
    for id in ids {
        assert!(!PathBuf::from(format!("/proc/{id}")).exists(), "process {id} is still there");
    }
    assert!(!directory.exists());
    until("no process speaks of the directory", async || wanted(processes_of(&directory), Vec::is_empty)).await;
    maps(&other).create(&PostParams::default(), &config_map("still-here")).await.unwrap();
}

#[tokio::test]
async fn the_api_server_comes_back_on_the_same_port_with_all_objects() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let maps = Api::<ConfigMap>::namespaced(plane.admin(), "default");
    maps.create(&PostParams::default(), &config_map("kept")).await.unwrap();

    plane.signal(Program::Apiserver, Signal::Stop).unwrap();
    let frozen = tokio::time::timeout(Duration::from_millis(500), maps.get("kept")).await;
    assert!(frozen.is_err(), "a frozen API server answered: {frozen:?}");
    plane.signal(Program::Apiserver, Signal::Continue).unwrap();
    maps.get("kept").await.unwrap();

    plane.kill_apiserver().await.unwrap();
    let gone = maps.get("kept").await;
    assert!(matches!(gone, Err(kube::Error::HyperError(_) | kube::Error::Service(_))), "{gone:?}");
    let url = plane.url().to_owned();
    plane.start_apiserver().await.unwrap();
    assert_eq!(plane.url(), url);
    maps.get("kept").await.unwrap();

    plane.restart_apiserver().await.unwrap();
    maps.get("kept").await.unwrap();
    plane.person("alice", &[]).await.unwrap().run(["auth", "whoami"]).await.unwrap();

    let before = plane.process_ids();
    plane.restart_controller_manager().await.unwrap();
    assert_ne!(plane.process_ids(), before);
    let namespace = plane.namespace("after").await.unwrap();
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(plane.admin(), &namespace);
    until("the controllers work again", async || accounts.get_opt("default").await.unwrap().is_some()).await;
}

#[tokio::test]
async fn a_program_that_dies_at_start_is_named_with_its_reason_and_its_log() {
    let error = ControlPlane::start(Options::default().apiserver_argument("--no-such-flag")).await.unwrap_err();
    let Error::Died { program: Program::Apiserver, log, .. } = &error else { panic!("{error:?}") };
    let message = error.to_string();
    assert!(message.contains("unknown flag: --no-such-flag"), "{message}");
    assert!(message.contains(&log.display().to_string()), "{message}");
    assert!(std::fs::read_to_string(log).unwrap().contains("unknown flag"), "the log is gone");
    std::fs::remove_dir_all(log.parent().unwrap()).unwrap();
}
