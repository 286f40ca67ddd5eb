//! `describe`: everything that a person needs to know of a request, the next step included; or of a receipt.

mod receipt;

use jiff::Timestamp;
use kube::{ResourceExt as _, api::ListParams};
use serde_json::{Value, json};

use crate::api::words::{ConditionReason, ConditionType, FailureReason, MaterialProblem, RefusalReason};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        facts::Page,
        output::{Format, OutputArgs, print, values},
        style::Tone,
        table::{Cell, Table, ago},
    },
    request::{
        choose::last_error,
        ended,
        review::{self, Part},
        waiting::Approvals,
    },
    values::{Kind, Listed, object_name},
};
use crate::{
    api::{Certificate, Delivery, DownloadReceipt, DownloadRequest, Phase, Token, TokenEnd, names},
    cluster::{access, error::During as _, error::Failure, receipts},
    lifecycle,
};

const EXAMPLES: &str = "\
NAME is a request, or a receipt: r- and 40 digits, or dlrc/NAME.

Examples:
  kubectl certcourier describe api-key-x7k2p
  kubectl certcourier describe r-0f66d1889a07264158dfd1ebe3d4fd23c984b4a4
  kubectl certcourier describe -l app=web
  kubectl certcourier describe api-key-x7k2p -o yaml";

/// Show a request (phase, votes, token, receipt, next step) or a receipt.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DescribeArgs {
    /// The requests, or receipts.
    #[arg(value_name = "REQUEST", value_parser = described, required_unless_present = "selector")]
    named: Vec<Described>,
    /// The requests with these labels, such as app=web.
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "named")]
    selector: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What a name is of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Described {
    Request(String),
    Receipt(String),
}

/// A receipt's name is `r-` and 40 hexadecimal digits; a request that is called so is `dlr/NAME`.
fn described(text: &str) -> Result<Described, String> {
    if text.contains('/') {
        let Listed { kind, name } = text.parse()?;
        return match (kind, name) {
            (Kind::Receipts, Some(name)) => Ok(Described::Receipt(name)),
            (Kind::Requests, Some(name)) => Ok(Described::Request(name)),
            _ => Err("of a Certificate `inspect` shows everything".to_owned()),
        };
    }
    let name = object_name(text).map_err(|error| error.to_string())?;
    let digits = name.strip_prefix("r-").filter(|digits| digits.len() == 40);
    let is_receipt = digits.is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    Ok(if is_receipt { Described::Receipt(name) } else { Described::Request(name) })
}

/// What is known of the receipt.
enum Receipt {
    /// There is none.
    None,
    /// This one.
    There(Box<DownloadReceipt>),
    /// There should be one, and it cannot be read; why.
    Unknown(String),
}

/// A page, or an object.
type Shown = Result<String, PluginError>;

/// Prints them, a page each.
pub async fn run(ctx: &Ctx, args: &DescribeArgs) -> Result<(), PluginError> {
    let mut named = args.named.clone();
    if let Some(selector) = &args.selector {
        let found: Vec<DownloadRequest> = ctx.all(false, ListParams::default().labels(selector)).await?;
        if found.is_empty() {
            return Err(PluginError::new(format!("no request in namespace {} has labels {selector}", ctx.namespace)));
        }
        named = found.iter().map(|request| Described::Request(request.name_any())).collect();
    }
    if matches!(args.output.format, Format::Table | Format::Wide) {
        return pages(ctx, &named).await;
    }
    let mut objects = Vec::new();
    let mut done = Vec::new();
    for one in &named {
        match object(ctx, one, &args.output).await {
            Ok(object) => objects.push(object),
            Err(error) => done.push(Err(error)),
        }
    }
    match (named.len(), args.output.format) {
        (_, Format::Name) => print(&objects.iter().filter_map(|object| object.as_str()).collect::<String>())?,
        (1, _) => objects.first().map_or(Ok(()), |object| args.output.value(object))?,
        _ => args.output.value(&json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": objects}))?,
    }
    last_error(done)
}

async fn pages(ctx: &Ctx, named: &[Described]) -> Result<(), PluginError> {
    let mut done = Vec::new();
    for (index, one) in named.iter().enumerate() {
        let page = match one {
            Described::Request(name) => request_page(ctx, name).await,
            Described::Receipt(name) => receipt_page(ctx, name).await,
        };
        done.push(page.and_then(|page| print(&if index == 0 { page } else { format!("\n{page}") })));
    }
    last_error(done)
}

async fn object(ctx: &Ctx, one: &Described, output: &OutputArgs) -> Result<Value, PluginError> {
    let first = |values: Vec<Value>| values.into_iter().next().unwrap_or_default();
    match one {
        Described::Request(name) => {
            let request: DownloadRequest = ctx.one(name, "list requests").await?;
            let names = || Value::from(format!("{}\n", crate::plugin::print::output::name(&request)));
            if output.format == Format::Name { Ok(names()) } else { values(&[request]).map(first) }
        }
        Described::Receipt(name) => {
            let receipt: DownloadReceipt = ctx.one(name, "receipts").await?;
            let names = || Value::from(format!("{}\n", crate::plugin::print::output::name(&receipt)));
            if output.format == Format::Name { Ok(names()) } else { values(&[receipt]).map(first) }
        }
    }
}

async fn receipt_page(ctx: &Ctx, name: &str) -> Shown {
    let found: DownloadReceipt = ctx.one(name, "receipts").await?;
    Ok(receipt::page(&found, ctx.now()).render(ctx.stdout))
}

async fn request_page(ctx: &Ctx, name: &str) -> Shown {
    let request: DownloadRequest = ctx.one(name, "list requests").await?;
    let certificates = ctx.api::<Certificate>();
    let (who, certificate, receipt) = tokio::join!(
        access::who(ctx.clients.reads()),
        certificates.get_opt(&request.spec.certificate_ref.name),
        receipt(ctx, &request),
    );
    let who = who.during("ask", || "the API server who you are".to_owned())?;
    let page = page(&request, certificate.ok().flatten().as_ref(), &receipt?, &who.username, &ctx.flags(), ctx.now());
    Ok(page.render(ctx.stdout))
}

async fn receipt(ctx: &Ctx, request: &DownloadRequest) -> Result<Receipt, PluginError> {
    let known = request.status.as_ref().is_some_and(|status| status.receipt_ref.is_some());
    if !known && request.phase() != Phase::Consumed {
        return Ok(Receipt::None);
    }
    let uid = request.uid().unwrap_or_default();
    match receipts::of(ctx.clients.reads(), &ctx.namespace, &uid).await {
        Ok(Some(receipt)) => Ok(Receipt::There(Box::new(receipt))),
        Ok(None) => Ok(Receipt::Unknown("it is not there any more: its retention may be over".to_owned())),
        Err(error) if error.failure() == Failure::Forbidden => {
            Ok(Receipt::Unknown("you are not allowed to read it: ask for ClusterRole certcourier-auditor".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

fn page(
    request: &DownloadRequest,
    certificate: Option<&Certificate>,
    receipt: &Receipt,
    me: &str,
    flags: &str,
    now: Timestamp,
) -> Page {
    let (spec, status) = (&request.spec, request.status.clone().unwrap_or_default());
    let moment = |at: Timestamp| ago(at, now);
    let mut page = Page::default();
    page.fact("Name", request.name_any());
    page.fact("Namespace", request.namespace().unwrap_or_default());
    page.maybe("Created", request.metadata.creation_timestamp.as_ref().map(|created| moment(created.0)));
    page.fact("Phase", review::toned(request.phase()));
    page.maybe("Because", status.reason.as_deref());
    page.maybe("Message", lifecycle::summary(request).as_deref());
    review::asked(&mut page, request);
    page.maybe("Deadline", spec.deadline.as_ref().map(|deadline| moment(deadline.0)));
    page.fact(
        "Delivery",
        match spec.delivery.unwrap_or_default() {
            Delivery::Secret => format!("Secret {}, for the requester", names::token_secret(&request.name_any())),
            Delivery::Claim => "claimed over HTTP by the requester".to_owned(),
        },
    );
    review::reviewed(&mut page, request, certificate, now);
    tokens(&mut page, request, now);
    receipt_facts(&mut page, receipt, now);
    page.facts("Next", next(request, me, flags, now).into_iter().map(Cell::from).collect());
    page
}

fn tokens(page: &mut Page, request: &DownloadRequest, now: Timestamp) {
    let Some(token) = request.token() else {
        if request.phase().is_open() {
            page.fact("Token", "none yet");
        }
        return;
    };
    page.fact("Token", state(token, now));
    let mut earlier = Table::new(["ENDED", "WHY"]);
    for previous in &token.previous {
        let why = match previous.why {
            TokenEnd::Expired => "it expired",
            TokenEnd::Replaced => "another one was asked for",
            TokenEnd::ApprovalMissing => "an approver has lost the right to approve",
            TokenEnd::ReviewChanged => "what is under review changed",
            TokenEnd::Used => "it was used",
            TokenEnd::Closed => "the request was closed",
        };
        earlier.row([ago(previous.ended.0, now).into(), why.into()]);
    }
    page.table("Earlier tokens", earlier);
}

fn state(token: &Token, now: Timestamp) -> Cell {
    let number = token.generation;
    let until = token.expires_at.as_ref().map(|until| until.0);
    match (&token.hash, until) {
        (None, _) => Cell::toned(Tone::Faint, format!("no valid token; {number} issued so far")),
        (Some(_), Some(until)) if until <= now => Cell::toned(Tone::Bad, format!("expired at {}", ago(until, now))),
        (Some(_), until) => {
            let until = until.map(|until| format!(" until {}", ago(until, now))).unwrap_or_default();
            let place = token.secret_name.as_ref().map(|name| format!(", in Secret {name}")).unwrap_or_default();
            Cell::toned(Tone::Good, format!("number {number}, valid{until}{place}"))
        }
    }
}

fn receipt_facts(page: &mut Page, known: &Receipt, now: Timestamp) {
    let found = match known {
        Receipt::None => return,
        Receipt::Unknown(why) => return page.fact("Receipt", why.as_str()),
        Receipt::There(found) => found,
    };
    let (spec, status) = (&found.spec, found.status.clone().unwrap_or_default());
    page.fact("Receipt", found.name_any());
    page.fact("Outcome", receipt::outcome(status.outcome));
    page.fact("Taken", ago(spec.consumed_at.0, now));
    page.maybe("Taken from", spec.client_ip.as_deref());
    page.maybe("Taken by", spec.consumed_by.as_ref().map(|by| by.username.as_str()));
    page.fact("File", format!("{} bytes, SHA-256 {}", spec.artifact.bytes, spec.artifact.sha256));
    page.fact("Kept until", spec.retain_until.0.to_string());
}

/// What the user can do now.
fn next(request: &DownloadRequest, me: &str, flags: &str, now: Timestamp) -> Vec<String> {
    let (name, spec) = (request.name_any(), &request.spec);
    let (phase, part) = (request.phase(), review::part(request, me));
    let download = format!("kubectl certcourier download --request {name} {flags}");
    let revoke = format!("revoke it: kubectl certcourier revoke {name} {flags} --reason …");
    let (certificate, environment) = ended::of(request);
    // A policy that wanted a reason wants one again.
    let reason = if spec.reason.is_some() { " --reason …" } else { "" };
    let again = format!(
        "ask again with another request: kubectl certcourier download {certificate}{environment} --format {} \
         {flags}{reason}",
        spec.format
    );
    let voters = || {
        let waits = Approvals::of(request, flags).map(|waits| waits.in_words(now));
        waits.unwrap_or_else(|| "the message above says what it is waiting for".to_owned())
    };
    match (phase, part) {
        (Phase::Pending, Part::Asked) => vec![format!("wait: kubectl certcourier wait {name} {flags}"), revoke],
        (Phase::AwaitingApproval, Part::Asked) => {
            vec![voters(), format!("wait: kubectl certcourier wait {name} {flags}"), revoke]
        }
        (Phase::AwaitingApproval, Part::None) => vec![
            format!("approve: kubectl certcourier approve {name} {flags} --reason …"),
            format!("deny: kubectl certcourier deny {name} {flags} --reason …"),
        ],
        (Phase::AwaitingApproval, Part::Approved) => vec![format!("you have approved it; {}", voters())],
        (Phase::AwaitingApproval, Part::Denied) => vec!["you have denied it: its phase follows".to_owned()],
        (Phase::Approved | Phase::TokenIssued, Part::Asked) => vec![format!("download the file: {download}"), revoke],
        (Phase::Pending, _) => vec!["nothing yet: the message above says what it is waiting for".to_owned()],
        (Phase::Approved | Phase::TokenIssued, _) => vec![
            format!("{} downloads the file", request.requester()),
            format!("to stop it: kubectl certcourier deny {name} {flags} --reason … (or revoke)"),
        ],
        (Phase::Consumed, Part::Asked) => match ended(request) {
            None => {
                vec![format!("the delivery is in progress: kubectl certcourier wait {name} --for finished {flags}")]
            }
            Some(reason) if *reason == ConditionReason::Delivered => vec!["nothing: the file was delivered".to_owned()],
            Some(_) => vec![again],
        },
        (Phase::Failed, Part::Asked) => {
            let explain = format!("what you would get, and why not: {}", ended::explain(request, flags));
            // What a policy refuses it refuses again.
            let reason = request.status.as_ref().and_then(|status| status.reason.as_deref()).unwrap_or_default();
            match ended::after(request, flags).filter(|next| !next.contains("policy explain")) {
                Some(next) => vec![next, explain],
                None if *reason == *FailureReason::Material(MaterialProblem::CertificateNotFound).name() => {
                    vec![format!("the Certificates there are: kubectl certcourier list {flags}")]
                }
                None if RefusalReason::of_name(reason).is_some() => vec![explain],
                None => vec![explain, again],
            }
        }
        (Phase::Denied, Part::Asked) => ended::after(request, flags).into_iter().collect(),
        (_, Part::Asked) => vec![again],
        _ => vec!["nothing: the request is over".to_owned()],
    }
}

/// How it ended, in the word of condition Finished; nothing while that is not known.
fn ended(request: &DownloadRequest) -> Option<&str> {
    Some(request.status.as_ref()?.condition_true(ConditionType::Finished)?.reason.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::{
        print::style::Style,
        request::review::fixtures::{request, vote},
    };

    #[test]
    fn the_next_step_is_that_of_whoever_looks() {
        for (phase, votes, me, said) in [
            ("Pending", json!([]), "alice", "kubectl certcourier wait key -n payments"),
            ("AwaitingApproval", json!([]), "alice", "certcourier-approver"),
            ("AwaitingApproval", json!([]), "bob", "kubectl certcourier approve key -n payments --reason"),
            ("AwaitingApproval", json!([vote("Approve", "d1")]), "bob", "you have approved it"),
            ("Approved", json!([]), "alice", "kubectl certcourier download --request key -n payments"),
            ("TokenIssued", json!([]), "alice", "kubectl certcourier download --request key -n payments"),
            ("TokenIssued", json!([]), "bob", "kubectl certcourier deny key"),
            ("Denied", json!([vote("Deny", "d1")]), "alice", "talk to bob before you ask again"),
            ("Expired", json!([]), "alice", "kubectl certcourier download api --format key -n payments"),
            ("Consumed", json!([]), "alice", "kubectl certcourier wait key --for finished -n payments"),
            ("Failed", json!([]), "alice", "kubectl certcourier policy explain api -n payments"),
            ("Expired", json!([]), "bob", "the request is over"),
        ] {
            let now = "2026-11-22T12:04:00Z".parse().unwrap();
            let steps = next(&request(phase, &votes), me, "-n payments", now).join("\n");
            assert!(steps.contains(said), "{phase} {me}: {steps}");
        }
    }

    #[test]
    fn a_token_is_described_without_its_hash() {
        let mut issued = request("TokenIssued", &json!([]));
        issued.status.as_mut().unwrap().token = serde_json::from_value(json!({
            "hash": "canary", "generation": 2, "round": 1, "expiresAt": "2026-11-22T12:05:00Z", "secretName": "key-download-token",
            "previous": [{"hash": "canary", "ended": "2026-11-22T12:00:00Z", "why": "Expired"}]}))
        .unwrap();
        let now = "2026-11-22T12:04:00Z".parse().unwrap();
        let text = page(&issued, None, &Receipt::None, "alice", "-n payments", now).render(Style::default());
        for said in [
            "number 2, valid until 2026-11-22T12:05:00Z (in 60s), in Secret key-download-token",
            "2026-11-22T12:00:00Z (4m ago)   it expired",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
        assert!(!text.contains("canary"), "{text}");
    }
}
