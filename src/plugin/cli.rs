//! The command line: the table of commands.

use clap::{Parser, Subcommand};

use super::{commands, global::GlobalArgs};

const AFTER: &str =
    "Exit codes: 0 done · 1 error · 2 usage error · 130 Ctrl-C; `wait` and `download` also return 3 denied, 4 expired, 5 failed.

Your rights are those of your kubeconfig: RBAC and the admission policies apply to you, and the record names you.";

/// Take certificates out of the cluster: under policy, with approval, on the record.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-certcourier",
    bin_name = "kubectl certcourier",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = AFTER
)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// One variant, and one file in `commands`, for each command; `run::dispatch` joins them.
#[derive(Debug, Subcommand)]
pub enum Command {
    Download(Box<commands::download::DownloadArgs>),
    Request(Box<commands::request::RequestArgs>),
    Claim(Box<commands::claim::ClaimArgs>),
    Wait(commands::wait::WaitArgs),
    Revoke(commands::revoke::RevokeArgs),
    List(Box<commands::list::ListArgs>),
    Receipts(Box<commands::receipts::ReceiptsArgs>),
    /// Print the program that kubectl asks for completions in the shell: save it as `kubectl_complete-certcourier` in a
    /// folder of your PATH.
    Completion,
    Inbox(commands::inbox::InboxArgs),
    Describe(commands::describe::DescribeArgs),
    Approve(commands::approve::ApproveArgs),
    Deny(commands::deny::DenyArgs),
    Inspect(commands::inspect::InspectArgs),
    Policy(commands::policy::PolicyArgs),
    Adopt(commands::adopt::AdoptArgs),
    Doctor(commands::doctor::DoctorArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
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
}
