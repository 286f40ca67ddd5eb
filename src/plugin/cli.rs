//! The command line: the table of commands.

use clap::{CommandFactory as _, Parser, Subcommand};

use super::{commands, global::GlobalArgs, scripts::Script};

const AFTER: &str = "\
`kubectl certcourier COMMAND --help` has the flags of a command, and `options` those of all.

Exit codes: 0 done · 1 error · 2 usage error · 130 Ctrl-C; `wait` and `download` also return 3 denied, 4 expired, \
5 failed.

Your rights are those of your kubeconfig: RBAC and the admission policies apply to you, and the record names you.

Examples:
  kubectl certcourier check                                            is it there for me?
  kubectl certcourier list -n payments
  kubectl certcourier download api --format fullchain -o fullchain.pem";

/// What the help of each command ends with.
const SHARED: &str = "Flags of every command, such as -n: kubectl certcourier options";

/// Take certificates out of the cluster: under policy, with approval, on the record.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-certcourier",
    bin_name = "kubectl certcourier",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = AFTER
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    /// None prints the help.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// One variant, and one file in `commands`, for each command; `run::dispatch` joins them.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(visible_aliases = ["get", "ls"])]
    List(Box<commands::list::ListArgs>),
    Download(Box<commands::download::DownloadArgs>),
    Request(Box<commands::request::RequestArgs>),
    Wait(Box<commands::wait::WaitArgs>),
    Claim(Box<commands::claim::ClaimArgs>),
    Revoke(commands::revoke::RevokeArgs),
    Inbox(Box<commands::inbox::InboxArgs>),
    Describe(commands::describe::DescribeArgs),
    Approve(commands::approve::ApproveArgs),
    Deny(commands::deny::DenyArgs),
    Receipts(Box<commands::receipts::ReceiptsArgs>),
    Inspect(commands::inspect::InspectArgs),
    Policy(commands::policy::PolicyArgs),
    Check(commands::check::CheckArgs),
    Adopt(commands::adopt::AdoptArgs),
    Doctor(commands::doctor::DoctorArgs),
    Web(commands::web::WebArgs),
    Version(commands::version::VersionArgs),
    Completion(CompletionArgs),
    /// List the flags that every command has.
    Options,
}

const COMPLETION: &str = "\
bash, zsh and fish: for `kubectl certcourier` and `kubectl-certcourier`; in bash and zsh load kubectl's own completion \
first. powershell: for `kubectl-certcourier`. kubectl (the default) is a program that kubectl itself asks: save it as \
`kubectl_complete-certcourier` in a folder of your PATH, and every shell that completes kubectl completes this too.

Examples:
  source <(kubectl certcourier completion bash)
  source <(kubectl certcourier completion zsh)
  kubectl certcourier completion fish | source
  kubectl certcourier completion powershell | Out-String | Invoke-Expression
  kubectl certcourier completion >~/bin/kubectl_complete-certcourier; chmod +x ~/bin/kubectl_complete-certcourier";

/// Print a script that completes commands, flags and names in your shell.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETION)]
pub struct CompletionArgs {
    /// bash, zsh, fish, powershell, or kubectl.
    #[arg(value_enum, default_value_t, hide_possible_values = true)]
    pub shell: Script,
}

/// The command line as it is parsed: each command's help names the way to the flags of all.
pub fn command() -> clap::Command {
    shared(Cli::command(), true)
}

fn shared(command: clap::Command, root: bool) -> clap::Command {
    let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = match (root, own.is_empty()) {
        (true, _) => command,
        (false, true) => command.after_help(SHARED),
        (false, false) => command.after_help(format!("{own}\n\n{SHARED}")),
    };
    command.mut_subcommands(|sub| shared(sub, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What fits on a screen beside the line that was typed.
    const SCREEN: usize = 45;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_name_that_the_plugin_calls_an_input_by_is_a_flag_of_download() {
        use crate::door::{Door, Input};
        let command = Cli::command();
        let download = command.find_subcommand("download").unwrap();
        let flags: Vec<String> =
            download.get_opts().filter_map(|flag| Some(format!("--{}", flag.get_long()?))).collect();
        for input in Input::ALL {
            let name = input.at(Door::Plugin);
            assert!(flags.iter().any(|flag| flag == name), "{input}: {name} is not in {flags:?}");
        }
    }

    #[test]
    fn flags_may_stand_before_and_behind_the_command() {
        for line in [
            "kubectl-certcourier -n payments --as zoe list -o json",
            "kubectl-certcourier list -o json -n payments --as zoe",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.global.namespace.as_deref(), Some("payments"), "{line}");
            assert_eq!(cli.global.impersonate.as_deref(), Some("zoe"), "{line}");
        }
    }

    /// The names of all commands, each a path.
    fn paths(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        found.push(path.to_vec());
        for sub in command.get_subcommands() {
            paths(sub, &[path, &[sub.get_name().to_owned()]].concat(), found);
        }
    }

    /// What `--help` prints.
    fn help(path: &[String]) -> String {
        let line = path.iter().map(String::as_str).chain(["--help"]);
        command().term_width(100).try_get_matches_from(line).unwrap_err().to_string()
    }

    #[test]
    fn the_help_of_a_command_fits_on_a_screen_has_an_example_and_leaves_out_the_flags_of_all() {
        let (mut found, mut long) = (Vec::new(), Vec::new());
        paths(&command(), &["kubectl-certcourier".to_owned()], &mut found);
        assert!(found.len() > 18, "{found:?}");
        for path in found {
            let (page, name) = (help(&path), path.join(" "));
            let lines = page.lines().count();
            assert!(!page.contains("--kubeconfig"), "{name}\n{page}");
            if lines > SCREEN {
                long.push(format!("{name}: {lines} lines\n{page}"));
            }
            if path.len() > 1 {
                assert!(page.contains(SHARED), "{name}\n{page}");
            }
            if !name.ends_with(" policy") && !name.ends_with(" options") {
                let example = page.split("Examples:\n").nth(1).and_then(|behind| behind.lines().next());
                assert!(example.is_some_and(|line| line.contains("kubectl certcourier ")), "{name}\n{page}");
            }
        }
        assert!(long.is_empty(), "{}", long.join("\n"));
    }

    #[test]
    fn lists_are_also_called_as_kubectl_calls_them() {
        for line in ["get requests a b", "ls dlr", "list dlr/a", "get ccert", "list"] {
            let cli = Cli::try_parse_from(std::iter::once("x").chain(line.split(' '))).unwrap();
            assert!(matches!(cli.command, Some(Command::List(_))), "{line}");
        }
    }
}
