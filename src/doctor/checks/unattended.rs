//! Requests of ServiceAccounts without a deadline: refused each time, and alive again where they would not be.

use std::collections::BTreeMap;

use crate::{
    api::{DownloadRequest, names},
    doctor::{
        facts::Facts,
        rbac::Subject,
        report::{Check, Finding, Severity},
    },
    policy::is_unattended,
};

/// So many names say enough.
const LISTED: usize = 5;

/// One finding for each requester.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let mut by_requester: BTreeMap<&str, Vec<(String, String)>> = BTreeMap::new();
    // The guard probes on one of its own, which no one ever serves.
    let of_guard = |request: &&DownloadRequest| names::is_guard_probe(request, &facts.operator_namespace);
    for request in facts.requests.iter().filter(|request| !of_guard(request)) {
        let requester = request.requester();
        if is_unattended(requester) && request.spec.deadline.is_none() {
            let place = request.metadata.namespace.clone().unwrap_or_default();
            by_requester.entry(requester).or_default().push((place, request.metadata.name.clone().unwrap_or_default()));
        }
    }
    by_requester.into_iter().map(|(requester, requests)| finding(requester, requests)).collect()
}

fn finding(requester: &str, mut requests: Vec<(String, String)>) -> Finding {
    requests.sort();
    let mut names: Vec<String> =
        requests.iter().take(LISTED).map(|(namespace, name)| format!("{namespace}/{name}")).collect();
    if requests.len() > LISTED {
        names.push(format!("{} more", requests.len() - LISTED));
    }
    let mut namespaces: Vec<String> = requests.into_iter().map(|(namespace, _)| namespace).collect();
    namespaces.dedup();
    Finding {
        severity: Severity::Low,
        check: Check::UnattendedWithoutDeadline,
        subject: Subject::user(requester).to_string(),
        namespaces,
        names: Vec::new(),
        what: format!("asked without spec.deadline: {}", names.join(", ")),
        why: "a ServiceAccount's request without a deadline is refused: a later copy (pipeline, restore) must not be \
              served"
            .to_owned(),
        remedy: "let what creates it write spec.deadline, at most 24h ahead; delete these requests".to_owned(),
        via: Vec::new(),
    }
}
