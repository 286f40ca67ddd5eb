//! What a request may carry along, who withdraws and deletes it, and whose the guard's own is.

use axum::http::Method;
use certcourier::admission::name::REQUESTS;
use serde_json::{Value, json};

use crate::{
    case::{
        Answer, Call,
        Expect::{Allowed, Gives, Invalid, Refused},
        Place, case, run,
    },
    requests::{by, with},
    world::{CI, CONTROL, HOME, Session, Who, impersonated, kubernetes, person},
};

const REVOKE: &str = "certcourier.io/revoke";
const REVOKED_BY: &str = "certcourier.io/revoked-by";
const MINT: &str = "certcourier.io/mint";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn vote(reason: &str) -> Value {
    json!({"username": "bob", "digest": "d", "decision": "Approve", "reason": reason})
}

fn with_metadata(mut call: Call, field: &str, value: Value) -> Call {
    call.body["metadata"][field] = value;
    call
}

/// An entry of `managedFields` of about 240 bytes for each field.
fn managed_fields(fields: usize) -> Value {
    let fields: serde_json::Map<String, Value> =
        (0..fields).map(|n| (format!("f:{}{n:05}", "a".repeat(220)), json!({}))).collect();
    json!([{
        "manager": "m", "operation": "Update", "apiVersion": "certcourier.io/v1alpha1", "time": "2026-11-22T12:00:00Z",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:annotations": fields}},
    }])
}

#[tokio::test]
async fn a_request_is_deleted_by_its_requester_and_by_administrators_alone() {
    let session = Session::open().await;
    let ns = session.namespace("deleting").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let ci = session.identity(&person(CI)).await;
    let only = "only alice, who asked, and who holds verb administer on downloadrequests.certcourier.io";
    let next = r#"to revoke it: kubectl annotate dlr d1 certcourier.io/revoke="why""#;
    let made = |name: &str| case(format!("request {name}"), person("alice"), by(&alice, &ns, name, "key"), Allowed);
    let cases = vec![
        made("d1"),
        case("a downloader deletes another's request", person("carol"), place.delete("d1"), Refused(REQUESTS, only)),
        case("and is told what to do", person("carol"), place.delete("d1"), Refused(REQUESTS, next)),
        case("in the foreground", person("carol"), place.delete_with("d1", "Foreground"), Refused(REQUESTS, only)),
        case("another operator does", person(CI), place.delete("d1"), Refused(REQUESTS, only)),
        case("its requester deletes it", person("alice"), place.delete("d1"), Allowed),
        made("d2"),
        case("an administrator of certcourier deletes it", person("frank"), place.delete("d2"), Allowed),
        made("d3"),
        case("a cluster administrator deletes it", Who::Admin, place.delete("d3"), Allowed),
        made("d4"),
        case("the controller deletes it", CONTROL, place.delete("d4"), Allowed),
        made("d5"),
        case("the namespace controller deletes it", kubernetes("namespace-controller"), place.delete("d5"), Allowed),
        made("d6"),
        case("garbage collection deletes it", kubernetes("generic-garbage-collector"), place.delete("d6"), Allowed),
        case("a request of a ServiceAccount", person(CI), by(&ci, &ns, "d7", "cert"), Allowed),
        case(
            "a ServiceAccount of the same name and another uid deletes it",
            impersonated(CI, &[]),
            place.delete("d7"),
            Refused(REQUESTS, "who asked, and who holds verb administer"),
        ),
        case(
            "or asks for another token",
            impersonated(CI, &[]),
            place.annotate("d7", MINT, "1"),
            Refused(REQUESTS, "only the requester may change this request's metadata"),
        ),
        case("its own ServiceAccount does", person(CI), place.annotate("d7", MINT, "1"), Allowed),
        case("and deletes it", person(CI), place.delete("d7"), Allowed),
    ];
    run(&session, cases).await;
}

/// `kubectl delete --raw`, as a deletion of the whole collection: no request has the right to go with it.
#[tokio::test]
async fn a_deletion_of_all_requests_takes_those_of_others_no_more_than_one_by_one() {
    let session = Session::open().await;
    let ns = session.namespace("clearing").await;
    let place = Place::of(&ns, "downloadrequests");
    let carol = session.identity(&person("carol")).await;
    let alice = session.identity(&person("alice")).await;
    let rules =
        json!([{"apiGroups": ["certcourier.io"], "resources": ["downloadrequests"], "verbs": ["deletecollection"]}]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "clears"}, "rules": rules,
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "clears"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "clears"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "carol"}],
    });
    let cases = vec![
        case("the right to clear", Who::Admin, Place::rbac(&ns, "roles").create(role), Allowed),
        case("is carol's", Who::Admin, Place::rbac(&ns, "rolebindings").create(binding), Allowed),
        case("a request of alice's", person("alice"), by(&alice, &ns, "a1", "cert"), Allowed),
    ];
    run(&session, cases).await;
    let refused = |answer: &Answer| answer.refused_by() == Some(REQUESTS);
    let answer = session.until("carol's right", &person("carol"), &place.delete_all(), refused).await;
    assert!(answer.message().contains("only alice, who asked"), "{answer:?}");
    let cases = vec![
        case("it is still there", Who::Admin, place.get("a1"), Allowed),
        case("alice's goes", person("alice"), place.delete("a1"), Allowed),
        case("one of carol's own", person("carol"), by(&carol, &ns, "c1", "cert"), Allowed),
        case("goes with all of them", person("carol"), place.delete_all(), Allowed),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn a_withdrawal_names_who_withdraws_or_nobody() {
    let session = Session::open().await;
    let ns = session.namespace("withdrawing").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let (names, stays) = ("names the caller", "a revoked request stays revoked");
    let annotate =
        |name: &str, annotations: Value| place.merge(name, json!({"metadata": {"annotations": annotations}}));
    let made = |name: &str| case(format!("request {name}"), person("alice"), by(&alice, &ns, name, "cert"), Allowed);
    let mut cases = vec![
        made("r1"),
        case(
            "a name without a withdrawal",
            person("bob"),
            annotate("r1", json!({REVOKED_BY: "bob"})),
            Refused(REQUESTS, names),
        ),
        case(
            "the requester signs for somebody else, too",
            person("alice"),
            annotate("r1", json!({REVOKED_BY: "bob"})),
            Refused(REQUESTS, names),
        ),
        case(
            "with one's own name",
            person("bob"),
            annotate("r1", json!({REVOKE: "leaked", REVOKED_BY: "bob"})),
            Gives("/metadata/annotations/certcourier.io~1revoked-by", json!("bob")),
        ),
        case(
            "another name later",
            person("frank"),
            annotate("r1", json!({REVOKED_BY: "frank"})),
            Refused(REQUESTS, stays),
        ),
        case("no name later", Who::Admin, annotate("r1", json!({REVOKED_BY: null})), Refused(REQUESTS, stays)),
        case("the same again", person("bob"), annotate("r1", json!({REVOKE: "leaked", REVOKED_BY: "bob"})), Allowed),
        case(
            "withdrawn from the start in another's name",
            person("alice"),
            with_metadata(by(&alice, &ns, "r2", "cert"), "annotations", json!({REVOKED_BY: "bob"})),
            Refused(REQUESTS, names),
        ),
    ];
    // Where there is a stamp it writes the caller over any other name; another test takes it away.
    let forged = annotate("r3", json!({REVOKE: "leaked", REVOKED_BY: "alice"}));
    cases.push(made("r3"));
    run(&session, cases).await;
    let answer = session.send(&person("bob"), &forged).await;
    let stamped = answer.is_success() && answer.body["metadata"]["annotations"][REVOKED_BY] == "bob";
    assert!(stamped || answer.message().contains(names), "{answer:?}");
}

#[tokio::test]
async fn what_a_request_carries_along_is_bounded() {
    let session = Session::open().await;
    let ns = session.namespace("carrying").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let annotations = "metadata.annotations of a request hold at most 4096 characters together";
    let fields = "metadata.managedFields of a request holds at most 65536 characters";
    let labels: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("l{n:03}.example.com/{}", "k".repeat(60)), json!("v".repeat(60)))).collect();
    let asked = |name: &str| by(&alice, &ns, name, "cert");
    let cases = vec![
        case(
            "the quarter of a megabyte that Kubernetes allows",
            person("alice"),
            with_metadata(asked("c1"), "annotations", json!({"junk": "x".repeat(250_000)})),
            Refused(REQUESTS, annotations),
        ),
        case(
            "many small ones",
            person("alice"),
            with_metadata(
                asked("c1"),
                "annotations",
                (0..100).map(|n| (format!("k{n:02}"), json!("x".repeat(40)))).collect::<serde_json::Map<_, _>>().into(),
            ),
            Refused(REQUESTS, annotations),
        ),
        case(
            "as much as there may be",
            person("alice"),
            with_metadata(
                asked("c1"),
                "annotations",
                json!({"junk": "x".repeat(4092), LAST_APPLIED: "x".repeat(16 * 1024)}),
            ),
            Allowed,
        ),
        case(
            "one character more",
            person("alice"),
            place.annotate("c1", "junk", "x".repeat(4093)),
            Refused(REQUESTS, annotations),
        ),
        case("less", person("alice"), place.annotate("c1", "junk", "x".repeat(2000)), Allowed),
        case(
            "what kubectl keeps, by somebody else",
            person("bob"),
            place.annotate("c1", LAST_APPLIED, "x".repeat(16 * 1024 + 1)),
            Refused(REQUESTS, "kubectl.kubernetes.io/last-applied-configuration 16384"),
        ),
        case(
            "finalizers without end",
            person("alice"),
            with_metadata(
                asked("c4"),
                "finalizers",
                (0..1000).map(|n| json!(format!("a.b/{n}"))).collect::<Vec<_>>().into(),
            ),
            Refused(
                REQUESTS,
                "metadata.finalizers and metadata.ownerReferences of a request hold at most 4096 characters",
            ),
        ),
        case(
            "what the API server keeps of field managers, made up",
            person("alice"),
            with_metadata(asked("c6"), "managedFields", managed_fields(2000)),
            Refused(REQUESTS, fields),
        ),
        case(
            "as much of that as there may be",
            person("alice"),
            with_metadata(asked("c6"), "managedFields", managed_fields(240)),
            Allowed,
        ),
        case(
            "more of it later",
            person("alice"),
            place.merge("c6", json!({"metadata": {"managedFields": managed_fields(2000)}})),
            Refused(REQUESTS, fields),
        ),
        case(
            "more of it by somebody else",
            person("bob"),
            place.merge("c6", json!({"metadata": {"managedFields": managed_fields(2000)}})),
            Refused(REQUESTS, fields),
        ),
        case("which keeps nobody from revoking it", person("bob"), place.annotate("c6", REVOKE, "no"), Allowed),
        case(
            "full to the brim",
            person("alice"),
            with_metadata(asked("c5"), "annotations", json!({"junk": "x".repeat(4092)})),
            Allowed,
        ),
        case(
            "which keeps nobody from revoking it",
            person("bob"),
            place.merge("c5", json!({"metadata": {"annotations": {REVOKE: "x".repeat(1024), REVOKED_BY: "bob"}}})),
            Allowed,
        ),
        case("a withdrawal has room", person("bob"), place.annotate("c1", REVOKE, "x".repeat(1024)), Allowed),
        case(
            "labels",
            person("alice"),
            with_metadata(asked("c2"), "labels", labels.into()),
            Refused(REQUESTS, "metadata.labels of a request hold at most 4096 characters together"),
        ),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn what_people_write_for_others_has_no_hidden_characters() {
    let session = Session::open().await;
    let ns = session.namespace("hidden").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let words = "this text is read by others: write it on one line, without control characters, characters that change \
                 the direction of writing, invisible ones (fillers, joiners, variation selectors), private-use ones, and \
                 more than 6 marks on one letter; an emoji of one symbol is fine";
    let mut cases = vec![
        case("a request", person("alice"), by(&alice, &ns, "h1", "cert"), Allowed),
        case(
            "its review",
            CONTROL,
            place.update(
                "h1/status",
                json!({"status": {"phase": "AwaitingApproval", "approvals": [], "review": {
                    "digest": "d", "round": 1, "openedAt": "2026-11-22T12:00:00Z", "approvals": {"required": 1, "given": 0}}}}),
            ),
            Allowed,
        ),
    ];
    for (number, text) in [
        "für Bär – 重要: بسبب 🔑 ‘so’",
        // Accents as letters of their own and as marks; Vietnamese with two marks on one letter.
        "Élodie, cafe\u{301}, Việt Nam, Vie\u{323}\u{302}t Nam",
        "नई कुंजी: क्षत्रिय, เปลี่ยนกุญแจที่นี่, مفتاح جديد مُحَمَّد, בְּרֵאשִׁ֖ית",
        "新しい鍵、密钥更新，키 교체",
        "⚠\u{fe0f} done ✔\u{fe0f} ❤\u{fe0f} 🚀👍🏽 🇩🇪",
    ]
    .into_iter()
    .enumerate()
    {
        let what = |place: &str| format!("{place} in people's own languages: {text}");
        let name = format!("h1{number}");
        cases.extend([
            case(
                what("a reason"),
                person("alice"),
                with(&alice, &ns, &name, json!({"format": "cert", "reason": text})),
                Allowed,
            ),
            case(what("a mint"), person("alice"), place.annotate(&name, MINT, text), Allowed),
            case(what("a withdrawal"), person("bob"), place.annotate(&name, REVOKE, text), Allowed),
        ]);
    }
    let piled = "\u{338}".repeat(7);
    let refused = [
        // What moves the cursor or ends the line.
        ["\u{1b}", "\n", "\u{9b}", "\u{2028}"],
        // The direction of writing.
        ["\u{202e}", "\u{2066}", "\u{200f}", "\u{61c}"],
        // Joiners and others without a width.
        ["\u{200b}", "\u{feff}", "\u{34f}", "👩\u{200d}💻"],
        // Fillers and blanks that are none.
        ["\u{3164}", "\u{115f}", "\u{1160}", "\u{ffa0}"],
        ["\u{2800}", "\u{17b4}", "\u{fffc}", "\u{ad}"],
        // Selectors, but one behind a symbol; tags.
        ["\u{fe0f}", "\u{fe0e}", "⚠\u{fe0f}\u{fe0f}", "1\u{fe0f}\u{20e3}"],
        ["\u{e0100}", "\u{e0141}", "\u{180b}", "⚠\u{fe0e}"],
        // For private use, and no characters.
        ["\u{e000}", "\u{f0000}", "\u{fffe}", "\u{10ffff}"],
        ["é\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}", piled.as_str(), "\u{50000}", "\u{10fffd}"],
    ];
    for (number, c) in refused.iter().flatten().enumerate() {
        let text = format!("said{c}so");
        let what = |place: &str| format!("{place} with {}", c.escape_unicode());
        cases.extend([
            case(
                what("a reason"),
                person("alice"),
                with(&alice, &ns, &format!("x{number}"), json!({"format": "cert", "reason": text})),
                Invalid(words),
            ),
            case(what("a vote"), person("bob"), place.update_with_vote("h1/status", vote(&text)), Invalid(words)),
            case(
                what("a withdrawal"),
                person("bob"),
                place.annotate("h1", REVOKE, text.as_str()),
                Refused(REQUESTS, words),
            ),
            case(what("a mint"), person("alice"), place.annotate("h1", MINT, text.as_str()), Refused(REQUESTS, words)),
            case(
                what("what a tool keeps for itself"),
                person("alice"),
                place.annotate("h1", "kapp.k14s.io/original", text.as_str()),
                Allowed,
            ),
        ]);
    }
    cases.extend([
        case("what kubectl keeps is its own", person("alice"), place.annotate("h1", LAST_APPLIED, "{}\n"), Allowed),
        case(
            "a vote in plain words",
            person("bob"),
            place.update_with_vote("h1/status", vote("seen ✔\u{fe0f}")),
            Allowed,
        ),
    ]);
    run(&session, cases).await;
}

#[tokio::test]
async fn the_guards_request_is_the_controllers_in_its_own_namespace_alone() {
    let session = Session::open().await;
    let ns = session.namespace("guardname").await;
    let alice = session.identity(&person("alice")).await;
    let own = "request certcourier-guard of this namespace is the guard's own";
    let at_home = with(&alice, HOME, "certcourier-guard", json!({"format": "cert"})).dry();
    let elsewhere = by(&alice, &ns, "certcourier-guard", "cert");
    let path = format!("{}/certcourier-guard", Place::of(&ns, "downloadrequests").list().path);
    let cases = vec![
        case("somebody else's in the operator's namespace", person("alice"), at_home, Refused(REQUESTS, own)),
        case("in any other namespace the name is one like others", person("alice"), elsewhere, Allowed),
        case("and goes like others", person("alice"), Call::new(Method::DELETE, &path, Value::Null), Allowed),
    ];
    run(&session, cases).await;
}
