//! A receipt as a page: who asked, who approved and why, what was delivered, when, and from where.

use jiff::Timestamp;
use kube::ResourceExt as _;

use crate::{
    api::{DownloadReceipt, Outcome},
    plugin::print::{
        facts::Page,
        style::Tone,
        table::{Cell, Table, ago},
    },
};

/// How a delivery ended, in words.
pub(super) fn outcome(outcome: Option<Outcome>) -> Cell {
    match outcome {
        Some(Outcome::Delivered) => Cell::toned(Tone::Good, Outcome::Delivered.name()),
        Some(Outcome::Aborted) => Cell::toned(Tone::Bad, "Aborted: the client disconnected before the end"),
        Some(Outcome::Unknown) => Cell::toned(Tone::Bad, "Unknown: the server stopped before it could say"),
        None => Cell::toned(Tone::Waiting, "under way"),
    }
}

/// The whole record of a delivery.
pub(super) fn page(receipt: &DownloadReceipt, now: Timestamp) -> Page {
    let (spec, status) = (&receipt.spec, receipt.status.clone().unwrap_or_default());
    let at = |at: Timestamp| ago(at, now);
    let mut page = Page::default();
    page.fact("Name", receipt.name_any());
    page.fact("Namespace", receipt.namespace().unwrap_or_default());
    page.maybe("Cluster", spec.cluster.as_deref());
    page.fact("Outcome", outcome(status.outcome));
    page.fact("Request", spec.request_ref.name.as_str());
    page.fact("Certificate", spec.certificate_ref.name.as_str());
    page.fact("Environment", spec.environment.as_deref().unwrap_or("all"));
    page.fact("Format", spec.format.name());
    page.maybe("Profile", spec.profile.map(|profile| format!("{profile:?}")));
    let by = spec.requested_by.clone().unwrap_or_default();
    page.fact("Who asked", Cell::from(Some(by.username.as_str()).filter(|name| !name.is_empty())));
    if !by.groups.is_empty() {
        page.fact("Groups", by.groups.join(", "));
    }
    page.fact("Why", spec.reason.as_deref().unwrap_or("no reason was given"));
    page.facts("Policies", spec.policies.iter().map(|name| name.as_str().into()).collect());
    if spec.approvals.is_empty() {
        page.fact("Approved by", Cell::from(None));
    }
    let mut approvals = Table::new(["WHO", "REASON"]);
    for approver in &spec.approvals {
        approvals.row([approver.username.as_str().into(), approver.reason.as_str().into()]);
    }
    page.table("Approved by", approvals);
    page.facts("Fingerprints", spec.fingerprints.iter().map(|print| print.as_str().into()).collect());
    page.maybe("Token issued", spec.token_issued_at.as_ref().map(|issued| at(issued.0)));
    page.maybe("Token until", spec.token_expires_at.as_ref().map(|until| until.0.to_string()));
    page.fact("Used", at(spec.consumed_at.0));
    page.maybe("Used from", spec.client_ip.as_deref());
    page.maybe("Used by", spec.consumed_by.as_ref().map(|by| by.username.as_str()));
    page.maybe("Used with", spec.user_agent.as_deref());
    page.maybe("Ended", status.finished_at.as_ref().map(|ended| ended.0.to_string()));
    let sent = status.bytes_sent.map(|sent| format!(", {sent} sent")).unwrap_or_default();
    page.fact("File", format!("{} bytes{sent}, SHA-256 {}", spec.artifact.bytes, spec.artifact.sha256));
    page.fact("Kept until", spec.retain_until.0.to_string());
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plugin::print::style::Style;

    #[test]
    fn a_receipt_says_who_asked_who_approved_and_why_what_and_from_where() {
        let receipt: DownloadReceipt = serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadReceipt",
            "metadata": {"name": "r-1", "namespace": "payments"},
            "spec": {
                "requestRef": {"name": "key", "uid": "u"}, "certificateRef": {"name": "api"}, "environment": "production",
                "format": "key", "reason": "F5", "requestedBy": {"username": "alice", "groups": ["operators"]},
                "approvals": [{"username": "bob", "reason": "INC-1"}], "policies": ["two"], "clientIP": "192.0.2.7",
                "userAgent": "curl/8", "attemptId": "x", "artifact": {"sha256": "s", "bytes": 241},
                "fingerprints": ["f1"], "consumedAt": "2026-11-22T12:00:00Z", "retainUntil": "2026-12-22T12:00:00Z",
            },
            "status": {"outcome": "Delivered"},
        }))
        .unwrap();
        let text = page(&receipt, "2026-11-22T12:01:00Z".parse().unwrap()).render(Style::default());
        for said in [
            "Outcome:       Delivered\n",
            "Who asked:     alice\n",
            "Why:           F5\n",
            "  bob   INC-1\n",
            "Fingerprints:  f1\n",
            "Used:          2026-11-22T12:00:00Z (60s ago)\n",
            "Used from:     192.0.2.7\n",
            "File:          241 bytes, SHA-256 s\n",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }
}
