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

/// One kind of write that a mutator may meet.
pub(super) struct Write {
    group: &'static str,
    resource: &'static str,
    subresource: &'static str,
    operations: &'static [&'static str],
    met_by: MetBy,
}

/// Who meets a write, and what follows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MetBy {
    /// Policies and webhooks; what they do to it shows nowhere, so they are part of the epoch.
    Unseen,
    /// Policies and webhooks, which are only named: the controller compares what it wrote with what was stored.
    Compared,
    /// Webhooks alone, which are only named: the question in the answer is compared with the one that was asked.
    Asked,
}

const fn ours(resource: &'static str, subresource: &'static str, operations: &'static [&'static str]) -> Write {
    Write { group: GROUP, resource, subresource, operations, met_by: MetBy::Unseen }
}

const fn review(resource: &'static str) -> Write {
    Write { group: "authorization.k8s.io", resource, subresource: "", operations: &["CREATE"], met_by: MetBy::Asked }
}

/// What is written of certcourier's kinds, and what it writes or asks elsewhere. Who changes the Role or RoleBinding of a
/// token is not named here: the controller compares both with what it sent. The token's Secret is compared too, and named
/// all the same, because who changes Secrets also reads the token.
const WRITES: [Write; 10] = [
    ours("certificates", "", &["CREATE", "UPDATE"]),
    ours("certificates", "status", &["UPDATE"]),
    ours("certificatepolicies", "", &["CREATE", "UPDATE"]),
    ours("downloadrequests", "", &["CREATE", "UPDATE"]),
    ours("downloadrequests", "status", &["UPDATE"]),
    ours("downloadreceipts", "", &["CREATE", "UPDATE"]),
    ours("downloadreceipts", "status", &["UPDATE"]),
    Write { group: "", resource: "secrets", subresource: "", operations: &["CREATE"], met_by: MetBy::Compared },
    review("subjectaccessreviews"),
    review("selfsubjectaccessreviews"),
];

/// Someone else's policy or webhook configuration that can change certcourier's objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mutator {
    kind: Kind,
    name: String,
    /// What it may change, such as `downloadrequests/status`.
    reach: Vec<String>,
    /// Whether objects that the guard does not know decide on what it does.
    takes_parameters: bool,
    /// Lines for the epoch: who it is, and what decides on what it does.
    pub(super) marks: Vec<String>,
}

impl fmt::Display for Mutator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters =
            if self.takes_parameters { "; it takes parameters, and their changes begin no epoch" } else { "" };
        write!(f, "{} `{}` ({}{parameters})", self.kind, self.name, self.reach.join(", "))
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
    let reaching = |object: &&LiveObject| object.kind == Kind::Stamp && decides(&reach_of_policy(object));
    others.iter().filter(reaching).map(|policy| (policy.name.clone(), policy.mark())).collect()
}

pub(super) fn reach_of_policy(policy: &LiveObject) -> Vec<&'static Write> {
    let constraints = &policy.spec["matchConstraints"];
    let reached = reach(&constraints["resourceRules"], &constraints["excludeResourceRules"]);
    // The API server shows no review to a policy.
    reached.into_iter().filter(|write| write.met_by != MetBy::Asked).collect()
}

/// Whether one of these decides on who gets what, and nobody could tell that it was changed.
pub(super) fn decides(reach: &[&Write]) -> bool {
    reach.iter().any(|write| write.met_by == MetBy::Unseen)
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
    let marks = if decides(&reach) {
        std::iter::once(policy).chain(bindings).map(LiveObject::mark).collect()
    } else {
        Vec::new()
    };
    Some(Mutator {
        kind: policy.kind,
        name: policy.name.clone(),
        reach: reach.into_iter().map(Write::shown).collect(),
        takes_parameters: !policy.spec["paramKind"].is_null(),
        marks,
    })
}

/// Of a configuration only those of its webhooks count that meet our kinds, and of these what decides on what meets them
/// and who answers. Certificates of webhooks are renewed all the time (and each time the generation grows), and tools add
/// rules for kinds of their own: neither may close everyone's requests.
pub(super) fn webhooks(configuration: &LiveObject) -> Option<Mutator> {
    let mut rules_of_all = Vec::new();
    let mut deciding = Vec::new();
    for webhook in configuration.spec.as_array().into_iter().flatten() {
        rules_of_all.extend(list(&webhook["rules"]));
        let rules: Vec<&Value> = list(&webhook["rules"]).filter(|rule| decides(&reach_of([*rule]))).collect();
        if rules.is_empty() {
            continue;
        }
        let client = &webhook["clientConfig"];
        deciding.push(json!({
            "name": webhook["name"], "url": client["url"], "service": client["service"], "rules": rules,
            "namespaceSelector": webhook["namespaceSelector"], "objectSelector": webhook["objectSelector"],
            "matchConditions": webhook["matchConditions"],
        }));
    }
    let reach: Vec<String> = reach_of(rules_of_all).into_iter().map(Write::shown).collect();
    let mark = || format!("{} {}", configuration.uid, admission::spec_digest(&deciding));
    let marks = (!deciding.is_empty()).then(mark).into_iter().collect();
    (!reach.is_empty()).then(|| Mutator {
        kind: configuration.kind,
        name: configuration.name.clone(),
        reach,
        takes_parameters: false,
        marks,
    })
}

fn reach_of<'a>(rules: impl IntoIterator<Item = &'a Value>) -> Vec<&'static Write> {
    let rules: Vec<&Value> = rules.into_iter().collect();
    reach(&json!(rules), &Value::Null)
}

/// What of ours these rules let through to a mutator.
fn reach(rules: &Value, excluded: &Value) -> Vec<&'static Write> {
    let met = |write: &Write, operation: &str| {
        list(rules).any(|rule| write.is_met_by(rule, operation))
            // An exclusion of some names leaves the others, and one of a version that is not served excludes nothing.
            && !list(excluded)
                .filter(|rule| list(&rule["resourceNames"]).next().is_none())
                .filter(|rule| texts(&rule["apiVersions"]).any(|version| write.served().contains(&version)))
                .any(|rule| write.is_met_by(rule, operation))
    };
    WRITES.iter().filter(|write| write.operations.iter().any(|operation| met(write, operation))).collect()
}

impl Write {
    /// As the API server matches, but for versions: with `matchPolicy: Equivalent` a rule for another one meets ours too.
    fn is_met_by(&self, rule: &Value, operation: &str) -> bool {
        let any = |field: &str, one: &str| texts(&rule[field]).any(|text| text == "*" || text == one);
        let resources = || {
            texts(&rule["resources"]).any(|text| {
                let (of, sub) = text.split_once('/').unwrap_or((text, ""));
                (of == "*" || of == self.resource) && (sub == "*" || sub == self.subresource)
            })
        };
        let other_scope = if self.met_by == MetBy::Asked { "Namespaced" } else { "Cluster" };
        rule["scope"] != other_scope && any("apiGroups", self.group) && any("operations", operation) && resources()
    }

    /// The versions in which it is served.
    fn served(&self) -> [&'static str; 2] {
        ["*", if self.met_by == MetBy::Unseen { VERSION } else { "v1" }]
    }

    fn shown(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}
