//! Rights that reach past certcourier: who can read a key directly, be somebody else, or change the rules.

use std::collections::BTreeSet;

use super::{
    Bench, Standing,
    held::{Hit, Place, Reach, Target},
    is_everybody,
};
use crate::{
    api::GROUP,
    doctor::{
        rbac::{Right, Subject, has_every_verb, is_everything},
        report::{Check, Finding, Severity},
    },
};

/// One thing that somebody may be able to do.
struct Power {
    check: Check,
    severity: Severity,
    rights: &'static [Right],
    places: &'static [Place],
    target: Target,
    why: &'static str,
    remedy: &'static str,
}

const fn right(verbs: &'static [&'static str], group: &'static str, resources: &'static [&'static str]) -> Right {
    Right { verbs, group, resources }
}

const CHANGE: &[&str] = &["create", "update", "patch", "delete", "deletecollection"];

/// Whoever starts a pod chooses which Secrets it mounts and whose ServiceAccount it has; whoever gets into one finds both.
const RUNS_PODS: &[Right] = &[
    right(&["create"], "", &["pods", "replicationcontrollers", "pods/exec"]),
    right(&["update", "patch"], "", &["pods/ephemeralcontainers", "replicationcontrollers"]),
    right(&["create", "update", "patch"], "apps", &["daemonsets", "deployments", "replicasets", "statefulsets"]),
    right(&["create"], "batch", &["jobs"]),
    right(&["create", "update", "patch"], "batch", &["cronjobs"]),
];

const POWERS: [Power; 9] = [
    Power {
        check: Check::BecomesOperator,
        severity: Severity::Critical,
        rights: &[right(&["create"], "", &["serviceaccounts/token"])],
        places: &[Place::Operator],
        target: Target::OperatorAccount,
        why: "with a token of the operator's ServiceAccount they are the operator: they read every Secret that it may \
              read, and write statuses and receipts",
        remedy: "take the right away; only the kubelet and cluster administrators need it in the operator's namespace",
    },
    Power {
        check: Check::BecomesOperator,
        severity: Severity::Critical,
        rights: RUNS_PODS,
        places: &[Place::Operator],
        target: Target::Any,
        why: "a pod in the operator's namespace can run as the operator's ServiceAccount, and a shell in its pod is the \
              operator",
        remedy: "give the operator a namespace of its own, and nobody but its installer rights on workloads there",
    },
    Power {
        check: Check::ReadsSecrets,
        severity: Severity::High,
        rights: &[right(&["get", "list", "watch"], "", &["secrets"])],
        places: &[Place::Certificates],
        target: Target::Secret,
        why: "they read the private key itself: no policy, approval or receipt of certcourier sees it",
        remedy: "take the right away, or limit it by resourceNames to Secrets that no Certificate names; a download needs \
                 no right on Secrets",
    },
    Power {
        check: Check::MountsSecrets,
        severity: Severity::Medium,
        rights: RUNS_PODS,
        places: &[Place::Certificates],
        target: Target::Any,
        why: "a pod of theirs can mount any Secret of its namespace, private keys included",
        remedy: "keep Certificates in namespaces in which only deployment tools may run workloads",
    },
    Power {
        check: Check::Impersonates,
        severity: Severity::High,
        rights: &[
            right(&["impersonate"], "", &["users", "groups", "serviceaccounts"]),
            right(
                &["impersonate:user-info", "impersonate:serviceaccount"],
                "authentication.k8s.io",
                &["users", "groups", "serviceaccounts"],
            ),
            right(&["approve"], "certificates.k8s.io", &["signers"]),
        ],
        places: &[Place::Certificates, Place::Operator, Place::Cluster],
        target: Target::Any,
        why: "they can ask as one person and approve as another; for certcourier both are real",
        remedy: "take the right away, or limit it by resourceNames to subjects without rights on Certificates",
    },
    Power {
        check: Check::TakesServiceAccountTokens,
        severity: Severity::Medium,
        rights: &[right(&["create"], "", &["serviceaccounts/token"])],
        places: &[Place::Certificates],
        target: Target::Any,
        why: "they can be any ServiceAccount of the namespace, and have what it may download",
        remedy: "limit the right by resourceNames to ServiceAccounts without rights on Certificates and Secrets",
    },
    Power {
        check: Check::EditsAdmission,
        severity: Severity::High,
        rights: &[
            right(
                CHANGE,
                "admissionregistration.k8s.io",
                &[
                    "validatingadmissionpolicies",
                    "validatingadmissionpolicybindings",
                    "mutatingadmissionpolicies",
                    "mutatingadmissionpolicybindings",
                    "validatingwebhookconfigurations",
                    "mutatingwebhookconfigurations",
                ],
            ),
            right(
                &["update", "patch", "delete", "deletecollection"],
                "apiextensions.k8s.io",
                &["customresourcedefinitions"],
            ),
        ],
        places: &[Place::Cluster],
        target: Target::Any,
        why: "they can take the rules away by which forged requesters and approvals are refused, or have Secrets sent to a \
              webhook; the guard closes keys within a minute, and whatever was forged meanwhile stays void",
        remedy: "leave admission policies, webhooks and CRDs to cluster administrators and the tools that install them, \
                 and name those with --trust",
    },
    Power {
        check: Check::WidensRoles,
        severity: Severity::High,
        rights: &[right(&["escalate", "bind"], "rbac.authorization.k8s.io", &["roles", "clusterroles"])],
        places: &[Place::Certificates, Place::Operator, Place::Cluster],
        target: Target::Any,
        why: "they can give themselves any right, the reading of Secrets included",
        remedy: "take escalate away, and limit bind by resourceNames to roles that anybody may have",
    },
    Power {
        check: Check::EverybodyHolds,
        severity: Severity::High,
        rights: &[right(&["download", "exportkey", "approve"], GROUP, &["certificates"])],
        places: &[Place::Certificates],
        target: Target::Certificate,
        why: "everybody is in this group, so everybody may ask or approve",
        remedy: "bind certcourier's roles to people or to groups that somebody keeps",
    },
];

/// What was found about rights, and who was set aside.
pub(super) fn findings(bench: &Bench<'_>) -> (Vec<Finding>, BTreeSet<(Standing, Subject)>) {
    let (mut findings, mut aside) = (everything(bench), BTreeSet::new());
    for power in &POWERS {
        for ((standing, subject), held) in bench.who_holds(power.rights, power.places, power.target) {
            if power.check == Check::EverybodyHolds && !is_everybody(&subject) {
                continue;
            }
            findings.push((
                standing,
                Finding {
                    severity: if is_everybody(&subject) { Severity::Critical } else { power.severity },
                    check: power.check,
                    subject: subject.to_string(),
                    namespaces: held.places(),
                    what: held.in_words(),
                    why: power.why.to_owned(),
                    remedy: power.remedy.to_owned(),
                    via: held.via.into_iter().collect(),
                },
            ));
            aside.insert((standing, subject));
        }
    }
    findings.extend(wildcards(bench));
    let all = bench.who(&[Place::Certificates, Place::Operator, Place::Cluster], |grant| {
        if is_everything(grant.rule) { vec![Hit { verb: "*", resource: "*", reach: Reach::All }] } else { Vec::new() }
    });
    aside.extend(all.into_keys());
    aside.retain(|(standing, _)| *standing != Standing::Ordinary);
    let ordinary = |(standing, finding)| (standing == Standing::Ordinary).then_some(finding);
    (findings.into_iter().filter_map(ordinary).collect(), aside)
}

fn everything(bench: &Bench<'_>) -> Vec<(Standing, Finding)> {
    let who = bench.who(&[Place::Certificates, Place::Operator, Place::Cluster], |grant| {
        if is_everything(grant.rule) { vec![Hit { verb: "*", resource: "*", reach: Reach::All }] } else { Vec::new() }
    });
    who.into_iter()
        .map(|((standing, subject), held)| {
            let finding = Finding {
                severity: if is_everybody(&subject) { Severity::Critical } else { Severity::High },
                check: Check::Everything,
                subject: subject.to_string(),
                namespaces: held.places(),
                what: "may do everything (verb * on *.*)".to_owned(),
                why: "they read every private key and can change every rule: certcourier protects nothing from them"
                    .to_owned(),
                remedy: "bind a role that lists what they need; name those who are meant to have it with --trust"
                    .to_owned(),
                via: held.via.into_iter().collect(),
            };
            (standing, finding)
        })
        .collect()
}

fn wildcards(bench: &Bench<'_>) -> Vec<(Standing, Finding)> {
    const CERTIFICATES: Right = right(&["exportkey"], GROUP, &["certificates"]);
    let who = bench.who(&[Place::Certificates], |grant| {
        if is_everything(grant.rule) || !has_every_verb(grant.rule) || CERTIFICATES.within(grant.rule).is_empty() {
            return Vec::new();
        }
        vec![Hit { verb: "*", resource: "certificates.certcourier.io", reach: Reach::All }]
    });
    who.into_iter()
        .map(|((standing, subject), held)| {
            let finding = Finding {
                severity: Severity::Medium,
                check: Check::WildcardRole,
                subject: subject.to_string(),
                namespaces: held.places(),
                what: "holds verb * on certificates.certcourier.io".to_owned(),
                why: "* includes download, exportkey and approve, which nobody may have meant to give".to_owned(),
                remedy:
                    "list the verbs: get, list, watch to look; certcourier-downloader, -operator and -approver for more"
                        .to_owned(),
                via: held.via.into_iter().collect(),
            };
            (standing, finding)
        })
        .collect()
}
