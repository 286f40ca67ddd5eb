//! Completion in bash and zsh, as a person has it: an interactive shell at a terminal, and the tab key.

use certcourier::api::Phase;
use serde_json::json;
use test_support::{
    shell::{Shell, end},
    stage::Stage,
    world::World,
};

use super::kit::keys_with_two_approvals;

/// Starts a shell at a terminal and types: pairs of what is typed and what is waited for then.
const TYPING: &str = r#"
import fcntl, os, pty, select, struct, sys, termios, time
steps, command = [part.encode().decode("unicode_escape").encode() for part in sys.argv[1].split("|")], sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 300, 0, 0))
shown = b""
for typed, awaited in zip(steps[::2], steps[1::2]):
    os.write(terminal, typed)
    since, end = len(shown), time.time() + 20
    while awaited not in shown[since:]:
        if time.time() > end:
            sys.exit(f"no {awaited!r} in {shown!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
sys.stdout.buffer.write(shown)
"#;

/// What the line is after the tab key: the shell is asked to print it by ^X b.
async fn completed(shell: &Shell<'_>, which: &str, line: &str) -> String {
    let line = line.replace("NS", &shell.world.namespace);
    let (command, ready, show): (&[&str], _, _) = match which {
        "bash" => (
            &["bash", "--norc", "--noprofile", "-i"],
            // kubectl's own needs the package bash-completion: something else stands in for it.
            "own() { COMPREPLY=(api-resources); }; complete -F own kubectl; source <(kubectl certcourier completion bash)",
            r#"bind -x '"\\C-xb": printf "LINE<%s>END" "$READLINE_LINE"'"#,
        ),
        _ => (
            &["zsh", "-f", "-i"],
            "autoload -Uz compinit; compinit -u -D; source <(kubectl completion zsh); source <(kubectl certcourier completion zsh)",
            r#"show() { print -rn -- "LINE<$BUFFER>END" }; zle -N show; bindkey -e; bindkey "^Xb" show"#,
        ),
    };
    let steps = format!(r"{ready}; {show}; echo rea''dy\n|ready|{line}\t\x18b|>END");
    let mut python = shell.program("python3");
    python.args(["-c", TYPING, &steps]).args(command).env("TERM", "xterm");
    let shown = end(python).await.ok();
    let after = shown.rsplit("LINE<").next().unwrap();
    after.split(">END").next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tab_key_completes_commands_flags_and_names_in_bash_and_zsh() {
    let world = World::new(Stage::shared().await, "tab").await;
    keys_with_two_approvals(&world).await;
    world.request("alice", "waits-for-two", json!({"format": "key"})).await;
    world.request("alice", "went-wrong", json!({"format": "cert", "environment": "lab"})).await;
    world.wait_for_phase("waits-for-two", Phase::AwaitingApproval).await;
    world.wait_for_phase("went-wrong", Phase::Failed).await;
    let bob = Shell::of(&world, "bob").await;
    for shell in ["bash", "zsh"] {
        for (typed, expected) in [
            ("kubectl certcourier rece", "kubectl certcourier receipts "),
            ("kubectl certcourier -n NS download a", "kubectl certcourier -n NS download api "),
            ("kubectl certcourier download api --format=pk", "kubectl certcourier download api --format=pkcs12 "),
            // One of the two can be acted on.
            ("kubectl certcourier -n NS approve w", "kubectl certcourier -n NS approve waits-for-two "),
            ("kubectl-certcourier -n NS revoke w", "kubectl-certcourier -n NS revoke waits-for-two "),
            ("kubectl-certcourier -n NS get dlr we", "kubectl-certcourier -n NS get dlr went-wrong "),
            // kubectl's own completion is still there.
            ("kubectl api-re", "kubectl api-resources "),
        ] {
            let line = completed(&bob, shell, typed).await;
            assert_eq!(line, expected.replace("NS", &world.namespace), "{shell}: {typed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_completed_by_the_shell_itself() {
    let world = World::new(Stage::shared().await, "tab-files").await;
    let bob = Shell::of(&world, "bob").await;
    std::fs::write(bob.path("passphrase.txt"), "x").unwrap();
    for shell in ["bash", "zsh"] {
        let line = completed(&bob, shell, "kubectl certcourier download api --passphrase-file pass").await;
        assert_eq!(line, "kubectl certcourier download api --passphrase-file passphrase.txt ", "{shell}");
    }
}
