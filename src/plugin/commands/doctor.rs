//! `doctor`: who could take a key past certcourier, and whether the safeguards are in place.

use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::output::{self, Format, OutputArgs},
};
use crate::{
    cluster::error::in_one_line,
    doctor::{self, Scope, Subject, Verdict},
};

const EXAMPLES: &str = "\
Checks, with your own rights, roles and bindings, the admission policies, what the guard last \
wrote, and requests; reads no Secret and changes nothing. Exit code 1 for findings, and where something could not be checked.

Examples:
  kubectl certcourier doctor -A
  kubectl certcourier doctor -n payments --trust ServiceAccount/argocd/argocd
  kubectl certcourier doctor -A -o json | jq -r '.findings[] | [.subject, .what] | @tsv'";

/// List who could take a private key past certcourier, and check that the safeguards are in place.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Check the Certificates of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Subjects that are meant to have all their rights: User/NAME, Group/NAME or ServiceAccount/NAMESPACE/NAME. Listed
    /// in the report, but not as findings. May be given several times.
    #[arg(long, value_name = "SUBJECT")]
    trust: Vec<Subject>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Looks, prints, and says by the exit code what all of it comes to.
pub async fn run(ctx: &Ctx, args: &DoctorArgs) -> Result<(), PluginError> {
    if args.output.format == Format::Name {
        return Err(PluginError::usage("findings have no names: print them with -o json"));
    }
    let scope = Scope {
        // The usual one is what the live admission policies may know better.
        operator_namespace: ctx.global.named_operator_namespace(),
        namespace: (!args.all_namespaces).then(|| ctx.namespace.clone()),
        trusted: args.trust.clone(),
    };
    let report = doctor::evaluate(&doctor::facts(&ctx.clients, scope).await?);
    match args.output.format {
        Format::Table | Format::Wide | Format::Name => output::print(&doctor::text(&report))?,
        Format::Json | Format::Yaml => {
            let value = serde_json::to_value(&report).map_err(|error| {
                PluginError::new(format!("cannot write the report as JSON: {}", in_one_line(&error)))
            })?;
            args.output.value(&value)?;
        }
    }
    match (report.verdict(), report.findings.len()) {
        (Verdict::Clean, _) => Ok(()),
        (Verdict::Findings, 1) => Err(PluginError::new("1 finding")),
        (Verdict::Findings, count) => Err(PluginError::new(format!("{count} findings"))),
        (Verdict::Incomplete, count) => {
            let found = if count == 1 { "1 finding".to_owned() } else { format!("{count} findings") };
            Err(PluginError::new(format!("{found}, and there may be more: not everything could be checked"))
                .next("an administrator runs the commands at the end of the report, or runs the doctor"))
        }
    }
}
