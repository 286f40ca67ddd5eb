//! `list`, also `get` and `ls`: the Certificates there are, or the requests. `run` hands receipts to their own command.

use std::fmt::Debug;

use jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt as _, api::ListParams, core::NamespaceResourceScope, runtime::watcher};
use serde::{Serialize, de::DeserializeOwned};

use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        output::{self, Format, OutputArgs, print},
        sort::SortBy,
        style::Tone,
        table::{Cell, Table, age, span},
    },
    request::review::toned,
    values::{Kind, Listed, object_name},
    watch::{Seen, Watch},
};
use crate::{
    api::{Certificate, Delivery, DownloadRequest, EnvironmentStatus, words::ConditionType},
    cluster::{access, error::During as _},
    lifecycle::Tally,
};

/// Fewer days than this, and the date strikes.
const SOON: SignedDuration = SignedDuration::from_hours(30 * 24);

const EXAMPLES: &str = "\
KIND is certificates (the default; also ccert), requests (dlr) or receipts (dlrc). As in kubectl, the order is by name, \
and --sort-by takes the path of a field: by .metadata.creationTimestamp the newest is last.

Examples:
  kubectl certcourier list -n payments                   Certificates, an environment each line
  kubectl certcourier get requests api-key-x7k2p -o yaml
  kubectl certcourier list requests --mine --open --watch
  kubectl certcourier list requests -A --sort-by .metadata.creationTimestamp
  kubectl certcourier list requests -l app=web --certificate api -o name";

/// List Certificates, requests or receipts.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ListArgs {
    /// What to list; one object also as KIND/NAME.
    #[arg(value_name = "KIND")]
    what: Option<Listed>,
    /// Objects of that kind. Default: all of them.
    #[arg(value_name = "NAME", value_parser = object_name)]
    names: Vec<String>,
    /// In all namespaces.
    #[arg(short = 'A', long, conflicts_with = "names")]
    all_namespaces: bool,
    /// Those with these labels, such as app=web.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "names")]
    selector: Option<String>,
    #[command(flatten)]
    which: WhichArgs,
    /// Sort by a field, the smallest or oldest first, such as .metadata.creationTimestamp. Default: by name.
    #[arg(long, value_name = "PATH", conflicts_with = "watch")]
    sort_by: Option<SortBy>,
    /// List, then print each change until Ctrl-C.
    #[arg(short, long, conflicts_with = "names")]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which requests.
#[derive(Debug, clap::Args)]
pub struct WhichArgs {
    /// Requests for this Certificate.
    #[arg(long, value_name = "CERTIFICATE", value_parser = object_name, conflicts_with = "names")]
    certificate: Option<String>,
    /// Requests of your own.
    #[arg(long, conflicts_with = "names")]
    mine: bool,
    /// Requests that are not closed.
    #[arg(long, conflicts_with = "names")]
    open: bool,
}

/// What `receipts` is asked for, where `list` is asked for it.
pub struct OfReceipts {
    pub names: Vec<String>,
    pub all_namespaces: bool,
    pub selector: Option<String>,
    pub certificate: Option<String>,
    pub sort_by: Option<SortBy>,
    pub output: OutputArgs,
}

impl ListArgs {
    fn kind(&self) -> Kind {
        self.what.as_ref().map(|listed| listed.kind).unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        let first = self.what.as_ref().and_then(|listed| listed.name.clone());
        first.into_iter().chain(self.names.iter().cloned()).collect()
    }

    /// Whether it is about receipts, and which.
    ///
    /// # Errors
    /// When a flag is not for receipts.
    pub fn of_receipts(&self) -> Result<Option<OfReceipts>, PluginError> {
        if self.kind() != Kind::Receipts {
            return Ok(None);
        }
        for (flag, given) in [("--mine", self.which.mine), ("--open", self.which.open), ("--watch", self.watch)] {
            if given {
                return Err(PluginError::usage(format!("{flag} is not for receipts"))
                    .next("`kubectl certcourier receipts --help` has what chooses among them"));
            }
        }
        Ok(Some(OfReceipts {
            names: self.names(),
            all_namespaces: self.all_namespaces,
            selector: self.selector.clone(),
            certificate: self.which.certificate.clone(),
            sort_by: self.sort_by.clone(),
            output: self.output.clone(),
        }))
    }
}

/// Prints the list.
pub async fn run(ctx: &Ctx, args: &ListArgs) -> Result<(), PluginError> {
    match args.kind() {
        Kind::Certificates => {
            only_of_requests(args)?;
            let table = |found: &[Certificate]| certificate_table(found, args, ctx.now());
            shown(ctx, args, "list", None, &|_: &Certificate| true, &table).await
        }
        _ => requests(ctx, args).await,
    }
}

fn only_of_requests(args: &ListArgs) -> Result<(), PluginError> {
    for (flag, given) in
        [("--mine", args.which.mine), ("--open", args.which.open), ("--certificate", args.which.certificate.is_some())]
    {
        if given {
            return Err(PluginError::usage(format!("{flag} chooses among requests: write `list requests {flag}`")));
        }
    }
    Ok(())
}

/// Prints those that are named, or all that are wanted, once or for as long as someone watches.
async fn shown<K>(
    ctx: &Ctx,
    args: &ListArgs,
    list: &str,
    fields: Option<String>,
    wanted: &(impl Fn(&K) -> bool + Sync),
    table: &(impl Fn(&[K]) -> Table + Sync),
) -> Result<(), PluginError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + 'static,
{
    let names = args.names();
    if args.watch {
        if !names.is_empty() {
            return Err(PluginError::usage("--watch is for lists: leave the name out, or `wait` for one request"));
        }
        return watched(ctx, args, fields, wanted, table).await;
    }
    let mut found = Vec::new();
    let mut failed = None;
    for name in &names {
        match ctx.one::<K>(name, list).await {
            Ok(object) => found.push(object),
            Err(error) => {
                if let Some(earlier) = failed.replace(error) {
                    output::complain(&earlier);
                }
            }
        }
    }
    if names.is_empty() {
        let params =
            ListParams { field_selector: fields, label_selector: args.selector.clone(), ..ListParams::default() };
        found = ctx.all(args.all_namespaces, params).await?;
        found.retain(wanted);
    }
    if let Some(sort_by) = &args.sort_by {
        found = sort_by.sort(found)?;
    }
    match (names.as_slice(), found.as_slice()) {
        ([_], [one]) => {
            let text = || table(&found).fitted(ctx.stdout, !args.output.no_headers, ctx.width);
            args.output.object(one, text)?;
        }
        ([], _) | (_, [_, ..]) => args.output.objects(ctx, &found, || table(&found), &none::<K>(ctx, args))?,
        _ => {}
    }
    failed.map_or(Ok(()), Err)
}

fn none<K: Resource<DynamicType = ()>>(ctx: &Ctx, args: &ListArgs) -> String {
    let what = if args.kind() == Kind::Requests { "requests".to_owned() } else { format!("{}s", K::kind(&())) };
    if args.all_namespaces {
        format!("No {what} found.")
    } else {
        format!("No {what} found in namespace {}.", ctx.namespace)
    }
}

/// Prints what is there, then each change on a line of its own.
async fn watched<K>(
    ctx: &Ctx,
    args: &ListArgs,
    fields: Option<String>,
    wanted: &(impl Fn(&K) -> bool + Sync),
    table: &(impl Fn(&[K]) -> Table + Sync),
) -> Result<(), PluginError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + 'static,
{
    let config =
        watcher::Config { label_selector: args.selector.clone(), field_selector: fields, ..watcher::Config::default() };
    let mut watch: Watch<'_, K> = Watch::begin(ctx, args.all_namespaces, config);
    let mut widths = Vec::new();
    let mut head = !args.output.no_headers;
    loop {
        let mut objects = match watch.next().await? {
            Seen::First(objects) => objects,
            Seen::Changed(object) => vec![*object],
            Seen::Gone(object) => {
                ctx.say(&format!("{} is gone", output::name(&*object)))?;
                continue;
            }
        };
        objects.retain(wanted);
        if objects.is_empty() {
            continue;
        }
        if matches!(args.output.format, Format::Table | Format::Wide) {
            let (text, used) = table(&objects).followed(ctx.stdout, head, &widths);
            (widths, head) = (used, false);
            print(&text)?;
        } else {
            for object in &objects {
                args.output.object(object, String::new)?;
            }
        }
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
    let fields = args.which.certificate.as_ref().map(|name| format!("spec.certificateRef.name={name}"));
    let mine = if args.which.mine {
        Some(access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?)
    } else {
        None
    };
    // A user name may hold what a field selector takes for itself, so it is compared here.
    let wanted = |request: &DownloadRequest| {
        let by = request.spec.requested_by.as_ref().map(|by| by.username.as_str());
        (!args.which.open || request.phase().is_open())
            && mine.as_ref().is_none_or(|mine| by == Some(mine.username.as_str()))
    };
    let table = |found: &[DownloadRequest]| request_table(found, args, ctx.now());
    shown(ctx, args, "list requests", fields, &wanted, &table).await
}

fn request_table(found: &[DownloadRequest], args: &ListArgs, now: Timestamp) -> Table {
    let mut head = Vec::new();
    head.extend(args.all_namespaces.then_some("NAMESPACE"));
    head.extend(["NAME", "CERTIFICATE", "FORMAT", "REQUESTER", "PHASE", "APPROVALS", "TOKEN", "AGE"]);
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
        let token = status.and_then(|status| status.condition(ConditionType::TokenIssued));
        row.push(Cell::from(token.map(|condition| condition.reason.as_str())));
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
