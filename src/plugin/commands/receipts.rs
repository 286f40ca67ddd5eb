//! `receipts`: what was delivered, to whom, with which approvals.

use std::str::FromStr;

use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};

use crate::api::{DownloadReceipt, Duration, Outcome};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        output::OutputArgs,
        style::Tone,
        table::{Cell, Table, span},
    },
    values::object_name,
};

const EXAMPLES: &str = "\
Examples:
  kubectl certcourier receipts                               of this namespace, the newest last
  kubectl certcourier receipts -A --since 24h -o wide
  kubectl certcourier receipts --certificate api --by alice -o json
  kubectl certcourier receipts r-6b0c1d0e7a51 -o yaml        one of them, whole";

/// List the record: what was delivered, to whom, when. ClusterRole certcourier-auditor reads it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ReceiptsArgs {
    /// One receipt.
    #[arg(value_name = "RECEIPT", value_parser = object_name)]
    receipt: Option<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "receipt")]
    all_namespaces: bool,
    /// Deliveries of this Certificate.
    #[arg(long, value_name = "CERTIFICATE", value_parser = object_name, conflicts_with = "receipt")]
    certificate: Option<String>,
    /// The delivery of this request.
    #[arg(long, value_name = "REQUEST", value_parser = object_name, conflicts_with = "receipt")]
    request: Option<String>,
    /// Deliveries that this user asked for.
    #[arg(long, value_name = "USER", conflicts_with = "receipt")]
    by: Option<String>,
    /// Deliveries since a time such as 2026-11-22T18:00:00Z, or in a duration up to now such as 24h.
    #[arg(long, value_name = "TIME", conflicts_with = "receipt")]
    since: Option<Since>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A moment, or a length of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    At(Timestamp),
    Past(Duration),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let past = text.parse().map(Self::Past);
        past.or_else(|_| text.parse().map(Self::At))
            .map_err(|_| "write a time such as 2026-11-22T18:00:00Z, or a duration up to now such as 24h".to_owned())
    }
}

impl Since {
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Past(span) => now.checked_sub(span.get()).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Prints the record.
pub async fn run(ctx: &Ctx, args: &ReceiptsArgs) -> Result<(), PluginError> {
    let mut found = if let Some(name) = &args.receipt {
        vec![ctx.one::<DownloadReceipt>(name, "receipts").await?]
    } else {
        let fields = [("spec.certificateRef.name", &args.certificate), ("spec.requestRef.name", &args.request)];
        let fields: Vec<String> =
            fields.iter().filter_map(|(field, name)| Some(format!("{field}={}", name.as_ref()?))).collect();
        let field_selector = (!fields.is_empty()).then(|| fields.join(","));
        ctx.all(args.all_namespaces, ListParams { field_selector, ..ListParams::default() }).await?
    };
    let since = args.since.map(|since| since.from(ctx.now()));
    found.retain(|receipt: &DownloadReceipt| {
        // A user name may hold what a field selector takes for itself, so it is compared here.
        let by = receipt.spec.requested_by.as_ref().map(|by| by.username.as_str());
        args.by.as_deref().is_none_or(|wanted| by == Some(wanted))
            && since.is_none_or(|since| receipt.spec.consumed_at.0 >= since)
    });
    found.sort_by_key(|receipt| receipt.spec.consumed_at.0);
    let table = || table(&found, args, ctx.now());
    if args.receipt.is_some()
        && let [receipt] = found.as_slice()
    {
        return args.output.object(receipt, || table().render(ctx.stdout, !args.output.no_headers));
    }
    let place = if args.all_namespaces { String::new() } else { format!(" in namespace {}", ctx.namespace) };
    args.output.objects(ctx, &found, table, &format!("No receipts found{place}."))
}

fn table(found: &[DownloadReceipt], args: &ReceiptsArgs, now: Timestamp) -> Table {
    let mut head = Vec::new();
    head.extend(args.all_namespaces.then_some("NAMESPACE"));
    head.extend(["NAME", "CERTIFICATE", "FORMAT", "BY", "OUTCOME", "REQUEST", "AGE"]);
    if args.output.wide() {
        head.extend(["ENVIRONMENT", "CLIENT", "APPROVED BY", "BYTES", "SHA256", "RETAIN UNTIL"]);
    }
    let mut table = Table::new(head);
    for receipt in found {
        let spec = &receipt.spec;
        let mut row = Vec::new();
        row.extend(args.all_namespaces.then(|| receipt.namespace().unwrap_or_default().into()));
        row.extend([receipt.name_any().into(), spec.certificate_ref.name.as_str().into(), spec.format.name().into()]);
        row.push(Cell::from(spec.requested_by.as_ref().map(|by| by.username.as_str())));
        row.push(outcome(receipt.status.as_ref().and_then(|status| status.outcome)));
        row.push(spec.request_ref.name.as_str().into());
        row.push(span(now.duration_since(spec.consumed_at.0)).into());
        if args.output.wide() {
            let approvers: Vec<&str> = spec.approvals.iter().map(|by| by.username.as_str()).collect();
            row.push(Cell::from(spec.environment.as_deref()));
            row.push(Cell::from(spec.client_ip.as_deref()));
            row.push(Cell::from((!approvers.is_empty()).then(|| approvers.join(", ")).as_deref()));
            row.push(spec.artifact.bytes.to_string().into());
            row.push(spec.artifact.sha256.as_str().into());
            row.push(spec.retain_until.0.to_string().into());
        }
        table.row(row);
    }
    table
}

fn outcome(outcome: Option<Outcome>) -> Cell {
    match outcome {
        Some(Outcome::Delivered) => Cell::toned(Tone::Good, Outcome::Delivered.name()),
        Some(Outcome::Aborted) => Cell::toned(Tone::Bad, "Aborted"),
        Some(Outcome::Unknown) => Cell::toned(Tone::Bad, "Unknown"),
        None => Cell::toned(Tone::Waiting, "UnderWay"),
    }
}
