//! An API server for tests of what is done when its answers are lost: it says what it was told to, one after the other.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use hyper::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

use crate::api::DownloadRequest;

/// What the API server says to one call.
#[derive(Clone)]
pub(super) enum Says {
    /// This object.
    Found(Box<DownloadRequest>),
    /// Its refusal, with this code.
    Refused(u16),
    /// Nothing, ever: the answer is lost.
    Nothing,
}

/// It answers with this object.
pub(super) fn found(object: DownloadRequest) -> Says {
    Says::Found(Box::new(object))
}

/// Calls that were made: the method, and the body where there was one.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<(Method, Value)>>>);

impl Calls {
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// The bodies of all writes.
    pub(super) fn written(&self) -> Vec<Value> {
        let calls = self.0.lock().unwrap();
        calls.iter().filter(|(method, _)| method != Method::GET).map(|(_, body)| body.clone()).collect()
    }
}

/// A client of an API server that says these things, and afterwards nothing.
pub(super) fn api_server(script: impl IntoIterator<Item = Says>) -> (Client, Calls) {
    let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
    let calls = Calls::default();
    let kept = calls.clone();
    let service = service_fn(move |call: Request<Body>| {
        let (script, kept) = (Arc::clone(&script), kept.clone());
        async move {
            let (head, body) = call.into_parts();
            let body = serde_json::from_slice(&body.collect_bytes().await?).unwrap_or_default();
            kept.0.lock().unwrap().push((head.method, body));
            let next = script.lock().unwrap().pop_front().unwrap_or(Says::Nothing);
            let (status, body) = match next {
                Says::Found(object) => (200, json!(object)),
                Says::Refused(code) => (code, refusal(code)),
                Says::Nothing => std::future::pending().await,
            };
            let answer = Response::builder().status(StatusCode::from_u16(status)?);
            Ok::<_, BoxError>(answer.body(Body::from(serde_json::to_vec(&body)?))?)
        }
    });
    (Client::new(service, "payments"), calls)
}

fn refusal(code: u16) -> Value {
    let reason = if code == 404 { "NotFound" } else { "" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": reason, "code": code})
}

/// alice's request for a key, of this uid and resourceVersion, with these fields of its status.
pub(super) fn request(uid: &str, version: &str, status: &Value) -> DownloadRequest {
    let object = json!({
        "apiVersion": "certcourier.io/v1alpha1", "kind": "DownloadRequest",
        "metadata": {"name": "key", "namespace": "payments", "uid": uid, "resourceVersion": version},
        "spec": {"certificateRef": {"name": "api"}, "format": "key", "requestedBy": {"username": "alice"}},
        "status": status,
    });
    serde_json::from_value(object).unwrap()
}
