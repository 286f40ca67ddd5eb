//! Clients that people already have, as they are called: a link that works once is not spent on what they cannot keep.

use std::{fs, path::Path};

use serde_json::json;
use test_support::{
    shell::{Ended, end},
    stage::Stage,
    world::World,
};
use tokio::process::Command;

async fn run(folder: &Path, program: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("no_proxy", "*").env("HOME", folder);
    end(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_that_goes_on_with_a_partial_file_is_told_to_begin_anew_and_then_can() {
    let world = World::new(Stage::shared().await, "resume").await;
    let token = world.issue("carol", "resume", json!({"format": "cert"})).await;
    let folder = tempfile::tempdir().unwrap();
    let (url, ca) =
        (format!("{}/api/v1/downloads/{token}", world.stage.urls[0]), world.stage.ca().display().to_string());
    fs::write(folder.path().join("cert.pem"), [0; 100]).unwrap();
    let plain = ["-q", "--noproxy", "*", "-sS", "--max-time", "30", "--cacert", &ca, &url, "-o", "cert.pem"];
    for more in [&["-C", "-"][..], &["-f", "-C", "-"]] {
        let resumed = run(folder.path(), "curl", &[&plain, more].concat()).await;
        assert!(!matches!(resumed.code, None | Some(0)), "{more:?}: a partial file is no success: {}", resumed.said());
        assert!(world.status(&token).await.text().contains("\"usable\":true"), "{more:?}");
    }
    let anew = run(folder.path(), "curl", &[&plain[..], &["-f"]].concat()).await;
    anew.ok();
    assert_eq!(fs::read_to_string(folder.path().join("cert.pem")).unwrap(), world.leaf.leaf);
}

/// What every tutorial shows, and build tools do.
const FETCH: &str = r"
import java.io.InputStream;
import java.net.URL;
import java.nio.file.*;
class Fetch {
    public static void main(String[] args) throws Exception {
        try (InputStream file = new URL(args[0]).openStream()) { Files.copy(file, Path.of(args[1])); }
    }
}
";

#[tokio::test(flavor = "multi_thread")]
async fn java_that_opens_the_link_as_a_stream_gets_the_certificate() {
    let world = World::new(Stage::shared().await, "java").await;
    let token = world.issue("carol", "java", json!({"format": "cert"})).await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Fetch.java"), FETCH).unwrap();
    let ca = world.stage.ca().display().to_string();
    let store = ["-keystore", "trust.p12", "-storetype", "PKCS12", "-storepass", "changeit"];
    let quick = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC"];
    let import = [&["-importcert", "-noprompt", "-alias", "ca", "-file", &ca][..], &store, &quick].concat();
    let imported = run(folder.path(), "keytool", &import).await;
    imported.ok();
    let url = format!("{}/api/v1/downloads/{token}", world.stage.urls[0]);
    let trust = ["-Djavax.net.ssl.trustStore=trust.p12", "-Djavax.net.ssl.trustStorePassword=changeit"];
    let fetch = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "Fetch.java", &url, "cert.pem"];
    let fetched = run(folder.path(), "java", &[&trust[..], &fetch].concat()).await;
    fetched.ok();
    assert_eq!(fs::read_to_string(folder.path().join("cert.pem")).unwrap(), world.leaf.leaf);
}
