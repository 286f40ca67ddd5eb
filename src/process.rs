//! What the controller and the server are as processes: how they are told to end, what they end with, and what both say of
//! the machine that they run on.

use std::{error::Error, io, process::ExitCode, sync::Arc, time::Duration};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{
    audit::Audit,
    cluster::{clock::ApiClock, error::in_one_line},
    metrics::Readiness,
};

/// How long the audit record may take at the end to emit what waits.
pub(crate) const AUDIT_GRACE: Duration = Duration::from_secs(5);

/// Exit code 0 where it ended as asked, 1 where it could not start or go on: then standard error says why, because the log
/// may not have been started.
pub(crate) fn exit<E: Error + 'static>(program: &str, ended: Result<(), E>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("certcourier {program}: {}", in_one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// Cancelled by SIGTERM or SIGINT; a second one ends the process at once. `first` is what is finished before it ends.
///
/// # Errors
/// When the process cannot listen for signals.
pub(crate) fn stop_signal(first: &'static str) -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if again {
                std::process::exit(130);
            }
            tracing::info!("shutting down: {first} finished first");
            cancelled.cancel();
        }
    });
    Ok(stop)
}

/// Why this machine's clock keeps the process from being ready, if it does.
pub(crate) fn clock_is_off(clock: &ApiClock) -> Option<String> {
    let said = || format!("this machine's clock is {:#} off the API server's; synchronise it", clock.skew());
    (!clock.is_trustworthy()).then(said)
}

/// What the probes say of the audit record though the process is ready.
pub(crate) fn remarks(audit: &Audit) -> Readiness {
    let audit = audit.clone();
    Arc::new(move || audit.remark().into_iter().collect())
}

/// The name of the host, which in a pod is the pod's. `None` where the kernel has none.
pub(crate) fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// A name for this process that no other one has: the host's and a random part.
pub(crate) fn identity() -> String {
    let host = host_name().unwrap_or_else(|| "certcourier".to_owned());
    format!("{host}_{}", uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_differ() {
        assert_ne!(identity(), identity());
    }

    #[test]
    fn the_name_of_the_host_is_one_word() {
        assert!(host_name().is_none_or(|name| !name.is_empty() && !name.contains(char::is_whitespace)));
    }
}
