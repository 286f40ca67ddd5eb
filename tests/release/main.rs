//! What a release publishes, judged without building it: the archive of the image, the Dockerfile beside it, what Artifact
//! Hub reads in the chart, and krew's manifest.

#![cfg(test)]

mod artifact_hub;
mod dockerfile;
mod image;
mod krew;

use std::{fs, path::Path, process::Command};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Version, as all that is published must have it.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a command prints; that it fails is a failure of the test.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}
