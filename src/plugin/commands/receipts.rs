//! `receipts`: what was delivered, to whom, with which approvals.

use std::str::FromStr;

use clap::ValueEnum;
use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};

use crate::api::{DownloadReceipt, Duration, Outcome, csv};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        output::{Format, OutputArgs, print},
        sort::SortBy,
        style::Tone,
        table::{Cell, Table, span},
    },
    values::object_name,
};

const EXAMPLES: &str = "\
`kubectl certcourier describe RECEIPT` shows one whole: who asked, who approved and why, fingerprints, from where. csv is \
RFC 4180 and has everything; what a spreadsheet would run as a formula is shown as text.

Examples:
  kubectl certcourier receipts                               of this namespace, the newest last
  kubectl certcourier receipts -A --since 24h -o wide
  kubectl certcourier receipts -A --since 2026-10-01T00:00:00Z --until 2026-11-01T00:00:00Z -o csv
  kubectl certcourier receipts --certificate api --by alice --outcome aborted -o json";

/// List the record: what was delivered, to whom, when (for auditors).
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ReceiptsArgs {
    /// The receipts. Default: all of them.
    #[arg(value_name = "RECEIPT", value_parser = object_name)]
    receipts: Vec<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "receipts")]
    all_namespaces: bool,
    /// Those with these labels, such as app=web.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "receipts")]
    selector: Option<String>,
    /// Deliveries of this Certificate.
    #[arg(long, value_name = "CERTIFICATE", value_parser = object_name, conflicts_with = "receipts")]
    certificate: Option<String>,
    /// The delivery of this request.
    #[arg(long, value_name = "REQUEST", value_parser = object_name, conflicts_with = "receipts")]
    request: Option<String>,
    /// Deliveries that this user asked for.
    #[arg(long, value_name = "USER", conflicts_with = "receipts")]
    by: Option<String>,
    /// Deliveries that ended so: delivered, aborted, or unknown.
    #[arg(
        long,
        value_name = "OUTCOME",
        value_enum,
        ignore_case = true,
        hide_possible_values = true,
        conflicts_with = "receipts"
    )]
    outcome: Option<Ended>,
    /// Deliveries since a time such as 2026-11-22T18:00:00Z, or in a duration up to now such as 24h.
    #[arg(long, value_name = "TIME", conflicts_with = "receipts")]
    since: Option<Moment>,
    /// Deliveries before a time, or longer ago than a duration.
    #[arg(long, value_name = "TIME", conflicts_with = "receipts")]
    until: Option<Moment>,
    /// Sort by a field, the smallest or oldest first. Default: by .spec.consumedAt.
    #[arg(long, value_name = "PATH")]
    sort_by: Option<SortBy>,
    /// table, wide, csv, json, yaml or name.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    output: Printed,
    /// Leave out the header of a table, or of csv.
    #[arg(long)]
    no_headers: bool,
}

/// How receipts are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Printed {
    #[default]
    Table,
    Wide,
    Csv,
    Json,
    Yaml,
    Name,
}

impl From<Format> for Printed {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Table,
            Format::Wide => Self::Wide,
            Format::Json => Self::Json,
            Format::Yaml => Self::Yaml,
            Format::Name => Self::Name,
        }
    }
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Ended {
    Delivered,
    Aborted,
    Unknown,
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Delivered => Self::Delivered,
            Ended::Aborted => Self::Aborted,
            Ended::Unknown => Self::Unknown,
        }
    }
}

impl ReceiptsArgs {
    /// What `list receipts` asks for.
    pub fn listed(
        receipts: Vec<String>,
        all_namespaces: bool,
        selector: Option<String>,
        certificate: Option<String>,
        sort_by: Option<SortBy>,
        output: &OutputArgs,
    ) -> Self {
        let (printed, no_headers) = (output.format.into(), output.no_headers);
        Self {
            receipts,
            all_namespaces,
            selector,
            certificate,
            sort_by,
            output: printed,
            no_headers,
            ..Self::default()
        }
    }

    fn printing(&self) -> OutputArgs {
        let format = match self.output {
            Printed::Table | Printed::Csv => Format::Table,
            Printed::Wide => Format::Wide,
            Printed::Json => Format::Json,
            Printed::Yaml => Format::Yaml,
            Printed::Name => Format::Name,
        };
        OutputArgs { format, no_headers: self.no_headers }
    }
}

/// A moment, or a length of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    At(Timestamp),
    Past(Duration),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let past = text.parse().map(Self::Past);
        past.or_else(|_| text.parse().map(Self::At))
            .map_err(|_| "write a time such as 2026-11-22T18:00:00Z, or a duration up to now such as 24h".to_owned())
    }
}

impl Moment {
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Past(span) => now.checked_sub(span.get()).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Prints the record.
pub async fn run(ctx: &Ctx, args: &ReceiptsArgs) -> Result<(), PluginError> {
    let mut found = Vec::new();
    for name in &args.receipts {
        found.push(ctx.one::<DownloadReceipt>(name, "receipts").await?);
    }
    if args.receipts.is_empty() {
        let params =
            ListParams { field_selector: fields(args), label_selector: args.selector.clone(), ..ListParams::default() };
        found = ctx.all(args.all_namespaces, params).await?;
    }
    let (since, until) = (args.since.map(|at| at.from(ctx.now())), args.until.map(|at| at.from(ctx.now())));
    found.retain(|receipt: &DownloadReceipt| {
        // A user name may hold what a field selector takes for itself, so it is compared here.
        let by = receipt.spec.requested_by.as_ref().map(|by| by.username.as_str());
        let at = receipt.spec.consumed_at.0;
        args.by.as_deref().is_none_or(|wanted| by == Some(wanted))
            && since.is_none_or(|since| at >= since)
            && until.is_none_or(|until| at < until)
    });
    found.sort_by_key(|receipt| receipt.spec.consumed_at.0);
    if let Some(sort_by) = &args.sort_by {
        found = sort_by.sort(found)?;
    }
    if args.output == Printed::Csv {
        let head = if args.no_headers { String::new() } else { csv::line(DownloadReceipt::COLUMNS) };
        let lines: String = found.iter().map(|receipt| csv::line(receipt.record())).collect();
        return print(&(head + &lines));
    }
    let table = || table(&found, args, ctx.now());
    if args.receipts.len() == 1
        && let [receipt] = found.as_slice()
    {
        return args.printing().object(receipt, || table().fitted(ctx.stdout, !args.no_headers, ctx.width));
    }
    let place = if args.all_namespaces { String::new() } else { format!(" in namespace {}", ctx.namespace) };
    args.printing().objects(ctx, &found, table, &format!("No receipts found{place}."))
}

fn fields(args: &ReceiptsArgs) -> Option<String> {
    let outcome = args.outcome.map(|ended| Outcome::from(ended).name().to_owned());
    let fields = [
        ("spec.certificateRef.name", &args.certificate),
        ("spec.requestRef.name", &args.request),
        ("status.outcome", &outcome),
    ];
    let fields: Vec<String> =
        fields.iter().filter_map(|(field, wanted)| Some(format!("{field}={}", wanted.as_ref()?))).collect();
    (!fields.is_empty()).then(|| fields.join(","))
}

fn table(found: &[DownloadReceipt], args: &ReceiptsArgs, now: Timestamp) -> Table {
    let mut head = Vec::new();
    head.extend(args.all_namespaces.then_some("NAMESPACE"));
    head.extend(["NAME", "CERTIFICATE", "FORMAT", "BY", "OUTCOME", "REQUEST", "AGE"]);
    if args.printing().wide() {
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
        if args.printing().wide() {
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
