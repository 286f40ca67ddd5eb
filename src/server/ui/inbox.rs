//! What waits for whom, over all projects that one may see.

use std::{collections::BTreeSet, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt as _, core::DeserializeGuard};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    page::{self, Frame},
    standing::{self, Standing},
    visible::{self, Reach},
    visitor::Visitor,
    words::about,
};
use crate::{
    api::{DownloadRequest, Phase, names},
    cluster::access,
    hex,
    lifecycle::Tally,
    server::{
        api::{
            pagination::{self, Listing},
            requests::get::HINT,
        },
        auth::identity,
        http::{error::ServerError, path::ObjectPath, refusal},
        state::ServerState,
    },
};

/// Requests that are read for the page, and shown on it.
const MOST_READ: usize = 2000;
const MOST: usize = 200;
/// Read at a time.
const CHUNK: u32 = 500;

/// What the page is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// `you`: what waits for one's vote; `waiting`: all that waits; `yours`: what one asked for; `all`: what the filters
    /// say.
    pub of: String,
    /// In this project alone.
    pub project: String,
    phase: String,
    requester: String,
    certificate: String,
}

#[derive(Template)]
#[template(path = "inbox.html")]
struct Inbox {
    frame: Frame,
    asked: Asked,
    /// What is shown.
    of: &'static str,
    /// How many wait for one's vote.
    for_you: usize,
    items: Vec<Item>,
    /// Whether there are more than are shown.
    more: bool,
    /// Whether there may be projects that are not known.
    partial: bool,
    phases: Vec<(&'static str, &'static str)>,
    /// Where changes are told, and the state that is shown.
    events: Option<String>,
    seen: String,
}

/// A request.
struct Item {
    project: String,
    name: String,
    certificate: String,
    environment: String,
    what: &'static str,
    key: bool,
    requester: String,
    reason: String,
    created: String,
    state: &'static str,
    tone: &'static str,
    /// How many people must approve; 0: not known, or no one.
    required: i32,
    given: i32,
    by: String,
    before: Option<String>,
    contacts: String,
    waits: bool,
    standing: Standing,
}

/// `GET /ui/inbox`.
///
/// # Errors
/// What the API server refuses.
pub async fn show(
    State(state): State<Arc<ServerState>>,
    visitor: Visitor,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ServerError> {
    let asked = pagination::query(asked)?;
    let client = &visitor.caller.client;
    let place = place(&state, &visitor, &asked.project).await?;
    let who = identity::of_client(client.clone()).await.map_err(refusal::of_review)?.username;
    let of = asked.shown();
    let (mut found, more) = read(&state, client, &place.reach, asked.listing(of, &who)).await?;
    let seen = fingerprint(found.iter().map(|request| (request.uid(), request.resource_version())));
    if of == "you" || of == "waiting" {
        found.sort_by_key(DownloadRequest::created);
    } else {
        found.sort_by_key(|request| std::cmp::Reverse(request.created()));
    }
    let mut items = items(client, &found, &who).await?;
    let for_you = items.iter().filter(|item| item.standing.votes).count();
    if of == "you" {
        items.retain(|item| item.standing.votes);
    }
    let more = more || items.len() > MOST;
    items.truncate(MOST);
    let query = [("of", of), ("project", asked.project.as_str()), ("seen", seen.as_str())];
    let query = serde_urlencoded::to_string(query).unwrap_or_default();
    Ok(page::show(&Inbox {
        events: (of != "all").then(|| format!("{}events/inbox?{query}", visitor.frame.root)),
        frame: visitor.frame("approvals"),
        partial: place.partial,
        phases: Phase::ALL.map(|phase| (phase.name(), standing::phase(phase).0)).to_vec(),
        asked,
        of,
        for_you,
        items,
        more,
        seen,
    }))
}

/// Where is looked.
pub struct Place {
    /// In which projects.
    pub reach: Reach,
    /// Whether there may be others.
    pub partial: bool,
}

/// The projects of the page: the one that is named, or all that the visitor may see.
///
/// # Errors
/// What the API server refuses; a name that no project can have.
pub async fn place(state: &ServerState, visitor: &Visitor, project: &str) -> Result<Place, ServerError> {
    if !project.is_empty() {
        let named = ObjectPath::of_project(project)?;
        return Ok(Place { reach: Reach::In(vec![named.project]), partial: false });
    }
    let reach = visible::reach(state, &visitor.caller.client, "downloadrequests").await.map_err(refusal::of_review)?;
    Ok(Place { partial: reach != Reach::Everywhere, reach })
}

impl Asked {
    fn shown(&self) -> &'static str {
        match self.of.as_str() {
            "waiting" => "waiting",
            "yours" => "yours",
            "all" => "all",
            _ => "you",
        }
    }

    /// What the API server is asked for; also by the stream of the page, so that both see the same.
    fn listing(&self, of: &str, who: &str) -> Vec<(&'static str, String)> {
        let waits = Phase::AwaitingApproval.name().to_owned();
        match of {
            "yours" => vec![("spec.requestedBy.username", who.to_owned())],
            "all" => [
                ("status.phase", &self.phase),
                ("spec.requestedBy.username", &self.requester),
                ("spec.certificateRef.name", &self.certificate),
            ]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(field, value)| (field, value.trim().to_owned()))
            .collect(),
            _ => vec![("status.phase", waits)],
        }
    }

    /// The same for a stream.
    pub fn fields(&self, who: &str) -> Vec<(&'static str, String)> {
        self.listing(self.shown(), who)
    }
}

/// A state in a few characters: it is another one as soon as one of the objects is.
pub fn fingerprint(objects: impl Iterator<Item = (Option<String>, Option<String>)>) -> String {
    let mut lines: Vec<String> = objects
        .map(|(uid, version)| format!("{} {}\n", uid.unwrap_or_default(), version.unwrap_or_default()))
        .collect();
    lines.sort();
    hex::encode(&Sha256::digest(lines.concat().as_bytes())[..12])
}

async fn read(
    state: &ServerState,
    client: &Client,
    reach: &Reach,
    fields: Vec<(&'static str, String)>,
) -> Result<(Vec<DownloadRequest>, bool), ServerError> {
    let apis: Vec<Api<DeserializeGuard<DownloadRequest>>> = match reach {
        Reach::Everywhere => vec![Api::all(client.clone())],
        Reach::In(projects) => projects.iter().map(|project| Api::namespaced(client.clone(), project)).collect(),
    };
    let mut found = Vec::new();
    for api in apis {
        let mut next = None;
        loop {
            let listing = Listing::new(Some(CHUNK), next)?;
            let listing =
                fields.iter().fold(listing, |listing, (field, value)| listing.field(field, Some(value.as_str())));
            let page = pagination::list(&api, listing, pagination::created, HINT, std::convert::identity).await?;
            let shown = |request: &DownloadRequest| {
                let project = request.namespace().unwrap_or_default();
                state.serves(&project) && !names::is_guard_probe(request, state.guard.namespace())
            };
            found.extend(page.items.into_iter().filter(shown));
            next = page.next;
            if found.len() >= MOST_READ {
                return Ok((found, true));
            }
            if next.is_none() {
                break;
            }
        }
    }
    Ok((found, false))
}

async fn items(client: &Client, found: &[DownloadRequest], who: &str) -> Result<Vec<Item>, ServerError> {
    let place = |request: &DownloadRequest| {
        (request.namespace().unwrap_or_default(), request.spec.certificate_ref.name.clone())
    };
    let open: BTreeSet<(String, String)> =
        found.iter().filter(|request| standing::depends_on_right(request, who)).map(place).collect();
    let may = access::may_approve(client, &open).await.map_err(refusal::of_review)?;
    let item = |request: &DownloadRequest| {
        let may = may.get(&place(request)).copied().unwrap_or_default();
        Item::of(request, Standing::of(request, who, may))
    };
    Ok(found.iter().map(item).collect())
}

impl Item {
    fn of(request: &DownloadRequest, standing: Standing) -> Self {
        let (spec, phase) = (&request.spec, request.phase());
        let tally = Tally::shown(request).unwrap_or_default();
        let (state, tone) = standing::phase(phase);
        let review = request.review();
        Self {
            project: request.namespace().unwrap_or_default(),
            name: request.name_any(),
            certificate: spec.certificate_ref.name.clone(),
            environment: standing::environment(request),
            what: about(spec.format).title,
            key: spec.format.holds_key(),
            requester: request.requester().to_owned(),
            reason: spec.reason.clone().unwrap_or_default(),
            created: moment(request.created()),
            state,
            tone,
            required: tally.required,
            given: tally.given(),
            by: tally.by().join(", "),
            before: review.and_then(|review| review.expires_at.as_ref()).map(|time| time.0.to_string()),
            contacts: review.map(|review| review.contacts.join("; ")).unwrap_or_default(),
            waits: phase == Phase::AwaitingApproval,
            standing,
        }
    }
}

fn moment(time: Option<Timestamp>) -> String {
    time.map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_another_one_as_soon_as_one_object_is_and_knows_no_order() {
        let of = |objects: &[(&str, &str)]| {
            fingerprint(objects.iter().map(|(uid, version)| (Some((*uid).to_owned()), Some((*version).to_owned()))))
        };
        assert_eq!(of(&[("a", "1"), ("b", "2")]), of(&[("b", "2"), ("a", "1")]));
        for other in [&[("a", "1"), ("b", "3")][..], &[("a", "1")], &[], &[("a", "12"), ("b", "")]] {
            assert_ne!(of(&[("a", "1"), ("b", "2")]), of(other), "{other:?}");
        }
    }

    #[test]
    fn what_a_tab_shows_is_what_its_stream_watches() {
        let asked = |of: &str| Asked { of: of.to_owned(), phase: "Denied".to_owned(), ..Asked::default() };
        for of in ["", "you", "waiting", "nonsense"] {
            assert_eq!(asked(of).fields("bob"), [("status.phase", "AwaitingApproval".to_owned())], "{of}");
        }
        assert_eq!(asked("yours").fields("bob"), [("spec.requestedBy.username", "bob".to_owned())]);
        assert_eq!(asked("all").fields("bob"), [("status.phase", "Denied".to_owned())]);
    }
}
