//! Who holds what certcourier itself gives people. Holding one of these rights is not a finding; holding two that belong
//! in different hands is.

use std::collections::BTreeMap;

use super::{
    Bench, Exemption, Places,
    rows::{Place, Target},
    who_holds::ByWhom,
};
use crate::{
    api::GROUP,
    doctor::{
        rbac::{Right, Subject},
        report::{Check, Finding, HeldRight, Holder, SetAsideReason, Severity},
    },
};

const APPROVE: Right = Right { verbs: &["approve"], group: GROUP, resources: &["certificates"] };
const EXPORT: Right = Right { verbs: &["exportkey"], group: GROUP, resources: &["certificates"] };
pub(super) const TAKE_PART: Right =
    Right { verbs: &["download", "exportkey", "approve"], group: GROUP, resources: &["certificates"] };
const EDIT: Right = Right {
    verbs: &["create", "update", "patch", "delete", "deletecollection"],
    group: GROUP,
    resources: &["certificatepolicies"],
};

/// Everyone who holds one of them, those who may do everything left out.
pub(super) fn list(bench: &Bench<'_>) -> Vec<Holder> {
    let mut list = Vec::new();
    for held_right in HeldRight::ALL {
        let (right, target) = match held_right {
            HeldRight::Approve => (APPROVE, Target::Certificate),
            HeldRight::ExportKey => (EXPORT, Target::Certificate),
            HeldRight::EditPolicies => (EDIT, Target::Any),
        };
        for ((standing, subject), held) in bench.who_holds(&[right], &[Place::Certificates], target) {
            if standing == Exemption::Exempt(SetAsideReason::ControlPlane) {
                continue;
            }
            list.push(Holder {
                right: held_right,
                subject: subject.to_string(),
                namespaces: held.places(),
                certificates: held.limits(),
                via: held.via.into_iter().collect(),
            });
        }
    }
    list
}

/// Someone who edits policies and takes part under them makes their own rules.
pub(super) fn findings(bench: &Bench<'_>) -> Vec<Finding> {
    let by_subject = |who: ByWhom| -> BTreeMap<Subject, _> {
        who.into_iter()
            .filter(|((standing, _), _)| *standing == Exemption::Ordinary)
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
                names: Vec::new(),
                what: format!("edits CertificatePolicies and holds {}", verbs.join(", ")),
                why: "they can loosen a policy, and use it in the same minute".to_owned(),
                remedy: "give certcourier-admin to people who neither download nor approve; or set a ceiling with the \
                         controller's --cluster-policy"
                    .to_owned(),
                via,
            })
        })
        .collect()
}
