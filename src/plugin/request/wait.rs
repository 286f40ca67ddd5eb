//! Follows a request until it has reached the wanted state, and reports what it is waiting for.

use std::{
    io::{self, Write as _},
    pin::pin,
    time::Duration,
};

use futures::StreamExt as _;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher},
};

use super::ended;
use crate::api::words::{ConditionReason, ConditionType};
use crate::plugin::{
    context::Ctx,
    error::{Exit, PluginError},
    print::style::moves_cursor,
    request::waiting::Approvals,
};
use crate::{
    api::{Delivery, DownloadRequest, DownloadRequestStatus, Phase},
    cluster::{
        error::{ApiError, During as _, Failure},
        token_secret,
    },
    lifecycle,
};

/// How often the request is read where the user is not allowed to watch.
const LOOK: Duration = Duration::from_secs(2);

/// How often the time that is left is shown.
const TICK: Duration = Duration::from_secs(1);

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A token that can be used now. With a value of the mint annotation: the token issued for it.
    Token(Option<String>),
    /// The outcome is known.
    Finished,
}

/// Whether other requests are waited for at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Only this one.
    Alone,
    /// Several.
    Beside,
}

/// The state of a request, compared with the wanted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The wanted state is reached.
    Reached,
    /// Its token expired; another can be requested.
    TokenOver,
    /// Not yet; what it is waiting for.
    Waiting(String),
    /// The wanted state can no longer be reached.
    Over(Exit, String),
}

/// Waits until the request is as wanted. Beside others, each line begins with its name.
///
/// # Errors
/// When it can no longer be, with an exit code for how it ended, or when it cannot be read.
pub async fn follow(
    ctx: &Ctx,
    name: &str,
    wanted: &Wanted,
    company: Company,
) -> Result<(DownloadRequest, Progress), PluginError> {
    let mut told = Told::new(ctx, if company == Company::Alone { String::new() } else { format!("{name}: ") });
    let requests: Api<DownloadRequest> = Api::namespaced(ctx.raw().clone(), &ctx.namespace);
    let mut seen = pin!(watcher::watch_object(requests, name).default_backoff());
    while let Some(event) = told.while_waiting(seen.next()).await {
        match event {
            Ok(request) => {
                let request = request.ok_or_else(|| gone(ctx, name))?;
                if let Some(standing) = told.look(&request, wanted)? {
                    return Ok((request, standing));
                }
            }
            Err(error) => match meaning(ctx, name, error) {
                Ok(()) => told.say("the API server does not answer; trying again".to_owned())?,
                Err(refused) if refused.failure() == Failure::Forbidden => break,
                Err(refused) => return Err(refused.into()),
            },
        }
    }
    loop {
        let object = || format!("DownloadRequest {}/{name}", ctx.namespace);
        let request = ctx.api::<DownloadRequest>().get_opt(name).await.during("read", object)?;
        let request = request.ok_or_else(|| gone(ctx, name))?;
        if let Some(standing) = told.look(&request, wanted)? {
            return Ok((request, standing));
        }
        told.while_waiting(tokio::time::sleep(LOOK)).await;
    }
}

/// What a watch's error means: nothing where trying again may help.
fn meaning(ctx: &Ctx, name: &str, error: watcher::Error) -> Result<(), ApiError> {
    let (watcher::Error::InitialListFailed(source)
    | watcher::Error::WatchStartFailed(source)
    | watcher::Error::WatchFailed(source)) = error
    else {
        return Ok(());
    };
    let error = ApiError { action: "watch", object: format!("DownloadRequest {}/{name}", ctx.namespace), source };
    match error.failure() {
        Failure::Forbidden | Failure::NotFound | Failure::Invalid => Err(error),
        Failure::Conflict | Failure::Throttled(_) | Failure::Unavailable => Ok(()),
    }
}

fn gone(ctx: &Ctx, name: &str) -> PluginError {
    PluginError::with_exit(Exit::Failed, format!("there is no DownloadRequest `{name}` in namespace {}", ctx.namespace))
        .next(format!("`kubectl certcourier list requests -n {}` lists those there are", ctx.namespace))
}

/// Says each thing once; at a terminal, it shows the time that is left on a line of its own.
struct Told<'a> {
    ctx: &'a Ctx,
    /// What each line begins with: nothing, or the name.
    head: String,
    last: String,
    approvals: Option<Approvals>,
    /// Whether the last line of the terminal is the time that is left.
    counts: bool,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<'a> Told<'a> {
    fn new(ctx: &'a Ctx, head: String) -> Self {
        Self { ctx, head, last: String::new(), approvals: None, counts: false }
    }

    /// Waits, and meanwhile counts down.
    async fn while_waiting<T>(&mut self, what: impl Future<Output = T>) -> T {
        let mut what = pin!(what);
        loop {
            self.count_down();
            tokio::select! {
                biased;
                done = &mut what => return done,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    fn count_down(&mut self) {
        // Several cannot share one line.
        if self.ctx.global.quiet || !self.head.is_empty() || !moves_cursor(&io::stderr()) {
            return;
        }
        let Some(left) = self.approvals.as_ref().and_then(|waits| waits.countdown(self.ctx.now())) else { return };
        let _ = write!(io::stderr(), "\r\x1b[K{left}");
        let _ = io::stderr().flush();
        self.counts = true;
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.counts) {
            let _ = write!(io::stderr(), "\r\x1b[K");
            let _ = io::stderr().flush();
        }
    }

    fn look(&mut self, request: &DownloadRequest, wanted: &Wanted) -> Result<Option<Progress>, PluginError> {
        match standing(request, wanted) {
            Progress::Waiting(what) => self.wait(request, &what).map(|()| None),
            Progress::Over(exit, words) => {
                let name = request.key().name;
                let ended = PluginError::with_exit(exit, format!("{name}: {words}"));
                Err(match ended::after(request, &self.ctx.flags()) {
                    Some(next) => ended.next(next),
                    None => ended,
                })
            }
            reached => Ok(Some(reached)),
        }
    }

    fn wait(&mut self, request: &DownloadRequest, what: &str) -> Result<(), PluginError> {
        let approvals = Approvals::of(request, &self.ctx.flags());
        let Some(waits) = approvals else {
            self.approvals = None;
            return self.say(format!("waiting: {what}"));
        };
        if self.approvals.as_ref() == Some(&waits) {
            return Ok(());
        }
        let words = waits.in_words(self.ctx.now());
        self.approvals = Some(waits);
        self.say(format!("{words}. Ctrl-C is safe: the request stays open"))
    }

    fn say(&mut self, words: String) -> Result<(), PluginError> {
        if words != self.last {
            self.clear();
            self.ctx.say(&format!("{}{words}", self.head))?;
            self.last = words;
        }
        Ok(())
    }
}

/// The phase of the request. Pure.
pub fn standing(request: &DownloadRequest, wanted: &Wanted) -> Progress {
    let Some(status) = &request.status else {
        return Progress::Waiting("the controller has not picked up the request yet".to_owned());
    };
    let phase = status.phase();
    let finished = status.condition(ConditionType::Finished);
    let words = || finished.map_or_else(|| phase.name().to_owned(), |condition| condition.message.clone());
    match phase {
        Phase::Denied => Progress::Over(Exit::Denied, words()),
        Phase::Expired => Progress::Over(Exit::Expired, words()),
        Phase::Revoked | Phase::Failed => Progress::Over(Exit::Failed, words()),
        Phase::Consumed => match (wanted, finished.is_some_and(|condition| condition.status == "True")) {
            (Wanted::Finished, false) => Progress::Waiting(words()),
            (Wanted::Finished, true)
                if finished.is_some_and(|condition| condition.reason == ConditionReason::Delivered) =>
            {
                Progress::Reached
            }
            (Wanted::Finished, true) => Progress::Over(Exit::Failed, words()),
            (Wanted::Token(_), _) => Progress::Over(Exit::Failed, format!("its token is used: {}", words())),
        },
        _ if *wanted == Wanted::Finished => Progress::Waiting(open(request)),
        Phase::Pending | Phase::AwaitingApproval => Progress::Waiting(open(request)),
        Phase::Approved | Phase::TokenIssued => token(request, status, phase, wanted),
    }
}

fn token(request: &DownloadRequest, status: &DownloadRequestStatus, phase: Phase, wanted: &Wanted) -> Progress {
    let expired = token_secret::is_expired(request);
    if request.delivery() == Delivery::Claim {
        // A claim makes the token, also another one.
        return if expired && phase == Phase::Approved { Progress::TokenOver } else { Progress::Reached };
    }
    if let Wanted::Token(Some(asked)) = wanted
        && status.token.as_ref().and_then(|token| token.observed_mint.as_ref()) != Some(asked)
    {
        return Progress::Waiting("another token was asked for".to_owned());
    }
    match phase {
        Phase::TokenIssued => Progress::Reached,
        _ if expired => Progress::TokenOver,
        _ => Progress::Waiting(open(request)),
    }
}

/// What an open request waits for.
fn open(request: &DownloadRequest) -> String {
    lifecycle::summary(request).unwrap_or_else(|| request.phase().name().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(delivery: &str, phase: &str, conditions: &[(&str, &str, &str, &str)]) -> DownloadRequest {
        let conditions: Vec<_> = conditions
            .iter()
            .map(|(kind, status, reason, message)| {
                json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-22T08:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest", "metadata": {"name": "r"},
            "spec": {"certificateRef": {"name": "api"}, "format": "key", "delivery": delivery},
            "status": {
                "phase": phase, "conditions": conditions,
                "token": {"generation": 1, "round": 1, "observedMint": "1"},
            },
        }))
        .unwrap()
    }

    #[test]
    fn each_end_has_an_exit_code_and_the_words_of_its_condition() {
        for (phase, reason, exit) in [
            ("Denied", "Denied", Exit::Denied),
            ("Expired", "Expired", Exit::Expired),
            ("Revoked", "Revoked", Exit::Failed),
            ("Failed", "Failed", Exit::Failed),
        ] {
            let request = request("Claim", phase, &[("Finished", "True", reason, "because")]);
            for wanted in [Wanted::Token(None), Wanted::Finished] {
                assert_eq!(standing(&request, &wanted), Progress::Over(exit, "because".into()), "{phase}");
            }
        }
    }

    #[test]
    fn a_used_request_is_what_some_wait_for_and_others_not() {
        let delivered = request("Claim", "Consumed", &[("Finished", "True", "Delivered", "delivered")]);
        assert_eq!(standing(&delivered, &Wanted::Finished), Progress::Reached);
        assert!(matches!(standing(&delivered, &Wanted::Token(None)), Progress::Over(Exit::Failed, _)));
        let aborted = request("Claim", "Consumed", &[("Finished", "True", "Aborted", "went away")]);
        assert_eq!(standing(&aborted, &Wanted::Finished), Progress::Over(Exit::Failed, "went away".into()));
        let under_way = request("Claim", "Consumed", &[("Finished", "False", "Open", "under way")]);
        assert_eq!(standing(&under_way, &Wanted::Finished), Progress::Waiting("under way".into()));
    }

    #[test]
    fn a_token_is_there_once_approved_for_a_claim_and_once_minted_for_a_secret() {
        let token = Wanted::Token(None);
        let not_yet = [
            ("Approved", "True", "ByPeople", "approved"),
            ("TokenIssued", "False", "GuardFailed", "no key is released"),
        ];
        assert_eq!(standing(&request("Claim", "Approved", &not_yet), &token), Progress::Reached);
        assert_eq!(
            standing(&request("Secret", "Approved", &not_yet), &token),
            Progress::Waiting("no key is released".into())
        );
        assert_eq!(standing(&request("Secret", "TokenIssued", &[]), &token), Progress::Reached);
        let expired = [("TokenIssued", "False", "TokenExpired", "token expired")];
        assert_eq!(standing(&request("Secret", "Approved", &expired), &token), Progress::TokenOver);
        assert_eq!(standing(&request("Claim", "Approved", &expired), &token), Progress::TokenOver);
    }

    #[test]
    fn an_earlier_token_is_not_the_one_that_was_asked_for() {
        let issued = request("Secret", "TokenIssued", &[]);
        assert_eq!(standing(&issued, &Wanted::Token(Some("1".into()))), Progress::Reached);
        assert!(matches!(standing(&issued, &Wanted::Token(Some("2".into()))), Progress::Waiting(_)));
    }

    #[test]
    fn what_is_waited_for_is_said_in_the_words_of_the_condition_that_matters() {
        let awaiting = [
            ("Approved", "False", "AwaitingApproval", "0 of 2 approvals given"),
            ("TokenIssued", "False", "NotYet", "waiting for approval"),
        ];
        let said = |conditions: &[(&str, &str, &str, &str)]| match standing(
            &request("Secret", "AwaitingApproval", conditions),
            &Wanted::Token(None),
        ) {
            Progress::Waiting(words) => words,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(&awaiting), "0 of 2 approvals given");
        let stalled = [awaiting[0], awaiting[1], ("Stalled", "True", "MaterialUnusable", "fix the Secret")];
        assert_eq!(said(&stalled), "fix the Secret");
        assert_eq!(said(&[]), "AwaitingApproval");
    }
}
