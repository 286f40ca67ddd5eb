//! `adopt`: Certificates for what is there already, written with the rights of the user who runs it.
//!
//! It may be run again and again: what a Certificate has already is left alone, and nothing is ever overwritten.

mod plan;
mod source;

use std::collections::BTreeSet;

use clap::ValueEnum;
use futures::{StreamExt as _, stream};
use kube::{Api, ResourceExt as _, api::ListParams, api::PostParams};

use self::plan::{Plan, Skipped};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        output::{self, Format, OutputArgs},
        style::Tone,
        table::{Cell, Table},
    },
    values::namespace,
};
use crate::{
    api::Certificate,
    cluster::error::{During as _, Failure},
};

/// So many are written at once.
const WRITERS: usize = 8;
/// Who wrote it, in metadata.managedFields.
const FIELD_MANAGER: &str = "kubectl-certcourier";

const EXAMPLES: &str = "\
A Certificate is made for each Secret of type kubernetes.io/tls, or each Certificate of \
cert-manager, and named like it. You must be allowed to read the Secrets that it names: admission \
checks that. Their content is not asked for.

With --environments production,staging, api-production-tls and api-staging-tls become one \
Certificate api-tls with two environments.

Examples:
  kubectl certcourier adopt -n payments --dry-run
  kubectl certcourier adopt -n payments --dry-run -o yaml >certificates.yaml
  kubectl certcourier adopt -A --from certificates.cert-manager.io
  kubectl certcourier adopt -n payments --environments production,staging";

/// Write Certificates for the TLS Secrets, or cert-manager Certificates, that are there already.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct AdoptArgs {
    /// In all namespaces but the operator's own.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// secrets of type kubernetes.io/tls, or certificates.cert-manager.io.
    #[arg(long, value_name = "KIND", value_enum, default_value_t, hide_possible_values = true)]
    from: From,
    /// What the one environment of each Certificate is called.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = environment)]
    environment: String,
    /// Names that differ only in one of these words become one Certificate with these environments.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = environment)]
    environments: Vec<String>,
    /// Write nothing: `client` prints what would be written, `server` also has the API server check it.
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_value = "none",
        default_missing_value = "client",
        hide_possible_values = true
    )]
    dry_run: DryRun,
    #[command(flatten)]
    output: OutputArgs,
}

/// What is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// Secrets of type kubernetes.io/tls.
    #[default]
    Secrets,
    /// Certificates of cert-manager.
    #[value(name = "certificates.cert-manager.io")]
    CertManager,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    None,
    Client,
    Server,
}

fn environment(text: &str) -> Result<String, String> {
    namespace(text).map_err(|_| "write the name of an environment, such as production".to_owned())
}

/// What became of one Certificate.
enum Done {
    Written(Box<Certificate>),
    Skipped(Skipped),
    Failed(PluginError),
}

/// Looks, plans, writes, and says what became of each.
pub async fn run(ctx: &Ctx, args: &AdoptArgs) -> Result<(), PluginError> {
    let certificates = ctx.all::<Certificate>(args.all_namespaces, ListParams::default());
    let (existing, found) = tokio::join!(certificates, source::found(ctx, args.from, args.all_namespaces));
    let (existing, found) = (existing?, found?);
    let apart = args.all_namespaces.then_some(ctx.global.operator_namespace());
    let words = plan::Words { single: &args.environment, several: &args.environments };
    let Plan { write, mut skipped } = plan::plan(&found, &existing, &words, apart);
    if args.dry_run == DryRun::None {
        ctx.resume_by(format!("run it again: what is written stays, and is skipped ({})", ctx.flags()));
    }
    let mut written = Vec::new();
    let mut failed = 0_usize;
    let mut writing = stream::iter(write).map(|certificate| one(ctx, args.dry_run, certificate)).buffered(WRITERS);
    while let Some(done) = writing.next().await {
        match done {
            Done::Written(certificate) => written.push(*certificate),
            Done::Skipped(skip) => skipped.push(skip),
            Done::Failed(error) => {
                output::complain(&error);
                failed += 1;
            }
        }
    }
    skipped.sort();
    for skip in &skipped {
        ctx.say(&format!("skipped {skip}"))?;
    }
    print(ctx, args, &written)?;
    match failed {
        0 => Ok(()),
        _ => Err(PluginError::new(format!("{failed} of {} Certificates could not be written", failed + written.len()))),
    }
}

async fn one(ctx: &Ctx, dry_run: DryRun, certificate: Certificate) -> Done {
    if dry_run == DryRun::Client {
        return Done::Written(Box::new(certificate));
    }
    let (namespace, name) = (certificate.namespace().unwrap_or_default(), certificate.name_any());
    let api: Api<Certificate> = Api::namespaced(ctx.clients.writes().clone(), &namespace);
    let params = PostParams { dry_run: dry_run == DryRun::Server, field_manager: Some(FIELD_MANAGER.to_owned()) };
    let created = api.create(&params, &certificate).await;
    match created.during("create", || format!("Certificate {namespace}/{name}")) {
        Ok(created) => Done::Written(Box::new(created)),
        // Someone was faster.
        Err(error) if error.failure() == Failure::Conflict => {
            let why = format!("there is a Certificate `{name}` already");
            Done::Skipped(Skipped { namespace, what: format!("Certificate {name}"), why })
        }
        Err(error) => Done::Failed(error.into()),
    }
}

fn print(ctx: &Ctx, args: &AdoptArgs, written: &[Certificate]) -> Result<(), PluginError> {
    let place = if args.all_namespaces { "all namespaces".to_owned() } else { format!("namespace {}", ctx.namespace) };
    let none = format!("Nothing to adopt in {place}.");
    if matches!(args.output.format, Format::Yaml | Format::Json) && written.is_empty() {
        ctx.say(&none)?;
    }
    if args.output.format == Format::Yaml && args.dry_run == DryRun::Client {
        return manifests(written);
    }
    args.output.objects(ctx, written, || table(args, written), &none)
}

/// Documents for a file in Git: what a person would write, and nothing of a list.
fn manifests(written: &[Certificate]) -> Result<(), PluginError> {
    for value in output::values(written)? {
        let text = serde_saphyr::to_string(&value);
        let text = text.map_err(|error| PluginError::new(format!("cannot write this as YAML: {error}")))?;
        output::print(&format!("---\n{text}"))?;
    }
    Ok(())
}

fn table(args: &AdoptArgs, written: &[Certificate]) -> Table {
    let mut head = Vec::new();
    head.extend(args.all_namespaces.then_some("NAMESPACE"));
    head.extend(["NAME", "ENVIRONMENTS", "RESULT"]);
    let mut table = Table::new(head);
    for certificate in written {
        let environments = certificate.spec.environments.iter();
        let environments: BTreeSet<String> =
            environments.map(|one| format!("{}={}", one.name, one.secret_ref.name)).collect();
        let mut row = Vec::new();
        row.extend(args.all_namespaces.then(|| certificate.namespace().unwrap_or_default().into()));
        row.push(certificate.name_any().into());
        row.push(environments.into_iter().collect::<Vec<_>>().join(",").into());
        row.push(match args.dry_run {
            DryRun::None => Cell::toned(Tone::Good, "created"),
            DryRun::Client => Cell::toned(Tone::Faint, "created (dry run)"),
            DryRun::Server => Cell::toned(Tone::Faint, "created (server dry run)"),
        });
        table.row(row);
    }
    table
}
