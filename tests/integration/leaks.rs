//! Nothing that is secret in any test of this binary is found anywhere afterwards: the last test, run by
//! `make integration` on the control plane that all others have used.

pub mod search;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use base64ct::{Base64, Encoding as _};
use certcourier::api::names;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, ListParams},
    discovery::{ApiGroup, Discovery, verbs},
};
use test_support::{
    canaries::{self, Note},
    pki::Pki,
    stage::SYSTEM,
};

use self::search::{Searcher, Secret};
/// Every file below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn remembered(folder: &Path) -> (BTreeSet<Secret>, BTreeSet<String>) {
    let (mut secrets, mut namespaces) = (BTreeSet::new(), BTreeSet::from([SYSTEM.to_owned()]));
    for line in fs::read_to_string(folder.join("notes.jsonl")).unwrap().lines() {
        match serde_json::from_str(line).unwrap() {
            Note::Secret { what, base64 } => {
                secrets.insert(Secret { what, bytes: Base64::decode_vec(&base64).unwrap() });
            }
            Note::Namespace(name) => {
                namespaces.insert(name);
            }
        }
    }
    (secrets, namespaces)
}

/// An object, as JSON.
struct Seen {
    kind: String,
    name: String,
    json: Vec<u8>,
}

/// Every object of every kind in these namespaces, and of none, but the Secrets that hold a token.
async fn objects(client: &Client, namespaces: &BTreeSet<String>) -> Vec<Seen> {
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let mut found = Vec::new();
    for (resource, capabilities) in discovery.groups().flat_map(ApiGroup::recommended_resources) {
        if !capabilities.supports_operation(verbs::LIST) {
            continue;
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in api.list(&ListParams::default()).await.unwrap() {
            let holds_a_token = resource.kind == "Secret" && object.labels().contains_key(names::TOKEN);
            if object.namespace().is_none_or(|namespace| namespaces.contains(&namespace)) && !holds_a_token {
                found.push(Seen {
                    kind: resource.kind.clone(),
                    name: format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any()),
                    json: serde_json::to_vec(&object).unwrap(),
                });
            }
        }
    }
    found
}

/// What the programs and the API server have written.
#[derive(Default)]
struct Written {
    logs: Vec<(PathBuf, Vec<u8>)>,
    metrics: Vec<(PathBuf, Vec<u8>)>,
    audit: Vec<(PathBuf, Vec<u8>)>,
}

impl Written {
    fn below(folder: &Path, audit: PathBuf) -> Self {
        let mut all = Vec::new();
        files(folder, &mut all);
        let of = |extension: &str| -> Vec<(PathBuf, Vec<u8>)> {
            let wanted = all.iter().filter(|path| path.extension().is_some_and(|known| known == extension));
            wanted.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
        };
        Self { logs: of("log"), metrics: of("metrics"), audit: vec![(audit.clone(), fs::read(audit).unwrap())] }
    }

    fn logged(&self, words: &str) -> bool {
        self.logs.iter().any(|(_, text)| String::from_utf8_lossy(text).contains(words))
    }
}

#[ignore = "looks at what all other tests have left behind: `make integration` runs it after them"]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_secret_is_found_anywhere() {
    let folder = canaries::folder().expect("run `make integration`");
    let (secrets, namespaces) = remembered(&folder);
    let kinds_of_secrets = ["a download token", "a passphrase", "a private key", "a bearer token"];
    let counts = kinds_of_secrets.map(|what| (what, secrets.iter().filter(|secret| secret.what == what).count()));
    assert!(counts.iter().all(|(_, count)| *count > 0), "the tests have planted too little: {counts:?}");
    let everything = Searcher::new(&secrets);
    // Keys and passphrases are where the tests put them: in Secrets.
    let tokens = Searcher::new(secrets.iter().filter(|secret| secret.what.ends_with("token")));

    let plane = test_cluster::ControlPlane::attach().await.unwrap();
    let written = Written::below(&folder, plane.directory().join("logs/audit.jsonl"));
    let (mut leaks, mut bytes) = (Vec::new(), 0);
    for (path, text) in written.logs.iter().chain(&written.metrics).chain(&written.audit) {
        bytes += text.len();
        leaks.extend(everything.find(text).into_iter().map(|leak| format!("{}: {leak}", path.display())));
    }
    let objects = objects(&plane.admin(), &namespaces).await;
    for Seen { kind, name, json } in &objects {
        bytes += json.len();
        let searcher = if kind == "Secret" { &tokens } else { &everything };
        leaks.extend(searcher.find(json).into_iter().map(|leak| format!("{kind} {name}: {leak}")));
    }
    let kinds: BTreeSet<&str> = objects.iter().map(|seen| seen.kind.as_str()).collect();
    println!(
        "{counts:?} looked for in {} logs, {} metrics, {} objects of {} kinds in {} namespaces: {bytes} bytes",
        written.logs.len(),
        written.metrics.len(),
        objects.len(),
        kinds.len(),
        namespaces.len()
    );
    // There was something to look at, and the search finds what is there.
    for kind in ["Event", "DownloadRequest", "DownloadReceipt", "Certificate", "ConfigMap", "Lease", "Secret"] {
        assert!(kinds.contains(kind), "no {kind} was looked at: {kinds:?}");
    }
    assert!(written.logs.len() >= 3 && written.metrics.len() >= 3);
    assert!(written.logged("TRACE") && written.logged("\"specversion\":\"1.0\""), "no trace, or no audit lines");
    for secret in &secrets {
        let planted = [written.metrics[0].1.as_slice(), &secret.bytes].concat();
        assert_eq!(everything.find(&planted).len(), 1, "{}", secret.what);
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

#[test]
fn what_is_looked_for_of_a_key_is_in_no_certificate_and_of_a_token_not_its_address() {
    let leaf = Pki::new().leaf("api.example.com");
    let (der, text) = canaries::key_parts(&leaf.key);
    let secret = |bytes: &[u8]| Secret { what: "key".to_owned(), bytes: bytes.to_vec() };
    let searcher = Searcher::new(&[secret(&der), secret(text.as_bytes())]);
    assert_eq!(searcher.find(leaf.chain().as_bytes()), Vec::<String>::new());
    assert!(!searcher.find(leaf.key.as_bytes()).is_empty(), "as PEM");
    assert!(!searcher.find(Base64::encode_string(leaf.key.as_bytes()).as_bytes()).is_empty(), "as Secrets store it");
    assert_eq!(canaries::random_part("ccd_cGF5bWVudHM.cmFuZG9t"), "cmFuZG9t");
}
