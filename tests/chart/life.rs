//! An installation from its beginning to its end by real helm: install, download, upgrade, another identity, rollback,
//! uninstall, and once more. After each step a key leaves, which it does only while the guard is content.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};
use test_cluster::{ControlPlane, Kubectl, free_ports};
use test_support::{namespace::Namespace, pki::Pki};

use super::{
    helm::{Helm, chart, run},
    operator::Operator,
    world::plane,
};

const HOME: &str = "certcourier-system";
const WATCHED: &str = "payments";

/// The installation under test.
struct Installed<'a> {
    plane: &'a ControlPlane,
    helm: Helm,
    kubectl: Kubectl,
    /// Where the servers listen.
    ports: [u16; 2],
    directory: tempfile::TempDir,
}

impl<'a> Installed<'a> {
    fn new(plane: &'a ControlPlane) -> Self {
        let helm = Helm::of(&plane.admin_kubeconfig());
        let (kubectl, directory) = (plane.admin_kubectl(), tempfile::tempdir().unwrap());
        Self { plane, helm, kubectl, ports: free_ports().unwrap(), directory }
    }

    /// `helm install` or `helm upgrade` with the values of every step, and some of its own.
    async fn helm(&self, action: &str, values: &[&str]) {
        let chart = chart().display().to_string();
        let url = format!("externalURL=https://127.0.0.1:{}", self.ports[0]);
        let quick = "controller.extraArgs={--guard-interval=1s,--guard-settle=2s,--lease-duration=2s}";
        let often = "server.extraArgs={--tls-reload-interval=1s}";
        let mut arguments = vec![action, "certcourier", &chart, "--namespace", HOME, "--create-namespace"];
        for value in [&["image.repository=none", "watchNamespaces={payments}", &url, quick, often][..], values].concat()
        {
            arguments.extend(["--set", value]);
        }
        self.helm.run(&arguments).await;
    }

    async fn start(&self) -> Operator {
        Operator::start(self.plane, HOME, self.ports, self.directory.path()).await
    }

    /// The object as JSON; nothing if it is not there.
    async fn get(&self, namespace: &str, what: &str) -> Option<Value> {
        let output =
            self.kubectl.run(["-n", namespace, "get", what, "-o", "json", "--ignore-not-found"]).await.unwrap();
        serde_json::from_str(&output.stdout).ok()
    }

    async fn uid(&self, namespace: &str, what: &str) -> String {
        let object = self.get(namespace, what).await.unwrap_or_else(|| panic!("{what} is gone"));
        object["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// The epoch, once the guard says Intact of a look that began after this call.
    async fn intact(&self, operator: &Operator, other_than: Option<&str>) -> String {
        let asked = jiff::Timestamp::now().as_second();
        operator
            .until("the guard is Intact", async || {
                let data = self.get(HOME, "configmap/certcourier-guard").await?["data"].clone();
                let epoch = data["epoch"].as_str()?.to_owned();
                let second = |key: &str| Some(data[key].as_str()?.parse::<jiff::Timestamp>().ok()?.as_second());
                // What is created now must be younger, and a creationTimestamp is in whole seconds, rounded down.
                let over = jiff::Timestamp::now().as_second() > second("since")?;
                let fresh = second("probedAt")? > asked + 1;
                let new = other_than != Some(epoch.as_str());
                (data["state"] == "Intact" && over && fresh && new).then_some(epoch)
            })
            .await
    }

    /// Asks for a file as carol, and fetches it with the command that stands in her token Secret.
    async fn download(&self, operator: &Operator, name: &str, format: &str) {
        let carol = self.plane.person("carol", &[]).await.unwrap();
        let request = json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
            "metadata": {"name": name, "namespace": WATCHED},
            "spec": {"certificateRef": {"name": "api"}, "format": format},
        });
        // RBAC and kinds that have just come take a moment to count.
        operator
            .until("the request can be made", async || {
                let output = carol.run_with(["create", "-f", "-"], &request.to_string()).await.unwrap();
                if output.succeeded() { Ok(()) } else { Err(output.stderr) }
            })
            .await;
        let secret = operator
            .until("the token is there", async || {
                let name = format!("secret/{name}-download-token");
                let output = carol.run(["-n", WATCHED, "get", &name, "-o", "json"]).await.unwrap();
                serde_json::from_str::<Value>(&output.stdout).ok()
            })
            .await;
        let folder = tempfile::tempdir().unwrap();
        for key in ["ca.crt", "curl"] {
            fs::write(folder.path().join(key), decoded(&secret["data"][key])).unwrap();
        }
        operator
            .until("the token lives", async || {
                let request = self.get(WATCHED, &format!("dlr/{name}")).await?;
                (request["status"]["phase"] == "TokenIssued").then_some(())
            })
            .await;
        let fetched = fetch(folder.path()).await;
        let begins = if format == "key" { "-----BEGIN PRIVATE KEY-----" } else { "-----BEGIN CERTIFICATE-----" };
        assert!(fetched.starts_with(begins), "{fetched}{}", operator.tail());
        operator
            .until("it is on record", async || {
                let request = self.get(WATCHED, &format!("dlr/{name}")).await?;
                (request["status"]["phase"] == "Consumed").then_some(())
            })
            .await;
    }

    /// What lies in the watched namespace before the first download.
    async fn furnish(&self) {
        let (watched, leaf) =
            (Namespace::new(WATCHED.to_owned(), self.plane.admin(), String::new), Pki::new().leaf("api.example.com"));
        let parts = [("tls.crt", leaf.chain()), ("tls.key", leaf.key)];
        let parts = parts.each_ref().map(|(key, text)| (*key, text.as_str()));
        watched.raw_secret("api-tls", "kubernetes.io/tls", &parts).await;
        watched.certificate("api", &[("production", "api-tls")]).await;
        watched.policy("keys", json!({"allowKeyExport": "Always"})).await;
        let role = "--clusterrole=certcourier-operator";
        self.kubectl.check(["-n", WATCHED, "create", "rolebinding", "operators", role, "--user=carol"]).await.unwrap();
    }
}

fn decoded(value: &Value) -> Vec<u8> {
    use base64ct::Encoding as _;
    base64ct::Base64::decode_vec(value.as_str().unwrap_or_default()).unwrap()
}

/// Runs the command of the token Secret beside its ca.crt.
async fn fetch(folder: &Path) -> String {
    let command = fs::read_to_string(folder.join("curl")).unwrap();
    let script = format!("cd '{}' && {command} --max-time 10 --noproxy '*' && cat *.pem", folder.display());
    run(Path::new("/bin/sh"), &["-c", &script], &[]).await.said()
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_live_through_upgrade_rollback_and_uninstall_and_the_guard_stays_intact() {
    let installed = Installed::new(plane().await);
    installed.helm("install", &["placement=separate", "tls.lifetime=12s"]).await;
    let operator = installed.start().await;
    let first = installed.intact(&operator, None).await;
    installed.furnish().await;
    installed.download(&operator, "first", "fullchain").await;
    the_serving_certificate_is_renewed_under_the_same_ca(&installed, &operator).await;
    let uids = uids(&installed).await;
    let ca = installed.get(HOME, "configmap/certcourier-serving-ca").await.unwrap()["data"]["ca.crt"].clone();

    // Nothing that the policies say changes: the same epoch, and the same programs go on.
    installed.helm("upgrade", &["placement=separate", "replicas=3", "clusterName=prod"]).await;
    assert_eq!(installed.intact(&operator, None).await, first);
    assert_eq!(installed.get(HOME, "deployment/certcourier-server").await.unwrap()["spec"]["replicas"], 3);
    installed.download(&operator, "second", "key").await;

    // Another identity: the policies change, and with them the epoch.
    drop(operator);
    installed.helm("upgrade", &["placement=sidecar"]).await;
    let operator = installed.start().await;
    let second = installed.intact(&operator, Some(&first)).await;
    installed.download(&operator, "third", "key").await;

    drop(operator);
    installed.helm.run(&["rollback", "certcourier", "2", "--namespace", HOME]).await;
    let operator = installed.start().await;
    let third = installed.intact(&operator, Some(&second)).await;
    assert_ne!(third, first, "an epoch does not come back");
    installed.download(&operator, "fourth", "key").await;
    assert_eq!(self::uids(&installed).await, uids);
    let served = installed.get(HOME, "configmap/certcourier-serving-ca").await.unwrap()["data"]["ca.crt"].clone();
    assert_eq!(served, ca, "helm left alone what the servers keep");

    drop(operator);
    what_uninstall_leaves(&installed, &uids).await;
    installed.helm("install", &[]).await;
    let operator = installed.start().await;
    installed.intact(&operator, Some(&third)).await;
    installed.download(&operator, "fifth", "key").await;
}

/// Objects of users and kinds, which no step may replace.
async fn uids(installed: &Installed<'_>) -> Vec<String> {
    vec![
        installed.uid(WATCHED, "certificates.certcourier.io/api").await,
        installed.uid(WATCHED, "dlr/first").await,
        installed.uid("default", "crd/downloadreceipts.certcourier.io").await,
        installed.uid(WATCHED, &receipt_of(installed, "first").await).await,
    ]
}

async fn receipt_of(installed: &Installed<'_>, request: &str) -> String {
    let request = installed.get(WATCHED, &format!("dlr/{request}")).await.unwrap();
    format!("dlrc/{}", request["status"]["receiptRef"]["name"].as_str().unwrap())
}

/// Both servers found the Secret empty at the same moment, and serve one certificate.
async fn the_serving_certificate_is_renewed_under_the_same_ca(installed: &Installed<'_>, operator: &Operator) {
    let published = async || {
        let map = installed.get(HOME, "configmap/certcourier-serving-ca").await.unwrap();
        map["data"]["ca.crt"].as_str().unwrap().to_owned()
    };
    let ca = published().await;
    let root = reqwest::Certificate::from_pem(ca.as_bytes()).unwrap();
    // Each look is a connection of its own, which knows the CA alone.
    let served = async |port: u16| {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([root.clone()]).tls_info(true);
        let client = client.timeout(Duration::from_secs(5)).build().unwrap();
        let answer = client.get(format!("https://127.0.0.1:{port}/openapi.json")).send().await.unwrap();
        answer.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap().to_vec()
    };
    let [one, other] = installed.ports;
    let before = served(one).await;
    let renewed = async || {
        let (one, other) = (served(one).await, served(other).await);
        (one != before && one == other).then_some(())
    };
    operator.until("both serve one new certificate", renewed).await;
    assert_eq!(published().await, ca);
}

async fn what_uninstall_leaves(installed: &Installed<'_>, uids: &[String]) {
    let said = installed.helm.run(&["uninstall", "certcourier", "--namespace", HOME]).await;
    assert!(said.contains("downloadreceipts.certcourier.io"), "it names what it keeps: {said}");
    assert_eq!(self::uids(installed).await, uids, "kinds, requests and receipts stay");
    for gone in [
        "deployment/certcourier-server",
        "secret/certcourier-serving",
        "configmap/certcourier-serving-ca",
        "serviceaccount/certcourier-server",
    ] {
        assert_eq!(installed.get(HOME, gone).await, None, "{gone}");
    }
    for kind in ["validatingadmissionpolicies", "clusterroles", "flowschemas"] {
        let selector = "app.kubernetes.io/name=certcourier";
        let left = installed.kubectl.check(["get", kind, "-l", selector, "-o", "name"]).await.unwrap();
        assert_eq!(left.stdout, "", "{kind}");
    }
}
