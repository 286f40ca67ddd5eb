//! The audit record: one line of JSON for each fact, in the form of `CloudEvents` 1.0 (structured mode).
//!
//! What a fact says is pure: [`fact`], and a module for each kind of witness. What becomes of it is here: a line on
//! standard output, and a call to a sink that may be a collector or the bridge to a chat. No one waits for either,
//! unless the flags say that no key is released before the sink has the fact (see [`Audit::emit_and_confirm`]). docs/audit.md lists
//! every type.
//!
//! # Layout
//! - [`kind`] the closed list of types; [`fact`] what a line is made of.
//! - [`request`] what a request's status tells, to the controller; [`delivery`], [`call`] what happens in the server;
//!   [`guard`] what the guard finds.
//! - [`args`] the flags; [`lines`] standard output; [`sink`] the sink; [`counters`] what is counted of it all.

mod args;
mod counters;
mod lines;
mod sink;

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

pub use args::{AuditArgs, AuditError, AuditMode, cluster_name};
pub use certcourier_core::audit::{Data, Fact, Kind, Source, call, delivery, guard, request};

use crate::metrics::Metrics;
use counters::Counters;
use lines::Lines;
use sink::Sink;

/// How many of the facts that strangers can cause again and again are remembered as told.
const MOST_REMEMBERED: usize = 4096;

/// Where facts go. Clones share it.
#[derive(Clone)]
pub struct Audit(Arc<Outlets>);

struct Outlets {
    source: Source,
    lines: Option<Lines>,
    sink: Option<Sink>,
    /// Whether no key is released before the sink has accepted the fact.
    required: bool,
    counters: Counters,
    /// Ids of facts that strangers can cause, so that each is told once.
    told: Mutex<HashSet<String>>,
}

/// The sink has not accepted a fact that it must accept first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no key is released while the audit sink does not accept facts (--audit=required): {0}")]
pub struct NotConfirmed(&'static str);

impl Audit {
    /// Emits nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::of(None, None, false, Source::default(), Counters::default())
    }

    /// Opens what the flags ask for, and tells that it was opened. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`AuditError`] when the flags or the files that they name cannot be used.
    pub fn start(args: &AuditArgs, source: Source, metrics: &Metrics) -> Result<Self, AuditError> {
        Self::start_with(io::stdout(), args, source, metrics)
    }

    /// The same with something in place of standard output.
    ///
    /// # Errors
    /// [`AuditError`]; see [`Audit::start`].
    pub fn start_with(
        stdout: impl io::Write + Send + 'static,
        args: &AuditArgs,
        source: Source,
        metrics: &Metrics,
    ) -> Result<Self, AuditError> {
        args.check()?;
        let counters = Counters::registered(metrics);
        let lines =
            (args.audit != AuditMode::Off).then(|| Lines::start(stdout, args.audit_queue.into(), counters.clone()));
        let sink = args.audit_sink.as_ref().map(|url| Sink::start(url, args, counters.clone())).transpose()?;
        if let Some(sink) = &sink {
            let state = sink.clone();
            metrics.observe("audit_sink_up", "1 while the audit sink accepts facts, else 0", move || {
                f64::from(u8::from(state.is_up()))
            });
        }
        Ok(Self::of(lines, sink, args.audit == AuditMode::Required, source, counters))
    }

    fn of(lines: Option<Lines>, sink: Option<Sink>, required: bool, source: Source, counters: Counters) -> Self {
        Self(Arc::new(Outlets { source, lines, sink, required, counters, told: Mutex::default() }))
    }

    /// Emits that this process has started. A sink that accepts it is known to be there.
    pub fn begin(&self, program: &str, instance: &str, now: Timestamp) {
        self.tell(&certcourier_core::audit::started(program, instance, now));
    }

    /// Emits a fact. Never waits; what cannot be queued is counted and logged.
    pub fn tell(&self, fact: &Fact) {
        self.pass_on(fact, None);
    }

    /// Emits a fact that strangers can cause, unless it was emitted within the minute; returns whether it was new.
    #[must_use]
    pub fn tell_once(&self, fact: &Fact) -> bool {
        let is_new = !self.is_told_already(fact);
        if is_new {
            self.pass_on(fact, None);
        }
        is_new
    }

    /// Emits facts in their order.
    pub fn tell_all(&self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            self.tell(&fact);
        }
    }

    /// What prevents the release of a key, as far as the audit is concerned.
    ///
    /// # Errors
    /// [`NotConfirmed`] while the sink must accept it and does not accept facts.
    pub fn lets_keys_leave(&self) -> Result<(), NotConfirmed> {
        match &self.0.sink {
            Some(sink) if self.0.required && !sink.is_up() => Err(NotConfirmed("it does not respond as expected")),
            _ => Ok(()),
        }
    }

    /// Emits a fact and, where the flags say so, waits until the sink has accepted it.
    ///
    /// # Errors
    /// [`NotConfirmed`] when the sink has not accepted it in time.
    pub async fn emit_and_confirm(&self, fact: &Fact, patience: Duration) -> Result<(), NotConfirmed> {
        if !self.0.required {
            return Ok(());
        }
        self.lets_keys_leave()?;
        let (taken, waiting) = oneshot::channel();
        self.pass_on(fact, Some(taken));
        match tokio::time::timeout(patience, waiting).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(NotConfirmed("it did not accept the line in time")),
        }
    }

    /// What to report at the probes although the program is ready.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let sink = self.0.sink.as_ref().filter(|sink| !sink.is_up())?;
        let but = if self.0.required { "; formats with a key are refused" } else { "" };
        Some(format!("the audit sink at {} does not accept facts{but}", sink.host()))
    }

    /// Delivers what is still queued, for at most `grace`.
    pub async fn end(&self, grace: Duration) {
        let lines = async {
            if let Some(lines) = &self.0.lines {
                lines.end(grace).await;
            }
        };
        let sink = async {
            if let Some(sink) = &self.0.sink {
                sink.end(grace).await;
            }
        };
        tokio::join!(lines, sink);
    }

    fn is_told_already(&self, fact: &Fact) -> bool {
        let Some(id) = &fact.id else { return false };
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= MOST_REMEMBERED {
            told.clear();
        }
        !told.insert(id.clone())
    }

    fn pass_on(&self, fact: &Fact, taken: Option<oneshot::Sender<()>>) {
        let outlets = &self.0;
        if outlets.lines.is_none() && outlets.sink.is_none() {
            return;
        }
        let id = fact.id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let line = fact.line(&id, &outlets.source);
        outlets.counters.told(fact.kind);
        if let Some(sink) = &outlets.sink {
            sink.put(line.clone(), taken);
        }
        if let Some(lines) = &outlets.lines {
            lines.put(line);
        }
    }
}

#[cfg(test)]
mod tests;
