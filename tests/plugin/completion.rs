//! Completion in the shell, asked for by the real kubectl.

use test_support::{shell::Shell, stage::Stage, world::World};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_commands_flags_and_the_names_there_are() {
    let world = World::new(Stage::shared().await, "complete").await;
    let carol = Shell::of(&world, "carol").await;
    let complete = async |words: &str| {
        carol.bash(&format!("kubectl __complete certcourier {}", words.replace("NS", &world.namespace))).await.ok()
    };
    let commands = complete("''").await;
    for command in
        ["download", "request", "claim", "wait", "revoke", "list", "receipts", "completion", "approve", "policy"]
    {
        assert!(commands.lines().any(|line| line.split('\t').next() == Some(command)), "{command}: {commands}");
    }
    assert!(complete("download --for").await.starts_with("--format\t"));
    assert!(complete("download api --format p").await.starts_with("pkcs12\n:4"));
    assert!(complete("-n NS download a").await.starts_with("api\n:4"));
    assert!(complete("--namespace=NS download x").await.starts_with(":4"));
    assert!(complete("list --context ''").await.starts_with("test\n:4"));
    assert!(complete("download api -o ''").await.starts_with(":0"), "files are the shell's business");
    // Without a cluster there is silence.
    assert!(complete("--kubeconfig /does/not/exist download ''").await.starts_with(":4"));
    // The program that is printed does the same.
    let printed = "rm -f here; mkdir here; kubectl certcourier completion >here/kubectl_complete-certcourier; \
        chmod +x here/kubectl_complete-certcourier; here/kubectl_complete-certcourier list req";
    assert_eq!(carol.bash(printed).await.ok(), "requests\tWhat was asked for\n:4\n");
}
