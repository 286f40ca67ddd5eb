//! What proves what, without an API server; `tests/integration/guard.rs` breaks a real one.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::{MatchCondition, ValidatingAdmissionPolicy};
use serde_json::{Value, json};

use super::*;
use crate::{
    admission::{self, Identity, Object, name},
    api,
};

const SETTLE: Duration = Duration::from_secs(5);
const MAX_AGE: Duration = Duration::from_mins(1);

pub(super) fn identity() -> Identity {
    Identity::new("certcourier-system", "controller", "server").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    "2026-11-22T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn spec_of(object: &Object) -> (Kind, Value) {
    match object {
        Object::Policy(policy) => (Kind::Policy, serde_json::to_value(&policy.spec).unwrap()),
        Object::Binding(binding) => (Kind::Binding, serde_json::to_value(&binding.spec).unwrap()),
    }
}

/// Everything as it should be; each object has a uid and version of its own.
pub(super) fn objects() -> Vec<LiveObject> {
    let mut objects: Vec<LiveObject> = admission::objects(&identity())
        .iter()
        .enumerate()
        .map(|(number, object)| {
            let (kind, spec) = spec_of(object);
            let (uid, resource_version) = (format!("uid-{number}"), (100 + number).to_string());
            LiveObject { kind, name: object.name(), uid, generation: 1, resource_version, spec }
        })
        .collect();
    for (kind, object) in [Kind::Stamp, Kind::StampBinding].into_iter().zip(admission::stamp()) {
        let (name, spec) = (name::STAMP.to_owned(), object["spec"].clone());
        objects.push(LiveObject {
            kind,
            name,
            uid: kind.to_string(),
            generation: 1,
            resource_version: "200".into(),
            spec,
        });
    }
    for crd in api::crds() {
        let (name, spec) = (crd.metadata.name.unwrap(), serde_json::to_value(&crd.spec).unwrap());
        let uid = format!("uid-of-{name}");
        objects.push(LiveObject { kind: Kind::Crd, name, uid, generation: 1, resource_version: "300".into(), spec });
    }
    objects
}

fn live() -> Live {
    Live::of(objects())
}

/// The same with one object changed.
pub(super) fn changed(kind: Kind, name: &str, change: impl FnOnce(&mut LiveObject)) -> Live {
    let mut objects = objects();
    change(objects.iter_mut().find(|object| object.kind == kind && object.name == name).unwrap());
    Live::of(objects)
}

fn without(kind: Kind, name: &str) -> Live {
    Live::of(objects().into_iter().filter(|object| object.kind != kind || object.name != name))
}

fn refused() -> Vec<(&'static str, Outcome)> {
    name::ALL.map(|policy| (policy, Outcome::Refused)).to_vec()
}

fn verdict(live: Live, probes: Vec<(&'static str, Outcome)>) -> LookVerdict {
    Look { live, probes }.verdict(&Wanted::of(&identity()))
}

#[test]
fn what_certcourier_applies_and_what_refuses_every_probe_is_intact() {
    assert_eq!(verdict(live(), refused()), LookVerdict::Intact);
    // Other policies are none of ours.
    let mut more = objects();
    more.push(LiveObject { name: "somebody-elses".into(), spec: json!({}), ..more[0].clone() });
    assert_eq!(verdict(Live::of(more.clone()), refused()), LookVerdict::Intact);
    assert_eq!(Live::of(more).epoch(), live().epoch());
    // The stamp is convenience.
    assert_eq!(verdict(without(Kind::Stamp, name::STAMP), refused()), LookVerdict::Intact);
    let neither = objects().into_iter().filter(|object| !object.kind.is_optional());
    assert_eq!(verdict(Live::of(neither), refused()), LookVerdict::Intact);
}

#[test]
fn whatever_differs_from_what_certcourier_applies_is_broken() {
    let wanted = Wanted::of(&identity());
    for policy in name::ALL {
        let name = || policy.to_owned();
        for kind in [Kind::Policy, Kind::Binding] {
            assert_eq!(without(kind, policy).fault(&wanted), Some(Reason::Missing { kind, name: name() }));
            // Also a field that no version of Kubernetes has yet.
            let more = changed(kind, policy, |object| object.spec["exempt"] = json!(["mallory"]));
            assert_eq!(more.fault(&wanted), Some(Reason::Changed { kind, name: name() }));
            let empty = changed(kind, policy, |object| object.spec = Value::Null);
            assert!(empty.fault(&wanted).is_some());
        }
        for actions in [json!(["Audit"]), json!(["Warn", "Audit"]), json!([]), Value::Null] {
            let audit = changed(Kind::Binding, policy, |object| object.spec["validationActions"] = actions);
            assert_eq!(audit.fault(&wanted), Some(Reason::NotDenying { name: name() }));
        }
        for (pointer, value) in [
            ("/validations/0/expression", json!("true")),
            ("/failurePolicy", json!("Ignore")),
            ("/matchConstraints/objectSelector", json!({"matchLabels": {"a": "b"}})),
            ("/matchConstraints/resourceRules/0/operations", json!(["DELETE"])),
        ] {
            let loosened = changed(Kind::Policy, policy, |object| *object.spec.pointer_mut(pointer).unwrap() = value);
            assert_eq!(
                loosened.fault(&wanted),
                Some(Reason::Changed { kind: Kind::Policy, name: name() }),
                "{pointer}"
            );
        }
        // What `kubectl apply` keeps of somebody else's hand.
        let conditions = json!([{"name": "not-mallory", "expression": "request.userInfo.username != 'mallory'"}]);
        let exempt = changed(Kind::Policy, policy, |object| object.spec["matchConditions"] = conditions);
        assert_eq!(exempt.fault(&wanted), Some(Reason::Changed { kind: Kind::Policy, name: name() }));
        let narrowed = changed(Kind::Binding, policy, |object| {
            object.spec["matchResources"] = json!({"namespaceSelector": {"matchLabels": {"guarded": "yes"}}});
        });
        assert_eq!(narrowed.fault(&wanted), Some(Reason::Changed { kind: Kind::Binding, name: name() }));
    }
    let stamp = changed(Kind::Stamp, name::STAMP, |object| object.spec["failurePolicy"] = json!("Ignore"));
    assert!(matches!(stamp.fault(&wanted), Some(Reason::Changed { kind: Kind::Stamp, .. })));
}

#[test]
fn policies_made_for_other_users_are_changed_ones() {
    let other = Identity::new("certcourier-system", "controller", "mallory").unwrap();
    assert!(matches!(live().fault(&Wanted::of(&other)), Some(Reason::Changed { kind: Kind::Policy, .. })));
}

#[test]
fn the_revision_before_is_as_good_object_by_object_and_no_older_one_is() {
    let current = admission::objects(&identity());
    let mut before = current.clone();
    let loosen = |policy: &mut ValidatingAdmissionPolicy| {
        let condition = MatchCondition { name: "old".into(), expression: "true".into() };
        policy.spec.as_mut().unwrap().match_conditions = Some(vec![condition]);
    };
    for object in &mut before {
        if let Object::Policy(policy) = object {
            loosen(policy);
        }
    }
    let editions = Wanted::of_editions(&[current, before.clone()]);
    // An upgrade has come as far as the third object.
    let half_way = |object: &mut LiveObject| object.spec = spec_of(&before[4]).1;
    assert_eq!(changed(Kind::Policy, &before[4].name(), half_way).fault(&editions), None);
    assert_eq!(live().fault(&editions), None);
    let oldest = changed(Kind::Policy, name::VOTES, |object| object.spec["matchConditions"] = json!([]));
    assert!(oldest.fault(&editions).is_some());
}

#[test]
fn a_refusal_in_another_name_proves_nothing_and_evidence_against_counts_more_than_none() {
    let with = |outcome: Outcome| {
        let mut probes = refused();
        probes[1].1 = outcome;
        probes[5].1 = Outcome::NoAnswer { cause: "timeout".into() };
        verdict(live(), probes)
    };
    let policy = || name::VOTES.to_owned();
    assert_eq!(with(Outcome::Accepted), LookVerdict::Broken(Reason::NotRefused { policy: policy() }));
    let foreign = Outcome::Foreign { said: "webhook".into() };
    assert_eq!(with(foreign), LookVerdict::Broken(Reason::ForeignRefusal { policy: policy(), said: "webhook".into() }));
    assert!(matches!(with(Outcome::Refused), LookVerdict::Unclear(Reason::NoAnswer { .. })));
    // Without a probe of each policy nothing is proven.
    assert!(matches!(verdict(live(), refused()[1..].to_vec()), LookVerdict::Unclear(_)));
    // The objects say enough alone.
    let gone = without(Kind::Binding, name::TOKENS);
    assert!(matches!(verdict(gone, Vec::new()), LookVerdict::Broken(Reason::Missing { .. })));
}

#[test]
fn an_answer_is_a_refusal_only_in_the_name_of_the_policy_that_was_probed() {
    let said = |policy: &str| {
        format!(
            "configmaps \"x\" is forbidden: ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: guard probe"
        )
    };
    assert_eq!(Outcome::of_status(name::VOTES, 422, &said(name::VOTES)), Outcome::Refused);
    assert_eq!(Outcome::of_status(name::VOTES, 403, &said(name::VOTES)), Outcome::Refused);
    let webhook = format!("admission webhook \"x\" denied the request: {}", said(name::VOTES));
    for (code, message) in [
        (422, said(name::TOKENS)),
        (422, said("theirs")),
        (422, format!("{} because {}", said("theirs"), said(name::VOTES))),
        (403, webhook),
        (403, "User \"x\" cannot create resource".to_owned()),
        (404, "the server could not find the requested resource".to_owned()),
    ] {
        assert!(matches!(Outcome::of_status(name::VOTES, code, &message), Outcome::Foreign { .. }), "{message}");
    }
    for code in [401, 409, 429, 500, 503, 504] {
        assert!(matches!(Outcome::of_status(name::VOTES, code, "no"), Outcome::NoAnswer { .. }), "{code}");
    }
    let Outcome::Foreign { said } = Outcome::of_status(name::VOTES, 403, &"ü".repeat(5000)) else { panic!() };
    assert!(said.len() <= 300);
}

#[test]
fn any_change_of_any_object_is_another_epoch_and_the_order_is_none() {
    let epoch = live().epoch();
    let reversed: Vec<LiveObject> = objects().into_iter().rev().collect();
    assert_eq!(Live::of(reversed).epoch(), epoch);
    let mut epochs = vec![epoch.clone()];
    for object in objects() {
        epochs.push(without(object.kind, &object.name).epoch());
        epochs.push(changed(object.kind, &object.name, |object| object.generation += 1).epoch());
        epochs.push(changed(object.kind, &object.name, |object| object.uid += "-again").epoch());
        // Labels and annotations are nobody's business.
        assert_eq!(changed(object.kind, &object.name, |object| object.resource_version += "1").epoch(), epoch);
    }
    let count = epochs.len();
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), count);
}

fn intact(epoch: &str, since: i64) -> Record {
    let state = State::Intact { since: at(since) };
    Record { state, epoch: epoch.into(), probed_at: at(since), mutators: vec![], watched: Watched::default() }
}

fn stored(record: Record, resource_version: &str) -> Evidence {
    Evidence { record: Some(record), resource_version: resource_version.into() }
}

#[test]
fn an_epoch_goes_on_only_while_everything_says_that_it_never_ended() {
    let look = Intact { epoch: "e", began: at(100), ended: at(101), settle: SETTLE };
    let broken = || Record::broken(&Reason::NotLooked, "e".into(), at(90));
    let since = |stored: Option<Evidence>, seen: Option<Record>| {
        let record = keep(look, stored.as_ref(), seen.as_ref(), Some(50));
        assert_eq!((record.epoch.as_str(), record.probed_at), ("e", at(100)));
        record.intact_since("e").unwrap()
    };
    let old = || Some(stored(intact("e", 10), "51"));
    let anew = at(106);
    for (what, stored, seen, expected) in [
        ("this leader goes on", old(), Some(intact("e", 10)), at(10)),
        ("a new leader takes over", old(), None, at(10)),
        ("the record is gone", None, Some(intact("e", 10)), anew),
        ("there never was one", None, None, anew),
        ("it cannot be read", Some(Evidence { record: None, resource_version: "51".into() }), None, anew),
        ("the objects have changed", Some(stored(intact("d", 10), "51")), None, anew),
        ("they changed under this leader", Some(stored(intact("d", 10), "51")), Some(intact("d", 10)), anew),
        ("it was broken, of the same objects", Some(stored(broken(), "51")), None, anew),
        ("it was broken and could not be written", old(), Some(broken()), anew),
        ("made older under this leader's hands", Some(stored(intact("e", -900), "51")), Some(intact("e", 10)), at(10)),
        ("made younger", Some(stored(intact("e", 70), "51")), Some(intact("e", 10)), at(70)),
        ("forged before the objects were put back", Some(stored(intact("e", -900), "49")), None, anew),
        ("forged under a leader", Some(stored(intact("e", -900), "49")), Some(intact("d", 10)), anew),
    ] {
        assert_eq!(since(stored, seen), expected, "{what}");
    }
    let unprotected = keep(look, old().as_ref(), None, None);
    assert_eq!(unprotected.intact_since("e"), Some(anew), "versions that are no numbers vouch for nothing");
}

#[test]
fn an_epoch_begins_at_the_end_of_a_second() {
    let ended = at(0) + SignedDuration::from_millis(1);
    let record = keep(Intact { epoch: "e", began: at(0), ended, settle: SETTLE }, None, None, None);
    assert_eq!(record.intact_since("e"), Some(at(6)));
}

#[test]
fn what_is_written_is_read_again_and_nothing_else_is_a_record() {
    let broken = Record::broken(&Reason::NeverProbed, "e".into(), at(7));
    let named = Record { mutators: vec!["a (b, c)".into(), "d (e)".into()], ..intact("e", 10) };
    let mut watched = Watched::default();
    watched.reach(Kind::Stamp, "7");
    watched.reach(Kind::Webhooks, "12");
    watched.reach(Kind::Stamp, "11");
    let data = intact("e", 10).watched(&watched).data();
    assert_eq!(data["watched"], "MutatingAdmissionPolicy=11 MutatingWebhookConfiguration=12");
    let read = Record::read(&data).unwrap().watched;
    assert_eq!((read.of(Kind::Stamp), read.of(Kind::StampBinding)), (Some("11"), None));
    // What an earlier version wrote says nothing of how far it watched.
    assert_eq!(Record::read(&intact("e", 10).data()).unwrap().watched, Watched::default());
    for record in [intact("e", 10), intact("e", 10).watched(&watched), broken, named] {
        assert_eq!(Record::read(&record.data()), Some(record));
    }
    for key in ["state", "since", "epoch", "probedAt"] {
        let mut data = intact("e", 10).data();
        data.insert(key.to_owned(), String::new());
        assert_eq!(Record::read(&data), None, "{key}");
        data.remove(key);
        assert_eq!(Record::read(&data), None, "{key}");
    }
    assert_eq!(intact("e", 10).data()["revision"], admission::REVISION.to_string());
}

#[test]
fn a_server_believes_only_a_fresh_record_of_the_very_objects_that_it_sees() {
    let epoch = live().epoch();
    let record = |probed: i64| Record { probed_at: at(probed), ..intact(&epoch, -500) };
    let judged = |live: &Live, stored: Option<Evidence>| {
        judge(live, &Wanted::of(&identity()), stored.as_ref(), MAX_AGE, at(0))
            .map_err(|reason| reason.name().to_owned())
    };
    let standing = GuardProof { epoch: epoch.clone(), since: at(-500) };
    let newest = "900";
    for probed in [-60, -1, 0, 5] {
        assert_eq!(judged(&live(), Some(stored(record(probed), newest))), Ok(standing.clone()), "{probed}");
    }
    let word = |live: &Live, stored: Option<Evidence>| judged(live, stored).unwrap_err();
    assert_eq!(word(&live(), Some(stored(record(-61), newest))), "Stale");
    assert_eq!(word(&live(), Some(stored(record(6), newest))), "Stale", "a time to come");
    assert_eq!(word(&live(), Some(stored(record(86_400), newest))), "Stale");
    assert_eq!(word(&live(), None), "NeverProbed");
    assert_eq!(word(&live(), Some(Evidence { record: None, resource_version: newest.into() })), "Unreadable");
    let foreign =
        Record::broken(&Reason::ForeignRefusal { policy: "p".into(), said: "x".into() }, epoch.clone(), at(0));
    assert_eq!(word(&live(), Some(stored(foreign, newest))), "ForeignRefusal");
    let again = changed(Kind::Policy, name::VOTES, |object| object.generation += 2);
    assert_eq!(word(&again, Some(stored(record(0), newest))), "OtherEpoch");
    assert_eq!(word(&without(Kind::Policy, name::VOTES), Some(stored(record(0), newest))), "Missing");

    // Somebody foretold the epoch and wrote the record before they put the last policy back.
    let put_back = changed(Kind::Binding, name::GUARD_STATE, |object| {
        object.generation += 2;
        object.resource_version = "901".into();
    });
    let forged = Record { epoch: put_back.epoch(), ..record(0) };
    assert_eq!(word(&put_back, Some(stored(forged.clone(), "900"))), "Unvouched");
    assert!(judged(&put_back, Some(stored(forged.clone(), "902"))).is_ok());
    assert_eq!(word(&put_back, Some(stored(forged, "later"))), "Unvouched");
}

#[test]
fn every_reason_names_what_to_do() {
    let text = || "x".to_owned();
    for reason in [
        Reason::Missing { kind: Kind::Policy, name: text() },
        Reason::Changed { kind: Kind::Binding, name: text() },
        Reason::NotDenying { name: text() },
        Reason::CrdChanged { name: text(), difference: text() },
        Reason::Mutator { mutator: text() },
        Reason::NotRefused { policy: text() },
        Reason::ForeignRefusal { policy: text(), said: text() },
        Reason::NoAnswer { cause: text() },
        Reason::NotLooked,
        Reason::NeverProbed,
        Reason::Unreadable,
        Reason::Stale { age_seconds: 61 },
        Reason::OtherEpoch,
        Reason::Unvouched,
    ] {
        let sentence = reason.to_string();
        let next_step = [
            "apply",
            "check ",
            "exempt",
            "restore it",
            "retried",
            "leads",
            "start",
            "writes",
            "within seconds",
            "exclude",
        ];
        assert!(next_step.iter().any(|words| sentence.contains(words)), "{sentence}");
        assert!(reason.name().chars().all(char::is_alphanumeric), "{}", reason.name());
    }
}
