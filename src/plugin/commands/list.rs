//! `list`: the Certificates there are, or the requests.

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use kube::{ResourceExt as _, api::ListParams};

use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        output::OutputArgs,
        style::Tone,
        table::{Cell, Table, age, span},
    },
    request::review::toned,
    values::object_name,
};
use crate::{
    api::{Certificate, Delivery, DownloadRequest, EnvironmentStatus},
    cluster::{access, error::During as _},
    lifecycle::Tally,
};

/// Fewer days than this, and the date strikes.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

const EXAMPLES: &str = "\
Examples:
  kubectl certcourier list -n payments                   Certificates, an environment each line
  kubectl certcourier list -A -o wide
  kubectl certcourier list requests --mine
  kubectl certcourier list requests --open --certificate api -o name";

/// List Certificates, or requests.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ListArgs {
    /// What to list.
    #[arg(value_enum, default_value_t)]
    what: What,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Requests for this Certificate.
    #[arg(long, value_name = "CERTIFICATE", value_parser = object_name)]
    certificate: Option<String>,
    /// Requests of your own.
    #[arg(long)]
    mine: bool,
    /// Requests that are not closed.
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum What {
    /// What can be asked for.
    #[default]
    #[value(aliases = ["certificate", "ccert", "ccerts"])]
    Certificates,
    /// What was asked for.
    #[value(aliases = ["request", "dlr", "dlrs"])]
    Requests,
}

/// Prints the list.
pub async fn run(ctx: &Ctx, args: &ListArgs) -> Result<(), PluginError> {
    match args.what {
        What::Certificates => certificates(ctx, args).await,
        What::Requests => requests(ctx, args).await,
    }
}

async fn certificates(ctx: &Ctx, args: &ListArgs) -> Result<(), PluginError> {
    for (flag, given) in [("--mine", args.mine), ("--open", args.open), ("--certificate", args.certificate.is_some())] {
        if given {
            return Err(PluginError::usage(format!("{flag} chooses among requests: write `list requests {flag}`")));
        }
    }
    let found: Vec<Certificate> = ctx.all(args.all_namespaces, ListParams::default()).await?;
    let table = || certificate_table(&found, args, ctx.now());
    args.output.objects(ctx, &found, table, &none(ctx, args, "Certificates"))
}

fn none(ctx: &Ctx, args: &ListArgs, what: &str) -> String {
    if args.all_namespaces {
        format!("No {what} found.")
    } else {
        format!("No {what} found in namespace {}.", ctx.namespace)
    }
}

fn certificate_table(found: &[Certificate], args: &ListArgs, now: Timestamp) -> Table {
    let mut head = Vec::new();
    head.extend(args.all_namespaces.then_some("NAMESPACE"));
    head.extend(["NAME", "ENVIRONMENT", "STATE", "EXPIRES", "SUBJECT"]);
    if args.output.wide() {
        head.extend(["ISSUER", "KEY", "SERIAL", "SHA256"]);
    }
    let mut table = Table::new(head);
    for certificate in found {
        let seen = certificate.status.as_ref().map(|status| status.environments.as_slice()).unwrap_or_default();
        for environment in &certificate.spec.environments {
            let status = seen.iter().find(|status| status.name == environment.name);
            let mut row = Vec::new();
            row.extend(args.all_namespaces.then(|| certificate.namespace().unwrap_or_default().into()));
            row.extend([certificate.name_any().into(), environment.name.as_str().into()]);
            row.extend([state(status), expires(status, now), known(status, |status| &status.subject)]);
            if args.output.wide() {
                row.push(known(status, |status| &status.issuer));
                row.push(known(status, |status| &status.key_algorithm));
                row.push(known(status, |status| &status.serial_number));
                row.push(known(status, |status| &status.sha256_fingerprint));
            }
            table.row(row);
        }
    }
    table
}

fn state(status: Option<&EnvironmentStatus>) -> Cell {
    match status {
        None => Cell::toned(Tone::Waiting, "NotSeenYet"),
        Some(EnvironmentStatus { reason: Some(reason), .. }) => Cell::toned(Tone::Bad, reason.as_str()),
        Some(_) => Cell::toned(Tone::Good, "Usable"),
    }
}

fn expires(status: Option<&EnvironmentStatus>, now: Timestamp) -> Cell {
    let Some(end) = status.and_then(|status| status.not_after) else { return Cell::from(None) };
    match end.duration_since(now) {
        _ if end.is_never() => Cell::from("never"),
        left if left.is_negative() => Cell::toned(Tone::Bad, format!("{} ago", span(left))),
        left if left < SOON => Cell::toned(Tone::Waiting, format!("in {}", span(left))),
        left => Cell::from(format!("in {}", span(left))),
    }
}

fn known(status: Option<&EnvironmentStatus>, field: impl Fn(&EnvironmentStatus) -> &Option<String>) -> Cell {
    Cell::from(status.and_then(|status| field(status).as_deref()))
}

async fn requests(ctx: &Ctx, args: &ListArgs) -> Result<(), PluginError> {
    let mut fields = Vec::new();
    fields.extend(args.certificate.as_ref().map(|name| format!("spec.certificateRef.name={name}")));
    let mine = if args.mine {
        Some(access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?)
    } else {
        None
    };
    let params = ListParams { field_selector: (!fields.is_empty()).then(|| fields.join(",")), ..ListParams::default() };
    let mut found: Vec<DownloadRequest> = ctx.all(args.all_namespaces, params).await?;
    // A user name may hold what a field selector takes for itself, so it is compared here.
    found.retain(|request| {
        let phase = request.phase();
        let by = request.spec.requested_by.as_ref().map(|by| by.username.as_str());
        (!args.open || phase.is_open()) && mine.as_ref().is_none_or(|mine| by == Some(mine.username.as_str()))
    });
    let table = || request_table(&found, args, ctx.now());
    args.output.objects(ctx, &found, table, &none(ctx, args, "requests"))
}

fn request_table(found: &[DownloadRequest], args: &ListArgs, now: Timestamp) -> Table {
    let mut head = Vec::new();
    head.extend(args.all_namespaces.then_some("NAMESPACE"));
    head.extend(["NAME", "CERTIFICATE", "FORMAT", "REQUESTER", "PHASE", "APPROVALS", "AGE"]);
    if args.output.wide() {
        head.extend(["ENVIRONMENT", "DELIVERY", "TOKEN UNTIL", "REASON"]);
    }
    let mut table = Table::new(head);
    for request in found {
        let (spec, status) = (&request.spec, request.status.as_ref());
        let approvals = Tally::shown(request).map(|tally| tally.summary());
        let created = request.metadata.creation_timestamp.as_ref().map(|created| created.0);
        let mut row = Vec::new();
        row.extend(args.all_namespaces.then(|| request.namespace().unwrap_or_default().into()));
        row.extend([request.name_any().into(), spec.certificate_ref.name.as_str().into(), spec.format.name().into()]);
        row.push(Cell::from(spec.requested_by.as_ref().map(|by| by.username.as_str())));
        row.push(toned(status.and_then(|status| status.phase).unwrap_or_default()));
        row.push(Cell::from(approvals.as_deref().filter(|summary| !summary.is_empty())));
        row.push(age(created, now));
        if args.output.wide() {
            let until = status.and_then(|status| status.token.as_ref()).and_then(|token| token.expires_at.as_ref());
            let delivery = match spec.delivery.unwrap_or_default() {
                Delivery::Secret => "Secret",
                Delivery::Claim => "Claim",
            };
            row.push(Cell::from(spec.environment.as_deref()));
            row.push(delivery.into());
            row.push(until.map_or_else(|| Cell::from(None), |until| Cell::from(until.0.to_string())));
            row.push(Cell::from(spec.reason.as_deref()));
        }
        table.row(row);
    }
    table
}
