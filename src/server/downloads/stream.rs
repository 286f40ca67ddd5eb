//! The file on its way: handed to the connection piece by piece, counted, limited in time, and its outcome recorded.
//!
//! Once a receipt exists, a [`Delivery`] exists; whatever becomes of it (taken whole, broken off, never begun), its end
//! writes the outcome.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes, HttpBody},
    response::{IntoResponse, Response},
};
use certcourier_bundle::{content_digest, content_disposition};
use http_body::{Frame, SizeHint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, info, warn};
use zeroize::Zeroizing;

use super::redeemer::Redeemer;
use crate::api::words::EventReason;
use crate::server::{
    connection::Paced,
    http::headers,
    state::{DeliveryPlace, ServerState},
};
use crate::{
    api::{Certificate, DownloadReceipt, DownloadReceiptStatus, Outcome},
    audit,
    cluster::{
        error::{ApiError, in_one_line},
        events::{EventType, Note},
        receipts,
        settle::{self, Again},
    },
};

/// Piece by piece, so that what counts as handed to the connection has nearly left.
const PIECE_BYTES: usize = 16 * 1024;

/// How often, and after which pauses, the outcome is written again when the API server does not answer. Together they
/// stay well below the 90 s after which the controller writes Unknown.
const OUTCOME_PAUSES_MS: [u64; 7] = [100, 200, 500, 1000, 2000, 5000, 10_000];

/// A file whose receipt is written.
pub struct Delivery {
    bytes: Bytes,
    file_name: String,
    content_type: &'static str,
    progress: Arc<Progress>,
}

/// How far a delivery has come, and what its end needs.
struct Progress {
    state: Arc<ServerState>,
    receipt: DownloadReceipt,
    certificate: Certificate,
    redeemer: Redeemer,
    total: usize,
    sent: AtomicUsize,
    settled: AtomicBool,
    /// Given back when it has ended, though a connection that is others' too may hold the file longer.
    place: Mutex<Option<DeliveryPlace>>,
    ended: CancellationToken,
    /// That of the HTTP request, so that each line about it carries its id.
    span: Span,
}

impl Delivery {
    /// Begins: from here the time runs.
    pub fn begin(
        state: Arc<ServerState>,
        receipt: DownloadReceipt,
        certificate: Certificate,
        file: certcourier_bundle::Artifact,
        redeemer: Redeemer,
        place: DeliveryPlace,
    ) -> Self {
        let total = file.bytes.len();
        let progress = Arc::new(Progress {
            state,
            receipt,
            certificate,
            redeemer,
            total,
            sent: AtomicUsize::new(0),
            settled: AtomicBool::new(false),
            place: Mutex::new(Some(place)),
            ended: CancellationToken::new(),
            span: Span::current(),
        });
        progress.state.tasks.spawn(limit_time(Arc::clone(&progress)).in_current_span());
        // Shared, never copied, and wiped with the last piece.
        let bytes = Bytes::from_owner(Wiped(file.bytes));
        Self { bytes, file_name: file.file_name, content_type: file.content_type, progress }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.progress.settle();
    }
}

struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The answer that carries the file.
pub fn respond(delivery: Delivery) -> Response {
    let headers = headers::of_file(
        delivery.content_type,
        delivery.bytes.len(),
        &content_disposition(&delivery.file_name),
        &content_digest(&delivery.bytes),
    );
    (Extension(Paced), headers, Body::new(delivery)).into_response()
}

impl HttpBody for Delivery {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        if self.progress.settled.load(Ordering::Acquire) {
            return Poll::Ready(Some(Err(Broken)));
        }
        let length = self.bytes.len().min(PIECE_BYTES);
        let piece = self.bytes.split_to(length);
        self.progress.sent.fetch_add(length, Ordering::AcqRel);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// The time for taking the file is over.
#[derive(Debug, thiserror::Error)]
#[error("the file was not read in time")]
pub struct Broken;

/// hyper does not ask for the next piece while the client takes none, so the time is kept outside of the body.
async fn limit_time(progress: Arc<Progress>) {
    let limits = &progress.state.deliveries;
    let over = async {
        tokio::select! {
            () = tokio::time::sleep(limits.stream_timeout.get()) => {}
            () = stalled(&progress.sent, limits.stall_timeout.get()) => {}
        }
    };
    tokio::select! {
        () = progress.ended.cancelled() => {}
        () = over => {
            progress.settle();
            if let Some(connection) = &progress.redeemer.connection {
                connection.give_up_answer();
            }
        }
    }
}

/// Until nothing was taken for so long.
async fn stalled(sent: &AtomicUsize, limit: Duration) {
    let mut seen = sent.load(Ordering::Acquire);
    loop {
        tokio::time::sleep(limit).await;
        let now = sent.load(Ordering::Acquire);
        if now == seen {
            return;
        }
        seen = now;
    }
}

impl Progress {
    /// Ends the delivery, once: what has been handed out by now is its outcome.
    fn settle(self: &Arc<Self>) {
        if self.settled.swap(true, Ordering::AcqRel) {
            return;
        }
        self.ended.cancel();
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
        let sent = self.sent.load(Ordering::Acquire);
        let outcome = if sent == self.total { Outcome::Delivered } else { Outcome::Aborted };
        let progress = Arc::clone(self);
        // A body can be dropped where no runtime is entered; the tracker's own handle knows ours.
        let recording = async move { progress.record(outcome, sent).await };
        self.state.tasks.spawn_on(recording.instrument(self.span.clone()), &self.state.runtime);
    }

    /// Writes down how it ended: audit record, log, receipt, Event.
    async fn record(&self, outcome: Outcome, sent: usize) {
        let now = self.state.clients.clock().now();
        let bytes_sent = i64::try_from(sent).ok();
        let status = DownloadReceiptStatus { outcome: Some(outcome), bytes_sent, finished_at: Some(Time(now)) };
        self.state.metrics.downloaded(self.receipt.spec.format.name(), outcome.name());
        let request_id = Some(self.redeemer.request_id.as_str());
        self.state.audit.tell(&audit::delivery::downloaded(&self.receipt, outcome, bytes_sent, request_id, now));
        let (receipt, outcome_name, bytes) = (self.receipt.key().name, outcome.name(), self.total);
        info!(receipt, outcome = outcome_name, bytes_sent, bytes, "the delivery of {receipt} ended: {outcome_name}");
        if let Err(error) = self.write_outcome(status).await {
            let receipt = self.receipt.key().name;
            warn!(
                receipt,
                error = in_one_line(&error),
                "outcome could not be written; the controller will write Unknown"
            );
        }
        self.state.events.tell(&self.certificate, self.note(outcome, sent), now).await;
    }

    async fn write_outcome(&self, status: DownloadReceiptStatus) -> Result<(), ApiError> {
        let (reads, writes) = (self.state.clients.reads(), self.state.clients.writes());
        let namespace = self.receipt.metadata.namespace.as_deref().unwrap_or_default();
        let uid = &self.receipt.spec.request_ref.uid;
        let write = |receipt: DownloadReceipt| {
            let status = status.clone();
            async move { receipts::record_outcome(writes, &receipt, status).await }
        };
        let has_outcome =
            |found: &DownloadReceipt| found.status.as_ref().is_some_and(|status| status.outcome.is_some());
        let judge = |found: Option<DownloadReceipt>| match found {
            Some(found) if !has_outcome(&found) => Again::Onto(found),
            Some(_) | None => Again::Enough,
        };
        let pauses = OUTCOME_PAUSES_MS.into_iter().map(Duration::from_millis);
        settle::write_until(self.receipt.clone(), pauses, write, || receipts::of(reads, namespace, uid), judge).await
    }

    fn note(&self, outcome: Outcome, sent: usize) -> Note<'static> {
        let spec = &self.receipt.spec;
        let requester = spec.requested_by.as_ref().map_or("someone", |by| by.username.as_str());
        let of = spec.environment.as_ref().map(|name| format!(" of environment {name}")).unwrap_or_default();
        let (format, client, total) = (spec.format, self.redeemer.client, self.total);
        let receipt = self.receipt.key().name;
        if outcome == Outcome::Delivered {
            let text = format!("{format}{of} was downloaded for {requester} from {client}; receipt {receipt}");
            return Note {
                event_type: EventType::Normal,
                reason: EventReason::CertDownloaded,
                action: "Download",
                text,
            };
        }
        let text = format!(
            "download of {format}{of} for {requester} from {client} broke off after {sent} of {total} bytes; \
             receipt {receipt}"
        );
        Note { event_type: EventType::Warning, reason: EventReason::CertDownloadAborted, action: "Download", text }
    }
}
