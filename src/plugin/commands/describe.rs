//! `describe`: everything that a person needs to know of a request, the next step included.

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::api::words::{ConditionReason, ConditionType};
use crate::plugin::{
    context::Ctx,
    error::PluginError,
    print::{
        facts::Page,
        output::OutputArgs,
        style::Tone,
        table::{Cell, Table, span},
    },
    request::{
        ended,
        review::{self, Part},
        waiting::Approvals,
    },
    values::object_name,
};
use crate::{
    api::{Certificate, Delivery, DownloadReceipt, DownloadRequest, Outcome, Phase, Token, TokenEnd, names},
    cluster::{access, error::During as _, error::Failure, receipts},
    lifecycle,
};

const EXAMPLES: &str = "\
Examples:
  kubectl certcourier describe api-key-x7k2p
  kubectl certcourier describe api-key-x7k2p -o yaml";

/// Show a request: its phase and why, who approved, its token and receipt, and what to do next.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct DescribeArgs {
    /// The request.
    #[arg(value_name = "REQUEST", value_parser = object_name)]
    request: String,
    #[command(flatten)]
    output: OutputArgs,
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

/// Prints it.
pub async fn run(ctx: &Ctx, args: &DescribeArgs) -> Result<(), PluginError> {
    let request: DownloadRequest = ctx.one(&args.request, "list requests").await?;
    if !matches!(
        args.output.format,
        crate::plugin::print::output::Format::Table | crate::plugin::print::output::Format::Wide
    ) {
        return args.output.object(&request, String::new);
    }
    let certificates = ctx.api::<Certificate>();
    let (who, certificate, receipt) = tokio::join!(
        access::who(ctx.clients.reads()),
        certificates.get_opt(&request.spec.certificate_ref.name),
        receipt(ctx, &request),
    );
    let who = who.during("ask", || "the API server who you are".to_owned())?;
    let page = page(&request, certificate.ok().flatten().as_ref(), &receipt?, &who.username, &ctx.flags(), ctx.now());
    args.output.object(&request, || page.render(ctx.stdout))
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

/// `2026-11-22T12:00:00Z (3m ago)`.
fn ago(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now);
    if left.is_positive() { format!("{at} (in {})", span(left)) } else { format!("{at} ({} ago)", span(left)) }
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

fn receipt_facts(page: &mut Page, receipt: &Receipt, now: Timestamp) {
    let receipt = match receipt {
        Receipt::None => return,
        Receipt::Unknown(why) => return page.fact("Receipt", why.as_str()),
        Receipt::There(receipt) => receipt,
    };
    let (spec, status) = (&receipt.spec, receipt.status.clone().unwrap_or_default());
    let outcome = match status.outcome {
        Some(Outcome::Delivered) => Cell::toned(Tone::Good, Outcome::Delivered.name()),
        Some(Outcome::Aborted) => Cell::toned(Tone::Bad, "Aborted: the client disconnected before the end"),
        Some(Outcome::Unknown) => Cell::toned(Tone::Bad, "Unknown: the server stopped before it could say"),
        None => Cell::toned(Tone::Waiting, "under way"),
    };
    page.fact("Receipt", receipt.name_any());
    page.fact("Outcome", outcome);
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
    let certificate = &spec.certificate_ref.name;
    // A policy that wanted a reason wants one again.
    let reason = if spec.reason.is_some() { " --reason …" } else { "" };
    let again = format!(
        "ask again with another request: kubectl certcourier download {certificate} --format {} {flags}{reason}",
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
            let explain =
                format!("what you would get, and why not: kubectl certcourier policy explain {certificate} {flags}");
            match ended::after(request, flags).filter(|next| !next.contains("policy explain")) {
                Some(next) => vec![next, explain],
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
