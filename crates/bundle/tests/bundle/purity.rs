//! The crate brings no runtime, client, clock or random number generator into anything that uses it.

use std::path::PathBuf;
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

/// Words with which a source file would reach outside of its arguments.
const OUTSIDE: [&str; 9] = [
    "SystemTime",
    "Instant",
    "::now",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "aws_lc_rs::rand",
];

#[test]
fn no_source_file_reaches_for_a_clock_a_file_or_a_generator() {
    let mut directories = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source file");
            // Tests may read their fixtures.
            let code = text.split("#[cfg(test)]").next().unwrap_or(&text);
            for word in OUTSIDE {
                assert!(!code.contains(word), "{word} in {}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 20, "only {read} files were looked at");
}
