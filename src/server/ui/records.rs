//! What was delivered, to whom, with which approvals: for auditors. Newest first, with filters, as a page, as CSV and as
//! JSON.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    page::{self, Frame},
    receipt::outcome,
    visible::{self, Reach},
    visitor::Visitor,
};
use crate::server::http::json::Json;
use crate::{
    api::{DownloadReceipt, Format, Outcome, csv},
    server::{
        api::{
            pagination,
            receipts::{
                ReceiptView,
                list::ReceiptQuery,
                newest::{Key, Newest, newest},
            },
        },
        http::{
            error::{ErrorCode, ServerError},
            path::ObjectPath,
            refusal,
        },
        state::ServerState,
    },
};

/// Lines of a page.
const LINES: usize = 50;
/// Receipts of one file.
const MOST: usize = 10_000;

/// What is asked for. A form sends each field, also an empty one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Asked {
    project: String,
    certificate: String,
    requester: String,
    format: String,
    outcome: String,
    since: String,
    until: String,
    sha256: String,
    /// Where the page begins.
    #[serde(skip_serializing_if = "String::is_empty")]
    after: String,
}

#[derive(Template)]
#[template(path = "records.html")]
struct Records {
    frame: Frame,
    asked: Asked,
    filtered: bool,
    /// To choose one of, where someone may not see all of them at once.
    projects: Option<Vec<String>>,
    lines: Vec<Line>,
    /// The older ones.
    older: Option<String>,
    truncated: bool,
    /// The filters, for the files.
    query: String,
    formats: Vec<&'static str>,
    outcomes: Vec<&'static str>,
}

/// A receipt.
struct Line {
    id: String,
    project: String,
    certificate: String,
    environment: String,
    format: &'static str,
    requester: String,
    approvers: String,
    consumed: String,
    outcome: &'static str,
    tone: &'static str,
    sha256: String,
}

/// A file of receipts.
#[derive(Serialize)]
struct Exported {
    items: Vec<ReceiptView>,
    /// Whether there are more than one file holds.
    truncated: bool,
}

/// `GET /ui/records`.
///
/// # Errors
/// What the API server refuses; a filter that cannot be read.
pub async fn show(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let mut asked = pagination::query(asked)?;
    let (found, projects) = match asked.project(&state, &visitor).await? {
        Where::Choose(projects) => (None, Some(projects)),
        Where::In(project) => {
            asked.project = project.clone().unwrap_or_default();
            let after = Some(asked.after.as_str()).filter(|after| !after.is_empty());
            let after = after.map(pagination::cursor::<Key>).transpose()?;
            (Some(asked.find(&visitor, project.as_deref(), after.as_ref(), LINES, Line::of).await?), None)
        }
    };
    let found = found.unwrap_or(Newest { items: Vec::new(), next: None, truncated: false });
    let older = found.next.as_ref().map(|key| Asked { after: pagination::encoded(key), ..asked.clone() }.query());
    Ok(page::show(&Records {
        frame: visitor.frame("records"),
        filtered: asked.is_filtered(),
        projects,
        lines: found.items,
        older,
        truncated: found.truncated,
        query: Asked { after: String::new(), ..asked.clone() }.query(),
        formats: Format::ALL.map(Format::name).to_vec(),
        outcomes: Outcome::ALL.map(Outcome::name).to_vec(),
        asked,
    }))
}

/// `GET /ui/records/receipts.csv`.
///
/// # Errors
/// What the API server refuses; a filter that cannot be read.
pub async fn as_csv(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let line = |receipt: &DownloadReceipt| csv::line(receipt.record());
    let found = export(&state, &visitor, asked, line).await?;
    let mut text = csv::line(DownloadReceipt::COLUMNS);
    text.extend(found.items);
    Ok(file(text.into_response(), "text/csv; charset=utf-8; header=present", "receipts.csv"))
}

/// `GET /ui/records/receipts.json`.
///
/// # Errors
/// What the API server refuses; a filter that cannot be read.
pub async fn as_json(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let Newest { items, truncated, next } = export(&state, &visitor, asked, ReceiptView::of).await?;
    let exported = Exported { items, truncated: truncated || next.is_some() };
    Ok(file(Json(exported).into_response(), "application/json", "receipts.json"))
}

async fn export<View>(
    state: &ServerState,
    visitor: &Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
    view: impl Fn(&DownloadReceipt) -> View,
) -> Result<Newest<View>, ServerError> {
    let asked = pagination::query(asked)?;
    match asked.project(state, visitor).await? {
        Where::In(project) => asked.find(visitor, project.as_deref(), None, MOST, view).await,
        Where::Choose(projects) => {
            let words = format!("choose one project, because you cannot list receipts of all: {}", projects.join(", "));
            Err(ServerError::new(ErrorCode::BadRequest, words))
        }
    }
}

fn file(mut answer: Response, content_type: &'static str, name: &'static str) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Ok(disposition) = HeaderValue::from_str(&certcourier_bundle::content_disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    answer
}

/// Where receipts are looked for.
enum Where {
    /// In one project; None: in all.
    In(Option<String>),
    /// There are several, and not all may be listed at once.
    Choose(Vec<String>),
}

impl Asked {
    /// In which project: the one that is named, all, or the only one.
    async fn project(&self, state: &ServerState, visitor: &Visitor) -> Result<Where, ServerError> {
        if !self.project.is_empty() {
            return Ok(Where::In(Some(ObjectPath::of_project(&self.project)?.project)));
        }
        let reach = visible::reach(state, &visitor.caller.client, "downloadreceipts").await;
        Ok(match reach.map_err(refusal::of_review)? {
            Reach::Everywhere => Where::In(None),
            Reach::In(mut projects) if projects.len() == 1 => Where::In(projects.pop()),
            Reach::In(projects) => Where::Choose(projects),
        })
    }

    async fn find<View>(
        &self,
        visitor: &Visitor,
        project: Option<&str>,
        after: Option<&Key>,
        most: usize,
        view: impl Fn(&DownloadReceipt) -> View,
    ) -> Result<Newest<View>, ServerError> {
        let query = self.receipts();
        Box::pin(newest(&visitor.caller.client, project, &query, after, most, view)).await
    }

    /// As the API asks for it.
    fn receipts(&self) -> ReceiptQuery {
        let some = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        ReceiptQuery {
            certificate: some(&self.certificate),
            requester: some(&self.requester),
            format: some(&self.format),
            outcome: some(&self.outcome),
            sha256: some(&self.sha256),
            since: some(&self.since).map(|since| moment(&since, false)),
            until: some(&self.until).map(|until| moment(&until, true)),
            ..ReceiptQuery::default()
        }
    }

    fn is_filtered(&self) -> bool {
        let texts =
            [&self.certificate, &self.requester, &self.format, &self.outcome, &self.since, &self.until, &self.sha256];
        texts.into_iter().any(|text| !text.is_empty())
    }

    fn query(&self) -> String {
        format!("?{}", serde_urlencoded::to_string(self).unwrap_or_default())
    }
}

/// A day, in UTC, as the moment at which it begins; or, of the last one, ends. Anything else stays as it is.
fn moment(text: &str, last: bool) -> String {
    let Ok(day) = text.parse::<Date>() else { return text.to_owned() };
    if text.len() > "2026-11-22".len() {
        return text.to_owned();
    }
    let day = if last { day.tomorrow().unwrap_or(day) } else { day };
    format!("{day}T00:00:00Z")
}

impl Line {
    fn of(receipt: &DownloadReceipt) -> Self {
        let view = ReceiptView::of(receipt);
        let (outcome, tone) = outcome(receipt.outcome());
        let approvers: Vec<String> = view.approvals.into_iter().map(|by| by.username).collect();
        Self {
            id: view.id,
            project: view.project,
            certificate: view.certificate,
            environment: view.environment.unwrap_or_else(|| "all".to_owned()),
            format: view.format,
            requester: view.requested_by,
            approvers: approvers.join(", "),
            consumed: view.consumed_at.0.to_string(),
            outcome,
            tone,
            sha256: view.artifact_sha256,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_taken_whole_and_a_moment_as_it_is() {
        for (text, last, taken) in [
            ("2026-11-22", false, "2026-11-22T00:00:00Z"),
            ("2026-11-22", true, "2026-11-23T00:00:00Z"),
            ("2026-12-31", true, "2027-01-01T00:00:00Z"),
            ("2026-11-22T18:00:00Z", true, "2026-11-22T18:00:00Z"),
            ("yesterday", true, "yesterday"),
        ] {
            assert_eq!(moment(text, last), taken);
        }
    }

    #[test]
    fn filters_are_kept_from_page_to_page_and_an_empty_one_is_none() {
        let asked = Asked { requester: "a&b".to_owned(), after: "x".to_owned(), ..Asked::default() };
        assert!(asked.query().contains("requester=a%26b") && asked.query().contains("after=x"), "{}", asked.query());
        assert!(asked.is_filtered() && !Asked { project: "payments".to_owned(), ..Asked::default() }.is_filtered());
        let query = asked.receipts();
        assert_eq!((query.requester.as_deref(), query.certificate), (Some("a&b"), None));
    }
}
