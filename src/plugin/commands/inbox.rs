//! `inbox`: what waits for one's own vote, across namespaces and clusters.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
};

use futures::future::join_all;
use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams, runtime::watcher};
use serde_json::{Value, json};

use crate::plugin::{
    context::Ctx,
    error::PluginError,
    global::GlobalArgs,
    print::{
        output::{self, Format, OutputArgs},
        style::{self, Style, Tone},
        table::{Cell, Table, age, span},
    },
    request::review::{self, Part},
    watch::{Seen, Watch},
};
use crate::{
    api::{DownloadRequest, Phase},
    cluster::{access, error::During as _},
    lifecycle::Tally,
};

const EXAMPLES: &str = "\
A context that cannot be reached is named and does not hide the others; then the exit code is 1.

Examples:
  kubectl certcourier inbox -A
  kubectl certcourier inbox -A --contexts eu-prod,us-prod
  kubectl certcourier inbox -A --watch
  kubectl certcourier inbox -n payments --all       also what you have voted on, or asked yourself";

/// List what waits for your vote, the oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct InboxArgs {
    /// In these contexts of the kubeconfig, separated by commas. Default: the current one.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = clap::builder::NonEmptyStringValueParser::new())]
    contexts: Vec<String>,
    /// In all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Everything that waits for a vote; column YOU says why you cannot vote.
    #[arg(long)]
    all: bool,
    /// List, then print what comes in, until Ctrl-C.
    #[arg(short, long, conflicts_with = "contexts")]
    watch: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl InboxArgs {
    /// Whether it looks into contexts of its own, and needs no connection to the current one.
    pub fn is_elsewhere(&self) -> bool {
        !self.contexts.is_empty()
    }
}

/// Something that waits.
struct Item {
    request: DownloadRequest,
    you: You,
}

/// What waits in one cluster.
struct Looked {
    items: Vec<Item>,
    /// How many wait, and not for this user because a right is missing.
    others: usize,
}

/// A context, and what was found in it, as of which moment.
type Found = (String, Result<(Vec<Item>, Timestamp), PluginError>);

/// What it has to do with the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum You {
    /// It waits for their vote.
    Vote,
    /// They asked for it.
    Asked,
    /// They have voted.
    Voted,
    /// It is not theirs to vote.
    MayNot,
}

/// Looks into the one context that the command is connected to.
pub async fn run(ctx: &Ctx, args: &InboxArgs) -> Result<(), PluginError> {
    if args.watch {
        return watched(ctx, args).await;
    }
    let Looked { items, others } = look(ctx, args).await?;
    let objects: Vec<DownloadRequest> = items.iter().map(|item| item.request.clone()).collect();
    let none = match (args.all_namespaces, args.all) {
        (true, false) => "Nothing waits for your vote.".to_owned(),
        (false, false) => format!("Nothing waits for your vote in namespace {}.", ctx.namespace),
        (true, true) => "Nothing waits for a vote.".to_owned(),
        (false, true) => format!("Nothing waits for a vote in namespace {}.", ctx.namespace),
    };
    let none = if objects.is_empty() && !args.all && !may_vote(ctx, args, others).await? {
        format!("{none} {}", cannot_vote(others))
    } else {
        none
    };
    args.output.objects(ctx, &objects, || table(&[(None, &items)], args, ctx.now()), &none)
}

/// Whether the user may vote on anything, as far as that can be asked: in all namespaces it cannot, so there only what
/// waits for others tells.
async fn may_vote(ctx: &Ctx, args: &InboxArgs, others: usize) -> Result<bool, PluginError> {
    if others > 0 || args.all_namespaces {
        return Ok(others == 0);
    }
    Ok(access::caller_may(ctx.clients.reads(), &ctx.namespace, ("approve", "certificates", "")).await?)
}

/// That nothing waits because nothing can.
fn cannot_vote(others: usize) -> String {
    let role = "you lack verb approve on the Certificates: ask for ClusterRole certcourier-approver there";
    match others {
        0 => format!("You could not vote either: {role}."),
        1 => format!("1 request waits for others: {role}."),
        others => format!("{others} requests wait for others: {role}."),
    }
}

/// Prints what waits, then what comes in, each once for each round of votes.
async fn watched(ctx: &Ctx, args: &InboxArgs) -> Result<(), PluginError> {
    let who =
        access::who(ctx.clients.reads()).await.during("ask", || "the API server who you are".to_owned())?.username;
    let mut watch: Watch<'_, DownloadRequest> =
        Watch::begin(ctx, args.all_namespaces, watcher::Config::default().fields(&waiting()));
    let (mut widths, mut head, mut shown) = (Vec::new(), !args.output.no_headers, BTreeSet::new());
    loop {
        let requests = match watch.next().await? {
            Seen::First(requests) => requests,
            Seen::Changed(request) => vec![*request],
            // It was voted on, or is closed.
            Seen::Gone(_) => continue,
        };
        let mut items = judged(ctx, args, &who, requests).await?.items;
        items.retain(|item| {
            let digest = item.request.review().map(|review| review.digest.clone());
            shown.insert((item.request.uid(), digest))
        });
        if items.is_empty() {
            continue;
        }
        if matches!(args.output.format, Format::Table | Format::Wide) {
            let (text, used) = table(&[(None, &items)], args, ctx.now()).followed(ctx.stdout, head, &widths);
            (widths, head) = (used, false);
            output::print(&text)?;
        } else {
            for item in &items {
                args.output.object(&item.request, String::new)?;
            }
        }
    }
}

/// Looks into each of the contexts, side by side.
pub async fn across(global: &GlobalArgs, args: &InboxArgs) -> Result<(), PluginError> {
    if global.context.is_some() {
        return Err(PluginError::usage("--context and --contexts: name all of them in --contexts"));
    }
    let mut contexts = args.contexts.clone();
    let mut named = BTreeSet::new();
    contexts.retain(|context| named.insert(context.clone()));
    let looks = contexts.iter().map(|context| async move {
        let mut global = global.clone();
        global.context = Some(context.clone());
        let ctx = Ctx::connect(&global).await?;
        Ok::<_, PluginError>((look(&ctx, args).await?.items, ctx.now()))
    });
    let found: Vec<Found> = contexts.iter().cloned().zip(join_all(looks).await).collect();
    print(global, args, &found)?;
    let mut unseen = Vec::new();
    for (context, looked) in found {
        if let Err(error) = looked {
            output::complain(&error.of(&format!("context {context}")));
            unseen.push(context);
        }
    }
    if unseen.is_empty() {
        return Ok(());
    }
    let words = format!("{} of {} contexts could not be read: {}", unseen.len(), contexts.len(), unseen.join(", "));
    Err(PluginError::new(words))
}

fn print(global: &GlobalArgs, args: &InboxArgs, found: &[Found]) -> Result<(), PluginError> {
    let seen: Vec<(Option<&str>, &[Item])> = found
        .iter()
        .filter_map(|(context, looked)| Some((Some(context.as_str()), looked.as_ref().ok()?.0.as_slice())))
        .collect();
    match args.output.format {
        Format::Table | Format::Wide => {
            let now = found.iter().find_map(|(_, looked)| looked.as_ref().ok()).map(|(_, now)| *now);
            let table = table(&seen, args, now.unwrap_or_else(Timestamp::now));
            if table.is_empty() {
                let places: Vec<&str> = seen.iter().filter_map(|(context, _)| *context).collect();
                if !global.quiet && !places.is_empty() {
                    let _ = writeln!(io::stderr(), "Nothing waits for your vote in {}.", places.join(", "));
                }
                return Ok(());
            }
            let stdout = io::stdout();
            output::print(&table.fitted(Style::of(&stdout), !args.output.no_headers, style::width(&stdout)))
        }
        Format::Name => {
            let items = seen.iter().flat_map(|(_, items)| items.iter());
            let names: Vec<String> = items.map(|item| output::name(&item.request) + "\n").collect();
            output::print(&names.concat())
        }
        Format::Json | Format::Yaml => {
            let contexts =
                found.iter().map(|(context, looked)| in_json(context, looked)).collect::<Result<Vec<_>, _>>()?;
            args.output.value(&json!({"contexts": contexts}))
        }
    }
}

fn in_json(context: &str, looked: &Result<(Vec<Item>, Timestamp), PluginError>) -> Result<Value, PluginError> {
    match looked {
        Ok((items, _)) => {
            let requests: Vec<DownloadRequest> = items.iter().map(|item| item.request.clone()).collect();
            Ok(json!({"name": context, "items": output::values(&requests)?}))
        }
        Err(error) => Ok(json!({"name": context, "error": error.words()})),
    }
}

fn waiting() -> String {
    format!("status.phase={}", Phase::AwaitingApproval.name())
}

/// What waits in one cluster, the oldest first.
async fn look(ctx: &Ctx, args: &InboxArgs) -> Result<Looked, PluginError> {
    let params = ListParams::default().fields(&waiting());
    let (who, requests) =
        tokio::join!(access::who(ctx.clients.reads()), ctx.all::<DownloadRequest>(args.all_namespaces, params));
    let who = who.during("ask", || "the API server who you are".to_owned())?.username;
    judged(ctx, args, &who, requests?).await
}

/// Those that are wanted, with what the user has to do with each.
async fn judged(
    ctx: &Ctx,
    args: &InboxArgs,
    who: &str,
    mut requests: Vec<DownloadRequest>,
) -> Result<Looked, PluginError> {
    let places = |request: &DownloadRequest| {
        (request.namespace().unwrap_or_default(), request.spec.certificate_ref.name.clone())
    };
    let open: BTreeSet<(String, String)> =
        requests.iter().filter(|request| review::part(request, who) == Part::None).map(places).collect();
    let may = access::may_approve(ctx.clients.reads(), &open).await?;
    requests.sort_by_key(|request| request.metadata.creation_timestamp.as_ref().map(|created| created.0));
    let all: Vec<Item> = requests
        .into_iter()
        .map(|request| {
            let you = you(&request, who, may.get(&places(&request)).copied().unwrap_or_default());
            Item { request, you }
        })
        .collect();
    let others = all.iter().filter(|item| item.you == You::MayNot).count();
    let items = all.into_iter().filter(|item| args.all || item.you == You::Vote).collect();
    Ok(Looked { items, others })
}

fn you(request: &DownloadRequest, who: &str, may: bool) -> You {
    match review::part(request, who) {
        Part::Asked => You::Asked,
        Part::Approved | Part::Denied => You::Voted,
        Part::None if may && !who.to_lowercase().starts_with("system:") => You::Vote,
        Part::None => You::MayNot,
    }
}

fn table(found: &[(Option<&str>, &[Item])], args: &InboxArgs, now: Timestamp) -> Table {
    let with_context = found.iter().any(|(context, _)| context.is_some());
    let with_namespace = args.all_namespaces || with_context;
    let mut head = Vec::new();
    head.extend(with_context.then_some("CONTEXT"));
    head.extend(with_namespace.then_some("NAMESPACE"));
    head.extend(["NAME", "CERTIFICATE", "FORMAT", "REQUESTER", "APPROVALS", "EXPIRES", "AGE"]);
    head.extend(args.all.then_some("YOU"));
    if args.output.wide() {
        head.extend(["ENVIRONMENT", "POLICIES"]);
    }
    head.push("REASON");
    let mut table = Table::new(head);
    for (context, item) in found.iter().flat_map(|(context, items)| items.iter().map(move |item| (context, item))) {
        let request = &item.request;
        let spec = &request.spec;
        let review = request.review();
        let mut row: Vec<Cell> = Vec::new();
        row.extend(context.map(Cell::from));
        row.extend(with_namespace.then(|| request.namespace().unwrap_or_default().into()));
        row.extend([request.name_any().into(), spec.certificate_ref.name.as_str().into(), spec.format.name().into()]);
        row.push(request.requester().into());
        let approvals = Tally::shown(request).map(|tally| tally.summary());
        row.push(Cell::from(approvals.as_deref().filter(|text| !text.is_empty())));
        let end = review.and_then(|review| review.expires_at.as_ref());
        row.push(Cell::from(end.map(|end| span(end.0.duration_since(now))).as_deref()));
        row.push(age(request.metadata.creation_timestamp.as_ref().map(|created| created.0), now));
        row.extend(args.all.then(|| marked(item.you)));
        if args.output.wide() {
            row.push(Cell::from(spec.environment.as_deref()));
            row.push(review.map(|review| review.policies.join(",")).unwrap_or_default().into());
        }
        row.push(Cell::from(spec.reason.as_deref()));
        table.row(row);
    }
    table
}

fn marked(you: You) -> Cell {
    match you {
        You::Vote => Cell::toned(Tone::Waiting, "vote"),
        You::Asked => Cell::toned(Tone::Faint, "asked"),
        You::Voted => Cell::toned(Tone::Faint, "voted"),
        You::MayNot => Cell::toned(Tone::Faint, "cannot vote"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::request::review::fixtures::{request, vote};

    #[test]
    fn what_waits_for_whom_is_told_apart() {
        let fresh = request("AwaitingApproval", &json!([]));
        let voted = request("AwaitingApproval", &json!([vote("Approve", "d1")]));
        assert_eq!(you(&fresh, "bob", true), You::Vote);
        assert_eq!(you(&fresh, "bob", false), You::MayNot);
        assert_eq!(you(&fresh, "system:admin", true), You::MayNot);
        assert_eq!(you(&fresh, "alice", true), You::Asked);
        assert_eq!(you(&voted, "bob", true), You::Voted);
        assert_eq!(you(&voted, "frank", true), You::Vote);
    }
}
