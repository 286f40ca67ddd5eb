//! What is typed: the flags that every command has, as kubectl has them, and the table of commands.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Parser, Subcommand};

use super::commands;
use crate::api;

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

/// Flags that every command has.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct GlobalArgs {
    /// The kubeconfig to use. Default: $KUBECONFIG, then ~/.kube/config, then the pod's own ServiceAccount.
    #[arg(long, global = true, value_name = "FILE", help_heading = CONNECTION)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig. Default: its current one.
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub context: Option<String>,
    /// The cluster of the kubeconfig. Default: the context's.
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub cluster: Option<String>,
    /// The user of the kubeconfig. Default: the context's.
    #[arg(long, global = true, value_name = "NAME", help_heading = CONNECTION)]
    pub user: Option<String>,
    /// The namespace. Default: the context's.
    #[arg(short, long, global = true, value_name = "NAME", value_parser = namespace, help_heading = CONNECTION)]
    pub namespace: Option<String>,
    /// Act as this user.
    #[arg(long = "as", global = true, value_name = "USER", help_heading = CONNECTION)]
    pub impersonate: Option<String>,
    /// Act in this group; may be given several times. Needs --as.
    #[arg(long = "as-group", global = true, value_name = "GROUP", help_heading = CONNECTION)]
    pub impersonate_group: Vec<String>,
    /// Act with this uid. Needs --as.
    #[arg(long = "as-uid", global = true, value_name = "UID", help_heading = CONNECTION)]
    pub impersonate_uid: Option<String>,
    /// How long one answer may take, such as 5s or 1m; 0 for as long as it takes.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", help_heading = CONNECTION)]
    pub request_timeout: Timeout,
    /// Where certcourier's HTTP API is, such as `https://certs.example.com`. Default: what ConfigMap certcourier-server
    /// in the operator's namespace says, else its Service, through the API server.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CERTCOURIER_SERVER",
        hide_env_values = true,
        value_parser = crate::external_url::parse,
        help_heading = SERVER
    )]
    pub server: Option<String>,
    /// CA certificates, PEM, for the server. Default: what comes with its address, else those that this machine trusts.
    #[arg(long, global = true, value_name = "FILE", env = "CERTCOURIER_SERVER_CA", hide_env_values = true, help_heading = SERVER)]
    pub server_ca: Option<PathBuf>,
    /// Reach the server through the API server, as `kubectl port-forward` does, wherever else it may be.
    #[arg(long, global = true, conflicts_with = "server", help_heading = SERVER)]
    pub port_forward: bool,
    /// The operator's own namespace.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "CERTCOURIER_NAMESPACE",
        hide_env_values = true,
        default_value = OPERATOR_NAMESPACE,
        value_parser = namespace,
        help_heading = SERVER
    )]
    pub operator_namespace: String,
    /// Print errors only.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log what is done, on standard error: 1 to 5 for certcourier, 6 and more for every call. Never a secret.
    #[arg(short = 'v', long = "v", global = true, value_name = "LEVEL", default_value_t = 0)]
    pub verbosity: u8,
}

/// Where the operator lives unless set otherwise.
const OPERATOR_NAMESPACE: &str = "certcourier-system";
const CONNECTION: &str = "Connection, as for kubectl";
const SERVER: &str = "certcourier's HTTP API";

impl GlobalArgs {
    /// The operator's namespace, where another one than the usual was named.
    pub fn named_operator_namespace(&self) -> Option<String> {
        (self.operator_namespace != OPERATOR_NAMESPACE).then(|| self.operator_namespace.clone())
    }
}

/// Checks a namespace's name, so that a slip of the hand is not a path.
pub fn namespace(text: &str) -> Result<String, String> {
    if crate::admission::is_dns_label(text) {
        return Ok(text.to_owned());
    }
    Err("write the name of a namespace, such as payments".to_owned())
}

/// The name of an object, so that a slip of the hand is not a path. `KIND/NAME` as `-o name` prints it is taken too.
pub fn object_name(text: &str) -> Result<String, String> {
    let (kind, name) = text.split_once('/').unwrap_or(("kind", text));
    let fits = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if name.len() <= 253 && kind.split('.').all(fits) && name.split('.').all(fits) {
        return Ok(name.to_owned());
    }
    Err("names have lower-case letters, digits, `-` and `.`, such as api".to_owned())
}

/// `--request-timeout` as kubectl takes it: `0`, whole seconds, or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Duration);

/// Stands for no limit at all: longer than anyone waits for one answer.
const UNLIMITED: Duration = Duration::from_hours(24);

impl Timeout {
    /// How long one answer may take.
    pub fn limit(self) -> Duration {
        self.0
    }
}

impl Default for Timeout {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

impl FromStr for Timeout {
    type Err = api::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limit = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => text.parse::<api::Duration>()?.get(),
        };
        Ok(Self(if limit.is_zero() { UNLIMITED } else { limit }))
    }
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

    #[test]
    fn a_timeout_is_what_kubectl_takes() {
        for (text, seconds) in [("0", 24 * 3600), ("0s", 24 * 3600), ("7", 7), ("90s", 90), ("2m", 120)] {
            assert_eq!(text.parse::<Timeout>().unwrap().limit().as_secs(), seconds, "{text}");
        }
        assert!("soon".parse::<Timeout>().unwrap_err().to_string().contains("1h30m"));
    }

    #[test]
    fn a_name_is_no_path() {
        for (text, name) in
            [("api", "api"), ("www.example.com", "www.example.com"), ("certificate.certcourier.io/api", "api")]
        {
            assert_eq!(object_name(text).as_deref(), Ok(name));
        }
        for text in ["", "..", "../api", "/api", "a/../b", "a/b/c", "API", "-rf", "a b", "a?b"] {
            assert!(object_name(text).is_err(), "{text}");
        }
    }
}
