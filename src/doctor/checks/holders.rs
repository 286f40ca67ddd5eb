//! Who holds what certcourier itself gives people. Holding it is no finding; two rights that should be in two hands are.

use std::collections::BTreeMap;

use super::{
    Bench, Places, Standing,
    held::{ByWhom, Place, Target},
};
use crate::{
    api::GROUP,
    doctor::{
        rbac::{Right, Subject},
        report::{Check, Finding, Holder, Severity},
    },
};

const APPROVE: Right = Right { verbs: &["approve"], group: GROUP, resources: &["certificates"] };
const EXPORT: Right = Right { verbs: &["exportkey"], group: GROUP, resources: &["certificates"] };
const TAKE_PART: Right =
    Right { verbs: &["download", "exportkey", "approve"], group: GROUP, resources: &["certificates"] };
const EDIT: Right = Right {
    verbs: &["create", "update", "patch", "delete", "deletecollection"],
    group: GROUP,
    resources: &["certificatepolicies"],
};

/// Everybody who holds one of them, those who may do everything left out.
pub(super) fn list(bench: &Bench<'_>) -> Vec<Holder> {
    let mut list = Vec::new();
    for (right, name) in [(APPROVE, "approve"), (EXPORT, "exportkey"), (EDIT, "edit policies")] {
        let target = if name == "edit policies" { Target::Any } else { Target::Certificate };
        for ((standing, subject), held) in bench.who_holds(&[right], &[Place::Certificates], target) {
            if standing == Standing::ControlPlane {
                continue;
            }
            list.push(Holder {
                right: name,
                subject: subject.to_string(),
                namespaces: held.places(),
                certificates: held.limits(),
                via: held.via.into_iter().collect(),
            });
        }
    }
    list
}

/// Whoever edits policies and takes part under them makes the rules for himself.
pub(super) fn findings(bench: &Bench<'_>) -> Vec<Finding> {
    let by_subject = |who: ByWhom| -> BTreeMap<Subject, _> {
        who.into_iter()
            .filter(|((standing, _), _)| *standing == Standing::Ordinary)
            .map(|((_, subject), held)| (subject, held))
            .collect()
    };
    let editors = by_subject(bench.who_holds(&[EDIT], &[Place::Certificates], Target::Any));
    let mut others = by_subject(bench.who_holds(&[TAKE_PART], &[Place::Certificates], Target::Certificate));
    editors
        .into_iter()
        .filter_map(|(subject, edits)| {
            let takes = others.remove(&subject)?;
            if !Places::overlap(&edits.namespaces, &takes.namespaces) {
                return None;
            }
            let verbs: Vec<&str> = takes.rights.iter().map(|(verb, _)| *verb).collect();
            let mut via: Vec<String> = edits.via.union(&takes.via).cloned().collect();
            via.sort();
            Some(Finding {
                severity: Severity::Medium,
                check: Check::LoosensPolicies,
                subject: subject.to_string(),
                namespaces: edits.places(),
                what: format!("edits CertificatePolicies and holds {}", verbs.join(", ")),
                why: "they can loosen a policy, and take part under it in the same minute".to_owned(),
                remedy: "give certcourier-admin to people who neither download nor approve; or set a ceiling with the \
                         controller's --cluster-policy"
                    .to_owned(),
                via,
            })
        })
        .collect()
}
