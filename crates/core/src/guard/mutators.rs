//! What else can change a request, a vote or a receipt during admission: mutating policies and webhooks that are not
//! certcourier's.
//!
//! A vote that is turned round during admission looks like the voter's own. Nothing in the object shows it, so what can
//! be seen from outside counts: that such a thing is there, whom it belongs to, and that it came, went or changed.

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::{Kind, LiveObject};
use crate::{
    admission,
    api::{GROUP, VERSION},
};

/// The version of certcourier's kinds that is served.
const SERVED: [&str; 2] = ["*", VERSION];

/// What is written of certcourier's kinds, and how: resource, subresource, operations. Who changes the Role or RoleBinding
/// of a token is not named here: the controller compares both with what it sent.
const WRITES: [(&str, &str, &[&str]); 7] = [
    ("certificates", "", &["CREATE", "UPDATE"]),
    ("certificates", "status", &["UPDATE"]),
    ("certificatepolicies", "", &["CREATE", "UPDATE"]),
    ("downloadrequests", "", &["CREATE", "UPDATE"]),
    ("downloadrequests", "status", &["UPDATE"]),
    ("downloadreceipts", "", &["CREATE", "UPDATE"]),
    ("downloadreceipts", "status", &["UPDATE"]),
];

/// Someone else's policy or webhook configuration that can change certcourier's objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mutator {
    kind: Kind,
    name: String,
    /// What it may change, such as `downloadrequests/status`.
    reach: Vec<String>,
    /// Lines for the epoch: who it is, and what decides on what it does.
    pub(super) marks: Vec<String>,
}

impl fmt::Display for Mutator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` ({})", self.kind, self.name, self.reach.join(", "))
    }
}

/// Those among someone else's objects that may change ours, in an order of their own.
pub(super) fn among(others: &[LiveObject]) -> Vec<Mutator> {
    let mut found: Vec<Mutator> = others
        .iter()
        .filter_map(|object| match object.kind {
            Kind::Stamp => policy(object, others),
            Kind::Webhooks => webhooks(object),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

/// Policies that could change ours, bound or not, with their marks.
pub(super) fn policies(others: &[LiveObject]) -> BTreeMap<String, String> {
    let reaching = |object: &&LiveObject| object.kind == Kind::Stamp && !reach_of_policy(object).is_empty();
    others.iter().filter(reaching).map(|policy| (policy.name.clone(), policy.mark())).collect()
}

pub(super) fn reach_of_policy(policy: &LiveObject) -> Vec<String> {
    let constraints = &policy.spec["matchConstraints"];
    reach(&constraints["resourceRules"], &constraints["excludeResourceRules"])
}

/// A policy does nothing before it is bound.
fn policy(policy: &LiveObject, others: &[LiveObject]) -> Option<Mutator> {
    let bound = |object: &&LiveObject| {
        object.kind == Kind::StampBinding && object.spec["policyName"].as_str() == Some(policy.name.as_str())
    };
    let bindings: Vec<&LiveObject> = others.iter().filter(bound).collect();
    let reach = reach_of_policy(policy);
    if bindings.is_empty() || reach.is_empty() {
        return None;
    }
    let marks = std::iter::once(policy).chain(bindings).map(LiveObject::mark).collect();
    Some(Mutator { kind: policy.kind, name: policy.name.clone(), reach, marks })
}

/// Of a configuration only those of its webhooks count that meet our kinds, and of these what decides on what meets them
/// and who answers. Certificates of webhooks are renewed all the time (and each time the generation grows), and tools add
/// rules for kinds of their own: neither may close everyone's requests.
pub(super) fn webhooks(configuration: &LiveObject) -> Option<Mutator> {
    let mut reached = Vec::new();
    let mut deciding = Vec::new();
    for webhook in configuration.spec.as_array().into_iter().flatten() {
        let rules: Vec<&Value> = list(&webhook["rules"]).filter(|rule| !reach_of([*rule]).is_empty()).collect();
        if rules.is_empty() {
            continue;
        }
        reached.extend(reach_of(rules.iter().copied()));
        let client = &webhook["clientConfig"];
        deciding.push(json!({
            "name": webhook["name"], "url": client["url"], "service": client["service"], "rules": rules,
            "namespaceSelector": webhook["namespaceSelector"], "objectSelector": webhook["objectSelector"],
            "matchConditions": webhook["matchConditions"],
        }));
    }
    let reach: Vec<String> = every_write().filter(|write| reached.contains(write)).collect();
    let marks = vec![format!("{} {}", configuration.uid, admission::spec_digest(&deciding))];
    (!reach.is_empty()).then(|| Mutator { kind: configuration.kind, name: configuration.name.clone(), reach, marks })
}

fn reach_of<'a>(rules: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let rules: Vec<&Value> = rules.into_iter().collect();
    reach(&json!(rules), &Value::Null)
}

/// What of ours these rules let through to a mutator.
fn reach(rules: &Value, excluded: &Value) -> Vec<String> {
    let met = |resource: &str, subresource: &str, operation: &str| {
        list(rules).any(|rule| covers(rule, resource, subresource, operation))
            // An exclusion of some names leaves the others, and one of a version that is not served excludes nothing.
            && !list(excluded)
                .filter(|rule| list(&rule["resourceNames"]).next().is_none())
                .filter(|rule| texts(&rule["apiVersions"]).any(|version| SERVED.contains(&version)))
                .any(|rule| covers(rule, resource, subresource, operation))
    };
    WRITES
        .iter()
        .filter(|(resource, subresource, operations)| operations.iter().any(|one| met(resource, subresource, one)))
        .map(|(resource, subresource, _)| written(resource, subresource))
        .collect()
}

/// As the API server matches, but for versions: with `matchPolicy: Equivalent` a rule for another one meets ours too.
fn covers(rule: &Value, resource: &str, subresource: &str, operation: &str) -> bool {
    let any = |field: &str, one: &str| texts(&rule[field]).any(|text| text == "*" || text == one);
    let resources = || {
        texts(&rule["resources"]).any(|text| {
            let (of, sub) = text.split_once('/').unwrap_or((text, ""));
            (of == "*" || of == resource) && (sub == "*" || sub == subresource)
        })
    };
    rule["scope"] != "Cluster" && any("apiGroups", GROUP) && any("operations", operation) && resources()
}

fn every_write() -> impl Iterator<Item = String> {
    WRITES.iter().map(|(resource, subresource, _)| written(resource, subresource))
}

fn written(resource: &str, subresource: &str) -> String {
    if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}
