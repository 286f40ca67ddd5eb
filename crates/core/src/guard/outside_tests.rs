//! What lies outside the policies and decides all the same: the CRDs, and whatever changes objects on their way.

use serde_json::{Value, json};

use super::{
    tests::{changed, identity, objects},
    *,
};
use crate::{admission::name, api::names::CRDS};

const REQUESTS: &str = "downloadrequests.certcourier.io";
const POLICIES: &str = "certificatepolicies.certcourier.io";
const SCHEMA: &str = "/versions/0/schema/openAPIV3Schema";

type Edit = Box<dyn FnOnce(&mut Value)>;

fn at<'a>(spec: &'a mut Value, pointer: &str) -> &'a mut Value {
    spec.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer}"))
}

/// What the guard says of a CRD that somebody edited so.
fn said(name: &str, edit: impl FnOnce(&mut Value)) -> Option<String> {
    let live = changed(Kind::Crd, name, |object| edit(&mut object.spec));
    live.fault(&Wanted::of(&identity())).map(|reason| match reason {
        Reason::CrdChanged { name: of, difference } => {
            assert_eq!(of, name);
            difference
        }
        other => panic!("{other}"),
    })
}

fn property(path: &str) -> String {
    let fields = path.split('.').map(|part| match part.strip_suffix("[]") {
        Some(list) => format!("/properties/{list}/items"),
        None => format!("/properties/{part}"),
    });
    format!("{SCHEMA}{}", fields.collect::<String>())
}

#[test]
fn a_crd_that_changes_what_is_stored_or_read_is_broken_and_the_difference_is_named() {
    let field = |path: &'static str, key: &'static str, value: Value| {
        move |spec: &mut Value| at(spec, &property(path))[key] = value
    };
    let vote = json!([{"username": "bob", "digest": "d", "decision": "Approve", "reason": "never said"}]);
    let edits: Vec<(&str, &str, Edit)> = vec![
        ("subresource status is off", REQUESTS, Box::new(|spec| at(spec, "/versions/0")["subresources"] = Value::Null)),
        ("subresource status is off", REQUESTS, Box::new(|spec| at(spec, "/versions/0")["subresources"] = json!({}))),
        (
            "subresource scale is on",
            REQUESTS,
            Box::new(|spec| at(spec, "/versions/0/subresources")["scale"] = json!({"specReplicasPath": ".spec.x"})),
        ),
        (
            "subresource status is on",
            POLICIES,
            Box::new(|spec| at(spec, "/versions/0")["subresources"] = json!({"status": {}})),
        ),
        ("strategy is Webhook", REQUESTS, Box::new(|spec| spec["conversion"] = json!({"strategy": "Webhook"}))),
        (
            "version v2 is served too",
            REQUESTS,
            Box::new(|spec| {
                let mut second = spec["versions"][0].clone();
                (second["name"], second["storage"]) = (json!("v2"), json!(false));
                spec["versions"].as_array_mut().unwrap().push(second);
            }),
        ),
        (
            "v1alpha1 is not the one that is served",
            REQUESTS,
            Box::new(|spec| at(spec, "/versions/0")["storage"] = json!(false)),
        ),
        // A default is written into every object that is read.
        ("a different `default` for status.approvals", REQUESTS, Box::new(field("status.approvals", "default", vote))),
        (
            "a different `default` for spec.allowKeyExport",
            POLICIES,
            Box::new(field("spec.allowKeyExport", "default", json!("Always"))),
        ),
        // What the schema lacks is dropped from every object that is read: a policy becomes a looser one.
        (
            "there is no field spec.approval,",
            POLICIES,
            Box::new(|spec| {
                at(spec, &format!("{}/properties", property("spec"))).as_object_mut().unwrap().remove("approval");
            }),
        ),
        (
            "a different `x-kubernetes-preserve-unknown-fields` for spec",
            REQUESTS,
            Box::new(field("spec", "x-kubernetes-preserve-unknown-fields", json!(true))),
        ),
        (
            "spec lacks the rule `self == oldSelf`",
            REQUESTS,
            Box::new(field("spec", "x-kubernetes-validations", json!([]))),
        ),
        (
            "spec lacks the rule `self == oldSelf`",
            REQUESTS,
            Box::new(|spec| {
                at(spec, &property("spec"))["x-kubernetes-validations"][0]["optionalOldSelf"] = json!(true);
            }),
        ),
        (
            "the object lacks the rule",
            REQUESTS,
            Box::new(|spec| at(spec, SCHEMA)["x-kubernetes-validations"] = Value::Null),
        ),
        (
            "status.approvals lacks the rule",
            REQUESTS,
            Box::new(field("status.approvals", "x-kubernetes-validations", json!([]))),
        ),
        (
            "a different `maxItems` for spec.environments",
            "certificates.certcourier.io",
            Box::new(field("spec.environments", "maxItems", json!(17))),
        ),
        (
            "a different `x-kubernetes-list-map-keys` for spec.environments",
            "certificates.certcourier.io",
            Box::new(field("spec.environments", "x-kubernetes-list-map-keys", json!(["name", "x"]))),
        ),
        (
            "a different `type` for status.outcome",
            "downloadreceipts.certcourier.io",
            Box::new(field("status.outcome", "type", json!("object"))),
        ),
        ("is not the one that is served", REQUESTS, Box::new(|spec| *spec = Value::Null)),
    ];
    for (words, name, edit) in edits {
        let difference = said(name, edit).unwrap_or_else(|| panic!("nothing was seen: {words}"));
        assert!(difference.contains(words), "{words}: {difference}");
    }
    let wanted = Wanted::of(&identity());
    for name in CRDS {
        let gone = Live::of(objects().into_iter().filter(|object| object.name != name || object.kind != Kind::Crd));
        assert_eq!(gone.fault(&wanted), Some(Reason::Missing { kind: Kind::Crd, name: name.to_owned() }));
    }
}

/// An upgrade applies CRDs before it starts the new programs; the old ones must not mind what only grew.
#[test]
fn what_a_later_version_may_add_to_a_crd_is_let_through_and_begins_an_epoch() {
    let more = |name: &str, edit: &dyn Fn(&mut Value)| assert_eq!(said(name, edit), None);
    more(POLICIES, &|spec| {
        let fields = at(spec, &format!("{}/properties", property("spec")));
        fields["later"] = json!({"type": "string", "default": "x"});
    });
    more(REQUESTS, &|spec| {
        at(spec, &property("spec.format"))["enum"].as_array_mut().unwrap().push(json!("jks"));
        at(spec, &property("spec"))["description"] = json!("other words");
        at(spec, "/versions/0")["additionalPrinterColumns"] = json!([]);
        let rules = at(spec, &property("spec"))["x-kubernetes-validations"].as_array_mut().unwrap();
        rules.insert(0, json!({"rule": "true"}));
        spec["conversion"] = json!({"strategy": "None"});
        spec["names"]["listKind"] = json!("DownloadRequestList");
    });
    // As Go prints it.
    more(POLICIES, &|spec| at(spec, &property("spec.approval.approvals"))["maximum"] = json!(8));
    let before = Live::of(objects()).epoch();
    let after = changed(Kind::Crd, POLICIES, |object| object.generation += 1);
    assert_ne!(after.epoch(), before);
}

fn rule(groups: &[&str], resources: &[&str], operations: &[&str]) -> Value {
    json!({"apiGroups": groups, "apiVersions": ["*"], "resources": resources, "operations": operations, "scope": "*"})
}

fn webhook(rules: &Value) -> LiveObject {
    let spec = json!([{"name": "w.example.com", "rules": rules, "failurePolicy": "Ignore",
        "clientConfig": {"service": {"name": "w", "namespace": "w"}, "caBundle": "QQ=="}}]);
    LiveObject {
        kind: Kind::Webhooks,
        name: "theirs".into(),
        uid: "w".into(),
        generation: 1,
        resource_version: "1".into(),
        spec,
    }
}

fn policy(rules: &Value, excluded: &Value) -> [LiveObject; 2] {
    let constraints = json!({"resourceRules": rules, "excludeResourceRules": excluded});
    let policy = LiveObject {
        kind: Kind::Stamp,
        name: "turn".into(),
        uid: "m".into(),
        spec: json!({"matchConstraints": constraints}),
        ..webhook(&json!([]))
    };
    let spec = json!({"policyName": "turn"});
    [LiveObject { kind: Kind::StampBinding, name: "bound".into(), uid: "b".into(), spec, ..policy.clone() }, policy]
}

fn with(more: impl IntoIterator<Item = LiveObject>) -> Live {
    Live::of(objects().into_iter().chain(more))
}

fn named(live: &Live) -> Vec<String> {
    live.mutators().iter().map(ToString::to_string).collect()
}

#[test]
fn whatever_may_change_a_request_or_vote_on_its_way_is_named_and_part_of_the_epoch() {
    let everything = "certificates, certificates/status, certificatepolicies, downloadrequests, \
                      downloadrequests/status, downloadreceipts, downloadreceipts/status, secrets";
    for (rule, reach) in [
        (rule(&["certcourier.io"], &["downloadrequests/status"], &["UPDATE"]), "downloadrequests/status"),
        (rule(&["*"], &["*/*"], &["*"]), everything),
        (
            rule(&["apps", "certcourier.io"], &["*/status"], &["CREATE", "UPDATE"]),
            "certificates/status, downloadrequests/status, downloadreceipts/status",
        ),
        (rule(&["*"], &["downloadreceipts/*"], &["UPDATE"]), "downloadreceipts, downloadreceipts/status"),
        (
            rule(&["*"], &["*"], &["CREATE"]),
            "certificates, certificatepolicies, downloadrequests, downloadreceipts, secrets",
        ),
    ] {
        let mut rule = rule;
        rule["scope"] = json!("Namespaced");
        let rules = json!([rule]);
        let (hook, by_policy) = (with([webhook(&rules)]), with(policy(&rules, &Value::Null)));
        assert_eq!(named(&hook), [format!("MutatingWebhookConfiguration `theirs` ({reach})")]);
        assert_eq!(named(&by_policy), [format!("MutatingAdmissionPolicy `turn` ({reach})")]);
        for live in [hook, by_policy] {
            assert_ne!(live.epoch(), with([]).epoch());
            assert_eq!(live.fault(&Wanted::of(&identity())), None, "keys go on");
            let refused = live.fault(&Wanted::of(&identity()).without_mutators());
            assert!(matches!(refused, Some(Reason::Mutator { .. })), "{refused:?}");
        }
    }
    assert_eq!(with([]).fault(&Wanted::of(&identity()).without_mutators()), None, "the stamp is ours");
}

#[test]
fn what_meets_other_kinds_alone_is_none_of_the_guards_business() {
    let cluster = json!({"apiGroups": ["*"], "operations": ["*"], "resources": ["*/status"], "scope": "Cluster"});
    for rule in [
        rule(&[""], &["pods"], &["*"]),
        rule(&["certcourier.example"], &["*/*"], &["*"]),
        rule(&["certcourier.io"], &["downloadrequests"], &["DELETE", "CONNECT"]),
        rule(&["certcourier.io"], &["downloadrequests/status"], &["CREATE"]),
        rule(&["*"], &["pods/*", "*/scale"], &["*"]),
        cluster,
    ] {
        let rules = json!([rule]);
        let others = with(policy(&rules, &Value::Null).into_iter().chain([webhook(&rules)]));
        assert_eq!((named(&others), others.epoch()), (vec![], with([]).epoch()), "{rules}");
    }
    let all = json!([rule(&["*"], &["*/*"], &["*"])]);
    let but_ours = json!([rule(&["certcourier.io"], &["*/*"], &["*"])]);
    assert_eq!(named(&with(policy(&all, &but_ours))), ["MutatingAdmissionPolicy `turn` (secrets)"]);
    let mut some = but_ours.clone();
    some[0]["resourceNames"] = json!(["a"]);
    assert_eq!(named(&with(policy(&all, &some))).len(), 1, "an exclusion of some names leaves the others");
    let [_, unbound] = policy(&all, &Value::Null);
    assert!(named(&with([unbound])).is_empty(), "a policy without a binding does nothing");
}

/// Vault's and Kyverno's webhooks meet Secrets in many a cluster. What they do to a token Secret the controller sees, so
/// they are named and close nothing.
#[test]
fn what_changes_secrets_or_access_reviews_alone_is_named_and_begins_no_epoch() {
    let secrets = json!([rule(&[""], &["secrets"], &["CREATE", "UPDATE"])]);
    let reviews = json!([rule(&["authorization.k8s.io"], &["*"], &["CREATE"])]);
    let both = "secrets, subjectaccessreviews, selfsubjectaccessreviews";
    let everywhere = json!([secrets[0], reviews[0]]);
    for (live, expected) in [
        (with(policy(&secrets, &Value::Null)), vec!["MutatingAdmissionPolicy `turn` (secrets)".to_owned()]),
        // The API server shows no review to a policy.
        (with(policy(&reviews, &Value::Null)), vec![]),
        (with([webhook(&everywhere)]), vec![format!("MutatingWebhookConfiguration `theirs` ({both})")]),
        (with([webhook(&json!([rule(&[""], &["secrets"], &["UPDATE"])]))]), vec![]),
    ] {
        assert_eq!(named(&live), expected);
        assert_eq!(live.epoch(), with([]).epoch(), "{expected:?}");
        let refused = live.fault(&Wanted::of(&identity()).without_mutators());
        assert_eq!(refused.is_some(), !expected.is_empty(), "--guard-mutators=refuse: {expected:?}");
    }
    let mut passers = Passers::default();
    for object in policy(&secrets, &Value::Null).into_iter().chain([webhook(&everywhere)]) {
        assert!(!passers.startle(&object, &with([])), "{}", object.name);
    }
    // The rules for Secrets of a webhook that meets requests too are no part of its mark.
    let votes = rule(&["certcourier.io"], &["downloadrequests/status"], &["UPDATE"]);
    let (few, many) = (with([webhook(&json!([votes]))]), with([webhook(&json!([votes, secrets[0]]))]));
    assert_eq!(few.epoch(), many.epoch());
    assert_eq!(named(&many), ["MutatingWebhookConfiguration `theirs` (downloadrequests/status, secrets)"]);
}

#[test]
fn a_policy_with_parameters_and_mutators_beyond_the_twentieth_are_said() {
    let rules = json!([rule(&["certcourier.io"], &["*/*"], &["*"])]);
    let [binding, mut turn] = policy(&rules, &Value::Null);
    turn.spec["paramKind"] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    let said = named(&with([binding, turn])).remove(0);
    assert!(
        said.ends_with("downloadreceipts/status; it takes parameters, and their changes begin no epoch)"),
        "{said}"
    );
    let hooks =
        |count: usize| with((0..count).map(|number| LiveObject { name: format!("h{number:02}"), ..webhook(&rules) }));
    let record = |count: usize| {
        Record::broken(&Reason::NotLooked, "e".into(), "2026-11-22T12:00:00Z".parse().unwrap())
            .naming(hooks(count).mutators())
            .mutators
    };
    assert_eq!((record(20).len(), record(24).len()), (20, 21));
    assert_eq!(record(24).last().unwrap(), "and 4 more");
}

/// cert-manager, Kyverno and others write their certificates into webhook configurations again and again, and add rules
/// for kinds of their own.
#[test]
fn a_webhooks_certificate_or_rules_for_other_kinds_begin_no_epoch_and_all_else_does() {
    let rules = json!([rule(&["*"], &["*"], &["UPDATE"])]);
    let before = with([webhook(&rules)]).epoch();
    let changed = |change: &dyn Fn(&mut LiveObject)| {
        let mut object = webhook(&rules);
        object.generation += 1;
        change(&mut object);
        with([object]).epoch()
    };
    assert_eq!(changed(&|object| object.spec[0]["clientConfig"]["caBundle"] = json!("Qg==")), before);
    assert_eq!(changed(&|object| object.spec[0]["timeoutSeconds"] = json!(3)), before);
    let pods = || rule(&[""], &["pods"], &["*"]);
    assert_eq!(changed(&|object| object.spec[0]["rules"].as_array_mut().unwrap().push(pods())), before);
    assert_eq!(
        changed(&|object| object.spec.as_array_mut().unwrap().push(json!({"name": "x", "rules": [pods()]}))),
        before
    );
    let epochs = [
        changed(&|object| object.uid.push('2')),
        changed(&|object| object.spec[0]["clientConfig"]["service"]["name"] = json!("evil")),
        changed(&|object| object.spec[0]["clientConfig"]["url"] = json!("https://evil.example")),
        changed(&|object| object.spec[0]["rules"][0]["operations"] = json!(["*"])),
        changed(&|object| object.spec[0]["matchConditions"] = json!([{"name": "frank"}])),
        changed(&|object| object.spec[0]["namespaceSelector"] = json!({"matchLabels": {"a": "b"}})),
        with([]).epoch(),
        before,
    ];
    let mut different = epochs.to_vec();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), epochs.len());
    // Of policies nothing is rewritten: every change of them counts.
    let [binding, mut policy] = policy(&rules, &Value::Null);
    let before = with([binding.clone(), policy.clone()]).epoch();
    policy.generation += 1;
    assert_ne!(with([binding, policy]).epoch(), before);
}

/// What was there between two looks alone is in no list of the live objects.
#[test]
fn what_comes_by_for_a_moment_startles_once_and_what_was_seen_does_not() {
    let rules = json!([rule(&["*"], &["*"], &["UPDATE"])]);
    let [binding, turn] = policy(&rules, &Value::Null);
    let mut passers = Passers::default();
    let quiet = with([]);
    assert!(!passers.startle(&binding, &quiet), "of a policy that nobody has seen");
    assert!(passers.startle(&turn, &quiet));
    assert!(!passers.startle(&turn, &quiet), "its status was written");
    assert!(passers.startle(&binding, &quiet));
    assert!(passers.startle(&webhook(&rules), &quiet));
    let again = LiveObject { generation: 2, ..turn.clone() };
    assert!(passers.startle(&again, &quiet), "it was changed");

    let seen = with([binding.clone(), turn.clone(), webhook(&rules)]);
    let mut passers = Passers::default();
    for object in [&binding, &turn, &webhook(&rules)] {
        assert!(!passers.startle(object, &seen));
    }
    let unbound = with([turn]);
    assert!(Passers::default().startle(&binding, &unbound), "a policy that was there is bound for a moment");
    for object in objects() {
        assert!(!passers.startle(&object, &quiet), "ours are in the epoch by uid and generation");
    }
    assert!(!passers.startle(&webhook(&json!([rule(&[""], &["pods"], &["*"])])), &quiet));
}

/// Where no stamp is installed, an object of its name is nobody's until a look has compared it with ours.
#[test]
fn what_comes_by_under_the_name_of_the_stamp_startles_unless_it_was_there() {
    let stamps = |object: &LiveObject| matches!(object.kind, Kind::Stamp | Kind::StampBinding);
    let (ours, others): (Vec<LiveObject>, Vec<LiveObject>) = objects().into_iter().partition(stamps);
    let without = Live::of(others);
    let rules = json!([rule(&["certcourier.io"], &["downloadrequests/status"], &["UPDATE"])]);
    for object in policy(&rules, &Value::Null).into_iter().chain(ours.clone()) {
        let object = LiveObject { name: name::STAMP.into(), ..object };
        let mut passers = Passers::default();
        assert!(passers.startle(&object, &without), "{} without a stamp", object.kind);
        assert!(!passers.startle(&object, &without), "once");
        // It took the stamp's place for a moment, or changed it.
        let other = LiveObject { uid: "another".into(), ..object.clone() };
        assert!(Passers::default().startle(&other, &with([])), "{} beside the stamp", object.kind);
    }
    for object in ours {
        assert!(!Passers::default().startle(&object, &with([])));
        let changed = LiveObject { generation: 2, ..object };
        assert!(Passers::default().startle(&changed, &with([])));
    }
    // A policy of that name is bound by a binding of another name.
    let [binding, turn] = policy(&rules, &Value::Null);
    let mut passers = Passers::default();
    assert!(passers.startle(&LiveObject { name: name::STAMP.into(), ..turn }, &without));
    let spec = json!({"policyName": name::STAMP});
    assert!(passers.startle(&LiveObject { spec, ..binding }, &without));
}

#[test]
fn an_exclusion_hides_nothing_but_what_it_excludes() {
    let ours = json!([{"apiGroups": ["certcourier.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
        "resources": ["downloadrequests/status"]}]);
    let all_of = |version: &str| json!([{"apiGroups": ["certcourier.io"], "apiVersions": [version], "operations": ["*"], "resources": ["*/*"]}]);
    let named = |excluded: &Value| with(policy(&ours, excluded)).mutators().iter().map(ToString::to_string).collect();
    let turner: Vec<String> = vec!["MutatingAdmissionPolicy `turn` (downloadrequests/status)".to_owned()];
    for (excluded, expected) in [
        (json!([]), turner.clone()),
        // Nothing is written in a version that is not served, so this excludes nothing.
        (all_of("v9"), turner.clone()),
        (all_of("v1alpha1"), vec![]),
        (all_of("*"), vec![]),
    ] {
        let found: Vec<String> = named(&excluded);
        assert_eq!(found, expected, "{excluded}");
    }
}
