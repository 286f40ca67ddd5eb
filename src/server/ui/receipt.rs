//! A receipt: the record of one delivery.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Response};

use super::{
    certificate::paired,
    page::{self, Frame},
    visitor::Visitor,
    words::about,
};
use crate::server::http::json::Json;
use crate::{
    api::{Format, Outcome},
    server::{
        api::receipts::{ReceiptView, get::get_receipt},
        http::{error::ServerError, path::ObjectPath},
        state::ServerState,
    },
};

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage {
    frame: Frame,
    receipt: ReceiptView,
    title: &'static str,
    key: bool,
    outcome: &'static str,
    tone: &'static str,
    environment: String,
    fingerprints: Vec<String>,
    consumed: String,
    issued: Option<String>,
    expired: Option<String>,
    finished: Option<String>,
    retained: String,
    bytes: String,
}

/// `GET /ui/projects/{project}/receipts/{receipt}`.
///
/// # Errors
/// What the API server refuses.
pub async fn show(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
) -> Result<Response, ServerError> {
    let Json(receipt) = get_receipt(State(state), visitor.caller.clone(), place).await?;
    let format: Option<Format> = receipt.format.parse().ok();
    let (outcome, tone) =
        outcome(Outcome::ALL.into_iter().find(|known| Some(known.name()) == receipt.outcome.as_deref()));
    let time = |time: &Option<crate::api::DateTime>| time.as_ref().map(|time| time.0.to_string());
    Ok(page::show(&ReceiptPage {
        frame: visitor.frame("records"),
        title: format.map_or(receipt.format, |format| about(format).title),
        key: format.is_some_and(Format::holds_key),
        outcome,
        tone,
        environment: receipt.environment.clone().unwrap_or_else(|| "all environments".to_owned()),
        fingerprints: receipt.fingerprints.iter().map(|hex| paired(hex)).collect(),
        consumed: receipt.consumed_at.0.to_string(),
        issued: time(&receipt.token_issued_at),
        expired: time(&receipt.token_expires_at),
        finished: time(&receipt.finished_at),
        retained: receipt.retain_until.0.to_string(),
        bytes: match receipt.bytes_sent {
            Some(sent) if sent != receipt.artifact_bytes => format!("{sent} of {}", receipt.artifact_bytes),
            _ => receipt.artifact_bytes.to_string(),
        },
        receipt,
    }))
}

/// How a delivery ended, in words, and how it looks.
pub const fn outcome(outcome: Option<Outcome>) -> (&'static str, &'static str) {
    match outcome {
        Some(Outcome::Delivered) => ("Delivered", "ok"),
        Some(Outcome::Aborted) => ("Broken off by the client", "bad"),
        Some(Outcome::Unknown) => ("Not known: the server stopped", "warn"),
        None => ("Under way", "info"),
    }
}
