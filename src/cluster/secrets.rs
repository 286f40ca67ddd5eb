//! Single Secrets, by name: read, created, deleted. Never listed, never watched.
//!
//! Not through `Api<Secret>`: the kube client logs the text of an answer that it cannot read, and a Secret's text must
//! never be in a log. What is read here is wrapped at once, and only the keys asked for are kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64ct::{Base64, Encoding as _};
use hyper::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Client, Error, client::Body, core::Status};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::{ApiError, During as _};
use crate::redact::Redacted;

/// The bytes under one key of a Secret.
pub type SecretBytes = Redacted<Zeroizing<Vec<u8>>>;

/// A Secret as it was read: who it is, and the values of the keys asked for.
#[derive(Clone)]
pub struct SecretObject {
    /// Name, labels, owner and so on.
    pub metadata: ObjectMeta,
    /// Its type, such as `kubernetes.io/tls`.
    pub type_name: String,
    /// The keys of its content, also those that were not asked for.
    pub keys: BTreeSet<String>,
    values: BTreeMap<String, SecretBytes>,
}

impl SecretObject {
    /// The bytes under a key, if the key was asked for and is there.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&SecretBytes> {
        self.values.get(key)
    }

    #[cfg(test)]
    pub(crate) fn of(type_name: &str, values: &[(&str, &[u8])]) -> Self {
        let value = |bytes: &[u8]| Redacted::new(Zeroizing::new(bytes.to_vec()));
        Self {
            metadata: ObjectMeta::default(),
            type_name: type_name.to_owned(),
            keys: values.iter().map(|(key, _)| (*key).to_owned()).collect(),
            values: values.iter().map(|(key, bytes)| ((*key).to_owned(), value(bytes))).collect(),
        }
    }

    /// Takes the bytes under a key out.
    pub fn take(&mut self, key: &str) -> Option<SecretBytes> {
        self.values.remove(key)
    }
}

impl fmt::Debug for SecretObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretObject")
            .field("name", &self.metadata.name)
            .field("type", &self.type_name)
            .finish_non_exhaustive()
    }
}

/// A Secret to be made: type Opaque, immutable content.
#[derive(Clone)]
pub struct NewSecret {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it belongs to.
    pub owner: OwnerReference,
    /// Its content: key and text.
    pub values: Vec<(&'static str, Redacted<Zeroizing<String>>)>,
}

/// Reads a Secret; of its content only the given keys are kept. `None` when there is no such Secret.
///
/// # Errors
/// [`ApiError`] when the API server refuses or does not answer.
pub async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
    keys: &[&str],
) -> Result<Option<SecretObject>, ApiError> {
    let object = || format!("Secret {namespace}/{name}");
    let request = request(Method::GET, &path(namespace, Some(name)), Vec::new()).during("read", object)?;
    let (head, body) = send(client, request).await.during("read", object)?;
    match status_of(&head, &body) {
        Ok(()) => parse(&body, keys).map(Some).during("read", object),
        Err(Error::Api(status)) if status.code == StatusCode::NOT_FOUND => Ok(None),
        Err(error) => Err(error).during("read", object),
    }
}

/// A Secret that was created.
pub struct Created {
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Whether its content is what was sent: a mutating admission policy or webhook may change it during admission.
    pub as_sent: bool,
}

/// Creates a Secret.
///
/// # Errors
/// [`ApiError`]; a conflict means that there is one of that name.
pub async fn create(client: &Client, namespace: &str, secret: &NewSecret) -> Result<Created, ApiError> {
    let object = || format!("Secret {namespace}/{}", secret.name);
    let result = async {
        let body = Zeroizing::new(serde_json::to_vec(&Written::from(secret)).map_err(Error::SerdeError)?);
        let request = request(Method::POST, &path(namespace, None), body.to_vec())?;
        let (head, body) = send(client, request).await?;
        status_of(&head, &body)?;
        let keys: Vec<&str> = secret.values.iter().map(|(key, _)| *key).collect();
        let stored = parse(&body, &keys)?;
        let as_sent = stored.keys.len() == keys.len()
            && secret.values.iter().all(|(key, sent)| {
                stored.value(key).is_some_and(|value| value.expose().as_slice() == sent.expose().as_bytes())
            });
        Ok(Created { metadata: stored.metadata, as_sent })
    };
    result.await.during("create", object)
}

/// Writes these values, and no others, over the very version of a Secret that was read; it keeps its type and metadata.
///
/// # Errors
/// [`ApiError`]; a conflict means that it has changed since.
pub async fn replace(
    client: &Client,
    namespace: &str,
    read: &SecretObject,
    values: Vec<(&'static str, Redacted<Zeroizing<String>>)>,
) -> Result<(), ApiError> {
    let name = read.metadata.name.as_deref().unwrap_or_default();
    let object = || format!("Secret {namespace}/{name}");
    let written = Written {
        api_version: "v1",
        kind: "Secret",
        metadata: ObjectMeta { managed_fields: None, ..read.metadata.clone() },
        type_name: &read.type_name,
        immutable: false,
        string_data: values.iter().map(|(key, value)| (*key, value.expose().as_str())).collect(),
    };
    let result = async {
        let body = Zeroizing::new(serde_json::to_vec(&written).map_err(Error::SerdeError)?);
        let request = request(Method::PUT, &path(namespace, Some(name)), body.to_vec())?;
        let (head, body) = send(client, request).await?;
        status_of(&head, &body)
    };
    result.await.during("write", object)
}

/// Deletes a Secret if it is still the one with this uid; whether it was there.
///
/// # Errors
/// [`ApiError`]; a conflict means that another one has taken its place.
pub async fn delete(client: &Client, namespace: &str, name: &str, uid: &str) -> Result<bool, ApiError> {
    let object = || format!("Secret {namespace}/{name}");
    let result = async {
        let options = serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}});
        let body = serde_json::to_vec(&options).map_err(Error::SerdeError)?;
        let (head, body) = send(client, request(Method::DELETE, &path(namespace, Some(name)), body)?).await?;
        match status_of(&head, &body) {
            Ok(()) => Ok(true),
            Err(Error::Api(status)) if status.code == StatusCode::NOT_FOUND => Ok(false),
            Err(error) => Err(error),
        }
    };
    result.await.during("delete", object)
}

/// A Secret in JSON, as far as it is needed; values stay base64 until one is asked for.
#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default, rename = "type")]
    type_name: String,
    #[serde(default)]
    data: Option<BTreeMap<String, Text>>,
}

/// The base64 of one value, erased when it is dropped.
struct Text(Zeroizing<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
    #[serde(rename = "type")]
    type_name: &'a str,
    immutable: bool,
    string_data: BTreeMap<&'static str, &'a str>,
}

impl<'a> From<&'a NewSecret> for Written<'a> {
    fn from(secret: &'a NewSecret) -> Self {
        Self {
            api_version: "v1",
            kind: "Secret",
            metadata: ObjectMeta {
                name: Some(secret.name.clone()),
                labels: Some(secret.labels.clone()),
                owner_references: Some(vec![secret.owner.clone()]),
                ..ObjectMeta::default()
            },
            type_name: "Opaque",
            immutable: true,
            string_data: secret.values.iter().map(|(key, value)| (*key, value.expose().as_str())).collect(),
        }
    }
}

fn path(namespace: &str, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("/api/v1/namespaces/{namespace}/secrets/{name}"),
        None => format!("/api/v1/namespaces/{namespace}/secrets"),
    }
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Result<Request<Body>, Error> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(Error::HttpError)
}

async fn send(client: &Client, request: Request<Body>) -> Result<(Response<()>, Zeroizing<Vec<u8>>), Error> {
    let (head, body) = client.send(request).await?.into_parts();
    let bytes = Zeroizing::new(body.collect_bytes().await?.to_vec());
    Ok((Response::from_parts(head, ()), bytes))
}

fn status_of(head: &Response<()>, body: &[u8]) -> Result<(), Error> {
    let code = head.status();
    if code.is_success() {
        return Ok(());
    }
    let unreadable = || Status { code: code.as_u16(), message: code.to_string(), ..Status::default() };
    // The code of the answer counts: a proxy in between may send a body of its own.
    let status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| unreadable());
    Err(Error::Api(Box::new(Status { code: code.as_u16(), ..status })))
}

/// The error of a Secret that cannot be read says where, and nothing of what is in it.
fn parse(body: &[u8], keys: &[&str]) -> Result<SecretObject, Error> {
    let unreadable = |what: &str| Error::Service(format!("the answer is not a readable Secret: {what}").into());
    let mut read: Read = serde_json::from_slice(body)
        .map_err(|error| unreadable(&format!("line {}, column {}", error.line(), error.column())))?;
    let (mut keys_there, mut values) = (BTreeSet::new(), BTreeMap::new());
    for (key, Text(text)) in read.data.take().unwrap_or_default() {
        keys_there.insert(key.clone());
        if keys.contains(&key.as_str()) {
            let bytes = Base64::decode_vec(&text).map_err(|_| unreadable("a value is not base64"))?;
            values.insert(key, Redacted::new(Zeroizing::new(bytes)));
        }
    }
    Ok(SecretObject { metadata: read.metadata, type_name: read.type_name, keys: keys_there, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: &str = r#"{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/tls",
        "metadata":{"name":"api-tls","uid":"u1"},"data":{"tls.crt":"Y2VydA==","tls.key":"Y2FuYXJ5","other":"b3RoZXI="}}"#;

    #[test]
    fn only_the_keys_asked_for_are_kept_and_none_is_shown() {
        let secret = parse(TLS.as_bytes(), &["tls.crt", "ca.crt"]).unwrap();
        assert_eq!(secret.type_name, "kubernetes.io/tls");
        assert_eq!(secret.value("tls.crt").unwrap().expose().as_slice(), b"cert");
        assert!(secret.value("tls.key").is_none() && secret.value("ca.crt").is_none());
        let shown = format!("{secret:?}");
        assert!(!shown.contains("cert") && !shown.contains("Y2Vyd"), "{shown}");
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_repeated_in_the_error() {
        for body in [TLS.replace("Y2FuYXJ5", "Y2FuYXJ5!"), TLS.replace("\"tls.key\":", "\"tls.key\" "), "canary".into()]
        {
            let Err(error) = parse(body.as_bytes(), &["tls.key"]) else { panic!("{body} was read") };
            let text = format!("{error} {error:?}");
            assert!(text.contains("not a readable Secret"), "{text}");
            assert!(!text.contains("Y2FuYXJ5") && !text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn a_refusal_keeps_the_code_of_the_answer() {
        let head = |code: u16| Response::builder().status(code).body(()).unwrap();
        let Err(Error::Api(status)) =
            status_of(&head(403), br#"{"code":404,"message":"no","reason":"x","status":"Failure"}"#)
        else {
            panic!("403 is a refusal")
        };
        assert_eq!((status.code, status.message.as_str()), (403, "no"));
        let Err(Error::Api(status)) = status_of(&head(502), b"<html>") else { panic!("502 is a refusal") };
        assert_eq!((status.code, status.message.as_str()), (502, "502 Bad Gateway"));
        assert!(status_of(&head(201), b"{}").is_ok());
    }
}
