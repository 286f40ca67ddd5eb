//! Whose rights are not a finding: Kubernetes' own, and what keeping Certificates takes.

use serde_json::{Value, json};

use super::{evaluate, give, named, rule, short, sound, with};
use crate::doctor::{
    check::Check,
    facts::Facts,
    report::{Report, SetAside, SetAsideReason, Severity, Verdict},
};

const RBAC: &str = "rbac.authorization.k8s.io";
const PAYMENTS: Option<&str> = Some("payments");

fn has(report: &Report, check: Check) -> bool {
    report.findings.iter().any(|finding| finding.check == check)
}

/// The binding of a controller as kube-apiserver keeps it, or something like it.
fn bootstrap(binding: &str, role: &str, account: &str) -> Facts {
    let mut facts = sound();
    let label = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    let rules = rule(&["list"], "", &["secrets"]);
    facts.rbac.cluster_roles.push(serde_json::from_value(json!({"metadata": {"name": role}, "rules": rules})).unwrap());
    facts.rbac.cluster_role_bindings.push(
        serde_json::from_value(json!({
            "metadata": {"name": binding, "labels": label},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}],
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        }))
        .unwrap(),
    );
    facts
}

#[test]
fn kubernetes_own_accounts_are_set_aside_only_where_kubernetes_has_bound_them() {
    const NAME: &str = "system:controller:generic-garbage-collector";
    let account = "ServiceAccount/kube-system/generic-garbage-collector";
    let mut facts = bootstrap(NAME, NAME, "generic-garbage-collector");
    let report = evaluate(&facts);
    assert_eq!(short(&report), [""; 0]);
    let aside = SetAside { because: SetAsideReason::ControlPlane, subject: account.to_owned() };
    assert_eq!(report.set_aside, [aside]);
    give(&mut facts.rbac, account, PAYMENTS, &rule(&["list"], "", &["secrets"]), &json!({}));
    assert_eq!(short(&evaluate(&facts)), [format!("high ReadsSecrets {account} [payments] may list secrets")]);
    // The label is anybody's to write.
    for (binding, role, account) in [
        ("backup", "backup", "generic-garbage-collector"),
        ("backup", NAME, "generic-garbage-collector"),
        (NAME, "cluster-reader", "generic-garbage-collector"),
        (NAME, NAME, "backup"),
    ] {
        let report = evaluate(&bootstrap(binding, role, account));
        assert_eq!(report.findings.len(), 3, "{binding} {role} {account}: {:?}", short(&report));
        assert!(has(&report, Check::ReadsSecrets) && report.set_aside.is_empty());
    }
    // And it makes nobody else part of Kubernetes.
    let mut facts = sound();
    let label = json!({"kubernetes.io/bootstrapping": "rbac-defaults"});
    give(&mut facts.rbac, "User/mallory", PAYMENTS, &rule(&["list"], "", &["secrets"]), &label);
    assert_eq!(short(&evaluate(&facts)), ["high ReadsSecrets User/mallory [payments] may list secrets"]);
}

#[test]
fn who_keeps_certificates_and_reads_exactly_their_secrets_is_a_note() {
    let keep = rule(&["update"], "certcourier.io", &["certificates"]);
    let exactly = named(&["get"], "", &["secrets"], &["api-tls", "web-tls"]);
    let dave = |rules: &Value, place, keeps| {
        let mut facts = with("User/dave", place, rules);
        give(&mut facts.rbac, "User/dave", keeps, &keep, &json!({}));
        facts
    };
    let mut facts = dave(&exactly, PAYMENTS, PAYMENTS);
    let report = evaluate(&facts);
    assert_eq!((short(&report), report.verdict()), (vec![], Verdict::Clean));
    let [note] = report.notes.as_slice() else { panic!("{:?}", report.notes) };
    assert_eq!((note.check, note.severity), (Check::KeepsCertificates, Severity::Note));
    assert_eq!(note.what, "may get secrets named api-tls, web-tls");
    assert!(note.remedy.contains("--trust User/dave"), "{}", note.remedy);
    facts.trusted = vec!["User/dave".parse().unwrap()];
    assert!(evaluate(&facts).notes.is_empty());

    // Keeping them elsewhere, by another verb, or without names is another thing.
    for facts in [
        dave(&exactly, PAYMENTS, Some("shop")),
        dave(&exactly, None, PAYMENTS),
        dave(&rule(&["get"], "", &["secrets"]), PAYMENTS, PAYMENTS),
        dave(&named(&["patch"], "", &["secrets"], &["api-tls"]), PAYMENTS, PAYMENTS),
        dave(&named(&["list"], "", &["secrets"], &["api-tls"]), PAYMENTS, PAYMENTS),
        with("User/dave", PAYMENTS, &exactly),
    ] {
        let report = evaluate(&facts);
        assert!(report.notes.is_empty() && has(&report, Check::ReadsSecrets), "{:?}", short(&report));
    }
    assert!(evaluate(&dave(&exactly, None, None)).findings.is_empty());
}
