//! Whether a key may be released now, as far as the admission policies are concerned. Every server checks for itself.

use std::{sync::Arc, time::Duration};

use tokio::sync::OnceCell;

use super::args::GuardArgs;
use crate::{
    admission::Identity,
    api::DownloadRequest,
    cluster::{
        client::Clients,
        error::{ApiError, in_one_line},
        guard,
        together::Together,
    },
    guard::{GuardProof, Reason, Wanted, judge},
    lifecycle::Guard,
};

/// The server's eye on the admission policies. Keeps nothing of what it sees: the policies may go at any moment. Those who
/// wait for a look at the same time share one, which begins after they asked.
pub struct Watcher {
    eye: Arc<Eye>,
    together: Together<(), Result<GuardProof, Reason>>,
}

struct Eye {
    clients: Clients,
    namespace: String,
    controller: Option<String>,
    max_age: Duration,
    wanted: OnceCell<Wanted>,
}

impl Watcher {
    /// Calls no one before it is asked.
    #[must_use]
    pub fn new(clients: Clients, namespace: Option<&str>, args: &GuardArgs) -> Self {
        let namespace = namespace.unwrap_or_else(|| clients.default_namespace()).to_owned();
        let (controller, max_age) = (args.controller_user.clone(), args.guard_max_age.get());
        let eye = Eye { clients, namespace, controller, max_age, wanted: OnceCell::new() };
        Self { eye: Arc::new(eye), together: Together::default() }
    }

    /// The operator's own namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.eye.namespace
    }

    /// What is known of the policies at this moment. Ask after everything else about the request was read: what was
    /// forged before then shows. Formats without a key do not wait for it.
    pub async fn of(&self, request: &DownloadRequest) -> Guard {
        if !request.spec.format.holds_key() {
            return Guard::Unwatched;
        }
        let eye = Arc::clone(&self.eye);
        let look = self.together.ask((), move || async move { Some(eye.look().await) });
        // It ends, and never without an answer.
        match look.await.unwrap_or(Err(Reason::NotLooked)) {
            Ok(GuardProof { epoch, since }) => Guard::Intact { epoch, since },
            Err(reason) => {
                tracing::warn!(%reason, word = reason.name(), "the admission policies are not proven to be in force");
                Guard::Broken { reason: reason.to_string() }
            }
        }
    }
}

impl Eye {
    async fn look(&self) -> Result<GuardProof, Reason> {
        let wanted = self.wanted.get_or_try_init(|| self.expect()).await?;
        let client = self.clients.reads();
        let (live, stored) =
            tokio::try_join!(guard::live(client), guard::stored(client, &self.namespace)).map_err(|e| no_answer(&e))?;
        let evidence = stored.as_ref().map(|stored| &stored.evidence);
        judge(&live, wanted, evidence, self.max_age, self.clients.clock().now())
    }

    /// What the policies must look like; asks who we are, once.
    async fn expect(&self) -> Result<Wanted, Reason> {
        let own = guard::own_user(self.clients.reads()).await.map_err(|error| no_answer(&error))?;
        let controller = self.controller.as_deref().unwrap_or(&own.username);
        let identity = Identity::new(&self.namespace, controller, &own.username);
        identity.map(|identity| Wanted::of(&identity)).map_err(|error| Reason::Unidentified { said: error.to_string() })
    }
}

fn no_answer(error: &ApiError) -> Reason {
    Reason::NoAnswer { cause: in_one_line(error) }
}
