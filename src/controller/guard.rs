//! Keeps watch over the admission policies while this replica leads: looks, probes, writes down what it found, and
//! tells.
//!
//! What it found is announced only after it was written: the servers, and the next leader, must know no less than this
//! one acts on. That the policies are not in force is announced at once.

mod passing;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;

use super::{
    args::{GuardArgs, Mutators},
    context::{Context, not_looked},
};
use crate::api::words::EventReason;
use crate::{
    admission::Identity,
    api::Requester,
    audit,
    cluster::{
        error::{ApiError, in_one_line},
        events::{EventType, Note},
        guard::{self, Stored},
        status::Written,
    },
    guard::{Intact, Live, LiveObject, Look, LookVerdict, Passers, Reason, Record, State, Wanted, Watched, keep},
    lifecycle::Guard,
};

/// The guard as one leader keeps it.
pub(super) struct Keeper<'a> {
    context: &'a Context,
    args: &'a GuardArgs,
    namespace: &'a str,
    operator: Option<Operator>,
    /// What this leader concluded from its last look that proved something.
    seen: Option<Record>,
    /// The objects of its last look.
    last: Option<Live>,
    passers: Passers,
    /// What came by before the first look, which says what is known.
    unjudged: Vec<LiveObject>,
    /// Up to where everything that came by was judged, or will be by the next look.
    watched: Watched,
    /// What came by since, for people to read.
    passed: Vec<String>,
    told: Told,
}

/// What was emitted last to the audit record, by this leader or the previous one.
#[derive(PartialEq, Eq)]
enum Told {
    NotKnown,
    Failed,
    /// The policies of this epoch are in force.
    Intact(String),
}

/// Who the operator is, and so what the policies must look like.
struct Operator {
    own: Requester,
    identity: Identity,
    wanted: Wanted,
}

impl<'a> Keeper<'a> {
    /// Knows nothing of what an earlier leader saw but what is written down. Until the first look nothing is proven.
    pub(super) fn new(context: &'a Context, args: &'a GuardArgs, namespace: &'a str) -> Self {
        context.guard.send_replace(not_looked());
        Self {
            context,
            args,
            namespace,
            operator: None,
            seen: None,
            last: None,
            passers: Passers::default(),
            unjudged: Vec::new(),
            watched: Watched::default(),
            passed: Vec::new(),
            told: Told::NotKnown,
        }
    }

    /// One look, and what follows from it.
    async fn look(&mut self) {
        let guard = match self.found().await {
            Ok(guard) => guard,
            Err(error) => {
                tracing::warn!(error = in_one_line(&error), "the admission policies could not be checked");
                let cause = in_one_line(&error);
                self.without_evidence(&Reason::NoAnswer { cause }, None)
            }
        };
        self.tell_audit(&guard);
        self.announce(guard);
    }

    /// Tells the audit record what is other than it was told last.
    fn tell_audit(&mut self, guard: &Guard) {
        let now = match guard {
            Guard::Intact { epoch, .. } => Told::Intact(epoch.clone()),
            Guard::Broken { .. } | Guard::Unwatched => Told::Failed,
        };
        if self.told != Told::NotKnown && self.told != now {
            self.told = now;
            self.context.audit.tell_all(audit::guard::found(self.namespace, guard, self.now()));
        }
    }

    fn announce(&self, guard: Guard) {
        self.context.guard.send_if_modified(|before| {
            let changed = *before != guard;
            if changed {
                match &guard {
                    Guard::Intact { epoch, since } => {
                        tracing::info!(epoch, %since, "the admission policies are in force");
                    }
                    Guard::Broken { reason } => {
                        tracing::warn!(
                            reason,
                            "the admission policies are not proven to be in force; no key is \
                          released"
                        );
                    }
                    Guard::Unwatched => {}
                }
                *before = guard;
            }
            changed
        });
    }

    async fn found(&mut self) -> Result<Guard, ApiError> {
        let operator = match self.operator.take() {
            Some(operator) => operator,
            None => match self.operator().await? {
                Ok(operator) => operator,
                Err(reason) => return Ok(broken(&reason)),
            },
        };
        let began = self.now();
        let seen = self.see(&operator).await.map(|look| (look.verdict(&operator.wanted), look));
        self.operator = Some(operator);
        let (verdict, look) = seen?;
        self.judge(&look.live);
        let guard = self.conclude(&look, verdict, began).await;
        self.last = Some(look.live);
        guard
    }

    async fn operator(&self) -> Result<Result<Operator, Reason>, ApiError> {
        let own = guard::own_user(self.context.clients.reads()).await?;
        let server = self.args.server_user.as_deref().unwrap_or(&own.username);
        Ok(Identity::new(self.namespace, &own.username, server)
            .map(|identity| Operator { wanted: self.wanted(&identity), identity, own: own.clone() })
            .map_err(|error| Reason::Unidentified { said: error.to_string() }))
    }

    fn wanted(&self, identity: &Identity) -> Wanted {
        let wanted = Wanted::of(identity);
        match self.args.guard_mutators {
            Mutators::Report => wanted,
            Mutators::Refuse => wanted.without_mutators(),
        }
    }

    /// The objects first: what the probes meet is no older than what was seen. Where the objects are wrong, the probes
    /// would say nothing new.
    async fn see(&self, operator: &Operator) -> Result<Look, ApiError> {
        let clients = &self.context.clients;
        let live = guard::live(clients.reads()).await?;
        let probes = match live.fault(&operator.wanted) {
            Some(_) => Vec::new(),
            None => guard::probe(clients, &operator.identity, &operator.own).await,
        };
        Ok(Look { live, probes })
    }

    async fn conclude(&mut self, look: &Look, verdict: LookVerdict, began: Timestamp) -> Result<Guard, ApiError> {
        let epoch = look.live.epoch();
        match verdict {
            LookVerdict::Unclear(reason) => {
                tracing::warn!(%reason, "a check of the admission policies proved nothing");
                Ok(self.without_evidence(&reason, Some(&epoch)))
            }
            LookVerdict::Broken(reason) => {
                let record = Record::broken(&reason, epoch, began).naming(look.live.mutators());
                self.seen = Some(record.clone());
                self.announce(broken(&reason));
                let stored = self.stored().await?;
                self.write(&record, stored.as_ref()).await?;
                Ok(broken(&reason))
            }
            LookVerdict::Intact => {
                let stored = self.stored().await?;
                let settle = self.args.guard_settle.get();
                let look_at = Intact { epoch: &epoch, began, ended: self.now(), settle };
                let evidence = stored.as_ref().map(|stored| &stored.evidence);
                let record = keep(look_at, evidence, self.seen.as_ref(), look.live.record_protected_since())
                    .naming(look.live.mutators())
                    .watched(&self.watched);
                if !self.write(&record, stored.as_ref()).await? {
                    let cause =
                        "another client wrote the guard's ConfigMap in the meantime, or something changes it during \
                         admission"
                            .to_owned();
                    return Ok(self.without_evidence(&Reason::NoAnswer { cause }, Some(&epoch)));
                }
                let since = record.intact_since(&epoch).unwrap_or(Timestamp::MAX);
                self.seen = Some(record);
                self.passed.clear();
                Ok(Guard::Intact { epoch, since })
            }
        }
    }

    /// What was proven last stays proven for a while, of the same objects: an API server that is busy for a moment
    /// stops no one.
    fn without_evidence(&self, reason: &Reason, epoch: Option<&str>) -> Guard {
        let longest = SignedDuration::try_from(self.args.guard_max_age.get()).unwrap_or(SignedDuration::MAX);
        match &self.seen {
            Some(Record { state: State::Broken { message, .. }, .. }) => Guard::Broken { reason: message.clone() },
            Some(Record { state: State::Intact { since }, epoch: seen, probed_at, .. })
                if self.now().duration_since(*probed_at) <= longest && epoch.is_none_or(|epoch| epoch == seen) =>
            {
                Guard::Intact { epoch: seen.clone(), since: *since }
            }
            _ => broken(reason),
        }
    }

    async fn stored(&mut self) -> Result<Option<Stored>, ApiError> {
        let stored = guard::stored(self.context.clients.reads(), self.namespace).await?;
        if self.told == Told::NotKnown {
            self.told = match stored.as_ref().and_then(|stored| stored.evidence.record.as_ref()) {
                Some(Record { state: State::Intact { .. }, epoch, .. }) => Told::Intact(epoch.clone()),
                _ => Told::Failed,
            };
        }
        Ok(stored)
    }

    /// Whether it is written; tells people when it says something else than before.
    async fn write(&self, record: &Record, stored: Option<&Stored>) -> Result<bool, ApiError> {
        match guard::write(self.context.clients.writes(), self.namespace, record, stored).await? {
            Written::Conflict => Ok(false),
            Written::Done(written) => {
                let before = stored.and_then(|stored| stored.evidence.record.as_ref());
                if before.map(|record| &record.state) != Some(&record.state) {
                    self.tell(&written, record).await;
                }
                let named = before.map(|record| record.mutators.as_slice()).unwrap_or_default();
                if named != record.mutators || !self.passed.is_empty() {
                    self.tell_mutators(&written, record).await;
                }
                // What mutates everything mutates this too.
                Ok(written.data == Some(record.data()))
            }
        }
    }

    async fn tell(&self, config_map: &ConfigMap, record: &Record) {
        let at = record.probed_at;
        let (event_type, reason, text) = match &record.state {
            State::Intact { since } => {
                let text = format!(
                    "the admission policies are in force; requests for keys from before {since} are closed (seen at \
                     {at:.0})"
                );
                (EventType::Normal, EventReason::GuardIntact, text)
            }
            State::Broken { reason: why, message } => (
                EventType::Warning,
                EventReason::GuardBroken,
                format!("no key is released, seen at {at:.0}: {why}: {message}"),
            ),
        };
        self.context.events.tell(config_map, Note { event_type, reason, action: "Probe", text }, self.now()).await;
    }

    async fn tell_mutators(&self, config_map: &ConfigMap, record: &Record) {
        let (at, named, passed) = (record.probed_at, record.mutators.join("; "), self.passed.join("; "));
        let advice = "find out who created it, and exclude group certcourier.io from it";
        let (event_type, text) = match (named.as_str(), passed.as_str()) {
            ("", "") => (
                EventType::Normal,
                format!("nothing else can change requests and votes during admission (seen at {at:.0})"),
            ),
            ("", _) => {
                let text = format!(
                    "was there before {at:.0}, and could have changed requests and votes during admission: {passed}; \
                     {advice}"
                );
                (EventType::Warning, text)
            }
            _ => {
                tracing::warn!(
                    mutators = named,
                    "something that is not certcourier's can change requests and votes during admission"
                );
                let text =
                    format!("can change requests and votes during admission, seen at {at:.0}: {named}; {advice}");
                (EventType::Warning, text)
            }
        };
        let note = Note { event_type, reason: EventReason::GuardMutators, action: "Probe", text };
        self.context.events.tell(config_map, note, self.now()).await;
    }

    fn now(&self) -> Timestamp {
        self.context.clients.clock().now()
    }
}

fn broken(reason: &Reason) -> Guard {
    Guard::Broken { reason: reason.to_string() }
}
