//! `policy explain`: what one would get of a certificate, and why not.

use std::path::PathBuf;

use serde_json::json;

use super::answer::{self, Answer, FormatAnswer, Known, Term, Verbs};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        facts::Page,
        output::{self, Format, OutputArgs},
        style::Tone,
        table::{Cell, Table},
    },
    values::object_name,
};
use crate::{
    api::Certificate,
    cluster::{
        access,
        error::{During as _, Failure, in_one_line},
        policies::{self, PolicyError},
    },
    policy::NamedPolicy,
};

const EXAMPLES: &str = "\
Decides as the operator does, on the policies that you may list, for you or for --as. Nothing is requested.

Examples:
  kubectl certcourier policy explain api
  kubectl certcourier policy explain api -e staging -o wide      every rule, and who sets it
  kubectl certcourier policy explain api --as alice --as-group operators
  kubectl certcourier policy explain api -o json | jq '.formats[] | {format, answer}'";

/// Show which formats of a certificate you would get, with whose approval, and why not.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// The Certificate.
    #[arg(value_name = "CERTIFICATE", value_parser = object_name)]
    certificate: String,
    /// The environment. Default: the Certificate's default one.
    #[arg(short, long, value_name = "NAME")]
    environment: Option<String>,
    /// The cluster policy, if you have its file (--cluster-policy of the operator).
    #[arg(long, value_name = "FILE")]
    cluster_policy: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints what would be answered.
pub async fn run(ctx: &Ctx, args: &ExplainArgs) -> Result<(), PluginError> {
    if args.output.format == Format::Name {
        return Err(PluginError::usage("answers have no names: print them with -o json"));
    }
    let own = match &args.cluster_policy {
        Some(path) => Some(policies::load(path).map_err(|error| PluginError::usage(in_one_line(&error)))?),
        None => None,
    };
    let certificate: Certificate = ctx.one(&args.certificate, "list").await?;
    let environment = environment(&certificate, args)?;
    let reads = ctx.clients.reads();
    let verb =
        |verb: &'static str| access::caller_may(reads, &ctx.namespace, (verb, "certificates", &args.certificate));
    let create = access::caller_may(reads, &ctx.namespace, ("create", "downloadrequests", ""));
    let (who, download, exportkey, create, policies) =
        tokio::join!(access::who(reads), verb("download"), verb("exportkey"), create, listed(ctx, own.as_ref()));
    let who = who.during("ask", || "the API server who you are".to_owned())?.username;
    let (policies, why_not) = match policies? {
        Ok(policies) => (Some(policies), None),
        Err(why) => (None, Some(why)),
    };
    let known = Known {
        certificate: &certificate,
        environment: &environment,
        who: &who,
        verbs: Verbs { download: download?, exportkey: exportkey? },
        policies: policies.as_deref(),
        now: ctx.now(),
    };
    let mut notes = Vec::new();
    notes.extend(why_not.as_ref().map(|why| format!("the policies are not known: {why}")));
    if !create? {
        notes.push(
            "you are not allowed to create DownloadRequests here: ask for ClusterRole certcourier-downloader"
                .to_owned(),
        );
    }
    if own.is_none() {
        notes.push(
            "the cluster policy (--cluster-policy), if there is one, is not known here and can only refuse more; \
             if you have the file: --cluster-policy FILE"
                .to_owned(),
        );
    }
    if answer::unseen(&known) {
        notes.push(
            "the operator has not seen this environment's Secret yet: whether it is a CA's is not known".to_owned(),
        );
    }
    print(ctx, args, &known, &notes)?;
    match why_not {
        None => Ok(()),
        Some(_) => Err(PluginError::new("without the policies this is not the whole answer")
            .next("ask for ClusterRole certcourier-viewer in this namespace")),
    }
}

fn environment(certificate: &Certificate, args: &ExplainArgs) -> Result<String, PluginError> {
    if let Some(environment) = certificate.spec.environment(args.environment.as_deref()) {
        return Ok(environment.name.clone());
    }
    let names: Vec<&str> = certificate.spec.environments.iter().map(|one| one.name.as_str()).collect();
    let asked = args.environment.as_deref().unwrap_or("(default)");
    Err(PluginError::new(format!("Certificate `{}` has no environment `{asked}`", args.certificate))
        .next(format!("it has {}", names.join(", "))))
}

/// The policies, or why they cannot be listed.
async fn listed(ctx: &Ctx, own: Option<&NamedPolicy>) -> Result<Result<Vec<NamedPolicy>, String>, PluginError> {
    match policies::live(ctx.clients.reads(), &ctx.namespace, own).await {
        Ok(policies) => Ok(Ok(policies)),
        Err(PolicyError::Api(error)) if error.failure() == Failure::Forbidden => {
            Ok(Err(format!("you are not allowed to list them ({})", error.cause())))
        }
        Err(PolicyError::Api(error)) => Err(error.into()),
        Err(unreadable) => Err(PluginError::new(unreadable.to_string())
            .next("is the plugin older than the operator? `kubectl certcourier --version` says")),
    }
}

fn print(ctx: &Ctx, args: &ExplainArgs, known: &Known<'_>, notes: &[String]) -> Result<(), PluginError> {
    let answers = answer::answers(known);
    let terms = answer::terms(known);
    if matches!(args.output.format, Format::Json | Format::Yaml) {
        let policies =
            known.policies.map(|policies| policies.iter().map(|policy| policy.source.to_string()).collect::<Vec<_>>());
        return args.output.value(&json!({
            "certificate": args.certificate, "namespace": ctx.namespace, "environment": known.environment,
            "requester": known.who, "policies": policies, "operatorPolicyKnown": args.cluster_policy.is_some(),
            "formats": answers, "terms": terms, "notes": notes,
        }));
    }
    let mut page = Page::default();
    page.fact("Certificate", format!("{}/{}, environment {}", ctx.namespace, args.certificate, known.environment));
    page.fact("For", known.who);
    if let Some(policies) = known.policies {
        page.facts("Policies", policies.iter().map(|policy| policy.source.to_string().into()).collect());
    }
    page.facts("Note", notes.iter().map(|note| note.as_str().into()).collect());
    let (head, rest) = (page.render(ctx.stdout), table(&answers).render(ctx.stdout, !args.output.no_headers));
    let rules = if args.output.wide() && !terms.is_empty() {
        format!("\n{}", rules(&terms).render(ctx.stdout, !args.output.no_headers))
    } else {
        String::new()
    };
    output::print(&format!("{head}\n{rest}{rules}"))
}

fn table(answers: &[Answer]) -> Table {
    let mut table = Table::new(["FORMAT", "KEY", "ANSWER", "REASON, REQUIREMENTS"]);
    for answer in answers {
        let said = match answer.verdict {
            FormatAnswer::Allowed => Cell::toned(Tone::Good, "allowed"),
            FormatAnswer::NeedsApproval => Cell::toned(Tone::Waiting, format!("needs {}", approvals(answer.approvals))),
            FormatAnswer::Refused => Cell::toned(Tone::Bad, "refused"),
            FormatAnswer::Unknown => Cell::toned(Tone::Faint, "unknown"),
        };
        let mut words =
            answer.refused_because.iter().map(|why| why.message.clone()).chain(answer.notes.iter().cloned());
        let key = if answer.holds_key { "yes" } else { "no" };
        table.row([answer.format.into(), key.into(), said, words.next().unwrap_or_default().into()]);
        for more in words {
            table.row(["".into(), "".into(), "".into(), more.into()]);
        }
    }
    table
}

fn approvals(count: i32) -> String {
    if count == 1 { "1 approval".to_owned() } else { format!("{count} approvals") }
}

fn rules(terms: &[Term]) -> Table {
    let mut table = Table::new(["RULE", "VALUE", "BY"]);
    for term in terms {
        table.row([term.field.into(), term.value.as_str().into(), term.by.as_str().into()]);
    }
    table
}
