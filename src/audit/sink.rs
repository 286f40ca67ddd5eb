//! The sink: an HTTP endpoint that is told every fact, in order, each until it takes it.
//!
//! One fact is under way at a time. What the sink says is wrong with a fact drops that fact; anything else is the sink's
//! trouble, and the fact is sent again after a pause. Meanwhile the others wait, up to a bound.

mod headers;

use std::{
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use reqwest::{Certificate, Client, StatusCode, header, redirect};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use self::headers::Headers;
use super::{
    args::{AuditArgs, AuditError, SinkUrl},
    counters::{Counters, Outlet, Why},
};
use crate::cluster::error::in_one_line;

/// The first pause after an attempt that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// `CloudEvents` in structured mode.
const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

/// The way to the sink. Clones share it.
#[derive(Clone)]
pub(super) struct Sink(Arc<Shared>);

struct Shared {
    queue: mpsc::Sender<Item>,
    up: Arc<AtomicBool>,
    host: String,
    /// Whether the last fact was dropped, so that the log says it once.
    is_full: AtomicBool,
    counters: Counters,
    /// Cancelled when no more is told.
    closing: CancellationToken,
    sender: Mutex<Option<JoinHandle<()>>>,
}

struct Item {
    line: String,
    /// Who waits until the sink has taken it.
    taken: Option<oneshot::Sender<()>>,
}

impl Sink {
    /// Sends what it is told. Needs a tokio runtime.
    pub(super) fn start(url: &SinkUrl, args: &AuditArgs, counters: Counters) -> Result<Self, AuditError> {
        let headers = args.audit_sink_headers.clone().map(Headers::load).transpose()?;
        let client = client(args)?;
        let (queue, items) = mpsc::channel(args.audit_queue.into());
        let (up, closing) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        if url.host().starts_with("http://") {
            tracing::warn!(sink = url.host(), "facts are sent to the audit sink over plain HTTP");
        }
        let sender = Sender {
            client,
            url: url.clone(),
            headers,
            longest_pause: args.audit_sink_retry.get(),
            up: Arc::clone(&up),
            counters: counters.clone(),
        };
        let running = tokio::spawn(sender.run(items, closing.clone()));
        let host = url.host().to_owned();
        let (is_full, sender) = (AtomicBool::new(false), Mutex::new(Some(running)));
        Ok(Self(Arc::new(Shared { queue, up, host, is_full, counters, closing, sender })))
    }

    /// Whether it took what it was told last.
    pub(super) fn is_up(&self) -> bool {
        self.0.up.load(Ordering::Acquire)
    }

    /// Scheme and host.
    pub(super) fn host(&self) -> &str {
        &self.0.host
    }

    /// Puts a line where it will be sent. A full queue drops it.
    pub(super) fn put(&self, line: String, taken: Option<oneshot::Sender<()>>) {
        let length = self.0.counters.queue(Outlet::sink);
        length.inc();
        let kept = self.0.queue.try_send(Item { line, taken }).is_ok();
        let was_full = self.0.is_full.swap(!kept, Ordering::Relaxed);
        if !kept {
            length.dec();
            self.0.counters.dropped(Outlet::sink, Why::queue_full, 1);
            if !was_full {
                tracing::warn!(sink = self.0.host, "facts are dropped: the audit sink has not accepted earlier ones");
            }
        }
    }

    /// Until what waits is sent, or `grace` is over.
    pub(super) async fn end(&self, grace: Duration) {
        self.0.closing.cancel();
        let sender = self.0.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut sender) = sender else { return };
        if tokio::time::timeout(grace, &mut sender).await.is_err() {
            sender.abort();
            let left = u64::try_from(self.0.counters.queue(Outlet::sink).get()).unwrap_or_default();
            self.0.counters.dropped(Outlet::sink, Why::shutdown, left);
            tracing::warn!(left, sink = self.0.host, "the audit sink did not accept everything before shutdown");
        }
    }
}

fn client(args: &AuditArgs) -> Result<Client, AuditError> {
    // The first caller has chosen the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(args.audit_sink_timeout.get())
        .user_agent(concat!("certcourier/", env!("CARGO_PKG_VERSION")));
    let Some(path) = &args.audit_sink_ca else { return builder.build().map_err(AuditError::Client) };
    let flag = "--audit-sink-ca";
    let pem = fs::read(path).map_err(|source| AuditError::Read { flag, path: path.clone(), source })?;
    let wrong = || AuditError::File { flag, path: path.clone(), problem: "write certificates in PEM".to_owned() };
    let roots = Certificate::from_pem_bundle(&pem).ok().filter(|roots| !roots.is_empty()).ok_or_else(wrong)?;
    builder.tls_certs_only(roots).build().map_err(AuditError::Client)
}

/// The task that sends.
struct Sender {
    client: Client,
    url: SinkUrl,
    headers: Option<Headers>,
    longest_pause: Duration,
    up: Arc<AtomicBool>,
    counters: Counters,
}

/// What became of an attempt.
enum Attempt {
    Taken,
    /// There is something wrong with this very fact.
    Refused(StatusCode),
    /// The sink is in trouble, or not to be reached.
    Failed(String),
}

impl Sender {
    async fn run(mut self, mut items: mpsc::Receiver<Item>, closing: CancellationToken) {
        loop {
            let next = tokio::select! {
                biased;
                item = items.recv() => item,
                // Only when nothing waits any more.
                () = closing.cancelled() => None,
            };
            let Some(Item { line, taken }) = next else { return };
            // No one waits any more: what it announces has not happened.
            if taken.as_ref().is_none_or(|taken| !taken.is_closed()) {
                let arrived = self.send(&line).await;
                if let Some(taken) = taken.filter(|_| arrived) {
                    let _ = taken.send(());
                }
            }
            self.counters.queue(Outlet::sink).dec();
        }
    }

    /// Until the sink has taken or refused it; whether it took it.
    async fn send(&mut self, line: &str) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.attempt(line).await {
                Attempt::Taken => {
                    if !self.up.swap(true, Ordering::AcqRel) {
                        tracing::info!(sink = self.url.host(), "the audit sink accepts facts");
                    }
                    return true;
                }
                Attempt::Refused(status) => {
                    self.counters.dropped(Outlet::sink, Why::refused, 1);
                    let status = status.as_u16();
                    tracing::error!(sink = self.url.host(), status, "the audit sink refuses a fact, which is dropped");
                    return false;
                }
                Attempt::Failed(cause) => {
                    self.counters.sink_failed();
                    if self.up.swap(false, Ordering::AcqRel) || pause == FIRST_PAUSE {
                        tracing::warn!(sink = self.url.host(), cause, "the audit sink does not accept facts");
                    }
                    tokio::time::sleep(pause.min(self.longest_pause)).await;
                    pause = pause.saturating_mul(2).min(self.longest_pause);
                }
            }
        }
    }

    async fn attempt(&mut self, line: &str) -> Attempt {
        let mut request = self.client.post(self.url.expose()).header(header::CONTENT_TYPE, CONTENT_TYPE);
        if let Some(headers) = &mut self.headers {
            request = request.headers(headers.current().clone());
        }
        let answer = match request.body(line.to_owned()).send().await {
            Ok(answer) => answer,
            // Without the URL, which may hold a secret.
            Err(error) => return Attempt::Failed(in_one_line(&error.without_url())),
        };
        match answer.status() {
            status if status.is_success() => Attempt::Taken,
            status @ (StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY) => Attempt::Refused(status),
            status => Attempt::Failed(format!("it answered {}", status.as_u16())),
        }
    }
}
