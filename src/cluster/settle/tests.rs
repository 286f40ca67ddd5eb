use std::time::Instant;

use serde_json::json;

use super::*;
use crate::{
    api::DownloadRequest,
    cluster::{
        error::{During as _, Failure},
        fake::{self, Says, api_server, found},
    },
};

const PATIENCE: Patience = Patience { limit: Duration::from_millis(300), pause: Duration::from_millis(2) };

fn request(uid: &str, version: &str, hash: Option<&str>) -> DownloadRequest {
    fake::request(uid, version, &json!({"token": {"hash": hash, "generation": 1, "round": 1}}))
}

fn has_our_hash(found: &DownloadRequest) -> bool {
    found.status.as_ref().and_then(|status| status.token.as_ref()?.hash.as_deref()) == Some("ours")
}

async fn settled(script: impl IntoIterator<Item = Says>) -> (Option<Update<DownloadRequest>>, usize) {
    let (client, calls) = api_server(script);
    let ended = update(&client, &request("u", "7", None), PATIENCE, has_our_hash).await;
    (ended, calls.count())
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_is_read_until_it_is_known() {
    let before = || found(request("u", "7", None));
    let (ours, theirs) = (request("u", "8", Some("ours")), request("u", "8", Some("theirs")));
    let came = || Some(Update::Ours(ours.clone()));
    for (script, ended, asked) in [
        (vec![found(ours.clone())], came(), 1),
        // That it is not there yet, and that the API server cannot answer, prove nothing.
        (vec![before(), Says::Refused(503), before(), found(ours.clone())], came(), 4),
        (vec![before(), found(theirs.clone())], Some(Update::Changed(theirs)), 2),
        (vec![Says::Refused(500), Says::Refused(404)], Some(Update::Gone), 2),
        (vec![found(request("another", "9", Some("ours")))], Some(Update::Gone), 1),
        (vec![before(), Says::Nothing], None, 2),
        (vec![], None, 1),
    ] {
        assert_eq!(settled(script).await, (ended, asked));
    }
}

#[tokio::test]
async fn it_is_given_up_in_time_whatever_the_api_server_does() {
    for script in [vec![Says::Refused(503); 1000], vec![found(request("u", "7", None)); 1000], vec![]] {
        let began = Instant::now();
        assert_eq!(settled(script).await.0, None);
        assert!((PATIENCE.limit..PATIENCE.limit * 10).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_creation_is_settled_by_whatever_is_there() {
    let made = request("u", "1", None);
    let (client, calls) = api_server([Says::Refused(404), Says::Refused(503), found(made.clone())]);
    let api: kube::Api<DownloadRequest> = kube::Api::namespaced(client, "payments");
    let read_once = || async { api.get_opt("key").await.during("read", || "it".to_owned()) };
    let found = read_until(PATIENCE, read_once, once_there).await;
    assert_eq!((found, calls.count()), (Some(made), 3));
}

/// Writes onto versions of a number; the attempts are what `write` was given. Version 9 needs no write.
async fn written(
    answers: &[Result<Written<()>, Failure>],
    found: &[Result<Option<u32>, ()>],
    pauses: usize,
) -> (Result<(), Failure>, Vec<u32>) {
    let (mut attempts, mut answers, mut found) = (Vec::new(), answers.iter(), found.iter());
    let lost = || ApiError { action: "write", object: "it".to_owned(), source: kube::Error::Service("lost".into()) };
    let ended = write_until(
        1,
        vec![Duration::from_millis(1); pauses],
        |base| {
            attempts.push(base);
            std::future::ready(answers.next().unwrap().clone().map_err(|_| lost()))
        },
        || std::future::ready(found.next().unwrap().map_err(|()| lost())),
        |found| found.filter(|version| *version < 9).map_or(Again::Enough, Again::Onto),
    )
    .await;
    (ended.map_err(|error| error.failure()), attempts)
}

#[tokio::test]
async fn a_write_that_may_be_repeated_is_repeated_until_it_is_seen() {
    let (done, conflict, lost) = (Ok(Written::Done(())), Ok(Written::Conflict), Err(Failure::Unavailable));
    for (answers, found, pauses, ended, attempts) in [
        (vec![done.clone()], vec![], 3, Ok(()), vec![1]),
        (vec![conflict.clone(), done.clone()], vec![Ok(Some(2))], 3, Ok(()), vec![1, 2]),
        // It came through without its answer; or there is nothing to write to any more.
        (vec![lost.clone()], vec![Ok(Some(9))], 3, Ok(()), vec![1]),
        (vec![lost.clone()], vec![Ok(None)], 3, Ok(()), vec![1]),
        // What cannot be read is written again as it was.
        (vec![lost.clone(), done], vec![Err(())], 3, Ok(()), vec![1, 1]),
        (vec![lost.clone(), lost], vec![Err(())], 1, Err(Failure::Unavailable), vec![1, 1]),
        (vec![conflict], vec![], 0, Ok(()), vec![1]),
    ] {
        assert_eq!(written(&answers, &found, pauses).await, (ended, attempts));
    }
}
