use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Decision, Phase},
    cluster::fake::{Calls, Says, api_server, found, request},
};

const PATIENCE: Patience = Patience { limit: Duration::from_millis(200), pause: Duration::from_millis(2) };

/// The request in this version, waiting for approvals of digest `d1`, with these votes.
fn waiting(version: &str, votes: &[Value]) -> DownloadRequest {
    let review = json!({
        "digest": "d1", "round": 1, "openedAt": "2026-11-22T12:00:00Z", "fingerprints": [], "policies": [],
        "approvals": {"required": 2, "given": 0, "by": []},
    });
    request("u", version, &json!({"phase": "AwaitingApproval", "review": review, "approvals": votes}))
}

fn vote_of(who: &str, decision: &str) -> Value {
    json!({"username": who, "digest": "d1", "decision": decision, "reason": "INC-1", "groups": []})
}

/// bob approves what he was shown, version 1 without a vote.
async fn bob_approves(script: impl IntoIterator<Item = Says>) -> (Result<DownloadRequest, VoteError>, Calls) {
    let (client, calls) = api_server(script);
    let who = Requester { username: "bob".into(), ..Requester::default() };
    let voter = Voter { who: &who, reads: &client, writes: &client, patience: PATIENCE };
    let ballot = Ballot { decision: Decision::Approve, digest: Some("d1"), spare: false };
    let reason = GivenReason::new("INC-1").unwrap();
    (append(voter, waiting("1", &[]), &ballot, &reason).await, calls)
}

#[tokio::test]
async fn a_vote_is_appended_once_onto_the_version_that_was_looked_at() {
    let voted = waiting("2", &[vote_of("bob", "Approve")]);
    let (ended, calls) = bob_approves([found(voted.clone())]).await;
    assert_eq!(ended.unwrap(), voted);
    let appended = json!({"op": "add", "path": "/status/approvals/-", "value": vote_of("bob", "Approve")});
    let guard = |version: &str| json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version});
    assert_eq!(calls.written(), [json!([guard("1"), appended])]);

    // frank was faster: the vote is cast onto the request with his.
    let franks = waiting("2", &[vote_of("frank", "Approve")]);
    let both = waiting("3", &[vote_of("frank", "Approve"), vote_of("bob", "Approve")]);
    let (ended, calls) = bob_approves([Says::Refused(409), found(franks), found(both.clone())]).await;
    assert_eq!(ended.unwrap(), both);
    assert_eq!(calls.written(), [json!([guard("1"), appended]), json!([guard("2"), appended])]);
}

#[tokio::test]
async fn a_lost_answer_is_settled_and_the_vote_is_never_cast_twice() {
    let voted = waiting("2", &[vote_of("bob", "Approve")]);
    // It came through, at once or a moment later.
    for script in [
        vec![Says::Refused(503), found(voted.clone())],
        vec![Says::Refused(500), found(waiting("1", &[])), Says::Refused(503), found(voted.clone())],
    ] {
        let (ended, calls) = bob_approves(script).await;
        assert_eq!((ended.unwrap(), calls.written().len()), (voted.clone(), 1));
    }
    // It did not, and cannot any more, because the request has changed: it is cast again.
    let franks = waiting("2", &[vote_of("frank", "Approve")]);
    let both = waiting("3", &[vote_of("frank", "Approve"), vote_of("bob", "Approve")]);
    let script = [Says::Refused(504), found(waiting("1", &[])), found(franks), found(both.clone())];
    let (ended, calls) = bob_approves(script).await;
    assert_eq!((ended.unwrap(), calls.written().len()), (both, 2));
    // Nobody can tell: nothing more is written.
    let (ended, calls) = bob_approves(vec![Says::Refused(503); 500]).await;
    assert!(matches!(ended, Err(VoteError::Unknown(_))), "{ended:?}");
    assert_eq!(calls.written().len(), 1);
}

#[tokio::test]
async fn a_vote_is_decided_again_on_what_others_made_of_the_request() {
    let closed = {
        let mut denied = waiting("2", &[vote_of("frank", "Deny")]);
        denied.status.as_mut().unwrap().phase = Some(Phase::Denied);
        denied
    };
    let renewed = {
        let mut renewed = waiting("2", &[]);
        renewed.status.as_mut().unwrap().review.as_mut().unwrap().digest = "d2".into();
        renewed
    };
    for (changed, expected) in [(closed, VoteRefusal::Closed(Phase::Denied)), (renewed, VoteRefusal::OtherReview)] {
        let (ended, calls) = bob_approves([Says::Refused(409), found(changed.clone())]).await;
        let Err(VoteError::Refused { refusal, request }) = ended else { panic!("{ended:?}") };
        assert_eq!((refusal, *request, calls.written().len()), (expected, changed, 1));
    }
    let (ended, _) = bob_approves([Says::Refused(409), Says::Refused(404)]).await;
    assert!(matches!(ended, Err(VoteError::Gone)), "{ended:?}");
    let (ended, calls) = bob_approves([Says::Refused(403)]).await;
    assert!(matches!(ended, Err(VoteError::Api(_))), "{ended:?}");
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn a_vote_that_was_changed_on_its_way_is_noticed_though_its_answer_was_lost() {
    let turned = waiting("2", &[vote_of("bob", "Deny")]);
    for script in [vec![found(turned.clone())], vec![Says::Refused(503), found(turned)]] {
        let (ended, calls) = bob_approves(script).await;
        let Err(VoteError::Altered(altered)) = ended else { panic!("{ended:?}") };
        assert!(altered.to_string().contains("sent as `Approve` and stored as `Deny`"), "{altered}");
        assert_eq!(calls.written().len(), 1);
    }
}

#[tokio::test]
async fn a_request_that_keeps_changing_is_given_up() {
    let script =
        (0..ATTEMPTS).flat_map(|attempt| [Says::Refused(409), found(waiting(&format!("{}", attempt + 2), &[]))]);
    let (ended, calls) = bob_approves(script).await;
    assert!(matches!(ended, Err(VoteError::Restless)), "{ended:?}");
    assert_eq!(calls.written().len(), ATTEMPTS);
}
