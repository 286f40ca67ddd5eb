//! Text for others to read, character by character; and such text that was written before our rules were there: it stays,
//! and nothing else is held up by it.

use std::collections::BTreeSet;

use axum::http::Method;
use certcourier::{
    admission::name::REQUESTS,
    api::{Requester, text},
};
use regex_syntax::hir::{Class, HirKind};
use serde_json::{Value, json};

use crate::{
    case::{
        Call,
        Expect::{Allowed, Invalid, Refused},
        Place, case, run,
    },
    requests::by,
    world::{CONTROL, Session, Who, person},
};

const REVOKE: &str = "certcourier.io/revoke";
const MINT: &str = "certcourier.io/mint";
const NAMESPACE: &str = "texts-from-before";
const OLD: &str = "old\u{3164}\u{202e}text";
const WORDS: &str = "this text is read by others";

/// A request with annotations of that kind, for an administrator to make while no policy refuses it.
pub fn from_before() -> [Call; 2] {
    let alice = Requester { username: "alice".to_owned(), ..Requester::default() };
    let mut request = by(&alice, NAMESPACE, "r", "cert");
    request.body["metadata"]["annotations"] = json!({MINT: OLD, REVOKE: OLD});
    request.body["metadata"]["finalizers"] = json!(["example.com/wait"]);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    [Call::new(Method::POST, "/api/v1/namespaces", namespace), request]
}

#[tokio::test]
async fn annotations_from_before_the_rule_hold_up_no_status_no_finalizer_and_no_deletion() {
    let session = Session::open().await;
    let place = Place::of(NAMESPACE, "downloadrequests");
    let cases = vec![
        case("its status", CONTROL, place.update("r/status", json!({"status": {"phase": "Revoked"}})), Allowed),
        case("its labels", person("alice"), place.label("r", "team", "edge"), Allowed),
        case(
            "another one of that kind",
            person("alice"),
            place.annotate("r", MINT, "new\u{3164}text"),
            Refused(REQUESTS, WORDS),
        ),
        case("one in plain words", person("alice"), place.annotate("r", MINT, "2"), Allowed),
        case("its deletion", person("alice"), place.delete("r"), Allowed),
        case(
            "the finalizer that it waits for",
            Who::Admin,
            place.merge("r", json!({"metadata": {"finalizers": null}})),
            Allowed,
        ),
    ];
    run(&session, cases).await;
    let left = session.send(&Who::Admin, &place.get("r")).await;
    assert_eq!(left.code, 404, "{left:?}");
}

/// The kind in a group of its own, where no policy looks, with or without the rules about text.
fn kind(group: &str, with_rules: bool) -> Value {
    let crds = certcourier::api::crds().map(|crd| serde_json::to_value(crd).unwrap());
    let mut crd = crds.into_iter().find(|crd| crd["spec"]["names"]["kind"] == "DownloadRequest").unwrap();
    crd["metadata"] = json!({"name": format!("downloadrequests.{group}")});
    crd["spec"]["group"] = json!(group);
    crd["spec"]["names"]["shortNames"] = json!([]);
    crd["spec"]["names"]["categories"] = json!([]);
    if !with_rules {
        forget(&mut crd);
    }
    crd
}

/// Takes every rule about text away.
fn forget(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(rules)) = fields.get_mut("x-kubernetes-validations") {
                rules.retain(|rule| !rule["message"].as_str().unwrap_or_default().contains(WORDS));
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// A request of that kind.
fn object(group: &str, name: &str, reason: &str) -> Value {
    json!({
        "apiVersion": format!("{group}/v1alpha1"), "kind": "DownloadRequest",
        "metadata": {"name": name, "finalizers": ["example.com/wait"]},
        "spec": {
            "certificateRef": {"name": "api"}, "format": "cert", "reason": reason,
            "requestedBy": {"username": "alice"},
        },
    })
}

fn vote(username: &str, reason: &str) -> Value {
    json!({"username": username, "digest": "d", "decision": "Approve", "reason": reason})
}

#[tokio::test]
async fn a_reason_and_a_vote_from_before_the_rule_hold_up_no_status_no_vote_no_finalizer_and_no_deletion() {
    const GROUP: &str = "texts.example.com";
    let session = Session::open().await;
    let ns = session.namespace("texts").await;
    let crd = Call::apply(&kind(GROUP, false));
    assert!(session.send(&Who::Admin, &crd).await.is_success());
    let collection = format!("/apis/{GROUP}/v1alpha1/namespaces/{ns}/downloadrequests");
    let at = |name: &str| format!("{collection}/{name}");
    let admin = || Who::Admin;
    let create = Call::new(Method::POST, &collection, object(GROUP, "r", OLD));
    session.until("the kind", &admin(), &create, |answer| answer.is_success() || answer.code == 409).await;
    let merge = |path: &str, patch: Value| Call {
        content_type: "application/merge-patch+json",
        ..Call::new(Method::PATCH, path, patch)
    };
    let status = at("r/status");
    let first = merge(&status, json!({"status": {"phase": "AwaitingApproval", "approvals": [vote("bob", OLD)]}}));
    assert!(session.send(&admin(), &first).await.is_success());

    assert!(session.send(&admin(), &Call::apply(&kind(GROUP, true))).await.is_success());
    let probe = Call::new(Method::POST, &collection, object(GROUP, "probe", OLD)).dry();
    session.until("the rules", &admin(), &probe, |answer| answer.code == 422 && answer.message().contains(WORDS)).await;

    let votes = |last: &str| json!({"status": {"approvals": [vote("bob", OLD), vote("carol", last)]}});
    let cases = vec![
        case("its labels", admin(), merge(&at("r"), json!({"metadata": {"labels": {"team": "edge"}}})), Allowed),
        case("its status", admin(), merge(&status, json!({"status": {"phase": "Approved"}})), Allowed),
        case("another vote of that kind", admin(), merge(&status, votes(OLD)), Invalid(WORDS)),
        case("a vote in plain words", admin(), merge(&status, votes("seen")), Allowed),
        case("its deletion", admin(), Call::new(Method::DELETE, &at("r"), Value::Null), Allowed),
        case(
            "the status of what is being deleted",
            admin(),
            merge(&status, json!({"status": {"phase": "Revoked"}})),
            Allowed,
        ),
        case(
            "the finalizer that it waits for",
            admin(),
            merge(&at("r"), json!({"metadata": {"finalizers": null}})),
            Allowed,
        ),
    ];
    run(&session, cases).await;
    assert_eq!(session.send(&admin(), &Call::new(Method::GET, &at("r"), Value::Null)).await.code, 404);
}

/// Everything that the API server says about votes with these reasons, in lists as long as a request can have.
struct Votes<'a> {
    session: &'a Session,
    status: String,
}

impl Votes<'_> {
    const MOST: usize = 256;

    /// Which of these texts are refused.
    async fn refused(&self, texts: &[String]) -> BTreeSet<String> {
        let mut refused = BTreeSet::new();
        for texts in texts.chunks(Self::MOST) {
            let votes: Vec<_> =
                texts.iter().enumerate().map(|(number, text)| vote(&format!("u{number}"), text)).collect();
            let patch = json!({"status": {"approvals": votes}});
            let call = Call {
                content_type: "application/merge-patch+json",
                ..Call::new(Method::PATCH, &self.status, patch).dry()
            };
            let answer = self.session.send(&Who::Admin, &call).await;
            assert!(answer.is_success() || answer.code == 422, "{}", answer.message());
            for cause in answer.body["details"]["causes"].as_array().into_iter().flatten() {
                assert!(cause["message"].as_str().unwrap().contains(WORDS), "{cause}");
                let field = cause["field"].as_str().unwrap();
                let number = field.strip_prefix("status.approvals[").and_then(|rest| rest.strip_suffix("].reason"));
                refused.insert(texts[number.unwrap().parse::<usize>().unwrap()].clone());
            }
        }
        refused
    }
}

/// The last character before each change of an answer, and the first behind it.
fn bounds(answer: impl Fn(char) -> bool) -> Vec<char> {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    all.windows(2).filter(|pair| answer(pair[0]) != answer(pair[1])).flat_map(|pair| [pair[0], pair[1]]).collect()
}

#[tokio::test]
async fn the_api_server_refuses_the_characters_that_the_programs_make_visible() {
    const GROUP: &str = "characters.example.com";
    let session = Session::open().await;
    let ns = session.namespace("characters").await;
    assert!(session.send(&Who::Admin, &Call::apply(&kind(GROUP, true))).await.is_success());
    let collection = format!("/apis/{GROUP}/v1alpha1/namespaces/{ns}/downloadrequests");
    let create = Call::new(Method::POST, &collection, object(GROUP, "r", "plain"));
    session.until("the kind", &Who::Admin, &create, |answer| answer.is_success() || answer.code == 409).await;
    let votes = Votes { session: &session, status: format!("{collection}/r/status") };

    // Every character that is fine by itself, in the longest texts; a letter keeps marks from piling up.
    let alone = |c: char| format!("a{c}");
    let fine: Vec<char> = ('\0'..=char::MAX).filter(|c| !text::has_hidden(&alone(*c))).collect();
    let longest: Vec<String> = fine.chunks(512).map(|some| some.iter().map(|c| alone(*c)).collect()).collect();
    assert_eq!(votes.refused(&longest).await, BTreeSet::new());

    // Where hidden ones begin and end; where the symbols do, behind which an emoji selector may stand.
    let selected = |c: char| format!("{c}\u{fe0f}");
    let texts: Vec<String> = bounds(|c| text::has_hidden(&alone(c)))
        .into_iter()
        .map(alone)
        .chain(bounds(|c| text::has_hidden(&selected(c))).into_iter().map(selected))
        .collect();
    let hidden: BTreeSet<String> = texts.iter().filter(|text| text::has_hidden(text)).cloned().collect();
    assert_eq!(votes.refused(&texts).await, hidden);

    // Where marks begin and end. Which characters are marks is the API server's own word, and its Unicode (15, by Go 1.26)
    // is older than ours: marks that came later may pile up there, and are made visible where they are shown.
    let piled = |c: char| format!("a{}", String::from(c).repeat(7));
    let texts: Vec<String> = bounds(|c| text::has_hidden(&piled(c))).into_iter().map(piled).collect();
    let refused = votes.refused(&texts).await;
    let known = regex_syntax::parse(r"\p{Age=15.0}").unwrap();
    let HirKind::Class(Class::Unicode(known)) = known.kind() else { panic!("a class") };
    let known = known.ranges();
    for text in texts {
        let c = text.chars().next_back().unwrap();
        let newer = !known.iter().any(|range| (range.start()..=range.end()).contains(&c));
        assert!(refused.contains(&text) == text::has_hidden(&text) || newer, "{c:?}");
    }
}
