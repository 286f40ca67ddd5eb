//! What people and programs do over HTTP with their own bearer token. Pure.

use jiff::Timestamp;

use super::{
    fact::{Data, Fact, about, cut, moment, subject, subject_of, within_the_minute},
    kind::Kind,
};
use crate::api::{Certificate, Delivery, DownloadRequest, Format};

/// Who calls, as the API server says, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// User name.
    pub actor: &'a str,
    /// Where the call comes from.
    pub address: &'a str,
    /// Id of the HTTP request.
    pub request_id: &'a str,
}

impl Call<'_> {
    fn add_to(&self, data: Data) -> Data {
        Data {
            actor: Some(self.actor.to_owned()),
            address: Some(self.address.to_owned()),
            request_id: Some(self.request_id.to_owned()),
            ..data
        }
    }
}

/// What a call does or tries. What follows from it is told by the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Action {
    Create,
    Claim,
    Export,
    Approve,
    Deny,
    Revoke,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Claim => "claim",
            Self::Export => "export",
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Revoke => "revoke",
        }
    }
}

/// Someone did something to a request.
#[must_use]
pub fn called(call: Call<'_>, action: Action, request: &DownloadRequest, reason: Option<&str>, now: Timestamp) -> Fact {
    let data = Data { action: Some(action.name()), reason: reason.map(cut), ..about(request) };
    let subject = subject_of(request);
    Fact { kind: Kind::ApiCalled, id: None, time: now, subject, data: call.add_to(data).into() }
}

/// A token was claimed.
#[must_use]
pub fn minted(call: Call<'_>, request: &DownloadRequest, now: Timestamp) -> Fact {
    let token = request.token();
    let generation = token.map_or(0, |token| token.generation);
    let data = Data {
        generation: Some(generation),
        delivery: Some(Delivery::Claim.name()),
        expires_at: token.and_then(|token| token.expires_at.as_ref()).map(|time| moment(time.0)),
        ..about(request)
    };
    Fact {
        kind: Kind::TokenMinted,
        id: Some(format!("{}/token/{generation}", request.uid_text())),
        time: token.and_then(|token| token.issued_at.as_ref()).map_or(now, |time| time.0),
        subject: subject_of(request),
        data: call.add_to(data).into(),
    }
}

/// What was tried and refused, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What.
    pub action: Action,
    /// Namespace.
    pub namespace: &'a str,
    /// Name of the Certificate.
    pub certificate: Option<&'a str>,
    /// The environment.
    pub environment: Option<&'a str>,
    /// The format.
    pub format: Option<Format>,
    /// Name of the request.
    pub request: Option<&'a str>,
}

/// A file, a token, a vote or a revocation was refused.
#[must_use]
pub fn refused(call: Call<'_>, asked: Asked<'_>, (code, message): (&'static str, &str), now: Timestamp) -> Fact {
    let Asked { action, namespace, certificate, environment, format, request } = asked;
    let format = format.map(Format::name);
    let [about, file, of] = [certificate, format, request].map(Option::unwrap_or_default);
    let parts = [call.actor, call.address, action.name(), namespace, about, file, of, code];
    let data = Data {
        namespace: Some(namespace.to_owned()),
        certificate: certificate.map(str::to_owned),
        environment: environment.map(str::to_owned),
        format,
        request: request.map(str::to_owned),
        action: Some(action.name()),
        code: Some(code.to_owned()),
        message: Some(cut(message)),
        ..Data::default()
    };
    let subject = match request {
        Some(request) => subject(Some(namespace), "downloadrequests", Some(request)),
        None => subject(Some(namespace), "certificates", certificate),
    };
    let id = Some(within_the_minute(&parts, now));
    Fact { kind: Kind::RequestRefused, id, time: now, subject, data: call.add_to(data).into() }
}

/// The public parts of every environment left through the export.
#[must_use]
pub fn exported(
    call: Call<'_>,
    certificate: &Certificate,
    fingerprints: Vec<String>,
    (artifact_sha256, bytes): (String, i64),
    now: Timestamp,
) -> Fact {
    let metadata = &certificate.metadata;
    let data = Data {
        namespace: metadata.namespace.clone(),
        certificate: metadata.name.clone(),
        format: Some(Format::DerZip.name()),
        fingerprints,
        artifact_sha256: Some(artifact_sha256),
        bytes: Some(bytes),
        ..Data::default()
    };
    let subject = subject(metadata.namespace.as_deref(), "certificates", metadata.name.as_deref());
    Fact { kind: Kind::CertExported, id: None, time: now, subject, data: call.add_to(data).into() }
}
