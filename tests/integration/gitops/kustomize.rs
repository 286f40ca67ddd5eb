//! The example with kustomize, applied by kubectl; references follow the names that kustomize changes.

use std::{fs, path::Path};

use certcourier::api::{Certificate, CertificatePolicy, Phase};
use kube::Api;
use test_support::{stage::Stage, world::World};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kustomize_example_works_and_every_reference_follows_its_name() {
    let world = World::empty(Stage::shared().await, "kustomized").await;
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for part in ["kustomize", "examples/07-kustomize"] {
        copy(&root.join(part), &folder.path().join(part));
    }
    // An overlay as a user may write it: the example, the Secrets beside it, and another suffix on all of it.
    let overlay = folder.path().join("overlay");
    fs::create_dir(&overlay).unwrap();
    let leaf = &world.leaf;
    for (name, text) in [("tls.crt", leaf.chain()), ("tls.key", leaf.key.clone())] {
        fs::write(overlay.join(name), text).unwrap();
    }
    let p12 = "{apiVersion: certcourier.io/v1alpha1, kind: DownloadRequest, metadata: {name: api-p12},\n  \
         spec: {certificateRef: {name: api}, format: pkcs12, passphraseSecretRef: {name: p12, key: passphrase}}}\n";
    fs::write(overlay.join("p12.yaml"), p12).unwrap();
    let kustomization = format!(
        "namespace: {}\nnameSuffix: -v2\nresources: [../examples/07-kustomize/production, p12.yaml]\n\
         components: [../kustomize]\n\
         secretGenerator:\n\
         - {{name: api-tls, type: kubernetes.io/tls, files: [tls.crt, tls.key]}}\n\
         - {{name: p12, literals: [passphrase=correct-horse-battery]}}\n",
        world.namespace
    );
    fs::write(overlay.join("kustomization.yaml"), kustomization).unwrap();
    let admin = world.stage.plane.admin_kubectl();
    let path = overlay.to_str().unwrap();
    admin.check(["apply", "-k", path]).await.unwrap();
    let diff = admin.run(["diff", "-k", path]).await.unwrap();
    assert_eq!((diff.code, diff.stdout.as_str()), (Some(0), ""), "{}", diff.stderr);

    let name = "payments-api-v2";
    let certificates: Api<Certificate> = world.api();
    let certificate = certificates.get(name).await.unwrap();
    // A generated Secret has a hash in its name, and the Certificate names it all the same.
    let secret = &certificate.spec.environments[0].secret_ref.name;
    assert!(secret.starts_with("api-tls-v2-"), "{secret}");
    let policies: Api<CertificatePolicy> = world.api();
    assert_eq!(policies.get(name).await.unwrap().spec.certificates, Some(vec![name.to_owned()]));
    let p12 = world.get("api-p12-v2").await.spec;
    let passphrase = p12.passphrase_secret_ref.unwrap().name;
    assert_eq!(p12.certificate_ref.name, name);
    assert!(passphrase.starts_with("p12-v2-"), "{passphrase}");

    // And all of it works under these names.
    world.wait_for_phase("payments-api-partner-v2", Phase::TokenIssued).await;
    world.wait_for_phase("api-p12-v2", Phase::AwaitingApproval).await;
}
