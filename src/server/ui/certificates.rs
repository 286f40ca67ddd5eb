//! The certificates of a project: one line for each environment.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    page::{self, Frame},
    visitor::Visitor,
    words::{Left, counted},
};
use crate::server::{
    api::{
        certificates::{
            CertificateView, EnvironmentView,
            list::{CertificateQuery, list_certificates},
        },
        pagination::{self, Page},
    },
    auth::caller::Caller,
    http::{error::ServerError, json::Json, path::ObjectPath},
    state::ServerState,
};

/// Certificates of a page in the order of names, and lines of a page in any other.
const LINES: usize = 100;
/// Certificates that are read to be sorted or filtered.
const MOST: usize = 2000;

/// What the page is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// A part of a name, subject or issuer.
    q: String,
    /// `name`, `expiry`, `subject` or `issuer`.
    sort: String,
    /// `soon`, `expired` or `problem`; else all.
    only: String,
    /// Which page of those that are sorted or filtered.
    page: usize,
    /// Where the next page begins in the order of names.
    next: String,
}

#[derive(Template)]
#[template(path = "certificates.html")]
struct Certificates {
    frame: Frame,
    project: String,
    lines: Vec<Line>,
    asked: Asked,
    /// What is shown, in words.
    shown: String,
    earlier: Option<String>,
    later: Option<String>,
    /// Whether there is no certificate at all.
    none_at_all: bool,
}

/// An environment of a certificate.
struct Line {
    certificate: String,
    environment: String,
    subject: String,
    issuer: String,
    left: Option<Left>,
    end: i64,
    key_matches: Option<bool>,
    problem: Option<String>,
}

/// `GET /ui/projects/{project}`.
///
/// # Errors
/// What the API server refuses.
pub async fn of_project(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    place: ObjectPath,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let asked = pagination::query(asked)?;
    let now = state.clients.clock().now();
    let in_order = asked.q.is_empty() && asked.only.is_empty() && matches!(asked.sort.as_str(), "" | "name");
    let page = if in_order {
        one_page(&state, &visitor.caller, &place, asked, now).await?
    } else {
        sorted(&state, &visitor.caller, &place, asked, now).await?
    };
    Ok(page::show(&Certificates { frame: visitor.frame("certificates"), project: place.project, ..page }))
}

impl Certificates {
    fn new(lines: Vec<Line>, asked: Asked) -> Self {
        Self {
            frame: Frame::default(),
            project: String::new(),
            shown: counted(i64::try_from(lines.len()).unwrap_or(i64::MAX), "environment"),
            lines,
            asked,
            earlier: None,
            later: None,
            none_at_all: false,
        }
    }
}

/// As the API server lists them, a page at a time.
async fn one_page(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    asked: Asked,
    now: Timestamp,
) -> Result<Certificates, ServerError> {
    let Page { items, next } = read(state, caller, place, LINES, Some(asked.next.clone())).await?;
    let none_at_all = items.is_empty() && asked.next.is_empty();
    let link = |next: String| format!("?{}", serde_urlencoded::to_string([("next", next)]).unwrap_or_default());
    let earlier = (!asked.next.is_empty()).then(|| "?".to_owned());
    let lines = items.iter().flat_map(|certificate| lines(certificate, now)).collect();
    Ok(Certificates { later: next.map(link), earlier, none_at_all, ..Certificates::new(lines, asked) })
}

/// Filtered and sorted, which needs all of them.
async fn sorted(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    asked: Asked,
    now: Timestamp,
) -> Result<Certificates, ServerError> {
    let (mut all, mut next, mut read_so_far) = (Vec::new(), None, 0);
    loop {
        let page = read(state, caller, place, 500, next).await?;
        read_so_far += page.items.len();
        all.extend(page.items.iter().flat_map(|certificate| lines(certificate, now)).filter(|line| asked.wants(line)));
        next = page.next;
        if next.is_none() || read_so_far >= MOST {
            break;
        }
    }
    match asked.sort.as_str() {
        "expiry" => all.sort_by_key(|line| line.end),
        "subject" => all.sort_by(|a, b| a.subject.cmp(&b.subject)),
        "issuer" => all.sort_by(|a, b| a.issuer.cmp(&b.issuer)),
        _ => {}
    }
    let (total, from) = (all.len(), asked.page.saturating_mul(LINES));
    let lines: Vec<Line> = all.into_iter().skip(from).take(LINES).collect();
    let to = from + lines.len();
    let mut shown = counted(i64::try_from(total).unwrap_or(i64::MAX), "environment");
    if total > lines.len() && !lines.is_empty() {
        shown = format!("{} to {to} of {shown}", from + 1);
    }
    if next.is_some() {
        shown = format!("{shown}; of the first {read_so_far} certificates alone");
    }
    let earlier = (asked.page > 0).then(|| asked.at(asked.page - 1));
    let later = (to < total).then(|| asked.at(asked.page + 1));
    Ok(Certificates { shown, earlier, later, none_at_all: read_so_far == 0, ..Certificates::new(lines, asked) })
}

async fn read(
    state: &Arc<ServerState>,
    caller: &Caller,
    place: &ObjectPath,
    limit: usize,
    next: Option<String>,
) -> Result<Page<CertificateView>, ServerError> {
    let query = CertificateQuery { limit: u32::try_from(limit).ok(), r#continue: next };
    let read = list_certificates(State(Arc::clone(state)), caller.clone(), place.clone(), Ok(Query(query)));
    let Json(page) = read.await?;
    Ok(page)
}

impl Asked {
    fn wants(&self, line: &Line) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let texts = [&line.certificate, &line.environment, &line.subject, &line.issuer];
        let found = wanted.is_empty() || texts.into_iter().any(|text| text.to_lowercase().contains(&wanted));
        let tone = line.left.as_ref().map_or("", |left| left.tone);
        let expired = line.left.as_ref().is_some_and(|left| left.text.starts_with("expired"));
        found
            && match self.only.as_str() {
                "soon" => tone != "ok" && !expired,
                "expired" => expired,
                "problem" => line.problem.is_some() || line.key_matches == Some(false),
                _ => true,
            }
    }

    fn at(&self, page: usize) -> String {
        let page = page.to_string();
        let pairs = [("q", self.q.as_str()), ("sort", &self.sort), ("only", &self.only), ("page", &page)];
        format!("?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }

    /// The same in another order.
    fn by(&self, sort: &str) -> String {
        let pairs = [("q", self.q.as_str()), ("sort", sort), ("only", &self.only)];
        format!("?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
    }

    fn is_by(&self, sort: &str) -> bool {
        self.sort == sort || (self.sort.is_empty() && sort == "name")
    }
}

fn lines(certificate: &CertificateView, now: Timestamp) -> impl Iterator<Item = Line> {
    certificate.environments.iter().map(move |environment| Line {
        certificate: certificate.name.clone(),
        environment: environment.name.clone(),
        subject: subject(environment),
        issuer: environment.issuer.clone().unwrap_or_default(),
        left: environment.not_after.map(|end| Left::until(end, now)),
        end: environment.not_after.map_or(i64::MAX, crate::api::ValidityTime::as_second),
        key_matches: environment.key_matches,
        problem: environment.message.clone(),
    })
}

/// The subject; for a certificate that has only alternative names the first of these.
pub fn subject(environment: &EnvironmentView) -> String {
    let subject = environment.subject.clone().unwrap_or_default();
    if !subject.is_empty() {
        return subject;
    }
    let more = environment.dns_names.len().saturating_sub(1);
    match environment.dns_names.first() {
        Some(name) if more > 0 => format!("{name} and {more} more"),
        Some(name) => name.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, days: i64, problem: Option<&str>) -> Line {
        let now = Timestamp::UNIX_EPOCH;
        let end = crate::api::ValidityTime::from_second(days * 24 * 3600);
        Line {
            certificate: name.to_owned(),
            environment: "production".to_owned(),
            subject: "CN=api.example.com".to_owned(),
            issuer: "CN=Example CA".to_owned(),
            left: Some(Left::until(end, now)),
            end: end.as_second(),
            key_matches: Some(true),
            problem: problem.map(str::to_owned),
        }
    }

    #[test]
    fn a_filter_finds_names_subjects_and_issuers_and_what_needs_attention() {
        let wants = |q: &str, only: &str, line: &Line| {
            Asked { q: q.to_owned(), only: only.to_owned(), ..Asked::default() }.wants(line)
        };
        let fine = line("api", 90, None);
        for q in ["", "AP", "example.com", "example ca", "prod"] {
            assert!(wants(q, "", &fine), "{q}");
        }
        assert!(!wants("web", "", &fine) && !wants("", "soon", &fine) && !wants("", "problem", &fine));
        assert!(wants("", "soon", &line("api", 10, None)) && !wants("", "expired", &line("api", 10, None)));
        assert!(wants("", "expired", &line("api", -1, None)) && !wants("", "soon", &line("api", -1, None)));
        assert!(wants("", "problem", &line("api", 90, Some("the Secret is not there"))));
    }

    #[test]
    fn links_keep_what_was_asked_for() {
        let asked = Asked { q: "a&b".to_owned(), only: "soon".to_owned(), page: 1, ..Asked::default() };
        assert_eq!(asked.at(2), "?q=a%26b&sort=&only=soon&page=2");
        assert_eq!(asked.by("expiry"), "?q=a%26b&sort=expiry&only=soon");
        assert!(asked.is_by("name") && !asked.is_by("expiry"));
    }
}
