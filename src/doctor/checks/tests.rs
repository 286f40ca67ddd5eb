mod standing;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    admission as policies,
    admission::Object,
    api::DownloadRequest,
    doctor::{
        check::Check,
        facts::Seen,
        rbac::Rbac,
        report::{Gap, ObjectState, Severity, Verdict},
    },
};

pub(super) const SYSTEM: &str = "certcourier-system";
const CONTROLLER: &str = "system:serviceaccount:certcourier-system:controller";
const SERVER: &str = "system:serviceaccount:certcourier-system:server";

pub(super) fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T18:00:00Z".parse().unwrap()
}

/// A cluster in which nothing is wrong: Certificates in payments (Secrets api-tls, web-tls) and shop (shop-tls).
pub(super) fn sound() -> Facts {
    let certificate = |namespace: &str, name: &str, secrets: &[&str]| {
        let environments: Vec<Value> =
            secrets.iter().map(|secret| json!({"name": secret, "secretRef": {"name": secret}})).collect();
        parse(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "Certificate",
            "metadata": {"name": name, "namespace": namespace}, "spec": {"environments": environments},
        }))
    };
    let guard = [
        ("state", "Intact"),
        ("epoch", "9f86d081884c7d65"),
        ("since", "2026-11-22T12:00:00Z"),
        ("probedAt", "2026-11-22T17:59:57Z"),
    ];
    Facts {
        now: now(),
        operator_namespace: SYSTEM.to_owned(),
        certificates: vec![
            certificate("payments", "api", &["api-tls"]),
            certificate("payments", "web", &["web-tls"]),
            certificate("shop", "shop", &["shop-tls"]),
        ],
        guard: Seen::There(guard.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        admission: Some(policies::objects(&identity())),
        ..Facts::default()
    }
}

fn identity() -> Identity {
    Identity::new(SYSTEM, CONTROLLER, SERVER).unwrap()
}

fn subject(text: &str) -> Value {
    match text.parse::<Subject>().unwrap() {
        Subject::User(name) => json!({"kind": "User", "name": name}),
        Subject::Group(name) => json!({"kind": "Group", "name": name}),
        Subject::ServiceAccount { namespace, name } => {
            json!({"kind": "ServiceAccount", "name": name, "namespace": namespace})
        }
    }
}

/// Gives a subject rules: in a namespace, or everywhere.
pub(super) fn give(rbac: &mut Rbac, who: &str, namespace: Option<&str>, rules: &Value, labels: &Value) {
    let number = rbac.cluster_roles.len();
    let role = format!("role-{number}");
    rbac.cluster_roles.push(parse(json!({"metadata": {"name": role}, "rules": rules})));
    let binding = json!({
        "metadata": {"name": format!("binding-{number}"), "namespace": namespace, "labels": labels},
        "subjects": [subject(who)],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
    });
    match namespace {
        Some(_) => rbac.role_bindings.push(parse(binding)),
        None => rbac.cluster_role_bindings.push(parse(binding)),
    }
}

pub(super) fn with(who: &str, namespace: Option<&str>, rules: &Value) -> Facts {
    let mut facts = sound();
    give(&mut facts.rbac, who, namespace, rules, &json!({}));
    facts
}

pub(super) fn rule(verbs: &[&str], group: &str, resources: &[&str]) -> Value {
    json!([{"verbs": verbs, "apiGroups": [group], "resources": resources}])
}

pub(super) fn named(verbs: &[&str], group: &str, resources: &[&str], names: &[&str]) -> Value {
    json!([{"verbs": verbs, "apiGroups": [group], "resources": resources, "resourceNames": names}])
}

/// `severity check subject places: what`
pub(super) fn short(report: &Report) -> Vec<String> {
    report
        .findings
        .iter()
        .map(|f| format!("{} {:?} {} [{}] {}", f.severity.name(), f.check, f.subject, f.namespaces.join(","), f.what))
        .collect()
}

#[test]
fn a_sound_cluster_has_no_findings() {
    let report = evaluate(&sound());
    assert_eq!(short(&report), [""; 0]);
    assert_eq!(report.verdict(), Verdict::Clean);
    assert_eq!(
        report.operator,
        ["ServiceAccount/certcourier-system/controller", "ServiceAccount/certcourier-system/server"]
    );
    assert_eq!(report.guard.probe_age_seconds, Some(3));
    assert!(report.guard.objects.iter().all(|object| object.state == ObjectState::Intact));
    let places: Vec<(&str, usize)> =
        report.namespaces.iter().map(|place| (place.name.as_str(), place.certificates)).collect();
    assert_eq!(places, [("payments", 2), ("shop", 1)]);
}

#[test]
fn whom_the_user_vouches_for_is_named_and_no_finding() {
    let mut facts = with("Group/admins", None, &json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]));
    assert_eq!(evaluate(&facts).findings.len(), 1);
    facts.trusted = vec!["Group/admins".parse().unwrap()];
    let report = evaluate(&facts);
    assert_eq!(short(&report), [""; 0]);
    assert_eq!(report.set_aside, [SetAside { because: SetAsideReason::Trusted, subject: "Group/admins".to_owned() }]);
}

#[test]
fn rights_of_several_bindings_are_one_finding() {
    let mut facts = with("User/mallory", Some("shop"), &rule(&["get"], "", &["secrets"]));
    give(&mut facts.rbac, "User/mallory", Some("payments"), &rule(&["watch"], "", &["secrets"]), &json!({}));
    give(&mut facts.rbac, "User/mallory", Some("payments"), &rule(&["create"], "", &["pods"]), &json!({}));
    let report = evaluate(&facts);
    // Who reads Secrets gains nothing by mounting them.
    assert_eq!(short(&report), ["high ReadsSecrets User/mallory [payments,shop] may get, watch secrets"]);
    assert_eq!(
        report.findings[0].via,
        ["RoleBinding payments/binding-1 -> ClusterRole role-1", "RoleBinding shop/binding-0 -> ClusterRole role-0"]
    );
    give(&mut facts.rbac, "User/eve", Some("shop"), &rule(&["create"], "", &["pods"]), &json!({}));
    assert_eq!(evaluate(&facts).findings.len(), 2);
}

#[test]
fn who_may_do_everything_is_one_finding_and_not_ten() {
    let report = evaluate(&with(
        "User/root",
        None,
        &json!([
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]},
        ]),
    ));
    assert_eq!(short(&report), ["high Everything User/root [*] may do everything (verb * on *.*)"]);
    assert!(report.holders.is_empty());
}

#[test]
fn a_rule_maker_who_takes_part_is_found_where_both_meet() {
    let edit = rule(&["update"], "certcourier.io", &["certificatepolicies"]);
    let export = rule(&["exportkey"], "certcourier.io", &["certificates"]);
    let mut apart = with("User/dave", Some("shop"), &edit);
    give(&mut apart.rbac, "User/dave", Some("payments"), &export, &json!({}));
    assert_eq!(short(&evaluate(&apart)), [""; 0]);
    for place in [Some("shop"), None] {
        let mut together = with("User/dave", Some("shop"), &edit);
        give(&mut together.rbac, "User/dave", place, &export, &json!({}));
        let report = evaluate(&together);
        assert_eq!(
            short(&report),
            ["medium LoosensPolicies User/dave [shop] edits CertificatePolicies and holds exportkey"]
        );
        assert_eq!(report.findings[0].via.len(), 2);
    }
}

#[test]
fn holders_are_listed_with_their_limits() {
    let mut facts = with("User/bob", Some("payments"), &rule(&["approve"], "certcourier.io", &["certificates"]));
    let limited = named(&["exportkey"], "certcourier.io", &["certificates"], &["api", "gone"]);
    give(&mut facts.rbac, "Group/ops", None, &limited, &json!({}));
    let report = evaluate(&facts);
    let holders: Vec<_> = report
        .holders
        .iter()
        .map(|holder| {
            (holder.right.name(), holder.subject.as_str(), holder.namespaces.join(","), holder.certificates.join(","))
        })
        .collect();
    assert_eq!(
        holders,
        [
            ("approve", "User/bob", "payments".to_owned(), String::new()),
            ("exportkey", "Group/ops", "*".to_owned(), "api".to_owned()),
        ]
    );
    assert_eq!(report.verdict(), Verdict::Clean);
}

fn guard_of(entries: &[(&str, &str)]) -> Seen<BTreeMap<String, String>> {
    Seen::There(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn what_the_guard_names_as_able_to_change_votes_is_found() {
    let mut facts = sound();
    let Seen::There(content) = &mut facts.guard else { panic!("there is a guard") };
    let named =
        "MutatingAdmissionPolicy `turn` (downloadrequests/status)\nMutatingWebhookConfiguration `all` (certificates)";
    content.insert("mutators".to_owned(), named.to_owned());
    let report = evaluate(&facts);
    let subjects: Vec<&str> = report.findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(subjects, ["MutatingAdmissionPolicy/turn", "MutatingWebhookConfiguration/all"]);
    for finding in &report.findings {
        assert_eq!((finding.severity, finding.check), (Severity::Medium, Check::MutatesRequests));
        assert!(finding.remedy.contains("exclude group certcourier.io"), "{}", finding.remedy);
    }
}

#[test]
fn a_guard_without_fresh_evidence_is_critical() {
    let fresh = "2026-11-22T17:59:00Z";
    for (guard, said) in [
        (Seen::Missing, "there is no ConfigMap certcourier-guard in namespace certcourier-system"),
        (guard_of(&[]), "the guard says nothing"),
        (
            guard_of(&[
                ("state", "Broken"),
                ("reason", "NotDenying"),
                ("message", "tokens: Audit"),
                ("probedAt", fresh),
            ]),
            "the guard says Broken: NotDenying: tokens: Audit",
        ),
        (guard_of(&[("state", "Intact"), ("probedAt", "2026-11-22T17:58:59Z")]), "is 61 s old"),
        (guard_of(&[("state", "Intact")]), "the guard says Intact"),
        (guard_of(&[("state", "Intact"), ("probedAt", "yesterday")]), "the guard says Intact"),
    ] {
        let report = evaluate(&Facts { guard, ..sound() });
        assert_eq!(report.findings.len(), 1, "{said}");
        let finding = &report.findings[0];
        assert_eq!((finding.severity, finding.check), (Severity::Critical, Check::Guard));
        assert!(finding.what.contains(said), "{}", finding.what);
    }
    let at_the_limit = guard_of(&[("state", "Intact"), ("probedAt", fresh)]);
    assert_eq!(short(&evaluate(&Facts { guard: at_the_limit, ..sound() })), [""; 0]);
    assert_eq!(short(&evaluate(&Facts { guard: Seen::Unknown, ..sound() })), [""; 0]);
}

fn tampered(change: impl Fn(&mut Vec<Object>)) -> Report {
    let mut facts = sound();
    change(facts.admission.as_mut().unwrap());
    evaluate(&facts)
}

fn policy_mut<'a>(
    objects: &'a mut [Object],
    name: &str,
) -> &'a mut k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy {
    objects
        .iter_mut()
        .find_map(|object| match object {
            Object::Policy(policy) if policy.metadata.name.as_deref() == Some(name) => Some(policy.as_mut()),
            _ => None,
        })
        .unwrap()
}

#[test]
fn a_policy_that_is_not_as_it_was_applied_is_found() {
    use policies::name::{RECEIPTS, VOTES};
    let found = |report: &Report| short(report).join("\n");
    let gone =
        tampered(|all| all.retain(|object| object.kind() != "ValidatingAdmissionPolicy" || object.name() != VOTES));
    assert_eq!(
        found(&gone),
        "critical AdmissionPolicy ValidatingAdmissionPolicy/downloadrequests-status.certcourier.io [] is not there"
    );
    let audit = tampered(|all| {
        for object in all {
            if let Object::Binding(binding) = object
                && binding.metadata.name.as_deref() == Some(RECEIPTS)
            {
                binding.spec.as_mut().unwrap().validation_actions = Some(vec!["Audit".to_owned()]);
            }
        }
    });
    assert_eq!(
        found(&audit),
        "critical AdmissionPolicy ValidatingAdmissionPolicyBinding/downloadreceipts.certcourier.io [] does not refuse: \
         its validationActions lack Deny"
    );
    let loosened = tampered(|all| {
        let spec = policy_mut(all, VOTES).spec.as_mut().unwrap();
        spec.validations.as_mut().unwrap()[1].expression = "true".to_owned();
    });
    assert_eq!(loosened.findings[0].subject, format!("ValidatingAdmissionPolicy/{VOTES}"));
    assert!(found(&loosened).contains("its spec was changed"), "{}", found(&loosened));
    assert_eq!(loosened.findings.len(), 1);
    let none = tampered(Vec::clear);
    assert_eq!(none.findings.len(), 2 * policies::name::ALL.len());
    assert!(none.operator.is_empty());
}

#[test]
fn a_policy_that_names_another_operator_differs_from_the_others() {
    let report = tampered(|all| {
        let spec = policy_mut(all, policies::name::RECEIPTS).spec.as_mut().unwrap();
        for rule in spec.validations.as_mut().unwrap() {
            rule.expression = rule.expression.replace(CONTROLLER, "mallory").replace(SERVER, "mallory");
        }
        for variable in spec.variables.iter_mut().flatten() {
            variable.expression = variable.expression.replace(CONTROLLER, "mallory").replace(SERVER, "mallory");
        }
    });
    assert_eq!(report.findings.len(), 1, "{:?}", short(&report));
    assert_eq!(report.findings[0].subject, "ValidatingAdmissionPolicy/downloadreceipts.certcourier.io");
}

#[test]
fn an_operator_outside_its_namespace_is_found() {
    let outside = Identity::new(SYSTEM, "system:serviceaccount:default:app", "alice").unwrap();
    let report = evaluate(&Facts { admission: Some(policies::objects(&outside)), ..sound() });
    let who: Vec<&str> = report.findings.iter().map(|finding| finding.subject.as_str()).collect();
    assert_eq!(who, ["ServiceAccount/default/app", "User/alice"]);
    assert!(report.findings.iter().all(|finding| finding.check == Check::OperatorIdentity));
}

#[test]
fn controller_and_server_may_be_one() {
    let both = "system:serviceaccount:certcourier-system:certcourier";
    let one = Identity::new(SYSTEM, both, both).unwrap();
    let report = evaluate(&Facts { admission: Some(policies::objects(&one)), ..sound() });
    assert_eq!(short(&report), [""; 0]);
    assert_eq!(report.operator, ["ServiceAccount/certcourier-system/certcourier"]);
}

#[test]
fn the_policies_say_where_the_operator_lives() {
    let other = Identity::new("security", CONTROLLER, SERVER).unwrap();
    assert_eq!(operator_namespace(&policies::objects(&other)).as_deref(), Some("security"));
    assert_eq!(operator_namespace(&[]), None);
}

#[test]
fn another_revision_is_not_judged() {
    let judged = |revision: &dyn Fn(&str) -> String| {
        let mut report = tampered(|all| {
            let policy = policy_mut(all, policies::name::TOKENS);
            policy.spec.as_mut().unwrap().validations.as_mut().unwrap().pop();
            let revision = revision(&policies::spec_digest(&policy.spec));
            policy
                .metadata
                .annotations
                .get_or_insert_default()
                .insert(policies::REVISION_ANNOTATION.to_owned(), revision);
        });
        assert_eq!(report.findings.len(), 1);
        report.findings.remove(0)
    };
    // As `certcourier manifests` writes it, and as the Helm chart does.
    for finding in [judged(&|digest| format!("999-{digest}")), judged(&|_| "999".to_owned())] {
        assert_eq!(finding.severity, Severity::Medium);
        assert!(finding.what.contains("another revision"), "{}", finding.what);
    }
    for finding in [judged(&|_| "999-0".to_owned()), judged(&|_| policies::REVISION.to_string())] {
        assert_eq!(finding.severity, Severity::Critical, "{}", finding.what);
    }
}

fn request(name: &str, requester: &str, deadline: Option<&str>) -> DownloadRequest {
    parse(json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
        "metadata": {"name": name, "namespace": "payments"},
        "spec": {"certificateRef": {"name": "api"}, "format": "cert", "deadline": deadline,
                 "requestedBy": {"username": requester}},
    }))
}

#[test]
fn unattended_requests_without_deadline_are_one_finding_for_each_requester() {
    let bot = "system:serviceaccount:ci:bot";
    let mut requests: Vec<DownloadRequest> = (0..7).map(|number| request(&format!("r{number}"), bot, None)).collect();
    requests.push(request("fine", bot, Some("2026-11-22T19:00:00Z")));
    requests.push(request("person", "alice", None));
    let mut of_guard = request("certcourier-guard", "system:serviceaccount:certcourier-system:controller", None);
    of_guard.metadata.namespace = Some(SYSTEM.to_owned());
    requests.push(of_guard);
    let report = evaluate(&Facts { requests, ..sound() });
    assert_eq!(
        short(&report),
        ["low UnattendedWithoutDeadline ServiceAccount/ci/bot [payments] asked without spec.deadline: \
              payments/r0, payments/r1, payments/r2, payments/r3, payments/r4, 2 more"]
    );
}

#[test]
fn a_gap_outweighs_findings_and_none() {
    let gap = Gap { what: "Roles".to_owned(), right: None, cause: "no".to_owned() };
    let mut facts = Facts { gaps: vec![gap], ..sound() };
    assert_eq!(evaluate(&facts).verdict(), Verdict::Incomplete);
    give(&mut facts.rbac, "User/mallory", None, &rule(&["get"], "", &["secrets"]), &json!({}));
    let report = evaluate(&facts);
    assert_eq!((report.verdict(), report.findings.len()), (Verdict::Incomplete, 3));
}

#[test]
fn the_worst_comes_first_and_the_order_of_objects_does_not_matter() {
    let mut facts = with("User/zoe", None, &rule(&["create"], "", &["pods"]));
    give(&mut facts.rbac, "User/adam", Some(SYSTEM), &rule(&["create"], "", &["pods"]), &json!({}));
    give(&mut facts.rbac, "User/eve", None, &rule(&["get"], "", &["secrets"]), &json!({}));
    facts.requests = vec![request("r", "system:serviceaccount:ci:bot", None)];
    let report = evaluate(&facts);
    let order: Vec<Severity> = report.findings.iter().map(|finding| finding.severity).collect();
    assert!(order.is_sorted() && order.len() >= 4, "{order:?}");
    facts.rbac.role_bindings.reverse();
    facts.rbac.cluster_role_bindings.reverse();
    facts.rbac.cluster_roles.reverse();
    facts.certificates.reverse();
    assert_eq!(evaluate(&facts), report);
}

#[test]
fn nothing_known_is_no_panic() {
    let report = evaluate(&Facts::default());
    assert_eq!(report.findings, []);
    assert_eq!(report.guard.state, None);
}
