//! One line for each fact on standard output, where collectors read. A thread of its own writes them: no one waits for
//! a reader that is slow.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use prometheus_client::metrics::gauge::Gauge;

use super::counters::{Counters, Outlet, Why};

/// The way to standard output. Clones share it.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    queue: Mutex<Option<SyncSender<String>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    length: Gauge,
    /// Whether the last line was dropped, so that the log says it once.
    is_full: AtomicBool,
    counters: Counters,
}

impl Lines {
    /// Writes lines as they come; at most `capacity` may wait.
    pub(super) fn start(writer: impl io::Write + Send + 'static, capacity: usize, counters: Counters) -> Self {
        let (queue, lines) = sync_channel(capacity);
        let length = counters.queue(Outlet::stdout);
        let (waiting, failed) = (length.clone(), counters.clone());
        let thread = thread::Builder::new().name("audit-lines".to_owned());
        let writer = thread.spawn(move || write_all(writer, &lines, &waiting, &failed)).ok();
        Self(Arc::new(Shared {
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(writer),
            length,
            is_full: AtomicBool::new(false),
            counters,
        }))
    }

    /// Puts a line where it will be written. A full queue drops it.
    pub(super) fn put(&self, line: String) {
        let shared = &self.0;
        let queue = shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        // Before it is put there, because it may be taken at once.
        shared.length.inc();
        let kept = queue.as_ref().is_some_and(|queue| queue.try_send(line).is_ok());
        let was_full = shared.is_full.swap(!kept, Ordering::Relaxed);
        if !kept {
            shared.length.dec();
            shared.counters.dropped(Outlet::stdout, Why::queue_full, 1);
            if !was_full {
                tracing::warn!("audit lines are dropped: the reader of standard output is too slow");
            }
        }
    }

    /// Until what waits is written, or `grace` is over.
    pub(super) async fn end(&self, grace: Duration) {
        drop(self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return };
        let ended = tokio::task::spawn_blocking(move || writer.join());
        if tokio::time::timeout(grace, ended).await.is_err() {
            let left = u64::try_from(self.0.length.get()).unwrap_or_default();
            self.0.counters.dropped(Outlet::stdout, Why::shutdown, left);
            tracing::warn!(left, "audit lines could not be written before shutdown");
        }
    }
}

fn write_all(mut writer: impl io::Write, lines: &Receiver<String>, waiting: &Gauge, counters: &Counters) {
    let mut is_well = true;
    for mut line in lines {
        line.push('\n');
        let written = writer.write_all(line.as_bytes()).and_then(|()| writer.flush());
        waiting.dec();
        if let Err(error) = &written {
            counters.dropped(Outlet::stdout, Why::failed, 1);
            if is_well {
                tracing::error!(
                    error = crate::transport::of_place(error),
                    "audit lines cannot be written to standard output"
                );
            }
        }
        is_well = written.is_ok();
    }
}
