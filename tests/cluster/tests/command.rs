//! The binary `test-cluster`, as a shell or a Makefile uses it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use test_cluster::{
    Program, Version,
    binaries::Binaries,
    processes_of,
    waiting::{until, wanted},
};

fn test_cluster() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-cluster"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn real_binaries() -> Binaries {
    Binaries::obtain(Version::from_environment().unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn script(path: &Path, content: &str) {
    fs::write(path, format!("#!/bin/sh\n{content}")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// `test-cluster up`, once it has said that it is ready; with its directory.
fn up() -> (Child, PathBuf) {
    let mut child = test_cluster().arg("up").stderr(Stdio::inherit()).spawn().unwrap();
    let marker = "KUBECONFIG=";
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains(marker)).expect("no kubeconfig was printed");
    let kubeconfig = PathBuf::from(line.split_once(marker).unwrap().1);
    assert!(lines.any(|line| line.contains("to stop")));
    (child, kubeconfig.parent().unwrap().to_owned())
}

async fn nothing_is_left(directory: &Path) {
    until("all processes are gone", async || wanted(processes_of(directory), Vec::is_empty)).await;
    until("the directory is gone", async || !directory.exists()).await;
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_and_no_directory() {
    let (mut child, directory) = up();
    assert!(processes_of(&directory).len() >= 3);
    child.kill().unwrap();
    child.wait().unwrap();
    nothing_is_left(&directory).await;
}

#[tokio::test]
async fn ctrl_c_stops_everything_and_is_no_error() {
    let (mut child, directory) = up();
    assert!(directory.join("people/carol.kubeconfig").exists());
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    nothing_is_left(&directory).await;
}

/// Also: a port that was taken a moment ago is not the end.
#[tokio::test]
async fn run_sets_the_scene_and_exits_as_the_command_did() {
    let assets = tempfile::tempdir().unwrap();
    let real = real_binaries();
    for program in [Program::Apiserver, Program::ControllerManager, Program::Kubectl] {
        symlink(real.path(program), assets.path().join(program.name())).unwrap();
    }
    // The first etcd finds its port taken.
    let taken = format!(
        "if mkdir {0}/was-here 2>/dev/null; then echo 'listen tcp 127.0.0.1:1: bind: address already in use' >&2; exit 1; fi\n\
         exec {1} \"$@\"",
        assets.path().display(),
        real.path(Program::Etcd).display()
    );
    script(&assets.path().join("etcd"), &taken);
    let command = "$KUBECTL get namespace default -o name && grep -c . \"$CERTCOURIER_TEST_CLUSTER\" && \
                   echo \"$KUBECONFIG\" && exit 7";
    let output = test_cluster()
        .args(["run", "--", "sh", "-c", command])
        .env("KUBEBUILDER_ASSETS", assets.path())
        .env("TMPDIR", assets.path())
        .output()
        .unwrap();
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(7), "{stdout} {}", text(&output.stderr));
    assert!(stdout.starts_with("namespace/default\n"), "{stdout}");
    assert!(assets.path().join("was-here").exists());
    let kubeconfig = PathBuf::from(stdout.lines().last().unwrap());
    assert!(kubeconfig.starts_with(assets.path()));
    nothing_is_left(kubeconfig.parent().unwrap()).await;
    let mut names: Vec<_> = fs::read_dir(assets.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "was-here"]);
}

#[tokio::test]
async fn sigterm_ends_the_command_too() {
    let mut child = test_cluster()
        .args(["run", "--", "sh", "-c", "echo \"$KUBECONFIG\"; exec sleep 1000"])
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    signal(&child, "TERM");
    // 128 and the number of SIGTERM, by which the command ended.
    assert_eq!(child.wait().unwrap().code(), Some(143));
    nothing_is_left(Path::new(line.trim()).parent().unwrap()).await;
}

#[test]
fn a_folder_that_lacks_a_program_is_named_with_what_to_do() {
    let assets = tempfile::tempdir().unwrap();
    for name in ["etcd", "kube-apiserver", "kubectl"] {
        script(&assets.path().join(name), "");
    }
    let output = test_cluster().arg("up").env("KUBEBUILDER_ASSETS", assets.path()).output().unwrap();
    let expected = format!(
        "test-cluster: KUBEBUILDER_ASSETS is {} but that folder has no executable kube-controller-manager: add \
         kube-controller-manager of the same Kubernetes version, or unset KUBEBUILDER_ASSETS to have everything built\n",
        assets.path().display()
    );
    assert_eq!(text(&output.stderr), expected);
    assert_eq!(output.status.code(), Some(1));
}

/// `test-cluster build` with an empty cache and only these programs on the PATH.
fn build(cache: &Path, path: &Path, arguments: &[&str]) -> Output {
    test_cluster()
        .arg("build")
        .args(arguments)
        .env_remove("KUBEBUILDER_ASSETS")
        .env("XDG_CACHE_HOME", cache)
        .env("PATH", path)
        .env("K8S", "")
        .output()
        .unwrap()
}

#[test]
fn without_go_it_says_what_to_install() {
    let cache = tempfile::tempdir().unwrap();
    let output = build(cache.path(), cache.path(), &[]);
    let stderr = text(&output.stderr);
    assert!(stderr.contains("Kubernetes 1.36.3 must be built once and `go` is not on the PATH"), "{stderr}");
    assert!(stderr.contains("https://go.dev/dl"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_failed_build_names_the_step_the_reason_and_the_log() {
    let cache = tempfile::tempdir().unwrap();
    script(&cache.path().join("go"), "[ \"$1\" = version ] && exit\necho 'error: disk full'\nexit 1\n");
    let output = build(cache.path(), cache.path(), &["--k8s", "1.36"]);
    let stderr = text(&output.stderr);
    let log = cache.path().join("certcourier/control-plane/1.36.3/build.log");
    let expected = format!(
        "test-cluster: build kube-apiserver 1.36.3 (1 of 4) failed: error: disk full; the whole output is in {}; ",
        log.display()
    );
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(log.exists());
    assert!(!cache.path().join("certcourier/control-plane/1.36.3/kube-apiserver").exists());
}

#[test]
fn each_program_is_built_once_and_another_version_from_a_generated_module() {
    let cache = tempfile::tempdir().unwrap();
    let modules = cache.path().join("modules");
    let kubernetes = modules.join("k8s.io/kubernetes@v1.33.13");
    fs::create_dir_all(&kubernetes).unwrap();
    fs::write(kubernetes.join("go.mod"), "go 1.24.0\nreplace (\n\tk8s.io/api => ./staging/src/k8s.io/api\n)\n")
        .unwrap();
    fs::write(kubernetes.join("go.sum"), "sums\n").unwrap();
    // A Go that notes how it was called and writes what it was asked to build.
    let go = format!(
        "echo \"$*\" >>{0}/calls\n[ \"$1\" = env ] && echo {1}\n[ \"$1\" = build ] || exit 0\n\
         while [ \"$1\" != -o ]; do shift; done\necho built >\"$2\"; /bin/chmod 755 \"$2\"\n",
        cache.path().display(),
        modules.display()
    );
    script(&cache.path().join("go"), &go);
    for _ in 0..2 {
        let output = build(cache.path(), cache.path(), &["--k8s", "1.33"]);
        let directory = cache.path().join("certcourier/control-plane/1.33.13");
        assert_eq!(text(&output.stdout).trim(), directory.to_string_lossy(), "{}", text(&output.stderr));
        for program in Program::ALL {
            assert_eq!(fs::read_to_string(directory.join(program.name())).unwrap(), "built\n");
        }
        let module = fs::read_to_string(directory.join("module/go.mod")).unwrap();
        assert!(module.contains("k8s.io/api => k8s.io/api v0.33.13"), "{module}");
    }
    let mut calls = String::new();
    fs::File::open(cache.path().join("calls")).unwrap().read_to_string(&mut calls).unwrap();
    let built: Vec<&str> = calls.lines().filter(|call| call.starts_with("build ")).collect();
    assert_eq!(built.len(), 4, "{calls}");
    assert!(built[0].contains("gitVersion=v1.33.13") && built[0].ends_with("cmd/kube-apiserver"), "{calls}");
    assert!(calls.contains("mod download k8s.io/kubernetes@v1.33.13") && calls.contains("mod tidy"), "{calls}");
}

#[test]
fn a_version_that_is_none_is_answered_with_what_to_write() {
    let output = test_cluster().arg("build").env("K8S", "latest").output().unwrap();
    let expected = "test-cluster: `latest` is no Kubernetes version: write K8S=1.36 or, with its patch, K8S=1.36.3\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn help_teaches_the_first_steps() {
    let help = text(&test_cluster().arg("--help").output().unwrap().stdout);
    for word in ["test-cluster up", "test-cluster run --", "KUBEBUILDER_ASSETS", "stays until Ctrl-C"] {
        assert!(help.contains(word), "{word} is missing in: {help}");
    }
}
