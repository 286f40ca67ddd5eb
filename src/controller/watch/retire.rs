//! Deletes what is over when its time has come, and looks again at a finished request whose receipt says more.
//!
//! One pass goes over all that the archive holds, when something has changed and when the next one is due. It only names
//! what might be due: each is read from the API server and decided on there.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{reconcile::PassError, stores::Stores};
use crate::{
    cluster::error::in_one_line,
    controller::{
        archive::Place,
        context::Context,
        reconcilers::{
            receipt,
            request::ttl::{self, Terms},
        },
    },
};

/// Between two passes, at least: one costs some milliseconds for every hundred thousand objects.
const SHORTEST: Duration = Duration::from_secs(1);
/// At most, in case the clock was set.
const LONGEST: Duration = Duration::from_mins(1);
/// After a failure, and while something is due that must still stay.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many are worked on at a time.
const AT_ONCE: usize = 8;

/// Until `stop`.
pub(crate) async fn run(context: Arc<Context>, stores: Stores, stop: CancellationToken) {
    let passes = async {
        loop {
            let next = pass(&context, &stores).await;
            tokio::time::sleep(SHORTEST).await;
            tokio::select! {
                () = tokio::time::sleep(next.saturating_sub(SHORTEST)) => {}
                () = stores.archive.changed() => {}
            }
        }
    };
    tokio::select! {
        () = passes => {}
        () = stop.cancelled() => {}
    }
}

/// What a pass found to be done.
enum Due {
    Attend(Place),
    Request(Place),
    Receipt(Place),
}

/// Does what is due; how long until something will be.
async fn pass(context: &Arc<Context>, stores: &Stores) -> Duration {
    let (due, next) = due(context, stores, context.clients.clock().now());
    if due.is_empty() {
        return next;
    }
    let work = |due: Due| async move {
        let _permit = context.permits.acquire().await;
        act(context, stores, &due).await.inspect_err(|error| {
            let (Due::Attend(place) | Due::Request(place) | Due::Receipt(place)) = &due;
            tracing::warn!(namespace = %place.0, name = %place.1, error = in_one_line(error), "what is over could not be looked at; it is tried again");
        })
    };
    let done: Vec<Result<(), PassError>> = stream::iter(due).map(work).buffer_unordered(AT_ONCE).collect().await;
    // What was due and stays is due again at once.
    if done.iter().all(Result::is_ok) { next.min(PATIENCE) } else { PATIENCE }
}

async fn act(context: &Context, stores: &Stores, due: &Due) -> Result<(), PassError> {
    match due {
        Due::Attend((namespace, name)) => ttl::attend(context, stores, namespace, name).await,
        Due::Request((namespace, name)) => ttl::delete_if_due(context, stores, namespace, name).await,
        Due::Receipt((namespace, name)) => receipt::delete_if_due(context, stores, namespace, name).await,
    }
}

fn due(context: &Context, stores: &Stores, now: Timestamp) -> (Vec<Due>, Duration) {
    let mut due: Vec<Due> = stores.archive.take_attended().into_iter().map(Due::Attend).collect();
    due.extend(stores.archive.beyond(context.intervals.max_finished_requests).into_iter().map(Due::Request));
    let (mut next, mut terms) = (now + LONGEST, Terms::new(context, stores));
    stores.archive.each_request(|namespace, name, request| match terms.due(namespace, request) {
        Some(moment) if moment <= now => due.push(Due::Request((Arc::clone(namespace), name.into()))),
        Some(moment) => next = next.min(moment),
        None => {}
    });
    stores.archive.each_receipt(|namespace, name, receipt| {
        if receipt.retain_until <= now {
            due.push(Due::Receipt((Arc::clone(namespace), name.into())));
        } else {
            next = next.min(receipt.retain_until);
        }
    });
    (due, Duration::try_from(next.duration_since(now)).unwrap_or(LONGEST))
}
