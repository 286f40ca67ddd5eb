//! Unusual people, all the way: without a uid, in 500 groups, impersonated.

use certcourier::api::Phase;
use test_support::{stage::Stage, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn people_without_a_uid_in_five_hundred_groups_and_impersonated_get_their_file() {
    let world = World::new(Stage::shared().await, "people").await;
    let kubectl = world.stage.plane.admin_kubectl();
    let namespace = world.namespace.as_str();
    for (name, subject) in
        [("no-uid", "--user=user-18"), ("one-of-500", "--group=group-499"), ("acted", "--group=actors")]
    {
        let binding = ["-n", namespace, "create", "rolebinding", name, "--clusterrole=certcourier-downloader", subject];
        kubectl.check(binding).await.unwrap();
    }
    let request = |name: &str| {
        format!(
            "{{apiVersion: certcourier.io/v1alpha1, kind: DownloadRequest, metadata: {{name: {name}}},\n  \
             spec: {{certificateRef: {{name: api}}, format: cert}}}}\n"
        )
    };
    let zoe = ["--as=zoe", "--as-group=actors"];
    for (name, who, groups) in [("a", "user-18", 2), ("b", "user-19", 501), ("c", "zoe", 2)] {
        let (text, secret) = (request(name), format!("{name}-download-token"));
        let create = ["-n", namespace, "create", "-f", "-"];
        let read = ["-n", namespace, "get", "secret", &secret, "-o", "jsonpath={.data.token}"];
        if who == "zoe" {
            let made = async || kubectl.run_with(create.into_iter().chain(zoe), &text).await.unwrap();
            world.until("zoe may ask", || async { made().await.succeeded() }).await;
        } else {
            let person = world.person(who).await;
            world.until("they may ask", || async { person.run_with(create, &text).await.unwrap().succeeded() }).await;
        }
        let issued = world.wait_for_phase(name, Phase::TokenIssued).await;
        let requester = issued.spec.requested_by.clone().unwrap();
        assert_eq!((requester.username.as_str(), requester.groups.len()), (who, groups));
        assert_eq!(requester.uid.is_empty(), who != "user-19", "{requester:?}");
        // Nobody else made the token readable: they read it with rights that are theirs.
        let read = match who {
            "zoe" => kubectl.check(read.into_iter().chain(zoe)).await.unwrap(),
            _ => world.person(who).await.run(read).await.unwrap(),
        };
        assert!(read.succeeded() && !read.stdout.is_empty(), "{who}: {}", read.stderr);
        let token = <base64ct::Base64 as base64ct::Encoding>::decode_vec(&read.stdout).unwrap();
        assert_eq!(world.redeem(std::str::from_utf8(&token).unwrap()).await.status, 200, "{who}");
        let receipt = world.receipt_of(&issued).await.unwrap();
        assert_eq!(receipt.spec.requested_by.unwrap().username, who);
    }
}
