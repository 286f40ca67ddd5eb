//! Every `sh` block of the pages, typed into one shell on one stage.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Stdio, time::Duration};

use test_support::page::{Fence, fences};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout},
};

use super::{
    shown::{fields_of_a_table, same_answer, same_lines, same_table},
    stage::{READY, Stage, root},
};

/// In the order in which a reader is sent from one to the next.
const PAGES: [&str; 6] =
    ["README.md", "docs/quickstart.md", "docs/approvals.md", "docs/plugin.md", "docs/api.md", "docs/gitops.md"];
/// Longer than any block takes; what hangs is a failure with words.
const LIMIT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_work_in_bash_in_the_order_in_which_they_link_to_each_other() {
    read_the_pages("bash", &["--norc", "--noprofile"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_work_in_zsh_in_the_order_in_which_they_link_to_each_other() {
    read_the_pages("zsh", &["-f"]).await;
}

async fn read_the_pages(shell: &str, arguments: &[&str]) {
    let mut stage = Stage::start();
    stage.until_it_says(READY).await;
    let mut terminal = Terminal::open(&stage, shell, arguments).await;
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).unwrap();
        let fences = fences(&text);
        for (number, fence) in fences.iter().enumerate() {
            let shown = fences.get(number + 1).filter(|next| fence.shows_the_next() && next.language != "sh");
            if fence.language == "sh" && !fence.text.starts_with("make ") {
                terminal.read(page, fence, shown).await;
            }
        }
    }
    drop(terminal);
    assert_eq!(stage.terminate().await, Some(0), "{}", stage.said);
    assert_eq!(stage.folder.left(), Vec::<String>::new());
}

/// A shell that goes on from block to block, as the reader's does.
struct Terminal {
    shell: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    blocks: PathBuf,
    files: PathBuf,
    typed: usize,
}

impl Terminal {
    async fn open(stage: &Stage, shell: &str, arguments: &[&str]) -> Self {
        let (blocks, files) = (stage.folder.path("blocks"), stage.folder.dev().join("files"));
        fs::create_dir(&blocks).unwrap();
        let mut command = stage.folder.command(shell);
        command.args(arguments).env("HOME", &blocks).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().unwrap_or_else(|error| panic!("{shell}: {error}; see `make requirements`"));
        let (stdin, stdout) = (shell.stdin.take().unwrap(), BufReader::new(shell.stdout.take().unwrap()));
        let mut terminal = Self { shell, stdin, stdout, blocks, files, typed: 0 };
        let env = stage.folder.dev().join("env");
        let begin = format!("umask 022\nset -eu -o pipefail\n. '{}'\ncd '{}'", env.display(), terminal.files.display());
        let (code, printed) = terminal.run(&begin, false).await;
        assert_eq!(code, Some(0), "{printed}");
        terminal
    }

    /// Types a block: it ends well unless the page shows a refusal, and prints what the page shows.
    async fn read(&mut self, page: &str, fence: &Fence, shown: Option<&Fence>) {
        let is_refusal = |shown: &&Fence| {
            let refusals = ["error: ", "Error from server"];
            shown.language == "text" && refusals.iter().any(|words| shown.text.starts_with(words))
        };
        let refused = shown.as_ref().is_some_and(is_refusal);
        let (code, printed) = self.run(&fence.text, refused).await;
        let as_shown = match shown {
            Some(shown) if shown.language == "json" => same_answer(&shown.text, &printed),
            Some(shown) if shown.language == "text" => same_lines(&shown.text, &printed),
            Some(shown) => Err(format!("what is shown is in `{}`", shown.language)),
            None => fields_of_a_table(&fence.prose)
                .map_or(Ok(()), |(each, fields)| same_table(each, &fields, &printed))
                .and_then(|()| if printed.contains("\"error\":") { Err("it was refused".to_owned()) } else { Ok(()) }),
        };
        let ended_well = if refused { code != Some(0) && code.is_some() } else { code == Some(0) };
        assert!(
            ended_well && as_shown.is_ok(),
            "{page}: exit code {code:?}, {}\n{}\nprinted\n{printed}",
            as_shown.err().unwrap_or_default(),
            fence.text
        );
        self.assert_that_what_is_private_is_closed(page, &fence.text);
    }

    /// The exit code, if the shell still lives, and everything that was printed.
    async fn run(&mut self, block: &str, may_fail: bool) -> (Option<i32>, String) {
        self.typed += 1;
        let script = self.blocks.join(format!("{:02}.sh", self.typed));
        let output = script.with_extension("out");
        fs::write(&script, block).unwrap();
        // The first line that fails ends the shell, unless a refusal is what the page shows.
        let (before, after) = if may_fail { ("set +e; ", "; code=$?; set -e") } else { ("", "; code=$?") };
        let line = format!(
            "{before}. '{}' >'{}' 2>&1 </dev/null{after}; echo \"ended $code\"\n",
            script.display(),
            output.display()
        );
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        let mut ended = String::new();
        let reading = tokio::time::timeout(LIMIT, self.stdout.read_line(&mut ended)).await;
        let printed = fs::read_to_string(&output).unwrap_or_default();
        assert!(reading.is_ok(), "this has not ended after {LIMIT:?}\n{block}\nprinted\n{printed}");
        (ended.trim().strip_prefix("ended ").and_then(|code| code.parse().ok()), printed)
    }

    /// A key, a passphrase or a token is in files that no one else can read, whatever the page does.
    fn assert_that_what_is_private_is_closed(&self, page: &str, block: &str) {
        for entry in fs::read_dir(&self.files).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Ok(bytes) = fs::read(&path) else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let private = ["PRIVATE KEY", "ccd_"].iter().any(|words| text.contains(words))
                || name.starts_with("pass")
                || name.starts_with("generated")
                || [".p12", ".pkcs12", ".pfx", ".key"].iter().any(|end| name.ends_with(end));
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert!(!private || mode.trailing_zeros() >= 6, "{page}: {name} has mode {mode:o} after\n{block}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.start_kill();
    }
}
