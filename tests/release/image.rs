//! The archive of the image, made of a small file in place of the program: `make image-check` judges the real one.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{printed, root};

const TIME: &str = "1700000000";

/// The files of an image, with contents that no test depends on.
fn files(folder: &Path) {
    for (path, content) in
        [("certcourier", "a program"), ("etc/ssl/certs/ca-certificates.crt", "CAs"), ("licenses/LICENSE", "text")]
    {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn script(folder: &Path, architectures: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(root().join("release/image.py")).arg("archive").arg(folder.join("out.tar"));
    command.args([
        "--name",
        "registry.example.com/certcourier",
        "--version",
        "1.2.3",
        "--revision",
        "abc",
        "--time",
        TIME,
    ]);
    for architecture in architectures {
        command.arg("--root").arg(format!("{architecture}={}", folder.join("root").display()));
    }
    command
}

/// The image as the archive holds it, by the names of its parts.
pub struct Image {
    files: BTreeMap<String, Vec<u8>>,
    pub digest: String,
}

/// Entries of a tar file in the form that the archive has: plain files and folders, names of at most 100 bytes.
fn entries(tar: &[u8]) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let text = |field: &[u8]| String::from_utf8(field.iter().copied().take_while(|&byte| byte != 0).collect()).unwrap();
    let mut found = Vec::new();
    let mut at = 0;
    while tar[at] != 0 {
        let header = &tar[at..at + 512];
        let size = usize::from_str_radix(text(&header[124..136]).trim(), 8).unwrap();
        found.push((text(&header[..100]), header.to_vec(), tar[at + 512..at + 512 + size].to_vec()));
        at += 512 + size.div_ceil(512) * 512;
    }
    found
}

impl Image {
    pub fn made(architectures: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        files(&folder.path().join("root"));
        let digest = printed(&mut script(folder.path(), architectures)).trim().to_owned();
        let archive = fs::read(folder.path().join("out.tar")).unwrap();
        let files = entries(&archive).into_iter().map(|(name, _, content)| (name, content)).collect();
        Self { files, digest }
    }

    fn blob(&self, descriptor: &Value) -> &[u8] {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        let blob = &self.files[&format!("blobs/sha256/{digest}")];
        assert_eq!(hex(blob), digest);
        assert_eq!(descriptor["size"], blob.len());
        blob
    }

    fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(self.blob(descriptor)).unwrap()
    }

    /// What the archive's index names: one image, or an index of images.
    fn top(&self) -> Value {
        let index: Value = serde_json::from_slice(&self.files["index.json"]).unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        index["manifests"][0].clone()
    }

    pub fn config(&self) -> Value {
        self.json(&self.json(&self.top())["config"])
    }

    fn layer(&self) -> Vec<u8> {
        let mut layer = Vec::new();
        GzDecoder::new(self.blob(&self.json(&self.top())["layers"][0])).read_to_end(&mut layer).unwrap();
        layer
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Another folder, another person's umask, another time zone and language, files of another day and with other rights.
#[test]
fn the_same_files_give_the_same_archive_wherever_and_whenever_it_is_made() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    files(&here.path().join("root"));
    let other = there.path().join("quite/another place");
    files(&other.join("root"));
    for path in ["certcourier", "licenses/LICENSE"] {
        let path = other.join("root").join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_hours(24 * 400)).unwrap();
    }
    let first = printed(&mut script(here.path(), &["amd64", "arm64"]));
    let mut second = script(&other, &["arm64", "amd64"]);
    second.current_dir("/").env("TZ", "Pacific/Apia").env("LC_ALL", "C").env("PYTHONHASHSEED", "7");
    assert_eq!(first, printed(&mut second));
    assert_eq!(fs::read(here.path().join("out.tar")).unwrap(), fs::read(other.join("out.tar")).unwrap());
}

#[test]
fn another_registry_does_not_change_the_digest_and_another_program_does() {
    let folder = tempfile::tempdir().unwrap();
    files(&folder.path().join("root"));
    let first = printed(&mut script(folder.path(), &["amd64"]));
    let renamed = printed(script(folder.path(), &["amd64"]).args(["--name", "elsewhere.example.com/x"]));
    assert_eq!(first, renamed);
    fs::write(folder.path().join("root/certcourier"), "another program").unwrap();
    assert_ne!(first, printed(&mut script(folder.path(), &["amd64"])));
}

#[test]
fn every_digest_and_size_in_the_archive_is_that_of_what_it_names() {
    let image = Image::made(&["amd64"]);
    assert_eq!(image.top()["digest"], image.digest);
    let config = image.config();
    assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([format!("sha256:{}", hex(&image.layer()))]));
    assert_eq!((&config["os"], &config["architecture"]), (&Value::from("linux"), &Value::from("amd64")));
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    assert_eq!(image.files["oci-layout"], br#"{"imageLayoutVersion":"1.0.0"}"#);
    let names = &image.top()["annotations"];
    assert_eq!(names["io.containerd.image.name"], "registry.example.com/certcourier:1.2.3");
    assert_eq!(names["org.opencontainers.image.ref.name"], "1.2.3");
}

#[test]
fn an_archive_of_two_architectures_is_an_index_of_both() {
    let image = Image::made(&["amd64", "arm64"]);
    let index = image.json(&image.top());
    let of = |at: usize| index["manifests"][at]["platform"]["architecture"].as_str().unwrap();
    assert_eq!((of(0), of(1), index["manifests"].as_array().unwrap().len()), ("amd64", "arm64", 2));
    for manifest in index["manifests"].as_array().unwrap() {
        let config = image.json(&image.json(manifest)["config"]);
        assert_eq!(config["architecture"], manifest["platform"]["architecture"]);
    }
}

#[test]
fn the_layer_holds_files_of_root_that_no_one_else_can_write() {
    let image = Image::made(&["amd64"]);
    let layer = entries(&image.layer());
    let names: Vec<&str> = layer.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = [
        "certcourier",
        "etc/",
        "etc/ssl/",
        "etc/ssl/certs/",
        "etc/ssl/certs/ca-certificates.crt",
        "licenses/",
        "licenses/LICENSE",
    ];
    assert_eq!(names, expected);
    for (name, header, _) in &layer {
        let mode = if name.ends_with('/') || name == "certcourier" { "0000755" } else { "0000644" };
        assert_eq!(&header[100..107], mode.as_bytes(), "{name}");
        assert_eq!((&header[108..115], &header[116..123]), (&b"0000000"[..], &b"0000000"[..]), "{name}");
        assert_eq!(&header[136..147], format!("{:011o}", 1_700_000_000).as_bytes(), "{name}");
    }
}

#[test]
fn the_image_runs_as_a_number_that_is_not_root_and_says_what_it_is() {
    let config = Image::made(&["amd64"]).config();
    assert_eq!(config["config"]["User"], "65532:65532");
    let label = |name: &str| {
        config["config"]["Labels"][format!("org.opencontainers.image.{name}")].as_str().unwrap().to_owned()
    };
    assert_eq!(label("title"), "certcourier");
    assert_eq!(label("licenses"), env!("CARGO_PKG_LICENSE"));
    assert_eq!(label("description"), env!("CARGO_PKG_DESCRIPTION"));
    assert_eq!((label("version"), label("revision")), ("1.2.3".to_owned(), "abc".to_owned()));
    assert_eq!(label("created"), "2023-11-14T22:13:20Z");
    assert!(label("source").starts_with("https://") && label("url").starts_with("https://"));
}
