//! The crate brings no runtime, client, clock or random number generator into anything that uses it.

use std::process::Command;

#[test]
fn no_dependency_brings_a_runtime_a_clock_or_randomness() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", "certcourier-bundle"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("text");
    let names: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains(&"certcourier-bundle") && names.contains(&"der"), "{tree}");
    for forbidden in [
        "tokio",
        "kube",
        "k8s-openapi",
        "hyper",
        "reqwest",
        "futures",
        "rand",
        "rand_core",
        "getrandom",
        "jiff",
        "chrono",
        "uuid",
        "openssl",
        "ring",
        "p12-keystore",
        "zip",
    ] {
        assert!(!names.contains(&forbidden), "{forbidden} in:\n{tree}");
    }
}
