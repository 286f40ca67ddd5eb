//! Rights that reach past certcourier, by the table of `rows`: who can read a key directly, be someone else, or change
//! the rules.

use std::collections::BTreeSet;

use super::{
    Bench, Exemption, is_everybody,
    rows::{self, Place, Row},
    who_holds::{Held, Hit, Reach},
};
use crate::{
    api::GROUP,
    doctor::{
        check::Check,
        rbac::{Right, Subject, has_every_verb, is_everything},
        report::{Finding, SetAsideReason, Severity},
    },
};

/// Where the right to everything is asked for.
const EVERYWHERE: &[Place] = &[Place::Certificates, Place::Operator, Place::KubeSystem, Place::Cluster];

/// What was found about rights.
#[derive(Default)]
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) notes: Vec<Finding>,
    pub(super) set_aside: BTreeSet<(SetAsideReason, Subject)>,
}

impl Found {
    /// A finding, a note, or nothing, depending on the subject.
    fn take(&mut self, standing: Exemption, subject: &Subject, finding: Finding) {
        match standing {
            Exemption::Ordinary => self.findings.push(finding),
            Exemption::Keeper => self.notes.push(of_a_keeper(finding)),
            Exemption::Exempt(reason) => {
                self.set_aside.insert((reason, subject.clone()));
            }
        }
    }
}

/// Goes through the table.
pub(super) fn found(bench: &Bench<'_>) -> Found {
    let mut found = Found::default();
    everything(bench, &mut found);
    for row in rows::all() {
        for ((standing, subject), held) in bench.who_can(row) {
            if row.check == Check::EverybodyHolds && !is_everybody(&subject) {
                continue;
            }
            found.take(standing, &subject, finding(row, &subject, held));
        }
    }
    drop_what_adds_nothing(&mut found.findings);
    wildcards(bench, &mut found);
    found
}

fn finding(row: &Row, subject: &Subject, held: Held) -> Finding {
    let names = held.limits();
    Finding {
        severity: match (is_everybody(subject), names.is_empty()) {
            (true, _) => Severity::Critical,
            (false, true) => row.severity,
            (false, false) => row.limited,
        },
        check: row.check,
        subject: subject.to_string(),
        namespaces: if row.is_of_the_cluster() { Vec::new() } else { held.places() },
        names,
        what: held.in_words(),
        why: row.why.to_owned(),
        remedy: row.remedy.to_owned(),
        via: held.via.into_iter().collect(),
    }
}

/// Who keeps Certificates must be allowed to get the Secrets that they name: admission asks for it.
fn of_a_keeper(finding: Finding) -> Finding {
    Finding {
        severity: Severity::Note,
        check: Check::KeepsCertificates,
        why: "they write Certificates there, and policy `certificates` asks for the right to get each Secret that a \
              Certificate names: Certificates cannot be kept without it. They read these private keys themselves"
            .to_owned(),
        remedy: format!(
            "nothing, if they are to keep these Certificates: --trust {} removes the note; otherwise remove both rights",
            finding.subject
        ),
        ..finding
    }
}

/// A finding goes where a stronger one says as much: the same subject, in the same places, on all objects.
fn drop_what_adds_nothing(findings: &mut Vec<Finding>) {
    let said: Vec<(Check, String, Vec<String>)> = findings
        .iter()
        .filter(|finding| finding.names.is_empty())
        .map(|finding| (finding.check, finding.subject.clone(), finding.namespaces.clone()))
        .collect();
    let stronger = |check: Check| rows::all().find(|row| row.check == check).map_or(&[][..], |row| row.adds_nothing_to);
    findings.retain(|finding| {
        !said.iter().any(|(check, subject, namespaces)| {
            let covers = namespaces.iter().any(|one| one == "*")
                || finding.namespaces.iter().all(|namespace| namespaces.contains(namespace));
            stronger(finding.check).contains(check) && *subject == finding.subject && covers
        })
    });
}

fn everything(bench: &Bench<'_>, found: &mut Found) {
    let who = bench.who(EVERYWHERE, |grant| {
        if is_everything(grant.rule) { vec![Hit { verb: "*", resource: "*", reach: Reach::All }] } else { Vec::new() }
    });
    for ((standing, subject), held) in who {
        let finding = Finding {
            severity: if is_everybody(&subject) { Severity::Critical } else { Severity::High },
            check: Check::Everything,
            subject: subject.to_string(),
            namespaces: held.places(),
            names: Vec::new(),
            what: "may do everything (verb * on *.*)".to_owned(),
            why: "they read every private key and can change every rule: certcourier protects nothing from them"
                .to_owned(),
            remedy: "bind a role that lists what they need; name those who are meant to have it with --trust"
                .to_owned(),
            via: held.via.into_iter().collect(),
        };
        found.take(standing, &subject, finding);
    }
}

fn wildcards(bench: &Bench<'_>, found: &mut Found) {
    const CERTIFICATES: Right = Right { verbs: &["exportkey"], group: GROUP, resources: &["certificates"] };
    let who = bench.who(&[Place::Certificates], |grant| {
        if is_everything(grant.rule) || !has_every_verb(grant.rule) || CERTIFICATES.within(grant.rule).is_empty() {
            return Vec::new();
        }
        vec![Hit { verb: "*", resource: "certificates.certcourier.io", reach: Reach::All }]
    });
    for ((standing, subject), held) in who {
        let finding = Finding {
            severity: Severity::Medium,
            check: Check::WildcardRole,
            subject: subject.to_string(),
            namespaces: held.places(),
            names: Vec::new(),
            what: "holds verb * on certificates.certcourier.io".to_owned(),
            why: "* includes download, exportkey and approve, which may be more than was meant".to_owned(),
            remedy:
                "list the verbs: get, list and watch for reading; certcourier-downloader, -operator and -approver for \
                 more"
                    .to_owned(),
            via: held.via.into_iter().collect(),
        };
        found.take(standing, &subject, finding);
    }
}
