//! A certificate: what each environment holds, its chain, what the policies say of it, and what happened to it.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    certificates::subject,
    choices::Choices,
    page::{self, Frame},
    visitor::Visitor,
    words::{Left, Rule, rules},
};
use crate::{
    api::ValidityTime,
    door::Door,
    server::{
        api::{
            certificates::{
                CertificateView, EnvironmentView,
                get::get_certificate,
                mint::offers::{self, Offers},
                timeline::{
                    Timeline, TimelineQuery,
                    entries::{Entry, Kind},
                    get_timeline,
                },
            },
            pagination,
        },
        http::{
            error::{ErrorCode, ServerError},
            json::Json,
            path::ObjectPath,
        },
        state::ServerState,
    },
};

/// Entries of the timeline on the page.
const MOMENTS: u32 = 50;

/// What the page is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Empty: the default one.
    pub environment: String,
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    frame: Frame,
    certificate: CertificateView,
    environment: Facts,
    chain: Vec<Link>,
    /// Certificates between leaf and root where their names are not to be had.
    intermediates: i32,
    problem: Option<String>,
    rules: Vec<Rule>,
    /// What the rules do not say.
    open: Option<&'static str>,
    moments: Vec<Moment>,
    more: bool,
    /// Whether receipts are among the sources.
    has_receipts: bool,
    /// Why nothing that happened is shown.
    hidden: Option<String>,
    choices: Choices,
}

/// What one environment holds.
struct Facts {
    view: EnvironmentView,
    subject: String,
    left: Option<Left>,
    fingerprint: String,
    since: String,
}

struct Link {
    subject: String,
    issuer: String,
    left: Left,
    fingerprint: String,
}

struct Moment {
    tone: &'static str,
    title: &'static str,
    entry: Entry,
}

/// `GET /ui/projects/{project}/certificates/{certificate}`.
///
/// # Errors
/// What the API server refuses.
pub async fn show(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let asked = pagination::query(asked)?;
    let Json(certificate) = get_certificate(State(Arc::clone(&state)), visitor.caller.clone(), place.clone()).await?;
    let environment = Some(asked.environment.clone()).filter(|name| !name.is_empty());
    let environment = environment.or_else(|| certificate.default_environment.clone());
    let found = certificate.environments.iter().find(|found| Some(&found.name) == environment.as_ref());
    let view = found.ok_or_else(|| unknown(&certificate, &asked.environment))?.clone();
    let query = TimelineQuery { limit: Some(MOMENTS), ..TimelineQuery::default() };
    let timeline = get_timeline(State(Arc::clone(&state)), visitor.caller.clone(), place.clone(), Ok(Query(query)));
    let offers = offers::offers(&state, &visitor.caller, &place, environment.as_deref());
    let (timeline, offers) = tokio::join!(Box::pin(timeline), Box::pin(offers));
    let (offers, now) = (offers?, state.clients.clock().now());
    let (timeline, hidden) = match timeline {
        Ok(Json(timeline)) => (Some(timeline), None),
        Err(refusal) if refusal.code() == ErrorCode::Forbidden => (None, Some(refusal.description_at(Door::Plugin))),
        Err(refusal) => return Err(refusal),
    };
    let frame = visitor.frame("certificates");
    let choices = Choices::new(&frame, &certificate, &view.name, &offers);
    Ok(page::show(&CertificatePage {
        intermediates: view.chain_length.unwrap_or_default(),
        environment: facts(view, now),
        chain: chain(&offers, now),
        problem: offers.problem.clone(),
        open: offers.open,
        rules: offers.effective.as_ref().map(rules).unwrap_or_default(),
        more: timeline.as_ref().is_some_and(|timeline| timeline.next.is_some()),
        has_receipts: timeline.as_ref().is_some_and(|timeline| timeline.sources.contains(&"receipts")),
        moments: timeline.map(moments).unwrap_or_default(),
        hidden,
        choices,
        certificate,
        frame,
    }))
}

/// The certificate has no such environment.
pub fn unknown(certificate: &CertificateView, asked: &str) -> ServerError {
    let names: Vec<&str> = certificate.environments.iter().map(|found| found.name.as_str()).collect();
    let words = format!("certificate {} has no environment `{asked}`; it has {}", certificate.name, names.join(", "));
    ServerError::new(ErrorCode::NotFound, words)
}

fn facts(view: EnvironmentView, now: Timestamp) -> Facts {
    Facts {
        subject: subject(&view),
        left: view.not_after.map(|end| Left::until(end, now)),
        fingerprint: paired(view.sha256_fingerprint.as_deref().unwrap_or_default()),
        since: view.not_before.map(|begin| begin.to_string()).unwrap_or_default(),
        view,
    }
}

fn chain(offers: &Offers, now: Timestamp) -> Vec<Link> {
    let link = |link: &offers::Link| Link {
        subject: link.subject.clone(),
        issuer: link.issuer.clone(),
        left: Left::until(ValidityTime::from_second(link.not_after), now),
        fingerprint: paired(&link.sha256_fingerprint),
    };
    offers.chain.iter().map(link).collect()
}

/// A fingerprint as people compare it: `AB:CD`.
pub fn paired(hex: &str) -> String {
    let pairs: Vec<String> =
        hex.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).to_ascii_uppercase()).collect();
    pairs.join(":")
}

fn moments(timeline: Timeline) -> Vec<Moment> {
    let moment = |entry: Entry| {
        let (title, tone) = match entry.kind {
            Kind::Requested => ("Requested", ""),
            Kind::Approved => ("Approved", "ok"),
            Kind::Minted => ("Link issued", ""),
            Kind::Downloaded => ("Downloaded", "ok"),
            Kind::Refused => ("Refused", "bad"),
            Kind::Expired => ("Expired", ""),
            Kind::Voided => ("Void", "bad"),
            Kind::Revoked => ("Revoked", "bad"),
        };
        Moment { tone, title, entry }
    };
    timeline.items.into_iter().map(moment).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_written_as_people_compare_it() {
        assert_eq!(paired("ab12cd"), "AB:12:CD");
        assert_eq!(paired(""), "");
    }
}
