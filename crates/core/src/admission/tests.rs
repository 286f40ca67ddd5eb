//! What can be said of the policies without an API server; `tests/admission` asks a real one.

use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicySpec;

use super::*;
use crate::api::Format;

const CONTROLLER: &str = "system:serviceaccount:certcourier-system:controller";

fn identity() -> Identity {
    Identity::new("certcourier-system", CONTROLLER, "server@example.com").unwrap()
}

fn policies(identity: &Identity) -> Vec<(String, ValidatingAdmissionPolicySpec)> {
    objects(identity)
        .into_iter()
        .filter_map(|object| match object {
            Object::Policy(policy) => Some((policy.name_any(), policy.spec.unwrap())),
            Object::Binding(_) => None,
        })
        .collect()
}

#[test]
fn every_policy_is_bound_under_its_own_name_and_denies() {
    let objects = objects(&identity());
    assert_eq!(objects.len(), 2 * name::ALL.len());
    for (pair, name) in objects.chunks(2).zip(name::ALL) {
        let [Object::Policy(policy), Object::Binding(binding)] = pair else {
            panic!("{name}: not a policy and its binding")
        };
        let bound = binding.spec.as_ref().unwrap();
        assert_eq!((policy.name_any(), binding.name_any()), (name.to_owned(), name.to_owned()));
        assert_eq!(bound.policy_name.as_deref(), Some(name));
        assert_eq!(bound.validation_actions, Some(vec!["Deny".to_owned(), "Audit".to_owned()]));
        assert!(bound.match_resources.is_none() && bound.param_ref.is_none(), "{name} is bound to a part only");
        assert_eq!(policy.spec.as_ref().unwrap().failure_policy.as_deref(), Some("Fail"));
    }
}

#[test]
fn every_rule_says_something_short_enough_to_be_shown() {
    for (name, spec) in policies(&identity()) {
        for rule in spec.validations.unwrap() {
            let message = rule.message.unwrap_or_default();
            assert!((10..400).contains(&message.len()), "{name}: `{}` says `{message}`", rule.expression);
            assert!(!message.contains('\n'), "{name}: the API server refuses a message with a line break: {message}");
        }
    }
}

#[test]
fn formats_without_a_key_are_those_of_policy() {
    let (_, spec) = policies(&identity()).into_iter().find(|(name, _)| name == name::REQUESTS).unwrap();
    let verb = spec.variables.unwrap().into_iter().find(|variable| variable.name == "verb").unwrap().expression;
    for format in Format::ALL {
        let listed = verb.contains(&format!("'{format}'"));
        assert_eq!(listed, format.is_public(), "{format} in {verb}");
    }
}

#[test]
fn in_sidecar_placement_the_one_user_is_named_once() {
    let both = Identity::new("certcourier-system", "courier", "courier").unwrap();
    let text = serde_json::to_string(&policies(&both).into_iter().map(|(_, spec)| spec).collect::<Vec<_>>()).unwrap();
    assert!(text.contains("['courier']"), "{text}");
    assert!(!text.contains("['courier', 'courier']"), "{text}");
}

#[test]
fn what_could_end_a_literal_is_no_identity() {
    for namespace in ["", "Upper", "-a", "a-", "a.b", "a'b", &"a".repeat(64)] {
        let error = Identity::new(namespace, "c", "s").unwrap_err();
        assert!(error.to_string().contains("such as certcourier-system"), "{error}");
    }
    for user in ["", "a'b", "a b", "a\\b", "a\"b", "a\nb", "system:serviceaccount:ns", "system:serviceaccount:ns:", "ä"]
    {
        assert!(Identity::new("ns", user, "s").is_err(), "{user} as controller");
        let error = Identity::new("ns", "c", user).unwrap_err();
        assert!(error.to_string().contains("user name of the server"), "{error}");
    }
    for user in ["admin", "oidc:jane@example.com", "system:serviceaccount:ns:certcourier.v2"] {
        assert!(Identity::new("ns", user, user).is_ok(), "{user}");
    }
}

#[test]
fn a_service_account_is_a_subject_of_its_own_kind() {
    let account = subject("system:serviceaccount:ns:name");
    assert_eq!(
        (account.kind.as_str(), account.namespace.as_deref(), account.name.as_str()),
        ("ServiceAccount", Some("ns"), "name")
    );
    let person = subject("jane@example.com");
    assert_eq!((person.kind.as_str(), person.namespace, person.name.as_str()), ("User", None, "jane@example.com"));
}

#[test]
fn the_policy_that_refused_is_read_from_the_message_and_others_are_none_of_ours() {
    let said = |policy: &str| {
        format!(
            "certificates.certcourier.io \"c\" is forbidden: ValidatingAdmissionPolicy '{policy}' with binding 'b' denied request: no"
        )
    };
    for name in name::ALL {
        assert_eq!(refused_by(&said(name)), Some(name));
    }
    assert_eq!(refused_by(&said("somebody-elses")), None);
    for (other, words) in [
        ("MutatingAdmissionPolicy", said(name::VOTES)),
        ("ValidatingAdmissionPolicy", said(name::VOTES)),
        ("MutatingAdmissionPolicy", format!("ValidatingAdmissionPolicy '{}' with binding 'b'", name::VOTES)),
    ] {
        let said = format!("x \"c\" is forbidden: {other} 'theirs' with binding 'b' denied request: {words}");
        assert_eq!(refused_by(&said), None, "{said}");
    }
    assert_eq!(refused_by("certificates.certcourier.io is forbidden: User \"x\" cannot create resource"), None);
    assert_eq!(refused_by(""), None);
}

#[test]
fn there_is_one_probe_for_each_policy() {
    let probed: Vec<&str> = probe::probes(&identity()).iter().map(probe::Probe::policy).collect();
    assert_eq!(probed, name::ALL);
}

#[test]
fn a_digest_depends_on_content_and_not_on_order_or_absence() {
    let digest = |text: &str| spec_digest(&serde_json::from_str::<serde_json::Value>(text).unwrap());
    let one = digest(r#"{"a": 1, "b": [1, 2], "c": {"d": "e"}}"#);
    assert_eq!(one, digest(r#"{"c": {"d": "e", "f": null}, "b": [1, 2], "a": 1}"#));
    for other in [
        r#"{"a": 1, "b": [2, 1], "c": {"d": "e"}}"#,
        r#"{"a": 2, "b": [1, 2], "c": {"d": "e"}}"#,
        r#"{"a": 1, "b": [1, 2], "c": {"d": "f"}}"#,
        r#"{"a": 1, "b": [1, 2]}"#,
        r#"{"a": "1", "b": [1, 2], "c": {"d": "e"}}"#,
    ] {
        assert_ne!(one, digest(other), "{other}");
    }
}

/// A policy that changes begins a new epoch in every cluster that is upgraded: it should not happen unnoticed.
#[test]
fn a_changed_policy_has_a_new_digest() {
    let digests: Vec<String> = objects(&identity())
        .iter()
        .filter(|object| object.kind() == "ValidatingAdmissionPolicy")
        .map(|object| format!("{REVISION} {} {}", object.name(), object.digest()))
        .collect();
    assert_eq!(
        digests,
        [
            "1 downloadrequests.certcourier.io 31f25c9c97632e6a032fa14ed7f2209b",
            "1 downloadrequests-status.certcourier.io f934a366a4228ced0ccfd7e996fefab2",
            "1 downloadreceipts.certcourier.io 0a58c679052844d93d022c9770f3d6e9",
            "1 tokens.certcourier.io 85bd71c7785da0b2debe72a3bf7b1386",
            "1 token-readers.certcourier.io fabf91ad074b843438da3622571c7b2c",
            "1 operator-secrets.certcourier.io bed01f5b433f23143c2694d7e1dfac87",
            "1 certificates.certcourier.io da86c234da500be762fc69ebecfaf8ae",
            "1 guard-state.certcourier.io 962da7000981dbd36c013c689546539e",
        ],
        "a policy has changed: write the new digests here, and raise REVISION if a release has the old ones"
    );
}
