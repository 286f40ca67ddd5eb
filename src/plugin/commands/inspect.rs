//! `inspect`: what a certificate is made of, as the operator saw it and, for those who may read the Secret, as it is.

mod report;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt as _};

use self::report::{Link, Look, Seen};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        facts::Page,
        output::{self, Format, OutputArgs},
        style::Tone,
        table::{Cell, Table, span},
    },
    values::object_name,
};
use crate::{
    api::{Certificate, Environment},
    cluster::{
        access,
        error::{During as _, in_one_line},
        material::{self, Parts, ReadError},
    },
};

const EXAMPLES: &str = "\
The Secret is read only if you may read it, which the API server is asked before; of its key \
nothing is shown but whether it belongs to the certificate.

Examples:
  kubectl certcourier inspect api
  kubectl certcourier inspect api --environment staging --no-secret
  kubectl certcourier inspect api -o json | jq '.environments[] | {name, daysLeft, warnings}'";

/// Show a certificate: its chain, whether its key fits, the days left, and warnings.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct InspectArgs {
    /// The Certificate.
    #[arg(value_name = "CERTIFICATE", value_parser = object_name)]
    certificate: String,
    /// One environment. Default: all of them.
    #[arg(short, long, value_name = "NAME")]
    environment: Option<String>,
    /// Show what the operator saw, and do not read the Secret though you may.
    #[arg(long)]
    no_secret: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Looks, and prints.
pub async fn run(ctx: &Ctx, args: &InspectArgs) -> Result<(), PluginError> {
    let certificate: Certificate = ctx.one(&args.certificate, "list").await?;
    if args.output.format == Format::Name {
        return args.output.object(&certificate, String::new);
    }
    let environments: Vec<&Environment> = match &args.environment {
        None => certificate.spec.environments.iter().collect(),
        Some(_) => certificate.spec.environment(args.environment.as_deref()).into_iter().collect(),
    };
    if environments.is_empty() {
        let names: Vec<&str> = certificate.spec.environments.iter().map(|one| one.name.as_str()).collect();
        let asked = args.environment.as_deref().unwrap_or_default();
        return Err(PluginError::new(format!("Certificate `{}` has no environment `{asked}`", args.certificate))
            .next(format!("it has {}", names.join(", "))));
    }
    let looks = join_all(environments.iter().map(|environment| look(ctx, args, environment))).await;
    let now = ctx.now();
    let mut seen = Vec::new();
    for (environment, look) in environments.iter().zip(looks) {
        let (look, managed_by) = look?;
        seen.push(Seen { managed_by, ..report::seen(&certificate, environment, &look, now) });
    }
    match args.output.format {
        Format::Json | Format::Yaml => {
            let seen = serde_json::to_value(&seen)
                .map_err(|error| PluginError::new(format!("cannot write this as JSON: {error}")))?;
            args.output.value(&serde_json::json!({
                "certificate": args.certificate, "namespace": ctx.namespace, "environments": seen,
            }))
        }
        _ => {
            let pages: Vec<String> = seen.iter().map(|seen| page(ctx, args, seen)).collect();
            output::print(&pages.join("\n"))
        }
    }
}

/// Into the Secret, if that is allowed and wanted, and at who writes it.
async fn look(ctx: &Ctx, args: &InspectArgs, environment: &Environment) -> Result<(Look, Option<String>), PluginError> {
    if args.no_secret {
        return Ok((Look::NotWanted, None));
    }
    let (client, secret) = (ctx.clients.reads(), &environment.secret_ref.name);
    if !access::caller_may_get_secret(client, &ctx.namespace, secret).await? {
        return Ok((Look::MayNot, None));
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &ctx.namespace);
    let metadata = secrets.get_metadata_opt(secret).await.during("read", || format!("Secret {secret}"))?;
    let managed_by = metadata.and_then(|found| report::managed_by(found.annotations()));
    match material::read(client, &ctx.namespace, environment, Parts::Everything).await {
        Ok(material) => Ok((Look::Material(Box::new(material)), managed_by)),
        Err(ReadError::Problem(problem)) => Ok((Look::Problem(in_one_line(&problem)), managed_by)),
        Err(ReadError::Api(error)) => Err(error.into()),
    }
}

fn page(ctx: &Ctx, args: &InspectArgs, seen: &Seen) -> String {
    let mut page = Page::default();
    page.fact("Certificate", format!("{}/{}", ctx.namespace, args.certificate));
    page.fact("Environment", seen.name.as_str());
    page.fact("Secret", seen.secret.as_str());
    page.fact("Source", seen.from);
    page.maybe("Managed by", seen.managed_by.as_deref());
    page.maybe("Subject", seen.subject.as_deref());
    page.maybe("Issuer", seen.issuer.as_deref());
    if !seen.dns_names.is_empty() {
        page.fact("DNS names", seen.dns_names.join(", "));
    }
    page.maybe("Serial", seen.serial_number.as_deref());
    page.maybe("Key", seen.key_algorithm.as_deref());
    page.fact(
        "Key match",
        match (seen.key_matches, seen.subject.is_some()) {
            (Some(true), _) => Cell::toned(Tone::Good, "yes: it matches the certificate"),
            (Some(false), _) => Cell::toned(Tone::Bad, "no: it belongs to another certificate"),
            (None, _) => Cell::toned(Tone::Waiting, "not known"),
        },
    );
    page.maybe("Valid from", seen.not_before.map(|from| from.to_string()));
    page.maybe(
        "Valid until",
        seen.not_after
            .map(|until| if until.is_never() { format!("{until}, which means never") } else { until.to_string() }),
    );
    page.maybe("Days left", seen.days_left.map(|days| Cell::toned(report::tone(days), days.to_string())));
    page.maybe("SHA-256", seen.sha256_fingerprint.as_deref());
    page.maybe("Chain", seen.chain_length.map(|length| format!("{length} between leaf and root")));
    page.table("Certificates", links(&seen.chain, ctx.now()));
    page.facts("Warnings", seen.warnings.iter().map(|warning| Cell::toned(Tone::Waiting, warning.as_str())).collect());
    page.render(ctx.stdout)
}

fn links(chain: &[Link], now: jiff::Timestamp) -> Table {
    let mut table = Table::new(["", "SUBJECT", "KEY", "EXPIRES", "SHA-256"]);
    for link in chain {
        let expires = link.not_after.map(|end| {
            let left = end.duration_since(now);
            if end.is_never() {
                return "never".to_owned();
            }
            if left.is_negative() { format!("{} ago", span(left)) } else { format!("in {}", span(left)) }
        });
        table.row([
            link.place.into(),
            link.subject.as_str().into(),
            link.key_algorithm.as_str().into(),
            Cell::from(expires.as_deref()),
            link.sha256_fingerprint.as_str().into(),
        ]);
    }
    table
}
