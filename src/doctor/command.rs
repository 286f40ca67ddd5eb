//! What is typed, and how the process ends.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::ValueEnum;

use super::{
    checks,
    gather::{self, Scope},
    rbac::Subject,
    report::{Report, Verdict},
    text,
};
use crate::api::name::{NameError, Namespace};
use crate::cluster::{
    client::{ClientArgs, Clients, ConnectError, Role},
    error::{ApiError, in_one_line},
};

/// What comes before the flags in `--help`.
const ABOUT: &str = "List who could take a private key past certcourier, and check that the safeguards are in place.

Checks, with your own rights, roles and bindings, the admission policies, what the guard last wrote, and requests; it \
reads no Secret and changes nothing. Each finding says why it matters and what to do, and has an id that \
docs/troubleshooting.md explains.

Rights are computed from RBAC objects: what a binding gives to a group is listed under that group. Other \
authorizers (webhooks, the kubelet's) are not seen, nor kinds of other products that run pods or copy Secrets.";

const AFTER: &str =
    "Exit code: 0 nothing found (notes may be there) · 1 findings · 2 something could not be checked (the missing right is named, with the commands that grant it), or no answer from the API server.

Examples:
  certcourier doctor -A                      all namespaces with Certificates
  certcourier doctor -n payments             one namespace, and what holds in all of them
  certcourier doctor -A -o json | jq -r '.findings[] | [.severity, .subject, .what] | @tsv'
  certcourier doctor -A --trust Group/kubeadm:cluster-admins --trust ServiceAccount/argocd/argocd";

/// Flags of `certcourier doctor`.
#[derive(Debug, clap::Args)]
#[command(about = "List who could take a private key past certcourier, and check that the safeguards are in place")]
#[command(long_about = ABOUT, after_long_help = AFTER)]
pub struct DoctorArgs {
    /// The operator's own namespace (not the one to check: that is -n). Default: what the live admission policies
    /// say, else certcourier-system.
    #[arg(long, value_name = "NAMESPACE", value_parser = namespace)]
    namespace: Option<String>,
    /// Check the Certificates of this namespace. Default: the kubeconfig's.
    #[arg(short = 'n', value_name = "NAMESPACE", value_parser = namespace)]
    look_in: Option<String>,
    /// Check the Certificates of all namespaces.
    #[arg(short = 'A', long, conflicts_with = "look_in")]
    all_namespaces: bool,
    /// Subjects that are meant to have all their rights: User/NAME, Group/NAME or ServiceAccount/NAMESPACE/NAME. Listed
    /// in the report, but not as findings. May be given several times.
    #[arg(long, value_name = "SUBJECT")]
    trust: Vec<Subject>,
    /// How to print.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, at most 100 columns wide.
    Table,
    /// For programs.
    Json,
}

fn namespace(text: &str) -> Result<String, NameError> {
    text.parse::<Namespace>().map(String::from)
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum DoctorError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    #[error("write the report as JSON")]
    Json(#[from] serde_json::Error),
    #[error("write to standard output")]
    Output(#[source] io::Error),
}

/// Looks, prints, and says by the exit code what all of it comes to.
#[must_use]
pub fn run(args: &DoctorArgs) -> ExitCode {
    let printed = report(args).and_then(|report| {
        print(&report, args.output)?;
        Ok(report.verdict())
    });
    match printed {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Ok(Verdict::Incomplete) => ExitCode::from(2),
        // `| head` has seen enough; the reader of the exit code of a pipe does not know what was found.
        Err(DoctorError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(2),
        Err(error) => {
            // When standard error is closed too, the exit code alone must say it.
            let _ = writeln!(io::stderr(), "certcourier doctor: {}", in_one_line(&error));
            ExitCode::from(2)
        }
    }
}

fn report(args: &DoctorArgs) -> Result<Report, DoctorError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(DoctorError::Runtime)?;
    runtime.block_on(async {
        let clients = Clients::connect(&args.client, Role::Doctor).await?;
        let namespace = match &args.look_in {
            Some(named) => Some(named.clone()),
            None if args.all_namespaces => None,
            None => Some(clients.default_namespace().to_owned()),
        };
        let scope = Scope { operator_namespace: args.namespace.clone(), namespace, trusted: args.trust.clone() };
        Ok(checks::evaluate(&gather::facts(&clients, scope).await?))
    })
}

fn print(report: &Report, output: Output) -> Result<(), DoctorError> {
    let text = match output {
        Output::Table => text::text(report),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(report)?),
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(DoctorError::Output)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DoctorArgs,
    }

    fn parse(line: &str) -> Result<DoctorArgs, clap::Error> {
        Line::try_parse_from(format!("doctor {line}").split_whitespace()).map(|line| line.args)
    }

    #[test]
    fn one_namespace_and_all_of_them_exclude_each_other() {
        assert_eq!(parse("-n payments").unwrap().look_in.as_deref(), Some("payments"));
        assert!(parse("-A --namespace certcourier-system").unwrap().all_namespaces);
        assert!(parse("-A -n payments").is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_an_example() {
        for (line, said) in [
            ("-n Payments", "such as payments"),
            ("--namespace *", "such as payments"),
            ("--trust alice", "write User/NAME"),
            ("--trust ServiceAccount/ci", "ServiceAccount/NAMESPACE/NAME"),
            ("-o yaml", "possible values: table, json"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
