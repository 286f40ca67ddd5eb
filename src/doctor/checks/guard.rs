//! What the guard last wrote, and whether that is worth anything now.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{names::GUARD, words::GuardState},
    doctor::{
        facts::{Facts, Seen},
        report::{Check, Finding, GuardObject, GuardReport, Severity},
    },
    guard::MUTATORS,
};

/// Servers take no older probe for evidence.
const OLDEST_PROBE_SECONDS: i64 = 60;

/// The guard as the report shows it.
pub(super) fn report(facts: &Facts, objects: Vec<GuardObject>) -> GuardReport {
    let Seen::There(content) = &facts.guard else { return GuardReport { objects, ..GuardReport::default() } };
    let field = |name: &str| content.get(name).filter(|text| !text.is_empty()).cloned();
    GuardReport {
        state: field("state"),
        reason: field("reason"),
        message: field("message"),
        epoch: field("epoch"),
        since: field("since"),
        probe_age_seconds: probe_age_seconds(content, facts.now),
        objects,
    }
}

fn state(content: &BTreeMap<String, String>) -> Option<GuardState> {
    GuardState::of_name(content.get("state")?)
}

fn probe_age_seconds(content: &BTreeMap<String, String>, now: Timestamp) -> Option<i64> {
    let probed: Timestamp = content.get("probedAt")?.parse().ok()?;
    Some(now.duration_since(probed).as_secs().max(0))
}

/// At most one finding: without evidence, nothing else that the guard says counts.
pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    let namespace = &facts.operator_namespace;
    let (what, remedy) = match &facts.guard {
        Seen::Unknown => return Vec::new(),
        Seen::Missing => (
            format!("there is no ConfigMap {GUARD} in namespace {namespace}"),
            "start the controller, or name the operator's namespace with --namespace".to_owned(),
        ),
        Seen::There(content) => match (state(content), probe_age_seconds(content, facts.now)) {
            (Some(GuardState::Intact), Some(age)) if age <= OLDEST_PROBE_SECONDS => return Vec::new(),
            (Some(GuardState::Intact), Some(age)) => (
                format!("the last probe of the admission policies is {age} s old"),
                format!("see whether the controller runs and leads: kubectl -n {namespace} get pods,leases"),
            ),
            _ => {
                let field = |key: &str| content.get(key).map_or("", String::as_str);
                let state = content.get("state").map_or("nothing", String::as_str);
                let said = [state, field("reason"), field("message")];
                let said: Vec<&str> = said.into_iter().filter(|words| !words.is_empty()).collect();
                (
                    format!("the guard says {}", said.join(": ")),
                    "apply again what `certcourier manifests` prints; the guard checks again by itself".to_owned(),
                )
            }
        },
    };
    vec![Finding {
        severity: Severity::Critical,
        check: Check::Guard,
        subject: format!("ConfigMap/{namespace}/{GUARD}"),
        namespaces: Vec::new(),
        names: Vec::new(),
        what,
        why: "nothing proves that forged requesters and approvals are refused, so no token for a format with a key is \
          issued or accepted; public formats still work"
            .to_owned(),
        remedy,
        via: Vec::new(),
    }]
}

/// What the guard names as able to change requests and votes during admission, one finding each.
pub(super) fn mutators(facts: &Facts) -> Vec<Finding> {
    let Seen::There(content) = &facts.guard else { return Vec::new() };
    let named = content.get(MUTATORS).into_iter().flat_map(|all| all.lines());
    named
        .map(|named| Finding {
            severity: Severity::Medium,
            check: Check::MutatesRequests,
            // The last line may say how many more there are.
            subject: match named.strip_prefix("and ") {
                Some(_) => format!("ConfigMap/{}/{GUARD}", facts.operator_namespace),
                None => named.split_once(" (").map_or(named, |(object, _)| object).replace(" `", "/").replace('`', ""),
            },
            namespaces: Vec::new(),
            names: Vec::new(),
            what: format!("the guard names it as able to change certcourier's objects during admission: {named}"),
            why:
                "who changes votes can turn a Deny into an Approve, and nothing in the stored vote shows it; who sees \
                  Secrets reads tokens; the guard sees that it is there, not what it does"
                    .to_owned(),
            remedy: "exclude group certcourier.io from it, or delete it and find out who created it (the API server's \
                     audit log); --guard-mutators=refuse stops keys while there is one"
                .to_owned(),
            via: Vec::new(),
        })
        .collect()
}
