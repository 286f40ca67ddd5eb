//! The kinds' own rules on a real API server: what a schema cannot say and CEL does, and what `kubectl` shows of them.

use serde_json::{Value, json};

use crate::{
    case::{
        Expect::{Allowed, Gives, Invalid},
        Place, case, run,
    },
    requests::{by, with},
    world::{CONTROL, Session, Who, person},
};

fn policy(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "certcourier.io/v1alpha1", "kind": "CertificatePolicy", "metadata": {"name": name}, "spec": spec})
}

#[tokio::test]
async fn a_certificate_policy_keeps_its_durations_in_range() {
    let session = Session::open().await;
    let ns = session.namespace("policies").await;
    let place = Place::of(&ns, "certificatepolicies");
    let full = json!({
        "certificates": ["prod-*"], "environments": ["production"], "allowKeyExport": "WithApproval",
        "allowCAKeyExport": false, "allowedFormats": ["cert", "fullchain"],
        "approval": {"requiredFor": "Keys", "approvals": 2, "pendingTTL": "1h", "validity": "24h", "contacts": "#oncall, ask für Jane"},
        "unattended": {"keyFormats": "Deny", "approvals": 2},
        "token": {"ttl": "5m", "maxTTL": "1h", "bindToRequester": false},
        "passphrase": {"minLength": 12}, "pkcs12": {"allowLegacy": true}, "reasonRequired": false,
        "receiptRetention": "720h", "finishedRequestTTL": "24h",
    });
    let wrong = [
        (json!({"token": {"ttl": "0s"}}), "token.ttl must be between 1s and 24h"),
        (json!({"token": {"ttl": "25h"}}), "token.ttl must be between 1s and 24h"),
        (json!({"token": {"maxTTL": "24h1s"}}), "token.maxTTL must be between 1s and 24h"),
        (json!({"token": {"ttl": "10m", "maxTTL": "5m"}}), "token.ttl must not be longer than token.maxTTL"),
        (json!({"approval": {"pendingTTL": "721h"}}), "pendingTTL must be between 1s and 720h"),
        (json!({"approval": {"validity": "0m"}}), "validity must be between 1s and 720h"),
        (json!({"receiptRetention": "23h"}), "receiptRetention must be between 24h and 87600h"),
        (json!({"receiptRetention": "87601h"}), "receiptRetention must be between 24h and 87600h"),
        (json!({"finishedRequestTTL": "87601h"}), "finishedRequestTTL must be at most 87600h"),
        (json!({"finishedRequestTTL": "forever"}), "such as 90s, 5m or 1h30m (days are not known), or never"),
        (
            json!({"token": {"ttl": "5 minutes"}}),
            "write hours, minutes and seconds, such as 90s, 5m or 1h30m (days are not known)",
        ),
        (
            json!({"token": {"ttl": "5d"}}),
            "write hours, minutes and seconds, such as 90s, 5m or 1h30m (days are not known)",
        ),
        (json!({"approval": {"contacts": ""}}), "should be at least 1 chars long"),
        (json!({"approval": {"contacts": "x".repeat(201)}}), "may not be more than 200"),
        (json!({"approval": {"contacts": "a\u{202e}b"}}), "this text is read by others"),
        (json!({"approval": {"approvals": 0}}), "should be greater than or equal to 1"),
        (json!({"approval": {"approvals": 9}}), "should be less than or equal to 8"),
        (json!({"unattended": {"approvals": 1}}), "should be greater than or equal to 2"),
        (json!({"allowedFormats": []}), "should have at least 1 items"),
        (json!({"allowedFormats": ["cert", "cert"]}), "Duplicate value"),
        (json!({"allowedFormats": ["jks"]}), "Unsupported value"),
        (json!({"allowKeyExport": "Sometimes"}), "Unsupported value"),
        (json!({"certificates": []}), "should have at least 1 items"),
        (json!({"certificates": ["API"]}), "`API` matches no Certificate: names are in lower-case letters"),
        (json!({"certificates": ["prod-*", "api?"]}), "`api?` matches no Certificate"),
        (json!({"certificates": ["[a-z]*"]}), "`[a-z]*` matches no Certificate"),
        (json!({"certificates": [" api"]}), "` api` matches no Certificate"),
        (json!({"certificates": ["ａpi"]}), "`ａpi` matches no Certificate"),
        (json!({"certificates": ["-*"]}), "`-*` matches no Certificate"),
        (json!({"certificates": ["a..b"]}), "`a..b` matches no Certificate"),
        (json!({"environments": ["Production"]}), "`Production` matches no environment"),
        (json!({"environments": ["prod.*"]}), "`prod.*` matches no environment"),
    ];
    let mut cases = vec![
        case("every field at once", person("dave"), place.create(policy("full", full.clone())), Gives("/spec", full)),
        // No default: a field that is left out takes no part in the merge.
        case("no field at all", person("dave"), place.create(policy("none", json!({}))), Gives("/spec", json!({}))),
        case(
            "an empty part",
            person("dave"),
            place.create(policy("part", json!({"token": {}}))),
            Gives("/spec", json!({"token": {}})),
        ),
    ];
    cases.extend(wrong.into_iter().enumerate().map(|(number, (spec, words))| {
        let what = spec.to_string();
        case(what, person("dave"), place.create(policy(&format!("w{number}"), spec)), Invalid(words))
    }));
    run(&session, cases).await;
}

#[tokio::test]
async fn a_request_says_only_what_has_a_meaning() {
    let session = Session::open().await;
    let ns = session.namespace("meaning").await;
    let alice = session.identity(&person("alice")).await;
    let ask = |spec: Value| with(&alice, &ns, "r1", spec);
    let nobody = {
        let mut call = by(&alice, &ns, "r2", "cert");
        call.body["spec"]["requestedBy"] = json!({"username": "", "groups": []});
        call
    };
    let cases = vec![
        case(
            "a tokenTTL of a day and a second",
            person("alice"),
            ask(json!({"format": "cert", "tokenTTL": "24h1s"})),
            Invalid("tokenTTL must be between 1s and 24h"),
        ),
        case(
            "a tokenTTL of nothing",
            person("alice"),
            ask(json!({"format": "cert", "tokenTTL": "0s"})),
            Invalid("tokenTTL must be between 1s and 24h"),
        ),
        case(
            "a passphrase for a file that has none",
            person("alice"),
            ask(json!({"format": "cert", "passphraseSecretRef": {"name": "alice-p12", "key": "p"}})),
            Invalid("passphraseSecretRef applies to formats pkcs12 and zip only"),
        ),
        case(
            "PKCS#12 options for PEM",
            person("alice"),
            ask(json!({"format": "key", "pkcs12": {"profile": "Legacy"}})),
            Invalid("pkcs12 applies to formats pkcs12 and zip only"),
        ),
        case(
            "an environment for all environments",
            person("alice"),
            ask(json!({"format": "der-zip", "environment": "production"})),
            Invalid("der-zip holds every environment"),
        ),
        case("an unknown format", person("alice"), ask(json!({"format": "jks"})), Invalid("Unsupported value")),
        case(
            "a deadline that is no time",
            person("alice"),
            ask(json!({"format": "cert", "deadline": "tomorrow"})),
            Invalid("must be of type date-time"),
        ),
        case(
            "a friendly name that importers cannot show",
            person("alice"),
            ask(json!({"format": "pkcs12", "pkcs12": {"friendlyName": "Bär \u{1f43b}"}})),
            Invalid("one that PKCS#12 cannot hold, such as an emoji"),
        ),
        case(
            "a friendly name that shows something else",
            person("alice"),
            ask(json!({"format": "pkcs12", "pkcs12": {"friendlyName": "api\u{202e}gpj"}})),
            Invalid("friendlyName has a control or invisible character"),
        ),
        case(
            "a deadline beyond every calendar",
            person("alice"),
            ask(json!({"format": "cert", "deadline": "9999-12-31T23:59:59Z"})),
            Invalid("deadline must be before the year 9999"),
        ),
        case(
            "a deadline whose offset is none",
            person("alice"),
            ask(json!({"format": "cert", "deadline": "2026-11-22T18:00:00+99:99"})),
            Invalid("deadline"),
        ),
        case(
            "a deadline with more digits than a Kubernetes time has",
            person("alice"),
            ask(json!({"format": "cert", "deadline": "2030-11-22T18:00:00.1234567890Z"})),
            Invalid("deadline"),
        ),
        case(
            "a Certificate that cannot be",
            person("alice"),
            ask(json!({"format": "cert", "certificateRef": {"name": "API"}})),
            Invalid("no Certificate can have this name"),
        ),
        case(
            "an environment that cannot be",
            person("alice"),
            ask(json!({"format": "cert", "environment": "prod\u{1b}[2J"})),
            Invalid("no environment can have this name"),
        ),
        case(
            "a Secret that cannot be",
            person("alice"),
            ask(json!({"format": "pkcs12", "passphraseSecretRef": {"name": "P12", "key": "p"}})),
            Invalid("no Secret can have this name"),
        ),
        case(
            "a key that cannot be",
            person("alice"),
            ask(json!({"format": "pkcs12", "passphraseSecretRef": {"name": "alice-p12", "key": "p/q"}})),
            Invalid("no Secret can have this key"),
        ),
        // The stamp would write the name; as an update nothing does.
        case(
            "everything that is optional",
            person("alice"),
            ask(json!({
                "format": "pkcs12", "environment": "production", "passphraseSecretRef": {"name": "alice-p12", "key": "p"},
                "pkcs12": {"profile": "Legacy", "friendlyName": "Zertifikat für Bär"}, "reason": "INC-4211", "tokenTTL": "5m",
                "deadline": "2026-11-22T18:00:00Z", "delivery": "Claim",
            })),
            Allowed,
        ),
    ];
    run(&session, cases).await;
    // With the stamp an empty name is overwritten, without it the schema says what is missing.
    let answer = session.send(&person("alice"), &nobody.dry()).await;
    assert!(answer.is_success() || answer.message().contains("spec.requestedBy.username"), "{answer:?}");
}

#[tokio::test]
async fn status_grows_and_never_shrinks() {
    let session = Session::open().await;
    let ns = session.namespace("status").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let status = |status: Value| place.update("r1/status", json!({"status": status}));
    let review = |round: i32| {
        json!({"review": {
            "digest": "d", "round": round, "openedAt": "2026-11-22T12:00:00Z", "approvals": {"required": 0, "given": 0},
        }})
    };
    let receipt = |name: &str| json!({"receiptRef": {"name": name}});
    let previous: Vec<Value> =
        (0..5).map(|_| json!({"hash": "h", "ended": "2026-11-22T12:00:00Z", "why": "Replaced"})).collect();
    let long = json!({"conditions": [{
        "type": "Stalled", "status": "True", "reason": "X", "message": "m".repeat(32_769),
        "lastTransitionTime": "2026-11-22T12:00:00Z",
    }]});
    let cases = vec![
        case("a request", person("alice"), by(&alice, &ns, "r1", "cert"), Allowed),
        case("its review", CONTROL, status(review(2)), Allowed),
        case(
            "an earlier round",
            CONTROL,
            status(review(1)),
            Invalid("status.review is never removed and its round only grows"),
        ),
        case("round nought", CONTROL, status(review(0)), Invalid("should be greater than or equal to 1")),
        case("a later round", CONTROL, status(review(3)), Allowed),
        case("a token", CONTROL, status(json!({"token": {"generation": 2, "round": 3}})), Allowed),
        case(
            "an earlier token",
            CONTROL,
            status(json!({"token": {"generation": 1}})),
            Invalid("its generation only grows"),
        ),
        case("no token", CONTROL, status(json!({"token": null})), Invalid("status.token is never removed")),
        case(
            "a fifth token that is over",
            CONTROL,
            status(json!({"token": {"previous": previous}})),
            Invalid("must have at most 4 items"),
        ),
        case("a receipt", CONTROL, status(receipt("r-1")), Allowed),
        case("another receipt", CONTROL, status(receipt("r-2")), Invalid("status.receiptRef, once written, stays")),
        case(
            "no receipt",
            CONTROL,
            status(json!({"receiptRef": null})),
            Invalid("status.receiptRef, once written, stays"),
        ),
        case("an unknown phase", CONTROL, status(json!({"phase": "Ready"})), Invalid("Unsupported value")),
        case("a message longer than anyone reads", CONTROL, status(long), Invalid("may not be more than 32768")),
        case(
            "no status at all",
            CONTROL,
            place.update("r1/status", json!({"status": null})),
            Invalid("status, once written, is never removed"),
        ),
    ];
    run(&session, cases).await;
}

#[tokio::test]
async fn kubectl_shows_what_people_look_for() {
    let session = Session::open().await;
    let ns = session.namespace("shown").await;
    let place = Place::of(&ns, "downloadrequests");
    let alice = session.identity(&person("alice")).await;
    let waiting = json!({"status": {
        "phase": "AwaitingApproval",
        "review": {
            "digest": "d", "round": 1, "openedAt": "2026-11-22T12:00:00Z",
            "expiresAt": "2026-11-22T13:00:00Z", "contacts": ["#oncall"],
            "approvals": {"required": 2, "given": 1, "summary": "1/2"},
        },
        "conditions": [{"type": "TokenIssued", "status": "False", "reason": "AwaitingClaim", "message": "m",
            "lastTransitionTime": "2026-11-22T12:00:00Z"}],
    }});
    run(
        &session,
        vec![
            case("a request", person("alice"), by(&alice, &ns, "r1", "key"), Allowed),
            case("it waits", CONTROL, place.update("r1/status", waiting), Allowed),
            case("another", person("alice"), by(&alice, &ns, "r2", "cert"), Allowed),
        ],
    )
    .await;
    let kubectl = session.world.plane.admin_kubectl();
    let shows = async |arguments: &[&str], words: &[&str]| {
        let output = kubectl.check(arguments).await.unwrap();
        for word in words {
            assert!(output.stdout.contains(word), "kubectl {arguments:?} does not show {word}:\n{}", output.stdout);
        }
        output.stdout
    };
    shows(
        &["-n", &ns, "get", "dlr", "r1"],
        &["CERTIFICATE", "FORMAT", "REQUESTER", "PHASE", "APPROVALS", "api", "key", "alice", "AwaitingApproval", "1/2"],
    )
    .await;
    shows(&["-n", &ns, "get", "dlr", "r1"], &["TOKEN", "AwaitingClaim"]).await;
    shows(&["-n", &ns, "get", "dlr", "r1", "-o", "wide"], &["EXPIRES", "2026-11-22T13:00:00Z", "WHY"]).await;
    let selected =
        shows(&["-n", &ns, "get", "dlr", "--field-selector=status.phase=AwaitingApproval", "-o", "name"], &["r1"])
            .await;
    assert!(!selected.contains("r2"), "{selected}");
    let selected = shows(
        &["-n", &ns, "get", "dlr", "--field-selector=spec.format=cert,spec.requestedBy.username=alice", "-o", "name"],
        &["r2"],
    )
    .await;
    assert!(!selected.contains("r1"), "{selected}");
    shows(&["-n", &ns, "get", "certcourier"], &["downloadrequest.certcourier.io/r1"]).await;
    shows(&["api-resources", "--api-group=certcourier.io"], &["ccert", "ccpol", "dlr", "dlrc"]).await;
    shows(&["explain", "dlr.spec.tokenTTL"], &["How long the token is valid", "Default"]).await;
    shows(&["explain", "ccpol.spec.approval.approvals"], &["How many distinct people must approve"]).await;
    let mut unknown = by(&alice, &ns, "r3", "cert");
    unknown.path.push_str("?fieldValidation=Strict");
    unknown.body["spec"]["fromat"] = json!("cert");
    let answer = session.send(&Who::Person("alice"), &unknown).await;
    assert!(answer.code == 400 && answer.message().contains("unknown field \"spec.fromat\""), "{answer:?}");
}
