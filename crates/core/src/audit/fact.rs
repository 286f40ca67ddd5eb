//! What a line is made of. Pure.

use std::fmt::Write as _;

use jiff::{Timestamp, Unit};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::kind::Kind;
use crate::{
    api::{DownloadRequest, Requester},
    hex, text,
};

/// The longest text of people, or about them, that a line repeats.
const LONGEST_TEXT: usize = 2048;

/// Who tells: attribute `source`. Every program of a cluster has the same, because a fact may be told by either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source(Option<String>);

impl Source {
    /// The programs of the cluster of this name (`--cluster-name`).
    #[must_use]
    pub fn new(cluster: Option<&str>) -> Self {
        Self(cluster.map(str::to_owned))
    }

    /// A URI-reference: `/certcourier/<cluster>`.
    #[must_use]
    pub fn uri(&self) -> String {
        let Some(cluster) = &self.0 else { return "/certcourier".to_owned() };
        let mut uri = "/certcourier/".to_owned();
        for byte in cluster.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                uri.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
        uri
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// What.
    pub kind: Kind,
    /// The same whenever the same fact is told again, so that a sink can tell. `None`: it is told once, and gets a random
    /// one.
    pub id: Option<String>,
    /// When, API-server time.
    pub time: Timestamp,
    /// To which object: `namespace/resource/name`.
    pub subject: String,
    /// The rest.
    pub data: Box<Data>,
}

/// Everything that a fact may say besides; which type says what is in docs/audit.md. Never a secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each is a field of the record that docs/audit.md explains")]
pub struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requester: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals_required: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approvals_given: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approved_by: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fingerprints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'static str>,
}

/// `CloudEvents` 1.0, structured mode, JSON.
#[derive(Serialize)]
struct Line<'a> {
    specversion: &'static str,
    id: &'a str,
    source: String,
    r#type: &'static str,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: &'a Data,
}

impl Fact {
    /// The line, without its end. Without line breaks, and without a character that moves the reader's cursor.
    #[must_use]
    pub fn line(&self, id: &str, source: &Source) -> String {
        let line = Line {
            specversion: "1.0",
            id,
            source: source.uri(),
            r#type: self.kind.name(),
            subject: &self.subject,
            time: moment(self.time),
            datacontenttype: "application/json",
            data: &self.data,
        };
        // Strings and numbers always become JSON.
        text::escaped(serde_json::to_string(&line).unwrap_or_default())
    }
}

/// That a program begins to tell.
#[must_use]
pub fn started(program: &str, instance: &str, now: Timestamp) -> Fact {
    let data = Data {
        program: Some(program.to_owned()),
        instance: Some(instance.to_owned()),
        version: Some(env!("CARGO_PKG_VERSION")),
        ..Data::default()
    };
    Fact { kind: Kind::AuditStarted, id: None, time: now, subject: program.to_owned(), data: data.into() }
}

/// What every fact about a request says.
pub(super) fn about(request: &DownloadRequest) -> Data {
    let spec = &request.spec;
    Data {
        namespace: request.metadata.namespace.clone(),
        certificate: Some(spec.certificate_ref.name.clone()),
        environment: spec.environment.clone(),
        format: Some(spec.format.name()),
        request: request.metadata.name.clone(),
        request_uid: request.metadata.uid.clone(),
        requester: spec.requested_by.as_ref().map(name),
        ..Data::default()
    }
}

/// `namespace/resource/name`.
pub(super) fn subject(namespace: Option<&str>, resource: &str, name: Option<&str>) -> String {
    format!("{}/{resource}/{}", namespace.unwrap_or_default(), name.unwrap_or_default())
}

/// Subject of the facts about a request.
pub(super) fn subject_of(request: &DownloadRequest) -> String {
    let metadata = &request.metadata;
    subject(metadata.namespace.as_deref(), "downloadrequests", metadata.name.as_deref())
}

pub(super) fn name(who: &Requester) -> String {
    who.username.clone()
}

/// Text as a line repeats it.
pub(super) fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST_TEXT)].to_owned()
}

/// RFC 3339, to the millisecond where there is a part of a second.
pub(super) fn moment(time: Timestamp) -> String {
    time.round(Unit::Millisecond).unwrap_or(time).to_string()
}

/// An id for what strangers can cause: the same within a minute.
pub(super) fn within_the_minute(parts: &[&str], now: Timestamp) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.update(now.as_second().div_euclid(60).to_be_bytes());
    hex::encode(&hash.finalize()[..16])
}
